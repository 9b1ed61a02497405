//! The attack that `/demo/forge` makes: real requests through the proxy with forged identity
//! headers, as somebody with curl would send them. A form of a browser cannot set headers, so the
//! portal sends them itself; it has no session cookie to send along, because none reaches it.

use http::StatusCode;
use serde_json::Value;

use super::pages::{self, Attempt, Forged};
use super::{Call, Portal};
use crate::demo::answer::Answer;
use crate::demo::fetch::{self, FetchError, Fetched};

/// What is forged. The last one is no identity header: that it arrives shows that the request did.
const FORGED: &[(&str, &str)] = &[
    ("X-Auth-User", "admin"),
    ("X_Auth_User", "admin"),
    ("X-Auth-Roles", "Treasurer"),
    ("X-Anteport-Assertion", "forged"),
    ("X-MS-CLIENT-PRINCIPAL", "eyJ1c2VySWQiOiJhZG1pbiJ9"),
    ("X-MS-CLIENT-PRINCIPAL-NAME", "admin"),
    ("X-Forwarded-User", "admin"),
    (CONTROL, "hello"),
];
const CONTROL: &str = "X-Harmless";

/// Attacks, and shows what came of it.
pub(super) async fn attack(portal: &Portal, call: &Call) -> Answer {
    let (public, private) =
        tokio::join!(knock(portal, "/public/whoami.json"), knock(portal, "/whoami.json"));
    let arrived = public.as_ref().ok().and_then(received);
    let forged = FORGED.iter().map(|(name, sent)| Forged {
        name,
        sent,
        arrived: arrived.as_ref().is_some_and(|headers| {
            let mut headers = headers.iter();
            headers.any(|(known, value)| known.eq_ignore_ascii_case(name) && value == sent)
        }),
        is_control: *name == CONTROL,
    });
    let attempts = [attempt("/public/whoami.json", &public), attempt("/whoami.json", &private)];
    pages::forge(portal, call, forged.collect(), arrived.is_some(), attempts)
}

async fn knock(portal: &Portal, path: &str) -> Result<Fetched, FetchError> {
    let mut url = portal.public_url.clone();
    url.set_path(path);
    let mut headers = FORGED.to_vec();
    headers.push(("accept", "application/json"));
    fetch::get(&url, &headers).await
}

fn attempt(path: &'static str, answer: &Result<Fetched, FetchError>) -> Attempt {
    let outcome = match answer {
        Ok(answer) => answer.status.to_string(),
        Err(error) => format!("no answer: {error}"),
    };
    let refused = answer.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED);
    Attempt { path, outcome, refused }
}

/// The headers that the portal says it received.
fn received(answer: &Fetched) -> Option<Vec<(String, String)>> {
    if answer.status != StatusCode::OK {
        return None;
    }
    let report: Value = serde_json::from_slice(&answer.body).ok()?;
    let headers = report.get("headers")?.as_array()?.iter();
    let pair = |pair: &Value| {
        let pair = pair.as_array()?;
        let name = pair.first()?.as_str()?;
        let value = pair.get(1)?.as_str()?;
        Some((name.to_owned(), value.to_owned()))
    };
    Some(headers.filter_map(pair).collect())
}

//! A real attack through the proxy: what somebody sends who knows the portal's header names, and
//! what of it arrives.

use http::StatusCode;
use serde_json::Value;
use url::Url;

use crate::demo::fetch::{self, FetchError, Fetched};

/// What the attacker sends: the portal's own headers, a second spelling of one, a made-up
/// assertion, names that other portals believe, and a `Connection` that asks the proxy to drop one
/// header after it set it.
pub(super) const SENT: [(&str, &str); 7] = [
    ("X-Auth-User", "admin"),
    ("X_Auth_User", "admin"),
    ("X-Auth-Roles", "Administrator"),
    ("X-Anteport-Assertion", "forged.by.hand"),
    ("X-MS-CLIENT-PRINCIPAL", "eyJ1c2VySWQiOiJhZG1pbiJ9"),
    ("Remote-User", "admin"),
    ("Connection", "close, X-Auth-User"),
];

/// What came of both tries.
pub(super) struct Attack {
    /// At a public address, where the request itself gets through.
    pub(super) public: Try,
    /// At an address for members.
    pub(super) members: Try,
}

/// One forged request.
pub(super) struct Try {
    /// Where it went.
    pub(super) url: String,
    /// The status of the answer, or why there is none.
    pub(super) status: String,
    /// What the portal says it received.
    pub(super) arrived: Vec<(String, String)>,
    /// What that means.
    pub(super) verdict: String,
    /// Whether the proxy held.
    pub(super) held: bool,
}

/// Tries both.
pub(super) async fn attack(public_url: &str) -> Attack {
    let (public, members) = tokio::join!(
        send(format!("{public_url}/public/whoami.json")),
        send(format!("{public_url}/whoami.json")),
    );
    Attack { public: judge(public, judge_public), members: judge(members, judge_members) }
}

type Sent = (String, Result<Fetched, FetchError>);

async fn send(url: String) -> Sent {
    let answer = match Url::parse(&url) {
        Ok(parsed) => fetch::get(&parsed, &SENT).await,
        Err(_) => Err(FetchError::Url(url.clone())),
    };
    (url, answer)
}

fn judge((url, answer): Sent, verdict: fn(&Fetched) -> (bool, String)) -> Try {
    match answer {
        Ok(answer) => {
            let (held, verdict) = verdict(&answer);
            Try {
                url,
                status: answer.status.to_string(),
                arrived: arrived(&answer).unwrap_or_default(),
                verdict,
                held,
            }
        }
        Err(error) => Try {
            url,
            status: error.to_string(),
            arrived: Vec::new(),
            verdict: "The proxy did not answer, so this try shows nothing.".to_owned(),
            held: false,
        },
    }
}

fn judge_public(answer: &Fetched) -> (bool, String) {
    let Some(arrived) = arrived(answer) else {
        let verdict = "The portal did not say what it received, so this try shows nothing.";
        return (false, verdict.to_owned());
    };
    let through: Vec<_> = arrived.iter().filter(|line| is_forged(line)).collect();
    if through.is_empty() {
        let verdict = "The request got through, because this address is public. \
                       None of the forged headers did: the proxy took them all out.";
        return (true, verdict.to_owned());
    }
    let names: Vec<_> = through.iter().map(|(name, _)| name.as_str()).collect();
    (false, format!("Forged headers arrived: {}.", names.join(", ")))
}

fn judge_members(answer: &Fetched) -> (bool, String) {
    if answer.status == StatusCode::UNAUTHORIZED {
        let verdict = "Refused before it reached the portal: no header stands in for a sign-in.";
        return (true, verdict.to_owned());
    }
    let verdict = format!("Expected 401, and got {}.", answer.status);
    (false, verdict)
}

/// The `headers` of the portal's own `whoami.json`.
fn arrived(answer: &Fetched) -> Option<Vec<(String, String)>> {
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    serde_json::from_value(document.get("headers")?.clone()).ok()
}

/// Whether this line is one of ours, in any spelling that an old server takes for the same name.
fn is_forged((name, _): &(String, String)) -> bool {
    let name = folded(name);
    SENT.iter().any(|(sent, _)| *sent != "Connection" && folded(sent) == name)
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_header_is_recognised_in_other_spellings() {
        let line = |name: &str| (name.to_owned(), "admin".to_owned());
        assert!(is_forged(&line("x_auth_user")));
        assert!(is_forged(&line("remote_user")));
        assert!(!is_forged(&line("host")));
    }

    #[test]
    fn what_arrived_is_what_the_portal_says() {
        let body = br#"{"headers":[["x-auth-roles","Administrator"],["host","x"]]}"#;
        let answer = Fetched { status: StatusCode::OK, body: body.as_slice().into() };
        let (held, verdict) = judge_public(&answer);
        assert!(!held);
        assert_eq!(verdict, "Forged headers arrived: x-auth-roles.");
    }
}

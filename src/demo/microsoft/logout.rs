//! Signing out at Microsoft (azure.md, section 7). Entra ID asks which account without a
//! `logout_hint`, even if there is only one, and returns to registered URIs alone; every
//! application of the session is told in a frame, by `sid` and nothing else. B2C asks nobody, and
//! returns anywhere unless it is set up to want the ID token back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;

use super::errors::AadError;
use super::tenants::{Place, Product};
use super::{Call, Microsoft, authorize, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;
use crate::demo::story::Narrator;

/// Ends the single sign-on of this browser.
pub(super) fn end(microsoft: &Microsoft, place: Place, call: &Call) -> Answer {
    microsoft.counts.logout.up();
    let picked = call.method == Method::POST && call.form.get("picked").is_some();
    // The picker's form comes back to the URL that it was shown at.
    let parameters = match picked {
        true => &call.query,
        false => call.parameters(),
    };
    let is_b2c = place.product() == Product::AzureAdB2c;
    if is_b2c && let Err(error) = check_hint(microsoft, parameters) {
        return pages::error(microsoft, &error);
    }
    let sso = authorize::signed_in(microsoft, &call.headers);
    let hint = parameters.get("logout_hint");
    let returning = return_to(microsoft, is_b2c, parameters);
    if let Some(sso) = &sso {
        let is_meant = is_b2c || hint.is_some_and(|hint| sso.account.is_meant_by(hint));
        if !picked && !is_meant {
            return pages::pick_account(sso.account, parameters, returning);
        }
        let mut state = microsoft.state();
        state.sso.retain(|known| known.sid != sso.sid);
    }
    if let Some(story) = microsoft.story() {
        let who = sso.as_ref().map_or("nobody", |sso| sso.account.username);
        let details = vec![("account".to_owned(), who.to_owned())];
        story.tell(Narrator::Microsoft, "Signed out at Microsoft", details);
    }
    let next = returning.map(|uri| with_state(uri, parameters.get("state")));
    // User flows mostly tell no application.
    let frames = match &sso {
        Some(sso) if !is_b2c => frames(&microsoft.options.front_channel_logout, &sso.sid),
        Some(_) | None => Vec::new(),
    };
    let answer = match next {
        next if !frames.is_empty() => pages::signing_out(&frames, next.as_deref()),
        Some(uri) => answer::redirect(&uri),
        None => pages::signed_out(),
    };
    authorize::with_cookie(microsoft, answer, "", "; Max-Age=0")
}

/// The registered front-channel addresses, each with the session that is over.
fn frames(registered: &[String], sid: &str) -> Vec<String> {
    let urls = registered.iter().filter_map(|url| url::Url::parse(url).ok());
    urls.map(|mut url| {
        url.query_pairs_mut().append_pair("sid", sid);
        url.into()
    })
    .collect()
}

/// "Require ID Token in logout requests": it has to be one for this application. Its signature is
/// not looked at here.
fn check_hint(microsoft: &Microsoft, parameters: &Parameters) -> Result<(), AadError> {
    if !microsoft.options.requires_id_token_hint {
        return Ok(());
    }
    let Some(hint) = parameters.get("id_token_hint") else {
        let text = "The request must contain the parameter 'id_token_hint'.";
        return Err(AadError::new(90272, "invalid_request", text));
    };
    let payload = hint.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims: Option<Value> = payload.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let audience = claims.as_ref().and_then(|claims| claims.get("aud")?.as_str());
    match microsoft.options.client_ids.iter().any(|known| Some(known.as_str()) == audience) {
        true => Ok(()),
        false => Err(AadError::new(
            90237,
            "invalid_request",
            "The provided id_token_hint is not for this application.",
        )),
    }
}

fn return_to<'a>(
    microsoft: &'a Microsoft,
    is_b2c: bool,
    parameters: &'a Parameters,
) -> Option<&'a str> {
    let asked = parameters.get("post_logout_redirect_uri");
    if is_b2c && !microsoft.options.requires_id_token_hint {
        return asked;
    }
    let mut registered = microsoft.options.redirect_uris.iter();
    registered.find(|known| Some(known.as_str()) == asked).map(String::as_str)
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    match (url::Url::parse(uri), state) {
        (Ok(mut uri), Some(state)) => {
            uri.query_pairs_mut().append_pair("state", state);
            uri.into()
        }
        (_, _) => uri.to_owned(),
    }
}

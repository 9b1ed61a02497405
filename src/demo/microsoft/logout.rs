//! Signing out at Microsoft. Without a `logout_hint` the visitor is asked which account, even if
//! there is only one; without a registered URI to return to, they stay on a page here.

use http::Method;

use super::{Call, Microsoft, authorize, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::story::Narrator;

/// Ends the single sign-on of this browser.
pub(super) fn end(microsoft: &Microsoft, call: &Call) -> Answer {
    microsoft.counts.logout.up();
    let picked = call.method == Method::POST && call.form.get("picked").is_some();
    // The picker's form comes back to the URL that it was shown at.
    let parameters = match picked {
        true => &call.query,
        false => call.parameters(),
    };
    let sso = authorize::signed_in(microsoft, &call.headers);
    let hint = parameters.get("logout_hint");
    if let Some(sso) = &sso {
        let is_meant = hint.is_some_and(|hint| sso.account.is_meant_by(hint));
        if !picked && !is_meant {
            let returning = return_to(microsoft, parameters.get("post_logout_redirect_uri"));
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
    let answer = match return_to(microsoft, parameters.get("post_logout_redirect_uri")) {
        Some(uri) => answer::redirect(&with_state(uri, parameters.get("state"))),
        None => pages::signed_out(),
    };
    authorize::with_cookie(microsoft, answer, "", "; Max-Age=0")
}

fn return_to<'a>(microsoft: &'a Microsoft, asked: Option<&str>) -> Option<&'a str> {
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

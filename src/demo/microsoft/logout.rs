//! The sign-out endpoint: it ends the single sign-on of the browser, asking first when it was not
//! told whose, and goes on only to an address that is registered.

use url::Url;

use super::{Call, Microsoft, pages, sso};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;
use crate::demo::story::Narrator;

/// Ends the single sign-on.
pub(super) fn end(microsoft: &Microsoft, call: &Call) -> Answer {
    microsoft.counts.logout.up();
    let parameters = call.parameters();
    let target = target(microsoft, parameters);
    if let Some(sso) = microsoft.sso(&call.headers) {
        let hint = parameters.get("logout_hint");
        // Without a hint Microsoft asks, even where there is a single account to choose.
        if !hint.is_some_and(|hint| sso.account.is_meant_by(hint)) {
            tell(microsoft, "The visitor was asked which account to sign out");
            return pages::pick_account(sso.account, parameters, target.as_ref());
        }
        microsoft.end_sso(&call.headers);
        tell(microsoft, "The visitor signed out at Microsoft");
    }
    let answer = match &target {
        Some(target) => answer::redirect(target.as_str()),
        None => pages::signed_out(),
    };
    sso::clear_cookie(answer)
}

/// Where to go afterwards, with the `state` echoed.
fn target(microsoft: &Microsoft, parameters: &Parameters) -> Option<Url> {
    let asked = parameters.get("post_logout_redirect_uri")?;
    let registered = &microsoft.options.redirect_uris;
    let known = registered.iter().find(|known| *known == asked)?;
    let mut url = Url::parse(known).ok()?;
    if let Some(state) = parameters.get("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url)
}

fn tell(microsoft: &Microsoft, title: &str) {
    if let Some(story) = microsoft.story() {
        story.tell(Narrator::Microsoft, title, vec![]);
    }
}

//! The redirect URIs, to copy into the app registration, and as far as it can be seen without
//! signing in, whether they are there.

use std::time::Duration;

use tokio::time::Instant;

use super::{Case, Check, Finding, Status, Told};
use crate::catalogue::{self, Class};
use crate::config::ProviderKind;
use crate::gate::login::Journey;
use crate::relying_party::{AtRedirect, RelyingParty};

/// For all of them; those that are left then are listed and not tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at those of the provider of this index.
pub(super) async fn look(case: &Case, index: usize, party: &RelyingParty, told: &Told) {
    let Some(provider) = case.config.providers.get(index) else {
        return;
    };
    let begun = Instant::now();
    // A provider that is down is not waited for once for each.
    let is_known = party.examine(Journey::SignIn).await.is_ok();
    for portal in case.portals_of(index) {
        for (position, uri) in portal.to_register(provider).enumerate() {
            let is_after_sign_out = position > 0;
            // At Microsoft's these are redirect URIs like others, and elsewhere a list of their own.
            if is_after_sign_out && matches!(provider.kind, ProviderKind::Oidc(_)) {
                let say = "to register as the address after a sign-out";
                told.tell(Finding::skipped(Check::RedirectUri, &uri, say));
                continue;
            }
            let found = match is_known && begun.elapsed() < PATIENCE {
                true => party.try_redirect(&uri).await.ok(),
                false => None,
            };
            let found = of_trial(&provider.name, &uri, found);
            told.tell(match (is_after_sign_out, found.status) {
                // Whoever signs out is left on a page of the provider's, and no more than that.
                (true, Status::Error) => Finding { status: Status::Warning, ..found },
                _ => found,
            });
        }
    }
}

fn of_trial(provider: &str, uri: &str, found: Option<AtRedirect>) -> Finding {
    let check = Check::RedirectUri;
    let by_hand = format!("copy it into the app registration of {provider}, platform \"Web\"");
    match found {
        Some(AtRedirect::Registered) => {
            Finding::ok(check, uri, format!("it is registered at {provider}"))
        }
        Some(AtRedirect::Page(code)) if is_of_operator(&code) => {
            let entry = catalogue::explain(Some(&code), "");
            let told = format!("{provider} sends nobody there: {}", entry.what);
            let is_about_it = matches!(
                &*code,
                "AADSTS50011" | "AADSTS500113" | "AADB2C90006" | "AADB2C90007" | "AADB2C90287"
            );
            let fix = match is_about_it {
                true => by_hand,
                false => entry.to_do(),
            };
            Finding::error(check, uri, told).fix(fix).because(code)
        }
        // Another code on a page says nothing of the address.
        Some(AtRedirect::Page(_) | AtRedirect::Unclear) | None => {
            let told = format!("whether {provider} knows it cannot be seen from here");
            Finding::skipped(check, uri, told).fix(by_hand)
        }
    }
}

fn is_of_operator(code: &str) -> bool {
    catalogue::find(code).is_some_and(|entry| entry.class == Class::Operator)
}

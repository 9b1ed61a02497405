//! What we are registered as: whether the client id and each credential are accepted, and when
//! they end. The catalogue says what the provider's codes mean.

use super::finding::last_day;
use super::{Case, Check, Finding, Told};
use crate::catalogue::{self, Class};
use crate::config::{Credential, Proof, Provider};
use crate::gate::Timestamp;
use crate::relying_party::{
    RegistrationError, RelyingParty, RelyingPartyError, TokenRefusal, Tried,
};
use crate::telemetry::causes;

const DAY: u64 = 24 * 60 * 60;
/// Days before its end from which on a credential is spoken of.
const MONTH: u64 = 30;
/// Days before its end from which on it is pressing.
const FORTNIGHT: u64 = 14;

/// Looks at the credentials of the provider of this index.
pub(super) async fn look(case: &Case, index: usize, party: &RelyingParty, told: &Told) {
    let Some(provider) = case.config.providers.get(index) else {
        return;
    };
    let redirect_uri =
        case.portals_of(index).find_map(|portal| portal.to_register(provider).next());
    let redirect_uri = redirect_uri.unwrap_or_default();
    let now = case.setting.clock.now();
    for (position, credential) in provider.credentials.iter().enumerate() {
        let subject = subject(provider, position, credential);
        let tried = party.try_credential(position, &redirect_uri, now).await;
        told.tell(of_trial(&subject, &tried));
    }
    if let Err(error) = party.learn_ends().await {
        told.tell(unlearned(&provider.name, &error));
    }
    for (position, credential) in provider.credentials.iter().enumerate() {
        let subject = subject(provider, position, credential);
        told.tell(end(&subject, credential, party.end_of(position, now), now));
    }
}

fn subject(provider: &Provider, position: usize, credential: &Credential) -> String {
    format!("{}, credential {} ({})", provider.name, position.saturating_add(1), credential.kind())
}

fn of_trial(subject: &str, tried: &Tried) -> Finding {
    let check = Check::Credential;
    match tried {
        Tried::Accepted => Finding::ok(check, subject, "the provider accepts it"),
        Tried::Refused(fault, refusal, advice) => {
            let (what, fix) = explained(refusal);
            let fix = match advice {
                Some(advice) => format!("{advice}. {fix}"),
                None => fix,
            };
            let reason = refusal.code.clone().unwrap_or_else(|| fault.name().to_owned());
            Finding::error(check, subject, format!("the provider refuses it: {what}"))
                .fix(fix)
                .because(reason)
        }
        Tried::Otherwise(refusal) => otherwise(subject, refusal),
        Tried::Unavailable(error) => {
            let told = format!("it cannot be sent: {}", causes(error));
            let fix = "see that whoever makes the token runs, and that its file can be read here";
            Finding::error(check, subject, told).fix(fix)
        }
        Tried::Unknown(RelyingPartyError::Discovery(_)) => {
            let told = "it was not tried, because the provider's metadata and keys are not known";
            Finding::skipped(check, subject, told)
        }
        Tried::Unknown(error) => {
            let told = format!("the token endpoint gave no answer to judge by: {}", causes(error));
            let fix = "try again in a minute; the provider's own page of its state says more";
            Finding::warning(check, subject, told).fix(fix).because(error.code())
        }
    }
}

/// The request was refused, whatever the credential.
fn otherwise(subject: &str, refusal: &TokenRefusal) -> Finding {
    let check = Check::Credential;
    let known = refusal.code.as_deref().and_then(catalogue::find);
    let reason = refusal.code.clone().unwrap_or_else(|| refusal.error.to_owned());
    let (what, fix) = explained(refusal);
    match known {
        Some(entry) if entry.class == Class::Operator => {
            Finding::error(check, subject, format!("the provider refuses to be asked: {what}"))
                .fix(fix)
                .because(reason)
        }
        _ => {
            let told = format!("nothing can be said of it, for the provider answered {refusal}");
            let fix = "sign in once at `/.auth/test` of a portal, which shows what happens";
            Finding::warning(check, subject, told).fix(fix).because(reason)
        }
    }
}

/// What happened, and what to do and where.
fn explained(refusal: &TokenRefusal) -> (String, String) {
    let entry = catalogue::explain(refusal.code.as_deref(), refusal.error);
    (entry.what.clone(), entry.to_do())
}

fn unlearned(provider: &str, error: &RegistrationError) -> Finding {
    let told = format!("Graph does not say when the credentials end: {}", causes(error));
    let fix = match error {
        RegistrationError::NotPermitted => {
            "grant the application permission Application.Read.All in Microsoft Graph, with admin \
             consent; or declare `expires` and leave `credential_expiry` out"
        }
        RegistrationError::Token(_)
        | RegistrationError::Call(_)
        | RegistrationError::Refused(_)
        | RegistrationError::Answer => {
            "try again; until Graph answers, `expires` and certificates alone say it"
        }
    };
    Finding::warning(Check::CredentialExpiry, provider, told).fix(fix)
}

fn end(subject: &str, credential: &Credential, ends: Option<Timestamp>, now: Timestamp) -> Finding {
    let check = Check::CredentialExpiry;
    let Some(ends) = ends else {
        return match credential.proof {
            Proof::Federated { .. } | Proof::ManagedIdentity(_) => {
                Finding::ok(check, subject, "it has no end that anybody has to remember")
            }
            Proof::Secret { .. } | Proof::Certificate(_) => {
                let told = "nobody here knows when it ends, so nobody will be warned";
                let fix = "write its last day as `expires`, or let `credential_expiry: graph` ask";
                Finding::skipped(check, subject, told).fix(fix)
            }
        };
    };
    let day = last_day(ends);
    let fix = "make a new one under Certificates & secrets and put it first in `credentials`";
    let days = ends.since(now).as_secs() / DAY;
    match ends <= now {
        true => Finding::error(check, subject, format!("it ended on {day}")).fix(fix),
        false if days < FORTNIGHT => {
            let told = format!("it ends on {day}, in less than two weeks");
            Finding::warning(check, subject, told).fix(format!("do it now: {fix}"))
        }
        false if days < MONTH => {
            let told = format!("it ends on {day}, in {days} days");
            Finding::warning(check, subject, told).fix(fix)
        }
        false => Finding::ok(check, subject, format!("it ends on {day}")),
    }
}

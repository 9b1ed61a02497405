//! What a real token says, against what the portals' headers are made of. Names of claims and of
//! headers are told, and never what is in them (LOG-01).

use serde_json::{Map, Value};

use super::{Case, Check, Finding};
use crate::config::{Mapping, Portal, ProviderKind};
use crate::gate::{EXTENSIONS, Subject, VerifiedClaims};
use crate::identity::is_told;

/// Looks at the token that the operator named, if there is one.
pub(super) fn look(case: &Case) -> Vec<Finding> {
    let Some(said) = &case.setting.claims else {
        let told = "no token was named: `--token FILE` takes the claims of one, as `/.auth/test` \
                    shows them";
        return vec![Finding::skipped(Check::Token, "--token", told)];
    };
    let mut findings = vec![token(case, said)];
    let subject = Subject::Issuer { issuer: "doctor".to_owned(), subject: "nobody".to_owned() };
    let claims = VerifiedClaims::supposed(subject, said.clone());
    for portal in &case.config.portals {
        findings.extend(mapped(case, portal, &claims));
    }
    findings
}

/// Whether it is for somebody whom we are.
fn token(case: &Case, said: &Map<String, Value>) -> Finding {
    let (check, subject) = (Check::Token, "--token");
    let audiences: Vec<&str> = match said.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if audiences.is_empty() {
        return Finding::skipped(check, subject, "it does not say whom it is for (`aud`)");
    }
    let mut providers = case.config.providers.iter();
    let known = providers.find(|provider| {
        audiences.iter().any(|audience| audience.eq_ignore_ascii_case(&provider.client_id))
    });
    match known {
        Some(provider) => {
            Finding::ok(check, subject, format!("it is for the client id of {}", provider.name))
        }
        None => {
            let told = "its `aud` is no `client_id` of the configuration";
            let fix = "take an ID token of this app registration: not an access token, and not one \
                       of another application";
            Finding::warning(check, subject, told).fix(fix)
        }
    }
}

fn mapped(case: &Case, portal: &Portal, claims: &VerifiedClaims) -> Vec<Finding> {
    let (check, subject) = (Check::MappedClaims, portal.origin());
    let mut findings = Vec::new();
    // What the directory of members says is in no token.
    let of_provider = portal
        .identity
        .headers
        .iter()
        .filter(|(_, mapping)| !mapping.paths().any(|path| path.name() == EXTENSIONS));
    for (name, mapping) in of_provider {
        let told = match is_told(mapping, claims) {
            Ok(true) => continue,
            Ok(false) => {
                let absent = absent(mapping, claims);
                format!("`{name}` would be absent: the token has no `{absent}`")
            }
            Err((claim, true)) => {
                format!("nobody could sign in, because `{name}` needs `{claim}` and it is absent")
            }
            Err((claim, false)) => {
                format!(
                    "nobody could sign in, because `{claim}` of the token does not fit `{name}`"
                )
            }
        };
        let is_fatal = told.starts_with("nobody");
        let provider = portal.sign_in.providers.first().copied().unwrap_or_default();
        let fix = where_from(case, provider, &absent(mapping, claims));
        findings.push(match is_fatal {
            true => Finding::error(check, subject, told).fix(fix),
            false => Finding::warning(check, subject, told).fix(fix),
        });
    }
    if findings.is_empty() {
        let count = portal.identity.headers.len();
        let told = format!("the token has what its {count} mapped headers are made of");
        findings.push(Finding::ok(check, subject, told));
    }
    findings
}

/// The first claim of a mapping that is not there.
fn absent(mapping: &Mapping, claims: &VerifiedClaims) -> String {
    let mut paths = mapping.paths();
    let first = paths.find(|path| !matches!(claims.at(path), Ok(Some(_))));
    first.or_else(|| mapping.paths().next()).map(ToString::to_string).unwrap_or_default()
}

/// Where a claim of the provider of this index comes from.
pub(super) fn where_from(case: &Case, provider: usize, claim: &str) -> String {
    let kind = case.config.providers.get(provider).map(|it| &it.kind);
    match (kind, claim) {
        (Some(ProviderKind::AzureAdB2c(_)), _) => format!(
            "select `{claim}` under \"Application claims\" of the user flow, or output it in the \
             custom policy"
        ),
        (Some(ProviderKind::Oidc(_)) | None, _) => {
            format!("have the provider put `{claim}` into ID tokens, or ask for its scope")
        }
        (Some(_), "roles") => {
            "give members an app role: \"App roles\" of the app registration, and \
                               \"Users and groups\" of the enterprise application"
                .to_owned()
        }
        (Some(_), "groups") => {
            "add a groups claim under \"Token configuration\" of the app registration".to_owned()
        }
        (Some(ProviderKind::ExternalId(_)), _) => {
            format!("add `{claim}` under \"Attributes & Claims\" of the enterprise application")
        }
        (Some(ProviderKind::EntraId(_)), _) => format!(
            "add the optional claim `{claim}` (ID) under \"Token configuration\" of the app \
             registration"
        ),
    }
}

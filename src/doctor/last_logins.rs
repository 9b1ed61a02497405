//! What the last sign-ins at the Anteport that runs here had, against what the portals' headers are
//! made of: by the names of claims and how often each was there, which is all that it remembers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;

use super::claims::where_from;
use super::running::Running;
use super::{Case, Check, Finding};
use crate::config::{Mapping, Portal};
use crate::gate::{EXTENSIONS, Subject, VerifiedClaims};
use crate::identity::is_told;

/// What `/-/last-logins` tells.
#[derive(Deserialize)]
struct Told {
    last_logins: Vec<Pair>,
}

/// The last logins at one portal with one provider.
#[derive(Deserialize)]
struct Pair {
    portal: String,
    provider: String,
    logins: usize,
    claims: BTreeMap<String, usize>,
}

/// Asks the Anteport that runs here, and looks at each portal.
pub(super) async fn look(case: &Case) -> Vec<Finding> {
    let (check, subject) = (Check::LastLogins, case.config.admin.to_string());
    let Some(running) = Running::at(case.config.admin).await else {
        let told = "no Anteport answers there that could say what the last sign-ins had";
        return vec![Finding::skipped(check, &subject, told)];
    };
    let told = running.ask("/-/last-logins").await;
    let told = told.and_then(|told| serde_json::from_slice::<Told>(&told).ok());
    let Some(told) = told else {
        let told = "the Anteport that answers there does not say what the last sign-ins had: it is \
                    an older one";
        return vec![Finding::skipped(check, &subject, told)];
    };
    let mut findings = Vec::new();
    for portal in &case.config.portals {
        for index in &portal.sign_in.providers {
            let provider = case.config.providers.get(*index);
            let name = provider.map(|provider| &*provider.name).unwrap_or_default();
            let host = &*portal.policy.host;
            let seen = told
                .last_logins
                .iter()
                .find(|seen| seen.portal == host && seen.provider == name && seen.logins > 0);
            match seen {
                Some(seen) => findings.extend(compared(case, portal, *index, seen)),
                None => {
                    let told = format!("nobody has come back from {name} since it was started");
                    findings.push(Finding::skipped(check, portal.origin(), told));
                }
            }
        }
    }
    findings
}

fn compared(case: &Case, portal: &Portal, provider: usize, seen: &Pair) -> Vec<Finding> {
    let check = Check::LastLogins;
    let Pair { provider: name, logins, claims, .. } = seen;
    let subject = portal.origin();
    let (mut findings, mut seldom) = (Vec::new(), Vec::new());
    for (header, mapping) in &portal.identity.headers {
        let with = |name: &str| claims.get(name).copied().unwrap_or_default();
        // What the directory of members says is not the provider's to lack.
        let of_provider = mapping.paths().filter(|path| path.name() != EXTENSIONS);
        let rarest = of_provider.map(|path| (with(path.name()), path.name())).min();
        let Some((had, claim)) = rarest.filter(|(had, _)| had < logins) else {
            continue;
        };
        let lacked = logins.saturating_sub(had);
        let fix = || where_from(case, provider, claim);
        match (absence(mapping), had) {
            (Absence::Covered, _) => {}
            (Absence::Refused, _) => {
                let told = format!(
                    "{lacked} of the last {logins} sign-ins with {name} had no `{claim}`, without \
                     which nobody gets in, because `{header}` needs it"
                );
                findings.push(Finding::error(check, subject, told).fix(fix()));
            }
            (Absence::Silent, 0) => {
                let told = format!(
                    "none of the last {logins} sign-ins with {name} had `{claim}`: `{header}` was \
                     absent"
                );
                findings.push(Finding::warning(check, subject, told).fix(fix()));
            }
            (Absence::Silent, _) => seldom.push(format!("`{claim}` in {had}")),
        }
    }
    if findings.is_empty() {
        let count = portal.identity.headers.len();
        let mut told = format!(
            "the last {logins} sign-ins with {name} had what its {count} mapped headers are made of"
        );
        if !seldom.is_empty() {
            told = format!("{told} ({})", seldom.join(", "));
        }
        findings.push(Finding::ok(check, subject, told));
    }
    findings
}

/// What becomes of a header whose claims are absent.
enum Absence {
    /// It says something else.
    Covered,
    /// It is absent too.
    Silent,
    /// The sign-in is refused.
    Refused,
}

fn absence(mapping: &Mapping) -> Absence {
    let subject = Subject::Issuer { issuer: "doctor".to_owned(), subject: "nobody".to_owned() };
    match is_told(mapping, &VerifiedClaims::supposed(subject, Map::new())) {
        Ok(true) => Absence::Covered,
        Ok(false) => Absence::Silent,
        Err(_) => Absence::Refused,
    }
}

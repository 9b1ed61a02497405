//! A provider as everybody sees it: its name, its connection, its metadata and keys. Each set of
//! endpoints is looked at; B2C has one for each policy.

use std::sync::Arc;

use serde_json::Value;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use url::{Host, Url};

use super::forms::{self, Form};
use super::{Case, Check, Finding, Told, clock};
use crate::catalogue;
use crate::config::ProviderKind;
use crate::gate::login::{Journey, microsoft_code};
use crate::outgoing::{HttpError, Looked, is_busy};
use crate::relying_party::{MetadataError, RelyingParty, fits};
use crate::telemetry::causes;

/// What to do about what may pass.
const LATER: &str = "try again in a minute; if it stays, the provider has trouble, or a firewall lets \
                     only some of its addresses through";

/// Looks at the provider of this index.
pub(super) async fn look(case: &Case, index: usize, party: &Arc<RelyingParty>, told: &Told) {
    let Some(provider) = case.config.providers.get(index) else {
        return;
    };
    for (position, (journey, kind)) in provider.kind.flows().into_iter().enumerate() {
        let subject = match &kind {
            ProviderKind::AzureAdB2c(b2c) => format!("{}, {}", provider.name, b2c.policy),
            ProviderKind::EntraId(_) | ProviderKind::ExternalId(_) | ProviderKind::Oidc(_) => {
                provider.name.to_string()
            }
        };
        let url = kind.metadata_url();
        let looked = party.look(&url).await;
        // All policies are at one host.
        if position == 0 {
            told.tell(name(&provider.name, &url, &looked).await);
            told.all(connection(&provider.name, &url, &looked));
        }
        let looked = match looked {
            Ok(looked) => looked,
            // The first says it of the host.
            Err(_) if position == 0 => return,
            Err(error) => {
                told.tell(unanswered(&subject, &url, &error));
                continue;
            }
        };
        if position == 0 {
            told.tell(clock::compare(&provider.name, &looked, case.setting.clock.now()));
        }
        match metadata(&subject, &kind, &looked, party).await {
            Ok(found) => {
                told.all(found);
                told.tell(keys(&subject, journey, &kind, party).await);
            }
            Err(found) => told.all(found),
        }
    }
}

async fn name(provider: &str, url: &Url, looked: &Result<Looked, HttpError>) -> Finding {
    let (Some(Host::Domain(host)), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Finding::ok(Check::ProviderName, provider, "it is named by its address");
    };
    if let Err(HttpError::Resolve(error)) = looked {
        let told = format!("`{host}` has no address: {error}");
        return Finding::error(Check::ProviderName, provider, told).fix(
            "compare the name with the one in Azure; if it is right, see to this machine's DNS \
             (`getent hosts` asks it)",
        );
    }
    let found = lookup_host((host, port)).await.map(Iterator::count).unwrap_or_default();
    let told = match found {
        1 => format!("`{host}` has an address"),
        _ => format!("`{host}` has {found} addresses"),
    };
    Finding::ok(Check::ProviderName, provider, told)
}

/// Nothing of it where the name has no address, which was said.
fn connection(provider: &str, url: &Url, looked: &Result<Looked, HttpError>) -> Option<Finding> {
    let check = Check::ProviderConnection;
    let origin = url.origin().ascii_serialization();
    let error = match looked {
        Ok(_) if url.scheme() == "https" => {
            let told = format!("{origin} is connected to, and its certificate is one to trust");
            return Some(Finding::ok(check, provider, told));
        }
        Ok(_) => {
            let told = format!("{origin} is connected to, without TLS");
            return Some(Finding::ok(check, provider, told));
        }
        Err(HttpError::Resolve(_)) => return None,
        Err(error) => error,
    };
    let fix = match error {
        HttpError::Tls(_) => {
            "if the provider has an authority of its own, or something between opens TLS, name its \
             certificate in `ca` of the provider; else see that the clock is right and \
             ca-certificates is installed"
        }
        HttpError::NoRoots => {
            "install ca-certificates, or name the authority's certificate in `ca`"
        }
        HttpError::Exchange(_) | HttpError::TooLarge { .. } => {
            "compare the address: what answers there is no identity provider, or something between \
             answers in its place"
        }
        HttpError::Url
        | HttpError::Resolve(_)
        | HttpError::Connect(_)
        | HttpError::Slow { .. }
        | HttpError::Redirect(_)
        | HttpError::Status(_) => {
            "let this machine reach it: a firewall has to let connections out, and there is no \
             forward proxy that this program would use"
        }
    };
    let told = format!("{origin} cannot be asked: {}", causes(error));
    Some(Finding::error(check, provider, told).fix(fix).because(error.code()))
}

/// What the answer for the metadata is worth; an error if nothing more can be asked.
async fn metadata(
    subject: &str,
    kind: &ProviderKind,
    looked: &Looked,
    party: &Arc<RelyingParty>,
) -> Result<Vec<Finding>, Vec<Finding>> {
    let url = kind.metadata_url();
    let is_fine = looked.status == http::StatusCode::OK;
    let refused = match is_fine.then(|| fits(kind, &looked.body)) {
        Some(Ok(())) => {
            let issuer = documented_issuer(looked).unwrap_or_default();
            return Ok(vec![
                Finding::ok(Check::ProviderMetadata, subject, format!("it is at {url}")),
                Finding::ok(Check::ProviderIssuer, subject, format!("the issuer is {issuer}")),
            ]);
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    let found = match refused {
        Some(error @ (MetadataError::Issuer | MetadataError::PersonalAccounts)) => {
            let issuer = documented_issuer(looked).unwrap_or_default();
            let told = format!("the metadata at {url} is of the issuer `{issuer}`: {error}");
            Finding::error(Check::ProviderIssuer, subject, told).because(error.code())
        }
        Some(error @ (MetadataError::Malformed | MetadataError::TenantChanged)) => {
            let what = match looks_like_html(looked) {
                true => "a web page and not metadata",
                false => "no metadata",
            };
            let told = format!("at {url} there is {what}");
            Finding::error(Check::ProviderMetadata, subject, told).because(error.code())
        }
        Some(error @ MetadataError::Endpoint { .. }) => {
            let told = format!("the metadata at {url} cannot be used: {error}");
            Finding::error(Check::ProviderMetadata, subject, told).because(error.code())
        }
        None => refused_metadata(subject, &url, looked),
    };
    // Nobody who is busy says where anything is.
    if is_busy(looked.status) {
        return Err(vec![found.fix(LATER)]);
    }
    let documented = documented_issuer(looked);
    let works = other_forms(kind, documented.as_deref(), party).await;
    let usual = usual_fix(kind);
    let fix = match (works, &found.fix) {
        (Some(form), _) => {
            let url = form.kind.metadata_url();
            format!("it is at {url}: write `{}` for this provider", form.change)
        }
        (None, Some(fix)) => format!("{fix}. No other known form of the address works"),
        (None, None) => format!("{usual}; no other known form of the address works"),
    };
    Err(vec![found.fix(fix)])
}

/// No answer from a host that has given one.
fn unanswered(subject: &str, url: &Url, error: &HttpError) -> Finding {
    let told = format!("there is no answer at {url}: {}", causes(error));
    let found = Finding::error(Check::ProviderMetadata, subject, told).because(error.code());
    found.fix(LATER)
}

/// Another status than 200, with what the provider says itself.
fn refused_metadata(subject: &str, url: &Url, looked: &Looked) -> Finding {
    let status = looked.status;
    let text = String::from_utf8_lossy(&looked.body);
    let check = Check::ProviderMetadata;
    let Some(code) = microsoft_code(&text) else {
        let told = format!("there is no metadata at {url}: the answer is {status}");
        return Finding::error(check, subject, told).because("provider-status");
    };
    let entry = catalogue::explain(Some(&code), "");
    let told = format!("there is no metadata at {url}: {} ({status})", entry.what);
    let fix = entry.to_do();
    Finding::error(check, subject, told).fix(fix).because(code)
}

fn usual_fix(kind: &ProviderKind) -> &'static str {
    match kind {
        ProviderKind::EntraId(_) => {
            "compare `tenant` with \"Directory (tenant) ID\" on the overview page of the app \
             registration"
        }
        ProviderKind::AzureAdB2c(_) => {
            "compare `policy` with the names under \"User flows\" (`B2C_1_…`) or \"Identity \
             Experience Framework\" (`B2C_1A_…`), and `tenant` with the overview page"
        }
        ProviderKind::ExternalId(_) => {
            "compare `tenant` with the overview page of the external tenant"
        }
        ProviderKind::Oidc(_) => {
            "compare `issuer`, to the letter, with what the provider's own documentation names, \
             and name `metadata_url` if its metadata is elsewhere"
        }
    }
}

fn documented_issuer(looked: &Looked) -> Option<String> {
    let document: Value = serde_json::from_slice(&looked.body).ok()?;
    let issuer = document.get("issuer")?.as_str()?;
    let is_plain = |c: char| c.is_ascii_graphic() && c != '`';
    (issuer.len() <= 256 && issuer.chars().all(is_plain)).then(|| issuer.to_owned())
}

fn looks_like_html(looked: &Looked) -> bool {
    let begin = looked.body.iter().find(|byte| !byte.is_ascii_whitespace());
    begin == Some(&b'<')
}

/// The first of the other known forms that works. All are asked at once, and no more of them than
/// there are ways to write the same thing.
async fn other_forms(
    kind: &ProviderKind,
    documented: Option<&str>,
    party: &Arc<RelyingParty>,
) -> Option<Form> {
    let mut asking = JoinSet::new();
    for (position, form) in forms::others(kind, documented).into_iter().enumerate() {
        let party = Arc::clone(party);
        asking.spawn(async move {
            let looked = party.look(&form.kind.metadata_url()).await.ok()?;
            let is_there = looked.status == http::StatusCode::OK;
            (is_there && fits(&form.kind, &looked.body).is_ok()).then_some((position, form))
        });
    }
    let mut found: Vec<(usize, Form)> = Vec::new();
    while let Some(asked) = asking.join_next().await {
        found.extend(asked.ok().flatten());
    }
    found.into_iter().min_by_key(|(position, _)| *position).map(|(_, form)| form)
}

async fn keys(
    subject: &str,
    journey: Journey,
    kind: &ProviderKind,
    party: &Arc<RelyingParty>,
) -> Finding {
    let check = Check::ProviderKeys;
    let error = match party.examine(journey).await {
        Ok(learned) if learned.odd_keys.is_empty() => {
            let keys = match learned.keys {
                1 => "1 signing key".to_owned(),
                keys => format!("{keys} signing keys"),
            };
            let told = format!("{keys}, for tokens of {}", learned.issuers.join(", "));
            return Finding::ok(check, subject, told);
        }
        Ok(learned) => {
            let told = format!(
                "{} signing keys can be used, and others were passed over: {}",
                learned.keys,
                learned.odd_keys.join(", ")
            );
            let fix = "nothing, as long as sign-ins work; tell the provider if they do not";
            return Finding::warning(check, subject, told).fix(fix);
        }
        Err(error) => error,
    };
    let told = format!("the signing keys cannot be had: {}", causes(&error));
    let found = Finding::error(check, subject, told).because(error.code());
    let is_unreachable = error.is_unreachable();
    let other = match (kind, is_unreachable) {
        // Microsoft's keys name issuers by a rule of their own.
        (ProviderKind::Oidc(_), false) => other_forms(kind, None, party).await,
        _ => None,
    };
    match other {
        Some(form) => found.fix(format!("write `{}` for this provider", form.change)),
        None if is_unreachable => found.fix(LATER),
        None => found.fix(
            "open `jwks_uri` of the metadata in a browser: something between may answer in the \
             provider's place",
        ),
    }
}

//! A member as a file describes one, for `explain`: the payload of an ID token, as JSON. Nothing of
//! it is verified, and nothing comes of it but words.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::{Config, PERSONAL_ACCOUNTS, Portal, ProviderKind, read_at_most};
use crate::gate::{AccountKind, Session, Subject, Timestamp, VerifiedClaims};
use crate::relying_party::id_token;

/// The largest file that is read.
const LARGEST: u64 = 1024 * 1024;

/// As long as the handle of a session is.
const HANDLE: &str = "the-handle-is-22-chars";

/// Why there is no such member.
#[derive(Debug, thiserror::Error)]
pub(super) enum SupposedError {
    #[error("`{0}` cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("`{0}` is not a JSON object with the claims of an ID token")]
    Json(String),
    #[error("`{0}` names nobody: it has neither `tid` and `oid` nor `iss` and `sub`")]
    Nobody(String),
}

/// The session that somebody with these claims would have, if it began now.
pub(super) fn session(
    path: &Path,
    config: &Config,
    portal: &Portal,
    now: Timestamp,
) -> Result<Session, SupposedError> {
    let name = path.display().to_string();
    let failed = |error| SupposedError::File(name.clone(), error);
    // It may be a pipe: then no token lies on a disk.
    let text = File::open(path).and_then(|file| read_at_most(file, LARGEST)).map_err(failed)?;
    let claims: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|_| SupposedError::Json(name.clone()))?;
    let subject = subject(&claims).ok_or(SupposedError::Nobody(name))?;
    let kind = account(&claims, config, portal);
    let claims = VerifiedClaims::supposed(subject, claims);
    let claims = match kind {
        Some(kind) => claims.of_account(kind),
        None => claims,
    };
    let host = Arc::clone(&portal.policy.host);
    let lifetimes = config.sessions.lifetimes;
    Ok(Session::start(claims, Arc::from("explained"), host, HANDLE.to_owned(), lifetimes, now))
}

fn subject(claims: &Map<String, Value>) -> Option<Subject> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("tid"), text("oid")) {
        (Some(tenant), Some(object)) => Some(Subject::Directory { tenant, object }),
        _ => Some(Subject::Issuer { issuer: text("iss")?, subject: text("sub")? }),
    }
}

/// As the portal's first provider would have it.
fn account(claims: &Map<String, Value>, config: &Config, portal: &Portal) -> Option<AccountKind> {
    let provider = config.providers.get(*portal.sign_in.providers.first()?)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    match &provider.kind {
        ProviderKind::EntraId(_) if text("tid") == Some(PERSONAL_ACCOUNTS) => {
            Some(AccountKind::Personal)
        }
        ProviderKind::EntraId(_) => {
            let issuer = text("iss").unwrap_or_default();
            Some(match id_token::is_guest(claims, issuer, text("tid")) {
                true => AccountKind::Guest,
                false => AccountKind::Member,
            })
        }
        ProviderKind::AzureAdB2c(_) | ProviderKind::ExternalId(_) => Some(AccountKind::Member),
        ProviderKind::Oidc(_) => None,
    }
}

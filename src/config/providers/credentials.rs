//! What proves to a provider that it is us who ask: what was written of each credential, and what
//! it means. Deliberately not here: how one is used, which the relying party knows.

use std::time::Duration;

use crate::config::context::{Context, Located};
use crate::config::file::{SecretFile, bare, secret};
use crate::config::resolve::Setting;
use crate::config::section::Section;
use crate::config::{secrets, value};
use crate::gate::{Secret, Timestamp};

/// How long before its end a credential is warned about.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What proves to a provider's token endpoint that it is us who ask.
#[derive(Debug)]
pub struct Credential {
    /// The proof.
    pub proof: Proof,
    /// When it ends, as far as that is known here.
    pub expires: Option<Timestamp>,
}

/// What kind of proof a credential is.
#[derive(Debug)]
pub enum Proof {
    /// A client secret.
    Secret {
        /// The secret.
        value: Secret<String>,
        /// How it is sent.
        method: SecretMethod,
    },
}

/// How a secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMethod {
    /// In the form (`client_secret_post`).
    Post,
    /// In a header (`client_secret_basic`).
    Basic,
}

impl Credential {
    /// A secret that is sent in the form and whose end nobody declared.
    #[must_use]
    pub const fn secret(value: String) -> Self {
        let proof = Proof::Secret { value: Secret::new(value), method: SecretMethod::Post };
        Self { proof, expires: None }
    }
}

/// What an operator wrote of a credential. What is `None` was left out or has been reported.
pub(super) struct CredentialFile {
    secret: Option<SecretFile>,
    method: Option<SecretMethod>,
    expires: Option<Located<Timestamp>>,
}

impl CredentialFile {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            secret: section.section("secret").map(|section| secret(&section)),
            method: bare(section.value("method", |word| {
                Ok(match word {
                    "basic" => SecretMethod::Basic,
                    _ => SecretMethod::Post,
                })
            })),
            expires: section.value("expires", value::end_of_day),
        }
    }
}

/// Resolves the list; `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    files: &[CredentialFile],
    setting: &Setting<'_>,
) -> Option<Vec<Credential>> {
    let mut credentials = Some(Vec::new());
    for file in files {
        // One that cannot be used does not keep the others from being reported.
        let credential = credential(context, file, setting);
        credentials = credentials.zip(credential).map(|(mut credentials, credential)| {
            credentials.push(credential);
            credentials
        });
    }
    credentials
}

fn credential(
    context: &Context<'_>,
    file: &CredentialFile,
    setting: &Setting<'_>,
) -> Option<Credential> {
    if let Some(expires) = &file.expires {
        warn_of_end(context, expires, setting.now);
    }
    let value = secrets::read(context, setting.folder, file.secret.as_ref()?)?;
    Some(Credential {
        proof: Proof::Secret { value, method: file.method? },
        expires: file.expires.as_ref().map(|expires| expires.value),
    })
}

fn warn_of_end(context: &Context<'_>, expires: &Located<Timestamp>, now: Timestamp) {
    if expires.value <= now {
        context.warn(
            &expires.spot,
            "this credential has expired; make a new one in Azure and put it first",
        );
        return;
    }
    let left = expires.value.since(now);
    if left <= NOTICE {
        let days = left.as_secs() / (24 * 60 * 60);
        let when = match days {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        context.warn(
            &expires.spot,
            format!("this credential expires {when}; make a new one in Azure and put it first"),
        );
    }
}

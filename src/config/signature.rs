//! The HTTP message signature of a portal (RFC 9421): what an operator writes at
//! `identity.signature`, and what comes of it.

use std::path::Path;
use std::time::Duration;

use http::HeaderName;

use super::context::{Context, Located};
use super::file::{SecretFile, bare, secret};
use super::section::Section;
use super::{SignedBy, signing, value};
use crate::signing_key::SigningAlgorithm;

/// The headers that a signature sets, which no visitor's request has then.
pub static SIGNATURE_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("signature-input"),
    HeaderName::from_static("signature"),
];

/// How the requests to a portal are signed.
#[derive(Debug)]
pub struct Signature {
    /// By what.
    pub signed_by: SignedBy,
    /// From `created` to `expires`.
    pub lifetime: Duration,
}

impl Signature {
    /// What it takes from visitors.
    pub(crate) fn sets(this: Option<&Self>) -> impl Iterator<Item = &HeaderName> {
        this.into_iter().flat_map(|_| &SIGNATURE_HEADERS)
    }
}

/// What an operator wrote at `signature`.
pub(super) enum SignatureFile {
    /// `none`, or nothing.
    Off,
    /// A section.
    On(Box<SignatureOn>),
    /// Something that was reported.
    Unreadable,
}

pub(super) struct SignatureOn {
    /// `None` inside is the shared secret.
    pub(super) algorithm: Option<Located<Option<SigningAlgorithm>>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    pub(super) secret: Option<Option<SecretFile>>,
    lifetime: Option<Duration>,
}

impl SignatureFile {
    /// What is written, if it is on.
    pub(super) fn on(&self) -> Option<&SignatureOn> {
        match self {
            Self::On(on) => Some(on),
            Self::Off | Self::Unreadable => None,
        }
    }
}

/// Reads the key of the section `identity`.
pub(super) fn read(identity: &Section<'_>) -> SignatureFile {
    if !identity.has("signature") || identity.is_word("signature", "none") {
        return SignatureFile::Off;
    }
    let Some(section) = identity.section("signature") else {
        return SignatureFile::Unreadable;
    };
    SignatureFile::On(Box::new(SignatureOn {
        algorithm: section.value("algorithm", |word| {
            Ok(match word {
                "ed25519" => Some(SigningAlgorithm::EdDsa),
                "ecdsa-p256-sha256" => Some(SigningAlgorithm::Es256),
                "rsa-v1_5-sha256" => Some(SigningAlgorithm::Rs256),
                _ => None,
            })
        }),
        secret: section
            .if_there("secret", |key| section.section(key).map(|section| secret(&section))),
        lifetime: bare(section.value("lifetime", value::duration("5s", "60s"))),
    }))
}

/// Resolves it; outside `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &SignatureFile,
    folder: &Path,
) -> Option<Option<Signature>> {
    let on = match file {
        SignatureFile::Off => return Some(None),
        SignatureFile::Unreadable => return None,
        SignatureFile::On(on) => on,
    };
    let signed_by = signed_by(context, on, folder);
    Some(Some(Signature { signed_by: signed_by?, lifetime: on.lifetime? }))
}

fn signed_by(context: &Context<'_>, on: &SignatureOn, folder: &Path) -> Option<SignedBy> {
    let (algorithm, secret) = (on.algorithm.as_ref()?, on.secret.as_ref()?);
    match (algorithm.value, secret) {
        (Some(algorithm), None) => Some(SignedBy::Key(algorithm)),
        (Some(_), Some(secret)) => {
            let message = format!(
                "{} is made by a key of `signing`: remove this, or write `algorithm: hmac-sha256`",
                algorithm.shown
            );
            context.error(&secret.spot, message);
            None
        }
        (None, Some(secret)) => {
            let what = "hmac-sha256 takes a secret of 32 bytes or more";
            signing::shared_secret(context, secret, folder, what).map(SignedBy::Secret)
        }
        (None, None) => {
            let message = "hmac-sha256 needs a `secret` that the portal has too: \
                           `(umask 077; openssl rand -base64 32 > FILE)` makes one, and \
                           `secret: { file: FILE }` names it";
            context.error(&algorithm.spot, message);
            None
        }
    }
}

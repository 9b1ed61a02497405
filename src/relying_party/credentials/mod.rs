//! Our credentials towards a provider: which is tried when, and what a request needs to carry each.
//!
//! `memory` remembers which one worked and which ones are passed over, `fault` says why one is;
//! `assertion`, `federated` and `managed_identity` make or get what is sent in place of a secret.
//! `ends` knows until when they are good, and `state` tells others how they are.
//! Deliberately not here: the request itself, which `token_request` makes.

mod assertion;
mod ends;
mod fault;
mod federated;
mod managed_identity;
mod memory;
mod state;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use self::ends::End;
pub use self::fault::CredentialFault;
use self::federated::TokenFile;
use self::managed_identity::IdentityTokens;
use self::memory::Memory;
pub(super) use self::memory::Turn;
pub use self::state::CredentialState;
use super::registration::Registration;
use super::{HttpError, Limits, TokenRefusal, guid};
use crate::config::{Proof, Provider, SecretMethod, is_guid};
use crate::gate::{Secret, Timestamp};

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The credentials of one provider, and what is remembered of them.
pub(super) struct Credentials {
    provider: Arc<Provider>,
    memory: Mutex<Memory>,
    ends: Mutex<Vec<End>>,
    /// By the credential's index; those that are no managed identities hold nothing.
    identities: Vec<IdentityTokens>,
    /// By the credential's index, too.
    token_files: Vec<TokenFile>,
}

/// A form together with what proves that it is ours.
pub(super) struct Signed {
    pub(super) body: String,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

/// Why a credential could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file of a federated token.
    #[error("the file of the federated token cannot be read")]
    TokenFile(#[source] io::Error),
    /// What is in it.
    #[error("the file of the federated token holds no token")]
    Token,
    /// The managed identity's service.
    #[error("the managed identity's token cannot be had")]
    Identity(#[source] Arc<HttpError>),
    /// What it answered.
    #[error("the managed identity's service answered without a token")]
    IdentityAnswer,
    /// No randomness, or a key that does not sign.
    #[error("the assertion could not be signed")]
    Signing,
}

impl CredentialError {
    const fn fault(&self) -> CredentialFault {
        match self {
            Self::TokenFile(_) | Self::Token => CredentialFault::TokenFileUnreadable,
            Self::Identity(_) | Self::IdentityAnswer => CredentialFault::IdentityUnavailable,
            Self::Signing => CredentialFault::NotSigned,
        }
    }
}

impl Credentials {
    pub(super) fn new(provider: Arc<Provider>, limits: Limits) -> Self {
        let memory = Memory::new(provider.credentials.len());
        let identity = |_| IdentityTokens::new(limits, provider.trusted.clone());
        let identities = provider.credentials.iter().map(identity).collect();
        let token_files = provider.credentials.iter().map(|_| TokenFile::new(limits.total));
        let token_files = token_files.collect();
        let ends = provider.credentials.iter().map(|credential| End::new(credential.expires));
        let ends = Mutex::new(ends.collect());
        Self { provider, memory: Mutex::new(memory), ends, identities, token_files }
    }

    /// In which order they are tried now.
    pub(super) fn in_turn(&self, now: Timestamp) -> Turn {
        self.memory().in_turn(now)
    }

    /// The body of a request to the token endpoint that has this form, with a credential.
    pub(super) async fn sign(
        &self,
        index: usize,
        token_endpoint: &Url,
        form: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Signed, CredentialError> {
        let client_id = &self.provider.client_id;
        let credential = self.provider.credentials.get(index).ok_or(CredentialError::Signing)?;
        let assertion = match &credential.proof {
            Proof::Secret { value, method: SecretMethod::Basic } => {
                let header = basic(client_id, value.expose()).ok_or(CredentialError::Signing)?;
                let header = Some((AUTHORIZATION, header));
                return Ok(Signed { body: written(&[form]), header });
            }
            Proof::Secret { value, method: SecretMethod::Post } => {
                let secret = [("client_id", &**client_id), ("client_secret", value.expose())];
                return Ok(Signed { body: written(&[form, &secret]), header: None });
            }
            Proof::Certificate(certificate) => {
                let id = guid().ok_or(CredentialError::Signing)?;
                let endpoint = token_endpoint.as_str();
                let made = assertion::make(certificate, client_id, endpoint, &id, now);
                made.ok_or(CredentialError::Signing)?
            }
            Proof::Federated { token_file } => {
                let file = self.token_files.get(index).ok_or(CredentialError::Signing)?;
                file.get(token_file).await?
            }
            Proof::ManagedIdentity(identity) => {
                let tokens = self.identities.get(index).ok_or(CredentialError::Signing)?;
                tokens.get(identity, now).await?
            }
        };
        let assertion = [
            ("client_id", &**client_id),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.expose()),
        ];
        Ok(Signed { body: written(&[form, &assertion]), header: None })
    }

    /// The provider took it.
    pub(super) fn accepted(&self, index: usize, turn: &Turn) {
        if self.memory().accepted(index, turn) {
            tracing::info!(
                provider = &*self.provider.name,
                credential = index.saturating_add(1),
                kind = self.kind(index),
                "a client credential is accepted again"
            );
        }
    }

    /// The provider did not take it. That is said once, and not at each login.
    pub(super) fn refused(
        &self,
        index: usize,
        fault: CredentialFault,
        refusal: &TokenRefusal,
        now: Timestamp,
    ) {
        if !self.memory().passed_over(index, fault, now) {
            return;
        }
        tracing::warn!(
            provider = &*self.provider.name,
            credential = index.saturating_add(1),
            kind = self.kind(index),
            reason = fault.name(),
            answer = %refusal,
            advice = self.advice(index, fault),
            "a client credential was refused; {}",
            self.what_is_left()
        );
    }

    /// It could not be sent. That is said once, too.
    pub(super) fn unavailable(&self, index: usize, error: &CredentialError, now: Timestamp) {
        let fault = error.fault();
        if !self.memory().passed_over(index, fault, now) {
            return;
        }
        tracing::warn!(
            provider = &*self.provider.name,
            credential = index.saturating_add(1),
            kind = self.kind(index),
            reason = fault.name(),
            error = error as &dyn std::error::Error,
            "a client credential is not available; {}",
            self.what_is_left()
        );
    }

    fn what_is_left(&self) -> &'static str {
        match self.memory().has_another() {
            true => "it is passed over",
            false => "there is no other, so nobody can sign in with this provider",
        }
    }

    /// Whether there are no others than secrets.
    pub(super) fn are_secrets(&self) -> bool {
        let mut all = self.provider.credentials.iter();
        all.all(|credential| matches!(credential.proof, Proof::Secret { .. }))
    }

    fn kind(&self, index: usize) -> &'static str {
        self.provider.credentials.get(index).map_or("none", |credential| credential.kind())
    }

    /// What an operator can do, where it is not in the fault's own name.
    pub(super) fn advice(&self, index: usize, fault: CredentialFault) -> Option<&'static str> {
        let credential = self.provider.credentials.get(index)?;
        match (&credential.proof, fault) {
            (Proof::Secret { value, .. }, CredentialFault::SecretWrong) if is_id(value) => Some(
                "it looks like the secret's ID; Azure shows its Value beside it, once, when it is \
                 made",
            ),
            _ => fault.advice(),
        }
    }

    /// Takes over what Graph says of our registration.
    pub(super) fn learn_ends(&self, registration: &Registration, now: Timestamp) {
        for (credential, end) in self.provider.credentials.iter().zip(self.ends().iter_mut()) {
            end.learn(match &credential.proof {
                Proof::Secret { value, .. } => registration.end_of_secret(value.expose(), now),
                Proof::Certificate(it) => {
                    registration.end_of_certificate(&it.certificate().sha1_in_graph(), now)
                }
                Proof::Federated { .. } | Proof::ManagedIdentity(_) => None,
            });
        }
    }

    fn ends(&self) -> MutexGuard<'_, Vec<End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn written(parts: &[&[(&str, &str)]]) -> String {
    Serializer::new(String::new()).extend_pairs(parts.concat()).finish()
}

fn is_id(secret: &Secret<String>) -> bool {
    is_guid(secret.expose().trim())
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encoded(client_id), encoded(secret));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(joined))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

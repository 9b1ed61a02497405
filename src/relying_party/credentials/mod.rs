//! Our credentials towards a provider: which is tried when, and what a request needs to carry each.
//!
//! `memory` remembers which one worked and which ones are passed over, `fault` says why one is.
//! Deliberately not here: the request itself, which `token_request` makes.

mod fault;
mod memory;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use url::form_urlencoded::{Serializer, byte_serialize};

pub use self::fault::CredentialFault;
use self::memory::Memory;
pub(super) use self::memory::Turn;
use super::TokenRefusal;
use crate::config::{Credential, Proof, Provider, SecretMethod};
use crate::gate::Timestamp;

/// The credentials of one provider, and what is remembered of them.
pub(super) struct Credentials {
    provider: Arc<Provider>,
    memory: Mutex<Memory>,
}

/// A form together with what proves that it is ours.
pub(super) struct Signed {
    pub(super) body: String,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl Credentials {
    pub(super) fn new(provider: Arc<Provider>) -> Self {
        let memory = Memory::new(provider.credentials.len());
        Self { provider, memory: Mutex::new(memory) }
    }

    /// In which order they are tried now.
    pub(super) fn in_turn(&self, now: Timestamp) -> Turn {
        self.memory().in_turn(now)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Credential> {
        self.provider.credentials.get(index)
    }

    /// The body of a request that has this form, with a credential.
    pub(super) fn sign(&self, credential: &Credential, form: &[(&str, &str)]) -> Signed {
        let client_id = &self.provider.client_id;
        let mut body = Serializer::new(String::new());
        body.extend_pairs(form);
        match &credential.proof {
            Proof::Secret { value, method: SecretMethod::Post } => {
                body.append_pair("client_id", client_id);
                body.append_pair("client_secret", value.expose());
                Signed { body: body.finish(), header: None }
            }
            Proof::Secret { value, method: SecretMethod::Basic } => Signed {
                body: body.finish(),
                header: basic(client_id, value.expose()).map(|value| (AUTHORIZATION, value)),
            },
        }
    }

    /// The provider took it.
    pub(super) fn accepted(&self, index: usize, turn: &Turn) {
        if self.memory().accepted(index, turn) {
            tracing::info!(
                provider = &*self.provider.name,
                credential = index.saturating_add(1),
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
        if self.memory().passed_over(index, fault, now) {
            tracing::warn!(
                provider = &*self.provider.name,
                credential = index.saturating_add(1),
                reason = fault.name(),
                answer = %refusal,
                "a client credential was refused and is passed over"
            );
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encoded(client_id), encoded(secret));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(joined))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

//! The signed assertion, `X-Anteport-Assertion`: a JWT (RFC 7519) that says to one portal, for a
//! minute, who is asking (ENV-01). It is signed by a key whose public half is at
//! `/.auth/jwks.json`, or by a secret that the portal has too.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Signers;
use crate::gate::Secret;
use crate::signing_key::SigningAlgorithm;

/// How the assertions of one portal are signed. One key has one algorithm (ENV-04).
#[derive(Debug)]
pub(super) enum Signing {
    /// By whichever key of this algorithm is in force.
    Key(Arc<Signers>, SigningAlgorithm),
    /// HS256.
    Secret(Box<hmac::Key>, String),
}

/// Why there is no assertion or signature; nothing is sent to the portal then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// None of the algorithm is there.
    #[error("there is no key that signs {0}")]
    NoKey(&'static str),
    /// The system's generator failed.
    #[error("the system's random generator failed")]
    Random,
    /// There is something in it that could be read in two ways (ENV-03).
    #[error("a value has a line break, or a name is there twice")]
    Ambiguous,
}

impl Signing {
    /// By a secret that the portal has too.
    pub(super) fn by_secret(secret: &Secret<Vec<u8>>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let id = secret_id(&key);
        Self::Secret(Box::new(key), id)
    }

    /// A compact JWS over these claims (RFC 7515, section 7.1).
    pub(super) fn sign(&self, claims: &Map<String, Value>) -> Result<String, SigningError> {
        match self {
            Self::Key(signers, algorithm) => {
                let name = algorithm.name();
                let key = signers.of(*algorithm).ok_or(SigningError::NoKey(name))?;
                let input = input(name, key.id(), claims);
                let signature = key.sign(input.as_bytes()).ok_or(SigningError::Random)?;
                Ok(joined(input, &signature))
            }
            Self::Secret(key, id) => {
                let input = input("HS256", id, claims);
                let signature = hmac::sign(key, input.as_bytes());
                Ok(joined(input, signature.as_ref()))
            }
        }
    }
}

/// Names a secret, so that a portal with two tries the right one. Nothing follows from it.
fn secret_id(key: &hmac::Key) -> String {
    let id = hmac::sign(key, b"anteport assertion key");
    URL_SAFE_NO_PAD.encode(id.as_ref().get(..12).unwrap_or_default())
}

/// A secret that the portal has too, as a verifier reads it: a JWK (RFC 7518, section 6.4), and as
/// secret as that. It is never published.
#[must_use]
pub fn secret_jwk(secret: &Secret<Vec<u8>>) -> Secret<Value> {
    let id = secret_id(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
    let k = URL_SAFE_NO_PAD.encode(secret.expose());
    Secret::new(json!({ "kty": "oct", "alg": "HS256", "use": "sig", "kid": id, "k": k }))
}

fn input(algorithm: &str, id: &str, claims: &Map<String, Value>) -> String {
    let header = json!({ "typ": "JWT", "alg": algorithm, "kid": id });
    let claims = serde_json::to_string(claims).unwrap_or_default();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
}

fn joined(input: String, signature: &[u8]) -> String {
    input + "." + &URL_SAFE_NO_PAD.encode(signature)
}

/// The claims of a token of ours; `None` if it is none. Nothing of it is verified.
#[must_use]
pub fn token_claims(value: &str) -> Option<Map<String, Value>> {
    let mut parts = value.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    // AWS pads what it signs, and its preset does.
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok().filter(|_| parts.next().is_none())
}

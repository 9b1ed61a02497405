//! Whether a request's assertion is believed, as the developer of a portal would write it: one
//! header, one algorithm, the proxy's keys, and four claims that have to be right. No plain header
//! is looked at. Shares no code with `identity`, which signs.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Clock;
use crate::demo::fetch;
use crate::gate::Timestamp;

/// The header that carries it.
const HEADER: &str = "x-anteport-assertion";
/// How long keys are used without being asked for again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How often keys are asked for at most, whatever key ids come in.
const BETWEEN_FETCHES: Duration = Duration::from_secs(5);
/// By how many seconds the proxy's clock and ours may differ.
const LEEWAY: i64 = 5;

/// Verifies assertions that the proxy at one public URL made.
pub(super) struct Verifier {
    public_url: String,
    clock: Clock,
    keys: Mutex<Keys>,
}

/// What an assertion said, after every check.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    key_id: String,
    claims: Map<String, Value>,
}

/// Why an assertion is not believed. The texts are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("missing")]
    Missing,
    #[error("repeated")]
    Repeated,
    #[error("malformed")]
    Malformed,
    #[error("wrong algorithm")]
    WrongAlgorithm,
    #[error("keys unavailable")]
    KeysUnavailable,
    #[error("unknown key")]
    UnknownKey,
    #[error("bad signature")]
    BadSignature,
    #[error("wrong issuer")]
    WrongIssuer,
    #[error("wrong audience")]
    WrongAudience,
    #[error("expired")]
    Expired,
    #[error("from the future")]
    FromTheFuture,
}

impl Verifier {
    /// `public_url` is issuer and audience, and where the keys are.
    pub(super) fn new(public_url: String, clock: Clock) -> Self {
        Self { public_url, clock, keys: Mutex::default() }
    }

    /// Verifies the assertion of a request with these headers.
    pub(super) async fn verify(&self, headers: &HeaderMap) -> Result<Verified, Reason> {
        let mut values = headers.get_all(HEADER).iter();
        let token = match (values.next(), values.next()) {
            (None, _) => return Err(Reason::Missing),
            (Some(_), Some(_)) => return Err(Reason::Repeated),
            (Some(value), None) => value.to_str().map_err(|_| Reason::Malformed)?,
        };
        // Two lines that something on the way has joined.
        if token.contains(',') {
            return Err(Reason::Repeated);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Reason::Malformed)?;
        if header.alg != Algorithm::ES256 {
            return Err(Reason::WrongAlgorithm);
        }
        let key_id = header.kid.ok_or(Reason::UnknownKey)?;
        let key = self.key(&key_id).await?;
        let claims = signed_claims(token, &key)?;
        self.check(&claims)?;
        Ok(Verified { key_id, claims })
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), Reason> {
        let is_us = |claim| claims.get(claim).and_then(Value::as_str) == Some(&self.public_url);
        if !is_us("iss") {
            return Err(Reason::WrongIssuer);
        }
        if !is_us("aud") {
            return Err(Reason::WrongAudience);
        }
        let second = |claim| claims.get(claim).and_then(Value::as_i64);
        let (Some(issued), Some(expires)) = (second("iat"), second("exp")) else {
            return Err(Reason::Malformed);
        };
        let now = self.clock.now().unix_seconds();
        if now >= expires.saturating_add(LEEWAY) {
            return Err(Reason::Expired);
        }
        if issued > now.saturating_add(LEEWAY) {
            return Err(Reason::FromTheFuture);
        }
        Ok(())
    }

    /// The key of that id. One task at a time asks for keys; the others wait for what it gets.
    async fn key(&self, id: &str) -> Result<DecodingKey, Reason> {
        let mut keys = self.keys.lock().await;
        let now = self.clock.now();
        if keys.are_fresh(now)
            && let Some(key) = keys.by_id.get(id)
        {
            return Ok(key.clone());
        }
        if keys.may_ask(now) {
            keys.asked = Some(now);
            if let Some(by_id) = self.fetch().await {
                keys.by_id = by_id;
                keys.fetched = Some(now);
            }
        }
        if !keys.are_fresh(now) {
            return Err(Reason::KeysUnavailable);
        }
        keys.by_id.get(id).cloned().ok_or(Reason::UnknownKey)
    }

    async fn fetch(&self) -> Option<HashMap<String, DecodingKey>> {
        let url = Url::parse(&format!("{}/.auth/jwks.json", self.public_url)).ok()?;
        let answer = fetch::get(&url, &[]).await.ok()?;
        if !answer.status.is_success() {
            return None;
        }
        let document: Value = serde_json::from_slice(&answer.body).ok()?;
        // A key that we cannot use costs itself and not the set.
        let keys = document.get("keys")?.as_array()?.iter();
        let keys = keys.filter_map(|key| {
            let key: Jwk = serde_json::from_value(key.clone()).ok()?;
            let id = key.common.key_id.clone()?;
            Some((id, DecodingKey::from_jwk(&key).ok()?))
        });
        Some(keys.collect())
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Verified {
    /// The id of the key that verified it.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The one algorithm that we take.
    pub(super) const fn algorithm(&self) -> &'static str {
        "ES256"
    }

    /// Everything that it says.
    pub(super) const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// What to call the member.
    pub(super) fn display_name(&self) -> &str {
        let text = |claim| self.claims.get(claim).and_then(Value::as_str);
        text("name").or_else(|| text("sub")).unwrap_or("a member")
    }
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    fetched: Option<Timestamp>,
    asked: Option<Timestamp>,
}

impl Keys {
    fn are_fresh(&self, now: Timestamp) -> bool {
        self.fetched.is_some_and(|at| now.since(at) < FRESH)
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        self.asked.is_none_or(|at| now.since(at) >= BETWEEN_FETCHES)
    }
}

/// The claims, if the signature is right. Times are not looked at: the library would read the wall
/// clock, and [`Verifier::check`] has ours.
fn signed_claims(token: &str, key: &DecodingKey) -> Result<Map<String, Value>, Reason> {
    let mut only_signature = Validation::new(Algorithm::ES256);
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    match jsonwebtoken::decode(token, key, &only_signature) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => Reason::BadSignature,
            // A key for another algorithm, of the same id.
            ErrorKind::InvalidAlgorithm => Reason::WrongAlgorithm,
            _ => Reason::Malformed,
        }),
    }
}

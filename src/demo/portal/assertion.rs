//! How a portal verifies `X-Anteport-Assertion`: the one file that a portal's developer writes.
//! There once, ES256 by a published key, from this proxy, for this portal, and now. Whatever is
//! not all of that is nobody; no other header is asked instead (ENV-06).

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Clock;
use crate::demo::fetch;
use crate::demo::story::{Narrator, Story};
use crate::gate::Timestamp;
use crate::gate::identity::ASSERTION;

/// By how much the proxy's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(5);
/// Between two fetches of the keys, so that a forged `kid` cannot make many.
const PAUSE: Duration = Duration::from_secs(1);

/// The claims of an assertion.
pub(super) type Claims = Map<String, Value>;

/// What came of verifying, and on the way there.
#[derive(Debug)]
pub(super) struct Verification {
    /// The checks that were made, in their order; the last one failed unless there are claims.
    pub(super) checks: Vec<Check>,
    pub(super) outcome: Result<Claims, Refused>,
}

/// One check.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) question: &'static str,
    pub(super) finding: String,
    pub(super) held: bool,
}

/// Why a request has no verified sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no assertion")]
    Missing,
    #[error("there is more than one assertion")]
    Repeated,
    #[error("the assertion is not a JWT that names a key")]
    Malformed,
    #[error("the assertion is not signed with ES256")]
    Algorithm,
    #[error("the proxy's keys cannot be fetched")]
    KeysUnavailable,
    #[error("the proxy publishes no such key")]
    UnknownKey,
    #[error("the signature does not fit")]
    Signature,
    #[error("the assertion is from another issuer")]
    Issuer,
    #[error("the assertion is for another portal")]
    Audience,
    #[error("the assertion lacks a claim")]
    MissingClaim,
    #[error("the assertion has expired")]
    Expired,
    #[error("the assertion is from the future")]
    Early,
}

impl Refused {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Missing => "assertion-missing",
            Self::Repeated => "assertion-repeated",
            Self::Malformed => "assertion-malformed",
            Self::Algorithm => "assertion-algorithm",
            Self::KeysUnavailable => "keys-unavailable",
            Self::UnknownKey => "key-unknown",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim => "claim-missing",
            Self::Expired => "expired",
            Self::Early => "issued-in-the-future",
        }
    }
}

/// Verifies assertions, with the proxy's keys in a cache.
#[derive(Debug)]
pub(super) struct Verifier {
    issuer: String,
    audience: String,
    jwks_url: Url,
    clock: Clock,
    story: Arc<Story>,
    cache: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    keys: JwkSet,
    fetched: Timestamp,
}

impl Verifier {
    pub(super) fn new(
        issuer: String,
        audience: String,
        jwks_url: Url,
        clock: Clock,
        story: Arc<Story>,
    ) -> Self {
        Self { issuer, audience, jwks_url, clock, story, cache: Mutex::default() }
    }

    /// Who sent a request.
    pub(super) async fn verify(&self, headers: &HeaderMap) -> Verification {
        let mut checks = Vec::new();
        let outcome = self.judge(headers, &mut checks).await;
        if let Err(refused) = &outcome {
            checks.push(Check { question: "Refused", finding: refused.to_string(), held: false });
        }
        Verification { checks, outcome }
    }

    async fn judge(&self, headers: &HeaderMap, checks: &mut Vec<Check>) -> Result<Claims, Refused> {
        let mut held = |question, finding: String| {
            checks.push(Check { question, finding, held: true });
        };
        let mut fields = headers.get_all(ASSERTION).iter();
        let field = fields.next().ok_or(Refused::Missing)?;
        if fields.next().is_some() {
            return Err(Refused::Repeated);
        }
        let jwt = field.to_str().map_err(|_| Refused::Malformed)?;
        held("Is the header there exactly once?", "yes".to_owned());

        let header = jsonwebtoken::decode_header(jwt).map_err(|_| Refused::Malformed)?;
        if header.alg != Algorithm::ES256 {
            return Err(Refused::Algorithm);
        }
        held("Is it signed with ES256?", "yes".to_owned());

        let kid = header.kid.ok_or(Refused::Malformed)?;
        let key = self.key(&kid).await?;
        let shown: String = kid.chars().take(24).collect();
        held("Does the proxy publish the key?", format!("yes: {shown}"));

        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // The times are compared with our own clock below.
        rules.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Claims>(jwt, &key, &rules);
        let claims = decoded.map_err(|error| refused(error.kind()))?.claims;
        held("Does the signature fit?", "yes".to_owned());
        held("Is it from this proxy?", self.issuer.clone());
        held("Is it for this portal?", self.audience.clone());

        let now = self.clock.now();
        let time = |name: &str| claims.get(name).and_then(Value::as_i64);
        let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
            return Err(Refused::MissingClaim);
        };
        if now >= Timestamp::from_unix_seconds(expires) {
            return Err(Refused::Expired);
        }
        if Timestamp::from_unix_seconds(issued) > now.after(SKEW) {
            return Err(Refused::Early);
        }
        let left = expires.saturating_sub(now.unix_seconds());
        held("Is it of now?", format!("yes, for {left} more seconds"));
        Ok(claims)
    }

    /// The key of that id; an unknown one may be new, so the keys are fetched again.
    async fn key(&self, kid: &str) -> Result<DecodingKey, Refused> {
        let mut cache = self.cache.lock().await;
        if let Some(key) = cache.as_ref().and_then(|cached| find(&cached.keys, kid)) {
            return Ok(key);
        }
        let now = self.clock.now();
        if let Some(cached) = cache.as_ref()
            && now < cached.fetched.after(PAUSE)
        {
            return Err(Refused::UnknownKey);
        }
        let fetched = fetch::get(&self.jwks_url, &[("accept", "application/json")]).await;
        let keys = fetched
            .ok()
            .filter(|answer| answer.status.is_success())
            .and_then(|answer| serde_json::from_slice::<JwkSet>(&answer.body).ok())
            .ok_or(Refused::KeysUnavailable)?;
        let details = vec![("from".to_owned(), self.jwks_url.to_string())];
        let title = "The portal fetched the proxy's public keys";
        self.story.tell(Narrator::Portal, title, details);
        let key = find(&keys, kid);
        *cache = Some(Cached { keys, fetched: now });
        key.ok_or(Refused::UnknownKey)
    }
}

fn find(keys: &JwkSet, kid: &str) -> Option<DecodingKey> {
    let key = keys.find(kid).filter(|key| is_p256(key))?;
    DecodingKey::from_jwk(key).ok()
}

fn is_p256(key: &Jwk) -> bool {
    matches!(&key.algorithm, AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256)
}

fn refused(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::InvalidSignature => Refused::Signature,
        ErrorKind::InvalidIssuer => Refused::Issuer,
        ErrorKind::InvalidAudience => Refused::Audience,
        ErrorKind::MissingRequiredClaim(_) => Refused::MissingClaim,
        ErrorKind::InvalidAlgorithm => Refused::Algorithm,
        _ => Refused::Malformed,
    }
}

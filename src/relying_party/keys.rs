//! The provider's signing keys, as its key set has them. Each key is judged alone, so that a bad
//! one costs itself and not the set (OIDC-07). Deliberately not here: fetching them, which
//! `discovery` does.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::issuers::{Issuers, TrustedIssuer};

/// The fewest bits of a modulus (OIDC-07).
const FEWEST_BITS: usize = 2048;
/// The most bits that the verifying library takes.
const MOST_BITS: usize = 4096;
/// The most keys of one set. Microsoft's largest known one has a dozen.
const MOST_KEYS: usize = 256;
/// The longest key id.
const LONGEST_ID: usize = 256;

/// The keys that may sign our ID tokens, by their ids.
#[derive(Debug)]
pub struct Keys {
    by_id: HashMap<String, Arc<SigningKey>>,
    refused: Vec<KeyProblem>,
}

/// An RSA key that may sign our ID tokens.
#[derive(Debug, PartialEq, Eq)]
pub struct SigningKey {
    id: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    issuer: Option<String>,
}

impl Keys {
    /// Reads the key set of these issuers (RFC 7517, section 5); `cloud` is
    /// `cloud_instance_name` of the metadata.
    ///
    /// # Errors
    /// When it is none, or has no key that we can use: the last good one is better than that.
    pub fn read(
        document: &[u8],
        owners: &Issuers,
        cloud: Option<&str>,
    ) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }

        let document: Document =
            serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > MOST_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut by_id: HashMap<String, Option<Arc<SigningKey>>> = HashMap::new();
        let mut refused = Vec::new();
        for value in &document.keys {
            let key = match SigningKey::read(value, owners, cloud) {
                Ok(key) => key,
                Err(problem) => {
                    refused.push(problem);
                    continue;
                }
            };
            match by_id.get_mut(&key.id) {
                None => {
                    by_id.insert(key.id.clone(), Some(Arc::new(key)));
                }
                Some(Some(first)) if first.is_same_material(&key) => {}
                // Which of the two is meant cannot be told, so neither is: the id stays taken.
                Some(first) => {
                    refused.extend(first.take().map(|_| KeyProblem::Ambiguous));
                    refused.push(KeyProblem::Ambiguous);
                }
            }
        }
        let by_id: HashMap<_, _> =
            by_id.into_iter().filter_map(|(id, key)| Some((id, key?))).collect();
        if by_id.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        Ok(Self { by_id, refused })
    }

    /// The key of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<SigningKey>> {
        self.by_id.get(id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Never: a set without a key is not read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Why others of the set were refused.
    #[must_use]
    pub fn refused(&self) -> &[KeyProblem] {
        &self.refused
    }
}

impl SigningKey {
    fn read(value: &Value, owners: &Issuers, cloud: Option<&str>) -> Result<Self, KeyProblem> {
        let members = value.as_object().ok_or(KeyProblem::Malformed)?;
        if text(members, "kty")? != Some("RSA") {
            return Err(KeyProblem::Type);
        }
        if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyProblem::Use);
        }
        // Microsoft's keys have no `alg` (azure.md, section 8); one that has must have ours.
        if text(members, "alg")?.is_some_and(|algorithm| algorithm != "RS256") {
            return Err(KeyProblem::Algorithm);
        }
        let id = text(members, "kid")?
            .filter(|id| (1..=LONGEST_ID).contains(&id.len()))
            .ok_or(KeyProblem::Id)?;
        let modulus = number(members, "n")?;
        let exponent = number(members, "e")?;
        if !is_strong(&modulus, &exponent) {
            return Err(KeyProblem::Weak);
        }
        let issuer = text(members, "issuer")?;
        let is_theirs = |issuer: &str| owners.all().iter().any(|owner| serves(issuer, owner));
        if issuer.is_some_and(|issuer| !is_theirs(issuer)) {
            return Err(KeyProblem::Issuer);
        }
        match (text(members, "cloud_instance_name")?, cloud) {
            (Some(key), Some(metadata)) if key != metadata => return Err(KeyProblem::Cloud),
            _ => {}
        }
        Ok(Self { id: id.to_owned(), modulus, exponent, issuer: issuer.map(str::to_owned) })
    }

    fn is_same_material(&self, other: &Self) -> bool {
        self.modulus == other.modulus && self.exponent == other.exponent
    }

    /// Its `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its modulus, big-endian and without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Its public exponent, big-endian and without leading zeros.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Whether it may sign for this issuer: a key reserved for personal accounts must not vouch
    /// for a tenant (AZ-01).
    #[must_use]
    pub fn may_sign_for(&self, issuer: &TrustedIssuer) -> bool {
        self.issuer.as_deref().is_none_or(|of_key| serves(of_key, issuer))
    }
}

/// A key's `issuer` is a template for any tenant, or names the one it is for.
fn serves(of_key: &str, owner: &TrustedIssuer) -> bool {
    match &owner.tenant {
        Some(tenant) => of_key.replace("{tenantid}", tenant) == owner.issuer,
        None => of_key == owner.issuer,
    }
}

fn text<'v>(members: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, KeyProblem> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyProblem::Malformed),
    }
}

/// A Base64urlUInt (RFC 7518, section 2), without the leading zeros that some write.
fn number(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyProblem> {
    let text = text(members, name)?.ok_or(KeyProblem::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Malformed)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// A modulus of a length that is safe and can be computed with, and an odd exponent over 2^16
/// (FIPS 186-5, section 5.4) that fits 32 bits.
fn is_strong(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    is_odd(modulus)
        && is_odd(exponent)
        && (FEWEST_BITS..=MOST_BITS).contains(&bits(modulus))
        && (17..=32).contains(&bits(exponent))
}

fn bits(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| (number.len() * 8).saturating_sub(first.leading_zeros() as usize))
}

/// Why a key was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// Not an object, or a member of the wrong type or encoding.
    Malformed,
    /// Not an RSA key.
    Type,
    /// Not for signatures.
    Use,
    /// For another algorithm than RS256.
    Algorithm,
    /// Without a key id.
    Id,
    /// Too short, or otherwise not a key to believe.
    Weak,
    /// Reserved for another issuer, as those of personal accounts are.
    Issuer,
    /// Of another cloud.
    Cloud,
    /// Another key has the same id.
    Ambiguous,
}

impl KeyProblem {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key-malformed",
            Self::Type => "key-type",
            Self::Use => "key-use",
            Self::Algorithm => "key-algorithm",
            Self::Id => "key-id",
            Self::Weak => "key-weak",
            Self::Issuer => "key-issuer",
            Self::Cloud => "key-cloud",
            Self::Ambiguous => "key-ambiguous",
        }
    }

    /// Whether it is normal: Microsoft publishes keys of other issuers and clouds beside ours.
    #[must_use]
    pub const fn is_expected(self) -> bool {
        matches!(self, Self::Issuer | Self::Cloud)
    }
}

/// Why a key set was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a key set.
    #[error("the answer is not a key set")]
    Malformed,
    /// More keys than anybody needs.
    #[error("the key set has more than {MOST_KEYS} keys")]
    TooMany,
    /// Not one key that may sign our tokens.
    #[error("the key set has no key that may sign our ID tokens")]
    NoneUsable,
}

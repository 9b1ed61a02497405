//! Whether an ID token is believed. A pure function of the token, one key, what we expect and the
//! time; finding the key is `discovery`'s. Here alone [`VerifiedClaims::assertion`] is called:
//! this file is where trust begins.
//!
//! `openidconnect` verifies signature, issuer, audience, expiry and nonce, with the one key that we
//! chose and algorithms of our list. What it leaves out is ours (OIDC-10): the shape of the token,
//! repeated members, the types of claims, the authorised party, not-before, the issue time, skew,
//! the access-token hash, and all that is Microsoft's own. Deliberately not here: `jwk`, `jku`,
//! `x5u` and `x5c` of the header, which nobody reads (OIDC-07), and claims that lead elsewhere
//! (`_claim_sources`), which nobody follows (OIDC-18).

mod error;

use std::collections::HashSet;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, ClientId, EmptyAdditionalClaims, IdToken, IdTokenVerifier,
    IssuerUrl, JsonWebKeyId, Nonce,
};
use serde_json::{Map, Value};

pub use self::error::IdTokenError;
use super::issuers::{Issuers, People, TrustedIssuer, is_guid};
use super::keys::SigningKey;
use crate::config::PERSONAL_ACCOUNTS;
use crate::gate::{AccountKind, Secret, Subject, Timestamp, VerifiedClaims};
use crate::strict_json::{self, JsonError};

/// The longest ID token that is read. One with 200 groups has around 12 KiB.
const LONGEST: usize = 64 * 1024;
/// The longest key id that is looked up.
const LONGEST_KEY_ID: usize = 256;
/// The longest `sub` (OpenID Connect Core 1.0, section 2).
const LONGEST_SUBJECT: usize = 255;
/// How long ago a token of this login can have been issued. Microsoft dates its tokens back by
/// five minutes; a day is far beyond that and any login.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The last second of the year 9999: no date is later, and no arithmetic with it overflows.
const LAST_SECOND: i64 = 253_402_300_799;
/// Issuers, without the tenant, that name a tenant of Microsoft in `idp`.
const DIRECTORIES: [&str; 2] = ["https://sts.windows.net/", "https://sts.chinacloudapi.cn/"];

type Parsed = IdToken<
    EmptyAdditionalClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// What an ID token of this login has to say.
#[derive(Debug)]
pub struct Expected<'a> {
    /// `iss`, and whom that vouches for.
    pub issuers: &'a Issuers,
    /// The user flow that the login went through, if there are user flows (AZ-04).
    pub policy: Option<&'a str>,
    /// `aud`.
    pub client_id: &'a str,
    /// `nonce`.
    pub nonce: &'a Secret<String>,
    /// Whether it came with a refresh: then `nonce` may be missing (OpenID Connect Core 1.0,
    /// section 12.2).
    pub is_refreshed: bool,
    /// What `at_hash` is about.
    pub access_token: Option<&'a Secret<String>>,
    /// By how much the provider's clock and ours may differ.
    pub clock_skew: Duration,
    /// How long ago the person may have authenticated, if the login asked.
    pub max_age: Option<Duration>,
    /// The authentication context that the login asked for.
    pub context: Option<&'a str>,
}

/// An ID token that can be read, of which nothing is believed yet.
pub struct UnverifiedToken<'t> {
    raw: &'t str,
    key_id: String,
    claims: Map<String, Value>,
}

impl<'t> UnverifiedToken<'t> {
    /// Reads a compact JWS (RFC 7515, section 7.1), in the one way that it can be read.
    ///
    /// # Errors
    /// When it is not one, or one whose header asks for what we do not do.
    pub fn read(raw: &'t str) -> Result<Self, IdTokenError> {
        if raw.len() > LONGEST {
            return Err(IdTokenError::TooLong);
        }
        let mut parts = raw.split('.');
        let (Some(header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(IdTokenError::Malformed);
        };
        let header = decode(header)?;
        // `alg` is compared with our list, and not believed (OIDC-06).
        if header.get("alg").and_then(Value::as_str) != Some("RS256") {
            return Err(IdTokenError::Algorithm);
        }
        // We understand no extension, so none may be critical (RFC 7515, section 4.1.11).
        if header.contains_key("crit") {
            return Err(IdTokenError::CriticalHeader);
        }
        let key_id = match header.get("kid") {
            Some(Value::String(id)) if (1..=LONGEST_KEY_ID).contains(&id.len()) => id.clone(),
            Some(_) => return Err(IdTokenError::Malformed),
            None => return Err(IdTokenError::KeyMissing),
        };
        let claims = decode(payload)?;
        // A `TID` beside `tid` is for a reader that folds case (azure.md, section 1.5).
        let mut folded = HashSet::new();
        if !claims.keys().all(|name| folded.insert(name.to_ascii_lowercase())) {
            return Err(IdTokenError::Repeated);
        }
        Ok(Self { raw, key_id, claims })
    }

    /// The id of the key that is to verify it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What it says, of which nothing is believed.
    pub(super) const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Whether `aud` is this application, and nobody besides.
    pub(super) fn is_for(&self, client_id: &str) -> bool {
        let audience = match self.claims.get("aud") {
            Some(Value::Array(audiences)) => match audiences.as_slice() {
                [only] => only.as_str(),
                _ => None,
            },
            Some(audience) => audience.as_str(),
            None => None,
        };
        audience == Some(client_id)
    }

    /// Verifies it with the provider's key of this id (OIDC-09).
    ///
    /// # Errors
    /// The first reason not to believe it.
    pub fn verify(
        self,
        key: &SigningKey,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<VerifiedClaims, IdTokenError> {
        if key.id() != self.key_id {
            return Err(IdTokenError::KeyUnknown);
        }
        let issuer = self.check_addressing(expected)?;
        self.check_signature(key, issuer, expected, now)?;
        self.check_times(expected.clock_skew, now)?;
        if let Some(max_age) = expected.max_age {
            self.check_age(max_age, expected.clock_skew, now)?;
        }
        if let Some(context) = expected.context {
            self.check_context(context)?;
        }
        let subject = self.subject(issuer, expected.issuers.people())?;
        if let Some(policy) = expected.policy {
            self.check_policy(policy)?;
        }
        if !key.may_sign_for(issuer) {
            return Err(IdTokenError::KeyIssuer);
        }
        let account = self.account(issuer, expected.issuers.people());
        let claims = VerifiedClaims::assertion(subject, self.claims);
        Ok(match account {
            Some(kind) => claims.of_account(kind),
            None => claims,
        })
    }

    /// From whom and for whom it is: byte for byte, and for nobody besides us.
    fn check_addressing<'e>(
        &self,
        expected: &Expected<'e>,
    ) -> Result<&'e TrustedIssuer, IdTokenError> {
        let issuer = self.text("iss")?.and_then(|issuer| expected.issuers.find(issuer));
        let issuer = issuer.ok_or(IdTokenError::Issuer)?;
        if !self.is_for(expected.client_id) {
            return Err(IdTokenError::Audience);
        }
        match self.text("azp")? {
            Some(party) if party != expected.client_id => Err(IdTokenError::AuthorizedParty),
            Some(_) | None => Ok(issuer),
        }
    }

    fn check_signature(
        &self,
        key: &SigningKey,
        issuer: &TrustedIssuer,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<(), IdTokenError> {
        // First what the library needs to read it at all, so that the reason has a name.
        self.text("sub")?.ok_or(IdTokenError::Subject)?;
        self.seconds("exp")?.ok_or(IdTokenError::Expired)?;
        self.seconds("iat")?.ok_or(IdTokenError::NotYetValid)?;
        let nonce = self.text("nonce")?;
        if nonce.is_none() && !expected.is_refreshed {
            return Err(IdTokenError::Nonce);
        }

        let token = Parsed::from_str(self.raw).map_err(|_| IdTokenError::Malformed)?;
        let key = CoreJsonWebKey::new_rsa(
            key.modulus().to_vec(),
            key.exponent().to_vec(),
            Some(JsonWebKeyId::new(key.id().to_owned())),
        );
        let issuer = IssuerUrl::new(issuer.issuer.clone()).map_err(|_| IdTokenError::Issuer)?;
        // Expired is what expired before our clock less the skew. The library panics on a moment
        // far outside of any date, so a clock that is as wrong as that reads as the last one.
        let lenient = now.before(expected.clock_skew).unix_millis();
        let lenient = lenient.clamp(0, LAST_SECOND.saturating_mul(1000));
        let lenient = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(lenient.unsigned_abs()))
            .ok_or(IdTokenError::Expired)?;
        let verifier = IdTokenVerifier::new_public_client(
            ClientId::new(expected.client_id.to_owned()),
            issuer,
            CoreJsonWebKeySet::new(vec![key.clone()]),
        )
        .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
        .set_time_fn(move || lenient.into());
        let is_ours = |claimed: Option<&Nonce>| match claimed {
            Some(claimed) if expected.nonce.matches(claimed.secret()) => Ok(()),
            None if expected.is_refreshed => Ok(()),
            Some(_) | None => Err(String::new()),
        };
        let verified = token.claims(&verifier, is_ours)?;
        // The same bytes, read by two readers.
        if verified.nonce().map(|read| read.secret().as_str()) != nonce {
            return Err(IdTokenError::Malformed);
        }
        if self.text("at_hash")?.is_some() {
            let token = expected.access_token.ok_or(IdTokenError::AccessTokenHash)?;
            let hash = AccessTokenHash::from_token(
                &AccessToken::new(token.expose().clone()),
                &CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                &key,
            );
            if hash.ok().as_ref() != verified.access_token_hash() {
                return Err(IdTokenError::AccessTokenHash);
            }
        }
        Ok(())
    }

    fn check_times(&self, skew: Duration, now: Timestamp) -> Result<(), IdTokenError> {
        let expires = self.seconds("exp")?.ok_or(IdTokenError::Expired)?;
        if now >= expires.after(skew) {
            return Err(IdTokenError::Expired);
        }
        let issued = self.seconds("iat")?.ok_or(IdTokenError::NotYetValid)?;
        let latest = now.after(skew);
        if issued > latest || self.seconds("nbf")?.is_some_and(|begins| begins > latest) {
            return Err(IdTokenError::NotYetValid);
        }
        if issued < now.before(OLDEST) {
            return Err(IdTokenError::TooOld);
        }
        Ok(())
    }

    /// OpenID Connect Core 1.0, section 3.1.3.7, step 13.
    fn check_age(
        &self,
        most: Duration,
        skew: Duration,
        now: Timestamp,
    ) -> Result<(), IdTokenError> {
        let authenticated = self.seconds("auth_time")?.ok_or(IdTokenError::AuthTimeMissing)?;
        let is_recent = now <= authenticated.after(most.saturating_add(skew));
        match is_recent && authenticated <= now.after(skew) {
            true => Ok(()),
            false => Err(IdTokenError::AuthTime),
        }
    }

    /// The contexts that the sign-in satisfied: a list, or one alone in older tenants (azure.md,
    /// section 4.1).
    fn check_context(&self, wanted: &str) -> Result<(), IdTokenError> {
        let satisfied = match self.claims.get("acrs") {
            Some(Value::Array(contexts)) => contexts.iter().any(|one| one.as_str() == Some(wanted)),
            Some(Value::String(context)) => context == wanted,
            Some(_) | None => false,
        };
        satisfied.then_some(()).ok_or(IdTokenError::Context)
    }

    /// Whom it is about: never a name or an address (AZ-02).
    fn subject(&self, issuer: &TrustedIssuer, people: People) -> Result<Subject, IdTokenError> {
        let tenant = match (self.text("tid")?, &issuer.tenant) {
            (_, None) => None,
            // AZ-01: `iss` is the issuer of this very tenant.
            (Some(claimed), Some(tenant)) if claimed == tenant => Some(tenant.as_str()),
            // B2C leaves it out (azure.md, section 4.5).
            (None, Some(tenant)) if people == People::UserFlow => Some(tenant.as_str()),
            (Some(_) | None, Some(_)) => return Err(IdTokenError::Tenant),
        };
        let of_directory = |object: Option<&str>| {
            let tenant = tenant.ok_or(IdTokenError::Tenant)?.to_owned();
            let object = object.filter(|id| is_guid(id)).ok_or(IdTokenError::Subject)?.to_owned();
            Ok(Subject::Directory { tenant, object })
        };
        let object = self.text("oid")?;
        match people {
            People::Organisation { guests } => {
                self.plain_subject()?;
                self.check_version("2.0")?;
                let is_personal = tenant == Some(PERSONAL_ACCOUNTS);
                if !guests && !is_personal && self.is_guest(issuer) {
                    return Err(IdTokenError::Guest);
                }
                of_directory(object)
            }
            People::Customers => {
                self.plain_subject()?;
                self.check_version("2.0")?;
                of_directory(object)
            }
            People::UserFlow => {
                self.check_version("1.0")?;
                if object.is_some() {
                    return of_directory(object);
                }
                // Where `sub` is not the object's id it is a sentence that says so.
                match self.plain_subject()? {
                    id if is_guid(id) => of_directory(Some(id)),
                    other => Ok(of_issuer(issuer, other)),
                }
            }
            People::Subjects => Ok(of_issuer(issuer, self.plain_subject()?)),
        }
    }

    /// `sub` (OpenID Connect Core 1.0, section 2).
    fn plain_subject(&self) -> Result<&str, IdTokenError> {
        let is_subject = |subject: &&str| {
            (1..=LONGEST_SUBJECT).contains(&subject.len())
                && subject.bytes().all(|byte| byte.is_ascii_graphic())
        };
        self.text("sub")?.filter(is_subject).ok_or(IdTokenError::Subject)
    }

    fn check_version(&self, expected: &str) -> Result<(), IdTokenError> {
        match self.text("ver")? {
            Some(version) if version != expected => Err(IdTokenError::Version),
            Some(_) | None => Ok(()),
        }
    }

    /// AZ-04: all policies of a tenant share issuer, key and audience, and the token says which it
    /// was. B2C takes a policy's name in any case.
    fn check_policy(&self, expected: &str) -> Result<(), IdTokenError> {
        let named = match self.text("tfp")? {
            Some(policy) => Some(policy),
            None => self.text("acr")?,
        };
        match named {
            Some(policy) if policy.eq_ignore_ascii_case(expected) => Ok(()),
            Some(_) | None => Err(IdTokenError::Policy),
        }
    }

    /// What kind of account it is, where there are kinds.
    fn account(&self, issuer: &TrustedIssuer, people: People) -> Option<AccountKind> {
        match people {
            People::Organisation { .. } => Some(match issuer.tenant.as_deref() {
                Some(PERSONAL_ACCOUNTS) => AccountKind::Personal,
                _ if self.is_guest(issuer) => AccountKind::Guest,
                _ => AccountKind::Member,
            }),
            People::Customers | People::UserFlow => Some(AccountKind::Member),
            People::Subjects => None,
        }
    }

    fn is_guest(&self, issuer: &TrustedIssuer) -> bool {
        is_guest(&self.claims, &issuer.issuer, issuer.tenant.as_deref())
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, IdTokenError> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(IdTokenError::Type { name }),
        }
    }

    /// A NumericDate, which is a whole number here: RFC 7519 would allow fractions, and Microsoft
    /// sends none.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<Timestamp>, IdTokenError> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(seconds) if (0..=LAST_SECOND).contains(&seconds) => {
                    Ok(Some(Timestamp::from_unix_seconds(seconds)))
                }
                _ => Err(IdTokenError::Type { name }),
            },
        }
    }
}

/// Whether the account of a token is at home elsewhere (AZ-03): `idp` names its home if that is
/// another tenant or Microsoft's personal accounts, and `acct` of a member is 0.
pub(crate) fn is_guest(claims: &Map<String, Value>, issuer: &str, tenant: Option<&str>) -> bool {
    let is_home = |provider: &str| {
        provider == issuer
            || DIRECTORIES.iter().any(|directory| {
                let named = provider.strip_prefix(directory);
                named.and_then(|rest| rest.strip_suffix('/')) == tenant
            })
    };
    let elsewhere = match claims.get("idp") {
        None => false,
        Some(provider) => !provider.as_str().is_some_and(is_home),
    };
    let outsider = match claims.get("acct") {
        None => false,
        Some(kind) => kind.as_u64() != Some(0) && kind.as_str() != Some("0"),
    };
    elsewhere || outsider
}

/// Nothing of a token is shown (LOG-01).
impl std::fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnverifiedToken(…)")
    }
}

fn decode(part: &str) -> Result<Map<String, Value>, IdTokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| IdTokenError::Malformed)?;
    strict_json::object(&bytes).map_err(|error| match error {
        JsonError::Malformed => IdTokenError::Malformed,
        JsonError::Repeated => IdTokenError::Repeated,
    })
}

fn of_issuer(issuer: &TrustedIssuer, subject: &str) -> Subject {
    Subject::Issuer { issuer: issuer.issuer.clone(), subject: subject.to_owned() }
}

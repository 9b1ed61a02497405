//! The login, step by step and without a network: [`Challenge`] → [`PendingLogin`] →
//! [`Redemption`] → session. An order that matters is in the types: nobody holds an authorization
//! code before `state` has been compared.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{ReturnTo, Secret, Timestamp};

/// A visitor has to sign in before going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where they land afterwards.
    pub return_to: ReturnTo,
}

/// The randomness of one login; comes from the caller.
pub struct LoginSeed {
    /// For `state`.
    pub state: [u8; 16],
    /// For `nonce`.
    pub nonce: [u8; 16],
    /// For the PKCE verifier: 256 bits, as RFC 7636 section 7.1 recommends.
    pub verifier: [u8; 32],
}

/// What the relying party writes into the authorization request.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// The OAuth `state`.
    pub state: Secret<String>,
    /// The OpenID `nonce`.
    pub nonce: Secret<String>,
    /// The PKCE verifier, of which only the S256 challenge is sent.
    pub verifier: Secret<String>,
}

/// A login under way: what we remember between the authorization request and its callback.
/// It travels sealed in the visitor's own cookie.
pub struct PendingLogin {
    state: Secret<String>,
    nonce: Secret<String>,
    verifier: Secret<String>,
    provider: String,
    return_to: ReturnTo,
    expires: Timestamp,
}

/// The spelling of a [`PendingLogin`] inside its seal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    state: String,
    nonce: String,
    verifier: String,
    provider: String,
    return_to: ReturnTo,
    expires: Timestamp,
}

impl PendingLogin {
    /// How long a login may take (OIDC-02).
    pub const LIMIT: Duration = Duration::from_secs(600);

    /// Begins a login with a provider. Randomness and time come from the caller.
    #[must_use]
    pub fn begin(
        challenge: Challenge,
        provider: &str,
        seed: &LoginSeed,
        now: Timestamp,
    ) -> (Self, AuthorizationRequest) {
        // The time comes first, so that the names of several login cookies sort by age.
        let state = format!(
            "{:08x}{}",
            now.unix_seconds() & 0xffff_ffff,
            URL_SAFE_NO_PAD.encode(seed.state)
        );
        let request = AuthorizationRequest {
            state: Secret::new(state),
            nonce: Secret::new(URL_SAFE_NO_PAD.encode(seed.nonce)),
            verifier: Secret::new(URL_SAFE_NO_PAD.encode(seed.verifier)),
        };
        let pending = Self {
            state: request.state.clone(),
            nonce: request.nonce.clone(),
            verifier: request.verifier.clone(),
            provider: provider.to_owned(),
            return_to: challenge.return_to,
            expires: now.after(Self::LIMIT),
        };
        (pending, request)
    }

    /// The number of its cookie: the first twelve characters of `state`, so that the callback
    /// finds its own login among those of other tabs.
    #[must_use]
    pub fn number(&self) -> &str {
        number(self.state.expose()).unwrap_or_default()
    }

    /// What goes into the seal.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let record = Record {
            state: self.state.expose().clone(),
            nonce: self.nonce.expose().clone(),
            verifier: self.verifier.expose().clone(),
            provider: self.provider.clone(),
            return_to: self.return_to.clone(),
            expires: self.expires,
        };
        Secret::new(serde_json::to_vec(&record).unwrap_or_default())
    }

    /// What came out of the seal; `None` if we did not write it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let record: Record = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            state: Secret::new(record.state),
            nonce: Secret::new(record.nonce),
            verifier: Secret::new(record.verifier),
            provider: record.provider,
            return_to: record.return_to,
            expires: record.expires,
        })
    }

    /// Takes `self`: a pending login is used once. The authorization code is inside the
    /// [`Redemption`], so nobody can redeem it before `state` has been compared (OIDC-03).
    ///
    /// # Errors
    /// Why this callback does not continue this login.
    pub fn accept(
        self,
        callback: Callback,
        provider: &str,
        now: Timestamp,
    ) -> Result<Redemption, LoginError> {
        if self.provider != provider || !self.state.matches(callback.state.expose()) {
            return Err(LoginError::StateMismatch);
        }
        if now >= self.expires {
            return Err(LoginError::Expired { limit: Self::LIMIT });
        }
        match callback.answer {
            Answer::Code(code) => Ok(Redemption {
                code,
                nonce: self.nonce,
                verifier: self.verifier,
                return_to: self.return_to,
                issuer: callback.issuer,
            }),
            Answer::Error(error) => Err(LoginError::Provider(error)),
        }
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The part of a `state` that names its cookie.
fn number(state: &str) -> Option<&str> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    state.get(..12).filter(|number| number.bytes().all(is_ours))
}

/// The request that the provider sent the visitor back with.
#[derive(Debug)]
pub struct Callback {
    state: Secret<String>,
    answer: Answer,
    issuer: Option<String>,
}

#[derive(Debug)]
enum Answer {
    Code(Secret<String>),
    Error(ProviderError),
}

/// An error answer of the provider (RFC 6749, section 4.1.2.1), reduced to what may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// `error`, if it has the form of one.
    pub error: String,
    /// `error_subcode`, which Microsoft sends with a cancelled sign-in.
    pub subcode: Option<String>,
    /// `AADSTS…` or `AADB2C…`, from the description.
    pub code: Option<String>,
}

impl ProviderError {
    /// Whether the visitor pressed Cancel.
    #[must_use]
    pub fn is_cancel(&self) -> bool {
        self.error == "access_denied"
            && (self.subcode.as_deref() == Some("cancel")
                || self.code.is_none()
                || self.code.as_deref() == Some("AADSTS65004"))
    }
}

impl Callback {
    /// The longest query that is read: an authorization code of B2C alone can be over 2,400 bytes.
    pub const LONGEST: usize = 16 * 1024;

    /// Reads a callback's query.
    ///
    /// # Errors
    /// Without exactly one `state` and exactly one of `code` and `error` (OIDC-05).
    pub fn read(query: &str) -> Result<Self, LoginError> {
        if query.len() > Self::LONGEST {
            return Err(LoginError::Malformed);
        }
        let mut seen = Parameters::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            seen.note(&name, value.into_owned())?;
        }
        let state = Secret::new(seen.state.ok_or(LoginError::StateMissing)?);
        let answer = match (seen.code, seen.error) {
            (Some(code), None) if !code.is_empty() => Answer::Code(Secret::new(code)),
            (None, Some(error)) => Answer::Error(ProviderError {
                error: plain_word(&error).unwrap_or("unknown").to_owned(),
                subcode: seen.subcode.as_deref().and_then(plain_word).map(str::to_owned),
                code: seen.description.as_deref().and_then(microsoft_code),
            }),
            _ => return Err(LoginError::Malformed),
        };
        Ok(Self { state, answer, issuer: seen.issuer })
    }

    /// The number of the login that it belongs to, if its `state` has the form of ours.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        number(self.state.expose())
    }

    /// Its `state`, to be spent.
    #[must_use]
    pub const fn state(&self) -> &Secret<String> {
        &self.state
    }
}

#[derive(Default)]
struct Parameters {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    description: Option<String>,
    subcode: Option<String>,
    issuer: Option<String>,
}

impl Parameters {
    fn note(&mut self, name: &str, value: String) -> Result<(), LoginError> {
        let place = match name {
            "state" => &mut self.state,
            "code" => &mut self.code,
            "error" => &mut self.error,
            "error_description" => &mut self.description,
            "error_subcode" => &mut self.subcode,
            "iss" => &mut self.issuer,
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(LoginError::Repeated),
        }
    }
}

/// A word that is safe to show and to log.
fn plain_word(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ((1..=64).contains(&text.len()) && text.bytes().all(is_plain)).then_some(text)
}

/// The first `AADSTS…` or `AADB2C…` of a description (azure.md, section 5).
pub fn microsoft_code(description: &str) -> Option<String> {
    ["AADSTS", "AADB2C"].iter().find_map(|family| {
        let (_, after) = description.split_once(family)?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).take(9).collect();
        (!digits.is_empty()).then(|| format!("{family}{digits}"))
    })
}

/// A login whose callback was accepted: what it takes to redeem the code and to judge the token.
#[derive(Debug)]
pub struct Redemption {
    code: Secret<String>,
    nonce: Secret<String>,
    verifier: Secret<String>,
    return_to: ReturnTo,
    issuer: Option<String>,
}

impl Redemption {
    /// The authorization code.
    #[must_use]
    pub const fn code(&self) -> &Secret<String> {
        &self.code
    }

    /// The nonce that the ID token has to carry.
    #[must_use]
    pub const fn nonce(&self) -> &Secret<String> {
        &self.nonce
    }

    /// The PKCE verifier.
    #[must_use]
    pub const fn verifier(&self) -> &Secret<String> {
        &self.verifier
    }

    /// `iss` of the callback, if the provider sent one (RFC 9207).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Ends the login: where the visitor goes now.
    #[must_use]
    pub fn complete(self) -> ReturnTo {
        self.return_to
    }
}

/// Why a callback does not continue a login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Neither a code nor an error, or both.
    #[error("the callback is not an answer to an authorization request")]
    Malformed,
    /// A parameter came twice.
    #[error("a parameter of the callback is there more than once")]
    Repeated,
    /// No `state`.
    #[error("the callback has no `state`")]
    StateMissing,
    /// This browser has no login under way with this `state`.
    #[error("this browser has no login under way that the callback belongs to")]
    NotPending,
    /// The login is of another provider, or `state` is not the one we sent.
    #[error("`state` in the callback is not the one we sent; two logins may be open")]
    StateMismatch,
    /// It took too long.
    #[error("the login took longer than {limit:?}; the visitor has to start again")]
    Expired {
        /// [`PendingLogin::LIMIT`].
        limit: Duration,
    },
    /// The callback came a second time.
    #[error("the callback was used before")]
    Replayed,
    /// The provider said no.
    #[error("the provider answered `{}`{}", .0.error, .0.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Provider(ProviderError),
}

impl LoginError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "login-callback-malformed",
            Self::Repeated => "login-parameter-repeated",
            Self::StateMissing => "login-state-missing",
            Self::NotPending => "login-not-pending",
            Self::StateMismatch => "login-state-mismatch",
            Self::Expired { .. } => "login-expired",
            Self::Replayed => "login-replayed",
            Self::Provider(error) if error.is_cancel() => "login-cancelled",
            Self::Provider(_) => "login-refused-by-provider",
        }
    }
}

//! The login, step by step and without a network: [`Challenge`] → [`PendingLogin`] →
//! [`Redemption`] → session. An order that matters is in the types: nobody holds an authorization
//! code before `state` has been compared.

mod callback;
mod error;
mod journey;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use self::callback::number;
pub use self::callback::{Callback, Grant, ProviderError, error_word, microsoft_code};
pub use self::error::LoginError;
pub use self::journey::{Demands, Journey, Prompt};
use super::{ReturnTo, Secret, SessionId, Timestamp, Trail, VerifiedClaims};

/// A visitor goes to the provider before going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// Where they land afterwards.
    pub return_to: ReturnTo,
    /// What they go there for.
    pub journey: Journey,
    /// What is asked for besides.
    pub demands: Demands,
}

impl Challenge {
    /// An ordinary sign-in.
    #[must_use]
    pub fn sign_in(return_to: ReturnTo) -> Self {
        Self::to(Journey::SignIn, return_to)
    }

    /// A journey, and nothing besides.
    #[must_use]
    pub fn to(journey: Journey, return_to: ReturnTo) -> Self {
        Self { return_to, journey, demands: Demands::default() }
    }

    /// The journey that follows an answer of the provider. What the login was to bring stays so.
    fn detour(&self, journey: Journey) -> Self {
        let demands = Demands {
            prompt: None,
            parameters: Vec::new(),
            is_detour: true,
            ..self.demands.clone()
        };
        Self { return_to: self.return_to.clone(), journey, demands }
    }
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
    /// What the visitor goes there for.
    pub journey: Journey,
    /// What is asked for besides.
    pub demands: Demands,
}

/// A login under way: what we remember between the authorization request and its callback.
/// It travels sealed in the visitor's own cookie.
pub struct PendingLogin {
    state: Secret<String>,
    nonce: Secret<String>,
    verifier: Secret<String>,
    provider: String,
    session: Option<SessionId>,
    challenge: Challenge,
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
    session: Option<String>,
    challenge: Challenge,
    expires: Timestamp,
}

impl PendingLogin {
    /// How long a login may take (OIDC-02).
    pub const LIMIT: Duration = Duration::from_secs(600);

    /// Begins a login with a provider. `session` is the one that the browser has now, which the
    /// login replaces. Randomness and time come from the caller.
    #[must_use]
    pub fn begin(
        challenge: Challenge,
        provider: &str,
        session: Option<&SessionId>,
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
            journey: challenge.journey,
            demands: challenge.demands.clone(),
        };
        let pending = Self {
            state: request.state.clone(),
            nonce: request.nonce.clone(),
            verifier: request.verifier.clone(),
            provider: provider.to_owned(),
            session: session.cloned(),
            challenge,
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

    /// Its `state`.
    #[must_use]
    pub const fn state(&self) -> &Secret<String> {
        &self.state
    }

    /// Where the visitor is to land.
    #[must_use]
    pub const fn return_to(&self) -> &ReturnTo {
        &self.challenge.return_to
    }

    /// Whether no session is to come of it.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        self.challenge.demands.is_test
    }

    /// What goes into the seal.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let record = Record {
            state: self.state.expose().clone(),
            nonce: self.nonce.expose().clone(),
            verifier: self.verifier.expose().clone(),
            provider: self.provider.clone(),
            session: self.session.as_ref().map(SessionId::cookie_value),
            challenge: self.challenge.clone(),
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
            session: record.session.as_deref().and_then(SessionId::parse),
            challenge: record.challenge,
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
    ) -> Result<Accepted, LoginError> {
        if self.provider != provider || !self.state.matches(callback.state().expose()) {
            return Err(LoginError::StateMismatch);
        }
        if now >= self.expires {
            return Err(LoginError::Expired { limit: Self::LIMIT });
        }
        let Challenge { journey, return_to, demands } = &self.challenge;
        let (session_state, begun) = (callback.session_state(), self.expires.before(Self::LIMIT));
        let (answer, issuer) = callback.into_answer();
        match answer {
            Ok(grant) => Ok(Accepted::Redeem(Redemption {
                grant,
                nonce: self.nonce,
                verifier: self.verifier,
                session: self.session,
                challenge: self.challenge,
                issuer,
                session_state,
                begun,
            })),
            Err(error) if error.is_forgotten_password() => match (journey, demands.is_detour) {
                (Journey::SignIn | Journey::SignUp, false) => {
                    let reset = self.challenge.detour(Journey::PasswordReset);
                    Ok(Accepted::GoOn(reset, self.session))
                }
                _ => Err(LoginError::PasswordForgotten),
            },
            // The session is as it was.
            Err(error) if error.is_cancel() && *journey == Journey::ProfileEdit => {
                Ok(Accepted::Return(return_to.clone()))
            }
            Err(error) => Ok(Accepted::Refused(error)),
        }
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// What the callback of a login under way leads to.
#[derive(Debug)]
pub enum Accepted {
    /// What it takes to redeem the code and to judge the token.
    Redeem(Redemption),
    /// The provider leads to another journey first: «I have forgotten my password» (AADB2C90118).
    /// The session that the browser had when the login began goes along.
    GoOn(Challenge, Option<SessionId>),
    /// The visitor changed nothing, and goes back.
    Return(ReturnTo),
    /// The provider said no.
    Refused(ProviderError),
}

/// A login whose callback was accepted: what it takes to redeem the code and to judge the token.
#[derive(Debug)]
pub struct Redemption {
    grant: Grant,
    nonce: Secret<String>,
    verifier: Secret<String>,
    session: Option<SessionId>,
    challenge: Challenge,
    issuer: Option<String>,
    session_state: Option<Secret<String>>,
    begun: Timestamp,
}

impl Redemption {
    /// What the provider sent.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
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

    /// `session_state` of the callback, if the provider sent one.
    #[must_use]
    pub fn session_state(&self) -> Option<&str> {
        self.session_state.as_ref().map(|state| state.expose().as_str())
    }

    /// When the visitor went there.
    #[must_use]
    pub const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// What the visitor went to the provider for.
    #[must_use]
    pub const fn journey(&self) -> Journey {
        self.challenge.journey
    }

    /// Whether no session is to come of it.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        self.challenge.demands.is_test
    }

    /// How long ago the person may have authenticated. A journey that signs nobody in has no such
    /// bound: the sign-in that follows it has.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.challenge.demands.max_age.filter(|_| self.journey().signs_in())
    }

    /// The authentication context that was asked for.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.challenge.demands.context.as_deref().filter(|_| self.journey().signs_in())
    }

    /// The session that the browser had when the login began.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Ends the login: where the visitor goes now that `claims` say who it was, and `current` who
    /// is signed in already.
    ///
    /// # Errors
    /// When it was to be the same person, and is another.
    pub fn complete(
        self,
        claims: VerifiedClaims,
        current: Option<&VerifiedClaims>,
    ) -> Result<Completed, LoginError> {
        let is_same = |current: &VerifiedClaims| current.subject() == claims.subject();
        let sign_in = self.challenge.detour(Journey::SignIn);
        let Challenge { return_to, journey, demands } = self.challenge;
        match (journey, current) {
            // Who comes back from a change of the profile may be somebody who never signed in here.
            (Journey::ProfileEdit, Some(current)) if !is_same(current) => {
                Err(LoginError::OtherMember)
            }
            (Journey::ProfileEdit, Some(current)) => {
                Ok(Completed::Session(current.updated(&claims), return_to))
            }
            (Journey::PasswordReset | Journey::ProfileEdit, _) => Ok(Completed::GoOn(sign_in)),
            (Journey::SignIn | Journey::SignUp, Some(current))
                if demands.same_member && !is_same(current) =>
            {
                Err(LoginError::OtherMember)
            }
            (Journey::SignIn | Journey::SignUp, _) => Ok(Completed::Session(claims, return_to)),
        }
    }
}

/// What a login has led to.
#[derive(Debug)]
pub enum Completed {
    /// A session with these claims, and a place to go.
    Session(VerifiedClaims, ReturnTo),
    /// A journey that signs nobody in is over; now comes the sign-in.
    GoOn(Challenge),
}

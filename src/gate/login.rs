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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    fn detour(journey: Journey, then: &Then) -> Self {
        let demands = Demands {
            max_age: then.max_age,
            context: then.context.clone(),
            login_hint: then.login_hint.clone(),
            same_member: then.same_member,
            is_detour: true,
            ..Demands::default()
        };
        Self { return_to: then.return_to.clone(), journey, demands }
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
    then: Then,
    expires: Timestamp,
}

/// What a login is for, and what has to be true at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    return_to: ReturnTo,
    journey: Journey,
    max_age: Option<Duration>,
    context: Option<String>,
    login_hint: Option<String>,
    same_member: bool,
    is_detour: bool,
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
    then: Then,
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
        let Challenge { return_to, journey, demands } = challenge;
        let then = Then {
            return_to,
            journey,
            max_age: demands.max_age,
            context: demands.context.clone(),
            login_hint: demands.login_hint.clone(),
            same_member: demands.same_member,
            is_detour: demands.is_detour,
        };
        let request = AuthorizationRequest {
            state: Secret::new(state),
            nonce: Secret::new(URL_SAFE_NO_PAD.encode(seed.nonce)),
            verifier: Secret::new(URL_SAFE_NO_PAD.encode(seed.verifier)),
            journey,
            demands,
        };
        let pending = Self {
            state: request.state.clone(),
            nonce: request.nonce.clone(),
            verifier: request.verifier.clone(),
            provider: provider.to_owned(),
            session: session.cloned(),
            then,
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
        &self.then.return_to
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
            then: self.then.clone(),
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
            then: record.then,
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
        let Then { journey, return_to, is_detour, .. } = &self.then;
        let (session_state, begun) = (callback.session_state(), self.expires.before(Self::LIMIT));
        let (answer, issuer) = callback.into_answer();
        match answer {
            Ok(grant) => Ok(Accepted::Redeem(Redemption {
                grant,
                nonce: self.nonce,
                verifier: self.verifier,
                session: self.session,
                then: self.then,
                issuer,
                session_state,
                begun,
            })),
            Err(error) if error.is_forgotten_password() => match (journey, is_detour) {
                (Journey::SignIn | Journey::SignUp, false) => {
                    let reset = Challenge::detour(Journey::PasswordReset, &self.then);
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
    /// The provider leads to another journey first: «I have forgotten my password» (AADB2C90118). The
    /// session that the browser had when the login began goes along.
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
    then: Then,
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
        self.then.journey
    }

    /// How long ago the person may have authenticated. A journey that signs nobody in has no such
    /// bound: the sign-in that follows it has.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.then.max_age.filter(|_| self.then.journey.signs_in())
    }

    /// The authentication context that was asked for.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.then.context.as_deref().filter(|_| self.then.journey.signs_in())
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
        let sign_in = Challenge::detour(Journey::SignIn, &self.then);
        let Then { return_to, journey, same_member, .. } = self.then;
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
                if same_member && !is_same(current) =>
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

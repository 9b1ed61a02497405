//! Whether a logout token is believed (OpenID Connect Back-Channel Logout 1.0, section 2.6;
//! OIDC-15). A pure function of the token, one key, what we expect and the time; the key is found
//! as for an ID token. Deliberately not here: whether it was seen before, which the store of
//! sessions knows.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::id_token::{IdTokenError, UnverifiedToken};
use super::issuers::Issuers;
use super::keys::SigningKey;
use super::sign_out::is_sid;
use super::{RelyingParty, RelyingPartyError};
use crate::config::ProviderKind;
use crate::gate::Timestamp;

/// The event that it is about.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long ago one can have been issued. Its `jti` is remembered for longer than this.
const OLDEST: Duration = Duration::from_secs(10 * 60);
/// The longest `jti` and `sub`.
const LONGEST_ID: usize = 256;

/// What a logout token says, once it is believed.
pub struct LogoutToken {
    /// `iss`.
    pub issuer: String,
    /// `jti`.
    pub id: String,
    /// `sid`; one of both is there.
    pub sid: Option<String>,
    /// `sub`.
    pub sub: Option<String>,
}

/// Nothing of a token is shown (LOG-01).
impl fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogoutToken(…)")
    }
}

impl RelyingParty {
    /// Whether the provider may sign people out by itself. None of Microsoft's does (azure.md,
    /// section 7.4).
    #[must_use]
    pub fn takes_logout_tokens(&self) -> bool {
        match &self.provider.kind {
            ProviderKind::Oidc(_) => true,
            ProviderKind::EntraId(_)
            | ProviderKind::AzureAdB2c(_)
            | ProviderKind::ExternalId(_) => false,
        }
    }

    /// Judges a logout token.
    ///
    /// # Errors
    /// Why it is not believed, or that its key could not be looked for.
    pub async fn logout_token(
        &self,
        raw: &str,
        now: Timestamp,
    ) -> Result<LogoutToken, LogoutTokenError> {
        let token = UnverifiedToken::read(raw)?;
        let main = self.main().ok_or(LogoutTokenError::Issuer)?;
        let found = main.key_of_logout_token(token.key_id()).await;
        let (known, key) =
            found.map_err(|error| LogoutTokenError::Provider(Box::new(error.into())))?;
        let key = key.ok_or(LogoutTokenError::Token(IdTokenError::KeyUnknown))?;
        let expected = Expected {
            issuers: &known.metadata.issuers,
            client_id: &self.provider.client_id,
            clock_skew: self.provider.clock_skew,
        };
        verify(raw, &token, &key, &expected, now)
    }
}

/// What a logout token has to say.
struct Expected<'a> {
    issuers: &'a Issuers,
    client_id: &'a str,
    clock_skew: Duration,
}

fn verify(
    raw: &str,
    token: &UnverifiedToken<'_>,
    key: &SigningKey,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<LogoutToken, LogoutTokenError> {
    check_signature(raw, key)?;
    let claims = token.claims();
    let issuer = token.text("iss")?.and_then(|issuer| expected.issuers.find(issuer));
    let issuer = issuer.ok_or(LogoutTokenError::Issuer)?;
    if !key.may_sign_for(issuer) {
        return Err(LogoutTokenError::Token(IdTokenError::KeyIssuer));
    }
    if !token.is_for(expected.client_id) {
        return Err(LogoutTokenError::Audience);
    }
    let skew = expected.clock_skew;
    let issued = token.seconds("iat")?.ok_or(LogoutTokenError::Time)?;
    let expires = token.seconds("exp")?.ok_or(LogoutTokenError::Time)?;
    if issued > now.after(skew)
        || issued < now.before(OLDEST + skew)
        || now >= expires.after(skew)
        || token.seconds("nbf")?.is_some_and(|begins| begins > now.after(skew))
    {
        return Err(LogoutTokenError::Time);
    }
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(LogoutTokenError::Event);
    }
    // Else an ID token could be taken for one, and the other way round.
    if claims.contains_key("nonce") {
        return Err(LogoutTokenError::Nonce);
    }
    let id = |name: &'static str| {
        let id = token.text(name)?;
        match id.is_none_or(|id| (1..=LONGEST_ID).contains(&id.len())) {
            true => Ok(id.map(str::to_owned)),
            false => Err(LogoutTokenError::Subject),
        }
    };
    let (sub, sid) = (id("sub")?, id("sid")?);
    if (sub.is_none() && sid.is_none()) || sid.as_deref().is_some_and(|sid| !is_sid(sid)) {
        return Err(LogoutTokenError::Subject);
    }
    let id = id("jti")?.ok_or(LogoutTokenError::Id)?;
    Ok(LogoutToken { issuer: issuer.issuer.clone(), id, sid, sub })
}

/// RS256, which [`UnverifiedToken::read`] saw to.
fn check_signature(raw: &str, key: &SigningKey) -> Result<(), LogoutTokenError> {
    let refused = LogoutTokenError::Token(IdTokenError::Signature);
    let Some((signed, signature)) = raw.rsplit_once('.') else {
        return Err(refused);
    };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
        return Err(refused);
    };
    let key = RsaPublicKeyComponents { n: key.modulus(), e: key.exponent() };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).map_err(|_| refused)
}

/// Why a logout token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum LogoutTokenError {
    /// It cannot be read, or is wrong in what it has in common with an ID token.
    #[error("the logout token was not accepted")]
    Token(#[from] IdTokenError),
    /// The keys could not be looked for: whether it is to be believed stays open (GEN-03).
    #[error("the provider's keys could not be looked at")]
    Provider(#[source] Box<RelyingPartyError>),
    /// `iss`.
    #[error("the logout token is of another issuer")]
    Issuer,
    /// `aud`.
    #[error("the logout token is not for this application alone")]
    Audience,
    /// `iat`, `exp`, `nbf`.
    #[error("the logout token is not of now; the clocks may differ")]
    Time,
    /// `events`.
    #[error("the logout token is not about a sign-out")]
    Event,
    /// `nonce`.
    #[error("the logout token has a nonce, as only an ID token may")]
    Nonce,
    /// Neither `sub` nor `sid`, or odd ones.
    #[error("the logout token does not say who has signed out")]
    Subject,
    /// No `jti`.
    #[error("the logout token has no id")]
    Id,
    /// Its `jti` was there before.
    #[error("the logout token was used before")]
    Replayed,
}

impl LogoutTokenError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(IdTokenError::Malformed) => "logout-token-malformed",
            Self::Token(error) => error.code(),
            Self::Provider(_) => "logout-token-keys",
            Self::Issuer => "logout-token-issuer",
            Self::Audience => "logout-token-audience",
            Self::Time => "logout-token-time",
            Self::Event => "logout-token-event",
            Self::Nonce => "logout-token-nonce",
            Self::Subject => "logout-token-subject",
            Self::Id => "logout-token-id",
            Self::Replayed => "logout-token-replayed",
        }
    }
}

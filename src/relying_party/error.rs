//! Why a provider does not lead to verified claims.

use super::{CredentialError, DiscoveryError, HttpError, IdTokenError, TokenRefusal};
use crate::gate::login::Journey;

/// Why the provider did not lead to verified claims.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyError {
    /// Metadata or keys are not known.
    #[error("nothing is known of the provider")]
    Discovery(#[from] DiscoveryError),
    /// The callback is of another issuer, or of none (OIDC-04).
    #[error("the callback is not from the provider that the login began with")]
    CallbackIssuer,
    /// The callback brings something else than was asked for.
    #[error("the callback does not bring what the authorization request asked for")]
    CallbackGrant,
    /// No endpoint for this.
    #[error("the provider has no `{}` in the configuration", .journey.name())]
    NoSuchJourney {
        /// Which.
        journey: Journey,
    },
    /// The token endpoint gave no answer.
    #[error("the token endpoint gave no answer")]
    TokenCall(#[source] HttpError),
    /// The token endpoint said no.
    #[error("the token endpoint answered {0}")]
    TokenRefused(TokenRefusal),
    /// Every client credential was refused; this is of the last one.
    #[error("no client credential is accepted; the last one was answered {refusal}")]
    CredentialsRefused {
        /// What the provider answered.
        refusal: TokenRefusal,
        /// Whether all of them are secrets.
        are_secrets: bool,
    },
    /// No client credential could be sent.
    #[error("no client credential is available")]
    CredentialUnavailable(#[source] CredentialError),
    /// There is no credential to ask with.
    #[error("the provider has no client credential in the configuration")]
    NoCredential,
    /// The answer of the token endpoint cannot be read.
    #[error("the token endpoint's answer has no ID token that could be read")]
    TokenAnswer,
    /// The ID token is not believed.
    #[error("the ID token was not accepted")]
    IdToken(#[from] IdTokenError),
}

impl RelyingPartyError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Discovery(error) => error.code(),
            Self::CallbackIssuer => "login-callback-issuer",
            Self::CallbackGrant => "login-callback-malformed",
            Self::NoSuchJourney { .. } => "login-journey-unknown",
            Self::TokenCall(error) => error.code(),
            Self::TokenRefused(refusal) if refusal.is_temporary() => "provider-busy",
            Self::TokenRefused(_) => "token-request-refused",
            Self::CredentialsRefused { are_secrets: true, .. } => "client-secret-refused",
            Self::CredentialsRefused { .. } => "client-credential-refused",
            Self::CredentialUnavailable(_) | Self::NoCredential => "client-credential-unavailable",
            Self::TokenAnswer => "token-answer-malformed",
            Self::IdToken(error) => error.code(),
        }
    }

    /// The token endpoint's refusal, if it was one.
    #[must_use]
    pub const fn token_refusal(&self) -> Option<&TokenRefusal> {
        match self {
            Self::TokenRefused(refusal) | Self::CredentialsRefused { refusal, .. } => Some(refusal),
            Self::Discovery(_)
            | Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::TokenCall(_)
            | Self::CredentialUnavailable(_)
            | Self::NoCredential
            | Self::TokenAnswer
            | Self::IdToken(_) => None,
        }
    }

    /// Whether the visitor can do no better than try later (GEN-03): the page is a 503.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Discovery(_)
            | Self::TokenCall(_)
            | Self::CredentialsRefused { .. }
            | Self::CredentialUnavailable(_)
            | Self::NoCredential
            | Self::TokenAnswer => true,
            Self::TokenRefused(refusal) => refusal.is_temporary(),
            Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::IdToken(_) => false,
        }
    }

    /// Whether asking about another member would come to the same just now: the provider gave no
    /// answer, or one that says «not now», or it takes no credential of ours.
    pub(super) fn is_out_of_order(&self) -> bool {
        match self {
            Self::TokenCall(error) => error.is_unreachable(),
            Self::TokenRefused(refusal) => refusal.is_temporary(),
            Self::Discovery(error) => error.is_unreachable(),
            Self::CredentialsRefused { .. }
            | Self::CredentialUnavailable(_)
            | Self::NoCredential => true,
            Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::TokenAnswer
            | Self::IdToken(_) => false,
        }
    }

    /// Whether a refresh that failed like this ends the session: the provider has taken its word
    /// back, or speaks of somebody else. Everything else may pass, and until then what was said
    /// holds.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        match self {
            Self::TokenRefused(refusal) => refusal.asks_for_sign_in(),
            Self::IdToken(error) => error.is_about_somebody_else(),
            Self::Discovery(_)
            | Self::CallbackIssuer
            | Self::CallbackGrant
            | Self::NoSuchJourney { .. }
            | Self::TokenCall(_)
            | Self::CredentialsRefused { .. }
            | Self::CredentialUnavailable(_)
            | Self::NoCredential
            | Self::TokenAnswer => false,
        }
    }
}

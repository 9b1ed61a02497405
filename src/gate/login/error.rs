//! Why a login does not go on.

use super::Duration;

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
    /// «Forgot your password?» where that leads no further by itself.
    #[error("the visitor has forgotten the password, and nothing here leads to a new one")]
    PasswordForgotten,
    /// Somebody else came back than went.
    #[error("the provider signed in another person than the one whose session it was")]
    OtherMember,
}

impl LoginError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "login-callback-malformed",
            Self::Repeated => "login-parameter-repeated",
            Self::StateMissing => "login-state-missing",
            Self::NotPending => "login-not-pending",
            Self::StateMismatch => "login-state-mismatch",
            Self::Expired { .. } => "login-expired",
            Self::Replayed => "login-replayed",
            Self::PasswordForgotten => "login-password-forgotten",
            Self::OtherMember => "login-other-member",
        }
    }
}

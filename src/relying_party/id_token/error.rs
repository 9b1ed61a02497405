//! Why an ID token is not believed.

use openidconnect::ClaimsVerificationError;

use super::{LONGEST, OLDEST};

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Larger than any that is meant.
    #[error("the ID token is longer than {LONGEST} bytes")]
    TooLong,
    /// Not a compact JWS of two JSON objects and a signature.
    #[error("the ID token cannot be read")]
    Malformed,
    /// A member is there twice, or in two spellings that differ by case.
    #[error("the ID token says something twice")]
    Repeated,
    /// Another algorithm than RS256 (OIDC-06).
    #[error("the ID token is not signed with RS256")]
    Algorithm,
    /// `crit`.
    #[error("the ID token's header has a critical extension")]
    CriticalHeader,
    /// No `kid`.
    #[error("the ID token does not name the key that signed it")]
    KeyMissing,
    /// The provider does not publish such a key (OIDC-08).
    #[error("the ID token names a key that the provider does not publish for us")]
    KeyUnknown,
    /// The key is reserved for another issuer (AZ-01).
    #[error("the ID token's key is reserved for another issuer")]
    KeyIssuer,
    /// The signature does not fit.
    #[error("the ID token's signature is wrong")]
    Signature,
    /// A claim of the wrong type.
    #[error("the ID token's `{name}` is of the wrong type")]
    Type {
        /// Which.
        name: &'static str,
    },
    /// `iss`.
    #[error("the ID token is of another issuer")]
    Issuer,
    /// `aud`.
    #[error("the ID token is not for this application alone")]
    Audience,
    /// `azp`.
    #[error("the ID token was issued to another application")]
    AuthorizedParty,
    /// `exp`.
    #[error("the ID token has expired; the clocks may differ")]
    Expired,
    /// `nbf` or `iat`.
    #[error("the ID token is not valid yet; the clocks may differ")]
    NotYetValid,
    /// `iat`.
    #[error("the ID token was issued longer than {OLDEST:?} ago")]
    TooOld,
    /// `nonce`.
    #[error("the ID token is of another login")]
    Nonce,
    /// `at_hash`.
    #[error("the ID token is not of the access token it came with")]
    AccessTokenHash,
    /// `tid`.
    #[error("the ID token is of another tenant, or names none; is the scope `profile` missing?")]
    Tenant,
    /// `sub` or `oid`.
    #[error("the ID token does not say whom it is about; is the scope `profile` missing?")]
    Subject,
    /// `ver`.
    #[error("the ID token is not of the version that this kind of provider issues")]
    Version,
    /// `tfp` or `acr` (AZ-04).
    #[error("the ID token is of another user flow than the login began with, or names none")]
    Policy,
    /// `auth_time` is not there, though the login asked how long ago.
    #[error("the token does not say when its bearer signed in (`auth_time`)")]
    AuthTimeMissing,
    /// The person signed in at the provider longer ago than the login asked for.
    #[error("its bearer signed in at the provider longer ago than is admitted")]
    AuthTime,
    /// `acrs` does not name the authentication context that was asked for.
    #[error("the token does not name the authentication context that was asked for")]
    Context,
    /// A guest, or a personal account (AZ-03).
    #[error("the account is a guest of the tenant, or a personal one")]
    Guest,
}

impl IdTokenError {
    /// Whether the token is another person's, another tenant's or for another application: it is no
    /// word about the member whom it was asked for.
    #[must_use]
    pub fn is_about_somebody_else(&self) -> bool {
        match self {
            Self::Issuer
            | Self::Audience
            | Self::AuthorizedParty
            | Self::Nonce
            | Self::Tenant
            | Self::Subject
            | Self::Policy
            | Self::Guest => true,
            // Neither is one that says who it is about in no way that can be read.
            Self::Type { name } => {
                let of_identity = ["iss", "aud", "azp", "sub", "tid", "oid", "nonce", "tfp", "acr"];
                of_identity.contains(name)
            }
            Self::TooLong
            | Self::Malformed
            | Self::Repeated
            | Self::Algorithm
            | Self::CriticalHeader
            | Self::KeyMissing
            | Self::KeyUnknown
            | Self::KeyIssuer
            | Self::Signature
            | Self::Expired
            | Self::NotYetValid
            | Self::TooOld
            | Self::AccessTokenHash
            | Self::Version
            | Self::AuthTimeMissing
            | Self::AuthTime
            | Self::Context => false,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token-too-long",
            Self::Malformed => "token-malformed",
            Self::Repeated => "token-duplicate",
            Self::Algorithm => "token-algorithm",
            Self::CriticalHeader => "token-critical-header",
            Self::KeyMissing => "token-key-missing",
            Self::KeyUnknown => "token-key-unknown",
            Self::KeyIssuer => "token-key-issuer",
            Self::Signature => "token-signature",
            Self::Type { .. } => "token-claim-type",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::AuthorizedParty => "token-authorized-party",
            Self::Expired => "token-expired",
            Self::NotYetValid => "token-not-yet-valid",
            Self::TooOld => "token-too-old",
            Self::Nonce => "token-nonce",
            Self::AccessTokenHash => "token-access-token-hash",
            Self::Tenant => "token-tenant",
            Self::Subject => "token-subject",
            Self::Version => "token-version",
            Self::Policy => "token-policy",
            Self::AuthTimeMissing => "token-auth-time-missing",
            Self::AuthTime => "token-auth-time",
            Self::Context => "token-context",
            Self::Guest => "token-guest",
        }
    }
}

/// The library's texts quote the token, so only the kind of its finding is kept.
impl From<ClaimsVerificationError> for IdTokenError {
    fn from(error: ClaimsVerificationError) -> Self {
        match error {
            ClaimsVerificationError::Expired(_) => Self::Expired,
            ClaimsVerificationError::InvalidAudience(_) => Self::Audience,
            ClaimsVerificationError::InvalidIssuer(_) => Self::Issuer,
            ClaimsVerificationError::InvalidNonce(_) => Self::Nonce,
            ClaimsVerificationError::SignatureVerification(_) => Self::Signature,
            _ => Self::Malformed,
        }
    }
}

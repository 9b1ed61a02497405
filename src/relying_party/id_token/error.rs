//! Why an ID token is not believed.

use openidconnect::ClaimsVerificationError;

use super::{LONGEST, OLDEST};

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Larger than any that is meant.
    #[error("the token is longer than the {LONGEST} bytes that are read")]
    TooLong,
    /// Not a compact JWS of two JSON objects and a signature.
    #[error(
        "the token cannot be read: two JSON objects and a signature, joined by dots, are expected"
    )]
    Malformed,
    /// A member is there twice, or in two spellings that differ by case.
    #[error("the token has a member twice, or in two spellings that differ by case")]
    Repeated,
    /// Another algorithm than RS256 (OIDC-06).
    #[error("the token's `alg` is not RS256, which alone is accepted")]
    Algorithm,
    /// `crit`.
    #[error("the token's header calls extensions critical (`crit`), of which none is understood")]
    CriticalHeader,
    /// No `kid`.
    #[error("the token's header does not name the key that signed it (`kid`)")]
    KeyMissing,
    /// The provider does not publish such a key (OIDC-08).
    #[error("the token's `kid` is of no key that the provider publishes and that can be used")]
    KeyUnknown,
    /// The key is reserved for another issuer (AZ-01).
    #[error("the token's key is published for another issuer than its `iss`")]
    KeyIssuer,
    /// The signature does not fit.
    #[error("the token's signature is not by the key of its `kid`")]
    Signature,
    /// A claim of the wrong type.
    #[error("the token's `{name}` is not {}", shape(name))]
    Type {
        /// Which.
        name: &'static str,
    },
    /// `iss`.
    #[error("the token's `iss` is missing, or not admitted by the provider's configuration")]
    Issuer,
    /// `aud`.
    #[error("the token's `aud` is not the provider's `client_id`, and that alone")]
    Audience,
    /// `azp`.
    #[error("the token's `azp` is another application than the provider's `client_id`")]
    AuthorizedParty,
    /// `exp`.
    #[error("the token's `exp` is missing, or behind our clock by more than `clock_skew`")]
    Expired,
    /// `nbf` or `iat`.
    #[error(
        "the token's `iat` is missing, or it or `nbf` ahead of our clock by more than `clock_skew`"
    )]
    NotYetValid,
    /// `iat`.
    #[error("the token's `iat` is longer than {OLDEST:?} ago, and one of this login is expected")]
    TooOld,
    /// `nonce`.
    #[error("the token's `nonce` is missing, or not the one that the login sent")]
    Nonce,
    /// `at_hash`.
    #[error("the token's `at_hash` is not of the access token, or none came with it")]
    AccessTokenHash,
    /// `tid`.
    #[error(
        "the token's `tid` is missing, or not the tenant of `iss`; is the scope `profile` there?"
    )]
    Tenant,
    /// `sub` or `oid`.
    #[error("the token's `sub` or `oid` is missing, or is no id; is the scope `profile` there?")]
    Subject,
    /// `ver`.
    #[error("the token's `ver` is not that of its kind of provider: 1.0 at Azure AD B2C, else 2.0")]
    Version,
    /// `tfp` or `acr` (AZ-04).
    #[error(
        "the token's `tfp` or `acr` is missing, or not the user flow that the login went through"
    )]
    Policy,
    /// `auth_time` is not there, though the login asked how long ago.
    #[error("the token's `auth_time` is missing, though the login asked for it")]
    AuthTimeMissing,
    /// The person signed in at the provider longer ago than the login asked for.
    #[error(
        "the token's `auth_time` is longer ago than the login asked for, or ahead of our clock"
    )]
    AuthTime,
    /// `acrs` does not name the authentication context that was asked for.
    #[error("the token's `acrs` does not name the authentication context that the login asked for")]
    Context,
    /// A guest, or a personal account (AZ-03).
    #[error("the token's `idp` or `acct` is that of a guest, and `guests` does not admit them")]
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

/// What a claim is expected to be.
fn shape(name: &str) -> &'static str {
    match name {
        "auth_time" | "exp" | "iat" | "nbf" => "a whole number of seconds since 1970",
        _ => "a text",
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

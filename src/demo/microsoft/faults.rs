//! What a test can make go wrong.

use std::time::Duration;

/// What is wrong with an ID token; everything else about it is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `nonce` is of another login.
    WrongNonce,
    /// `aud` is another client.
    WrongAudience,
    /// `iss` is another issuer, `tid` is right.
    WrongIssuer,
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// `alg` is `HS256`, with the published key as its secret.
    Hs256WithPublicKey,
    /// Signed by a key that is not published, with its own `kid`.
    UnknownKey,
    /// Signed by a published key whose `issuer` is that of personal accounts.
    PersonalKey,
    /// One bit of the signature is another.
    BadSignature,
    /// It ended an hour ago.
    Expired,
    /// It begins in two hours.
    NotYetValid,
    /// `tid` and `iss` are of another tenant.
    OtherTenant,
    /// `tfp` is another user flow's.
    OtherPolicy,
    /// There is no `oid`.
    MissingOid,
    /// Nothing is wrong: the token of a guest, whose home is another tenant.
    Guest,
}

/// What the token endpoint does with a call instead of redeeming it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// 401 `invalid_client` with AADSTS7000222, whatever the secret.
    SecretExpired,
    /// 500 with an HTML page.
    ServerError,
    /// It redeems, but later.
    Slow(Duration),
}

/// An error at the redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeError {
    /// `error`.
    pub error: String,
    /// `error_subcode`.
    pub subcode: Option<String>,
    /// `error_description`.
    pub description: Option<String>,
}

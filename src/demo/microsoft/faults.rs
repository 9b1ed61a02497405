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
    /// `auth_time` is a day ago.
    AuthenticatedLongAgo,
    /// Nothing is wrong: the token of a guest, whose home is another tenant.
    Guest,
}

/// What the token endpoint does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// 401 `invalid_client` with AADSTS7000222, whatever the secret.
    SecretExpired,
    /// It refuses with this AADSTS number.
    Refused(u32),
    /// It redeems, and leaves out the access token and how long it is good, as B2C does.
    NoAccessToken,
    /// It redeems, and leaves out the ID token.
    NoIdToken,
    /// What every server can do.
    Trouble(Trouble),
}

/// What any endpoint can do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 500 with an HTML page.
    ServerError,
    /// 503 with an HTML page.
    Unavailable,
    /// 429 with `Retry-After`, in seconds.
    Throttled(u32),
    /// The connection ends without an answer.
    Reset,
    /// The answer breaks off in the middle, and the connection with it.
    Truncated,
    /// 200 with an HTML page.
    Html,
    /// What was asked for, said to be plain text.
    WrongType,
    /// What was asked for, but later.
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

/// What is other than usual until it is set back.
#[derive(Clone, Copy, Debug)]
pub struct Switches {
    /// Every request is answered with 503 and an HTML page.
    pub outage: bool,
    /// How the user flows of B2C are set up.
    pub b2c: B2c,
    /// "ID tokens" of the registration: whether `response_type` may ask for one.
    pub id_tokens: bool,
    /// Whether the application has a signing key of its own, published with `?appid=` alone.
    pub own_key: bool,
    /// Codes of 6,000 characters, as nobody has seen them yet.
    pub long_codes: bool,
    /// By how many milliseconds its clock is ahead.
    pub clock_ahead: i64,
    /// How every key set is answered, if not as usual.
    pub key_sets: Option<Trouble>,
}

/// How the user flows of B2C are set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct B2c {
    /// "Token compatibility": whether the issuer names the policy (`/tfp/…`).
    pub names_policy: bool,
    /// Whether answers of the token endpoint have numbers as text, as old tenants do.
    pub numbers_are_text: bool,
    /// Whether «Forgot your password?» stays within the sign-in, as the recommended flows have it;
    /// else the application is told (AADB2C90118).
    pub resets_within: bool,
}

impl Switches {
    pub(super) const fn new(b2c: B2c) -> Self {
        Self {
            outage: false,
            b2c,
            id_tokens: false,
            own_key: false,
            long_codes: false,
            clock_ahead: 0,
            key_sets: None,
        }
    }
}

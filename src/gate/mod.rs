//! The decision core: values in, values out. No I/O, no clock, no randomness, no logging, and
//! nothing of the rest of this crate, so that it can be tried with a million inputs in a second.

mod answer;
mod asked;
mod claims;
pub mod cookies;
pub mod identity;
pub mod login;
mod path;
mod return_to;
mod route;
mod secret;
mod session;
mod target;
mod time;

pub use asked::{Asked, Purpose};
pub use claims::{Subject, VerifiedClaims};
pub use login::Challenge;
pub use path::{CanonicalPath, PathError};
pub use return_to::ReturnTo;
pub use route::{Access, Mode, Passes, PasswordRoute, PathPattern, PatternError, Policy, Route};
pub use secret::Secret;
pub use session::{Lifetimes, Session, SessionId};
pub use target::RawTarget;
pub use time::Timestamp;

/// What happens to a request.
#[derive(Debug)]
pub enum Decision {
    /// It goes to the portal.
    Forward(Permit),
    /// The visitor signs in first.
    Login(Challenge),
    /// It is for an endpoint of ours.
    Own(Endpoint),
    /// It goes nowhere.
    Refuse(Refusal),
}

/// May this request pass? A pure function of configuration, request, session and time.
#[must_use]
pub fn decide(
    policy: &Policy,
    asked: Asked<'_>,
    session: Option<&Session>,
    now: Timestamp,
) -> Decision {
    if let Some(endpoint) = asked.own_endpoint(&policy.own) {
        return Decision::Own(endpoint);
    }
    let session = session.filter(|session| session.is_live(now) && session.is_for(&policy.host));
    match policy.mode {
        Mode::Off => {
            let route = policy.covering(asked.path(), asked.deny_key());
            let passes = route.map(|route| route.passes).unwrap_or_default();
            Decision::Forward(Permit::new(asked, Bearer::Nobody, passes))
        }
        Mode::Optional => match policy.covering(asked.path(), asked.deny_key()) {
            Some(route) => Decision::Forward(Permit::new(asked, Bearer::of(session), route.passes)),
            None => Decision::Refuse(Refusal::NoRoute),
        },
        Mode::AzureOnly => guard(policy, asked, session),
    }
}

fn guard(policy: &Policy, asked: Asked<'_>, session: Option<&Session>) -> Decision {
    if policy.is_password_route(asked.method(), asked.deny_key()) {
        return Decision::Refuse(Refusal::PasswordRoute);
    }
    if policy.is_login_page(asked.method(), asked.deny_key()) {
        return match session {
            // Another sign-in would end here again; a page says so and leads on.
            Some(_) => Decision::Own(Endpoint::SignedIn),
            None => sign_in(&asked, ReturnTo::root()),
        };
    }
    let Some(route) = policy.covering(asked.path(), asked.deny_key()) else {
        return Decision::Refuse(Refusal::NoRoute);
    };
    match (route.access, session) {
        (Access::Public, _) | (Access::SignedIn, Some(_)) => {
            Decision::Forward(Permit::new(asked, Bearer::of(session), route.passes))
        }
        (Access::SignedIn, None) => {
            let return_to = ReturnTo::parse(asked.target(), &policy.own);
            sign_in(&asked, return_to.unwrap_or_else(ReturnTo::root))
        }
    }
}

/// A page logs in, a background call is refused (OIDC-17).
fn sign_in(asked: &Asked<'_>, return_to: ReturnTo) -> Decision {
    match asked.purpose() {
        Purpose::Page => Decision::Login(Challenge { return_to }),
        Purpose::Background => Decision::Refuse(Refusal::SignInRequired),
    }
}

/// The only key to an upstream, and only [`decide`] makes one: that no request reaches a portal
/// undecided is a fact that the compiler checks.
#[derive(Debug)]
pub struct Permit {
    target: String,
    bearer: Bearer,
    passes: Passes,
}

/// In whose name a permitted request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The member of the session that was judged.
    Member,
    /// Nobody: no identity header is sent.
    Nobody,
}

impl Bearer {
    const fn of(session: Option<&Session>) -> Self {
        match session {
            Some(_) => Self::Member,
            None => Self::Nobody,
        }
    }
}

impl Permit {
    fn new(asked: Asked<'_>, bearer: Bearer, passes: Passes) -> Self {
        Self { target: asked.into_target(), bearer, passes }
    }

    /// The target that was judged, and is to be sent (GEN-01).
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// In whose name it goes.
    #[must_use]
    pub const fn bearer(&self) -> Bearer {
        self.bearer
    }

    /// What passes on its route besides an ordinary request and answer.
    #[must_use]
    pub const fn passes(&self) -> Passes {
        self.passes
    }
}

/// The endpoints of ours, below the prefix (`/.auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `login`: the sign-in page.
    SignIn,
    /// `login/{provider}`: begins a login.
    Login(String),
    /// `login/{provider}/callback`: the redirect URI.
    Callback(String),
    /// `logout`.
    Logout,
    /// `logout/done`: where a federated logout returns to.
    LoggedOut,
    /// `me`: who am I.
    Me,
    /// `jwks.json`: the keys of the assertion.
    Jwks,
    /// What the server can do as a whole: `OPTIONS *` (RFC 9110, section 9.3.7).
    Server,
    /// The portal's login page, asked for by somebody who is signed in.
    SignedIn,
    /// Nothing that we have.
    Unknown,
}

impl Endpoint {
    fn named(rest: &str) -> Self {
        let mut segments = rest.split('/').skip(1);
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("login"), None, ..) => Self::SignIn,
            (Some("login"), Some(provider), None, _) => Self::Login(provider.to_owned()),
            (Some("login"), Some(provider), Some("callback"), None) => {
                Self::Callback(provider.to_owned())
            }
            (Some("logout"), None, ..) => Self::Logout,
            (Some("logout"), Some("done"), None, _) => Self::LoggedOut,
            (Some("me"), None, ..) => Self::Me,
            (Some("jwks.json"), None, ..) => Self::Jwks,
            _ => Self::Unknown,
        }
    }
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No host, two, or two that differ (HOST-01).
    #[error("the request does not name exactly one host")]
    Host,
    /// A host that is not a portal of ours (HOST-01).
    #[error("no portal is configured for this host")]
    UnknownHost,
    /// A method that we do not know (PATH-13).
    #[error("the method is not one that portals are asked with")]
    Method,
    /// Neither a path nor a URL of this portal (PATH-01).
    #[error("the target is neither a path nor a URL of this portal")]
    Target,
    /// A path without a canonical spelling.
    #[error("the path cannot be read in exactly one way: {0}")]
    Path(PathError),
    /// More header fields, or longer ones, than are read (LIM-01).
    #[error("the header fields are too many or too long")]
    HeadTooLarge,
    /// A header that must be there once is there twice (HDR-06).
    #[error("a header that may be there once is there more than once")]
    RepeatedHeader,
    /// No route covers the path (GEN-04).
    #[error("no route of the configuration covers the path")]
    NoRoute,
    /// One of the portal's own password entrances.
    #[error("the portal's own password sign-in is closed")]
    PasswordRoute,
    /// A background call without a session (OIDC-17).
    #[error("the request needs a session, and is not a page that could begin a sign-in")]
    SignInRequired,
}

impl Refusal {
    /// The stable name of this reason: on the page, in the log and in the metric.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Host => "host-ambiguous",
            Self::UnknownHost => "host-unknown",
            Self::Method => "method-unknown",
            Self::Target => "target-form",
            Self::Path(error) => error.code(),
            Self::HeadTooLarge => "head-too-large",
            Self::RepeatedHeader => "header-repeated",
            Self::NoRoute => "no-route",
            Self::PasswordRoute => "local-login-blocked",
            Self::SignInRequired => "sign-in-required",
        }
    }
}

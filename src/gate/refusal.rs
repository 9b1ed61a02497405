//! Every reason why the gate sends a request nowhere.

use super::path::PathError;
use super::requirement::Lack;

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
    PasswordRoute {
        /// Which, by its place in the policy.
        rule: usize,
    },
    /// A member without a right that the route requires.
    #[error("the member {}", .lack.says())]
    Lacks {
        /// Which kind of right.
        lack: Lack,
        /// By which line of the routes, by its place in the policy.
        route: usize,
    },
    /// A background call without a session (OIDC-17).
    #[error("the request needs a session, and is not a page that could begin a sign-in")]
    SignInRequired,
    /// A background call where the sign-in is too long ago.
    #[error("the sign-in is longer ago than the route allows, and this is not a page")]
    SignInTooOld,
    /// A background call where the sign-in is not in the authentication context.
    #[error("the sign-in is not in the route's authentication context, and this is not a page")]
    StepUpRequired,
    /// A broken glass, and a route that requires a right.
    #[error("a break-glass pass does not open what requires a right")]
    BreakGlassClosed,
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
            Self::PasswordRoute { .. } => "local-login-blocked",
            Self::Lacks { lack, .. } => lack.code(),
            Self::SignInRequired => "sign-in-required",
            Self::SignInTooOld => "sign-in-too-old",
            Self::StepUpRequired => "step-up-required",
            Self::BreakGlassClosed => "break-glass-closed",
        }
    }
}

//! What we tell the outside: metrics, access log, audit log, traces, and the admin listener that
//! serves health and metrics.
//!
//! Nothing here is a cookie, a token, a code, a query or a claim (LOG-01): the functions take no
//! such thing. Labels come from closed sets of ours, never from a request, so that a visitor cannot
//! make a time series.

pub mod access_log;
pub mod admin;
pub mod audit;
pub mod log;
pub mod metrics;
pub mod reasons;
pub mod seldom;
pub mod streams;
pub mod traces;

/// What was decided about a request, as logs and metrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It went to the portal, or was to go there.
    Forward,
    /// The visitor was sent to sign in.
    Login,
    /// An endpoint of ours answered.
    Own,
    /// It went nowhere.
    Refuse,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] = [Self::Forward, Self::Login, Self::Own, Self::Refuse];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Login => "login",
            Self::Own => "own",
            Self::Refuse => "refuse",
        }
    }
}

/// An error with its causes, on one line, for the operator.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

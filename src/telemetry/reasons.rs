//! The closed lists of reason codes that metrics have series for. A code that is not here is
//! counted as `other`: nothing is lost, and nobody can make a series by asking for it.

/// Why a request did not simply pass: the gate's refusals, our own endpoints, the upstream.
pub const REASONS: &[&str] = &[
    "host-ambiguous",
    "host-unknown",
    "method-unknown",
    "path-not-absolute",
    "path-character",
    "path-escape",
    "path-encoded-separator",
    "path-utf8",
    "path-segment",
    "path-parameter",
    "path-too-long",
    "header-repeated",
    "no-route",
    "local-login-blocked",
    "sign-in-required",
    "not-found",
    "method-not-allowed",
    "cross-site",
    "request-malformed",
    "request-too-large",
    "upgrade-refused",
    "expectation-failed",
    "overloaded",
    "upstream-unreachable",
    "upstream-timeout",
    "upstream-broken",
    "login-failed",
    "provider-unreachable",
    "internal",
];

/// Why a login did not become a session, beside what the caller of
/// [`Metrics::new`](super::metrics::Metrics::new) adds.
pub const LOGIN_FAILURES: &[&str] = &[
    "login-callback-malformed",
    "login-parameter-repeated",
    "login-state-missing",
    "login-not-pending",
    "login-state-mismatch",
    "login-expired",
    "login-replayed",
    "login-cancelled",
    "login-refused-by-provider",
    "login-loop",
];

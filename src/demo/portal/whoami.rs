//! What the portal received, as JSON: for tests, and for whoever wants to see it.

use http::HeaderMap;
use serde_json::{Value, json};

use super::Seen;

/// Method, target, headers and what the assertion was worth.
pub(super) fn describe(seen: &Seen) -> Value {
    let assertion = match &seen.assertion {
        Ok(verified) => json!({ "verified": true, "claims": verified.claims() }),
        Err(reason) => json!({ "verified": false, "reason": reason.to_string() }),
    };
    json!({
        "method": seen.parts.method.as_str(),
        "target": seen.parts.uri.to_string(),
        "headers": lines(&seen.parts.headers),
        "assertion": assertion,
    })
}

/// The header lines in the order in which they came; lines of one name stand together.
pub(super) fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(line).collect()
}

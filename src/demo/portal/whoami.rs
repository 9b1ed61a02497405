//! `/whoami.json`: exactly what arrived at the portal, for any method.

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::demo::answer::{self, Answer};

/// Says what arrived. Header names are in lower case, in the order in which each came first; a
/// byte that is not UTF-8 is shown as U+FFFD.
pub(super) fn answer(call: &Call) -> Answer {
    let headers = call.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!([name.as_str(), value])
    });
    let assertion = match &call.verification.outcome {
        Ok(claims) => json!({ "verified": true, "claims": claims }),
        Err(refused) => json!({ "verified": false, "reason": refused.code() }),
    };
    let body = json!({
        "method": call.method.as_str(),
        "target": call.uri.to_string(),
        "headers": headers.collect::<Vec<Value>>(),
        "assertion": assertion,
    });
    answer::json(StatusCode::OK, &body)
}

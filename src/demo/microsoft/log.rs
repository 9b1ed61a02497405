//! The latest requests, with their secrets masked.

use http::{Method, StatusCode};

use super::Call;
use crate::demo::story::shortened;
use crate::gate::Timestamp;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Its method.
    pub method: Method,
    /// Its path, which names the endpoint.
    pub path: String,
    /// The parameters of query and form; those that are secret say so instead.
    pub parameters: Vec<(String, String)>,
    /// The status of the answer.
    pub status: StatusCode,
}

/// Parameters that are shown as they are. Whatever is not known to be harmless is not shown.
const PLAIN: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "prompt",
    "grant_type",
    "code_challenge_method",
    "post_logout_redirect_uri",
    "username",
    "cancel",
];
/// Parameters of which the beginning is shown, to tell them apart.
const SHORTENED: &[&str] = &["state", "nonce", "code_challenge"];

impl Entry {
    pub(super) fn new(at: Timestamp, call: &Call, path: &str, status: StatusCode) -> Self {
        let parameters = call.query.iter().chain(call.form.iter()).map(masked);
        Self {
            at,
            method: call.method.clone(),
            path: path.chars().take(200).collect(),
            parameters: parameters.take(40).collect(),
            status,
        }
    }
}

fn masked((name, value): (&str, &str)) -> (String, String) {
    let shown = if PLAIN.contains(&name) {
        value.chars().take(300).collect()
    } else if SHORTENED.contains(&name) {
        shortened(value)
    } else {
        "(masked)".to_owned()
    };
    (name.chars().take(64).collect(), shown)
}

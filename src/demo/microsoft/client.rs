//! Who calls the token endpoint: the application, known by a secret in the form or in an
//! `Authorization: Basic` header, whose parts are form-encoded (RFC 6749, 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use percent_encoding::percent_decode_str;

use super::errors::AadError;
use super::{Call, Microsoft};
use crate::demo::CLIENT_ID;
use crate::gate::Secret;

/// What the caller says of itself.
struct Credentials {
    client_id: String,
    secret: Option<Secret<String>>,
}

/// Checks that the application is the caller.
pub(super) fn authenticate(microsoft: &Microsoft, call: &Call) -> Result<(), AadError> {
    let credentials = Credentials::of(call).ok_or_else(|| AadError::missing("client_id"))?;
    if !credentials.client_id.eq_ignore_ascii_case(CLIENT_ID) {
        return Err(AadError::unknown_application(&credentials.client_id));
    }
    if call.has_origin() {
        return Err(AadError::new(
            9_002_326,
            "invalid_request",
            "Cross-origin token redemption is permitted only for the 'Single-Page Application' \
             client-type.",
        ));
    }
    let Some(given) = credentials.secret else {
        return Err(AadError::new(
            7_000_218,
            "invalid_client",
            "The request body must contain the following parameter: 'client_assertion' or \
             'client_secret'.",
        ));
    };
    let mut registered = microsoft.options.secrets.iter();
    let Some(secret) = registered.find(|secret| secret.value.matches(given.expose())) else {
        return Err(AadError::new(
            7_000_215,
            "invalid_client",
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is \
                 the client secret value, not the client secret ID, for a secret added to app \
                 '{CLIENT_ID}'."
            ),
        ));
    };
    match secret.expires {
        Some(end) if microsoft.now() >= end => Err(secret_expired()),
        _ => Ok(()),
    }
}

pub(super) fn secret_expired() -> AadError {
    AadError::new(
        7_000_222,
        "invalid_client",
        format!(
            "The provided client secret keys for app '{CLIENT_ID}' are expired. Create new keys \
             for your app, or consider using certificate credentials for added security."
        ),
    )
}

impl Credentials {
    fn of(call: &Call) -> Option<Self> {
        if let Some(basic) = Self::of_header(&call.headers) {
            return Some(basic);
        }
        let secret = call.form.get("client_secret");
        Some(Self {
            client_id: call.form.get("client_id")?.to_owned(),
            secret: secret.map(|secret| Secret::new(secret.to_owned())),
        })
    }

    fn of_header(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (client_id, secret) = pair.split_once(':')?;
        let secret = form_decoded(secret);
        Some(Self {
            client_id: form_decoded(client_id),
            secret: (!secret.is_empty()).then(|| Secret::new(secret)),
        })
    }
}

fn form_decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

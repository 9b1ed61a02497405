//! Errors as Entra ID words them: `AADSTS…`, with trace id, correlation id and time.

use http::StatusCode;
use http::header::{HeaderName, PRAGMA};
use serde_json::json;

use super::Microsoft;
use super::tenants::Product;
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::gate::Timestamp;

/// An error of Entra ID.
#[derive(Clone, Debug)]
pub(super) struct AadError {
    pub(super) number: u32,
    pub(super) error: &'static str,
    pub(super) text: String,
    pub(super) suberror: Option<&'static str>,
}

impl AadError {
    pub(super) fn new(number: u32, error: &'static str, text: impl Into<String>) -> Self {
        Self { number, error, text: text.into(), suberror: None }
    }

    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        let tenant: String = tenant.chars().take(100).collect();
        Self::new(
            90002,
            "invalid_request",
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID \
                 and are signing into the correct cloud."
            ),
        )
    }

    pub(super) fn unknown_client(client_id: &str) -> Self {
        let client_id: String = client_id.chars().take(100).collect();
        Self::new(
            700_016,
            "unauthorized_client",
            format!("Application with identifier '{client_id}' was not found in the directory."),
        )
    }

    /// What `prompt=none` comes to where nobody is signed in.
    pub(super) fn nobody_is_signed_in(product: Product) -> Self {
        let text = "A silent sign-in request was sent but no user is signed in.";
        let error = match product {
            Product::AzureAdB2c => "interaction_required",
            Product::EntraId | Product::Personal | Product::ExternalId => "login_required",
        };
        Self::new(50058, error, text)
    }

    pub(super) fn declined() -> Self {
        Self::new(65004, "access_denied", "User declined to consent to access the app.")
    }

    pub(super) fn account_disabled() -> Self {
        Self::new(50057, "invalid_grant", "The user account is disabled.")
    }

    pub(super) fn revoked() -> Self {
        let text = "The provided grant has been revoked; a new sign-in is needed.";
        Self { suberror: Some("bad_token"), ..Self::new(50173, "invalid_grant", text) }
    }

    /// An error that somebody asked for by its number, with the `error` that it usually has
    /// (azure.md, section 5.2).
    pub(super) fn planned(number: u32) -> Self {
        let (error, suberror) = match number {
            50012
            | 50027
            | 50048
            | 70002
            | 700_024
            | 700_025
            | 700_027
            | 7_000_214..=7_000_277
            | 1_000_502 => ("invalid_client", None),
            50074 | 50076 | 50078 | 50079 | 50097 => ("interaction_required", Some("basic_action")),
            53000..=53004 | 50131 => ("invalid_grant", Some("message_only")),
            50055 => ("invalid_grant", Some("user_password_expired")),
            65001 => ("invalid_grant", Some("consent_required")),
            65004 => ("access_denied", None),
            50058 => ("login_required", None),
            50105 | 90077 => ("interaction_required", None),
            70001 | 700_016 | 7_000_112 | 1_000_031 => ("unauthorized_client", None),
            70011 | 700_022 | 700_023 => ("invalid_scope", None),
            90033 | 90055 | 50196 => ("temporarily_unavailable", None),
            90012..=90032 | 50000 => ("server_error", None),
            _ => ("invalid_grant", None),
        };
        let text = "The emulator was told to answer with this.";
        Self { suberror, ..Self::new(number, error, text) }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(
            900_144,
            "invalid_request",
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    pub(super) fn repeated(parameter: &str) -> Self {
        let parameter: String = parameter.chars().take(64).collect();
        Self::new(
            9_000_411,
            "invalid_request",
            format!(
                "The request is not properly formatted. The parameter '{parameter}' is duplicated."
            ),
        )
    }

    /// `error_description`, and what it repeats as members of its own.
    pub(super) fn told(&self, now: Timestamp) -> Told {
        let (trace_id, correlation_id) = (random::guid(), random::guid());
        let time = date_and_time(now);
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {time}",
            self.number, self.text
        );
        Told { description, trace_id, correlation_id, time }
    }

    /// The answer of an endpoint that speaks JSON.
    pub(super) fn json(&self, microsoft: &Microsoft) -> Answer {
        let told = self.told(microsoft.now());
        let status = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut body = json!({
            "error": self.error,
            "error_description": told.description,
            "error_codes": [self.number],
            "timestamp": told.time,
            "trace_id": told.trace_id,
            "correlation_id": told.correlation_id,
            "error_uri": format!("{}/error?code={}", microsoft.base, self.number),
        });
        if let (Some(suberror), Some(body)) = (self.suberror, body.as_object_mut()) {
            body.insert("suberror".to_owned(), suberror.into());
        }
        let answer = answer::json(status, &body);
        let answer = answer::with(answer, PRAGMA, "no-cache");
        answer::with(answer, HeaderName::from_static("x-ms-request-id"), &told.trace_id)
    }
}

impl AadError {
    /// Its number at B2C.
    fn number_of_b2c(&self) -> u32 {
        match self.number {
            50058 => 90077,
            50173 => 90129,
            50057 => 90128,
            54005 | 70008 | 70000 => 90080,
            7_000_215 | 7_000_222 => 90081,
            700_005 => 90088,
            7_000_218 => 90079,
            99_027 => 99027,
            501_481 => 90183,
            known @ (90000..=90999 | 99000..=99999) => known,
            _ => 90083,
        }
    }

    /// `error_description` as this product words it (azure.md, sections 2.2 and 3.6).
    pub(super) fn description(&self, product: Product, now: Timestamp) -> String {
        let told = self.told(now);
        match product {
            Product::AzureAdB2c => format!(
                "AADB2C{}: {}\r\nCorrelation ID: {}\r\nTimestamp: {}\r\n",
                self.number_of_b2c(),
                self.text,
                told.correlation_id,
                told.time
            ),
            Product::EntraId | Product::Personal | Product::ExternalId => told.description,
        }
    }

    /// The answer of B2C's token endpoint: two members, and line breaks.
    pub(super) fn json_of_b2c(&self, microsoft: &Microsoft) -> Answer {
        let body = json!({
            "error": self.error,
            "error_description": self.description(Product::AzureAdB2c, microsoft.now()),
        });
        answer::with(answer::json(StatusCode::BAD_REQUEST, &body), PRAGMA, "no-cache")
    }
}

/// An error as it is told once.
pub(super) struct Told {
    pub(super) description: String,
    pub(super) trace_id: String,
    pub(super) correlation_id: String,
    pub(super) time: String,
}

/// `2026-03-02 08:15:30Z`.
pub(super) fn date_and_time(at: Timestamp) -> String {
    at.to_utc_date_time().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_as_a_date() {
        let written = |seconds| date_and_time(Timestamp::from_unix_seconds(seconds));
        assert_eq!(written(0), "1970-01-01 00:00:00Z");
        assert_eq!(written(1_709_210_096), "2024-02-29 12:34:56Z");
        assert_eq!(written(1_772_439_330), "2026-03-02 08:15:30Z");
    }
}

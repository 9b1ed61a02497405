//! Errors as Entra ID words them: `AADSTS…`, with trace id, correlation id and time.

use http::StatusCode;
use http::header::{HeaderName, PRAGMA};
use serde_json::json;

use super::Microsoft;
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::gate::Timestamp;

/// An error of Entra ID.
#[derive(Clone, Debug)]
pub(super) struct AadError {
    pub(super) number: u32,
    pub(super) error: &'static str,
    pub(super) text: String,
}

impl AadError {
    pub(super) fn new(number: u32, error: &'static str, text: impl Into<String>) -> Self {
        Self { number, error, text: text.into() }
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
        let body = json!({
            "error": self.error,
            "error_description": told.description,
            "error_codes": [self.number],
            "timestamp": told.time,
            "trace_id": told.trace_id,
            "correlation_id": told.correlation_id,
            "error_uri": format!("{}/error?code={}", microsoft.base, self.number),
        });
        let answer = answer::json(status, &body);
        let answer = answer::with(answer, PRAGMA, "no-cache");
        answer::with(answer, HeaderName::from_static("x-ms-request-id"), &told.trace_id)
    }
}

impl AadError {
    /// The same as B2C words it (azure.md, section 3.6): two members, and line breaks.
    pub(super) fn json_of_b2c(&self, microsoft: &Microsoft) -> Answer {
        let number = match self.number {
            54005 | 70008 | 70000 => 90080,
            7_000_215 | 7_000_222 => 90081,
            700_005 => 90088,
            7_000_218 => 90079,
            501_481 => 90183,
            _ => 90083,
        };
        let told = self.told(microsoft.now());
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "AADB2C{number}: {}\r\nCorrelation ID: {}\r\nTimestamp: {}\r\n",
                self.text, told.correlation_id, told.time
            ),
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
    let seconds = at.unix_seconds();
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a civil date, in eras of 400 years that begin on the first of March.
    let day = days + 719_468;
    let era = day.div_euclid(146_097);
    let day = day.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
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

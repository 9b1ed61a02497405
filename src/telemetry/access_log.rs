//! One event a request, written in one place. Never the query, a cookie or a claim (LOG-01): there
//! is no field for them.

use std::time::Duration;

use super::Verdict;
use super::log::Shown;

/// The target of access events, by which they are switched on and off.
pub const TARGET: &str = "anteport::access";

/// As much of a path as a line shows.
const LONGEST_PATH: usize = 512;

/// What is noted of a request.
#[derive(Debug)]
pub struct Access<'a> {
    /// The request's id, which the visitor's page shows too.
    pub request_id: &'a str,
    /// Its trace, if it is traced.
    pub trace_id: Option<&'a str>,
    /// The portal's name, if one was found.
    pub portal: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The canonical path, without the query; what could not be read has none.
    pub path: Option<&'a str>,
    /// What was decided.
    pub verdict: Verdict,
    /// The reason code, if there is one.
    pub code: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// From the request's head to the head of the answer.
    pub duration: Duration,
}

/// Writes an access event. Costs one look-up when they are off.
pub fn write(access: &Access<'_>) {
    tracing::info!(
        target: TARGET,
        {
            request.id = access.request_id,
            trace_id = access.trace_id,
            portal = access.portal,
            http.request.method = %Shown::new(access.method, 32),
            url.path = access.path.map(|path| tracing::field::display(Shown::new(path, LONGEST_PATH))),
            decision = access.verdict.as_str(),
            code = access.code,
            http.response.status_code = access.status,
            duration_ms = millis(access.duration),
        },
        "request"
    );
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

//! Spans as OTLP has them in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`), with the
//! names of OpenTelemetry's conventions for HTTP. Ids are hexadecimal, 64-bit numbers are strings and
//! enums are numbers, as OTLP says of JSON. Never a query, a header or a claim (LOG-01): there is
//! nothing here that holds one.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::context::hex;
use super::span::{Finished, Step, What};
use crate::gate::Timestamp;
use crate::telemetry::log::Shown;

/// As much of a path as a span shows.
const LONGEST_PATH: usize = 512;

const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// Who says it.
#[derive(Debug)]
pub(super) struct Resource {
    /// What the collector calls us.
    pub(super) service: String,
    /// This process among its like.
    pub(super) instance: String,
}

impl Resource {
    /// A request to the collector.
    pub(super) fn request(&self, batch: &[Finished]) -> Value {
        let spans: Vec<Value> = batch.iter().flat_map(spans).collect();
        let version = env!("CARGO_PKG_VERSION");
        json!({ "resourceSpans": [{
            "resource": { "attributes": [
                text("service.name", &self.service),
                text("service.version", version),
                text("service.instance.id", &self.instance),
            ]},
            "scopeSpans": [{
                "scope": { "name": env!("CARGO_PKG_NAME"), "version": version },
                "spans": spans,
            }],
        }]})
    }
}

fn spans(finished: &Finished) -> Vec<Value> {
    let mut all = vec![own(finished)];
    all.extend(finished.steps.iter().map(|step| child(finished, step)));
    all
}

/// The request itself.
fn own(finished: &Finished) -> Value {
    let method = method(finished);
    let mut attributes = vec![
        text("http.request.method", method),
        text("request.id", &finished.request_id),
        text("decision", finished.verdict.as_str()),
    ];
    let shown = finished.path.as_deref().map(|path| Shown::new(path, LONGEST_PATH).to_string());
    let (host, port) = match finished.portal.as_deref() {
        Some(portal) => host_and_port(portal),
        None => (None, None),
    };
    for (name, value) in [
        ("url.path", shown.as_deref()),
        ("url.scheme", finished.scheme),
        ("server.address", host),
        ("portal", finished.portal.as_deref()),
        ("code", finished.code),
    ] {
        attributes.extend(value.map(|value| text(name, value)));
    }
    attributes.extend(port.map(|port| number("server.port", port)));
    if finished.status != 0 {
        attributes.push(number("http.response.status_code", finished.status));
    }
    // By the conventions a visitor's fault is an error of theirs, and the span's status says ours.
    if let Some(code) = finished.code.filter(|_| finished.status >= 400) {
        attributes.push(text("error.type", code));
    }
    let mut span = span(finished, &finished.own.span, finished.parent.as_ref());
    let name = if method == OTHER { "HTTP" } else { method };
    fill(&mut span, name, SERVER, attributes, (Duration::ZERO, finished.took), finished.began);
    if finished.status >= 500 || finished.status == 0 {
        set_error(&mut span);
    }
    span
}

/// What was waited for.
fn child(finished: &Finished, step: &Step) -> Value {
    let (name, mut attributes) = match &step.what {
        What::Portal => {
            let method = method(finished);
            let mut attributes = vec![text("http.request.method", method)];
            let portal = finished.portal.as_deref();
            attributes.extend(portal.map(|portal| text("portal", portal)));
            if step.error.is_none() && finished.status != 0 {
                attributes.push(number("http.response.status_code", finished.status));
            }
            (if method == OTHER { "HTTP" } else { method }.to_owned(), attributes)
        }
        What::Provider { call, name } => {
            (format!("provider {call}"), vec![text("provider", name), text("call", call)])
        }
        What::Directory(call) => (format!("directory {call}"), vec![text("call", call)]),
        What::SessionStore(call) => (format!("session_store {call}"), vec![text("call", call)]),
    };
    attributes.extend(step.error.map(|error| text("error.type", error)));
    let mut span = span(finished, &step.span, Some(&finished.own.span));
    fill(&mut span, &name, CLIENT, attributes, (step.after, step.took), finished.began);
    if step.error.is_some() {
        set_error(&mut span);
    }
    span
}

fn span(finished: &Finished, id: &[u8; 8], parent: Option<&[u8; 8]>) -> Value {
    let mut span = json!({ "traceId": hex(&finished.own.trace), "spanId": hex(id) });
    if let (Some(parent), Some(span)) = (parent, span.as_object_mut()) {
        span.insert("parentSpanId".to_owned(), hex(parent).into());
    }
    span
}

fn fill(
    span: &mut Value,
    name: &str,
    kind: u8,
    attributes: Vec<Value>,
    (after, took): (Duration, Duration),
    began: Timestamp,
) {
    let Some(span) = span.as_object_mut() else {
        return;
    };
    let begin = nanos(began).saturating_add(after.as_nanos());
    let end = begin.saturating_add(took.as_nanos());
    for (key, value) in [
        ("name", name.into()),
        ("kind", kind.into()),
        ("startTimeUnixNano", begin.to_string().into()),
        ("endTimeUnixNano", end.to_string().into()),
        ("attributes", attributes.into()),
    ] {
        span.insert(key.to_owned(), value);
    }
}

fn set_error(span: &mut Value) {
    if let Some(span) = span.as_object_mut() {
        span.insert("status".to_owned(), json!({ "code": ERROR }));
    }
}

fn nanos(moment: Timestamp) -> u128 {
    u128::try_from(moment.unix_millis()).unwrap_or_default().saturating_mul(1_000_000)
}

/// What the conventions call a method that is none of HTTP's own.
const OTHER: &str = "_OTHER";

fn method(finished: &Finished) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::CONNECT, "CONNECT"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::TRACE, "TRACE"),
        (Method::PATCH, "PATCH"),
    ];
    let found = known.iter().find(|(known, _)| Some(known) == finished.method.as_ref());
    found.map_or(OTHER, |(_, name)| name)
}

/// Of `members.example.org`, `localhost:8080` or `[::1]:8080`.
fn host_and_port(portal: &str) -> (Option<&str>, Option<u16>) {
    match portal.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (Some(host), port.parse().ok()),
        _ => (Some(portal), None),
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u16) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

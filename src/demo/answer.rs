//! The answers that the partners give: pages, JSON, redirects.

use std::convert::Infallible;

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

/// A body of ours: it cannot fail.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer of ours.
pub(super) type Answer = Response<Body>;

/// A page that runs no script and loads nothing but its own style.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Answer {
    page_under("form-action 'self'", status, template)
}

/// A page whose policy allows `more`.
pub(super) fn page_under(more: &str, status: StatusCode, template: &impl Template) -> Answer {
    let policy = format!(
        "default-src 'none'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
         base-uri 'none'; frame-ancestors 'none'; {more}"
    );
    let html = template.render().unwrap_or_else(|error| error.to_string());
    let answer = bytes(status, "text/html; charset=utf-8", html);
    let answer = with(answer, CACHE_CONTROL, "no-store");
    let answer = with(answer, REFERRER_POLICY, "no-referrer");
    with(answer, CONTENT_SECURITY_POLICY, &policy)
}

/// A JSON document.
pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    let answer = bytes(status, "application/json; charset=utf-8", value.to_string());
    with(answer, CACHE_CONTROL, "no-store, no-cache")
}

/// A style sheet.
pub(super) fn style(text: &'static str) -> Answer {
    let answer = bytes(StatusCode::OK, "text/css; charset=utf-8", text);
    with(answer, CACHE_CONTROL, "max-age=300")
}

/// A redirect after which the browser sends a GET.
pub(super) fn redirect(location: &str) -> Answer {
    let answer = bytes(StatusCode::FOUND, "text/plain", "");
    let answer = with(answer, CACHE_CONTROL, "no-store");
    let answer = with(answer, REFERRER_POLICY, "no-referrer");
    with(answer, LOCATION, location)
}

/// Any content.
pub(super) fn bytes(status: StatusCode, kind: &str, content: impl Into<Bytes>) -> Answer {
    stream(status, kind, Full::new(content.into()).boxed_unsync())
}

/// A body that is made while it is sent.
pub(super) fn stream(status: StatusCode, kind: &str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, kind);
    with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// The answer with one header set; a value that is none is left out.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// The answer with one header more.
pub(super) fn and(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(name, value);
    }
    answer
}

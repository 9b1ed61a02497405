//! A portal's answer: its head, and the body as it comes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::UpstreamError;
use super::answer_body::Http1Body;
use super::exchange::{Connection, Sending};
use super::http2::{Http2Body, OnLine};
use super::pool::Place;
use super::wire::Head;
use crate::gate::identity;

/// A portal's answer: its head, and the body as it comes.
pub struct Answer {
    head: Response<()>,
    announced: Option<HeaderValue>,
    body: AnswerBody,
}

/// Without the portal's headers: there are cookies in them (LOG-01).
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.head.status();
        f.debug_struct("Answer").field("status", &status).finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer whose head has come on this connection.
    pub(super) fn on(
        connection: Box<Connection>,
        head: Head,
        sending: Sending,
        place: Place,
        passes_trailers: bool,
    ) -> Self {
        let content = (head.content, head.keeps_open);
        let body = Http1Body::new(connection, content, sending, place, passes_trailers);
        let announced = head.announced.map(HeaderValue::from);
        let head = Response::from_parts(head.parts, ());
        Self { head, announced, body: AnswerBody(Kind::Http1(body)) }
    }

    /// An answer in HTTP/2.
    pub(super) fn in_http2(
        answer: Response<Incoming>,
        on_line: OnLine,
        method: &Method,
        place: Place,
        passes_trailers: bool,
    ) -> Self {
        let (parts, body) = answer.into_parts();
        let is_announced = method == Method::HEAD;
        let announced = parts.headers.get(header::CONTENT_LENGTH).filter(|_| is_announced).cloned();
        let body = Http2Body::new(body, place, on_line, passes_trailers);
        let body = AnswerBody(Kind::Http2(Box::new(body)));
        Self { head: Response::from_parts(parts, ()), announced, body }
    }

    /// Without what a portal must not say; framing is ours again from here on (HTTP-01).
    pub(super) fn cleansed(mut self) -> Self {
        identity::cleanse_answer(self.head.headers_mut());
        let may_say = self.head.status() != StatusCode::NO_CONTENT;
        if let Some(length) = self.announced.take().filter(|_| may_say) {
            self.head.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        self
    }

    /// Its headers, as the visitor gets them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// Head and body.
    #[must_use]
    pub fn into_parts(self) -> (Response<()>, AnswerBody) {
        (self.head, self.body)
    }
}

/// The body of a portal's answer. Where it is cut short, it ends as an error (HTTP-06). Trailers
/// are dropped unless the route lets them pass (HDR-07).
#[derive(Debug)]
pub struct AnswerBody(Kind);

#[derive(Debug)]
enum Kind {
    Http1(Http1Body),
    Http2(Box<Http2Body>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.0 {
            Kind::Http1(body) => Pin::new(body).poll_frame(cx),
            Kind::Http2(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Http1(body) => body.size_hint(),
            Kind::Http2(body) => body.size_hint(),
        }
    }
}

//! One request and its answer: the request is judged and sent on while its body is read, then the
//! answer is written while it comes. Both happen in the connection's task, each as far as the
//! other side takes it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Response, StatusCode, Version, header};
use hyper::body::Body as _;
use tokio::time::Instant;

use super::connection::{After, Connection};
use super::inlet::Inlet;
use super::outbox::{Framing, Says};
use super::tunnel::Tunnelled;
use super::{Transport, Unread};
use crate::gate::RawTarget;
use crate::http1::request::RequestHead;
use crate::server::account::{Account, Body};
use crate::server::farewell::Farewell;
use crate::server::peer::Peer;
use crate::server::request::Head;
use crate::server::respond;
use crate::upstream::{BodyError, RequestBody};

/// What the way of an answer depends on.
#[derive(Clone, Copy)]
struct Asking {
    is_head: bool,
    version: Version,
    keeps_open: bool,
    /// Whether the visitor reads trailers (RFC 9110, section 10.1.4).
    takes_trailers: bool,
}

/// How it went with the visitor's side of an exchange.
enum Visitor {
    /// Something was read that somebody waits for.
    Sent,
    /// Nothing, yet.
    Silent,
    Gone,
}

/// How an answer could not be given.
struct Broken;

impl<I: Transport> Connection<I> {
    /// Answers one request.
    pub(super) async fn exchange(&mut self, peer: &Peer, head: RequestHead) -> After {
        let asking = Asking {
            is_head: head.method == Method::HEAD,
            version: head.version,
            keeps_open: head.keeps_open,
            takes_trailers: takes_trailers(&head.headers),
        };
        let (mut inlet, body) = match head.content.is_at_end() {
            true => (None, RequestBody::empty()),
            false => {
                let (inlet, body) = Inlet::new(head.content, head.awaits_continue);
                (Some(inlet), RequestBody::streaming(body))
            }
        };
        let target = RawTarget::Line(head.target);
        let (method, version, headers) = (head.method, head.version, head.headers);
        let head = Head { method, target, version, headers };
        let worker = std::sync::Arc::clone(&self.worker);
        let response = {
            let mut handling = pin!(worker.handle(peer, head, body));
            poll_fn(|cx| {
                loop {
                    if let Poll::Ready(response) = handling.as_mut().poll(cx) {
                        return Poll::Ready(Some(response));
                    }
                    match self.poll_visitor(cx, inlet.as_mut(), true) {
                        Visitor::Sent => {}
                        Visitor::Silent => return Poll::Pending,
                        Visitor::Gone => return Poll::Ready(None),
                    }
                }
            })
            .await
        };
        match response {
            Some(response) => self.answer(asking, response, inlet).await,
            None => After::Gone,
        }
    }

    /// Says that there was no request, and closes (HTTP-02, HTTP-03).
    pub(super) async fn refuse(&mut self, unread: Unread) -> After {
        let account = Account::unread(&self.worker.proxy);
        let response = respond::unread(unread, account);
        let asking = Asking {
            is_head: false,
            version: Version::HTTP_11,
            keeps_open: false,
            takes_trailers: false,
        };
        self.answer(asking, response, None).await
    }

    async fn answer(
        &mut self,
        asking: Asking,
        response: Response<Body>,
        mut inlet: Option<Inlet>,
    ) -> After {
        let (mut parts, mut body) = response.into_parts();
        if parts.status.is_informational() {
            let Some(io) = body.take_tunnel() else { return After::Cut };
            self.out.switching(&parts.headers);
            return match poll_fn(|cx| self.poll_flush(cx)).await {
                Ok(()) => {
                    let io = Box::new(Farewell::new(io, &self.shutdown));
                    After::Tunnel(Box::new(Tunnelled::new(io, body)))
                }
                Err(Broken) => After::Cut,
            };
        }
        let framing = framing(asking, parts.status, &body);
        let is_hopeless = inlet.as_ref().is_some_and(|inlet| inlet.is_hopeless(self.limits()));
        let closes =
            !asking.keeps_open || framing == Framing::UntilClose || is_hopeless || self.is_last();
        let says = match asking.version {
            _ if closes => Says::Close,
            Version::HTTP_10 => Says::KeepAlive,
            _ => Says::Nothing,
        };
        if framing == Framing::Bodiless {
            announce(&mut parts, asking, &body);
        }
        let now = self.worker.proxy.clock.now();
        self.out.head(parts.status, &parts.headers, framing, says, now);
        // Its memory serves the next request.
        parts.headers.clear();
        self.spare = parts.headers;
        // An answer is accounted for once its body has ended.
        let mut body = Some(body).filter(|_| framing != Framing::Bodiless);
        let mut left = match framing {
            Framing::Length(length) => length,
            Framing::Bodiless | Framing::Chunked | Framing::UntilClose => u64::MAX,
        };
        let written = poll_fn(|cx| {
            loop {
                let to_write = (&mut left, framing);
                let written = self.poll_answer(cx, &mut body, to_write, asking.takes_trailers);
                if let Poll::Ready(written) = written {
                    return Poll::Ready(Some(written));
                }
                match self.poll_visitor(cx, inlet.as_mut(), false) {
                    Visitor::Sent => {}
                    Visitor::Silent => return Poll::Pending,
                    Visitor::Gone => return Poll::Ready(None),
                }
            }
        })
        .await;
        drop(body);
        match written {
            Some(Ok(())) if closes => After::Close,
            Some(Ok(())) => self.after(inlet).await,
            Some(Err(Broken)) if framing == Framing::UntilClose || self.is_stalled => After::Cut,
            Some(Err(Broken)) | None => After::Gone,
        }
    }

    /// Whether another request may follow: a body that nobody wanted is read to its end, if that
    /// is not far (HTTP-04).
    async fn after(&mut self, inlet: Option<Inlet>) -> After {
        let Some(mut inlet) = inlet else { return After::Open };
        if inlet.is_clean() {
            return After::Open;
        }
        if inlet.is_hopeless(self.limits()) {
            return After::Close;
        }
        let limits = *self.limits();
        let mut left = limits.drain_bytes;
        let until = Instant::now() + limits.drain_time;
        let drained = tokio::time::timeout_at(until, async {
            loop {
                let before = self.read.len();
                while inlet.discard(&mut self.read) {}
                match left.checked_sub(before - self.read.len()) {
                    Some(less) => left = less,
                    None => return false,
                }
                if inlet.is_over() {
                    return inlet.is_clean();
                }
                if !matches!(poll_fn(|cx| self.poll_read(cx)).await, Ok(true)) {
                    return false;
                }
            }
        });
        if drained.await == Ok(true) { After::Open } else { After::Close }
    }

    /// Reads of the body as much as somebody waits for. Without a body to read it only notices a
    /// visitor who goes away, whom nobody needs to wait for an answer for.
    fn poll_visitor(
        &mut self,
        cx: &mut Context<'_>,
        inlet: Option<&mut Inlet>,
        may_ask: bool,
    ) -> Visitor {
        let Some(inlet) = inlet.filter(|inlet| !inlet.is_over()) else {
            return match self.poll_read_ahead(cx) {
                Poll::Pending | Poll::Ready(true) => Visitor::Silent,
                Poll::Ready(false) => Visitor::Gone,
            };
        };
        if !inlet.is_wanted(cx) {
            return Visitor::Silent;
        }
        // Once the answer has begun it is too late for the other one.
        if may_ask && inlet.take_owed_continue() && self.read.is_empty() {
            self.out.ask_for_body();
        }
        if may_ask && !self.out.is_empty() {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Broken)) => return Visitor::Gone,
                Poll::Pending => return Visitor::Silent,
            }
        }
        loop {
            if inlet.feed(cx, &mut self.read) {
                return Visitor::Sent;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(true)) => continue,
                // Whoever half-closes in the middle of a body may still read what we say to that.
                Poll::Ready(_) => inlet.fail(cx, BodyError::Cut),
                Poll::Pending => {
                    if let Some(until) = inlet.begin_wait(&self.worker.proxy.limits) {
                        self.deadline.as_mut().reset(until);
                    }
                    if self.deadline.as_mut().poll(cx).is_pending() {
                        return Visitor::Silent;
                    }
                    inlet.fail(cx, BodyError::Slow);
                }
            }
            return Visitor::Sent;
        }
    }

    /// Puts the body into the outbox as it comes, and writes as much as the visitor takes.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Option<Body>,
        (left, framing): (&mut u64, Framing),
        takes_trailers: bool,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let mut is_waiting = false;
            while let Some(source) = body.as_mut().filter(|_| self.out.has_room()) {
                match Pin::new(&mut *source).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let has_ended =
                            matches!(framing, Framing::Length(_)) && source.is_end_stream();
                        match frame.into_data() {
                            Ok(data) => {
                                // More than the head says would be the next answer (HTTP-06).
                                let Some(less) = left.checked_sub(data.len() as u64) else {
                                    return Poll::Ready(Err(Broken));
                                };
                                *left = less;
                                self.out.piece(data, framing);
                            }
                            Err(frame) => {
                                // They are the last that comes (HDR-07).
                                let trailers = frame.into_trailers().ok();
                                let trailers = trailers.filter(|_| takes_trailers);
                                self.out.end(framing, trailers.as_ref());
                                *body = None;
                            }
                        }
                        if has_ended && *left > 0 {
                            return Poll::Ready(Err(Broken));
                        }
                        if has_ended {
                            *body = None;
                        }
                    }
                    // Cut short: what has come is given, and no end (HTTP-06).
                    Poll::Ready(Some(Err(_))) => {
                        let _ = self.out.poll_write(cx, &mut self.stream);
                        return Poll::Ready(Err(Broken));
                    }
                    // Fewer bytes than the head says: the visitor would wait for the others, and
                    // take the next answer for them.
                    Poll::Ready(None) if matches!(framing, Framing::Length(_)) && *left > 0 => {
                        return Poll::Ready(Err(Broken));
                    }
                    Poll::Ready(None) => {
                        *body = None;
                        self.out.end(framing, None);
                    }
                    Poll::Pending => {
                        is_waiting = true;
                        break;
                    }
                }
            }
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) if body.is_none() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if is_waiting => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                // Whoever takes nothing is not asked for more, and ends with the session all the
                // same (SESS-10).
                Poll::Pending => {
                    return match body.as_mut().map(|body| body.poll_over(cx)) {
                        Some(Poll::Ready(())) => Poll::Ready(Err(Broken)),
                        Some(Poll::Pending) | None => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Writes everything, for as long as the visitor takes anything (LIM-03).
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let written = match self.out.poll_write(cx, &mut self.stream) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_flush(cx),
            other => other,
        };
        match written {
            Poll::Ready(result) => {
                self.is_stalled = false;
                let _ = self.out.has_moved();
                return Poll::Ready(result.map_err(|_| Broken));
            }
            Poll::Pending => {}
        }
        let patience = self.worker.proxy.limits.stall_time;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if self.out.has_moved() || !self.is_stalled {
            self.is_stalled = true;
            stall.as_mut().reset(Instant::now() + patience);
        }
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Broken)),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// How an answer's body is framed (RFC 9112, section 6.3).
fn framing(asking: Asking, status: StatusCode, body: &Body) -> Framing {
    let is_bodiless =
        asking.is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match body.size_hint().exact() {
        _ if is_bodiless => Framing::Bodiless,
        Some(length) => Framing::Length(length),
        None if asking.version == Version::HTTP_10 => Framing::UntilClose,
        None => Framing::Chunked,
    }
}

/// The length that a GET would have: as the portal says it, or that of an answer of ours. A `204`
/// has none (RFC 9110, section 8.6).
fn announce(parts: &mut http::response::Parts, asking: Asking, body: &Body) {
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(header::CONTENT_LENGTH);
    } else if asking.is_head
        && let Some(length) = body.size_hint().exact().filter(|length| *length > 0)
    {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

#[cfg(test)]
mod tests;

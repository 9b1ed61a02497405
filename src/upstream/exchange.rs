//! One request and its answer on one connection, in the request's own task: no other task and no
//! channel lies between the visitor's connection and the portal's.
//!
//! We speak HTTP/1.1 to portals ourselves (`wire`), and not through a library's client half: that
//! one is built to be driven by a task of its own, and handing heads and bodies over costs a
//! quarter of a request. Bodies of both directions move at the same time, each as far as the other
//! side takes it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::Method;
use hyper::body::Body as _;
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::answer::Answer;
use super::pool::Place;
use super::stream::Stream;
use super::wire::{self, Framing, Head, WireError};
use super::{RequestBody, UpstreamError};

/// How much is read from a portal at once, at first; a read that fills it doubles the next one.
const READ: usize = 8 * 1024;
/// See [`READ`].
const LARGEST_READ: usize = 64 * 1024;

/// What holds for one request and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) method: &'a Method,
    /// For the head of an answer to begin.
    pub(super) patience: Duration,
    /// Whether trailers pass on its route (HDR-07).
    pub(super) passes_trailers: bool,
    /// Whether `101` is an answer, because it was asked for (HTTP-08).
    pub(super) may_switch: bool,
}

/// A connection to a portal.
pub(super) struct Connection {
    stream: Stream,
    /// What was read and not yet looked at.
    pub(super) read: BytesMut,
    /// Interim answers to the request of the moment.
    interim: u32,
    appetite: usize,
    /// For an answer to begin or to go on. Kept from request to request: putting off a timer that
    /// is set costs nothing, setting a new one takes a lock.
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Box<Self> {
        let deadline = Box::pin(tokio::time::sleep(Duration::ZERO));
        Box::new(Self { stream, read: BytesMut::new(), interim: 0, appetite: READ, deadline })
    }

    /// Whether an idle connection is still one: not closed, and nobody spoke unasked (HTTP-05).
    pub(super) fn is_still_good(&mut self) -> bool {
        self.read.is_empty() && self.stream.is_quiet()
    }

    /// Sends a request and waits for the head of its answer. `patience` counts from the last piece
    /// of the request that was taken, so that a long upload is no late answer.
    pub(super) async fn run(
        mut self: Box<Self>,
        mut sending: Sending,
        place: Place,
        terms: Terms<'_>,
    ) -> Result<Answer, Failed> {
        match self.read_answer(&mut sending, terms).await {
            Ok(head) => Ok(Answer::on(self, head, sending, place, terms.passes_trailers)),
            Err(error) => {
                let unsent = sending.is_untouched().then_some((sending, place));
                Err(Failed { error, unsent })
            }
        }
    }

    /// The same, up to the head.
    pub(super) async fn read_answer(
        &mut self,
        sending: &mut Sending,
        terms: Terms<'_>,
    ) -> Result<Head, UpstreamError> {
        self.appetite = READ;
        self.interim = 0;
        self.wait_at_most(terms.patience);
        poll_fn(|cx| self.poll_head(cx, sending, terms)).await
    }

    /// The bytes that are to come; those in `read` have come before them.
    pub(super) fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(&mut self.stream)
    }

    /// Puts the deadline off.
    pub(super) fn wait_at_most(&mut self, span: Duration) {
        let now = Instant::now();
        self.deadline.as_mut().reset(now.checked_add(span).unwrap_or(now));
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.as_mut().poll(cx)
    }

    /// Sends as much of a request as can be sent now.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
    ) -> Poll<Result<(), UpstreamError>> {
        sending.poll(cx, &mut self.stream)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        terms: Terms<'_>,
    ) -> Poll<Result<Head, UpstreamError>> {
        // A portal may answer before it has taken the whole request; so a request that cannot be
        // sent on is an error only if no answer comes either.
        let sent = match sending.poll(cx, &mut self.stream) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        };
        if sending.has_moved() {
            self.wait_at_most(terms.patience);
        }
        loop {
            let (read, interim) = (&mut self.read, &mut self.interim);
            if let Some(head) = wire::read_head(read, terms.method, terms.may_switch, interim)? {
                return Poll::Ready(Ok(head));
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    sent?;
                    return Poll::Ready(Err(WireError::Short.into()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => break,
            }
        }
        sent?;
        ready!(self.poll_deadline(cx));
        if sending.awaits_visitor() {
            // The portal cannot answer what it has not got. How slow a visitor may be is for
            // whoever reads from them to say.
            self.wait_at_most(terms.patience);
            return self
                .poll_deadline(cx)
                .map(|()| Err(UpstreamError::ResponseTimeout(terms.patience)));
        }
        Poll::Ready(Err(UpstreamError::ResponseTimeout(terms.patience)))
    }

    /// Reads some more; `false` at the end of the connection.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.read.reserve(self.appetite);
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read))?;
        if count >= self.appetite {
            self.appetite = LARGEST_READ.min(self.appetite * 2);
        }
        Poll::Ready(Ok(count > 0))
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}

const LAST_CHUNK: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// A request without an answer.
pub(super) struct Failed {
    pub(super) error: UpstreamError,
    /// The request itself, if nothing of it was sent (HTTP-07).
    pub(super) unsent: Option<(Sending, Place)>,
}

/// A request on its way to the portal. Its trailers stay behind (HDR-07).
pub(super) struct Sending {
    body: RequestBody,
    is_chunked: bool,
    /// What is to be written, in this order; first of all the head.
    waiting: VecDeque<Bytes>,
    /// Whether anything was written.
    has_begun: bool,
    /// The body has ended and been put into `waiting`.
    is_whole: bool,
    /// What was written has left TLS too.
    is_flushed: bool,
    /// Whether anything moved since somebody looked.
    moved: bool,
}

impl Sending {
    pub(super) fn new(head: Bytes, body: RequestBody, framing: Framing) -> Self {
        let is_whole = body.is_end_stream();
        let is_chunked = framing == Framing::Chunked;
        let mut waiting = VecDeque::with_capacity(4);
        waiting.push_back(head);
        if is_whole && is_chunked {
            waiting.push_back(LAST_CHUNK);
        }
        Self {
            body,
            is_chunked,
            waiting,
            has_begun: false,
            is_whole,
            is_flushed: true,
            moved: false,
        }
    }

    /// Writes as much as the portal takes, and takes as much as the visitor sends.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(), UpstreamError>> {
        loop {
            while !self.waiting.is_empty() {
                let count = ready!(self.poll_write(cx, stream))?;
                self.has_begun = true;
                self.moved = true;
                self.is_flushed = false;
                self.forget(count);
            }
            if !self.is_flushed {
                ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                self.is_flushed = true;
            }
            if self.is_whole {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(UpstreamError::Visitor(error))),
                None => {
                    self.is_whole = true;
                    if self.is_chunked {
                        self.waiting.push_back(LAST_CHUNK);
                    }
                }
            }
        }
    }

    fn take(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        if self.is_chunked {
            self.waiting.push_back(wire::chunk_head(data.len()));
            self.waiting.push_back(data);
            self.waiting.push_back(Bytes::from_static(b"\r\n"));
        } else {
            self.waiting.push_back(data);
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        let stream = Pin::new(stream);
        let mut pieces = self.waiting.iter();
        let count = match (pieces.next(), pieces.next(), pieces.next()) {
            (Some(one), None, _) => ready!(stream.poll_write(cx, one))?,
            (Some(one), Some(two), three) => {
                let three = three.map_or(&b""[..], Bytes::as_ref);
                let slices = [IoSlice::new(one), IoSlice::new(two), IoSlice::new(three)];
                ready!(stream.poll_write_vectored(cx, &slices))?
            }
            (None, ..) => 0,
        };
        match count {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    fn forget(&mut self, mut count: usize) {
        while let Some(first) = self.waiting.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.waiting.pop_front();
        }
    }

    /// Nothing was written; what was taken of the body is still here.
    fn is_untouched(&self) -> bool {
        !self.has_begun
    }

    /// Whether everything that the visitor has sent is with the portal, and there is more to come.
    fn awaits_visitor(&self) -> bool {
        !self.is_whole && self.waiting.is_empty() && self.is_flushed
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_whole && self.waiting.is_empty() && self.is_flushed
    }

    /// Whether anything moved since this was asked last.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }
}

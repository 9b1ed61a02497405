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
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Response, header};
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::pool::Pool;
use super::wire::{self, Content, Framing, Head, Piece, WireError};
use super::{RequestBody, UpstreamError};
use crate::gate::identity;

/// How much is read from a portal at once, at first; a read that fills it doubles the next one.
const READ: usize = 8 * 1024;
/// See [`READ`].
const LARGEST_READ: usize = 64 * 1024;

/// A connection to a portal.
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read and not yet looked at.
    read: BytesMut,
    appetite: usize,
    /// For an answer to begin. Kept from request to request: putting off a timer that is set costs
    /// nothing, setting a new one takes a lock.
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Box<Self> {
        let deadline = Box::pin(tokio::time::sleep(Duration::ZERO));
        Box::new(Self { stream, read: BytesMut::new(), appetite: READ, deadline })
    }

    /// Whether an idle connection is still one: not closed, and nobody spoke unasked (HTTP-05).
    pub(super) fn is_still_good(&self) -> bool {
        let heard = self.stream.try_read(&mut [0]);
        self.read.is_empty() && heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and waits for the head of its answer. `patience` counts from the last piece
    /// of the request that was taken, so that a long upload is no late answer.
    pub(super) async fn run(
        mut self: Box<Self>,
        mut sending: Sending,
        method: &Method,
        patience: Duration,
        pool: &Arc<Pool>,
    ) -> Result<Answer, Failed> {
        self.appetite = READ;
        self.deadline.as_mut().reset(Instant::now() + patience);
        let head = poll_fn(|cx| self.poll_head(cx, &mut sending, method, patience)).await;
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                let unsent = sending.is_untouched().then_some(sending);
                return Err(Failed { error, unsent });
            }
        };
        let mut body = AnswerBody {
            content: head.content,
            keeps_open: head.keeps_open,
            sending: (!sending.is_done()).then(|| Box::new(sending)),
            connection: Some(self),
            pool: Arc::clone(pool),
        };
        if body.content.is_at_end() {
            body.release();
        }
        Ok(Answer { head: Response::from_parts(head.parts, ()), announced: head.announced, body })
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        method: &Method,
        patience: Duration,
    ) -> Poll<Result<Head, UpstreamError>> {
        // A portal may answer before it has taken the whole request; so a request that cannot be
        // sent on is an error only if no answer comes either.
        let sent = match sending.poll(cx, &mut self.stream) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        };
        if std::mem::take(&mut sending.moved) {
            self.deadline.as_mut().reset(Instant::now() + patience);
        }
        loop {
            if let Some(head) = wire::read_head(&mut self.read, method)? {
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
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(UpstreamError::ResponseTimeout(patience)))
    }

    /// Reads some more; `false` at the end of the connection.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
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
    pub(super) unsent: Option<Sending>,
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
        Self { body, is_chunked, waiting, has_begun: false, is_whole, moved: false }
    }

    /// Writes as much as the portal takes, and takes as much as the visitor sends.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut TcpStream,
    ) -> Poll<Result<(), UpstreamError>> {
        loop {
            while !self.waiting.is_empty() {
                let count = ready!(self.poll_write(cx, stream))?;
                self.has_begun = true;
                self.moved = true;
                self.forget(count);
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

    fn poll_write(&self, cx: &mut Context<'_>, stream: &mut TcpStream) -> Poll<io::Result<usize>> {
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

    fn is_done(&self) -> bool {
        self.is_whole && self.waiting.is_empty()
    }
}

/// A portal's answer: its head, and the body as it comes.
#[derive(Debug)]
pub struct Answer {
    head: Response<()>,
    announced: Option<u64>,
    body: AnswerBody,
}

impl Answer {
    /// Without what a portal must not say; framing is ours again from here on (HTTP-01).
    pub(super) fn cleansed(mut self) -> Self {
        let headers = self.head.headers_mut();
        identity::cleanse_answer(headers);
        if let Some(length) = self.announced {
            headers.insert(header::CONTENT_LENGTH, length.into());
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

/// The body of a portal's answer, and what may be left of the request. It holds the connection
/// until both have ended exactly, and closes it otherwise (HTTP-05). Trailers are dropped (HDR-07).
pub struct AnswerBody {
    content: Content,
    keeps_open: bool,
    /// What the portal has not taken yet, if it answered before the request's end.
    sending: Option<Box<Sending>>,
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
}

impl AnswerBody {
    /// The answer has ended: gives the connection back if it is as good as new.
    fn release(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.keeps_open
            && self.sending.as_ref().is_none_or(|sending| sending.is_done())
            && connection.is_still_good()
        {
            self.pool.put(connection, Instant::now());
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, UpstreamError>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(Piece::End));
        };
        // What the portal does not take any more does not spoil the answer that it gives.
        if let Some(sending) = &mut self.sending {
            let _ = sending.poll(cx, &mut connection.stream);
        }
        loop {
            match self.content.next(&mut connection.read).map_err(WireError::from)? {
                Piece::NeedsMore => {}
                piece => return Poll::Ready(Ok(piece)),
            }
            if !ready!(connection.poll_read(cx))? {
                return Poll::Ready(match self.content {
                    Content::UntilClose => Ok(Piece::End),
                    Content::Length(_) | Content::Chunks(_) => Err(WireError::Short.into()),
                });
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let frame = match ready!(self.poll_piece(cx)) {
            Ok(Piece::Data(data)) => {
                if self.content.is_at_end() {
                    self.release();
                }
                Some(Ok(Frame::data(data)))
            }
            Ok(Piece::End | Piece::NeedsMore) => {
                self.release();
                None
            }
            // Cut short: the visitor's answer ends as an error too (HTTP-06).
            Err(error) => {
                self.connection = None;
                self.keeps_open = false;
                Some(Err(error))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        match self.content {
            Content::Length(left) => SizeHint::with_exact(left),
            Content::Chunks(_) | Content::UntilClose => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("content", &self.content).finish_non_exhaustive()
    }
}

//! The body of a request: the connection reads it when somebody asks for it, and hands it over
//! piece by piece. Requests without a body have none of this.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::http1::content::{ChunkError, Content, Piece};
use crate::server::Limits;
use crate::upstream::BodyError;

/// The connection's side.
pub(super) struct Inlet {
    hatch: Arc<Hatch>,
    content: Content,
    /// The visitor waits to be asked for the body.
    owes_continue: bool,
    /// The body ended in an error: nothing that follows can be a request.
    is_broken: bool,
    received: u64,
    /// How long it has been waited for in all, and since when now.
    waited: Duration,
    since: Option<Instant>,
}

/// The side of whoever sends the body on.
pub(super) struct VisitorBody {
    hatch: Arc<Hatch>,
    /// How much is to come, if that is known.
    left: Option<u64>,
}

/// What the two share. The lock is never waited for: both sides live in one thread, mostly in one
/// task.
#[derive(Default)]
struct Hatch(Mutex<Passing>);

#[derive(Default)]
struct Passing {
    next: Option<Result<Bytes, BodyError>>,
    has_ended: bool,
    /// Somebody waits for the next piece.
    is_wanted: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

impl Hatch {
    fn lock(&self) -> MutexGuard<'_, Passing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the waker of whoever polls.
fn keep(kept: &mut Option<Waker>, cx: &Context<'_>) {
    if !kept.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *kept = Some(cx.waker().clone());
    }
}

/// Wakes the other side, unless it is polled by this very task.
fn wake(kept: &mut Option<Waker>, cx: &Context<'_>) {
    if let Some(waker) = kept.take().filter(|waker| !waker.will_wake(cx.waker())) {
        waker.wake();
    }
}

impl Inlet {
    pub(super) fn new(content: Content, owes_continue: bool) -> (Self, VisitorBody) {
        let hatch = Arc::new(Hatch::default());
        let left = match content {
            Content::Length(left) => Some(left),
            Content::Chunks(_) | Content::UntilClose => None,
        };
        let body = VisitorBody { hatch: Arc::clone(&hatch), left };
        let inlet = Self {
            hatch,
            content,
            owes_continue,
            is_broken: false,
            received: 0,
            waited: Duration::ZERO,
            since: None,
        };
        (inlet, body)
    }

    /// Whether the next piece is waited for; whoever polls is woken once it is.
    pub(super) fn is_wanted(&mut self, cx: &Context<'_>) -> bool {
        let mut passing = self.hatch.lock();
        keep(&mut passing.connection, cx);
        passing.is_wanted
    }

    /// Whether nothing more is to be read for it.
    pub(super) fn is_over(&self) -> bool {
        self.is_broken || self.content.is_at_end()
    }

    /// Whether it was read to its end, so that another request may follow.
    pub(super) fn is_clean(&self) -> bool {
        !self.is_broken && self.content.is_at_end()
    }

    /// Whether its end is not worth reading for: too much to come, or perhaps nothing at all.
    pub(super) fn is_hopeless(&self, limits: &Limits) -> bool {
        let is_abandoned = Arc::strong_count(&self.hatch) == 1;
        let is_large = match self.content {
            Content::Length(left) => left > limits.drain_bytes as u64,
            Content::Chunks(_) | Content::UntilClose => false,
        };
        self.is_broken || self.owes_continue || (is_abandoned && is_large)
    }

    /// Whether the visitor is to be asked for the body now; said once.
    pub(super) fn take_owed_continue(&mut self) -> bool {
        std::mem::take(&mut self.owes_continue)
    }

    /// Hands over what was read; `false` if more has to be read first.
    pub(super) fn feed(&mut self, cx: &Context<'_>, read: &mut BytesMut) -> bool {
        match self.next_piece(read) {
            Ok(Piece::Data(data)) => {
                self.received = self.received.saturating_add(data.len() as u64);
                if let Some(since) = self.since.take() {
                    self.waited += since.elapsed();
                }
                self.pass(cx, Some(Ok(data)));
            }
            Ok(Piece::End) => self.pass(cx, None),
            Ok(Piece::NeedsMore | Piece::Trailer(_)) => return false,
            Err(_) => self.fail(cx, BodyError::Chunk),
        }
        true
    }

    /// Trailers of requests stay behind (HDR-07).
    fn next_piece(&mut self, read: &mut BytesMut) -> Result<Piece, ChunkError> {
        loop {
            match self.content.next(read)? {
                Piece::Trailer(_) => {}
                piece => return Ok(piece),
            }
        }
    }

    /// There will be no more.
    pub(super) fn fail(&mut self, cx: &Context<'_>, error: BodyError) {
        self.is_broken = true;
        self.pass(cx, Some(Err(error)));
    }

    /// Reads on for nobody; `false` if more has to be read first, or ever.
    pub(super) fn discard(&mut self, read: &mut BytesMut) -> bool {
        match self.next_piece(read) {
            Ok(Piece::Data(_)) => true,
            Ok(Piece::End | Piece::NeedsMore | Piece::Trailer(_)) => false,
            Err(_) => {
                self.is_broken = true;
                false
            }
        }
    }

    /// Until when the next piece has to come, for a wait that begins now; `None` if it has begun
    /// before.
    pub(super) fn begin_wait(&mut self, limits: &Limits) -> Option<Instant> {
        if self.since.is_some() {
            return None;
        }
        let now = Instant::now();
        self.since = Some(now);
        let left = limits.patience(self.received).saturating_sub(self.waited);
        Some(now + left.min(limits.body_idle))
    }

    fn pass(&self, cx: &Context<'_>, next: Option<Result<Bytes, BodyError>>) {
        let mut passing = self.hatch.lock();
        passing.has_ended |= next.is_none();
        passing.next = next;
        passing.is_wanted = false;
        wake(&mut passing.reader, cx);
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut passing = self.hatch.lock();
        if !passing.has_ended && passing.next.is_none() {
            passing.next = Some(Err(BodyError::Cut));
        }
        if let Some(reader) = passing.reader.take() {
            reader.wake();
        }
    }
}

impl Body for VisitorBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let mut passing = self.hatch.lock();
        match passing.next.take() {
            Some(Ok(data)) => {
                drop(passing);
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None if passing.has_ended => Poll::Ready(None),
            None => {
                passing.is_wanted = true;
                keep(&mut passing.reader, cx);
                wake(&mut passing.connection, cx);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

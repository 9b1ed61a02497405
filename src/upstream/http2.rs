//! HTTP/2 towards a portal: few connections, each with many requests at a time, driven by tasks of
//! their own. The protocol itself is `hyper`'s. Deliberately not here: WebSockets (RFC 8441).

use std::error::Error as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep};

use super::UpstreamError;
use super::limits;
use super::pool::Place;
use super::request_body::{BodyError, RequestBody};
use super::stream::Stream;
use crate::gate::identity;

/// One worker's connections to one server. The lock is the worker's own.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Vec<Line>>);

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Line {
    sender: SendRequest<Outgoing>,
    /// Requests on it.
    streams: Arc<AtomicUsize>,
    /// How many the portal allows.
    allowed: Arc<AtomicUsize>,
    last_used: Instant,
}

/// A request on its way.
pub(super) type Sent = Request<Outgoing>;

/// A request without an answer.
pub(super) enum Failed {
    /// Nothing of it was sent: here it is again.
    Unsent(UpstreamError, Box<Sent>),
    /// The portal said that it did nothing about it (RFC 9113, sections 6.8 and 8.7).
    Unprocessed(UpstreamError),
    /// It may have been acted upon.
    Lost(UpstreamError),
}

impl Failed {
    pub(super) fn into_error(self) -> UpstreamError {
        match self {
            Self::Unsent(error, _) | Self::Unprocessed(error) | Self::Lost(error) => error,
        }
    }
}

impl Lines {
    /// The least busy connection; `None` if another one should be made. One on which the portal
    /// allows no more is as busy as can be: who waits there waits for somebody else's answer.
    pub(super) fn take(&self) -> Option<Line> {
        let mut lines = self.lock();
        lines.retain(|line| !line.sender.is_closed());
        let is_full = lines.len() >= limits::HTTP2_CONNECTIONS;
        let busy = |line: &&mut Line| {
            let (streams, allowed) = (line.streams(), line.allowed.load(Ordering::Relaxed));
            (streams >= limits::HTTP2_STREAMS.min(allowed), streams)
        };
        let line = lines.iter_mut().min_by_key(busy)?;
        if !is_full && busy(&line).0 {
            return None;
        }
        line.last_used = Instant::now();
        Some(line.clone())
    }

    /// Speaks HTTP/2 on a new connection, and keeps it if there is room.
    pub(super) async fn open(&self, stream: Stream) -> Result<Line, UpstreamError> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
            .max_frame_size(limits::HTTP2_FRAME)
            .max_header_list_size(limits::HTTP2_HEADERS)
            .max_send_buf_size(limits::HTTP2_SEND_BUFFER)
            // Until the portal has said how many it allows.
            .initial_max_send_streams(1)
            .max_concurrent_reset_streams(limits::HTTP2_RESETS)
            .max_pending_accept_reset_streams(limits::HTTP2_RESETS)
            .max_local_error_reset_streams(limits::HTTP2_RESETS)
            .keep_alive_interval(limits::HTTP2_PING_EVERY)
            .keep_alive_timeout(limits::HTTP2_PING_TIME)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Exchange)?;
        let allowed = Arc::new(AtomicUsize::new(1));
        let told = Arc::clone(&allowed);
        // Its end is told to every request on it.
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let _ = std::future::poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                ended
            })
            .await;
        });
        let line = Line { sender, streams: Arc::default(), allowed, last_used: Instant::now() };
        let mut lines = self.lock();
        if lines.len() < limits::HTTP2_CONNECTIONS {
            lines.push(line.clone());
        }
        Ok(line)
    }

    /// Closes what has been idle for a while; returns how many idle ones there are.
    pub(super) fn tidy(&self) -> usize {
        let is_idle = |line: &Line| line.streams() == 0;
        let mut lines = self.lock();
        lines.retain(|line| !is_idle(line) || line.last_used.elapsed() < limits::LONGEST_IDLE);
        lines.iter().filter(|line| is_idle(line)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of its answer, for `patience` since the portal took
    /// something of it.
    pub(super) async fn run(
        mut self,
        request: Sent,
        patience: Duration,
    ) -> Result<(Response<Incoming>, OnLine), Failed> {
        let progress = Arc::clone(&request.body().progress);
        let on_line = OnLine::new(&self.streams, &progress);
        let answer = self.sender.try_send_request(request);
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => {
                    return match answer {
                        Ok(answer) => Ok((answer, on_line)),
                        Err(mut failed) => Err(match failed.take_message() {
                            Some(request) => {
                                let error = UpstreamError::Exchange(failed.into_error());
                                Failed::Unsent(error, Box::new(request))
                            }
                            None => progress.judge(failed.into_error()),
                        }),
                    };
                }
                () = sleep(patience) => {
                    if !progress.has_moved() {
                        return Err(Failed::Lost(UpstreamError::ResponseTimeout(patience)));
                    }
                }
            }
        }
    }
}

/// Counts one request among those of its connection, and knows how far it is.
#[derive(Debug)]
pub(super) struct OnLine {
    streams: Arc<AtomicUsize>,
    progress: Arc<Progress>,
}

impl OnLine {
    fn new(streams: &Arc<AtomicUsize>, progress: &Arc<Progress>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self { streams: Arc::clone(streams), progress: Arc::clone(progress) }
    }
}

impl Drop for OnLine {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far a request's body is.
#[derive(Debug, Default)]
struct Progress {
    /// Since somebody looked.
    has_moved: AtomicBool,
    /// Why the visitor's body is not whole.
    broken: Mutex<Option<BodyError>>,
}

impl Progress {
    /// Whether anything moved since this was asked last.
    fn has_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::Relaxed)
    }

    fn judge(&self, error: hyper::Error) -> Failed {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(broken) = broken {
            return Failed::Lost(UpstreamError::Visitor(broken));
        }
        let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
        let is_unprocessed = cause.is_some_and(|cause| {
            cause.is_remote()
                // GOAWAY is told to those streams alone that are beyond the last that is dealt
                // with.
                && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM))
        });
        match is_unprocessed {
            true => Failed::Unprocessed(UpstreamError::Exchange(error)),
            false => Failed::Lost(UpstreamError::Exchange(error)),
        }
    }
}

/// The body of a request. Its trailers stay behind (HDR-07).
#[derive(Debug)]
pub(super) struct Outgoing {
    body: RequestBody,
    progress: Arc<Progress>,
}

impl Outgoing {
    pub(super) fn new(body: RequestBody) -> Self {
        Self { body, progress: Arc::default() }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.progress.has_moved.store(true, Ordering::Relaxed);
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.is_data() => Some(Ok(frame)),
            Some(Ok(_)) | None => None,
            Some(Err(error)) => {
                let mut broken =
                    self.progress.broken.lock().unwrap_or_else(PoisonError::into_inner);
                *broken = Some(error);
                Some(Err(BodyError::Broken))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Http2Body {
    body: Incoming,
    place: Place,
    on_line: OnLine,
    passes_trailers: bool,
    /// For the next bytes; there once they had to be waited for.
    deadline: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Http2Body {
    pub(super) fn new(
        body: Incoming,
        place: Place,
        on_line: OnLine,
        passes_trailers: bool,
    ) -> Self {
        let (deadline, is_waiting) = (None, false);
        Self { body, place, on_line, passes_trailers, deadline, is_waiting }
    }

    /// The end of what may not go on for ever.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamError> {
        let idle = self.place.servers().settings.idle_timeout;
        let now = Instant::now();
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
        // A portal that takes is not silent.
        if self.on_line.progress.has_moved() || !self.is_waiting {
            self.is_waiting = true;
            deadline.as_mut().reset(now.checked_add(idle).unwrap_or(now));
        }
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(UpstreamError::Stalled(idle))
    }

    fn cleansed(&self, mut trailers: HeaderMap) -> Option<Frame<Bytes>> {
        identity::cleanse_trailers(&mut trailers);
        (self.passes_trailers && !trailers.is_empty()).then(|| Frame::trailers(trailers))
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return self.poll_stalled(cx).map(|error| Some(Err(error)));
        };
        self.is_waiting = false;
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(trailers) => self.cleansed(trailers).map(Ok),
                Err(frame) => Some(Ok(frame)),
            },
            Some(Err(error)) => Some(Err(UpstreamError::Exchange(error))),
            // The library takes a stream that was reset without an error for one that has ended: we
            // have read all along, and so this is no early answer, but a part of one (HTTP-06).
            None if !self.body.is_end_stream() => Some(Err(UpstreamError::Cut)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! One connection from its first request to its end: reading heads, waiting, closing. What becomes
//! of each request is in `exchange`.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::HeaderMap;
use tokio::io::{AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::outbox::Outbox;
use super::tunnel;
use super::{Transport, Unread};
use crate::http1::request::{RequestHead, Search};
use crate::server::Limits;
use crate::server::peer::Peer;
use crate::server::stop::Shutdown;
use crate::server::worker::{Seat, Worker};

/// How much is read from a visitor at once, at first; a body that fills it doubles the next read.
const READ: usize = 8 * 1024;
/// See [`READ`].
const LARGEST_READ: usize = 64 * 1024;
/// How much a closed connection is listened to at most.
const LARGEST_FAREWELL: usize = 1024 * 1024;

/// A visitor's connection. Its buffers and timers are kept from request to request: putting off a
/// timer that is set costs nothing, setting a new one takes a lock.
pub(super) struct Connection<I> {
    seat: Arc<Seat>,
    /// What is in force for the request under way.
    pub(super) worker: Arc<Worker>,
    pub(super) stream: I,
    /// What was read and not yet looked at.
    pub(super) read: BytesMut,
    appetite: usize,
    pub(super) out: Outbox,
    /// For the visitor to send something.
    pub(super) deadline: Pin<Box<Sleep>>,
    /// For the visitor to take something; there is none before somebody was slow.
    pub(super) stall: Option<Pin<Box<Sleep>>>,
    pub(super) is_stalled: bool,
    search: Search,
    /// An empty map whose memory the next head takes.
    pub(super) spare: HeaderMap,
    pub(super) shutdown: Shutdown,
    begun: Instant,
    requests: u32,
}

/// What comes instead of another request.
enum NoRequest {
    Unread(Unread),
    /// Nothing: the visitor is gone or was idle for too long, or we stop.
    Nothing,
}

/// What becomes of a connection after a request.
pub(super) enum After {
    /// Another request may come.
    Open,
    /// The answer has been given, and was the last one.
    Close,
    /// Something went wrong in the middle of an answer, which must not look whole.
    Cut,
    /// The visitor is gone.
    Gone,
    /// It was switched to another protocol.
    Tunnel(Box<tunnel::Tunnelled>),
}

/// Serves a connection until it ends, or, once a stop is asked for, until what it carries is done.
pub(in crate::server) async fn serve<I: Transport>(
    seat: Arc<Seat>,
    stream: I,
    peer: &Peer,
    shutdown: Shutdown,
) {
    let mut told = pin!(shutdown.clone().told());
    let mut connection = Connection::new(seat, stream, shutdown);
    // A stop is listened for once and then only looked at: the waker stays this task's.
    poll_fn(|cx| {
        let _ = told.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    connection.run(peer).await;
}

impl<I: Transport> Connection<I> {
    pub(super) fn new(seat: Arc<Seat>, stream: I, shutdown: Shutdown) -> Self {
        let worker = seat.now();
        Self {
            seat,
            stream,
            read: BytesMut::new(),
            appetite: READ,
            out: Outbox::default(),
            deadline: Box::pin(tokio::time::sleep(worker.proxy.limits.idle_time)),
            stall: None,
            is_stalled: false,
            search: Search::default(),
            spare: HeaderMap::new(),
            shutdown,
            begun: Instant::now(),
            requests: 0,
            worker,
        }
    }

    async fn run(&mut self, peer: &Peer) {
        loop {
            let next = self.next().await;
            self.seat.renew(&mut self.worker);
            let after = match next {
                Ok(head) => {
                    self.requests = self.requests.saturating_add(1);
                    self.exchange(peer, head).await
                }
                Err(NoRequest::Unread(unread)) => self.refuse(unread).await,
                Err(NoRequest::Nothing) => return self.end().await,
            };
            match after {
                After::Open => {}
                After::Close => return self.close().await,
                After::Cut => return self.stream.cut(),
                After::Gone => return,
                After::Tunnel(tunnelled) => {
                    let read = std::mem::take(&mut self.read);
                    return tunnelled.run(&mut self.stream, read).await;
                }
            }
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.worker.proxy.limits
    }

    /// Whether the answer under way has to be the last.
    pub(super) fn is_last(&self) -> bool {
        let limits = self.limits();
        self.shutdown.is_asked()
            || self.requests >= limits.requests
            || self.begun.elapsed() >= limits.age
    }

    /// Waits for the head of the next request.
    async fn next(&mut self) -> Result<RequestHead, NoRequest> {
        self.appetite = READ;
        if self.read.is_empty() && self.read.capacity() > 2 * READ {
            // Who idles after an upload does so with an ordinary buffer (REL-12).
            self.read = BytesMut::new();
        }
        let mut has_begun = false;
        let mut is_waiting = false;
        let mut is_leaving = false;
        poll_fn(|cx| {
            loop {
                // What came with the request before is looked at first.
                match self.search.take_head(&mut self.read, &mut self.spare) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(error) => {
                        return Poll::Ready(Err(NoRequest::Unread(Unread::Head(error))));
                    }
                }
                if !has_begun && self.search.has_begun(&self.read) {
                    has_begun = true;
                    is_waiting = false;
                }
                match self.poll_read(cx) {
                    Poll::Ready(Ok(true)) => continue,
                    Poll::Ready(_) => return Poll::Ready(Err(NoRequest::Nothing)),
                    Poll::Pending => {}
                }
                // After what is there has been read: a request that has arrived is answered. Who
                // has asked nothing yet may have come a moment ago, and is about to; and who has
                // been answered a moment ago may be asking again, and has not been told not to.
                if !has_begun && self.shutdown.is_asked() && !is_leaving {
                    let limits = &self.worker.proxy.limits;
                    let until = match is_waiting && self.requests > 0 {
                        true => self.deadline.deadline() - limits.idle_time + limits.drain_time,
                        false => Instant::now() + limits.drain_time,
                    };
                    (is_leaving, is_waiting) = (true, true);
                    self.deadline.as_mut().reset(until);
                }
                if !is_waiting {
                    is_waiting = true;
                    let limits = &self.worker.proxy.limits;
                    let patience = if has_begun { limits.head_time } else { limits.idle_time };
                    self.deadline.as_mut().reset(Instant::now() + patience);
                }
                ready!(self.deadline.as_mut().poll(cx));
                return Poll::Ready(Err(match has_begun {
                    true => NoRequest::Unread(Unread::Late),
                    false => NoRequest::Nothing,
                }));
            }
        })
        .await
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

    /// Reads ahead into the room that there is, to notice a visitor who goes away; `false` at the
    /// end of the connection.
    pub(super) fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.read.is_empty() || self.read.capacity() == 0 {
            return Poll::Pending;
        }
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read));
        Poll::Ready(count.is_ok_and(|count| count > 0))
    }

    /// Ends a connection on which nothing was said last. Over TLS that takes a word.
    async fn end(&mut self) {
        let patience = self.limits().drain_time;
        let _ = tokio::time::timeout(patience, self.stream.shutdown()).await;
    }

    /// Ends the connection so that what we said last arrives: a socket that is closed with
    /// something unread tells the visitor to forget it (RFC 9112, section 9.6).
    async fn close(&mut self) {
        let patience = self.limits().drain_time;
        let farewell = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            self.listen_on(LARGEST_FAREWELL).await;
        };
        // A visitor who takes no leave either has had the time for it.
        let _ = tokio::time::timeout(patience, farewell).await;
    }

    /// Reads what is sent nevertheless, until its end.
    async fn listen_on(&mut self, mut most: usize) {
        let mut scratch = [0; 4096];
        while most > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).await;
            match buffer.filled().len() {
                count if count > 0 && read.is_ok() => most = most.saturating_sub(count),
                _ => return,
            }
        }
    }
}

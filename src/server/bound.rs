//! What goes on in a member's name, or through a broken glass, without being asked for again:
//! WebSockets, and answers whose length nobody knows before their end. It ends with the session, or
//! when the glass is whole again (SESS-10). An answer with a length goes on to its end: it ends by
//! itself, and a download is not torn.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Proxy;
use super::break_glass::Opening;
use super::frames::Frames;
use crate::gate::{SessionId, Timestamp};
use crate::sessions::{Here, SignedIn, Waiting, Watch};
use crate::telemetry::metrics::Stream;
use crate::upstream::UpstreamError;

/// Why an answer has no end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutShort {
    /// The portal broke off, or fell silent.
    #[error(transparent)]
    Portal(#[from] UpstreamError),
    /// The session that it was for is over, or its store has not said for too long that it is not.
    #[error("the session that the answer was for is over, or its store does not answer")]
    SessionEnded,
    /// The break-glass pass, or the listed address, that it was for lets nobody through any more.
    #[error("what let the answer through the portal's password doors is over")]
    GlassEnded,
}

impl CutShort {
    /// The stable name of this reason.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Portal(error) => error.code(),
            Self::SessionEnded => "session-ended",
            Self::GlassEnded => "break-glass-ended",
        }
    }
}

/// What lets something go on.
pub(super) enum LetIn {
    /// A member's session.
    Member(SessionId, Arc<SignedIn>),
    /// A broken glass.
    Glass(Opening),
}

/// What something ends with.
#[derive(Debug)]
pub(super) struct Bound {
    proxy: Arc<Proxy>,
    stream: Stream,
    by: By,
}

#[derive(Debug)]
enum By {
    Member {
        id: SessionId,
        member: Arc<SignedIn>,
        /// How often what was open in its name had been closed before this.
        closings: u32,
    },
    Glass(Waiting<Opening>),
}

impl Bound {
    pub(super) fn new(proxy: &Arc<Proxy>, stream: Stream, by: LetIn) -> Arc<Self> {
        let by = match by {
            LetIn::Member(id, member) => By::Member { id, closings: member.closings(), member },
            LetIn::Glass(opening) => {
                let waiting = proxy.openings.wait(opening.clone());
                // Much may have been ended while the portal thought about its answer.
                if !proxy.in_force().lets_through(&opening, proxy.clock.now()) {
                    proxy.openings.close(&opening);
                }
                By::Glass(waiting)
            }
        };
        Arc::new(Self { proxy: Arc::clone(proxy), stream, by })
    }

    pub(super) const fn stream(&self) -> Stream {
        self.stream
    }

    /// Why it has no end of its own, once it is over.
    pub(super) const fn cut_short(&self) -> CutShort {
        match &self.by {
            By::Member { .. } => CutShort::SessionEnded,
            By::Glass(_) => CutShort::GlassEnded,
        }
    }

    /// Whether the session has ended, or what is open in its name, or the glass is whole, without
    /// waiting for it.
    pub(super) fn is_over(&self) -> bool {
        match &self.by {
            By::Member { member, closings, .. } => {
                member.is_over() || member.closings() != *closings
            }
            By::Glass(waiting) => waiting.is_closed(),
        }
    }

    /// Waits for the end of it.
    pub(super) fn watch(&self) -> Box<Watch> {
        Box::new(match &self.by {
            By::Member { id, member, .. } => self.proxy.sessions.watch(id, member),
            By::Glass(waiting) => waiting.watch(),
        })
    }
}

/// The portal's end of a member's WebSocket. What the visitor sends is use of the session, as a
/// request is; what the portal sends is none, nor what a browser answers to its pings.
#[derive(Debug)]
pub(super) struct Used<T> {
    io: T,
    proxy: Arc<Proxy>,
    id: SessionId,
    frames: Frames,
    /// Use is not noted again before then.
    next: Timestamp,
}

impl<T> Used<T> {
    pub(super) fn new(io: T, proxy: &Arc<Proxy>, id: SessionId, now: Timestamp) -> Self {
        Self { io, proxy: Arc::clone(proxy), id, frames: Frames::default(), next: now }
    }

    fn note(&mut self) {
        let now = self.proxy.clock.now();
        if now < self.next {
            return;
        }
        self.next = now.after(self.proxy.lifetimes.touch_interval());
        // A WebSocket may outlive many configurations, and nothing is asked in the name of one that
        // is not in force (CFG-02).
        let proxy = self.proxy.in_force();
        if !Arc::ptr_eq(&proxy, &self.proxy) {
            self.proxy = proxy;
        }
        match self.proxy.sessions.here(&self.id, now) {
            Here::Member(member) => {
                if !self.proxy.has(member.session()) {
                    return;
                }
                member.session().touch(now);
                if !self.proxy.is_due(&member, now) {
                    return;
                }
            }
            Here::Nobody => return,
            // However long the store takes, this is when it was used.
            Here::Ask => self.proxy.sessions.use_meanwhile(&self.id, now),
        }
        // It goes on meanwhile: what it carries was asked for before.
        let (proxy, id) = (Arc::clone(&self.proxy), self.id.clone());
        tokio::spawn(async move { proxy.noted(&id, now).await });
    }
}

impl Proxy {
    /// A session is used. Whoever the provider no longer vouches for loses the WebSocket with the
    /// session (SESS-06).
    async fn noted(self: &Arc<Self>, id: &SessionId, now: Timestamp) {
        let found = self.sessions.find(id, now).await;
        if let Ok(Some(member)) = found
            && self.has(member.session())
        {
            member.session().touch(now);
            if self.is_due(&member, now) {
                self.kept_true(id, member, now).await;
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Used<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Used<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        if self.frames.read(bytes.get(..count).unwrap_or_default()) {
            self.note();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

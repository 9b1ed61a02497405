//! A connection that is no longer HTTP: bytes both ways until either side ends (HTTP-08). Whether
//! there may be a tunnel was decided long before.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::poll_read_buf;

use crate::server::account::Body;

/// How much is on its way in one direction.
const ROOM: usize = 16 * 1024;

/// The far end of a tunnel.
pub(in crate::server) trait Tunnel:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Tunnel for T {}

impl std::fmt::Debug for dyn Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnel")
    }
}

/// A tunnel whose `101` has been written.
pub(super) struct Tunnelled {
    far: Box<dyn Tunnel>,
    /// Keeps the account open until the end, and knows when that is for a member.
    body: Body,
}

impl Tunnelled {
    pub(super) fn new(far: Box<dyn Tunnel>, body: Body) -> Self {
        Self { far, body }
    }

    /// Copies both ways, beginning with what the visitor has sent already. A stop lets it run on
    /// until it is told to end (`farewell`); the end of the drain time cuts it, and so does the end
    /// of the session (SESS-10).
    pub(super) async fn run<I>(mut self, near: &mut I, read: BytesMut)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let mut out = Way { held: read, is_dry: false };
        let mut back = Way { held: BytesMut::new(), is_dry: false };
        // How it ends is theirs to choose: an error is an end too.
        let ended = poll_fn(|cx| {
            if self.body.poll_over(cx).is_ready() {
                return Poll::Ready(Ok(Ended::Session));
            }
            let there = out.poll(cx, near, &mut self.far)?;
            let here = back.poll(cx, &mut self.far, near)?;
            match there.is_ready() || here.is_ready() {
                true => Poll::Ready(io::Result::Ok(Ended::Side)),
                false => Poll::Pending,
            }
        })
        .await;
        if matches!(ended, Ok(Ended::Session)) {
            // Nothing more is written, and nobody waited for: a close frame between two that are
            // half written would say something else.
            return;
        }
        let _ = self.far.shutdown().await;
        let _ = near.shutdown().await;
    }
}

/// Who ended a tunnel.
enum Ended {
    /// The visitor, or the portal.
    Side,
    /// We, with the session.
    Session,
}

/// One direction.
struct Way {
    held: BytesMut,
    /// Whoever sends has ended.
    is_dry: bool,
}

impl Way {
    /// Moves what there is; ready at the end of whoever sends, when all has been taken.
    fn poll<F, T>(&mut self, cx: &mut Context<'_>, from: &mut F, to: &mut T) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin + ?Sized,
        T: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            while !self.held.is_empty() {
                let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.held.advance(count);
            }
            if self.is_dry {
                return Pin::new(&mut *to).poll_flush(cx);
            }
            self.held.reserve(ROOM);
            match poll_read_buf(Pin::new(&mut *from), cx, &mut self.held)? {
                Poll::Ready(count) => self.is_dry = count == 0,
                Poll::Pending => {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
        }
    }
}

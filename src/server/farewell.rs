//! How a WebSocket ends with the process: the visitor is told to come again (RFC 6455, section
//! 7.4.1: 1001, going away), between two frames of the portal's and not in one. What they answer
//! goes to the portal like everything else, so that both sides see an end in order.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::frames::Frames;
use super::limits;
use super::stop::Shutdown;

/// A close frame that says 1001.
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// The portal's end of a WebSocket, until we stop.
pub(super) struct Farewell<T> {
    far: T,
    /// What has come from the portal.
    frames: Frames,
    told: Pin<Box<dyn Future<Output = ()> + Send>>,
    state: State,
}

enum State {
    Talking,
    /// A frame that has begun is passed on to its end.
    Finishing,
    /// It has been said. What the portal still says is for nobody.
    Said(Pin<Box<Sleep>>),
}

impl<T> Farewell<T> {
    pub(super) fn new(far: T, shutdown: &Shutdown) -> Self {
        let told = Box::pin(shutdown.clone().websockets_told());
        Self { far, frames: Frames::default(), told, state: State::Talking }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Farewell<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { far, frames, told, state } = &mut *self;
        let mut scratch = [0; 4096];
        loop {
            match state {
                // A portal that has said good-bye itself is not interrupted.
                State::Talking if !frames.has_closed() && told.as_mut().poll(cx).is_ready() => {
                    *state = State::Finishing;
                }
                State::Talking => {
                    let before = buffer.filled().len();
                    ready!(Pin::new(far).poll_read(cx, buffer))?;
                    frames.read(buffer.filled().get(before..).unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
                State::Finishing if frames.is_between() => {
                    if buffer.remaining() < GOING_AWAY.len() {
                        // Nobody reads with so little room.
                        return Poll::Ready(Ok(()));
                    }
                    *state = State::Said(Box::pin(tokio::time::sleep(limits::GOODBYE)));
                    if !frames.has_closed() {
                        buffer.put_slice(&GOING_AWAY);
                        return Poll::Ready(Ok(()));
                    }
                }
                State::Finishing => {
                    // No more than belongs to this frame.
                    let room = scratch.len().min(buffer.remaining());
                    let room = usize::try_from(frames.certain()).unwrap_or(room).min(room);
                    let mut some = ReadBuf::new(scratch.get_mut(..room).unwrap_or_default());
                    ready!(Pin::new(far).poll_read(cx, &mut some))?;
                    frames.read(some.filled());
                    buffer.put_slice(some.filled());
                    return Poll::Ready(Ok(()));
                }
                State::Said(patience) => {
                    if patience.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    let mut unheard = ReadBuf::new(&mut scratch);
                    let read = ready!(Pin::new(&mut *far).poll_read(cx, &mut unheard));
                    if read.is_err() || unheard.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Farewell<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.far).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::super::stop::Stop;
    use super::*;

    /// A frame of text as a portal sends it.
    fn frame(length: u8) -> Vec<u8> {
        [&[0x81, length][..], &vec![b'x'; usize::from(length)]].concat()
    }

    #[tokio::test]
    async fn a_visitor_is_told_between_two_frames_and_answers_the_portal() {
        for begun in [0, 1, 2, 50, 102] {
            let (stop, shutdown) = Stop::new();
            let (far, mut portal) = duplex(64 * 1024);
            let mut near = Farewell::new(far, &shutdown);
            let whole = frame(100);
            portal.write_all(&whole).await.unwrap();
            let mut heard = vec![0; whole.len()];
            near.read_exact(&mut heard).await.unwrap();
            // Another begins, and is not interrupted.
            let (now, later) = whole.split_at(begun);
            portal.write_all(now).await.unwrap();
            let mut first = vec![0; begun];
            near.read_exact(&mut first).await.unwrap();
            stop.tell_websockets();
            let rest = if begun == 0 || begun == whole.len() { &[][..] } else { later };
            portal.write_all(rest).await.unwrap();
            let mut last = vec![0; rest.len() + GOING_AWAY.len()];
            near.read_exact(&mut last).await.unwrap();
            assert_eq!(last, [rest, &GOING_AWAY].concat(), "{begun}");
            // What the portal says now is for nobody; what the visitor answers arrives.
            portal.write_all(&frame(5)).await.unwrap();
            near.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]).await.unwrap();
            let mut answered = [0; 8];
            portal.read_exact(&mut answered).await.unwrap();
            assert_eq!(answered[0], 0x88);
            drop(portal);
            assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 0, "{begun}");
        }
    }

    #[tokio::test]
    async fn a_portal_that_says_good_bye_itself_is_not_interrupted() {
        let (stop, shutdown) = Stop::new();
        let (far, mut portal) = duplex(1024);
        let mut near = Farewell::new(far, &shutdown);
        portal.write_all(&[0x88, 2, 0x03, 0xe8]).await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        stop.tell_websockets();
        drop(portal);
        assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_portal_that_does_not_end_is_not_waited_for() {
        let (stop, shutdown) = Stop::new();
        let (far, _portal) = duplex(1024);
        let mut near = Farewell::new(far, &shutdown);
        stop.tell_websockets();
        let mut all = Vec::new();
        near.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, GOING_AWAY);
    }
}

//! The body of an answer in HTTP/1.1, as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::UpstreamError;
use super::exchange::{Connection, Sending};
use super::pool::Place;
use super::wire::{self, Content, Piece, WireError};
use crate::gate::identity;

/// The body of a portal's answer, and what may be left of the request. It holds the connection
/// until both have ended exactly, and closes it otherwise (HTTP-05). Trailers are dropped unless
/// the route lets them pass (HDR-07).
pub(super) struct Http1Body {
    content: Content,
    keeps_open: bool,
    /// What the portal has not taken yet, if it answered before the request's end.
    sending: Option<Box<Sending>>,
    connection: Option<Box<Connection>>,
    place: Place,
    /// The portal's time for its next bytes runs.
    is_waiting: bool,
    /// Those so far, if they pass.
    trailers: Option<Box<HeaderMap>>,
}

impl Http1Body {
    pub(super) fn new(
        connection: Box<Connection>,
        (content, keeps_open): (Content, bool),
        sending: Sending,
        place: Place,
        passes_trailers: bool,
    ) -> Self {
        let mut body = Self {
            content,
            keeps_open,
            sending: (!sending.is_done()).then(|| Box::new(sending)),
            connection: Some(connection),
            place,
            is_waiting: false,
            trailers: passes_trailers.then(Box::default),
        };
        if content.is_at_end() {
            body.release();
        }
        body
    }

    /// The answer has ended: gives the connection back if it is as good as new.
    fn release(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && self.keeps_open
            && self.sending.as_ref().is_none_or(|sending| sending.is_done())
            && connection.is_still_good()
        {
            self.place.pool().put(connection, Instant::now());
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, UpstreamError>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(Piece::End));
        };
        // What the portal does not take any more does not spoil the answer that it gives.
        if let Some(sending) = &mut self.sending {
            let _ = connection.poll_send(cx, sending);
            // A portal that takes is not silent.
            self.is_waiting &= !sending.has_moved();
        }
        loop {
            match self.content.next(&mut connection.read).map_err(WireError::from)? {
                Piece::NeedsMore => {}
                Piece::Trailer(line) => {
                    if let Some(trailers) = &mut self.trailers {
                        let (name, value) = wire::trailer(&line)?;
                        trailers.append(name, value);
                    }
                    continue;
                }
                piece => return Poll::Ready(Ok(piece)),
            }
            let Poll::Ready(read) = connection.poll_read(cx) else {
                let idle = self.place.servers().settings.idle_timeout;
                if !self.is_waiting {
                    self.is_waiting = true;
                    connection.wait_at_most(idle);
                }
                ready!(connection.poll_deadline(cx));
                return Poll::Ready(Err(UpstreamError::Stalled(idle)));
            };
            self.is_waiting = false;
            if !read? {
                return Poll::Ready(match self.content {
                    Content::UntilClose => Ok(Piece::End),
                    Content::Length(_) | Content::Chunks(_) => Err(WireError::Short.into()),
                });
            }
        }
    }

    /// Those that may pass, once.
    fn take_trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = *self.trailers.take()?;
        identity::cleanse_trailers(&mut trailers);
        (!trailers.is_empty()).then_some(trailers)
    }
}

impl Body for Http1Body {
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
            Ok(Piece::End | Piece::NeedsMore | Piece::Trailer(_)) => {
                self.release();
                self.take_trailers().map(|trailers| Ok(Frame::trailers(trailers)))
            }
            // Cut short: the visitor's answer ends as an error too (HTTP-06).
            Err(error) => {
                self.connection = None;
                self.keeps_open = false;
                self.trailers = None;
                Some(Err(error))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_at_end() && self.trailers.as_ref().is_none_or(|kept| kept.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self.content {
            Content::Length(left) => SizeHint::with_exact(left),
            Content::Chunks(_) | Content::UntilClose => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Http1Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1Body").field("content", &self.content).finish_non_exhaustive()
    }
}

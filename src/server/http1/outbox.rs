//! What is on its way to a visitor: the head of an answer, and its body as it comes.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::io::AsyncWrite;

use super::date;
use crate::gate::Timestamp;
use crate::http1::content::LAST_CHUNK;

/// Pieces up to this size are put together: copying them costs less than writing them apart.
const SMALL: usize = 2 * 1024;
/// How much is put together before it is written.
const ENOUGH: usize = 16 * 1024;

/// Bytes in the order in which they go out.
#[derive(Default)]
pub(super) struct Outbox {
    /// Heads and small pieces; kept from answer to answer.
    text: Vec<u8>,
    /// How much of it has gone.
    gone: usize,
    /// One large piece, which is not copied, and what goes after it.
    piece: Bytes,
    after: &'static [u8],
    has_moved: bool,
}

/// What is in it is its visitor's (LOG-01).
impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox(…)")
    }
}

/// How the body of an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, whatever the head says about a length.
    Bodiless,
    /// So many bytes.
    Length(u64),
    /// In chunks, because nobody knows.
    Chunked,
    /// Until the connection is closed: whoever speaks HTTP/1.0 knows no chunks.
    UntilClose,
}

/// What the head of an answer says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing: it stays open.
    Nothing,
    /// It stays open, which HTTP/1.0 has to be told.
    KeepAlive,
    /// This answer is the last.
    Close,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.gone == self.text.len() && self.piece.is_empty() && self.after.is_empty()
    }

    /// Whether another piece may be put in before something is written.
    pub(super) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.after.is_empty() && self.text.len() < ENOUGH
    }

    /// Whether anything was taken since somebody looked.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Asks for the body (RFC 9110, section 15.2.1).
    pub(super) fn ask_for_body(&mut self) {
        self.text.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// The head of an answer. Framing and connection are ours (HTTP-01).
    pub(super) fn head(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        framing: Framing,
        says: Says,
        now: Timestamp,
    ) {
        self.status(status);
        let mut has_date = false;
        for (name, value) in headers {
            let is_ours = (*name == header::CONTENT_LENGTH && framing != Framing::Bodiless)
                || *name == header::CONNECTION
                || *name == header::TRANSFER_ENCODING;
            if !is_ours {
                has_date |= *name == header::DATE;
                self.field(name, value.as_bytes());
            }
        }
        if !has_date {
            self.text.extend_from_slice(b"date: ");
            date::append(&mut self.text, now);
            self.text.extend_from_slice(b"\r\n");
        }
        match framing {
            Framing::Bodiless | Framing::UntilClose => {}
            Framing::Length(length) => {
                self.text.extend_from_slice(b"content-length: ");
                self.decimal(length);
                self.text.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => self.text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        self.text.extend_from_slice(match says {
            Says::Nothing => b"\r\n",
            Says::KeepAlive => b"connection: keep-alive\r\n\r\n",
            Says::Close => b"connection: close\r\n\r\n",
        });
    }

    /// The head that ends HTTP on this connection, as it is given.
    pub(super) fn switching(&mut self, headers: &HeaderMap) {
        self.status(StatusCode::SWITCHING_PROTOCOLS);
        for (name, value) in headers {
            self.field(name, value.as_bytes());
        }
        self.text.extend_from_slice(b"\r\n");
    }

    fn status(&mut self, status: StatusCode) {
        self.text.extend_from_slice(b"HTTP/1.1 ");
        self.text.extend_from_slice(status.as_str().as_bytes());
        self.text.push(b' ');
        self.text.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        self.text.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &HeaderName, value: &[u8]) {
        self.text.extend_from_slice(name.as_str().as_bytes());
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
    }

    /// Without the machinery of formatting: it is in every answer.
    fn decimal(&mut self, mut number: u64) {
        let begin = self.text.len();
        loop {
            self.text.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
            number /= 10;
            if number == 0 {
                break;
            }
        }
        if let Some(digits) = self.text.get_mut(begin..) {
            digits.reverse();
        }
    }

    /// A piece of the body. Only while there is room.
    pub(super) fn piece(&mut self, data: Bytes, framing: Framing) {
        if data.is_empty() {
            return;
        }
        let is_chunked = framing == Framing::Chunked;
        if is_chunked {
            self.text.extend_from_slice(&crate::http1::content::chunk_head(data.len()));
        }
        let after: &[u8] = if is_chunked { b"\r\n" } else { b"" };
        if data.len() <= SMALL {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(after);
        } else {
            self.piece = data;
            self.after = after;
        }
    }

    /// The end of the body, with what comes after it if it is in chunks. Only while there is room.
    pub(super) fn end(&mut self, framing: Framing, trailers: Option<&HeaderMap>) {
        if framing != Framing::Chunked {
            return;
        }
        let Some(trailers) = trailers else {
            return self.text.extend_from_slice(LAST_CHUNK);
        };
        self.text.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            self.field(name, value.as_bytes());
        }
        self.text.extend_from_slice(b"\r\n");
    }

    /// Writes everything.
    pub(super) fn poll_write<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut I,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let text = self.text.get(self.gone..).unwrap_or_default();
            let stream = Pin::new(&mut *stream);
            let count = match self.piece.is_empty() && self.after.is_empty() {
                true => ready!(stream.poll_write(cx, text))?,
                false => {
                    let slices = [text, &self.piece, self.after].map(IoSlice::new);
                    ready!(stream.poll_write_vectored(cx, &slices))?
                }
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_moved = true;
            self.forget(count);
        }
        self.text.clear();
        // A connection that idles keeps room for an ordinary head (REL-12).
        self.text.shrink_to(2 * ENOUGH);
        self.gone = 0;
        Poll::Ready(Ok(()))
    }

    fn forget(&mut self, count: usize) {
        let of_text = count.min(self.text.len() - self.gone);
        self.gone += of_text;
        let of_piece = (count - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_after = (count - of_text - of_piece).min(self.after.len());
        self.after = self.after.get(of_after..).unwrap_or_default();
        if self.piece.is_empty() {
            // A large piece's memory is not kept for the sake of its end.
            self.piece = Bytes::new();
        }
    }
}

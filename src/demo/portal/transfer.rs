//! Bodies for tests of streaming: long ones, slow ones, and one that is counted.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::{self, Interval};

use crate::demo::answer::{self, Answer};
use crate::demo::parameters::Parameters;

/// The longest that somebody can ask to wait.
const LONGEST_WAIT: u64 = 60_000;

static PIECE: [u8; 16 * 1024] = [b'a'; 16 * 1024];

/// `?bytes=N`: N bytes, with a `Content-Length`.
pub(super) fn download(query: &Parameters) -> Answer {
    let left = query.number("bytes", 1 << 40).unwrap_or(0);
    let body = Repeated { left };
    let kind = "application/octet-stream";
    answer::stream(StatusCode::OK, kind, body.boxed_unsync())
}

/// `?ms=`: waits before the head of the answer.
pub(super) async fn slow(query: &Parameters) -> Answer {
    let wait = query.number("ms", LONGEST_WAIT).unwrap_or(1000);
    time::sleep(Duration::from_millis(wait)).await;
    answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", "at last\n")
}

/// `?chunks=&ms=`: a line at a time, without a length.
pub(super) fn stream(query: &Parameters) -> Answer {
    let pace = query.number("ms", LONGEST_WAIT).unwrap_or(100).max(1);
    let body = Ticking {
        ticks: time::interval(Duration::from_millis(pace)),
        sent: 0,
        chunks: query.number("chunks", 100_000).unwrap_or(10),
    };
    let kind = "text/plain; charset=utf-8";
    answer::stream(StatusCode::OK, kind, body.boxed_unsync())
}

/// Counts a body and says what it was.
pub(super) async fn upload(mut body: Incoming) -> Answer {
    let mut length: u64 = 0;
    let mut hash = digest::Context::new(&digest::SHA256);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let broken = json!({ "error": "the body broke off", "length": length });
            return answer::json(StatusCode::BAD_REQUEST, &broken);
        };
        if let Some(data) = frame.data_ref() {
            length += u64::try_from(data.len()).unwrap_or(u64::MAX);
            hash.update(data);
        }
    }
    let mut hex = String::new();
    for byte in hash.finish().as_ref() {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    answer::json(StatusCode::OK, &json!({ "length": length, "sha256": hex }))
}

/// The letter `a`, again and again.
struct Repeated {
    left: u64,
}

impl Body for Repeated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = PIECE.get(..length).unwrap_or(&PIECE);
        self.left -= u64::try_from(piece.len()).unwrap_or(self.left);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A line at every tick.
struct Ticking {
    ticks: Interval,
    sent: u64,
    chunks: u64,
}

impl Body for Ticking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent >= self.chunks {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(context));
        self.sent += 1;
        let line = format!("line {} of {}\n", self.sent, self.chunks);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(line)))))
    }
}

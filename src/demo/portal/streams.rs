//! Bodies that are made or read piece by piece: nothing here is held in memory whole.

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
use tokio::time::{self, Sleep};

use crate::demo::answer::{self, Answer};

/// The most bytes of a download.
pub(super) const LONGEST_DOWNLOAD: u64 = 1 << 30;

static PIECE: [u8; 64 * 1024] = [b'~'; 64 * 1024];
const PAUSE: Duration = Duration::from_millis(100);
const CHUNKS: u32 = 10;

/// Reads a body to its end and forgets it, so that the connection can go on.
pub(super) async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// So many bytes.
pub(super) fn download(length: u64) -> Answer {
    let body = Download { left: length }.boxed_unsync();
    answer::stream(StatusCode::OK, "application/octet-stream", body)
}

/// Ten lines, with a pause before each but the first.
pub(super) fn slow() -> Answer {
    let body = Slow { sent: 0, pause: Box::pin(time::sleep(Duration::ZERO)) };
    answer::stream(StatusCode::OK, "text/plain", body.boxed_unsync())
}

/// Counts and hashes what is sent.
pub(super) async fn upload(mut body: Incoming) -> Answer {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let cut = json!({ "error": "the upload broke off", "bytes": length });
            return answer::json(StatusCode::BAD_REQUEST, &cut);
        };
        if let Ok(piece) = frame.into_data() {
            hash.update(&piece);
            length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
    }
    let mut hex = String::new();
    for byte in hash.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    answer::json(StatusCode::OK, &json!({ "bytes": length, "sha256": hex }))
}

struct Download {
    left: u64,
}

impl Body for Download {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = PIECE.get(..wanted).unwrap_or(&PIECE);
        if piece.is_empty() {
            return Poll::Ready(None);
        }
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(length);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

struct Slow {
    sent: u32,
    pause: Pin<Box<Sleep>>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == CHUNKS {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        self.pause = Box::pin(time::sleep(PAUSE));
        self.sent = self.sent.saturating_add(1);
        let line = format!("chunk {} of {CHUNKS}\n", self.sent);
        Poll::Ready(Some(Ok(Frame::data(line.into()))))
    }
}

//! The body of a request on its way to a portal, wherever it comes from.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// A request's body. After an error it stays broken: it never looks as if it had ended well.
pub struct RequestBody {
    /// What somebody read of it already, and put back.
    read: Option<Bytes>,
    source: Source,
    /// How many more bytes it may bring.
    allowed: Option<u64>,
}

/// A body that somebody else reads from a connection.
type Streaming = Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>;

enum Source {
    Empty,
    Held(Bytes),
    Http2(Incoming),
    /// All that was announced has come, and not yet its end: there could be more (HTTP-10).
    Http2End(Incoming, Bytes),
    Streaming(Streaming),
    Broken,
}

/// Why the body of a request is not whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The visitor went away.
    #[error("the visitor ended the connection within a body")]
    Cut,
    /// The visitor's chunks are none (HTTP-02).
    #[error("the visitor sent a chunk that is none")]
    Chunk,
    /// The visitor sent nothing, or too little, for too long (LIM-03).
    #[error("the visitor sent a body too slowly")]
    Slow,
    /// More than the route takes (LIM-03).
    #[error("the body has more bytes than its route takes")]
    TooLarge,
    /// The stream was reset or is not what HTTP/2 asks for.
    #[error("the visitor broke the stream off")]
    Stream(#[source] hyper::Error),
    /// Somebody went on reading after an error.
    #[error("the body is broken already")]
    Broken,
}

impl BodyError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cut | Self::Stream(_) | Self::Broken => "visitor-broken",
            Self::Chunk => "request-malformed",
            Self::Slow => "request-timeout",
            Self::TooLarge => "body-too-large",
        }
    }
}

impl RequestBody {
    /// No body. Costs nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { read: None, source: Source::Empty, allowed: None }
    }

    /// A body that has been read already.
    #[must_use]
    pub const fn held(body: Bytes) -> Self {
        Self { read: None, source: Source::Held(body), allowed: None }
    }

    /// A body as HTTP/2 brings it.
    #[must_use]
    pub fn http2(body: Incoming) -> Self {
        match body.is_end_stream() {
            true => Self::empty(),
            false => Self { read: None, source: Source::Http2(body), allowed: None },
        }
    }

    /// A body that is read from a connection while it is sent on.
    #[must_use]
    pub fn streaming(body: impl Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self { read: None, source: Source::Streaming(Box::pin(body)), allowed: None }
    }

    /// Puts back in front what was read of it.
    pub fn put_back(&mut self, read: Bytes) {
        self.read = Some(read).filter(|read| !read.is_empty());
    }

    /// The same body, of at most so many bytes (LIM-03).
    ///
    /// # Errors
    /// If it is known to have more. Where nobody knows, reading past the limit is the error.
    pub fn limited(self, largest: Option<u64>) -> Result<Self, BodyError> {
        match (largest, self.size_hint().lower()) {
            (Some(largest), known) if known > largest => Err(BodyError::TooLarge),
            (largest, _) => Ok(Self { allowed: largest, ..self }),
        }
    }

    /// All of it, if it is here already: nothing is waited for.
    #[must_use]
    pub fn here(&self) -> Option<&[u8]> {
        match (&self.read, &self.source) {
            (None, Source::Held(body)) => Some(body),
            (Some(read), Source::Empty) => Some(read),
            (Some(read), Source::Http2(body)) if body.is_end_stream() => Some(read),
            (Some(read), Source::Streaming(body)) if body.is_end_stream() => Some(read),
            _ => None,
        }
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(read) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Held(body) => {
                let body = std::mem::take(body);
                self.source = Source::Empty;
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Source::Http2(body) => {
                let announced = body.size_hint().exact();
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                let is_all = announced.is_some() && body.size_hint().exact() == Some(0);
                // The library takes a stream that was reset without an error for one that has ended
                // (RFC 9113, section 8.1). That is for servers to do; of a request it is the end of
                // nothing (HTTP-10).
                if frame.is_none() && !body.is_end_stream() {
                    return Poll::Ready(Some(Err(BodyError::Cut)));
                }
                match frame.map(|frame| frame.map_err(BodyError::Stream)) {
                    Some(Ok(frame)) if is_all && !body.is_end_stream() && frame.is_data() => {
                        let held = frame.into_data().unwrap_or_default();
                        let source = std::mem::replace(&mut self.source, Source::Broken);
                        if let Source::Http2(body) = source {
                            self.source = Source::Http2End(body, held);
                        }
                        self.poll_source(cx)
                    }
                    frame => Poll::Ready(frame),
                }
            }
            Source::Http2End(body, held) => match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Err(error)) => Poll::Ready(Some(Err(BodyError::Stream(error)))),
                None if !body.is_end_stream() => Poll::Ready(Some(Err(BodyError::Cut))),
                // Trailers of requests stay behind; data would have been an error.
                Some(Ok(frame))
                    if frame.is_data() && frame.data_ref().is_some_and(|d| !d.is_empty()) =>
                {
                    Poll::Ready(Some(Err(BodyError::Broken)))
                }
                Some(Ok(_)) | None => {
                    let held = std::mem::take(held);
                    self.source = Source::Empty;
                    Poll::Ready(Some(Ok(Frame::data(held))))
                }
            },
            Source::Streaming(body) => body.as_mut().poll_frame(cx),
            Source::Broken => Poll::Ready(Some(Err(BodyError::Broken))),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut frame = ready!(self.poll_source(cx));
        if let (Some(Ok(data)), Some(allowed)) = (&frame, self.allowed) {
            let length = data.data_ref().map_or(0, Bytes::len) as u64;
            match allowed.checked_sub(length) {
                Some(left) => self.allowed = Some(left),
                None => frame = Some(Err(BodyError::TooLarge)),
            }
        }
        if let Some(Err(_)) = &frame {
            self.source = Source::Broken;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        if self.read.is_some() {
            return false;
        }
        match &self.source {
            Source::Empty => true,
            Source::Held(body) => body.is_empty(),
            Source::Http2(body) => body.is_end_stream(),
            Source::Http2End(..) => false,
            Source::Streaming(body) => body.is_end_stream(),
            Source::Broken => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Held(body) => SizeHint::with_exact(body.len() as u64),
            Source::Http2(body) => body.size_hint(),
            Source::Http2End(_, held) => SizeHint::with_exact(held.len() as u64),
            Source::Streaming(body) => body.size_hint(),
            Source::Broken => SizeHint::default(),
        };
        if let Some(read) = &self.read {
            let read = read.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(read));
            }
            hint.set_lower(hint.lower().saturating_add(read));
        }
        hint
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    /// Pieces of a length that nobody knows.
    struct Pieces(Vec<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
        }
    }

    #[tokio::test]
    async fn a_body_is_here_once_all_of_it_was_read_and_put_back() {
        let held = || RequestBody::held(Bytes::from_static(b"abc"));
        assert_eq!(held().here(), Some(&b"abc"[..]));
        assert_eq!(RequestBody::empty().here(), None);
        let mut body = RequestBody::streaming(Pieces(vec!["c", "ab"]));
        assert_eq!(body.here(), None);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        body.put_back(first);
        assert_eq!(body.here(), None, "there is more to come");
        let mut body = held();
        let all = body.frame().await.unwrap().unwrap().into_data().unwrap();
        body.put_back(all);
        assert_eq!(body.here(), Some(&b"abc"[..]));
    }

    #[tokio::test]
    async fn lim_03_a_body_ends_at_its_limit_and_never_well() {
        let held = |bytes: &'static [u8]| RequestBody::held(Bytes::from_static(bytes));
        assert_eq!(held(b"abc").collect().await.unwrap().to_bytes(), "abc");
        assert!(held(b"abc").limited(Some(3)).is_ok());
        assert!(matches!(held(b"abcd").limited(Some(3)), Err(BodyError::TooLarge)));
        let pieces = Pieces(vec!["e", "d", "c", "ab"]);
        let mut body = RequestBody::streaming(pieces).limited(Some(3)).unwrap();
        for expected in ["ab", "c"] {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), expected);
        }
        assert!(matches!(body.frame().await, Some(Err(BodyError::TooLarge))));
        for _ in 0..2 {
            assert!(matches!(body.frame().await, Some(Err(BodyError::Broken))));
        }
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
    }
}

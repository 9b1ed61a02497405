//! One request and its answer on one connection, driven by the request's own task: no task and no
//! channel between the visitor's connection and the portal's wakes another.
//!
//! hyper's client half speaks HTTP/1.1 here. It is polled before whatever waits for it, so what it
//! has read is seen in the same turn.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::UpstreamError;
use super::pool::Pool;

/// A connection to a portal.
pub(super) struct Exchange {
    sender: SendRequest<Sent>,
    connection: Connection<TokioIo<TcpStream>, Sent>,
    /// hyper's half has finished, and must not be polled again.
    ended: bool,
    /// For the answer to begin. Kept from request to request: putting off a timer that is set
    /// costs nothing, setting a new one takes a lock.
    deadline: Pin<Box<Sleep>>,
}

/// A request without an answer.
pub(super) struct Failed {
    pub(super) error: UpstreamError,
    /// The request itself, if nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Sent>>>,
}

impl Failed {
    fn for_good(error: UpstreamError) -> Self {
        Self {
            error,
            unsent: None,
        }
    }
}

impl Exchange {
    pub(super) async fn open(stream: TcpStream) -> Result<Box<Self>, UpstreamError> {
        // The number of fields stays at hyper's 100: another one makes it allocate for each head.
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LIMIT_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Broken)?;
        let deadline = Box::pin(tokio::time::sleep(Duration::ZERO));
        Ok(Box::new(Self {
            sender,
            connection,
            ended: false,
            deadline,
        }))
    }

    /// Whether an idle connection is still one: not closed, and nobody spoke unasked. It is idle
    /// before and after, so whatever happens to it wakes nobody.
    pub(super) fn is_still_good(&mut self) -> bool {
        self.drive(&mut nobody());
        !self.ended && self.sender.is_ready()
    }

    /// Sends the request and waits for the head of its answer. `patience` counts from the last
    /// piece of the request's body that was taken, so that a long upload is no late answer.
    pub(super) async fn run(
        mut self: Box<Self>,
        request: Request<Sent>,
        patience: Duration,
        pool: &Arc<Pool>,
    ) -> Result<Answer, Failed> {
        let progress = request.body().progress.clone();
        let mut moved = 0;
        let mut answer = pin!(self.sender.try_send_request(request));
        self.deadline.as_mut().reset(Instant::now() + patience);
        let head = poll_fn(|cx| {
            self.drive(cx);
            // It becomes ready in `drive` and nowhere else, so it need not wake anybody.
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut nobody()) {
                return Poll::Ready(Some(answer));
            }
            let now_moved = progress
                .as_ref()
                .map_or(0, |moved| moved.load(Ordering::Relaxed));
            if now_moved != moved {
                moved = now_moved;
                self.deadline.as_mut().reset(Instant::now() + patience);
            }
            self.deadline.as_mut().poll(cx).map(|()| None)
        });
        let response = match head.await {
            Some(Ok(response)) => response,
            Some(Err(mut failed)) => {
                let unsent = failed.take_message().map(Box::new);
                return Err(Failed {
                    error: UpstreamError::Broken(failed.into_error()),
                    unsent,
                });
            }
            None => return Err(Failed::for_good(UpstreamError::ResponseTimeout(patience))),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failed::for_good(UpstreamError::Switched));
        }
        let (head, incoming) = response.into_parts();
        let body = AnswerBody {
            incoming,
            exchange: Some(self),
            pool: Arc::clone(pool),
        };
        let mut answer = Answer {
            head: Response::from_parts(head, ()),
            body,
        };
        if answer.body.is_end_stream() {
            answer.body.release();
        }
        Ok(answer)
    }

    /// Reads and writes what can be read and written now. Whoever waits for the answer or its body
    /// polls this first.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // An error reaches whoever waits for the answer or its body.
        if !self.ended && Pin::new(&mut self.connection).poll(cx).is_ready() {
            self.ended = true;
        }
    }
}

/// For what becomes ready only while its own task is polling it: a waker would only make that task
/// run once more for nothing.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Of an answer's head, in bytes: portals send long cookies.
const LIMIT_HEAD: usize = 64 * 1024;

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// A visitor's request body on its way to the portal. Trailers stay behind (HDR-07).
#[derive(Debug)]
pub(super) struct Sent {
    body: Incoming,
    progress: Option<Arc<AtomicU64>>,
}

impl Sent {
    pub(super) fn new(body: Incoming) -> Self {
        let progress = (!body.is_end_stream()).then(Arc::default);
        Self { body, progress }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(next_data(&mut self.body, cx));
        if let Some(progress) = &self.progress {
            progress.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The next piece of data, passing over trailers.
fn next_data(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) if !frame.is_data() => {}
            other => return Poll::Ready(other),
        }
    }
}

/// A portal's answer: its head, and the body as it comes.
#[derive(Debug)]
pub struct Answer {
    head: Response<()>,
    body: AnswerBody,
}

impl Answer {
    pub(super) fn head_mut(&mut self) -> &mut Response<()> {
        &mut self.head
    }

    /// Head and body.
    #[must_use]
    pub fn into_parts(self) -> (Response<()>, AnswerBody) {
        (self.head, self.body)
    }
}

/// The body of a portal's answer. It holds the connection until the answer has ended exactly, and
/// closes it otherwise (HTTP-05).
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    exchange: Option<Box<Exchange>>,
    pool: Arc<Pool>,
}

impl AnswerBody {
    /// The answer has ended: gives the connection back if it is as good as new.
    fn release(&mut self) {
        if let Some(mut exchange) = self.exchange.take()
            && exchange.is_still_good()
        {
            self.pool.put(exchange, Instant::now());
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(exchange) = &mut self.exchange {
            exchange.drive(cx);
        }
        let frame = ready!(next_data(&mut self.incoming, &mut nobody()));
        match &frame {
            Some(Ok(_)) if !self.incoming.is_end_stream() => {}
            Some(Ok(_)) | None => self.release(),
            // Cut short: the visitor's answer ends as an error too (HTTP-06).
            Some(Err(_)) => self.exchange = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

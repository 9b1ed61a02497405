//! HTTP/2 towards visitors (RFC 9113): hyper's server, told every limit, and what it does not limit
//! itself. Frames and header compression are `h2`'s; what it refuses of its own accord is written
//! down in `limits.rs`.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::ext::Protocol;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Sleep;

use super::account::Body;
use super::bound::{Bound, CutShort};
use super::farewell::Farewell;
use super::http1::Tunnel;
use super::peer::Peer;
use super::request::Head;
use super::stop::Shutdown;
use super::worker::{Entrance, Seat, Worker};
use super::{Proxy, grpc, limits};
use crate::gate::RawTarget;
use crate::telemetry::metrics::ConnectionRefusal;
use crate::upstream::RequestBody;

/// Serves a connection until it ends, or has ended what it carries once it is old, has served
/// enough, or a stop is asked for.
pub(super) async fn serve<I>(
    entrance: Entrance,
    seat: Arc<Seat>,
    stream: I,
    peer: Arc<Peer>,
    shutdown: Shutdown,
) where
    I: Read + Write + Unpin + Send + 'static,
{
    let (patience, metrics, resets) = {
        let proxy = &seat.now().proxy;
        (proxy.limits, Arc::clone(&proxy.metrics), entrance.resets(proxy, &peer))
    };
    let conduct = Arc::new(Conduct::default());
    let watched = Arc::clone(&conduct);
    let stopping = shutdown.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (seat, peer) = (Arc::clone(&seat), Arc::clone(&peer));
        let stopping = stopping.clone();
        let underway = Underway::begin(&conduct);
        async move {
            unless_reset_already().await;
            let worker = seat.now();
            let answer = match entrance {
                Entrance::Visitors => answer(&worker, &peer, request, &stopping).await,
                Entrance::Questions => grpc::answer(&worker, &peer, request).await.map(Some),
            };
            Ok::<_, Infallible>(answer.map(|body| Outgoing::new(body, underway)))
        }
    });
    let header_list = u32::try_from(limits::HEAD_BYTES).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(Streams { stall: patience.stall_time })
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .adaptive_window(false)
        .max_frame_size(limits::FRAME)
        .max_header_list_size(header_list)
        .header_table_size(limits::HEADER_TABLE)
        .max_pending_accept_reset_streams(resets.unwrap_or(limits::RESETS))
        .max_local_error_reset_streams(limits::RESETS)
        .max_send_buf_size(limits::SEND_BUFFER)
        .enable_connect_protocol()
        .keep_alive_interval(limits::PING_EVERY)
        .keep_alive_timeout(limits::PING_TIME)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let mut told = pin!(shutdown.clone().told());
    let mut age = pin!(tokio::time::sleep(patience.age));
    let mut first_request = pin!(tokio::time::sleep(patience.head_time));
    let mut is_listening = false;
    let mut is_finishing = false;
    poll_fn(|cx| {
        if !is_listening {
            is_listening = true;
            // Ready or not: they are looked at below. Their wakers are this task's, for all time.
            let _ = told.as_mut().poll(cx);
            let _ = age.as_mut().poll(cx);
            let _ = first_request.as_mut().poll(cx);
        }
        // Not even the preface has to come, for all that the library cares.
        if first_request.is_elapsed() && watched.requests.load(Relaxed) == 0 {
            return Poll::Ready(());
        }
        if watched.is_abusive.load(Relaxed) && resets.is_none() {
            metrics.connection_refused(ConnectionRefusal::Resets);
            return Poll::Ready(());
        }
        let is_over = shutdown.is_asked()
            || age.is_elapsed()
            || watched.requests.load(Relaxed) >= patience.requests as usize;
        if is_over && !is_finishing {
            is_finishing = true;
            connection.as_mut().graceful_shutdown();
        }
        // New streams are run from here, and end with nobody's session yet.
        drop(BOUND.take());
        // How a visitor's connection ends is theirs to choose; what they asked for is accounted.
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

impl Entrance {
    /// How many streams may be reset by a server that is listed, and breaks off what its visitors
    /// break off; `None` for everybody else.
    fn resets(self, proxy: &Proxy, peer: &Peer) -> Option<usize> {
        let asks = self == Self::Questions;
        let verifying = proxy.verify.as_ref().filter(|verifying| verifying.believes(peer));
        verifying.filter(|_| asks).map(|_| limits::RESETS_OF_SERVERS)
    }
}

/// Waits for a moment, and only once: the library looks whether a stream was reset when it first
/// waits, and drops it there. Requests that came together with their reset then cost a look at
/// their head, instead of a connection to the portal each (LIM-04).
async fn unless_reset_already() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Answers one request.
async fn answer(
    worker: &Worker,
    peer: &Peer,
    mut request: Request<Incoming>,
    stopping: &Shutdown,
) -> Response<Option<Body>> {
    let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
    let is_websocket = request.method() == Method::CONNECT && protocol == Some("websocket");
    let upgrade = is_websocket.then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let (method, target, headers) = (head.method, RawTarget::Pseudo(head.uri), head.headers);
    let mut head = Head { method, target, version: head.version, headers };
    let Some(upgrade) = upgrade else {
        return worker.handle(peer, head, RequestBody::http2(body)).await.map(Some);
    };
    if !as_upgrade(&mut head) {
        return worker.handle(peer, head, RequestBody::empty()).await.map(Some);
    }
    let mut answer = worker.handle(peer, head, RequestBody::empty()).await;
    if let Some(tunnel) = answer.body_mut().take_tunnel() {
        // What HTTP/1.1 says of the connection, HTTP/2 does not (RFC 8441, section 5).
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
            answer.headers_mut().remove(name);
        }
        *answer.status_mut() = StatusCode::OK;
        let (head, body) = answer.into_parts();
        BOUND.set(body.bound().cloned());
        let tunnel = Box::new(Farewell::new(tunnel, stopping));
        tokio::spawn(relay(upgrade, tunnel, body));
        return Response::from_parts(head, None);
    }
    if answer.status().is_success() {
        // To whoever asked for a WebSocket, success is one that is open (RFC 8441, section 5).
        *answer.status_mut() = StatusCode::NOT_IMPLEMENTED;
    }
    answer.map(Some)
}

/// A WebSocket over HTTP/2 (RFC 8441, section 4) as the upgrade that portals know, to be judged
/// like any other; `false` if there is no randomness for its key, and then it stays what it is.
fn as_upgrade(head: &mut Head) -> bool {
    let mut nonce = [0; 16];
    let key = aws_lc_rs::rand::fill(&mut nonce)
        .ok()
        .and_then(|()| HeaderValue::try_from(STANDARD.encode(nonce)).ok());
    let Some(key) = key else {
        return false;
    };
    head.method = Method::GET;
    head.version = Version::HTTP_11;
    head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.headers.insert(SEC_WEBSOCKET_KEY, key);
    true
}

/// Copies both ways, once the stream is the WebSocket's, until either side ends or the session does
/// (SESS-10). `body` keeps the account open until then.
async fn relay(upgrade: hyper::upgrade::OnUpgrade, mut tunnel: Box<dyn Tunnel>, mut body: Body) {
    let Ok(stream) = upgrade.await else {
        return;
    };
    let mut stream = TokioIo::new(stream);
    let mut copying = pin!(tokio::io::copy_bidirectional(&mut stream, &mut tunnel));
    poll_fn(|cx| {
        if body.poll_over(cx).is_ready() {
            return Poll::Ready(());
        }
        // How it ends is theirs to choose.
        copying.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// How a visitor behaves on one connection. `h2` bounds the streams that are reset before they are
/// looked at; one that is reset a moment later has cost the portal a request already, and is
/// counted here.
#[derive(Debug, Default)]
struct Conduct {
    requests: AtomicUsize,
    /// Requests that the visitor broke off, less those that were answered to the end.
    broken_off: AtomicUsize,
    is_abusive: AtomicBool,
}

/// A request that has begun. Dropped before its answer has ended, it was broken off.
#[derive(Debug)]
struct Underway(Option<Arc<Conduct>>);

impl Underway {
    fn begin(conduct: &Arc<Conduct>) -> Self {
        conduct.requests.fetch_add(1, Relaxed);
        Self(Some(Arc::clone(conduct)))
    }

    fn done(&mut self) {
        if let Some(conduct) = self.0.take() {
            // All of a connection's streams are polled by one thread.
            conduct.broken_off.store(conduct.broken_off.load(Relaxed).saturating_sub(1), Relaxed);
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(conduct) = self.0.take()
            && conduct.broken_off.fetch_add(1, Relaxed) >= limits::BROKEN_OFF
        {
            conduct.is_abusive.store(true, Relaxed);
        }
    }
}

thread_local! {
    /// What the stream that is being polled is at.
    static AT: Cell<At> = const { Cell::new(At::Body) };
    /// The session that the answer ends with which has just been given to it.
    static BOUND: Cell<Option<Arc<Bound>>> = const { Cell::new(None) };
}

/// What a stream is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The next piece of the answer, or the answer itself.
    Body,
    /// Room in the visitor's window for a piece that it has had for a while.
    Window,
    /// The same, for a piece that it has just got.
    NewPiece,
}

/// Runs each stream, and gives up those whose visitor takes nothing (LIM-04), or whose session is
/// over meanwhile (SESS-10). The body is not asked for more while a piece waits for room, and so
/// cannot know; whoever polls the stream can.
#[derive(Clone, Copy, Debug)]
struct Streams {
    stall: Duration,
}

impl<S> Executor<S> for Streams
where
    S: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: S) {
        let stall = self.stall;
        // What a WebSocket sends is run apart, from the moment at which there is an answer.
        let websocket = BOUND.take();
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            let mut at = At::Body;
            // Most streams never wait for room, and need neither.
            let mut deadline: Option<Pin<Box<Sleep>>> = None;
            let mut over = websocket.as_ref().map(|bound| bound.watch());
            let mut bound = None;
            poll_fn(|cx| {
                // First: a WebSocket that is given up must not look like one that was closed.
                if let Some(over) = &mut over
                    && Pin::new(over).poll(cx).is_ready()
                {
                    return Poll::Ready(());
                }
                AT.set(at);
                let polled = stream.as_mut().poll(cx);
                // Nothing is left for the next stream that this thread runs.
                bound = BOUND.take().or(bound.take());
                if polled.is_ready() {
                    return Poll::Ready(());
                }
                at = AT.get();
                match at {
                    At::Body => {
                        deadline = None;
                        over = over.take().filter(|_| websocket.is_some());
                    }
                    At::NewPiece => {
                        at = At::Window;
                        deadline = Some(Box::pin(tokio::time::sleep(stall)));
                    }
                    At::Window => {}
                }
                if at == At::Window
                    && over.is_none()
                    && let Some(bound) = &bound
                    && Pin::new(over.insert(bound.watch())).poll(cx).is_ready()
                {
                    return Poll::Ready(());
                }
                match &mut deadline {
                    // Dropping the stream resets it, and frees what waits in it.
                    Some(deadline) => deadline.as_mut().poll(cx),
                    None => Poll::Pending,
                }
            })
            .await;
        });
    }
}

/// An answer's body in pieces that show whether the visitor takes them.
///
/// A piece is written once there is room for its first byte, and what has been written is out of
/// our hands: the rest of it would wait for ever, watched by nobody. So the last byte of what may
/// be the last piece goes alone: there is room for it only when all before it had some.
#[derive(Debug)]
struct Outgoing {
    /// A WebSocket's answer has none.
    body: Option<Body>,
    last: Option<Bytes>,
    underway: Underway,
}

impl Outgoing {
    fn new(body: Option<Body>, mut underway: Underway) -> Self {
        if body.as_ref().is_none_or(HttpBody::is_end_stream) {
            underway.done();
        }
        if let Some(bound) = body.as_ref().and_then(Body::bound) {
            BOUND.set(Some(Arc::clone(bound)));
        }
        Self { body, last: None, underway }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(mut data) => {
                let may_be_last = body.is_end_stream() || body.size_hint().exact().is_none();
                if may_be_last && data.len() > 1 {
                    self.last = Some(data.split_off(data.len() - 1));
                }
                Frame::data(data)
            }
            Err(frame) => frame,
        })))
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        AT.set(At::Body);
        let piece = ready!(self.poll_piece(cx));
        AT.set(At::NewPiece);
        // An answer that the portal broke off is no fault of the visitor's.
        if !matches!(piece, Some(Ok(_))) || self.is_end_stream() {
            self.underway.done();
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        let mut hint = self.body.as_ref().map_or_else(none, HttpBody::size_hint);
        let held = self.last.as_ref().map_or(0, |last| last.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(hint.lower().saturating_add(held));
        hint
    }
}

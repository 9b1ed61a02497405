//! Portals that speak HTTP/2: gRPC as it comes, streams that were refused, silence.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls;
use crate::upstreams::{Pair, get, plan};
use crate::world::browser::PAGE;
use crate::world::{World, assert_refusal};

/// A body out of what is sent to it.
pub struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl Frames {
    pub fn new() -> (mpsc::Sender<Frame<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(4);
        (sender, Self(receiver))
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// A portal that answers each message as it comes, and says at the end how it went. It dies with
/// the value, and its connections with it.
pub struct Portal {
    pub port: u16,
    heads: Arc<Mutex<Vec<http::request::Parts>>>,
    connections: Arc<AtomicUsize>,
    listening: AbortHandle,
}

impl Portal {
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), tls)
    }

    fn listen(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<_>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (record, counted) = (Arc::clone(&heads), Arc::clone(&connections));
        let listening = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let (record, tls) = (Arc::clone(&record), tls.clone());
                open.spawn(async move {
                    let service = service_fn(move |request| {
                        let record = Arc::clone(&record);
                        async move { Ok::<_, Infallible>(answer(request, &record)) }
                    });
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = match tls {
                        None => builder.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            builder.serve_connection(TokioIo::new(stream), service).await
                        }
                    };
                });
            }
        });
        Self { port, heads, connections, listening: listening.abort_handle() }
    }

    pub fn last(&self) -> http::request::Parts {
        self.heads.lock().unwrap().last().cloned().unwrap()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn answer(
    request: Request<Incoming>,
    record: &Mutex<Vec<http::request::Parts>>,
) -> Response<Frames> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    record.lock().unwrap().push(head);
    let (sender, frames) = Frames::new();
    tokio::spawn(async move {
        if path == "/stall" {
            sender.send(Frame::data(Bytes::from_static(b"part"))).await.unwrap();
            std::future::pending::<()>().await;
        }
        if path == "/x" {
            let _ = sender.send(Frame::data(Bytes::from_static(b"plain"))).await;
        }
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                let _ = sender.send(Frame::data(data)).await;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("x-anteport-assertion", "forged".parse().unwrap());
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    Response::builder().header("content-type", "application/grpc").body(frames).unwrap()
}

#[tokio::test]
async fn hdr_07_a_grpc_stream_passes_in_both_directions_at_once() {
    let portal = Portal::start(None).await;
    let url = format!("http://127.0.0.1:{}", portal.port);
    let plan = plan(format!("{{ url: \"{url}\", protocol: http2 }}"));
    let (world, certificate) = tls::world_with(plan).await;
    let mut sender = tls::over_http2(&world, &certificate).await;
    for (path, passes) in [("/trailers/chat.Chat/Talk", true), ("/chat.Chat/Talk", false)] {
        let (talk, frames) = Frames::new();
        let request = Request::post(format!("https://{}{path}", world.proxy))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("x-forwarded-for", "10.0.0.1")
            .body(frames)
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let mut answer = answer.into_body();
        for message in ["one", "two", "three"] {
            talk.send(Frame::data(Bytes::from(message))).await.unwrap();
            let mut heard = Vec::new();
            while heard.len() < message.len() {
                heard.extend(answer.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            assert_eq!(heard, message.as_bytes(), "it comes while the request goes on");
        }
        drop(talk);
        let rest = answer.collect().await.unwrap();
        let trailers = rest.trailers().cloned().unwrap_or_default();
        let names: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, if passes { vec!["grpc-status"] } else { vec![] }, "{path}");
        let head = portal.last();
        assert_eq!((head.version, head.method), (Version::HTTP_2, Method::POST));
        assert_eq!(head.uri.path(), path);
        assert_eq!(head.uri.authority().unwrap().as_str(), world.proxy.to_string());
        assert_eq!(head.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(head.headers["x-forwarded-proto"], "https");
        assert_eq!(head.headers.contains_key("te"), passes);
        assert!(!head.headers.contains_key("host"));
    }
    assert_eq!(portal.connections.load(Ordering::Relaxed), 1, "one connection carries both");
    drop(sender);
    world.stop().await;
}

#[tokio::test]
async fn http2_over_tls_is_agreed_on_or_the_portal_is_a_502() {
    let pair = Pair::new("127.0.0.1");
    let portal = Portal::start(Some(pair.acceptor(None, b"h2"))).await;
    let tls = format!("tls: {{ ca: {} }}", pair.file("crt"));
    let url = format!("https://127.0.0.1:{}", portal.port);
    let upstream = format!("{{ url: \"{url}\", protocol: http2, {tls}, max_requests: 1 }}");
    let world = World::start_with(plan(upstream)).await;
    let body = vec![b'x'; 1_000_000];
    for _ in 0..5 {
        // Each gives its place back (LIM-05).
        let answer = world.browser().send("POST", "/upload", PAGE, &body).await;
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
        assert_eq!(portal.last().headers["content-length"], "1000000");
    }
    world.stop().await;
    let old = Portal::start(Some(pair.acceptor(None, b"http/1.1"))).await;
    let url = format!("https://127.0.0.1:{}", old.port);
    let world =
        World::start_with(plan(format!("{{ url: \"{url}\", protocol: http2, {tls} }}"))).await;
    assert_refusal(&get(&world, "/x").await, 502, "upstream-tls");
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_ended_is_made_anew_and_silence_is_given_up() {
    let portal = Portal::start(None).await;
    let port = portal.port;
    let url = format!("http://127.0.0.1:{port}");
    let upstream = format!("{{ url: \"{url}\", protocol: http2, idle_timeout: 300ms }}");
    let world = World::start_with(plan(upstream)).await;
    assert_eq!(get(&world, "/x").await.text(), "plain");
    drop(portal);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_refusal(&get(&world, "/x").await, 502, "upstream-");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let _portal = Portal::listen(listener, None);
    assert_eq!(get(&world, "/x").await.text(), "plain");

    let answer = until_closed(&world, "/stall").await;
    assert!(answer.contains("part") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    world.stop().await;
}

/// What comes back until the visitor's connection is closed, or reset.
async fn until_closed(world: &World, target: &str) -> String {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A portal over HTTP/2 that serves each of its connections so; how an operator writes it.
async fn serving<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            open.spawn(serve(stream));
        }
    });
    format!("{{ url: \"http://127.0.0.1:{port}\", protocol: http2 }}")
}

/// A portal that resets each stream without an error, within an answer of a length or of none.
async fn breaking_off(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut bodies = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let mut answer = Response::new(());
        if request.uri().path() == "/length" {
            answer.headers_mut().insert("content-length", 100.into());
        }
        let mut body = respond.send_response(answer, false).unwrap();
        body.send_data(Bytes::from_static(b"ok"), false).unwrap();
        // What was sent has to be on its way first.
        bodies.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            body.send_reset(h2::Reason::NO_ERROR);
        }));
    }
}

#[tokio::test]
async fn http_06_an_answer_that_is_reset_without_an_error_is_not_whole() {
    let world = World::start_with(plan(serving(breaking_off).await)).await;
    for target in ["/length", "/none"] {
        let answer = until_closed(&world, target).await;
        assert!(answer.contains("ok") && !answer.ends_with("0\r\n\r\n"), "{target}: {answer}");
    }
    world.stop().await;
}

/// A portal that allows one stream at a time on a connection, and never answers `/hold`.
async fn narrow(stream: TcpStream) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut held = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        if request.uri().path() == "/hold" {
            held.push(respond);
            continue;
        }
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"done"), true).unwrap();
    }
}

#[tokio::test]
async fn lim_08_nobody_waits_for_a_stream_that_somebody_else_has() {
    let world = World::start_with(plan(serving(narrow).await)).await;
    assert_eq!(get(&world, "/a").await.text(), "done");
    let mut holders = JoinSet::new();
    for _ in 0..6 {
        let browser = world.browser();
        holders.spawn(async move { browser.send("GET", "/hold", PAGE, b"").await });
        assert_eq!(get(&world, "/a").await.text(), "done");
    }
    holders.shutdown().await;
    world.stop().await;
}

/// A portal that refuses the first stream of each connection or, once `goes_away`, says so.
async fn refusing(stream: TcpStream, goes_away: Arc<AtomicBool>, seen: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut is_first = true;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        seen.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut is_first) {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        let answer = Response::new(());
        let mut body = respond.send_response(answer, false).unwrap();
        body.send_data(Bytes::from_static(b"done"), true).unwrap();
        if goes_away.load(Ordering::Relaxed) {
            connection.graceful_shutdown();
        }
    }
}

#[tokio::test]
async fn http_07_a_stream_that_was_refused_is_sent_once_more_if_it_may_be() {
    let (goes_away, seen) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let told = (Arc::clone(&goes_away), Arc::clone(&seen));
    let upstream =
        serving(move |stream| refusing(stream, Arc::clone(&told.0), Arc::clone(&told.1))).await;
    let world = World::start_with(plan(upstream.clone())).await;
    assert_eq!(get(&world, "/a").await.text(), "done");
    assert_eq!(seen.load(Ordering::Relaxed), 2);
    world.stop().await;
    // What may change something is not, although it could be told that nothing happened.
    let world = World::start_with(plan(upstream)).await;
    let answer = world.browser().send("POST", "/a", PAGE, b"pay").await;
    assert_refusal(&answer, 502, "upstream-broken");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    // Connections that end with GOAWAY after each answer cost nobody an answer.
    goes_away.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(get(&world, "/a").await.text(), "done");
    }
    world.stop().await;
}

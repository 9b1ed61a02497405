//! What is open over HTTP/2 when its session ends (SESS-10): the streams of one connection may be
//! of several sessions.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ended::{
    LONG, MEMBER, Portal, ROUTES, TREASURER, cookie, end, ended, member, signs_out, stream,
};
use crate::http2::{
    CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, Wire, fields,
    frame,
};
use crate::http2_portals::Frames;
use crate::tls;
use crate::websockets::talks;
use crate::world::browser::PAGE;
use crate::world::{Plan, World};

pub type Sender = SendRequest<Empty<Bytes>>;

/// Signs in over HTTP/2; the cookie.
pub async fn signs_in(world: &World, sender: &mut Sender, username: &str) -> String {
    let get = |target: &str, cookie: &str| {
        let mut request = Request::get(format!("https://{}{target}", world.proxy));
        for (name, value) in PAGE {
            request = request.header(*name, *value);
        }
        request.header("cookie", cookie).body(Empty::new()).unwrap()
    };
    let set = |answer: &Response<Incoming>, prefix: &str| {
        let all = answer.headers().get_all("set-cookie").iter();
        let mut texts = all.map(|value| value.to_str().unwrap().split(';').next().unwrap());
        texts.find(|text| text.starts_with(prefix)).unwrap().to_owned()
    };
    let begun = sender.send_request(get("/reports", "")).await.unwrap();
    let login = set(&begun, "__Host-anteport-login-");
    let provider = begun.headers()["location"].to_str().unwrap().parse().unwrap();
    let mut browser = world.browser();
    let form = browser.open_url(&provider).await;
    let form = browser.follow_from(form).await;
    let back = browser.submit(&form, username, "demo").await.location();
    let target = &back[url::Position::BeforePath..url::Position::AfterQuery];
    let answer = sender.send_request(get(target, &login)).await.unwrap();
    assert_eq!(answer.status(), 303);
    set(&answer, "__Host-anteport=")
}

pub async fn websocket_on(
    world: &World,
    sender: &mut Sender,
    target: &str,
    cookie: &str,
) -> TokioIo<hyper::upgrade::Upgraded> {
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{}{target}", world.proxy))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("cookie", cookie)
        .body(Empty::new())
        .unwrap();
    let mut answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    talks(&mut stream, "hello").await;
    stream
}

async fn signs_out_on(world: &World, sender: &mut Sender, cookie: &str) {
    let request = Request::post(format!("https://{}/.auth/logout", world.proxy))
        .header("sec-fetch-site", "same-origin")
        .header("cookie", cookie)
        .body(Empty::new())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 303);
}

pub async fn stream_on(world: &World, sender: &mut Sender, target: &str, cookie: &str) -> Incoming {
    let request = Request::get(format!("https://{}{target}", world.proxy))
        .header("cookie", cookie)
        .body(Empty::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body()
}

/// Reads until these bytes have come, or why they did not.
pub async fn hears(body: &mut Incoming, wanted: &str) -> Result<(), Option<h2::Reason>> {
    let mut got = Vec::new();
    while !got.ends_with(wanted.as_bytes()) {
        match tokio::time::timeout(LONG, body.frame()).await.expect("it is still open") {
            Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(error)) => {
                let cause = std::error::Error::source(&error).unwrap();
                return Err(cause.downcast_ref::<h2::Error>().unwrap().reason());
            }
            None => return Err(None),
        }
    }
    Ok(())
}

#[tokio::test]
async fn sess_10_streams_of_one_connection_end_each_with_their_own_session() {
    let portal = Portal::start().await;
    let (world, certificate) = tls::world_with(portal.plan()).await;
    let mut sender = tls::over_http2(&world, &certificate).await;
    let one = signs_in(&world, &mut sender, TREASURER).await;
    let two = signs_in(&world, &mut sender, MEMBER).await;
    let mut my_socket = websocket_on(&world, &mut sender, "/mine/ws", &one).await;
    let mut my_events = stream_on(&world, &mut sender, "/mine/events", &one).await;
    let my_stalled = stream_on(&world, &mut sender, "/stalled/pours", &one).await;
    let mut my_floods = websocket_on(&world, &mut sender, "/floods/ws", &one).await;
    let mut socket = websocket_on(&world, &mut sender, "/others/ws", &two).await;
    let mut events = stream_on(&world, &mut sender, "/others/events", &two).await;
    let mut public = stream_on(&world, &mut sender, "/open/events", "").await;
    hears(&mut my_events, "first").await.unwrap();
    hears(&mut events, "first").await.unwrap();
    hears(&mut public, "first").await.unwrap();
    let piece = vec![b'x'; 256 * 1024];
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(500), my_floods.write(&piece)).await
    {
        written.unwrap();
    }
    signs_out_on(&world, &mut sender, &one).await;
    assert!(end(&mut my_socket).await.0.is_empty());
    let reason = hears(&mut my_events, "more").await.unwrap_err();
    assert!(reason.is_some(), "a reset, and no clean end (HTTP-06)");
    for target in ["/mine/ws", "/mine/events", "/stalled/pours", "/floods/ws"] {
        portal.loses(target).await;
    }
    talks(&mut socket, "still here").await;
    portal.say.send(()).unwrap();
    hears(&mut events, "more").await.unwrap();
    hears(&mut public, "more").await.unwrap();
    assert_eq!((ended(&world, "websocket").await, ended(&world, "answer").await), (2.0, 2.0));
    drop((my_stalled, my_floods, socket, events, public, sender));
    world.stop().await;
}

#[tokio::test]
async fn sess_10_streams_that_nobody_reads_are_reset_with_their_session() {
    let portal = Portal::start().await;
    let (world, certificate) = tls::world_with(portal.plan()).await;
    let mut sender = tls::over_http2(&world, &certificate).await;
    let cookie = signs_in(&world, &mut sender, TREASURER).await;
    let shut = [0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0];
    let mut wire = Wire::open(&world, &certificate, &shut).await;
    let host = world.proxy.to_string();
    let more = [(":scheme", "https"), (":authority", &*host)];
    let answer = [(":method", "GET"), (":path", "/stalled/pours"), ("cookie", &cookie)];
    let answer = fields(&[&more[..], &answer[..]].concat());
    let socket = [(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/stalled/ws")];
    let rest = [("sec-websocket-version", "13"), ("cookie", &cookie)];
    let socket = fields(&[&more[..], &socket[..], &rest[..]].concat());
    wire.write(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &answer)).await;
    assert_eq!(wire.until(HEADERS).await.stream, 1);
    wire.write(&frame(HEADERS, END_HEADERS, 3, &socket)).await;
    assert_eq!(wire.until(HEADERS).await.stream, 3);
    // The echo finds no room.
    wire.write(&frame(DATA, 0, 3, b"hello")).await;
    signs_out_on(&world, &mut sender, &cookie).await;
    let mut reset = [wire.until(RST_STREAM).await, wire.until(RST_STREAM).await];
    reset.sort_by_key(|got| got.stream);
    assert_eq!(reset.each_ref().map(|got| got.stream), [1, 3]);
    assert_eq!(reset[1].reason(), CANCEL, "not as if the portal had closed it");
    portal.loses("/stalled/pours").await;
    portal.loses("/stalled/ws").await;
    assert_eq!((ended(&world, "websocket").await, ended(&world, "answer").await), (1.0, 1.0));
    drop((wire, sender));
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_call_to_a_portal_over_http2_ends_with_its_session() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut gone) = mpsc::channel::<()>(1);
    let portal = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let told = told.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let told = told.clone();
                let (sender, body) = Frames::new();
                if request.uri().path() == "/call" {
                    tokio::spawn(async move {
                        sender.send(Frame::data(Bytes::from_static(b"first"))).await.unwrap();
                        sender.closed().await;
                        told.send(()).await.unwrap();
                    });
                }
                async move { Ok::<_, Infallible>(Response::new(body)) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    let upstream = Some(format!("{{ url: \"http://127.0.0.1:{port}\", protocol: http2 }}"));
    let world = World::start_with(Plan { portal: ROUTES, upstream, ..Plan::default() }).await;
    let mut browser = member(&world, TREASURER).await;
    let mut call = stream(&world, "/call", &cookie(&mut browser)).await;
    signs_out(&browser).await;
    assert_eq!(end(&mut call).await.0.trim_ascii(), b"", "no last chunk");
    tokio::time::timeout(LONG, gone.recv()).await.expect("the portal's stream is open").unwrap();
    portal.abort();
    world.stop().await;
}

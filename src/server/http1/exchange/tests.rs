//! Answers over a connection that is no socket: what stands on the wire, tunnels, time.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::clock::Clock;
use crate::gate::Timestamp;
use crate::server::stop::Stop;
use crate::server::worker::{Seat, Worker};
use crate::server::{Limits, Proxy};
use crate::telemetry::log::DroppedLines;

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:1" }
providers:
  corporate:
    kind: entra_id
    tenant: harborclub.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { value: "a secret of the tests" } } ]
portals:
  - public_url: "http://127.0.0.1:1"
    upstream: { url: "http://127.0.0.1:2" }
    local_login: {}
"#;

/// A connection, the visitor's end of it, and whoever may stop it.
fn connection_with(limits: Limits) -> (Connection<DuplexStream>, DuplexStream, Stop) {
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let loaded = crate::config::parse("tests.yaml", CONFIG, &|_| None, now)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let dropped = DroppedLines::default();
    let proxy = Proxy::new(loaded.config, Clock::at(now), dropped, limits).unwrap();
    let seat = Arc::new(Seat::new(Worker::new(&Arc::new(proxy)).unwrap()));
    let (near, visitor) = duplex(64 * 1024);
    let (stop, shutdown) = Stop::new();
    (Connection::new(seat, near, shutdown), visitor, stop)
}

fn connection() -> (Connection<DuplexStream>, DuplexStream, Stop) {
    connection_with(Limits::default())
}

const ASKING: Asking =
    Asking { is_head: false, version: Version::HTTP_11, keeps_open: true, takes_trailers: false };

#[tokio::test]
async fn http_08_a_101_makes_a_tunnel_and_nothing_goes_before_it() {
    let (mut connection, mut visitor, _stop) = connection();
    // Sent before anybody said that it may be.
    connection.read = BytesMut::from("early ");
    let (far, mut portal) = duplex(64 * 1024);
    let account = Account::unread(&connection.worker.proxy);
    let mut response = Response::new(Body::tunnel(Box::new(far), None, account));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    let After::Tunnel(tunnelled) = connection.answer(ASKING, response, None).await else {
        panic!("no tunnel");
    };
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                upgrade: websocket\r\n\r\n";
    let mut said = vec![0; head.len()];
    visitor.read_exact(&mut said).await.unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), head);
    let read = std::mem::take(&mut connection.read);
    let running = tokio::spawn(async move {
        tunnelled.run(&mut connection.stream, read).await;
    });
    visitor.write_all(b"there").await.unwrap();
    let mut there = [0; 11];
    portal.read_exact(&mut there).await.unwrap();
    assert_eq!(&there, b"early there");
    portal.write_all(b"back").await.unwrap();
    let mut back = [0; 4];
    visitor.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"back");
    // Either end is the end of both, and what was said before it arrives.
    portal.write_all(b"bye").await.unwrap();
    drop(portal);
    let mut rest = String::new();
    visitor.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    running.await.unwrap();
}

async fn said(make: impl FnOnce(Account) -> Response<Body>, asking: Asking) -> String {
    let (mut connection, mut visitor, _stop) = connection();
    let response = make(Account::unread(&connection.worker.proxy));
    let after = connection.answer(asking, response, None).await;
    drop(connection);
    let mut said = String::new();
    visitor.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.contains("connection: close"), matches!(after, After::Close));
    said
}

/// An answer of ours.
fn own(
    status: u16,
    body: &'static str,
    headers: &'static [(&'static str, &'static str)],
) -> impl FnOnce(Account) -> Response<Body> {
    move |account| {
        let mut response = Response::new(Body::own(body.into(), account));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    }
}

#[tokio::test]
async fn http_01_framing_and_connection_are_ours() {
    let date = "date: Fri, 15 Jan 2027 08:00:00 GMT\r\n";
    let ok = said(own(200, "hello", &[]), ASKING).await;
    assert_eq!(ok, format!("HTTP/1.1 200 OK\r\n{date}content-length: 5\r\n\r\nhello"));
    let head = said(own(200, "hello", &[]), Asking { is_head: true, ..ASKING }).await;
    assert_eq!(head, format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n{date}\r\n"));
    let none = said(own(204, "", &[("content-length", "0")]), ASKING).await;
    assert_eq!(none, format!("HTTP/1.1 204 No Content\r\n{date}\r\n"));
    let unchanged = said(own(304, "", &[("content-length", "7")]), ASKING).await;
    let expected = format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n{date}\r\n");
    assert_eq!(unchanged, expected);
    let lies = &[("connection", "x"), ("transfer-encoding", "chunked"), ("content-length", "7")];
    assert_eq!(said(own(200, "hello", lies), ASKING).await, ok);
    let old = Asking { version: Version::HTTP_10, ..ASKING };
    let old = said(own(200, "", &[]), old).await;
    assert!(old.contains("\r\nconnection: keep-alive\r\n"), "{old}");
    let last = Asking { keeps_open: false, ..ASKING };
    let last = said(own(200, "", &[]), last).await;
    assert!(last.contains("\r\nconnection: close\r\n"), "{last}");
}

#[tokio::test]
async fn lim_03_a_visitor_who_takes_nothing_is_given_up() {
    let (mut connection, visitor, _stop) =
        connection_with(Limits { stall_time: Duration::from_millis(50), ..Limits::default() });
    let account = Account::unread(&connection.worker.proxy);
    let large = Response::new(Body::own(vec![b'x'; 1024 * 1024].into(), account));
    let begun = Instant::now();
    assert!(matches!(connection.answer(ASKING, large, None).await, After::Cut));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    drop(visitor);
}

#[test]
fn lim_03_a_body_is_waited_for_as_long_as_it_brings_bytes() {
    let limits = Limits::default();
    assert_eq!(limits.patience(0), Duration::from_secs(10));
    assert_eq!(limits.patience(240), Duration::from_secs(11));
    assert!(limits.patience(u64::MAX) > Duration::from_secs(1_000_000));
}

#[tokio::test]
async fn http_09_a_body_may_be_sent_on_by_another_task() {
    use http_body_util::BodyExt as _;
    let (mut connection, mut visitor, _stop) = connection();
    let (mut inlet, body) = Inlet::new(crate::http1::content::Content::Length(10), true);
    let mut reading = tokio::spawn(body.collect());
    let visiting = async {
        let mut interim = [0; 25];
        visitor.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        for half in [b"hello", b"there"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
            visitor.write_all(half).await.unwrap();
        }
    };
    let serving = poll_fn(|cx| {
        loop {
            match connection.poll_visitor(cx, Some(&mut inlet), true) {
                Visitor::Sent => {}
                Visitor::Silent if inlet.is_over() => return Poll::Ready(()),
                Visitor::Silent => return Poll::Pending,
                Visitor::Gone => panic!("the visitor is still there"),
            }
        }
    });
    let both = async { tokio::join!(visiting, serving) };
    tokio::time::timeout(Duration::from_secs(5), both).await.expect("both sides are woken");
    let body = (&mut reading).await.unwrap().unwrap().to_bytes();
    assert_eq!(body, "hellothere");
    assert!(inlet.is_clean());
}

//! Limits on what visitors may take, with times short enough to wait for.

use std::time::{Duration, Instant};

use anteport::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Plan, World};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(8);

async fn start(limits: Limits) -> World {
    World::start_with(Plan { limits, ..Plan::default() }).await
}

/// Sends bytes; all that comes back until the connection is closed.
async fn said(world: &World, pieces: &[&str]) -> String {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    for piece in pieces {
        let piece = piece.replace('^', "\r\n").replace("HOST", &world.proxy.to_string());
        // On a busy machine it may have been closed meanwhile: what was said then is what counts.
        if stream.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_closed(&mut stream).await
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(ended.is_ok(), "the connection is not closed: {text}");
    text
}

#[tokio::test]
async fn lim_01_a_head_has_its_time() {
    let world = start(Limits { head_time: SHORT, ..Limits::default() }).await;
    let begun = Instant::now();
    let text = said(&world, &["GET / HTTP/1.1^Ho", "st: HOST^"]).await;
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("request-timeout"), "{text}");
    assert!(text.contains("connection: close"), "{text}");
    assert!(begun.elapsed() >= SHORT);
    let series =
        "anteport_decisions_total{portal=\"none\",decision=\"refuse\",reason=\"request-timeout\"}";
    assert_eq!(world.metric(series).await, 1.0);
    world.stop().await;
}

#[tokio::test]
async fn lim_02_an_idle_connection_is_closed_without_a_word() {
    let world = start(Limits { idle_time: SHORT, ..Limits::default() }).await;
    assert_eq!(said(&world, &[]).await, "");
    let text = said(&world, &["GET /public/a HTTP/1.1^Host: HOST^^"]).await;
    assert!(text.ends_with("the portal answers /public/a"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn lim_02_requests_and_age_of_a_connection_are_bounded() {
    let get = "GET /public/a HTTP/1.1^Host: HOST^^";
    let world = start(Limits { requests: 2, ..Limits::default() }).await;
    let text = said(&world, &[get, get, get]).await;
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert_eq!(text.matches("connection: close").count(), 1, "{text}");
    world.stop().await;
    let world = start(Limits { age: Duration::from_millis(10), ..Limits::default() }).await;
    let text = said(&world, &["GET /public/a HTT", "P/1.1^Host: HOST^^"]).await;
    assert!(text.contains("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn lim_03_a_body_that_stops_or_crawls_is_given_up() {
    let idle = Limits { body_idle: SHORT, ..Limits::default() };
    // Never silent for long, and yet too slow.
    let crawl = Limits { body_grace: SHORT, body_rate: 1_000_000, ..Limits::default() };
    for limits in [idle, crawl] {
        let world = start(limits).await;
        let head = "POST /public/a HTTP/1.1^Host: HOST^Content-Length: 1000^^";
        let mut pieces = vec![head];
        if limits.body_idle > SHORT {
            pieces.extend(["x"; 20]);
        }
        let text = said(&world, &pieces).await;
        assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("request-timeout"), "{text}");
        assert!(world.portal.received().is_empty(), "it never saw the end");
        world.stop().await;
    }
}

#[tokio::test]
async fn lim_03_a_visitor_who_does_not_read_is_dropped() {
    let world = start(Limits { stall_time: SHORT, ..Limits::default() }).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(world.proxy).await.unwrap();
    // More than all the buffers between hold.
    let get = format!("GET /public/huge HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    stream.write_all(get.as_bytes()).await.unwrap();
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200");
    assert_eq!(world.metric("anteport_connections").await, 1.0);
    let dropped = async {
        while world.metric("anteport_connections").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, dropped).await.expect("it is dropped");
    world.stop().await;
}

const SMALL_BODIES: &str = r#"
    mode: azure_only
    local_login: { login_pages: [/login] }
    routes: [ { path: "/public/**", access: public, max_body: 1KiB }, { path: "/**", access: signed_in } ]
"#;

#[tokio::test]
async fn lim_03_a_body_over_its_routes_limit_is_a_413() {
    let world = World::start_with(Plan { portal: SMALL_BODIES, ..Plan::default() }).await;
    let fits = "x".repeat(1024);
    let answer = world.browser().send("POST", "/public/a", &[], fits.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let answer = world.browser().send("POST", "/public/a", &[], &[b'x'; 1025]).await;
    crate::world::assert_refusal(&answer, 413, "body-too-large");
    let chunk = format!("200^{}^", "x".repeat(512));
    let head = "POST /public/a HTTP/1.1^Host: HOST^Transfer-Encoding: chunked^^";
    let fits = said(&world, &[head, &chunk, &chunk, "0^^", "GET / HTTP/1.0^^"]).await;
    assert!(fits.starts_with("HTTP/1.1 200 "), "{fits}");
    let over = said(&world, &[head, &chunk, &chunk, "1^x^"]).await;
    assert!(over.starts_with("HTTP/1.1 413 ") && over.contains("body-too-large"), "{over}");
    assert_eq!(world.portal.received().len(), 2, "it never saw the end of the others");
    world.stop().await;
}

#[tokio::test]
async fn http_09_the_body_is_asked_for_once_it_is_wanted() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let head = format!(
        "POST /public/a HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        world.proxy
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(world.portal.last().body, b"hello");
    // A refused one is not asked, and the connection ends.
    let refused = head.replace("/public/a", "/private");
    let text = said(&world, &[&refused]).await;
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn rel_08_a_stop_lets_an_answer_finish_and_closes_idle_connections() {
    let world = World::start().await;
    let mut idle = TcpStream::connect(world.proxy).await.unwrap();
    let mut busy = TcpStream::connect(world.proxy).await.unwrap();
    let head =
        format!("POST /public/a HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\nhel", world.proxy);
    busy.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopping = tokio::spawn(world.stop());
    assert_eq!(until_closed(&mut idle).await, "");
    busy.write_all(b"lo").await.unwrap();
    let text = until_closed(&mut busy).await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("connection: close"), "{text}");
    stopping.await.unwrap();
}

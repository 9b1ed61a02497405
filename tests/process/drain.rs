//! A stop while visitors upload, download and talk (REL-08).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::portal::{Portal, WebSocket, head};
use crate::running::{Running, SOON, ask, status};

/// 1001, going away.
const GOING_AWAY: (u8, &[u8]) = (8, &[0x03, 0xe9]);

fn begin(port: u16, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n").as_bytes())
        .unwrap();
    stream
}

fn upload(port: u16) -> TcpStream {
    let mut stream = begin(port, "POST /upload");
    stream.write_all(b"Content-Length: 8\r\n\r\nhalf").unwrap();
    stream
}

fn download(port: u16) -> TcpStream {
    let mut stream = begin(port, "GET /download");
    stream.write_all(b"\r\n").unwrap();
    let head = head(&stream);
    assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("connection: close"), "{head}");
    let mut half = [0; 4];
    stream.read_exact(&mut half).unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn rel_08_what_is_shorter_than_the_drain_time_finishes() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { drain: 60s }");
    let (mut sending, receiving) = (upload(running.port), download(running.port));
    let mut talking = WebSocket::open(running.port, "");
    talking.talks("before");
    let mut kept = begin(running.port, "GET /kept");
    kept.write_all(b"\r\n").unwrap();
    assert!(head(&kept).starts_with("HTTP/1.1 200 "));
    kept.read_exact(&mut [0; "/kept 0".len()]).unwrap();
    running.signal("-TERM");
    running.is("draining");
    // Who was answered a moment ago asks once more, and is told that this was the last.
    let again = format!("GET /again HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", running.port);
    kept.write_all(again.as_bytes()).unwrap();
    let last = rest(kept);
    assert!(last.contains("connection: close") && last.ends_with("/again 0"), "{last}");
    talking.talks("while it drains");
    sending.write_all(b"half").unwrap();
    let uploaded = rest(sending);
    assert!(uploaded.starts_with("HTTP/1.1 200 ") && uploaded.ends_with("/upload 8"), "{uploaded}");
    portal.finish();
    assert_eq!(rest(receiving), "half");
    talking.talks("still");
    talking.says(8, &[0x03, 0xe8]);
    assert_eq!(talking.hears(), Some((8, vec![0x03, 0xe8])), "as the two of them end it");
    assert_eq!(running.ends().code(), Some(0));
    running.says("everything that was under way has finished");
    assert!(!running.has_said("was cut"));
}

#[test]
fn rel_08_what_is_longer_is_cut_and_counted_and_websockets_are_told_first() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { drain: 0s }");
    let (sending, receiving) = (upload(running.port), download(running.port));
    let mut talking = WebSocket::open(running.port, "");
    let mut stubborn = WebSocket::open(running.port, "");
    for websocket in [&mut talking, &mut stubborn] {
        websocket.talks("before");
    }
    running.signal("-TERM");
    for websocket in [&mut talking, &mut stubborn] {
        let (opcode, reason) = websocket.hears().unwrap();
        assert_eq!((opcode, &reason[..]), GOING_AWAY);
    }
    talking.says(8, &[0x03, 0xe9]);
    assert_eq!(talking.hears(), None);
    assert_eq!(running.ends().code(), Some(0));
    let line: serde_json::Value = serde_json::from_str(&running.says("was cut")).unwrap();
    assert_eq!((&line["requests"], &line["answers"]), (&1.into(), &1.into()), "{line}");
    for mut stream in [sending, receiving] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "HTTP-06: what was cut does not look whole");
    }
}

#[test]
fn websockets_are_told_at_once_where_that_is_configured() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { drain: 60s, websockets: 0s }");
    let receiving = download(running.port);
    let mut talking = WebSocket::open(running.port, "");
    talking.talks("before");
    running.signal("-INT");
    assert_eq!(talking.hears().unwrap().0, 8);
    talking.says(8, &[0x03, 0xe9]);
    assert_eq!(talking.hears(), None);
    portal.finish();
    assert_eq!(rest(receiving), "half", "the rest has its time");
    assert_eq!(running.ends().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { drain: 1h }");
    let (_sending, _receiving) = (upload(running.port), download(running.port));
    let _talking = WebSocket::open(running.port, "");
    running.signal("-TERM");
    running.is("draining");
    running.signal("-INT");
    assert_eq!(running.ends().code(), Some(0));
    let line: serde_json::Value = serde_json::from_str(&running.says("was cut")).unwrap();
    for (kind, count) in [("requests", 1), ("answers", 1), ("websockets", 1), ("connections", 3)] {
        assert_eq!(line[kind], count, "{line}");
    }
}

#[test]
fn readiness_goes_first_and_visitors_are_let_in_for_the_delay() {
    let portal = Portal::start();
    let mut running = Running::start(portal.port, "shutdown: { delay: 1h }");
    assert_eq!(running.readyz().0, 200);
    running.signal("-TERM");
    running.is("draining");
    assert_eq!(running.readyz().0, 503);
    for _ in 0..5 {
        let answer = ask(running.port, "GET /page HTTP/1.1");
        assert_eq!(status(&answer), 200, "{answer}");
    }
    running.signal("-TERM");
    assert_eq!(running.ends().code(), Some(0));
}

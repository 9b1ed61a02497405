//! HTTP/2 as attackers write it: raw frames, because no library would send them.

use std::time::Duration;

use anteport::server::Limits;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::tls::{connect, world_with};
use crate::world::{Plan, World};

const OFF: &str = "    mode: off\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const INITIAL_WINDOW_SIZE: u8 = 4;
const PROTOCOL_ERROR: u32 = 1;
pub const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields without compression (RFC 7541, section 6.2.2).
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // An integer of seven bits, and more of them where they do not do (section 5.1).
            match text.len().checked_sub(127) {
                None => block.push(u8::try_from(text.len()).unwrap()),
                Some(mut rest) => {
                    block.push(127);
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

#[derive(Debug)]
pub struct Got {
    kind: u8,
    flags: u8,
    pub stream: u32,
    payload: Vec<u8>,
}

impl Got {
    /// Why a stream or a connection ended.
    pub fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The status, as far as it has a byte of its own (RFC 7541, appendix A).
    fn status(&self) -> u16 {
        match self.payload[0] {
            0x88 => 200,
            0x8c => 400,
            0x8d => 404,
            _ => 999,
        }
    }
}

/// A connection, and what has been read of it.
pub struct Wire {
    stream: TlsStream<TcpStream>,
    host: String,
}

impl Wire {
    pub async fn open(
        world: &World,
        certificate: &CertificateDer<'static>,
        settings: &[u8],
    ) -> Self {
        let stream = connect(world, certificate, b"h2").await;
        let mut wire = Self { stream, host: world.proxy.to_string() };
        let settings = frame(SETTINGS, 0, 0, settings);
        wire.write(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()).await;
        wire
    }

    /// A connection that is gone takes no more, which is seen in what is read.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next frame that is about more than settings; `None` at the end of the connection.
    async fn next(&mut self) -> Option<Got> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
            let got = Got { kind: head[3], flags: head[4], stream, payload };
            if !matches!(got.kind, SETTINGS | WINDOW_UPDATE | PING) {
                return Some(got);
            }
        }
    }

    /// Reads until a frame of this kind; panics if none comes in good time.
    pub async fn until(&mut self, kind: u8) -> Got {
        let wanted = async {
            loop {
                let got = self.next().await.expect("the connection ended");
                if got.kind == kind {
                    return got;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wanted).await.expect("no such frame")
    }

    /// Reads until the connection ends; the reason that was given, if one was.
    async fn until_closed(&mut self) -> Option<u32> {
        let mut reason = None;
        let end = async {
            while let Some(got) = self.next().await {
                if got.kind == GOAWAY {
                    reason = Some(got.reason());
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("it stays open");
        reason
    }

    fn get(&self, stream: u32, path: &str) -> Vec<u8> {
        let block = fields(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", &self.host),
            (":path", path),
        ]);
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    }
}

async fn off(limits: Limits) -> (World, CertificateDer<'static>) {
    world_with(Plan { portal: OFF, limits, ..Plan::default() }).await
}

/// LIM-08: somebody else is served at once.
async fn assert_others_are_served(world: &World, certificate: &CertificateDer<'static>) {
    let served = async {
        let mut other = Wire::open(world, certificate, &[]).await;
        let request = other.get(1, "/others");
        other.write(&request).await;
        assert_eq!(other.until(HEADERS).await.status(), 200);
    };
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("others have to wait");
}

#[tokio::test]
async fn http_10_what_is_no_request_resets_its_stream_and_reaches_nobody() {
    let (world, certificate) = off(Limits::default()).await;
    let host = &*world.proxy.to_string();
    let (method, scheme) = ((":method", "GET"), (":scheme", "https"));
    let (authority, path) = ((":authority", host), (":path", "/x"));
    let with = |name, value| vec![method, scheme, authority, path, (name, value)];
    let cases = [
        with("connection", "close"),
        with("connection", "x-user"),
        with("transfer-encoding", "chunked"),
        with("upgrade", "websocket"),
        with("keep-alive", "timeout=5"),
        with("proxy-connection", "keep-alive"),
        with("te", "gzip"),
        with("X-Upper", "1"),
        with("Content-Length", "0"),
        with("x y", "1"),
        with("x:y", "1"),
        with("", "1"),
        with("x-line", "a\r\nx-user: admin"),
        with("x-nul", "a\0b"),
        with("content-length", "5"),
        with("content-length", "-1"),
        with("content-length", "1, 1"),
        with(":path", "/y"),
        with(":method", "POST"),
        with(":authority", "evil.example"),
        with(":scheme", "http"),
        with(":status", "200"),
        with(":protocol", "websocket"),
        with(":unknown", "1"),
        vec![method, scheme, authority],
        vec![scheme, authority, path],
        vec![method, authority, path],
        vec![method, scheme, authority, (":path", "")],
        vec![method, scheme, authority, (":path", "x")],
        vec![method, scheme, authority, (":path", "*")],
        vec![method, scheme, authority, (":path", "https://evil.example/")],
        vec![method, scheme, authority, (":path", "/a b")],
        vec![method, scheme, (":authority", ""), path],
        vec![method, scheme, (":authority", "user@evil.example"), path],
        vec![method, (":scheme", "http"), authority, path],
        vec![(":method", "CONNECT"), authority],
        vec![(":method", "CONNECT"), scheme, authority, path],
        vec![(":method", ""), scheme, authority, path],
        vec![(":method", "GET /x"), scheme, authority, path],
        vec![("x-first", "1"), method, scheme, authority, path],
        // HOST-01: both are there, and disagree.
        vec![method, scheme, authority, path, ("host", "evil.example")],
        vec![method, scheme, authority, path, ("host", host), ("host", host)],
        vec![method, scheme, path],
    ];
    for case in cases {
        let mut wire = Wire::open(&world, &certificate, &[]).await;
        wire.write(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&case))).await;
        let got = tokio::time::timeout(Duration::from_secs(10), wire.next()).await.unwrap();
        let got = got.unwrap_or_else(|| panic!("{case:?}: closed without a word"));
        let is_refused = match got.kind {
            HEADERS => got.status() != 200,
            RST_STREAM => got.reason() == PROTOCOL_ERROR,
            GOAWAY => got.reason() != 0,
            _ => false,
        };
        assert!(is_refused, "{case:?}: {got:?}");
        let names_a_connection =
            ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "te"];
        if case.iter().any(|(name, _)| names_a_connection.contains(name)) {
            assert_eq!((got.kind, got.reason()), (RST_STREAM, PROTOCOL_ERROR), "{case:?}");
        }
        assert!(world.portal.received().is_empty(), "{case:?} reached the portal");
    }
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn host_01_authority_and_host_that_disagree_are_refused() {
    let (world, certificate) = off(Limits::default()).await;
    for (authority, host, expected) in [
        (&*world.proxy.to_string(), "evil.example", 400),
        ("evil.example", &*world.proxy.to_string(), 400),
        (&*world.proxy.to_string(), &*world.proxy.to_string(), 200),
    ] {
        let mut wire = Wire::open(&world, &certificate, &[]).await;
        let block = fields(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", "/x"),
            ("host", host),
        ]);
        wire.write(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
        assert_eq!(wire.until(HEADERS).await.status(), expected, "{authority} {host}");
    }
    assert_eq!(world.portal.received().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn http_10_a_body_of_another_length_than_it_says_is_no_request() {
    let (world, certificate) = off(Limits::default()).await;
    for (says, pieces) in [
        ("10", &[&b"12345"[..]][..]),
        ("10", &[b"12345", b""]),
        ("5", &[b"1234567890"]),
        ("5", &[b"12345", b"67890"]),
        ("0", &[b"1"]),
        ("1", &[b""]),
    ] {
        let mut wire = Wire::open(&world, &certificate, &[]).await;
        let block = fields(&[
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", &wire.host),
            (":path", "/x"),
            ("content-length", says),
        ]);
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block);
        for (number, piece) in pieces.iter().enumerate() {
            let flags = if number + 1 == pieces.len() { END_STREAM } else { 0 };
            bytes.extend(frame(DATA, flags, 1, piece));
        }
        wire.write(&bytes).await;
        let got = wire.until(RST_STREAM).await;
        assert_eq!((got.stream, got.reason()), (1, PROTOCOL_ERROR), "{says} {pieces:?}");
        assert!(world.portal.received().is_empty(), "{says} {pieces:?}");
    }
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn http_10_a_body_that_is_reset_without_an_error_is_not_whole() {
    let (world, certificate) = off(Limits::default()).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let host = wire.host.clone();
    let block = |path| {
        fields(&[(":method", "POST"), (":scheme", "https"), (":authority", &host), (":path", path)])
    };
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &block("/cut"));
    bytes.extend(frame(DATA, 0, 1, b"partial"));
    wire.write(&bytes).await;
    // Not before it is on its way to the portal: what is reset at once is not even looked at.
    wire.write(&wire.get(3, "/between")).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    wire.write(&frame(RST_STREAM, 0, 1, &0_u32.to_be_bytes())).await;
    wire.write(&wire.get(5, "/after")).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    assert_others_are_served(&world, &certificate).await;
    let received = world.portal.received();
    assert!(received.iter().all(|request| !request.line.contains("/cut")), "{received:?}");
    world.stop().await;
}

#[tokio::test]
async fn lim_04_streams_that_are_reset_at_once_end_the_connection() {
    let (world, certificate) = off(Limits::default()).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let mut flood = Vec::new();
    for number in 0..2000 {
        let stream = 2 * number + 1;
        flood.extend(wire.get(stream, "/silent"));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    wire.write(&flood).await;
    let reason = wire.until_closed().await;
    assert!(matches!(reason, Some(ENHANCE_YOUR_CALM) | None), "{reason:?}");
    assert!(world.portal.received().len() < 300, "{}", world.portal.received().len());
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_04_requests_that_come_with_their_reset_cost_the_portal_nothing() {
    let portal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Some(format!("{{ url: \"http://{}\" }}", portal.local_addr().unwrap()));
    let (world, certificate) = world_with(Plan { portal: OFF, upstream, ..Plan::default() }).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let mut flood = Vec::new();
    for number in 0..40 {
        let stream = 2 * number + 1;
        flood.extend(wire.get(stream, "/reset"));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    flood.extend(wire.get(81, "/meant"));
    wire.write(&flood).await;
    let (mut stream, _) = portal.accept().await.unwrap();
    let mut line = [0; 10];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"GET /meant");
    let another = tokio::time::timeout(Duration::from_millis(300), portal.accept()).await;
    assert!(another.is_err(), "the portal was asked to listen to what is reset already");
    drop(wire);
    world.stop().await;
}

#[tokio::test]
async fn lim_04_requests_that_are_broken_off_one_by_one_end_the_connection() {
    let (world, certificate) = off(Limits::default()).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let mut sent = 0;
    while sent < 500
        && world.metric("anteport_connections_refused_total{reason=\"resets\"}").await == 0.0
    {
        for _ in 0..25 {
            let stream = 2 * sent + 1;
            let request = wire.get(stream, "/silent");
            wire.write(&request).await;
            // The portal has it before it is broken off.
            let before = world.portal.received().len();
            for _ in 0..100 {
                if world.portal.received().len() > before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            wire.write(&frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())).await;
            sent += 1;
        }
    }
    assert!((200..=275).contains(&sent), "{sent}");
    assert_eq!(wire.until_closed().await, None);
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_04_a_head_in_ever_more_pieces_ends_the_connection() {
    let (world, certificate) = off(Limits::default()).await;
    for piece in [&b""[..], b"\0\x01a\x01b", &[0; 1]] {
        let mut wire = Wire::open(&world, &certificate, &[]).await;
        let mut flood = frame(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET")]));
        for _ in 0..10_000 {
            flood.extend(frame(CONTINUATION, 0, 1, piece));
        }
        wire.write(&flood).await;
        let reason = wire.until_closed().await;
        assert_ne!(reason, Some(0));
    }
    assert!(world.portal.received().is_empty());
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_04_empty_pieces_of_a_body_end_the_connection() {
    let (world, certificate) = off(Limits::default()).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let block = fields(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", &wire.host),
        (":path", "/x"),
    ]);
    let mut flood = frame(HEADERS, END_HEADERS, 1, &block);
    for _ in 0..5000 {
        flood.extend(frame(DATA, 0, 1, b""));
    }
    wire.write(&flood).await;
    let reason = wire.until_closed().await;
    assert!(matches!(reason, Some(ENHANCE_YOUR_CALM) | None), "{reason:?}");
    assert_others_are_served(&world, &certificate).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_08_floods_of_pings_and_settings_leave_others_alone() {
    let (world, certificate) = off(Limits::default()).await;
    let mut floods = Vec::new();
    for one in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])] {
        let wire = Wire::open(&world, &certificate, &[]).await;
        let flood = one.repeat(1000);
        floods.push(tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(wire.stream);
            let _ = tokio::join!(
                async {
                    for _ in 0..100 {
                        if writer.write_all(&flood).await.is_err() {
                            return;
                        }
                    }
                    let _ = writer.shutdown().await;
                },
                async {
                    let mut piece = vec![0; 64 * 1024];
                    while matches!(reader.read(&mut piece).await, Ok(count) if count > 0) {}
                }
            );
        }));
    }
    for _ in 0..5 {
        assert_others_are_served(&world, &certificate).await;
    }
    for flood in floods {
        flood.abort();
        let _ = flood.await;
    }
    // Nobody reads the answers: they are not kept, so no more questions are read either.
    let mut deaf = Wire::open(&world, &certificate, &[]).await;
    let flood = frame(PING, 0, 0, &[7; 8]).repeat(60_000);
    let all = async {
        // 64 MB: more than the kernel keeps for both sides.
        for _ in 0..64 {
            deaf.stream.write_all(&flood).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let written = tokio::time::timeout(Duration::from_millis(500), all).await;
    assert!(!matches!(written, Ok(Ok(()))), "everything was taken");
    assert_others_are_served(&world, &certificate).await;
    drop(deaf);
    world.stop().await;
}

#[tokio::test]
async fn lim_04_a_stream_whose_window_stays_shut_is_reset() {
    let stall = Duration::from_millis(300);
    let (world, certificate) = off(Limits { stall_time: stall, ..Limits::default() }).await;
    for window in [0, 1, 20] {
        let settings = [0, INITIAL_WINDOW_SIZE, 0, 0, 0, window];
        for path in ["/x", "/stream", "/.auth/jwks.json"] {
            let mut wire = Wire::open(&world, &certificate, &settings).await;
            let request = wire.get(1, path);
            wire.write(&request).await;
            let begun = tokio::time::Instant::now();
            let got = wire.until(RST_STREAM).await;
            assert_eq!((got.stream, got.reason()), (1, CANCEL), "{window} {path}");
            assert!(begun.elapsed() >= stall, "{window} {path}");
            // The connection goes on.
            wire.write(&frame(SETTINGS, 0, 0, &[0, INITIAL_WINDOW_SIZE, 0, 0, 0xff, 0xff])).await;
            let request = wire.get(3, "/x");
            wire.write(&request).await;
            assert_eq!(wire.until(HEADERS).await.status(), 200);
        }
    }
    // A byte now and then is no progress to speak of.
    let settings = [0, INITIAL_WINDOW_SIZE, 0, 0, 0, 1];
    let mut wire = Wire::open(&world, &certificate, &settings).await;
    let request = wire.get(1, "/stream");
    wire.write(&request).await;
    let begun = tokio::time::Instant::now();
    let reset = loop {
        assert!(begun.elapsed() < Duration::from_secs(10), "never reset");
        wire.write(&frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())).await;
        match tokio::time::timeout(Duration::from_millis(30), wire.until(RST_STREAM)).await {
            Ok(got) => break got,
            Err(_) => continue,
        }
    };
    assert_eq!(reset.reason(), CANCEL);
    world.stop().await;
}

#[tokio::test]
async fn lim_04_a_visitor_who_reads_slowly_but_reads_gets_everything() {
    let stall = Duration::from_millis(400);
    let (world, certificate) = off(Limits { stall_time: stall, ..Limits::default() }).await;
    // A tenth of the answer at a time, over three times as long as a stall may last.
    let settings = [0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0];
    let mut wire = Wire::open(&world, &certificate, &settings).await;
    wire.write(&frame(WINDOW_UPDATE, 0, 0, &2_000_000_u32.to_be_bytes())).await;
    let request = wire.get(1, "/stream");
    wire.write(&request).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    let mut length = 0;
    for turn in 1..=10 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        wire.write(&frame(WINDOW_UPDATE, 0, 1, &100_000_u32.to_be_bytes())).await;
        while length < turn * 100_000 {
            let got = wire.until(DATA).await;
            length += got.payload.len();
            if got.flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert_eq!(length, 1_000_000);
    world.stop().await;
}

#[tokio::test]
async fn lim_02_an_old_connection_is_told_to_go_and_finishes_what_it_carries() {
    let age = Duration::from_millis(300);
    let (world, certificate) = off(Limits { age, ..Limits::default() }).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let request = wire.get(1, "/x");
    wire.write(&request).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    assert_eq!(wire.until(GOAWAY).await.reason(), 0);
    world.stop().await;
}

#[tokio::test]
async fn lim_01_a_connection_that_asks_for_nothing_is_closed() {
    let head_time = Duration::from_millis(300);
    let (world, certificate) = off(Limits { head_time, ..Limits::default() }).await;
    let partial = frame(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET")]));
    for first in [&b""[..], b"PRI * HTTP", &partial] {
        let mut wire = match first {
            b"" | b"PRI * HTTP" => {
                let stream = connect(&world, &certificate, b"h2").await;
                Wire { stream, host: world.proxy.to_string() }
            }
            _ => Wire::open(&world, &certificate, &[]).await,
        };
        wire.write(first).await;
        wire.until_closed().await;
    }
    // One that has asked may wait.
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    let request = wire.get(1, "/x");
    wire.write(&request).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    tokio::time::sleep(2 * head_time).await;
    let request = wire.get(3, "/x");
    wire.write(&request).await;
    assert_eq!(wire.until(HEADERS).await.status(), 200);
    world.stop().await;
}

#[tokio::test]
async fn path_01_what_the_library_drops_of_a_target_is_neither_judged_nor_sent() {
    let (world, certificate) = off(Limits::default()).await;
    let mut wire = Wire::open(&world, &certificate, &[]).await;
    // The library cuts a fragment off before anybody sees it: one value is judged and sent.
    let request = wire.get(1, "/x?y#z");
    wire.write(&request).await;
    let got = wire.until(HEADERS).await;
    match got.status() {
        200 => assert_eq!(world.portal.last().line, "GET /x?y HTTP/1.1"),
        status => assert_eq!(status, 400),
    }
    for path in ["x", "//x", "/a/../x", "/x\\y", "*"] {
        let mut wire = Wire::open(&world, &certificate, &[]).await;
        let before = world.portal.received().len();
        let request = wire.get(1, path);
        wire.write(&request).await;
        // An answer of ours, a reset stream or the end: whatever it is, it is not the portal's.
        while let Some(got) = wire.next().await {
            if got.stream == 1 || got.kind == GOAWAY {
                break;
            }
        }
        assert_eq!(world.portal.received().len(), before, "{path} reached the portal");
    }
    world.stop().await;
}

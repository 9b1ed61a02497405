//! Framings: bytes as they are, what is said to them, what the portal receives of them, and that
//! whoever comes next gets an answer of their own (HTTP-02 to HTTP-05, SESS-07).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

/// One framing. `^` stands for a line end and `@` for a `Host` line with it.
struct Framing {
    sent: &'static str,
    /// The statuses, and `!` where the connection must be closed then.
    said: &'static str,
    /// What the portal has to receive: request line, framing, body.
    received: &'static [&'static str],
}

const fn framing(
    sent: &'static str,
    said: &'static str,
    received: &'static [&'static str],
) -> Framing {
    Framing { sent, said, received }
}

const GET: &[&str] = &["GET /public/a HTTP/1.1||"];
const GETS: &[&str] = &["GET /public/a HTTP/1.1||", "GET /public/b HTTP/1.1||"];
const FIVE: &[&str] = &["POST /public/a HTTP/1.1|content-length: 5|hello"];
const CHUNKS: &[&str] = &["POST /public/a HTTP/1.1|transfer-encoding: chunked|hello"];
const EMPTY: &[&str] = &["POST /public/a HTTP/1.1|content-length: 0|"];

#[rustfmt::skip]
const FRAMINGS: &[Framing] = &[
    // What is in order.
    framing("GET /public/a HTTP/1.1^@^", "200", GET),
    framing("GET /public/a HTTP/1.1^@Connection: close^^", "200!", GET),
    framing("GET /public/a HTTP/1.0^@^", "200!", GET),
    framing("GET /public/a HTTP/1.0^@Connection: keep-alive^^", "200", GET),
    framing("^GET /public/a HTTP/1.1^@^", "200", GET),
    framing("GET http://HOST/public/a HTTP/1.1^@^", "200", GET),
    framing("GET /public/a HTTP/1.1^@^GET /public/b HTTP/1.1^@^", "200 200", GETS),
    framing("GET /public/a HTTP/1.1^@^^GET /public/b HTTP/1.1^@^", "200 200", GETS),
    framing("GET /public/a HTTP/1.1^@Connection: close^^GET /public/b HTTP/1.1^@^", "200!", GET),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^^hello", "200", FIVE),
    framing("POST /public/a HTTP/1.1^@Content-Length: 005^^hello", "200", FIVE),
    framing("POST /public/a HTTP/1.0^@Content-Length: 5^^hello", "200!", FIVE),
    framing("POST /public/a HTTP/1.1^@content-length:\t5 ^^hello", "200", FIVE),
    framing("POST /public/a HTTP/1.1^@^", "200", EMPTY),
    framing("POST /public/a HTTP/1.1^@Content-Length: 0^^", "200", EMPTY),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello^0^^", "200", CHUNKS),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: CHUNKED^^2^he^3^llo^0^^", "200", CHUNKS),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^005;a=\"b;c\"^hello^00^^", "200", CHUNKS),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello^0^X-After: 1^^", "200", CHUNKS),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello^0^Content-Length: 9^^", "200", CHUNKS),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^^helloGET /public/b HTTP/1.1^@^", "200 200",
        &["POST /public/a HTTP/1.1|content-length: 5|hello", "GET /public/b HTTP/1.1||"]),
    framing("GET /public/a HTTP/1.1^@Content-Length: 24^^GET /public/evil HTTP/1.", "200",
        &["GET /public/a HTTP/1.1|content-length: 24|GET /public/evil HTTP/1."]),
    // Where the body ends is said in more than one way (HTTP-02).
    framing("POST /public/a HTTP/1.1^@Content-Length: 6^Transfer-Encoding: chunked^^0^^G", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^Content-Length: 4^^12^GPOST /public/evil^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 0^Transfer-Encoding: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^Content-Length: 5^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^Content-Length: 0^^helloGET /public/evil HTTP/1.1^@^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5, 5^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: +5^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: -5^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 0x5^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5 0^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length:^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 18446744073709551621^^hello", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5\u{b}^^hello", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@Content-Length: x^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^Transfer-Encoding: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^Transfer-Encoding: cow^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked, chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: gzip, chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked, identity^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: identity^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: xchunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked;q=1^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: \u{b}chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding:^ chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding : chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@X: y\rTransfer-Encoding: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@X: y\nTransfer-Encoding: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding\0: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.0^@Transfer-Encoding: chunked^^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.0^@Connection: keep-alive^Transfer-Encoding: chunked^^0^^", "400!", &[]),
    // Heads that are none (HTTP-03).
    framing("GET /public/a HTTP/1.1\n@\n", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y^ z^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y^\tz^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^ X: y^@^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X : y^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@: y^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X y^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X{}: y^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y\0z^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y\rz^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y\u{7f}^^", "400!", &[]),
    framing("GET  /public/a HTTP/1.1^@^", "400!", &[]),
    framing("GET /public/a  HTTP/1.1^@^", "400!", &[]),
    framing("GET /public/a b HTTP/1.1^@^", "400!", &[]),
    framing("GET\t/public/a\tHTTP/1.1^@^", "400!", &[]),
    framing("GET /public/a HTTP/1.1 ^@^", "400!", &[]),
    framing(" GET /public/a HTTP/1.1^@^", "400!", &[]),
    framing("^^GET /public/a HTTP/1.1^@^", "400!", &[]),
    framing("GET /public/a^@^", "400!", &[]),
    framing("GET /public/a HTTP/1.10^@^", "400!", &[]),
    framing("GET /public/a HTTP/0.9^@^", "400!", &[]),
    framing("PRI * HTTP/2.0^^SM^^", "400!", &[]),
    framing("\u{16}\u{3}\u{1}\0", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@^GET /public/b HTTP/1.1\n@\n", "200 400!", GET),
    framing("GET /public/a HTTP/1.1^@X : y^^GET /public/b HTTP/1.1^@^", "400!", &[]),
    // Chunks that are none, after the head has gone on: the portal never sees an end.
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^x^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^0x5^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^-5^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^ 5^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5\nhello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5\n\rhello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello\n0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^helloX^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^4^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5;a\0b^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5;a\nb^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5;a\rb^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^ffffffffffffffff1^hello^0^^", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello^0\n\n", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^^hello^0^^", "400!", &[]),
    // The visitor ends first.
    framing("POST /public/a HTTP/1.1^@Content-Length: 9^^hello$", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^5^hello$", "400!", &[]),
    framing("POST /public/a HTTP/1.1^@Transfer-Encoding: chunked^^7ffffffffffffff^hello$", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@X: y$", "!", &[]),
    framing("GET /public$", "!", &[]),
    framing("$", "!", &[]),
    // What the gate says no to leaves a connection as it was.
    framing("GET /public/a HTTP/1.1^^", "400", &[]),
    framing("GET /public/a HTTP/1.0^^", "400!", &[]),
    framing("GET /public/a HTTP/1.1^@@^", "400", &[]),
    framing("GET /public/a HTTP/1.1^Host: HOST, evil.example^^", "400", &[]),
    framing("GET /public/a HTTP/1.1^Host: evil.example^^", "421", &[]),
    framing("GET http://evil.example/public/a HTTP/1.1^@^", "400", &[]),
    framing("GET http://HOST/public/a HTTP/1.1^Host: evil.example^^", "400", &[]),
    framing("GET public/a HTTP/1.1^@^", "400", &[]),
    framing("GET /public/a#b HTTP/1.1^@^", "400", &[]),
    framing("CONNECT HOST HTTP/1.1^@^", "405", &[]),
    framing("TRACE /public/a HTTP/1.1^@^", "405", &[]),
    framing("POST /private HTTP/1.1^@Content-Length: 5^^helloGET /public/a HTTP/1.1^@^", "401 200", GET),
    framing("POST /private HTTP/1.1^@Transfer-Encoding: chunked^^5^hello^0^^GET /public/a HTTP/1.1^@^", "401 200", GET),
    framing("POST /private HTTP/1.1^@Transfer-Encoding: chunked^^5^helloX^GET /public/a HTTP/1.1^@^", "401!", &[]),
    framing("POST /private HTTP/1.1^@Content-Length: 99999999^^hello", "401!", &[]),
    framing("POST /private HTTP/1.1^@Content-Length: 50^^never whole", "401!", &[]),
    // Expectations (HTTP-09).
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^Expect: 100-continue^^hello", "200", FIVE),
    framing("POST /public/a HTTP/1.1^@Content-Length: 5^Expect: 200-ok^^hello", "417!", &[]),
    framing("GET /public/a HTTP/1.1^@Expect: x^^", "417!", &[]),
    framing("GET /public/a HTTP/1.1^@Expect: 100-continue^^", "200", GET),
    framing("POST /private HTTP/1.1^@Content-Length: 5^Expect: 100-continue^^", "401!", &[]),
    framing("POST /public/a HTTP/1.0^@Content-Length: 5^Expect: 100-continue^^hello", "200!", FIVE),
];

#[tokio::test]
async fn http_02_to_05_every_framing_is_read_in_one_way_or_not_at_all() {
    let world = World::start().await;
    assert!(FRAMINGS.len() >= 60);
    for (number, framing) in FRAMINGS.iter().enumerate() {
        let before = world.portal.received().len();
        let (said, is_closed) = exchange(&world, framing).await;
        let wanted: Vec<&str> = framing.said.trim_end_matches('!').split_whitespace().collect();
        assert_eq!(said, wanted, "{}", framing.sent);
        assert_eq!(is_closed, framing.said.ends_with('!'), "{}", framing.sent);
        let received: Vec<String> = world.portal.received()[before..].iter().map(noted).collect();
        let after: &[&str] = if is_closed { &[] } else { &["GET /public/after HTTP/1.1||"] };
        assert_eq!(received, [framing.received, after].concat(), "{}", framing.sent);
        // Whoever comes next, on the same connections to the portal (SESS-07).
        for _ in 0..2 {
            let mine = format!("/public/mine?{number}");
            let answer = world.browser().send("GET", &mine, &[], b"").await;
            assert_eq!(answer.text(), format!("the portal answers {mine}"), "{}", framing.sent);
        }
    }
    world.stop().await;
}

/// What the portal has received of a request, as a framing notes it.
fn noted(received: &crate::world::portal::Received) -> String {
    let framing = ["content-length", "transfer-encoding"].map(|name| {
        received.header(name).map(|value| format!("{name}: {value}")).unwrap_or_default()
    });
    let body = String::from_utf8_lossy(&received.body);
    format!("{}|{}|{body}", received.line, framing.concat())
}

/// Sends a framing; the statuses that come back, and whether the connection is closed then. Where
/// it must not be, another request is sent on it and answered.
async fn exchange(world: &World, framing: &Framing) -> (Vec<String>, bool) {
    let host = world.proxy.to_string();
    let wire = framing.sent.replace('^', "\r\n").replace('@', "Host: HOST\r\n");
    let wire = wire.replace("HOST", &host);
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(wire.trim_end_matches('$').as_bytes()).await.unwrap();
    if framing.sent.ends_with('$') {
        stream.shutdown().await.unwrap();
    }
    let wanted = framing.said.split_whitespace().count();
    let must_close = framing.said.ends_with('!');
    let mut bytes = Vec::new();
    let mut has_gone_on = false;
    loop {
        let count = statuses(&bytes).len();
        if !must_close && !has_gone_on && count >= wanted {
            has_gone_on = true;
            let after =
                format!("GET /public/after HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            // A closed connection shows in what comes back.
            let _ = stream.write_all(after.as_bytes()).await;
        }
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut piece)).await;
        match read.unwrap_or_else(|_| panic!("no end: {}", framing.sent)) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => break,
        }
    }
    let mut said = statuses(&bytes);
    if must_close {
        return (said, true);
    }
    assert_eq!(said.pop().as_deref(), Some("200"), "nothing after {}", framing.sent);
    (said, false)
}

/// The statuses of whole answers; all of them have a length here.
fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut rest = text.as_str();
    let mut said = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap().to_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if after.len() < length {
            break;
        }
        rest = &after[length..];
        if status != "100" {
            said.push(status);
        }
    }
    said
}

#[tokio::test]
async fn http_06_an_answer_cut_short_is_no_clean_end_for_http_1_0_either() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", world.proxy);
    stream.write_all(get("/public/trailers").as_bytes()).await.unwrap();
    let mut whole = String::new();
    stream.read_to_string(&mut whole).await.unwrap();
    assert!(whole.contains("connection: close") && whole.ends_with("\r\n\r\nok"), "{whole}");
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(get("/public/cut-chunks").as_bytes()).await.unwrap();
    let ended = stream.read_to_end(&mut Vec::new()).await;
    assert!(ended.is_err(), "a reset, because nothing else says that it is not whole");
    world.stop().await;
}

//! WebSockets from visitor to portal, over HTTP/1.1 and over HTTP/2, and trailers over HTTP/1.1.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::tls;
use crate::world::{Plan, World};

const ROUTES: &str = r#"
    mode: azure_only
    local_login: {}
    routes:
      - { path: "/live/**", access: signed_in, websocket: true }
      - { path: "/open/**", access: public, websocket: true }
      - { path: "/**", access: public }
    identity: { headers: { X-Auth-Email: email } }
"#;

/// A portal that agrees to every WebSocket it is asked for and echoes; and the heads that it got.
pub struct Echo {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = Arc::clone(&heads);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(echo(stream, Arc::clone(&record)));
            }
        });
        Self { port, heads, listening }
    }

    fn last(&self) -> String {
        self.last_as_it_was().to_lowercase()
    }

    pub fn last_as_it_was(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap()
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn echo(mut stream: TcpStream, record: Arc<Mutex<Vec<String>>>) {
    let head = head(&mut stream).await;
    record.lock().unwrap().push(head.clone());
    let Some(answer) = agreed(&head) else {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").await;
        return;
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// What a portal says that agrees to a WebSocket; `None` if it is asked for something else.
pub fn agreed(head: &str) -> Option<String> {
    let key = head.lines().find_map(|line| {
        line.to_lowercase()
            .starts_with("sec-websocket-key:")
            .then(|| line.split(':').nth(1).unwrap().trim().to_owned())
    });
    let key = key.filter(|_| head.to_lowercase().contains("upgrade: websocket"))?;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let proof =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let proof = base64::engine::general_purpose::STANDARD.encode(proof);
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {proof}\r\n\r\n"
    ))
}

pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn plan(echo: &Echo) -> Plan {
    let upstream =
        Some(format!("{{ url: \"http://127.0.0.1:{}\", response_timeout: 1s }}", echo.port));
    Plan { portal: ROUTES, upstream, ..Plan::default() }
}

/// Asks as a browser does, with what it sends at once behind its head.
pub async fn ask(world: &World, target: &str, cookies: &str, more: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookies}\r\n{more}",
        world.proxy
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    (head, stream)
}

pub async fn talks(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), said: &str) {
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut heard = vec![0; said.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, said.as_bytes());
}

#[tokio::test]
async fn http_08_a_members_websocket_reaches_the_portal_with_identity() {
    let echo = Echo::start().await;
    let world = World::start_with(plan(&echo)).await;
    let mut member = world.browser();
    member.sign_in("/live/page", "treasurer@harborclub.example").await;
    let cookies: Vec<String> =
        member.own_cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let before = echo.count();
    let (head, _) = ask(&world, "/live/x", "", "").await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    let (head, _) = ask(&world, "/live/x", "Cookie: __Host-anteport=forged\r\n", "early").await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert_eq!(echo.count(), before, "nothing reached the portal");

    let cookie = format!("Cookie: {}\r\n", cookies.join("; "));
    let (head, mut stream) = ask(&world, "/live/x?a=1", &cookie, "early").await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    let lower = head.to_lowercase();
    for field in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "x-request-id: "] {
        assert_eq!(lower.matches(field).count(), 1, "{head}");
    }
    assert!(lower.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    let mut early = [0; 5];
    stream.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early", "what was sent at once is not lost");
    talks(&mut stream, "hello").await;
    talks(&mut stream, &"x".repeat(100_000)).await;
    let told = echo.last();
    assert!(told.starts_with("get /live/x?a=1 http/1.1\r\n"), "{told}");
    assert!(told.contains("x-auth-email: treasurer@harborclub.example\r\n"), "{told}");
    assert!(!told.contains("__host-anteport"), "{told}");
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut early).await.unwrap(), 0, "its end is passed on");
    world.stop().await;
}

#[tokio::test]
async fn http_08_only_websocket_and_only_where_a_route_says_so() {
    let echo = Echo::start().await;
    let world = World::start_with(plan(&echo)).await;
    let (answer, _) = ask(&world, "/elsewhere", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!echo.last().contains("upgrade"), "{}", echo.last());
    for (name, value) in
        [("Upgrade", "h2c"), ("Upgrade", "websocket, h2c"), ("Connection", "close")]
    {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
        let kept = fields.iter().filter(|field| !field.starts_with(name));
        let kept: String = kept.map(|field| format!("{field}\r\n")).collect();
        let request = format!(
            "GET /open/x HTTP/1.1\r\nHost: {}\r\n{kept}{name}: {value}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            world.proxy
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {value}: {answer}");
        assert!(!echo.last().contains("upgrade"), "{}", echo.last());
    }
    world.stop().await;
}

#[tokio::test]
async fn http_08_a_websocket_over_http2_is_an_upgrade_to_the_portal() {
    let echo = Echo::start().await;
    let (world, certificate) = tls::world_with(plan(&echo)).await;
    let mut sender = tls::over_http2::<Empty<Bytes>>(&world, &certificate).await;
    let request = |path: &str, protocol: &'static str| {
        Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://{}{path}", world.proxy))
            .extension(Protocol::from_static(protocol))
            .header("sec-websocket-version", "13")
            .body(Empty::new())
            .unwrap()
    };
    // The settings that allow it come with the first answer.
    sender.ready().await.unwrap();
    let plain = Request::get(format!("https://{}/x", world.proxy)).body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(plain).await.unwrap().status(), 200);
    for (path, protocol, status) in
        [("/live/x", "websocket", 401), ("/x", "websocket", 501), ("/open/x", "h2c", 405)]
    {
        let mut answer = sender.send_request(request(path, protocol)).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {protocol}");
        // A page is no WebSocket, and success would say that there is one.
        if status == 501 {
            assert!(!echo.last().contains("upgrade"), "no route says so");
            drop(hyper::upgrade::on(&mut answer));
        }
    }
    let mut answer = sender.send_request(request("/open/x?a=1", "websocket")).await.unwrap();
    assert_eq!(answer.status(), 200);
    for gone in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!answer.headers().contains_key(gone), "{gone}");
    }
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    talks(&mut stream, "hello").await;
    talks(&mut stream, &"y".repeat(300_000)).await;
    let told = echo.last();
    assert!(told.starts_with("get /open/x?a=1 http/1.1\r\n"), "{told}");
    drop(stream);
    drop(sender);
    world.stop().await;
}

#[tokio::test]
async fn rel_08_a_websocket_over_http2_is_told_to_come_again() {
    let echo = Echo::start().await;
    let plan = Plan { top: "shutdown: { drain: 1m, websockets: 0s }", ..plan(&echo) };
    let (world, certificate) = tls::world_with(plan).await;
    let mut sender = tls::over_http2::<Empty<Bytes>>(&world, &certificate).await;
    sender.ready().await.unwrap();
    let plain = Request::get(format!("https://{}/x", world.proxy)).body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(plain).await.unwrap().status(), 200);
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{}/open/x", world.proxy))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(Empty::new())
        .unwrap();
    let mut answer = sender.send_request(request).await.unwrap();
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    let text = "\u{1}\u{5}hello";
    talks(&mut stream, text).await;
    // A frame that has begun is passed on to its end first.
    stream.write_all(&text.as_bytes()[..3]).await.unwrap();
    stream.read_exact(&mut [0; 3]).await.unwrap();
    let told = async {
        // It is told whenever it is; whole frames before that pass.
        stream.write_all(&text.as_bytes()[3..]).await.unwrap();
        let mut rest = vec![0; text.len() - 3 + 4];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, [&text.as_bytes()[3..], &[0x88, 2, 0x03, 0xe9]].concat());
        stream.write_all(&[0x88, 2, 0x03, 0xe9]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut end = Vec::new();
        let _ = stream.read_to_end(&mut end).await;
        assert!(end.is_empty(), "{end:?}");
        drop(sender);
    };
    tokio::join!(world.stop(), told);
}

#[tokio::test]
async fn hdr_07_trailers_pass_to_http1_visitors_who_take_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let portal = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while head(&mut stream).await.len() > 4 {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                        Grpc-Status: 0\r\nSet-Cookie: a=b\r\nX-Anteport-Assertion: x\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    let portal_lines = "
    mode: \"off\"
    routes:
      - { path: \"/trailers/**\", access: public, response_trailers: true }
      - { path: \"/**\", access: public }";
    let upstream = Some(format!("{{ url: \"http://127.0.0.1:{port}\" }}"));
    let world = World::start_with(Plan { portal: portal_lines, upstream, ..Plan::default() }).await;
    for (target, te, end) in [
        ("/trailers/a", "TE: trailers\r\n", "0\r\ngrpc-status: 0\r\n\r\n"),
        ("/trailers/a", "", "0\r\n\r\n"),
        ("/other", "TE: trailers\r\n", "0\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n{te}Connection: close\r\n\r\n",
            world.proxy
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(&format!("2\r\nok\r\n{end}")), "{target} {te}: {answer}");
    }
    portal.abort();
    world.stop().await;
}

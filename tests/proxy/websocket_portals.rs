//! The portal's half of an upgrade to WebSocket, against a portal on a plain socket.

use std::sync::Arc;

use anteport::config;
use anteport::gate::identity::{LocalCredentials, OwnedNames};
use anteport::gate::{Asked, Decision, Permit, Policy, RawTarget, decide};
use anteport::upstream::{AskedWebSocket, Forwarding, Servers, Upgrade, Upstream, UpstreamError};
use http::{HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::world::MORNING;

const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";

/// A portal that answers the first request with these bytes, then echoes; and the head that it got.
async fn portal(answer: String) -> (u16, JoinHandle<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        (String::from_utf8(head).unwrap(), stream)
    });
    (port, talk)
}

/// Asks for `/live` there as a browser does.
async fn ask(port: u16, passes: bool, protocol: &str) -> Result<Upgrade, UpstreamError> {
    let text = format!(
        r#"
listen: {{ address: "127.0.0.1:1" }}
portals:
  - public_url: "http://127.0.0.1"
    upstream: {{ url: "http://127.0.0.1:{port}", protocol: {protocol}, response_timeout: 1s }}
    mode: "off"
    routes: [{{ path: "/**", access: public, websocket: {passes} }}]
"#
    );
    let loaded = config::parse("tests.yaml", &text, &|_| None, MORNING);
    let mut config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    let portal = config.portals.remove(0);
    let upstream = Upstream::new(Arc::new(Servers::new(portal.upstream)));
    let request = Request::get("/live?x=1")
        .header("host", "127.0.0.1")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    let (mut head, ()) = request.into_parts();
    let asked = AskedWebSocket::read(&head.method, head.version, &head.headers).unwrap();
    let permit = permit(&[portal.policy], &head);
    OwnedNames::with([]).cleanse(&mut head.headers, false, LocalCredentials::Pass);
    let value = HeaderValue::from_static("127.0.0.1");
    let forwarding = Forwarding {
        host: &value,
        scheme: &value,
        address: &value,
        request_id: &value,
        signature: &[],
    };
    upstream.upgrade(&permit, &asked, &head.headers, None, forwarding).await
}

fn permit(policies: &[Policy], head: &http::request::Parts) -> Permit {
    let target = RawTarget::Pseudo(head.uri.clone());
    let asked = Asked::read(policies, &head.method, &target, &head.headers).unwrap();
    match decide(&policies[0], asked, None, MORNING) {
        Decision::Forward(permit) => permit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn http_08_a_websocket_is_a_tunnel_once_the_portal_has_proven_it() {
    let fields = "Upgrade: WebSocket\r\nSec-WebSocket-Protocol: chat\r\nAlt-Svc: x\r\n";
    let (port, talk) = portal(format!("{SWITCH}{fields}{ACCEPT}\r\nsurplus")).await;
    let Ok(Upgrade::Switched(mut upgraded)) = ask(port, true, "http1").await else {
        panic!("no switch");
    };
    let (head, mut portal) = talk.await.unwrap();
    assert!(head.starts_with("GET /live?x=1 HTTP/1.1\r\n"), "{head}");
    let count = |field: &str| head.to_lowercase().matches(field).count();
    assert_eq!(count("\r\nconnection: upgrade\r\n"), 1, "{head}");
    assert_eq!(count("\r\nupgrade: websocket\r\n"), 1);
    assert_eq!(count("\r\nsec-websocket-key: "), 1);
    assert_eq!(count("content-length") + count("transfer-encoding"), 0);
    assert_eq!(upgraded.head.status(), 101);
    assert_eq!(upgraded.head.headers()["sec-websocket-protocol"], "chat");
    for gone in ["alt-svc", "connection", "upgrade"] {
        assert!(!upgraded.head.headers().contains_key(gone), "{gone}");
    }
    // What came with the head is first; then both directions move.
    let mut surplus = [0; 7];
    upgraded.tunnel.read_exact(&mut surplus).await.unwrap();
    assert_eq!(&surplus, b"surplus");
    upgraded.tunnel.write_all(b"ping").await.unwrap();
    let mut heard = [0; 4];
    portal.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
    portal.write_all(b"pong").await.unwrap();
    upgraded.tunnel.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
    drop(portal);
    assert_eq!(upgraded.tunnel.read(&mut heard).await.unwrap(), 0);
}

#[tokio::test]
async fn http_08_a_switch_without_proof_is_none_and_another_answer_is_ordinary() {
    for answer in [
        format!("{SWITCH}Upgrade: websocket\r\n\r\n"),
        format!("{SWITCH}Upgrade: h2c\r\n{ACCEPT}\r\n"),
        format!("{SWITCH}Upgrade: websocket\r\n{ACCEPT}{ACCEPT}\r\n"),
        format!("{SWITCH}Upgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"),
        format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n{ACCEPT}\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
    ] {
        let (port, talk) = portal(answer.clone()).await;
        let error = ask(port, true, "http1").await.expect_err(&answer);
        assert!(["upstream-broken", "upstream-response-timeout"].contains(&error.code()));
        let (_, mut portal) = talk.await.unwrap();
        let mut rest = Vec::new();
        let _ = portal.read_to_end(&mut rest).await;
        assert_eq!(rest, b"", "nothing of the visitor's was sent");
    }
    let (port, _talk) = portal("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_owned()).await;
    let Ok(Upgrade::Answered(answer)) = ask(port, true, "http1").await else {
        panic!("no answer");
    };
    assert_eq!(answer.into_parts().0.status(), 403);
}

#[tokio::test]
async fn http_08_where_no_route_says_so_nothing_is_upgraded() {
    let fields = format!("Upgrade: websocket\r\n{ACCEPT}\r\n");
    let (port, talk) = portal(format!("{SWITCH}{fields}")).await;
    let error = ask(port, false, "http1").await.unwrap_err();
    assert_eq!(error.code(), "upstream-broken");
    let (head, _) = talk.await.unwrap();
    assert!(!head.to_lowercase().contains("upgrade"), "{head}");
}

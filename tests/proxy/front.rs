//! Proxies in front of us: the PROXY protocol, `X-Forwarded-For`, and connections that are not
//! taken.

use std::time::Duration;

use anteport::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Plan, World};

const PROXIED: &str = ", proxy_protocol: true, trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]";
/// The tests connect from 127.0.0.1, which is not in it.
const FROM_ELSEWHERE: &str = ", proxy_protocol: true, trusted_proxies: [10.0.0.0/8]";
const TRUSTED: &str = ", trusted_proxies: [127.0.0.1, 10.0.0.0/8]";

async fn world(listen: &'static str) -> World {
    let limits = Limits { proxy_header: Duration::from_millis(200), ..Limits::default() };
    World::start_with(Plan { listen, limits, ..Plan::default() }).await
}

/// A request for a public page, with these headers.
fn request(world: &World, headers: &str) -> String {
    let host = world.proxy;
    format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
}

/// What comes back when these bytes are sent, each piece after a moment.
async fn sent(world: &World, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    for piece in pieces {
        // A connection that is closed already takes no more.
        let _ = stream.write_all(piece).await;
        if pieces.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn refused(world: &World, reason: &str) -> f64 {
    let series = format!("anteport_connections_refused_total{{reason=\"{reason}\"}}");
    world.metric(&series).await
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, block].concat()
}

#[tokio::test]
async fn fwd_04_the_visitor_is_whom_the_balancer_conveys() {
    let world = World::start_with(Plan { listen: PROXIED, ..Plan::default() }).await;
    let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 3, 4];
    let long = [&v4[..], &[0xee, 3, 0xe8], &[7; 1000]].concat();
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &v4), "192.0.2.7"),
        (v2(0x21, 0x11, &long), "192.0.2.7"),
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
        (v2(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ] {
        // Who stands behind the balancer does not speak for others.
        let request = request(&world, "X-Forwarded-For: 6.6.6.6\r\n");
        let at_once = [&header, request.as_bytes()].concat();
        let bytewise: Vec<&[u8]> = header.chunks(1).take(60).collect();
        let rest = [header.get(60..).unwrap_or_default(), request.as_bytes()].concat();
        let bytewise = [&bytewise[..], &[&rest]].concat();
        for pieces in [&[&at_once[..]][..], &[&header, request.as_bytes()], &bytewise] {
            let answer = sent(&world, pieces).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{header:?}: {answer}");
            assert_eq!(world.portal.last().header("x-forwarded-for"), Some(expected));
        }
    }
    assert_eq!(refused(&world, "proxy_header").await, 0.0);
    world.stop().await;
}

#[tokio::test]
async fn fwd_04_without_a_proper_header_in_time_nothing_is_served() {
    let world = world(PROXIED).await;
    let request = request(&world, "");
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n",
        b"proxy UNKNOWN\r\n",
        &v2(0x22, 0x11, &[0; 12]),
        &v2(0x21, 0x11, &[0; 11]),
        &v2(0x20, 0x11, &[0; 5000]),
    ] {
        assert_eq!(sent(&world, &[&[header, request.as_bytes()].concat()]).await, "", "{header:?}");
    }
    assert_eq!(refused(&world, "proxy_header").await, 7.0);
    for incomplete in [&b""[..], b"PROXY TCP4 192", &v2(0x21, 0x11, &[0; 12])[..20]] {
        assert_eq!(sent(&world, &[incomplete]).await, "");
    }
    assert_eq!(refused(&world, "proxy_timeout").await, 3.0);
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn fwd_04_from_elsewhere_a_header_opens_nothing() {
    let elsewhere = world(FROM_ELSEWHERE).await;
    let asked = request(&elsewhere, "");
    for header in ["PROXY TCP4 10.0.0.1 10.0.0.1 4711 443\r\n", ""] {
        assert_eq!(sent(&elsewhere, &[format!("{header}{asked}").as_bytes()]).await, "");
    }
    assert_eq!(refused(&elsewhere, "proxy_peer").await, 2.0);
    assert!(elsewhere.portal.received().is_empty());
    elsewhere.stop().await;
    // On a listener that does not ask for one, it is a request that cannot be read.
    let plain = world("").await;
    let asked = request(&plain, "");
    let answer = sent(&plain, &[b"PROXY TCP4 10.0.0.1 10.0.0.1 1 2\r\n", asked.as_bytes()]).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(plain.portal.received().is_empty());
    plain.stop().await;
}

#[tokio::test]
async fn fwd_02_a_trusted_proxy_says_who_the_visitor_is() {
    let world = world(TRUSTED).await;
    for (headers, expected) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6, [2001:db8::7]:80\r\n", "2001:db8::7"),
        ("X-Forwarded-For: 192.0.2.7, unknown\r\n", "127.0.0.1"),
        ("X_Forwarded_For: 6.6.6.6\r\n", "127.0.0.1"),
        ("Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n", "127.0.0.1"),
        // FWD-03: nobody says scheme or host.
        ("X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n", "127.0.0.1"),
    ] {
        let answer = sent(&world, &[request(&world, headers).as_bytes()]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{headers}: {answer}");
        let received = world.portal.last();
        assert_eq!(received.header("x-forwarded-for"), Some(expected), "{headers}");
        assert_eq!(received.header("x-forwarded-proto"), Some("http"));
        assert_eq!(received.header("x-forwarded-host"), Some(&*world.proxy.to_string()));
        let all = format!("{:?}", received.headers);
        assert!(!all.contains("6.6.6.6") && !all.contains("evil"), "{all}");
    }
    world.stop().await;
}

#[tokio::test]
async fn fwd_01_of_a_stranger_forwarding_headers_are_nothing() {
    let world = world("").await;
    for name in [
        "X-Forwarded-For",
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Whatever",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-Connecting-IPv6",
        "CF-Pseudo-IPv4",
        "CF-IPCountry",
        "CF-Visitor",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "Fastly-Client-IP",
        "Fastly-SSL",
        "X-Original-Forwarded-For",
        "X-Original-Proto",
        "X-Original-Host",
        "X-Original-Remote-Addr",
        "Front-End-Https",
        "X-Url-Scheme",
        "X-Scheme",
        "X-Host",
        "X-HTTP-Host-Override",
        "Via",
        "X-Via",
        "X-ProxyUser-Ip",
        "X-Remote-IP",
        "X-Remote-Addr",
        "X-Originating-IP",
        "Client-IP",
        "X-Azure-ClientIP",
        "X-Azure-SocketIP",
        "X-Azure-FDID",
        "X-AppEngine-User-IP",
        "X-AppEngine-Country",
        "X-Envoy-External-Address",
        "X-Envoy-Internal",
        "X-Envoy-Peer-Metadata",
        "CloudFront-Viewer-Address",
        "CloudFront-Forwarded-Proto",
        "Akamai-Origin-Hop",
        "X-Akamai-Edgescape",
        "X-Sucuri-ClientIP",
        "Incap-Client-IP",
        "X-Coming-From",
        "Wl-Proxy-Client-IP",
        "Proxy-Client-IP",
        "Fly-Client-IP",
        "Do-Connecting-IP",
        "X-Nf-Client-Connection-Ip",
        "X-Vercel-Forwarded-For",
        "X-Ssl",
        "Https",
        "Ssl-Https",
        "X-Https",
        "Remote-Addr",
        "Remote-Host",
        "X-Real-Port",
        "X-Proxy-For",
        "X-BlueCoat-Via",
    ] {
        let answer =
            sent(&world, &[request(&world, &format!("{name}: 6.6.6.6\r\n")).as_bytes()]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        let received = world.portal.last();
        assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"), "{name}");
        assert!(!format!("{:?}", received.headers).contains("6.6.6.6"), "{name} passed");
    }
    world.stop().await;
}

/// A connection that asks for something and stays open; `None` if it was closed unserved.
async fn held(world: &World) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    let _ = stream.write_all(request.as_bytes()).await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.ok()?;
    assert_eq!(&first, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test]
async fn lim_02_08_one_address_has_so_many_connections_and_others_have_theirs() {
    let world = world(", max_connections_per_address: 3").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(held(&world).await.expect("there is room"));
    }
    for _ in 0..20 {
        assert!(held(&world).await.is_none(), "the fourth is closed at once");
    }
    assert_eq!(refused(&world, "per_address").await, 20.0);
    // Another address of this machine is somebody else.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(world.proxy).await.unwrap();
    other.write_all(request(&world, "").as_bytes()).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A place that was given back can be taken.
    open.pop();
    let mut again = None;
    for _ in 0..100 {
        again = held(&world).await;
        if again.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(again.is_some());
    drop((open, again));
    world.stop().await;
}

#[tokio::test]
async fn lim_02_there_are_so_many_connections_in_all() {
    let world =
        world(", max_connections: 3, trusted_proxies: [127.0.0.1], max_connections_per_address: 1")
            .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(held(&world).await.expect("a trusted proxy has those of all visitors"));
    }
    assert!(held(&world).await.is_none());
    assert_eq!(refused(&world, "total").await, 1.0);
    assert_eq!(world.metric("anteport_connections").await, 3.0);
    drop(open);
    world.stop().await;
}

#[tokio::test]
async fn lim_02_behind_a_balancer_the_conveyed_address_has_so_many() {
    let limits = Limits::default();
    let listen =
        ", proxy_protocol: true, trusted_proxies: [127.0.0.1], max_connections_per_address: 1";
    let world = World::start_with(Plan { listen, limits, ..Plan::default() }).await;
    let mut first = TcpStream::connect(world.proxy).await.unwrap();
    let asked = format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    let from = |address: &str| format!("PROXY TCP4 {address} 10.0.0.1 1 2\r\n{asked}");
    first.write_all(from("192.0.2.7").as_bytes()).await.unwrap();
    let mut piece = [0; 12];
    first.read_exact(&mut piece).await.unwrap();
    let closing = request(&world, "");
    let from = |address: &str| format!("PROXY TCP4 {address} 10.0.0.1 1 2\r\n{closing}");
    assert_eq!(sent(&world, &[from("192.0.2.7").as_bytes()]).await, "");
    assert!(sent(&world, &[from("192.0.2.8").as_bytes()]).await.starts_with("HTTP/1.1 200"));
    assert_eq!(refused(&world, "per_address").await, 1.0);
    drop(first);
    world.stop().await;
}

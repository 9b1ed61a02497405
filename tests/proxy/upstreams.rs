//! The other side of the proxy: portals over TLS, several servers of one portal, limits on what
//! they may take, trailers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls;
use crate::world::browser::{Answer, PAGE};
use crate::world::folder::Folder;
use crate::world::{Plan, World, assert_refusal};

/// Nobody signs in: what is tried here is beyond the gate.
const OPEN: &str = r#"
    mode: "off"
    routes:
      - { path: "/trailers/**", access: public, response_trailers: true }
      - { path: "/**", access: public }
"#;

pub fn plan(upstream: String) -> Plan {
    Plan { portal: OPEN, upstream: Some(upstream), ..Plan::default() }
}

pub async fn get(world: &World, target: &str) -> Answer {
    world.browser().send("GET", target, PAGE, b"").await
}

/// A server of a portal over plain sockets, perhaps within TLS. It dies with the value.
struct Server {
    name: &'static str,
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    is_ill: Arc<AtomicBool>,
    listening: AbortHandle,
}

impl Server {
    async fn start(name: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::listen(listener, name, tls)
    }

    fn listen(listener: TcpListener, name: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (heads, is_ill) = (Arc::default(), Arc::default());
        let connections: Arc<AtomicUsize> = Arc::default();
        let (record, ill, counted) =
            (Arc::clone(&heads), Arc::clone(&is_ill), Arc::clone(&connections));
        let listening = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let (record, ill, tls) = (Arc::clone(&record), Arc::clone(&ill), tls.clone());
                open.spawn(async move {
                    match tls {
                        None => serve(stream, name, &record, &ill).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, name, &record, &ill).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        let listening = listening.abort_handle();
        Self { name, port, heads, connections, is_ill, listening }
    }

    /// The heads of requests, without those of health checks.
    fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap().clone();
        heads.into_iter().filter(|head| !head.starts_with("GET /healthz ")).collect()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    name: &str,
    record: &Mutex<Vec<String>>,
    is_ill: &AtomicBool,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        let body: Vec<u8> = buffer.drain(..length).collect();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        record.lock().unwrap().push(head);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        match target.as_str() {
            "/late" => {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(Duration::from_millis(5)).await;
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            "/interim" => loop {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
            },
            "/hold" => std::future::pending().await,
            "/stall" => {
                stream.write_all(chunked).await.ok()?;
                stream.write_all(b"4\r\npart\r\n").await.ok()?;
                stream.flush().await.ok()?;
                std::future::pending::<()>().await;
            }
            "/drip" => {
                stream.write_all(chunked).await.ok()?;
                for _ in 0..5 {
                    stream.write_all(b"4\r\ndrip\r\n").await.ok()?;
                    stream.flush().await.ok()?;
                    tokio::time::sleep(Duration::from_millis(450)).await;
                }
                stream.write_all(b"0\r\n\r\n").await.ok()?;
            }
            "/healthz" if is_ill.load(Ordering::Relaxed) => {
                let answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.ok()?;
            }
            target if target.contains("/trailers") => {
                stream.write_all(chunked).await.ok()?;
                let end = b"2\r\nok\r\n0\r\nGrpc-Status: 0\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\nX-Anteport-Assertion: x\r\nTransfer-Encoding: chunked\r\nAuthorization: x\r\n\r\n";
                stream.write_all(end).await.ok()?;
            }
            _ => {
                let answer = format!("{name} {}", body.len());
                let length = answer.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}");
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
        }
        stream.flush().await.ok()?;
    }
}

/// A certificate with its key, in files that go with the value.
pub struct Pair {
    folder: Folder,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    pub fn new(name: &str) -> Self {
        let folder = Folder::new();
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        folder.write("crt", &made.cert.pem());
        let key = made.signing_key.serialize_pem();
        folder.write("key", &key);
        let certificate = made.cert.der().clone();
        Self { folder, certificate, key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap() }
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.at(name).display().to_string()
    }

    /// A server with this certificate; with `visitors`, it asks for one of theirs.
    pub fn acceptor(&self, callers: Option<&Self>, alpn: &[u8]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(callers) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(callers.certificate.clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![self.certificate.clone()];
        let mut config = builder.with_single_cert(chain, self.key.clone_key()).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

#[tokio::test]
async fn http_05_a_portal_over_tls_is_verified_and_its_connections_are_used_again() {
    let pair = Pair::new("portal.internal");
    let server = Server::start("secure", Some(pair.acceptor(None, b"http/1.1"))).await;
    let (url, ca) = (format!("https://127.0.0.1:{}", server.port), pair.file("crt"));
    let tls = format!("{{ ca: [{ca}], server_name: portal.internal }}");
    let world = World::start_with(plan(format!("{{ url: \"{url}\", tls: {tls} }}"))).await;
    for _ in 0..20 {
        let answer = get(&world, "/x").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "secure 0"));
    }
    let body = vec![b'x'; 3_000_000];
    let answer = world.browser().send("POST", "/x", PAGE, &body).await;
    assert_eq!(answer.text(), "secure 3000000");
    // One a worker at most, although each brought session tickets after its handshake.
    let (used, workers) = (server.connections(), anteport::server::workers());
    assert!(used <= workers, "{used} of {workers}");
    world.stop().await;
}

#[tokio::test]
async fn a_portal_that_cannot_prove_its_name_is_a_502() {
    let (pair, other) = (Pair::new("portal.internal"), Pair::new("portal.internal"));
    let server = Server::start("secure", Some(pair.acceptor(None, b"http/1.1"))).await;
    let url = format!("https://127.0.0.1:{}", server.port);
    for tls in [
        // The system's authorities do not know it; another's do not; it is for another name.
        "{ server_name: portal.internal }".to_owned(),
        format!("{{ ca: {}, server_name: portal.internal }}", other.file("crt")),
        format!("{{ ca: {} }}", pair.file("crt")),
        format!("{{ ca: {}, server_name: other.internal }}", pair.file("crt")),
    ] {
        let world = World::start_with(plan(format!("{{ url: \"{url}\", tls: {tls} }}"))).await;
        assert_refusal(&get(&world, "/x").await, 502, "upstream-tls");
        let failed = "anteport_upstream_requests_total";
        let portal = world.proxy;
        let series = format!("{failed}{{portal=\"{portal}\",outcome=\"tls\"}}");
        assert_eq!(world.metric(&series).await, 1.0);
        world.stop().await;
    }
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn a_portal_that_asks_for_our_certificate_gets_it() {
    let (pair, own) = (Pair::new("127.0.0.1"), Pair::new("anteport.internal"));
    let server = Server::start("mutual", Some(pair.acceptor(Some(&own), b"http/1.1"))).await;
    let (url, ca) = (format!("https://127.0.0.1:{}", server.port), pair.file("crt"));
    let tls = format!("{{ ca: {ca}, certificate: {}, key: {} }}", own.file("crt"), own.file("key"));
    let world = World::start_with(plan(format!("{{ url: \"{url}\", tls: {tls} }}"))).await;
    assert_eq!(get(&world, "/x").await.text(), "mutual 0");
    world.stop().await;
    let tls = format!("{{ ca: {ca} }}");
    let world = World::start_with(plan(format!("{{ url: \"{url}\", tls: {tls} }}"))).await;
    assert_refusal(&get(&world, "/x").await, 502, "upstream-tls");
    world.stop().await;
}

#[tokio::test]
async fn http_07_servers_take_turns_and_one_that_is_down_is_left_out() {
    let (one, two) = (Server::start("one", None).await, Server::start("two", None).await);
    let urls = format!("\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}\"", one.port, two.port);
    let world = World::start_with(plan(format!("{{ urls: [{urls}] }}"))).await;
    for _ in 0..8 {
        assert_eq!(get(&world, "/x").await.status, 200);
    }
    // Each of our connections may be another worker's, so turns are not strict.
    let share = (one.heads().len(), two.heads().len());
    assert!(share.0 + share.1 == 8 && share.0 > 0, "{share:?}");
    let (portal, port) = (world.proxy, two.port);
    let healthy =
        format!("anteport_upstream_healthy{{portal=\"{portal}\",upstream=\"127.0.0.1:{port}\"}}");
    assert_eq!(world.metric(&healthy).await, 1.0);
    drop(two);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..20 {
        assert_eq!(get(&world, "/x").await.text(), "one 0");
    }
    assert_eq!(world.metric(&healthy).await, 0.0);
    let ready = crate::world::browser::Browser::new(format!("http://{}", world.admin));
    let ready = ready.send("GET", "/readyz?verbose", &[], b"").await.text();
    assert!(
        ready.contains(&format!("upstream 127.0.0.1:{port} of {portal}: ill or not")),
        "{ready}"
    );
    let other = format!("upstream 127.0.0.1:{} of {portal}: well", one.port);
    assert!(ready.contains(&other), "{ready}");
    // It comes back.
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let two = Server::listen(listener, "two", None);
    let back = async {
        while get(&world, "/x").await.text() != "two 0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it is tried again");
    assert_eq!(world.metric(&healthy).await, 1.0);
    drop((one, two));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_refusal(&get(&world, "/x").await, 502, "upstream-");
    world.stop().await;
}

#[tokio::test]
async fn http_07_what_is_not_idempotent_goes_to_one_server_alone() {
    let (one, two) = (Server::start("one", None).await, Server::start("two", None).await);
    let urls = format!("\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}\"", one.port, two.port);
    drop(two);
    let world = World::start_with(plan(format!("{{ urls: [{urls}] }}"))).await;
    let mut refused = 0;
    for _ in 0..20 {
        let answer = world.browser().send("POST", "/x", PAGE, b"pay").await;
        match answer.status {
            200 => assert_eq!(answer.text(), "one 3"),
            _ => {
                assert_refusal(&answer, 502, "upstream-unreachable");
                refused += 1;
            }
        }
    }
    assert_eq!(one.heads().len(), 20 - refused, "nothing was sent twice");
    assert!(refused <= 2, "{refused} were tried with a server that is known to be down");
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_says_it_is_ill_is_left_out_unless_all_are() {
    let (one, two) = (Server::start("one", None).await, Server::start("two", None).await);
    let check = "health_check: { path: /healthz, interval: 100ms, unhealthy_after: 2 }";
    let urls = format!("\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}\"", one.port, two.port);
    let world = World::start_with(plan(format!("{{ urls: [{urls}], {check} }}"))).await;
    let healthy = |port: u16| {
        let portal = world.proxy;
        format!("anteport_upstream_healthy{{portal=\"{portal}\",upstream=\"127.0.0.1:{port}\"}}")
    };
    let until = async |port: u16, wanted: f64| {
        let told = async {
            while world.metric(&healthy(port)).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told).await.expect("health is told");
    };
    two.is_ill.store(true, Ordering::Relaxed);
    until(two.port, 0.0).await;
    let before = two.heads().len();
    for _ in 0..10 {
        assert_eq!(get(&world, "/x").await.text(), "one 0");
    }
    assert_eq!(two.heads().len(), before);
    let asked = two.heads.lock().unwrap().iter().filter(|head| head.contains("/healthz")).count();
    assert!(asked >= 2);
    // A health page that is wrong cuts nobody off.
    one.is_ill.store(true, Ordering::Relaxed);
    until(one.port, 0.0).await;
    assert_eq!(get(&world, "/x").await.status, 200);
    for server in [&one, &two] {
        server.is_ill.store(false, Ordering::Relaxed);
        until(server.port, 1.0).await;
        assert!(["one", "two"].contains(&server.name));
    }
    world.stop().await;
}

/// So many visitors who wait for an answer.
async fn hold(world: &World, server: &Server, count: usize) -> Vec<JoinHandle<Answer>> {
    let visitor = |_| {
        let browser = world.browser();
        tokio::spawn(async move { browser.send("GET", "/hold", PAGE, b"").await })
    };
    let held = (0..count).map(visitor).collect();
    while server.heads().len() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    held
}

/// They go away, and that makes room.
async fn leave(world: &World, held: Vec<JoinHandle<Answer>>) {
    held.iter().for_each(JoinHandle::abort);
    let room = async {
        while get(world, "/x").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), room).await.expect("there is room again");
}

#[tokio::test]
async fn http_05_a_body_that_head_has_not_is_nobodys_answer() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let world = World::start_with(plan(format!("{{ url: \"{url}\" }}"))).await;
    let browser = world.browser();
    for _ in 0..20 {
        let answer = browser.send("HEAD", "/late", PAGE, b"").await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("44")));
        assert!(!get(&world, "/x").await.text().contains("POISON"));
    }
    world.stop().await;
}

#[tokio::test]
async fn lim_05_interim_answers_without_end_are_given_up() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let world =
        World::start_with(plan(format!("{{ url: \"{url}\", response_timeout: 1m }}"))).await;
    assert_refusal(&get(&world, "/interim").await, 502, "upstream-broken");
    assert_eq!(get(&world, "/x").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn lim_05_more_requests_than_a_portal_may_have_are_asked_to_come_back() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let upstream = format!("{{ url: \"{url}\", max_requests: 2, response_timeout: 1m }}");
    let world = World::start_with(plan(upstream)).await;
    let held = hold(&world, &server, 2).await;
    let answer = get(&world, "/x").await;
    assert_refusal(&answer, 503, "upstream-busy");
    assert_eq!(answer.header("retry-after"), Some("5"));
    // Visitors who go away make room.
    leave(&world, held).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_08_one_address_cannot_have_all_of_a_portal() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let upstream = format!("{{ url: \"{url}\", max_requests: 80, response_timeout: 1m }}");
    let world = World::start_with(plan(upstream)).await;
    let held = hold(&world, &server, 40).await;
    // Half is gone, and all of it is this address's.
    let answer = get(&world, "/x").await;
    assert_refusal(&answer, 503, "address-busy");
    assert_eq!(answer.header("retry-after"), Some("5"));
    // Another address of this machine is somebody else.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(world.proxy).await.unwrap();
    let request = format!("GET /x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.proxy);
    other.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    leave(&world, held).await;
    world.stop().await;
}

#[tokio::test]
async fn lim_05_a_portal_that_never_finishes_its_handshake_is_a_504() {
    // The system accepts what nobody serves.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let upstream = format!("{{ url: \"{url}\", connect_timeout: 100ms }}");
    let world = World::start_with(plan(upstream)).await;
    assert_refusal(&get(&world, "/x").await, 504, "upstream-connect-timeout");
    world.stop().await;
}

#[tokio::test]
async fn http_06_a_portal_that_falls_silent_within_an_answer_is_given_up() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let upstream = format!("{{ url: \"{url}\", idle_timeout: 2s }}");
    let world = World::start_with(plan(upstream)).await;
    // Slow, and never silent for long.
    assert_eq!(get(&world, "/drip").await.text(), "dripdripdripdripdrip");
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET /stall HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the visitor's connection is closed");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("part") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    let portal = world.proxy;
    for series in [
        format!(
            "anteport_decisions_total{{portal=\"{portal}\",decision=\"forward\",reason=\"upstream-stalled\"}}"
        ),
        format!("anteport_upstream_requests_total{{portal=\"{portal}\",outcome=\"timeout\"}}"),
    ] {
        assert_eq!(world.metric(&series).await, 1.0, "{series}");
    }
    world.stop().await;
}

#[tokio::test]
async fn hdr_07_trailers_pass_where_a_route_says_so_and_only_harmless_ones() {
    let server = Server::start("one", None).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let (world, certificate) = tls::world_with(plan(format!("{{ url: \"{url}\" }}"))).await;
    let mut sender = tls::over_http2(&world, &certificate).await;
    for (target, passes) in [("/trailers/a", true), ("/no/trailers", false)] {
        let request = Request::get(format!("https://{}{target}", world.proxy))
            .header("te", "trailers")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        assert_eq!(body.to_bytes(), "ok");
        let names: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, if passes { vec!["grpc-status"] } else { vec![] }, "{target}");
        let head = server.heads().last().cloned().unwrap().to_lowercase();
        assert_eq!(head.contains("te: trailers\r\n"), passes, "{head}");
        assert_eq!(head.contains("connection: te\r\n"), passes, "{head}");
    }
    assert_eq!(server.connections(), 1, "trailers do not spoil a connection");
    drop(sender);
    world.stop().await;
}

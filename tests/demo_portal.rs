//! The demo's portal alone: its password door, what it says that it received, and which assertions
//! it believes. The proxy is played by a listener that serves one key set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anteport::clock::Clock;
use anteport::demo::portal::{self, Options, Portal};
use anteport::demo::story::Story;
use anteport::gate::Timestamp;
use anteport::identity::Signer;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NOW: i64 = 1_800_000_000;

/// A portal on a port of its own, and the proxy's key set on another.
struct World {
    portal: String,
    public_url: String,
    signer: Signer,
    clock: Clock,
    story: Arc<Story>,
    fetches: Arc<AtomicUsize>,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl World {
    async fn start() -> Self {
        let signer = Signer::generate().unwrap();
        let fetches = Arc::new(AtomicUsize::new(0));
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = format!("http://{}", proxy.local_addr().unwrap());
        tokio::spawn(serve_keys(proxy, signer.jwks().to_owned(), Arc::clone(&fetches)));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let clock = Clock::at(Timestamp::from_unix_seconds(NOW));
        let story = Story::new(clock.clone());
        let portal = Portal::new(Options {
            public_url: public_url.clone(),
            portal_url: format!("http://{address}"),
            clock: clock.clone(),
            story: Arc::clone(&story),
        });
        tokio::spawn(portal::serve(listener, portal, std::future::pending()));
        Self { portal: address, public_url, signer, clock, story, fetches }
    }

    async fn send(&self, method: &str, target: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}",
            self.portal
        );
        let mut socket = TcpStream::connect(&self.portal).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply { status: head[9..12].parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }

    fn claims(&self) -> Map<String, Value> {
        let claims = json!({
            "iss": self.public_url, "aud": self.public_url, "sub": "member-1",
            "name": "Ines Caldera", "iat": NOW, "exp": NOW + 60,
        });
        claims.as_object().unwrap().clone()
    }

    fn header(&self, claims: &Map<String, Value>) -> String {
        let token = self.signer.sign(claims).unwrap();
        format!("X-Anteport-Assertion: {token}\r\n")
    }

    /// The assertion as the portal judged it, from a request with these header lines.
    async fn judged(&self, headers: &str) -> Value {
        let reply = self.send("GET", "/whoami.json", headers, "").await;
        reply.json()["assertion"].clone()
    }

    async fn reason(&self, headers: &str) -> String {
        let judged = self.judged(headers).await;
        assert_eq!(judged["verified"], false);
        judged["reason"].as_str().unwrap().to_owned()
    }

    /// The reason why an assertion with one claim changed is not believed.
    async fn reason_with(&self, claim: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims();
        claims.insert(claim.to_owned(), value.into());
        self.reason(&self.header(&claims)).await
    }
}

async fn serve_keys(listener: TcpListener, jwks: String, fetches: Arc<AtomicUsize>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(socket.read_u8().await.unwrap());
        }
        assert!(request.starts_with(b"GET /.auth/jwks.json HTTP/1.1\r\n"));
        fetches.fetch_add(1, Ordering::Relaxed);
        let length = jwks.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{jwks}");
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn the_password_door_opens_on_the_portals_own_port() {
    let world = World::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let reply = world.send("POST", "/login", form, "username=Ines&password=letmein").await;
    assert_eq!(reply.status, 303);
    assert!(reply.head.contains("location: /\r\n"));
    let (_, cookie) = reply.head.split_once("set-cookie: ").unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split_once(';').unwrap().0);
    assert!(cookie.starts_with("Cookie: PORTALSESSION="));

    let page = world.send("GET", "/", &cookie, "").await;
    assert!(page.body.contains("<strong>Ines</strong> — by the portal's old password"));
    assert_eq!(world.send("GET", "/logout-local", &cookie, "").await.status, 303);
    let page = world.send("GET", "/", &cookie, "").await;
    assert!(page.body.contains("Nobody is signed in"));
}

#[tokio::test]
async fn a_wrong_password_shows_the_form_again() {
    let world = World::start().await;
    let reply = world.send("POST", "/login", "", "username=%3Cb%3E&password=guess").await;
    assert_eq!(reply.status, 401);
    assert!(reply.body.contains(r#"action="/login""#));
    assert!(!reply.body.contains("<b>") && !reply.head.contains("set-cookie"));
}

#[tokio::test]
async fn whoami_has_one_shape_for_every_method() {
    let world = World::start().await;
    for method in ["GET", "POST", "PUT"] {
        for path in ["/whoami.json", "/public/whoami.json"] {
            let target = format!("{path}?year=2025&x=%2F");
            let reply = world.send(method, &target, "X-One: 1\r\nX-Two: 2\r\n", "body").await;
            assert_eq!(reply.status, 200);
            let whoami = reply.json();
            assert_eq!(whoami["method"], method);
            assert_eq!(whoami["target"], target.as_str());
            let headers = whoami["headers"].as_array().unwrap();
            assert_eq!(headers[0][0], "host");
            assert_eq!(
                headers[headers.len() - 2..],
                [json!(["x-one", "1"]), json!(["x-two", "2"])]
            );
            assert_eq!(whoami["assertion"], json!({ "verified": false, "reason": "missing" }));
        }
    }
    assert_eq!(world.send("HEAD", "/whoami.json", "", "").await.body, "");
}

#[tokio::test]
async fn a_good_assertion_is_believed_and_told() {
    let world = World::start().await;
    let header = world.header(&world.claims());
    let judged = world.judged(&header).await;
    assert_eq!(judged, json!({ "verified": true, "claims": world.claims() }));

    let page = world.send("GET", "/reports?year=2025", &header, "").await;
    assert!(page.body.contains("<strong>Ines Caldera</strong> — verified by the portal itself"));
    let steps = world.story.steps();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].details[0].1, "GET /reports?year=2025");
    let page = world.send("GET", "/demo", &header, "").await;
    assert!(page.body.contains("GET /reports?year=2025"));
    assert!(page.body.contains("Verified by the portal itself"));
    assert_eq!(world.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn plain_headers_are_nobody() {
    let world = World::start().await;
    let headers = "X-Auth-User: admin\r\nX-Auth-Name: Admin\r\n";
    assert_eq!(world.reason(headers).await, "missing");
    let page = world.send("GET", "/", headers, "").await;
    assert!(page.body.contains("Nobody is signed in"));
    assert!(world.story.steps().is_empty());
}

#[tokio::test]
async fn every_claim_that_matters_is_checked() {
    let world = World::start().await;
    let elsewhere = "http://127.0.0.1:1";
    assert_eq!(world.reason_with("iss", elsewhere).await, "wrong issuer");
    assert_eq!(world.reason_with("aud", elsewhere).await, "wrong audience");
    assert_eq!(world.reason_with("aud", json!([world.public_url])).await, "wrong audience");
    assert_eq!(world.reason_with("exp", NOW - 5).await, "expired");
    assert_eq!(world.reason_with("iat", NOW + 6).await, "from the future");
    assert_eq!(world.reason_with("exp", "tomorrow").await, "malformed");
}

#[tokio::test]
async fn an_assertion_expires_with_the_clock() {
    let world = World::start().await;
    let header = world.header(&world.claims());
    world.clock.advance(Duration::from_secs(64));
    assert_eq!(world.judged(&header).await["verified"], true);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.reason(&header).await, "expired");
}

#[tokio::test]
async fn a_doubled_assertion_is_refused_even_if_both_are_good() {
    let world = World::start().await;
    let header = world.header(&world.claims());
    assert_eq!(world.reason(&format!("{header}{header}")).await, "repeated");
    let token = world.signer.sign(&world.claims()).unwrap();
    let joined = format!("X-Anteport-Assertion: {token}, {token}\r\n");
    assert_eq!(world.reason(&joined).await, "repeated");
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_in_five_seconds() {
    let world = World::start().await;
    let stranger = Signer::generate().unwrap().sign(&world.claims()).unwrap();
    let header = format!("X-Anteport-Assertion: {stranger}\r\n");
    for _ in 0..3 {
        assert_eq!(world.reason(&header).await, "unknown key");
    }
    assert_eq!(world.fetches.load(Ordering::Relaxed), 1);
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.reason(&header).await, "unknown key");
    assert_eq!(world.fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_signature_by_nobody_is_refused() {
    let world = World::start().await;
    let good = world.signer.sign(&world.claims()).unwrap();
    let mut claims = world.claims();
    claims.insert("name".to_owned(), "Admin".into());
    let other = world.signer.sign(&claims).unwrap();
    let (content, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let header = format!("X-Anteport-Assertion: {content}.{signature}\r\n");
    assert_eq!(world.reason(&header).await, "bad signature");
    // {"alg":"HS256","kid":"x"} and {"alg":"none"}
    let symmetric = "X-Anteport-Assertion: eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.AAAA\r\n";
    assert_eq!(world.reason(symmetric).await, "wrong algorithm");
    let none = "X-Anteport-Assertion: eyJhbGciOiJub25lIn0.e30.\r\n";
    assert_eq!(world.reason(none).await, "malformed");
}

#[tokio::test]
async fn an_upload_is_counted_and_hashed() {
    let world = World::start().await;
    let reply = world.send("POST", "/upload", "", "abc").await;
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(reply.json(), json!({ "bytes": 3, "sha256": sha256 }));
}

#[tokio::test]
async fn a_download_has_the_length_that_was_asked_for() {
    let world = World::start().await;
    let reply = world.send("GET", "/download?bytes=100000", "", "").await;
    assert!(reply.head.contains("content-length: 100000"));
    assert_eq!(reply.body.len(), 100_000);
}

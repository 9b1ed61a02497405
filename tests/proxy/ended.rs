//! What is open when its session ends: WebSockets and streams end with it (SESS-10), and nobody
//! else's.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::revocation::list;
use crate::sign_out::{logout_token, send_token, signed_in_there};
use crate::websockets::{agreed, ask, head, talks};
use crate::world::browser::Browser;
use crate::world::patience::eventually;
use crate::world::provider::OIDC;
use crate::world::{Plan, World};

pub const ROUTES: &str = r#"
    mode: azure_only
    local_login: {}
    routes:
      - { path: "/open/**", access: public, websocket: true }
      - { path: "/**", access: signed_in, websocket: true }
    identity: { headers: { X-Auth-Email: email } }
"#;

pub const TREASURER: &str = "treasurer@harborclub.example";
pub const MEMBER: &str = "member@harborclub.example";
/// Longer than anything here takes, and shorter than what gives up a visitor who reads nothing.
pub const LONG: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
const DOWNLOAD: usize = 300_000;

/// A portal with much that goes on: by the last segment of the path, `ws` echoes, `events` is a
/// stream in chunks, `bare` one until the connection closes, `pours` one that never pauses, and
/// `file` has a length. Each goes on when the test says so, and what is `/late/` begins then.
pub struct Portal {
    port: u16,
    pub say: broadcast::Sender<()>,
    /// The targets of what is open.
    open: watch::Receiver<Vec<String>>,
    listening: JoinHandle<()>,
}

impl Portal {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (say, _) = broadcast::channel(16);
        let (opened, open) = watch::channel(Vec::new());
        let told = say.clone();
        let listening = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, told.subscribe(), opened.clone()));
            }
        });
        Self { port, say, open, listening }
    }

    pub fn plan(&self) -> Plan {
        let url = format!("http://127.0.0.1:{}", self.port);
        let upstream = Some(format!("{{ url: \"{url}\", response_timeout: 1s }}"));
        Plan { portal: ROUTES, upstream, ..Plan::default() }
    }

    /// Waits until the portal's end of it is closed too.
    pub async fn loses(&self, target: &str) {
        let mut open = self.open.clone();
        let gone = open.wait_for(|open| !open.iter().any(|known| known == target));
        tokio::time::timeout(LONG, gone).await.unwrap_or_else(|_| panic!("{target}")).unwrap();
    }

    pub fn has(&self, target: &str) -> bool {
        self.open.borrow().iter().any(|known| known == target)
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    mut say: broadcast::Receiver<()>,
    open: watch::Sender<Vec<String>>,
) {
    loop {
        let head = head(&mut stream).await;
        let Some(target) = head.split(' ').nth(1).map(str::to_owned) else {
            return;
        };
        let chunks = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        let answer = match target.rsplit('/').next().unwrap() {
            "ws" => agreed(&head).unwrap(),
            "events" | "pours" => chunks.to_owned(),
            "bare" => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst".to_owned(),
            "file" => format!("HTTP/1.1 200 OK\r\nContent-Length: {DOWNLOAD}\r\n\r\nfirst"),
            _ => {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain";
                stream.write_all(answer.as_bytes()).await.unwrap();
                continue;
            }
        };
        open.send_modify(|open| open.push(target.clone()));
        if target.starts_with("/late/") {
            say.recv().await.unwrap();
        }
        if stream.write_all(answer.as_bytes()).await.is_ok() {
            goes_on(&mut stream, &target, &mut say).await;
        }
        open.send_modify(|open| {
            let at = open.iter().position(|known| *known == target).unwrap();
            open.remove(at);
        });
        return;
    }
}

async fn goes_on(stream: &mut TcpStream, target: &str, say: &mut broadcast::Receiver<()>) {
    if target.ends_with("/pours") {
        let piece = [b"ffff\r\n".to_vec(), vec![b'x'; 0xffff], b"\r\n".to_vec()].concat();
        while stream.write_all(&piece).await.is_ok() {}
        return;
    }
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return };
                if stream.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            Ok(()) = say.recv() => {
                let more = match target.rsplit('/').next().unwrap() {
                    "file" => vec![b'x'; DOWNLOAD - 5],
                    "events" => b"4\r\nmore\r\n".to_vec(),
                    _ => b"more".to_vec(),
                };
                if stream.write_all(&more).await.is_err() {
                    return;
                }
            }
        }
    }
}

pub fn cookie(browser: &mut Browser) -> String {
    let own = browser.own_cookies();
    format!("Cookie: __Host-anteport={}\r\n", own["__Host-anteport"])
}

/// Somebody who has signed in at the portal.
pub async fn member(world: &World, username: &str) -> Browser {
    let mut browser = world.browser();
    let landed = browser.sign_in("/reports", username).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    browser
}

async fn begun() -> (Portal, World) {
    let portal = Portal::start().await;
    let world = World::start_with(portal.plan()).await;
    (portal, world)
}

/// The same with a member who has signed in, and the cookie.
async fn with_a_member() -> (Portal, World, Browser, String) {
    let (portal, world) = begun().await;
    let mut browser = member(&world, TREASURER).await;
    let cookie = cookie(&mut browser);
    (portal, world, browser, cookie)
}

pub async fn signs_out(browser: &Browser) {
    let headers = [("sec-fetch-site", "same-origin")];
    let answer = browser.send("POST", "/.auth/logout", &headers, b"").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
}

pub async fn websocket(world: &World, target: &str, cookie: &str) -> TcpStream {
    let (head, mut stream) = ask(world, target, cookie, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    talks(&mut stream, "hello").await;
    stream
}

/// Asks for a stream, and reads as far as its first piece.
pub async fn stream(world: &World, target: &str, cookie: &str) -> TcpStream {
    asked_in(world, "HTTP/1.1", target, cookie).await
}

async fn asked_in(world: &World, version: &str, target: &str, cookie: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET {target} {version}\r\nHost: {}\r\n{cookie}\r\n", world.proxy);
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    until(&mut stream, "first").await;
    stream
}

/// Reads until these bytes have come.
pub async fn until(stream: &mut (impl AsyncRead + Unpin), wanted: &str) {
    let mut got = Vec::new();
    while !got.ends_with(wanted.as_bytes()) {
        let byte = tokio::time::timeout(LONG, stream.read_u8()).await.unwrap();
        got.push(byte.unwrap_or_else(|error| panic!("{wanted}: {error}")));
    }
}

/// Reads to the end; what came before it, and whether that was a reset.
pub async fn end(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, bool) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
    let is_reset = read.expect("it is still open").is_err();
    (rest, is_reset)
}

pub async fn ended(world: &World, kind: &str) -> f64 {
    let portal = format!("portal=\"{}\"", world.proxy);
    world.metric(&format!("anteport_streams_ended_total{{{portal},kind=\"{kind}\"}}")).await
}

#[tokio::test]
async fn sess_10_a_sign_out_closes_what_is_open_in_its_name_and_nothing_else() {
    let (portal, world) = begun().await;
    let mut one = member(&world, TREASURER).await;
    let mut same_person = member(&world, TREASURER).await;
    let mut other = member(&world, MEMBER).await;
    let (mine, same, others) = (cookie(&mut one), cookie(&mut same_person), cookie(&mut other));

    let mut my_socket = websocket(&world, "/mine/ws", &mine).await;
    let mut my_second = websocket(&world, "/mine/second/ws", &mine).await;
    // On a public route a member's identity goes along too.
    let mut my_events = stream(&world, "/open/mine/events", &mine).await;
    let mut my_bare = stream(&world, "/mine/bare", &mine).await;
    let mut my_file = stream(&world, "/mine/file", &mine).await;
    let mut staying = vec![
        websocket(&world, "/same/ws", &same).await,
        websocket(&world, "/others/ws", &others).await,
        websocket(&world, "/open/ws", "").await,
    ];
    let mut going_on = vec![
        stream(&world, "/same/events", &same).await,
        stream(&world, "/others/events", &others).await,
        stream(&world, "/open/events", "").await,
    ];

    signs_out(&one).await;
    for (socket, target) in [(&mut my_socket, "/mine/ws"), (&mut my_second, "/mine/second/ws")] {
        assert!(end(socket).await.0.is_empty());
        portal.loses(target).await;
    }
    for (stream, target) in [(&mut my_events, "/open/mine/events"), (&mut my_bare, "/mine/bare")] {
        let (rest, _) = end(stream).await;
        let text = String::from_utf8_lossy(&rest);
        assert_eq!(text.trim(), "", "no last chunk: {target} is not whole (HTTP-06)");
        portal.loses(target).await;
    }
    for socket in &mut staying {
        talks(socket, "still here").await;
    }
    portal.say.send(()).unwrap();
    for stream in &mut going_on {
        until(stream, "more").await;
    }
    // What has a length goes on to its end.
    let mut rest = vec![0; DOWNLOAD - 5];
    tokio::time::timeout(LONG, my_file.read_exact(&mut rest)).await.unwrap().unwrap();
    assert!(rest.iter().all(|byte| *byte == b'x'));
    assert_eq!((ended(&world, "websocket").await, ended(&world, "answer").await), (2.0, 2.0));
    let forwarded = format!(
        "anteport_decisions_total{{portal=\"{}\",decision=\"forward\",reason=\"session-ended\"}}",
        world.proxy
    );
    assert_eq!(world.metric(&forwarded).await, 4.0);
    drop((staying, going_on, my_file));
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_session_that_nobody_uses_takes_what_is_open_with_it() {
    let (portal, world) = begun().await;
    let mut one = member(&world, TREASURER).await;
    let mut other = member(&world, MEMBER).await;
    let (mine, others) = (cookie(&mut one), cookie(&mut other));
    let mut writes = websocket(&world, "/writes/ws", &mine).await;
    let mut reads = stream(&world, "/reads/events", &mine).await;
    // What the portal sends is no use of a session.
    let mut is_told = websocket(&world, "/told/ws", &others).await;
    let mut events = stream(&world, "/told/events", &others).await;
    let mut stranger = websocket(&world, "/open/ws", "").await;
    for _ in 0..2 {
        world.clock.advance(14 * MINUTE);
        talks(&mut writes, "here").await;
        portal.say.send(()).unwrap();
        for stream in [&mut reads, &mut events] {
            until(stream, "more").await;
        }
        for stream in [&mut is_told, &mut writes, &mut stranger] {
            until(stream, "more").await;
        }
    }
    world.clock.advance(3 * MINUTE);
    assert!(end(&mut is_told).await.0.is_empty());
    end(&mut events).await;
    portal.loses("/told/ws").await;
    portal.loses("/told/events").await;
    talks(&mut writes, "still here").await;
    talks(&mut stranger, "still here").await;
    portal.say.send(()).unwrap();
    until(&mut reads, "more").await;
    until(&mut writes, "more").await;
    world.comes_to("anteport_sessions_ended_total{reason=\"expired\"}", 1.0).await;
    // Not for ever: twelve hours are the end of every session (SESS-03).
    for _ in 0..25 {
        world.clock.advance(27 * MINUTE);
        talks(&mut writes, "here").await;
        // Nothing on its way to a store takes as long as the next step of this clock.
        let used = format!("\"last_used\":\"{}\"", world.clock.now().to_utc_date_time());
        eventually(async || list(&world, "").await.to_string().contains(&used)).await;
    }
    assert!(portal.has("/writes/ws") && portal.has("/reads/events"));
    world.clock.advance(15 * MINUTE);
    end(&mut writes).await;
    end(&mut reads).await;
    portal.loses("/writes/ws").await;
    portal.loses("/reads/events").await;
    world.comes_to("anteport_sessions_ended_total{reason=\"expired\"}", 2.0).await;
    drop(stranger);
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_browser_that_answers_pings_does_not_use_the_session() {
    let (portal, world) = begun().await;
    let mut one = member(&world, TREASURER).await;
    let mut other = member(&world, MEMBER).await;
    let open = async |browser: &mut Browser, target: &str| {
        let (head, stream) = ask(&world, target, &cookie(browser), "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    };
    let mut pongs = open(&mut one, "/pongs/ws").await;
    let mut types = open(&mut other, "/types/ws").await;
    for _ in 0..2 {
        world.clock.advance(14 * MINUTE);
        for (stream, frame) in
            [(&mut pongs, b"\x8a\x84abcdping"), (&mut types, b"\x81\x84abcdtext")]
        {
            stream.write_all(frame).await.unwrap();
            let mut echo = [0; 10];
            stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(&echo, frame);
        }
    }
    world.clock.advance(3 * MINUTE);
    assert!(end(&mut pongs).await.0.is_empty());
    assert!(portal.has("/types/ws"));
    talks(&mut types, "\u{1}").await;
    drop(types);
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_refresh_closes_nothing_and_the_end_after_it_does() {
    let (portal, world, mut browser, mine) = with_a_member().await;
    let mut socket = websocket(&world, "/mine/ws", &mine).await;
    let mut events = stream(&world, "/mine/events", &mine).await;
    world.clock.advance(16 * MINUTE);
    assert_eq!(browser.open("/reports").await.status, 200);
    let refreshed = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ok\"}";
    assert_eq!(world.metric(refreshed).await, 1.0);
    // Use of the WebSocket is use of the session as it is now.
    for _ in 0..3 {
        world.clock.advance(13 * MINUTE);
        talks(&mut socket, "still here").await;
    }
    portal.say.send(()).unwrap();
    until(&mut events, "more").await;
    assert_eq!(browser.open("/reports").await.status, 200);
    signs_out(&browser).await;
    end(&mut socket).await;
    end(&mut events).await;
    world.stop().await;
}

#[tokio::test]
async fn sess_06_a_websocket_in_use_ends_when_the_provider_no_longer_vouches() {
    let (_portal, world, _browser, mine) = with_a_member().await;
    let mut socket = websocket(&world, "/mine/ws", &mine).await;
    let mut events = stream(&world, "/mine/events", &mine).await;
    world.microsoft.set_disabled(TREASURER, true).unwrap();
    world.clock.advance(16 * MINUTE);
    socket.write_all(b"x").await.unwrap();
    end(&mut socket).await;
    end(&mut events).await;
    world.comes_to("anteport_sessions_ended_total{reason=\"revoked\"}", 1.0).await;
    world.stop().await;
}

#[tokio::test]
async fn sess_10_what_begins_after_the_end_of_its_session_ends_at_once() {
    let (portal, world, browser, mine) = with_a_member().await;
    let targets = ["/late/ws", "/late/events", "/late/pours", "/late/file"];
    let mut asked = Vec::new();
    for target in targets {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let more = match target.ends_with("/ws") {
            true => {
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
            false => "",
        };
        let host = world.proxy;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}{mine}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        asked.push(stream);
    }
    let mut open = portal.open.clone();
    let all_wait =
        open.wait_for(|open| targets.iter().all(|target| open.contains(&(*target).into())));
    tokio::time::timeout(LONG, all_wait).await.unwrap().unwrap();
    signs_out(&browser).await;
    portal.say.send(()).unwrap();
    let mut file = asked.pop().unwrap();
    for stream in &mut asked {
        let (rest, _) = end(stream).await;
        let text = String::from_utf8_lossy(&rest);
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert_eq!(body, "", "not even what the portal has sent already");
    }
    for target in &targets[..3] {
        portal.loses(target).await;
    }
    // What has a length was asked for in time, and comes.
    portal.say.send(()).unwrap();
    head(&mut file).await;
    let mut body = vec![0; DOWNLOAD];
    tokio::time::timeout(LONG, file.read_exact(&mut body)).await.unwrap().unwrap();
    drop(file);
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_providers_sign_out_closes_what_is_open() {
    let portal = Portal::start().await;
    let world = World::start_with(Plan { provider: OIDC, ..portal.plan() }).await;
    let mut one = signed_in_there(&world, "one").await;
    let mut two = signed_in_there(&world, "two").await;
    let mut ending = websocket(&world, "/one/ws", &cookie(&mut one)).await;
    let mut staying = websocket(&world, "/two/ws", &cookie(&mut two)).await;
    let token = logout_token(&world, json!({ "sid": "one" })).await;
    assert_eq!(send_token(&world, &token).await.status, 200);
    end(&mut ending).await;
    portal.loses("/one/ws").await;
    talks(&mut staying, "still here").await;
    drop(staying);
    world.stop().await;
}

#[tokio::test]
async fn sess_10_a_new_login_closes_what_was_open_before_it() {
    let (_portal, world, mut browser, earlier) = with_a_member().await;
    let mut before = websocket(&world, "/before/ws", &earlier).await;
    assert_eq!(browser.follow("/.auth/login/corporate").await.status, 200, "by single sign-on");
    assert_ne!(cookie(&mut browser), earlier);
    end(&mut before).await;
    let mut now = websocket(&world, "/now/ws", &cookie(&mut browser)).await;
    talks(&mut now, "here").await;
    drop(now);
    world.stop().await;
}

#[tokio::test]
async fn sess_10_nobody_stays_by_reading_nothing_or_without_a_pause() {
    let (portal, world, browser, mine) = with_a_member().await;
    // One takes all, one takes nothing, and one writes without reading the echo.
    let mut takes = stream(&world, "/takes/pours", &mine).await;
    let (first, taking) = tokio::sync::oneshot::channel();
    let taking_all = tokio::spawn(async move {
        let mut buffer = vec![0; 256 * 1024];
        let (mut taken, mut first) = (0, Some(first));
        while let Ok(count @ 1..) = takes.read(&mut buffer).await {
            taken += count;
            if taken > 4 * 1024 * 1024 {
                first.take().map(|first| first.send(()));
            }
        }
    });
    let stalled = stream(&world, "/stalled/pours", &mine).await;
    let mut floods = websocket(&world, "/floods/ws", &mine).await;
    let piece = vec![b'x'; 1024 * 1024];
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(500), floods.write(&piece)).await
    {
        written.unwrap();
    }
    taking.await.unwrap();
    signs_out(&browser).await;
    for target in ["/takes/pours", "/stalled/pours", "/floods/ws"] {
        portal.loses(target).await;
    }
    tokio::time::timeout(LONG, taking_all).await.unwrap().unwrap();
    drop((stalled, floods));
    world.stop().await;
}

#[tokio::test]
async fn http_06_an_answer_until_the_connection_closes_is_no_whole_one_either() {
    let (_portal, world, browser, mine) = with_a_member().await;
    let mut bare = asked_in(&world, "HTTP/1.0", "/mine/bare", &mine).await;
    signs_out(&browser).await;
    let (_, is_reset) = end(&mut bare).await;
    assert!(is_reset, "nothing else says that it is not whole");
    world.stop().await;
}

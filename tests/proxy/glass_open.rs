//! What a broken glass has let through and goes on, WebSockets and streams: it goes on for as long
//! as a request would be let through (SESS-10), and nothing else ends with it.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::break_glass::{COOKIE, ask_admin, code, make, of_page, opened, passes, post_code};
use crate::ended::{
    Portal, TREASURER, cookie, end, ended, member, signs_out, stream, until, websocket,
};
use crate::ended_http2::{hears, stream_on, websocket_on};
use crate::tls;
use crate::world::browser::{Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const GLASS: &str = r#"
    mode: azure_only
    break_glass: { link: { lifetime: 10m, pass: 30m }, networks: [192.0.2.7, 192.0.2.8] }
    local_login:
      login_pages: [/login]
      password_routes: [ { path: /login, methods: [POST] } ]
      portal_cookies: [PHPSESSID]
    routes:
      - { path: "/open/**", access: public, websocket: true }
      - { path: "/**", access: signed_in, websocket: true }
    identity: { headers: { X-Auth-Email: email } }
"#;

const MINUTE: Duration = Duration::from_secs(60);

async fn begun() -> (Portal, World) {
    let portal = Portal::start().await;
    let world = World::start_with(plan(&portal)).await;
    (portal, world)
}

fn plan(portal: &Portal) -> Plan {
    let Plan { upstream, .. } = portal.plan();
    // What is to be seen is an end, not how busy this machine is.
    let upstream = upstream.map(|upstream| upstream.replace("1s", "20s"));
    let listen = ", trusted_proxies: [127.0.0.1]";
    Plan { portal: GLASS, listen, upstream, ..Plan::default() }
}

/// A browser with a pass, and the header that shows it.
async fn passed(world: &World) -> (Browser, String) {
    let mut browser = opened(world).await;
    let pass = browser.own_cookies()[COOKIE].clone();
    (browser, format!("Cookie: {COOKIE}={pass}\r\n"))
}

async fn revoke(world: &World) {
    let what = json!({ "portal": world.proxy.to_string() });
    assert_eq!(ask_admin(world, "/-/break-glass/revoke", what).await.status, 200);
}

/// A socket, a stream in chunks, one without any, and one that never pauses.
struct Open {
    name: String,
    socket: TcpStream,
    streams: Vec<(&'static str, TcpStream)>,
}

impl Open {
    async fn start(world: &World, name: &str, headers: &str) -> Self {
        let socket = websocket(world, &format!("/{name}/ws"), headers).await;
        let mut streams = Vec::new();
        for kind in ["events", "bare", "pours"] {
            streams.push((kind, stream(world, &format!("/{name}/{kind}"), headers).await));
        }
        Self { name: name.to_owned(), socket, streams }
    }

    /// All of it is cut, and none of it looks whole (HTTP-06).
    async fn ends(mut self, portal: &Portal) {
        let (rest, _) = end(&mut self.socket).await;
        assert_eq!(String::from_utf8_lossy(&rest).replace("more", ""), "", "{}", self.name);
        portal.loses(&format!("/{}/ws", self.name)).await;
        for (kind, stream) in &mut self.streams {
            let (rest, _) = end(stream).await;
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{}: the {kind} are not whole", self.name);
            portal.loses(&format!("/{}/{kind}", self.name)).await;
        }
    }

    async fn goes_on(&mut self, portal: &Portal) {
        self.socket.write_all(b"still here").await.unwrap();
        until(&mut self.socket, "still here").await;
        portal.say.send(()).unwrap();
        until(&mut self.socket, "more").await;
        let (_, events) = &mut self.streams[0];
        until(events, "more").await;
    }
}

#[tokio::test]
async fn sess_10_what_a_pass_let_through_ends_with_its_time() {
    let (portal, world) = begun().await;
    let (_, early) = passed(&world).await;
    let going = Open::start(&world, "early", &early).await;
    world.clock.advance(20 * MINUTE);
    let (_, young) = passed(&world).await;
    let mut staying = Open::start(&world, "young", &young).await;
    let mut file = stream(&world, "/early/file", &early).await;
    world.clock.advance(10 * MINUTE);
    going.ends(&portal).await;
    staying.goes_on(&portal).await;
    // What has a length goes on to its end.
    tokio::time::timeout(MINUTE, file.read_exact(&mut [0; 1000])).await.unwrap().unwrap();
    assert_eq!((ended(&world, "websocket").await, ended(&world, "answer").await), (1.0, 3.0));
    let forwarded = format!(
        "anteport_decisions_total{{portal=\"{}\",decision=\"forward\",reason=\"break-glass-ended\"}}",
        world.proxy
    );
    assert_eq!(world.metric(&forwarded).await, 4.0);
    world.clock.advance(20 * MINUTE);
    staying.ends(&portal).await;
    world.stop().await;
}

#[tokio::test]
async fn sess_10_what_a_pass_let_through_ends_when_it_is_given_back_and_nobody_elses_does() {
    let (portal, world) = begun().await;
    let ((mine, my_pass), (_, other)) = (passed(&world).await, passed(&world).await);
    let mut treasurer = member(&world, TREASURER).await;
    let of_member = cookie(&mut treasurer);
    let going = Open::start(&world, "mine", &my_pass).await;
    let network = "X-Forwarded-For: 192.0.2.7\r\n";
    let mut staying = vec![
        Open::start(&world, "other", &other).await,
        Open::start(&world, "member", &of_member).await,
        Open::start(&world, "network", network).await,
        Open::start(&world, "open/stranger", "").await,
        // It would have come without the pass.
        Open::start(&world, "open/mine", &my_pass).await,
    ];
    let local = "Authorization: Basic dTpw\r\n";
    let with_local = format!("Cookie: PHPSESSID=1; {}{local}", &my_pass["Cookie: ".len()..]);
    let cookie_alone = format!("Cookie: PHPSESSID=1; {}", &my_pass["Cookie: ".len()..]);
    // And this would not have come with a sign-in of the portal's own.
    let local = [
        Open::start(&world, "open/local", &with_local).await,
        Open::start(&world, "open/cookie", &cookie_alone).await,
    ];
    signs_out(&mine).await;
    going.ends(&portal).await;
    for open in local {
        open.ends(&portal).await;
    }
    for open in &mut staying {
        open.goes_on(&portal).await;
    }
    revoke(&world).await;
    staying.remove(0).ends(&portal).await;
    for open in &mut staying {
        open.goes_on(&portal).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn cfg_02_sess_10_a_reload_ends_what_it_shuts_and_nothing_else() {
    let (portal, world) = begun().await;
    let (_, pass) = passed(&world).await;
    let (one, two) = ("X-Forwarded-For: 192.0.2.7\r\n", "X-Forwarded-For: 192.0.2.8\r\n");
    let mut by_pass = Open::start(&world, "pass", &pass).await;
    let going = Open::start(&world, "one", one).await;
    let mut staying = Open::start(&world, "two", two).await;
    world.configure("networks: [192.0.2.7, 192.0.2.8]", "networks: [192.0.2.8]");
    world.reload().await.unwrap();
    going.ends(&portal).await;
    by_pass.goes_on(&portal).await;
    staying.goes_on(&portal).await;
    // Passes that are shorter are shorter at once.
    world.configure("lifetime: 10m, pass: 30m", "lifetime: 1m, pass: 1m");
    world.clock.advance(2 * MINUTE);
    by_pass.goes_on(&portal).await;
    world.reload().await.unwrap();
    by_pass.ends(&portal).await;
    staying.goes_on(&portal).await;
    // Where nothing is shut, nothing is needed.
    world.configure("mode: azure_only", "mode: optional");
    world.reload().await.unwrap();
    world.clock.advance(MINUTE);
    staying.goes_on(&portal).await;
    world.configure("mode: optional", "mode: azure_only");
    world.configure("link: { lifetime: 1m, pass: 1m }, networks: [192.0.2.8]", "link: {}");
    let (_, pass) = {
        world.reload().await.unwrap();
        staying.ends(&portal).await;
        passed(&world).await
    };
    let by_pass = Open::start(&world, "pass", &pass).await;
    world.configure("break_glass: { link: {} }", "");
    world.reload().await.unwrap();
    by_pass.ends(&portal).await;
    world.stop().await;
}

#[tokio::test]
async fn sess_10_what_begins_after_the_end_of_its_pass_ends_at_once() {
    let (portal, world) = begun().await;
    let (_, pass) = passed(&world).await;
    let mut asked = Vec::new();
    for target in ["/late/events", "/late/pours"] {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{pass}\r\n", world.proxy);
        stream.write_all(request.as_bytes()).await.unwrap();
        asked.push((target, stream));
    }
    while !["/late/events", "/late/pours"].iter().all(|target| portal.has(target)) {
        tokio::task::yield_now().await;
    }
    revoke(&world).await;
    portal.say.send(()).unwrap();
    for (target, mut stream) in asked {
        let (rest, _) = end(&mut stream).await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("first") && !rest.ends_with("0\r\n\r\n"), "{target}: {rest}");
        portal.loses(target).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn sess_10_over_http2_what_a_pass_let_through_is_reset() {
    let portal = Portal::start().await;
    let (world, certificate) = tls::world_with(plan(&portal)).await;
    let mut sender = tls::over_http2(&world, &certificate).await;
    let what = json!({ "portal": world.proxy.to_string(), "reason": "x" });
    let link = ask_admin(&world, "/-/break-glass", what).await.json();
    let posted = http::Request::post(format!("https://{}/.auth/break-glass", world.proxy));
    let posted =
        of_page().iter().fold(posted, |posted, (name, value)| posted.header(*name, *value));
    let mut form = tls::over_http2(&world, &certificate).await;
    let body = http_body_util::Full::new(bytes::Bytes::from(format!("link={}", code(&link))));
    let answer = form.send_request(posted.body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let pass = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let mut events = stream_on(&world, &mut sender, "/mine/events", pass).await;
    let mut public = stream_on(&world, &mut sender, "/open/events", pass).await;
    let stalled = stream_on(&world, &mut sender, "/stalled/pours", pass).await;
    let mut socket = websocket_on(&world, &mut sender, "/mine/ws", pass).await;
    hears(&mut events, "first").await.unwrap();
    hears(&mut public, "first").await.unwrap();
    world.clock.advance(30 * MINUTE);
    let reason = hears(&mut events, "more").await.unwrap_err();
    assert!(reason.is_some(), "it is reset, and not ended");
    end(&mut socket).await;
    for target in ["/mine/events", "/stalled/pours", "/mine/ws"] {
        portal.loses(target).await;
    }
    portal.say.send(()).unwrap();
    hears(&mut public, "more").await.unwrap();
    drop((stalled, sender, form));
    world.stop().await;
}

#[tokio::test]
async fn whoever_has_a_pass_and_a_session_goes_on_with_the_one_that_counts() {
    let (portal, world) = begun().await;
    let (_, pass) = passed(&world).await;
    let mut treasurer = member(&world, TREASURER).await;
    let of_member = cookie(&mut treasurer);
    let both = format!("{}; {}", of_member.trim_end(), &pass["Cookie: ".len()..]);
    let mut open = Open::start(&world, "both", &both).await;
    // The member signs out elsewhere: nothing of this was in their name.
    signs_out(&treasurer).await;
    open.goes_on(&portal).await;
    revoke(&world).await;
    open.ends(&portal).await;
    world.stop().await;
}

#[tokio::test]
async fn sess_04_a_browser_has_one_pass_and_the_one_before_is_worthless() {
    let (portal, world) = begun().await;
    let (browser, first) = passed(&world).await;
    let going = Open::start(&world, "first", &first).await;
    let link = make(&world).await;
    let answer = post_code(&browser, code(&link)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    going.ends(&portal).await;
    let set = answer.header("set-cookie").unwrap();
    let second = set.split(';').next().unwrap();
    let stranger = world.browser();
    let shown = |cookie: String| {
        let stranger = stranger.clone();
        async move {
            let headers = [("accept", "text/html"), ("cookie", cookie.as_str())];
            stranger.send("POST", "/login", &headers, b"").await
        }
    };
    assert_eq!(shown(second.to_owned()).await.status, 200);
    let worthless = shown(first["Cookie: ".len()..].trim_end().to_owned()).await;
    assert_refusal(&worthless, 403, "local-login-blocked");
    assert_eq!(passes(&world).await, 1.0);
    // No other spelling of a good one is a pass, and none of them reaches the portal (COOK-01).
    let value = second.split_once('=').unwrap().1;
    for odd in [
        format!("\"{COOKIE}\"={value}"),
        format!("{COOKIE}=\"{value}\""),
        format!("{}={value}", COOKIE.to_ascii_uppercase()),
        format!("{COOKIE}.0={value}"),
        format!("{COOKIE}[]={value}"),
        format!("__Host%2Danteport-break-glass={value}"),
        format!("{COOKIE}={value}, {COOKIE}={value}"),
        format!("{COOKIE}={value}; {COOKIE}=x"),
        format!("{COOKIE}={value}="),
        format!("{COOKIE}={value}%00"),
    ] {
        let answer = shown(odd.clone()).await;
        assert_refusal(&answer, 403, "local-login-blocked");
        let headers = [("accept", "text/html"), ("cookie", odd.as_str())];
        let answer = stranger.send("GET", "/open/x", &headers, b"").await;
        assert!(matches!(answer.status, 200 | 400), "{odd}: {}", answer.text());
    }
    let last = stranger.send("GET", "/reports", PAGE, b"").await;
    assert_eq!(last.status, 303);
    world.stop().await;
}

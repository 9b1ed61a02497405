//! Forward-auth: another server asks about each request, and nobody gets by it who would not get by
//! us (VER-01, VER-02).

use serde_json::Value;

use crate::kinds::{TWO, TWO_FOR_A_PORTAL};
use crate::verify_grpc::Question;
use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const FORWARDED: &str = "verify: { peers: [127.0.0.1], description: x_forwarded }";
const ORIGINAL: &str = "verify: { peers: [127.0.0.1], description: x_original }";
const BY_PATH: &str = "verify: { peers: [127.0.0.1], description: path }";
pub const GRPC: &str = "verify: { peers: [127.0.0.1], grpc: { address: \"127.0.0.1:0\" } }";
const ELSEWHERE: &str = "verify: { peers: [192.0.2.0/24], description: x_forwarded }";
const VERIFY: &str = "/.auth/verify";
const REQUESTS: &str = "anteport_requests_total";

async fn world(top: &'static str) -> World {
    World::start_with(Plan { top, ..Plan::default() }).await
}

/// What a visitor's request is, as the server in front says it.
#[derive(Clone)]
pub struct Described<'a> {
    pub method: &'a str,
    pub scheme: &'a str,
    pub uri: &'a str,
    pub more: Vec<(&'a str, &'a str)>,
}

pub fn get(uri: &str) -> Described<'_> {
    Described { method: "GET", scheme: "http", uri, more: PAGE.to_vec() }
}

impl<'a> Described<'a> {
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.more.push((name, value));
        self
    }

    pub fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// As those ask for whom this is the configuration.
    async fn asked(&self, top: &str, browser: &Browser, world: &World) -> Answer {
        match top {
            FORWARDED => self.forwarded(browser, world).await,
            ORIGINAL => self.original(browser, world).await,
            GRPC => Question::of(self, browser, world).ask(world).await.into_heard(),
            _ => self.by_path(browser).await,
        }
    }

    /// As Traefik and Caddy ask.
    async fn forwarded(&self, browser: &Browser, world: &World) -> Answer {
        let host = world.proxy.to_string();
        let mut headers = vec![
            ("x-forwarded-method", self.method),
            ("x-forwarded-proto", self.scheme),
            ("x-forwarded-host", &*host),
            ("x-forwarded-uri", self.uri),
        ];
        headers.extend(&self.more);
        browser.send("GET", VERIFY, &headers, b"").await
    }

    /// As nginx asks.
    async fn original(&self, browser: &Browser, world: &World) -> Answer {
        let url = format!("{}://{}{}", self.scheme, world.proxy, self.uri);
        let mut headers = vec![("x-original-method", self.method), ("x-original-url", &*url)];
        headers.extend(&self.more);
        browser.send("GET", VERIFY, &headers, b"").await
    }

    /// As Envoy asks.
    async fn by_path(&self, browser: &Browser) -> Answer {
        browser.send(self.method, &format!("{VERIFY}{}", self.uri), &self.more, b"").await
    }
}

pub fn assertion(answer: &Answer) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = answer.header("x-anteport-assertion").expect("an assertion");
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// What Envoy is to take out of the request.
fn removed(answer: &Answer) -> Vec<&str> {
    answer.all("x-envoy-auth-headers-to-remove")
}

#[tokio::test]
async fn ver_01_a_member_passes_with_the_headers_that_the_portal_would_get() {
    for top in [FORWARDED, ORIGINAL, BY_PATH] {
        let world = world(top).await;
        let browser = world.treasurer().await;
        let asks = async |described: Described<'_>| match top {
            FORWARDED => described.forwarded(&browser, &world).await,
            ORIGINAL => described.original(&browser, &world).await,
            _ => described.by_path(&browser).await,
        };
        let passes = asks(get("/reports?year=2026&q=a%20b")).await;
        assert_eq!(passes.status, 200, "{top}: {}", passes.text());
        let through = browser.send("GET", "/reports", PAGE, b"").await;
        assert_eq!(through.status, 200);
        let told = world.portal.last();
        for name in ["x-auth-user", "x-auth-email", "x-auth-name", "x-auth-roles"] {
            assert!(told.header(name).is_some());
            assert_eq!(passes.header(name), told.header(name), "{top}: {name}");
        }
        assert_eq!(assertion(&passes)["aud"], format!("http://{}", world.proxy));
        assert_eq!(passes.header("cache-control"), Some("no-store"), "VER-02");
        assert!(passes.body.is_empty());
        // COOK-01: for who can send these on instead.
        assert_eq!(passes.header("cookie"), None);
        assert_eq!(removed(&passes).contains(&"cookie"), top == BY_PATH, "{top}");
        let with_cookie = asks(get("/reports").with("cookie", "theme=dark")).await;
        assert_eq!(with_cookie.header("cookie"), Some("theme=dark"), "{top}");
        assert!(!removed(&with_cookie).contains(&"cookie"));
        for method in ["HEAD", "POST", "DELETE", "OPTIONS"] {
            assert_eq!(asks(get("/reports").method(method)).await.status, 200, "{top} {method}");
        }
        // Public pages are nobody's business.
        let nobody = world.browser();
        let public = match top {
            FORWARDED => get("/public/x").forwarded(&nobody, &world).await,
            ORIGINAL => get("/public/x").original(&nobody, &world).await,
            _ => get("/public/x").by_path(&nobody).await,
        };
        assert_eq!(public.status, 200, "{top}");
        assert!(public.header("x-auth-user").is_none() && public.header("cookie").is_none());
        world.stop().await;
    }
}

#[tokio::test]
async fn ver_01_strangers_are_sent_to_the_sign_in_and_come_back() {
    for top in [FORWARDED, GRPC] {
        let world = world(top).await;
        let mut browser = world.browser();
        let answer = get("/reports?year=2026").asked(top, &browser, &world).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert!(answer.location().path().ends_with("/authorize"), "{}", answer.location());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        // The browser gets that answer as if it had come from the page, and goes on.
        let landed = browser.sign_in("/reports?year=2026", "treasurer@harborclub.example").await;
        assert_eq!(landed.status, 200);
        assert_eq!(get("/reports").asked(top, &browser, &world).await.status, 200);
        // What is no page is told so.
        let nobody = world.browser();
        let call = get("/api").with("x-requested-with", "XMLHttpRequest");
        assert_refusal(&call.asked(top, &nobody, &world).await, 401, "sign-in-required");
        let post = get("/reports").method("POST").asked(top, &nobody, &world).await;
        assert_refusal(&post, 401, "sign-in-required");
        world.stop().await;
    }
}

#[tokio::test]
async fn ver_01_who_takes_a_status_for_an_answer_gets_one() {
    let world = world(ORIGINAL).await;
    let nobody = world.browser();
    for (described, status) in [
        (get("/reports"), 401),
        (get("/reports").with("x-requested-with", "XMLHttpRequest"), 401),
        (get("/reports").method("POST"), 401),
        (get("/login").method("POST"), 403),
        (get("/login"), 401),
        // It is sent here, and answered.
        (get("/.auth/me"), 403),
        (get("/.auth/login/corporate"), 403),
        (get("/a/../b"), 403),
        (get("/a%2fb"), 403),
        (get("/reports").method("TRACE"), 403),
        (get("/reports").method("BREW"), 403),
    ] {
        let answer = described.original(&nobody, &world).await;
        assert_eq!(answer.status, status, "{} {}", described.method, described.uri);
        assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    world.stop().await;
}

#[tokio::test]
async fn path_15_the_local_login_stays_closed_in_every_spelling() {
    for top in [FORWARDED, GRPC] {
        let world = world(top).await;
        let browser = world.treasurer().await;
        for uri in ["/login", "/LOGIN", "/login/", "/log%69n", "/login?x=1", "/./login", "//login"]
        {
            let answer = get(uri).method("POST").asked(top, &browser, &world).await;
            assert!(matches!(answer.status, 400 | 403), "{uri}: {}", answer.status);
        }
        // Credentials of the portal's own, which nobody takes out here.
        let basic = get("/reports").with("authorization", "Basic dTpw");
        assert_refusal(&basic.asked(top, &browser, &world).await, 403, "verify-header");
        world.stop().await;
    }
}

#[tokio::test]
async fn ver_01_a_description_is_there_once_and_whole() {
    let world = world(FORWARDED).await;
    let browser = world.treasurer().await;
    let host = world.proxy.to_string();
    let whole = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", &*host),
        ("x-forwarded-uri", "/reports"),
    ];
    assert_eq!(browser.send("GET", VERIFY, &whole, b"").await.status, 200);
    for left_out in 0..whole.len() {
        let mut headers = whole.to_vec();
        let (name, value) = headers.remove(left_out);
        let answer = browser.send("GET", VERIFY, &headers, b"").await;
        assert_refusal(&answer, 403, "verify-description");
        // Twice, be it the same.
        headers.extend([(name, value), (name, value)]);
        let answer = browser.send("GET", VERIFY, &headers, b"").await;
        assert_refusal(&answer, 403, "verify-description");
        // Not what it should be.
        for odd in ["", "a b", "http://x/", "\t", "é", "/x, /y", "a@b", "x/y"] {
            let mut headers = whole.to_vec();
            headers[left_out] = (name, odd);
            let answer = browser.send("GET", VERIFY, &headers, b"").await;
            assert!(answer.status >= 400, "{name}: {odd:?}: {}", answer.status);
            assert!(answer.header("x-auth-user").is_none());
        }
        // Named by `Connection`, it would be gone here and not elsewhere.
        let mut headers = whole.to_vec();
        headers.push(("connection", name));
        let answer = browser.send("GET", VERIFY, &headers, b"").await;
        assert_refusal(&answer, 403, "verify-header");
    }
    // The other way to describe a request is a visitor's.
    let url = format!("http://{host}/public/x");
    let other = [("x-original-method", "GET"), ("x-original-url", &*url)];
    assert_refusal(&browser.send("GET", VERIFY, &other, b"").await, 403, "verify-description");
    // Another portal, another scheme.
    for (at, value, status) in [(2, "elsewhere.example", 421), (1, "https", 400)] {
        let mut headers = whole.to_vec();
        headers[at].1 = value;
        assert_eq!(browser.send("GET", VERIFY, &headers, b"").await.status, status);
    }
    assert_refusal(&get("").forwarded(&browser, &world).await, 403, "verify-description");
    // One address alone, which a server in front can keep its visitors from.
    for below in
        ["/.auth/verify/", "/.auth/verify/public/x", "/.auth/verify/../me", "/.auth//verify"]
    {
        let answer = browser.send("GET", below, &whole, b"").await;
        assert!(matches!(answer.status, 400 | 404), "{below}: {}", answer.status);
        assert!(answer.header("x-auth-user").is_none());
    }
    // A WebSocket is said to be one by some: no such route, no such scheme.
    let mut headers = whole.to_vec();
    headers[1].1 = "ws";
    assert_refusal(&browser.send("GET", VERIFY, &headers, b"").await, 403, "verify-header");
    headers[1].1 = "wss";
    assert_eq!(browser.send("GET", VERIFY, &headers, b"").await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn ver_01_a_path_is_described_by_the_request_itself() {
    let world = world(BY_PATH).await;
    let browser = world.treasurer().await;
    for (target, status) in [
        ("/.auth/verify", 403),
        ("/.auth/verify?x", 403),
        ("/.auth/verify/", 200),
        ("/.auth/verify/.auth/verify/reports", 403),
        ("/.auth/verify/.auth/me", 403),
        ("/.auth/verify//reports", 400),
        ("/.auth/verify/../reports", 400),
        ("/.auth/verify/%2e%2e/reports", 400),
        ("/.auth/verify/a%00", 400),
        ("/.auth/verifyreports", 404),
        ("/.auth/verify;x/reports", 400),
    ] {
        let answer = browser.send("GET", target, PAGE, b"").await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    // A whole URL names a host beside `Host`.
    let whole = format!("http://{}/.auth/verify/public/x", world.proxy);
    let answer = browser.send("GET", &whole, PAGE, b"").await;
    assert_refusal(&answer, 403, "verify-description");
    // What another way would say is nothing here; and no visitor may send it to a portal.
    let lie =
        get("/reports").with("x-forwarded-uri", "/public/x").with("x-forwarded-method", "GET");
    assert_eq!(lie.by_path(&world.browser()).await.status, 303);
    world.stop().await;
}

#[tokio::test]
async fn ver_01_only_those_who_are_listed_are_believed() {
    let world = world(ELSEWHERE).await;
    let browser = world.treasurer().await;
    let answer = get("/reports").forwarded(&browser, &world).await;
    assert_refusal(&answer, 403, "verify-peer");
    // Nor because it says that it is somebody else.
    let says = get("/reports").with("x-forwarded-for", "192.0.2.1");
    assert_refusal(&says.forwarded(&browser, &world).await, 403, "verify-peer");
    world.stop().await;
    // Without the key there is no such place.
    let world = World::start().await;
    let browser = world.treasurer().await;
    let answer = get("/reports").forwarded(&browser, &world).await;
    assert_refusal(&answer, 404, "endpoint-unknown");
    world.stop().await;
}

#[tokio::test]
async fn hdr_02_03_what_cannot_be_taken_out_is_refused() {
    for top in [FORWARDED, GRPC] {
        let world = world(top).await;
        let (browser, nobody) = (world.treasurer().await, world.browser());
        for name in
            ["X-Auth-User", "x-authuser", "X--Auth-User", "X-Anteport-Assertion", "X_Auth_User"]
        {
            for (browser, uri) in [(&browser, "/reports"), (&nobody, "/public/x")] {
                let forged = get(uri).with(name, "forged");
                let answer = forged.asked(top, browser, &world).await;
                assert_eq!(answer.status, 403, "{name} {uri}");
                assert_refusal(&answer, 403, "verify-header");
            }
        }
        world.stop().await;
    }
}

/// What a direct request would lose on its way to the portal.
#[tokio::test]
async fn hdr_05_path_14_what_another_gate_says_or_renames_a_request_is_refused() {
    for top in [FORWARDED, GRPC] {
        const EASY_AUTH: &str = r#"
    mode: optional
    routes: [ { path: "/**", access: public } ]
    local_login: {}
    identity: { preset: easy_auth, only_way_in: true }"#;
        let plan = Plan { top, portal: EASY_AUTH, ..Plan::default() };
        let world = World::start_with(plan).await;
        let nobody = world.browser();
        assert_eq!(get("/").asked(top, &nobody, &world).await.status, 200);
        for (name, value) in [
            ("X-MS-CLIENT-PRINCIPAL-NAME", "admin"),
            ("x-ms-client-principal", "e30="),
            ("Remote-User", "admin"),
            ("X-Forwarded-User", "admin"),
            ("X-Forwarded-Access-Token", "a"),
            ("Cf-Access-Jwt-Assertion", "a"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Rewrite-URL", "/login"),
            ("X-Original-URL", "/login"),
            ("X-Original-Method", "POST"),
            ("X-Forwarded-Client-Cert", "By=x"),
            ("Signature-Input", "anteport=()"),
            ("Authorization", "NTLM TlRMTVNTUAAB"),
            ("Authorization", "Negotiate YII="),
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Connection", "x-secret"),
        ] {
            let described = get("/").with(name, value).with("x-secret", "1");
            let answer = described.asked(top, &nobody, &world).await;
            assert_eq!(answer.status, 403, "{name}: {value}");
            assert_refusal(&answer, 403, "verify-header");
        }
        // What servers in front add by themselves.
        for (name, value) in [
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-Server", "front"),
            ("X-Forwarded-Prefix", "/"),
            ("X-Forwarded-Tls-Client-Cert-Info", "a"),
            ("X-Real-IP", "192.0.2.7"),
            ("Forwarded", "for=192.0.2.7"),
            ("Via", "1.1 front"),
            ("X-Request-Id", "a"),
            ("X-Scheme", "https"),
            ("X-Envoy-Internal", "true"),
            ("X-Auth-Request-Redirect", "/"),
            ("Te", "trailers"),
            ("Connection", "close"),
            ("Authorization", "Basic dTpw"),
        ] {
            let answer = get("/").with(name, value).asked(top, &nobody, &world).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
        world.stop().await;
    }
}

/// A portal with one route for WebSockets.
const LIVE: &str = r#"
    routes:
      - { path: "/live", access: signed_in, websocket: true }
      - { path: "/**", access: signed_in }
    local_login: {}
    identity: { headers: { X-Auth-User: oid } }"#;

#[tokio::test]
async fn http_08_an_upgrade_passes_where_its_route_lets_it() {
    for top in [FORWARDED, GRPC] {
        let world = World::start_with(Plan { top, portal: LIVE, ..Plan::default() }).await;
        let browser = world.treasurer().await;
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (uri, upgrade, status) in
            [("/live", "websocket", 200), ("/live", "h2c", 403), ("/other", "websocket", 403)]
        {
            let asks = get(uri).with("upgrade", upgrade).with(key.0, key.1);
            assert_eq!(asks.asked(top, &browser, &world).await.status, status, "{uri} {upgrade}");
        }
        world.stop().await;
    }
}

/// Traefik does not show `Upgrade`, which is of one connection, but the rest of a WebSocket.
#[tokio::test]
async fn http_08_an_upgrade_that_is_not_shown_is_one_all_the_same() {
    let world = World::start_with(Plan { top: FORWARDED, portal: LIVE, ..Plan::default() }).await;
    let (browser, nobody) = (world.treasurer().await, world.browser());
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let of_a_key = |uri| get(uri).with(key.0, key.1);
    let of_a_scheme = |uri| Described { scheme: "ws", ..get(uri) };
    for asks in [of_a_key("/live"), of_a_scheme("/live")] {
        assert_eq!(asks.forwarded(&browser, &world).await.status, 200);
        // It is no page, so it starts no sign-in.
        assert_refusal(&asks.forwarded(&nobody, &world).await, 401, "sign-in-required");
    }
    for asks in [of_a_key("/other"), of_a_scheme("/other")] {
        assert_refusal(&asks.forwarded(&browser, &world).await, 403, "verify-header");
    }
    let other = of_a_key("/live").with("upgrade", "h2c");
    assert_refusal(&other.forwarded(&browser, &world).await, 403, "verify-header");
    world.stop().await;
}

/// FWD-01: over HTTP, too, Envoy hears what it is to take out of what a visitor says.
#[tokio::test]
async fn fwd_01_envoy_is_told_what_a_visitor_says_of_the_connection() {
    let world = world(BY_PATH).await;
    let browser = world.treasurer().await;
    let says = get("/reports")
        .with("x-forwarded-host", "evil.example")
        .with("true-client-ip", "203.0.113.66")
        .with("forwarded", "for=203.0.113.66")
        .with("x-forwarded-for", "192.0.2.1")
        .with("x-harmless", "1");
    let answer = says.by_path(&browser).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let removed = removed(&answer);
    for name in ["x-forwarded-host", "true-client-ip", "forwarded", "authorization", "cookie"] {
        assert!(removed.contains(&name), "{name}: {removed:?}");
    }
    // What Envoy itself writes stays, and what is told is not taken out again.
    for name in ["x-forwarded-for", "x-harmless", "x-auth-user", "host"] {
        assert!(!removed.contains(&name), "{name}: {removed:?}");
    }
    world.stop().await;
}

/// GEN-01: the server in front sends on what it has, and not what we make of it.
#[tokio::test]
async fn ver_01_what_is_not_canonical_does_not_pass() {
    for top in [FORWARDED, ORIGINAL, GRPC] {
        let world = world(top).await;
        let browser = world.treasurer().await;
        let asks = async |described: Described<'_>| described.asked(top, &browser, &world).await;
        for uri in ["/r%65ports?a=%62", "/caf%c3%a9"] {
            let page = asks(get(uri)).await;
            let post = asks(get(uri).method("POST")).await;
            assert_eq!(post.status, 403, "{uri}");
            match top {
                FORWARDED | GRPC => {
                    assert_eq!(page.status, 308, "{uri}");
                    let location = page.header("location").unwrap();
                    let begins = format!("http://{}/", world.proxy);
                    assert!(location.starts_with(&begins) && location != format!("{begins}{uri}"));
                }
                _ => assert_eq!(page.status, 403, "{uri}"),
            }
        }
        assert_eq!(asks(get("/caf%C3%A9?a=%62&b=é")).await.status / 100, 4);
        assert_eq!(asks(get("/caf%C3%A9?a=%62")).await.status, 200, "a query is as it is");
        world.stop().await;
    }
}

#[tokio::test]
async fn who_is_signed_in_and_asks_for_the_login_page_is_told_so() {
    for top in [FORWARDED, GRPC] {
        let world = world(top).await;
        let page = get("/login").asked(top, &world.treasurer().await, &world).await;
        assert!(page.status == 401 && page.text().contains("Sign out"), "{}", page.text());
        world.stop().await;
    }
}

#[tokio::test]
async fn a_report_refuses_no_form() {
    for top in [FORWARDED, GRPC] {
        const REPORT: &str = r#"
    mode: report_only
    local_login: { profile: wordpress }
    routes: [ { path: "/**", access: signed_in } ]
    identity: { headers: { X-Auth-User: oid } }"#;
        let world = World::start_with(Plan { top, portal: REPORT, ..Plan::default() }).await;
        for kind in ["application/x-www-form-urlencoded", "application/json"] {
            let form = get("/wp-comments-post.php").method("POST").with("content-type", kind);
            let answer = form.asked(top, &world.browser(), &world).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn hdr_05_path_14_nor_is_what_names_another_member_or_another_address() {
    for top in [FORWARDED, ORIGINAL, BY_PATH, GRPC] {
        let world = world(top).await;
        let browser = world.treasurer().await;
        let asks = async |described: Described<'_>| described.asked(top, &browser, &world).await;
        for name in [
            "X-Original-URI",
            "X-Rewrite-URL",
            "X-Envoy-Original-Path",
            "x-http-method-override",
            "X-HTTP--Method",
            "X-Forwarded-User",
            "X-Remote-User",
            "X-MS-Client-Principal",
            "Remote-User",
            "Signature-Input",
        ] {
            let answer = asks(get("/reports").with(name, "/login")).await;
            assert_refusal(&answer, 403, "verify-header");
        }
        // What says how a request came here is the other server's.
        let came = get("/reports")
            .with("x-forwarded-for", "192.0.2.1")
            .with("x-forwarded-port", "443")
            .with("x-real-ip", "192.0.2.1")
            .with("via", "1.1 front")
            .with("x-request-id", "1")
            .with("x-envoy-internal", "true")
            .with("te", "trailers");
        assert_eq!(asks(came).await.status, 200, "{top}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_is_over_passes_no_more() {
    for top in [FORWARDED, GRPC] {
        let world = world(top).await;
        let mut browser = world.treasurer().await;
        let copy = browser.clone();
        assert_eq!(get("/reports").asked(top, &browser, &world).await.status, 200);
        let out = [("sec-fetch-site", "same-origin")];
        assert_eq!(browser.send("POST", "/.auth/logout", &out, b"").await.status, 303);
        assert_eq!(get("/reports").asked(top, &copy, &world).await.status, 303);
        // And use of it here is use: an idle session ends, one that is used does not.
        browser = world.treasurer().await;
        for _ in 0..5 {
            world.clock.advance(std::time::Duration::from_secs(20 * 60));
            assert_eq!(get("/reports").asked(top, &browser, &world).await.status, 200);
        }
        world.clock.advance(std::time::Duration::from_secs(31 * 60));
        assert_eq!(get("/reports").asked(top, &browser, &world).await.status, 303);
        world.stop().await;
    }
}

#[tokio::test]
async fn env_03_what_passes_is_signed_for_the_portal() {
    for top in [FORWARDED, GRPC] {
        const SIGNED: &str = r#"
    mode: optional
    routes: [ { path: "/**", access: signed_in } ]
    local_login: {}
    identity:
      headers: { X-Auth-User: oid }
      signature: { algorithm: ed25519 }
"#;
        let world = World::start_with(Plan { top, portal: SIGNED, ..Plan::default() }).await;
        // In `optional` everybody passes, and the request is signed for the portal as nobody's.
        let answer = get("/reports").asked(top, &world.browser(), &world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let input = answer.header("signature-input").unwrap();
        assert!(
            input.starts_with(r#"anteport=("@method" "@authority" "@path" "@query");"#),
            "{input}"
        );
        assert!(answer.header("signature").is_some() && answer.header("x-auth-user").is_none());
        world.stop().await;
    }
}

#[tokio::test]
async fn gen_02_a_page_of_ours_is_never_taken_for_a_yes() {
    for top in [FORWARDED, GRPC] {
        let plan = Plan { top, provider: TWO, portal: TWO_FOR_A_PORTAL, ..Plan::default() };
        let world = World::start_with(plan).await;
        let page = get("/reports").asked(top, &world.browser(), &world).await;
        assert_eq!(page.status, 401);
        assert!(page.text().contains("Sign in with corporate"), "and yet it is the page");
        // An SRE sees what was answered, and not what would have been.
        let class =
            |class| format!("{REQUESTS}{{portal=\"{}\",status_class=\"{class}\"}}", world.proxy);
        world.comes_to(&class("4xx"), 1.0).await;
        assert_eq!(world.metric(&class("2xx")).await, 0.0);
        world.stop().await;
    }
}

#[tokio::test]
async fn path_15_what_a_rule_would_have_to_read_does_not_pass() {
    for top in [FORWARDED, GRPC] {
        const FORMS: &str = r#"
    local_login:
      password_routes: [ { path: /entry, methods: [POST], form: { task: sign_in } } ]
    routes: [ { path: "/**", access: signed_in } ]
    identity: { headers: { X-Auth-User: oid } }"#;
        let world = World::start_with(Plan { top, portal: FORMS, ..Plan::default() }).await;
        let browser = world.treasurer().await;
        let form =
            get("/entry").method("POST").with("content-type", "application/x-www-form-urlencoded");
        assert_refusal(&form.asked(top, &browser, &world).await, 403, "verify-form");
        assert_eq!(get("/entry").asked(top, &browser, &world).await.status, 200, "a page has none");
        world.stop().await;
    }
}

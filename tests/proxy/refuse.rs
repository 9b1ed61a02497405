//! What goes no further: the password door, background calls, requests that cannot be read.

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

#[tokio::test]
async fn the_password_door_is_shut_for_everybody() {
    let world = World::start().await;
    let stranger = world.browser();
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    for browser in [&stranger, &member] {
        for target in
            ["/login", "/LOGIN", "/login/", "/login?x=1", "/%6cogin", "/login.", "/login%20"]
        {
            let answer = browser.send("POST", target, PAGE, b"user=x&password=letmein").await;
            assert_refusal(&answer, 403, "local-login-blocked");
        }
    }
    assert_eq!(world.portal.received().len(), before, "nothing reached the portal");
    let series = "anteport_decisions_total{portal=\"PORTAL\",decision=\"refuse\",reason=\"local-login-blocked\"}";
    let series = series.replace("PORTAL", &world.proxy.to_string());
    assert_eq!(world.metric(&series).await, 14.0);
    world.stop().await;
}

#[tokio::test]
async fn a_get_of_the_login_page_becomes_a_sign_in() {
    let world = World::start().await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/login?next=/x", "member@harborclub.example").await;
    assert_eq!((landed.status, landed.url.path()), (200, "/"));
    let page = browser.open("/login").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("You are signed in") && page.text().contains("Zo\u{eb} Halvorsen")
    );
    assert!(!world.portal.received().iter().any(|request| request.line.contains("/login")));
    world.stop().await;
}

#[tokio::test]
async fn oidc_17_background_calls_get_401_and_never_start_a_login() {
    let world = World::start().await;
    let browser = world.browser();
    for headers in [
        &[("accept", "application/json")][..],
        &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
        &[("accept", "*/*"), ("x-requested-with", "XMLHttpRequest")],
    ] {
        let answer = browser.send("GET", "/api/data", headers, b"").await;
        assert_refusal(&answer, 401, "sign-in-required");
        assert!(answer.all("set-cookie").is_empty() && answer.header("location").is_none());
    }
    let answer = browser.send("POST", "/form", PAGE, b"a=b").await;
    assert_refusal(&answer, 401, "sign-in-required");
    let json = browser.send("GET", "/api", &[("accept", "application/json")], b"").await.json();
    assert_eq!(json["error"], "sign-in-required");
    assert_eq!(world.microsoft.counts().authorize, 0);
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn path_07_ambiguous_paths_reach_nobody() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    for (target, code) in [
        ("/public/%2e%2e/login", "path-segment"),
        ("/a%2Fb", "path-encoded-separator"),
        ("/a;jsessionid=1", "path-parameter"),
        ("/%zz", "path-escape"),
        ("/a//b", "path-segment"),
    ] {
        let answer = raw(
            &world,
            &format!("GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", world.proxy),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
        assert!(answer.contains(code), "{target}: {answer}");
    }
    drop(member);
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn host_01_an_unknown_host_is_misdirected() {
    let world = World::start().await;
    let answer = raw(&world, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    let answer = raw(&world, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer =
        raw(&world, &format!("GET / HTTP/1.1\r\nHost: {0}\r\nHost: {0}\r\n\r\n", world.proxy))
            .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn lim_01_targets_and_heads_are_bounded() {
    let world = World::start().await;
    let host = format!("Host: {}\r\nAccept: text/html\r\n", world.proxy);
    let long = "a".repeat(9000);
    let answer = raw(&world, &format!("GET /{long} HTTP/1.1\r\n{host}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 414") && answer.contains("path-too-long"), "{answer}");
    let answer =
        raw(&world, &format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(99))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    for size in [32, 40, 100] {
        let large = format!("A: {}\r\n", "b".repeat(size * 1024));
        let answer = raw(&world, &format!("GET / HTTP/1.1\r\n{host}{large}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

/// Sends bytes as they are and reads the first of the answer.
async fn raw(world: &World, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 16 * 1024];
    let count = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

const OPTIONAL: &str = "    mode: optional\n    identity: { headers: { X-Auth-User: oid } }\n";
const OFF: &str = "    mode: off\n    identity: { headers: { X-Auth-User: oid } }\n";

#[tokio::test]
async fn optional_lets_everybody_pass_and_names_who_signed_in() {
    let world = World::start_with(Plan { portal: OPTIONAL, ..Plan::default() }).await;
    let forged =
        [("x-auth-user", "admin"), ("authorization", "Basic eA=="), ("accept", "text/html")];
    let stranger = world.browser().send("POST", "/login", &forged, b"").await;
    assert_eq!(stranger.status, 200, "the portal's own sign-in stays open");
    assert_eq!(world.portal.last().header("x-auth-user"), None);
    assert_eq!(world.portal.last().header("x-anteport-assertion"), None);
    assert_eq!(world.portal.last().header("authorization"), Some("Basic eA=="));
    let page = world.browser().open("/.auth/login").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Sign in with Corporate Account"));
    assert!(page.text().contains("<code>sign-in</code>"), "every page has a code");
    assert!(page.text().contains(page.header("x-request-id").unwrap()));
    let mut browser = world.browser();
    let landed = browser
        .sign_in(
            "/.auth/login/corporate?post_login_redirect_uri=/reports",
            "member@harborclub.example",
        )
        .await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"));
    assert!(world.portal.last().header("x-auth-user").is_some());
    assert!(world.portal.last().header("x-anteport-assertion").is_some());
    world.stop().await;
}

#[tokio::test]
async fn hdr_02_off_passes_everything_but_forged_identity() {
    let world = World::start_with(Plan { portal: OFF, ..Plan::default() }).await;
    let forged = [
        ("x-auth-user", "admin"),
        ("X_Auth_User", "admin"),
        ("x-anteport-assertion", "a.b.c"),
        ("x-ms-client-principal", "x"),
        ("accept-language", "de"),
    ];
    let answer = world.browser().send("GET", "/anything?x=%2F", &forged, b"").await;
    assert_eq!(answer.status, 200);
    let received = world.portal.last();
    assert_eq!(received.line, "GET /anything?x=%2F HTTP/1.1");
    assert_eq!(received.header("accept-language"), Some("de"));
    for (name, _) in received.headers {
        let folded: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        assert!(
            !folded.contains("auth") && !folded.contains("anteport") && !folded.contains("ms"),
            "{name}"
        );
    }
    let page = world.browser().open("/.auth/login").await;
    assert_refusal(&page, 404, "endpoint-unknown");
    world.stop().await;
}

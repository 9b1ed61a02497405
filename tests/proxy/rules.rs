//! Rules of paths, hosts and errors that nothing else here carries, each tried from outside.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

/// What is answered to these bytes, until the connection is closed.
async fn answer(proxy: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(world: &World, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.proxy)
}

#[tokio::test]
async fn path_03_every_percent_begins_an_escape() {
    let world = World::start().await;
    for target in ["/public/%u0041", "/public/%", "/public/%4", "/public/%zz", "/public/100%/x"] {
        let answer = answer(world.proxy, &get(&world, target)).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("path-escape"), "{target}");
    }
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn path_08_and_11_parameters_and_windows_spellings_reach_nobody() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    for (target, code) in [
        ("/login;x=1", "path-parameter"),
        ("/public;/login", "path-parameter"),
        ("/reports;jsessionid=1", "path-parameter"),
        ("/login::$DATA", "path-windows"),
        ("/login%3a%3a%24DATA", "path-windows"),
        ("/x:$i30:$INDEX_ALLOCATION/login", "path-windows"),
        ("/LOGIN~1.ASP", "path-windows"),
        ("/(S(lit3py55t21z5v55vlm25s55))/login", "path-windows"),
        ("/%28A%28b%29%29/login", "path-windows"),
    ] {
        for method in ["GET", "POST"] {
            assert_refusal(&member.send(method, target, PAGE, b"").await, 400, code);
        }
    }
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn path_01_a_fragment_a_user_and_odd_forms_are_seen() {
    let world = World::start().await;
    let host = world.proxy;
    for target in [
        "/public/x#y".to_owned(),
        "public/x".to_owned(),
        "*".to_owned(),
        format!("http://user@{host}/public/x"),
        format!("https://{host}/public/x"),
        format!("ftp://{host}/public/x"),
        format!("{host}"),
    ] {
        let answer = answer(world.proxy, &get(&world, &target)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
    assert!(world.portal.received().is_empty());
    let whole = answer(world.proxy, &get(&world, &format!("http://{host}/public/x?y"))).await;
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
    assert_eq!(world.portal.last().line, "GET /public/x?y HTTP/1.1");
    let all = format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let all = answer(world.proxy, &all).await;
    assert!(all.starts_with("HTTP/1.1 204 ") && all.contains("allow: GET, HEAD, POST"), "{all}");
    let connect = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert!(answer(world.proxy, &connect).await.starts_with("HTTP/1.1 405 "));
    assert_eq!(world.portal.received().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn gen_06_our_own_endpoints_pass_the_same_reading() {
    let world = World::start().await;
    let browser = world.browser();
    for (target, status, code) in [
        ("/.auth//me", 400, "path-segment"),
        ("/.auth/../.auth/me", 400, "path-segment"),
        ("/.auth/me;x", 400, "path-parameter"),
        ("/.auth%2Fme", 400, "path-encoded-separator"),
        ("/.auth/m%zz", 400, "path-escape"),
        ("/.AUTH/me", 404, "endpoint-unknown"),
    ] {
        assert_refusal(&browser.send("GET", target, PAGE, b"").await, status, code);
    }
    let long = "x".repeat(40_000);
    let headers = [("accept", "text/html"), ("x-long", long.as_str())];
    assert_refusal(&browser.send("GET", "/.auth/me", &headers, b"").await, 431, "head-too-large");
    assert_eq!(browser.send("GET", "/.auth/%6De", PAGE, b"").await.status, 401, "it is `me`");
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn gen_08_hosts_are_compared_in_ascii_alone() {
    let world = World::start().await;
    let port = world.proxy.port();
    // A dotless i, a Kelvin sign, a full stop of another script.
    for host in [format!("127\u{3002}0.0.1:{port}"), format!("127.0.0.1:{port}\u{212a}")] {
        let request =
            format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = answer(world.proxy, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{host}: {answer}");
    }
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn gen_02_a_form_that_never_ends_reaches_nobody() {
    let portal = r#"
    mode: azure_only
    local_login: { password_routes: [{ path: /open/session, form: { password: "*" } }] }
    routes: [{ path: "/open/**", access: public }]"#;
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let head = format!(
        "POST /open/session HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        world.proxy
    );
    for begun in ["", "a=1"] {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        stream.write_all(format!("{head}{begun}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn fwd_03_scheme_and_host_come_from_configuration_alone() {
    let world = World::start().await;
    let browser = world.browser();
    let mut headers = PAGE.to_vec();
    headers.extend([
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "proto=https;host=evil.example"),
        ("x-forwarded-port", "444"),
        ("x-original-host", "evil.example"),
    ]);
    let answer = browser.send("GET", "/reports", &headers, b"").await;
    let location = answer.location();
    let redirect = location.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    assert_eq!(redirect, format!("http://{}/.auth/login/corporate/callback", world.proxy));
    assert!(answer.all("set-cookie").iter().all(|cookie| cookie.contains("; Secure")));
    let answer = browser.send("GET", "/public/x", &headers, b"").await;
    assert_eq!(answer.status, 200);
    let told = world.portal.last();
    assert_eq!(told.header("x-forwarded-proto"), Some("http"));
    assert_eq!(told.header("x-forwarded-host"), Some(&*world.proxy.to_string()));
    assert_eq!((told.header("forwarded"), told.header("x-forwarded-port")), (None, None));
    world.stop().await;
}

#[tokio::test]
async fn http_04_a_body_that_nobody_read_is_no_next_request() {
    let world = World::start().await;
    let body = format!("GET /public/smuggled HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    // Refused before its body was read; the connection is drained or closed, and what was in the
    // body is never a request.
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}\
         GET /public/after HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        world.proxy,
        body.len(),
        world.proxy
    );
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = stream.read_to_string(&mut answers);
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(answers.starts_with("HTTP/1.1 403 "), "{answers}");
    let received = world.portal.received();
    let lines: Vec<&str> = received.iter().map(|request| request.line.as_str()).collect();
    assert!(
        lines.is_empty() || lines == ["GET /public/after HTTP/1.1"],
        "the body was taken for a request: {lines:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn http_11_pages_are_not_compressed() {
    let world = World::start().await;
    let browser = world.browser();
    let headers = [("accept", "text/html"), ("accept-encoding", "gzip, br, zstd")];
    for target in ["/.auth/login", "/nothing%2Fhere", "/public/x"] {
        let answer = browser.send("GET", target, &headers, b"").await;
        assert_eq!(answer.header("content-encoding"), None, "{target}");
    }
    assert_eq!(world.portal.last().header("accept-encoding"), Some("gzip, br, zstd"));
    world.stop().await;
}

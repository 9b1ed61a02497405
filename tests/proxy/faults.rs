//! A portal or a provider that is down, slow or lying.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

#[tokio::test]
async fn a_portal_that_is_down_is_a_502_and_comes_back() {
    let mut world = World::start().await;
    let mut browser = world.treasurer().await;
    world.portal.goes_down().await;
    assert_refusal(&browser.open("/reports").await, 502, "upstream-");
    world.portal.comes_back().await;
    assert_eq!(browser.open("/reports").await.status, 200, "nobody was signed out");
    world.stop().await;
}

#[tokio::test]
async fn a_portal_that_lies_is_a_502_and_a_silent_one_a_504() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    assert_refusal(&browser.open("/close").await, 502, "upstream-broken");
    assert_refusal(&browser.open("/switch").await, 502, "upstream-broken");
    assert_refusal(&browser.open("/silent").await, 504, "upstream-response-timeout");
    assert_eq!(browser.open("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn http_05_surplus_bytes_reach_nobody() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    for _ in 0..5 {
        let answer = browser.open("/surplus").await;
        assert!(matches!(answer.status, 200 | 502), "{}", answer.status);
        assert!(!answer.text().contains("poison"));
        let next = browser.open("/reports?next").await;
        assert_eq!(next.text(), "the portal answers /reports?next");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_portal_that_answers_early_is_heard_and_its_connection_not_used_again() {
    let world = World::start().await;
    let mut member = world.treasurer().await;
    let answer = member.send("POST", "/early", PAGE, &vec![b'x'; 5_000_000]).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too large"));
    let early = world.portal.last().connection;
    assert_eq!(member.open("/reports").await.status, 200);
    assert_ne!(world.portal.last().connection, early);
    world.stop().await;
}

#[tokio::test]
async fn http_06_a_body_cut_short_is_an_error_for_the_visitor() {
    let world = World::start().await;
    let mut member = world.treasurer().await;
    let id = member.own_cookies()["__Host-anteport"].clone();
    for target in ["/cut", "/cut-chunks"] {
        let mut stream = tokio::net::TcpStream::connect(world.proxy).await.unwrap();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: __Host-anteport={id}\r\n\r\n",
            world.proxy
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.ends_with("0\r\n\r\n"), "no clean end: {answer}");
        // The connection may be cut before anything of the answer was sent on.
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.contains("content-length: 100") {
            assert!(body.len() < 100);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn gen_03_a_provider_that_is_down_stops_new_logins_and_nobody_else() {
    let mut world = World::start().await;
    let mut member = world.treasurer().await;
    let mut halfway = world.browser();
    let callback = halfway.sign_in_to_callback("/reports", "member@harborclub.example").await;
    world.microsoft_goes_down().await;
    assert_eq!(member.open("/reports").await.status, 200);
    let page = halfway.open_url(&callback).await;
    assert_refusal(&page, 503, "provider-");
    assert!(page.header("retry-after").is_some());
    assert_eq!(member.open("/reports").await.status, 200);
    let ready = crate::world::browser::Browser::new(format!("http://{}", world.admin));
    assert_eq!(
        ready.send("GET", "/readyz", &[], b"").await.status,
        200,
        "an outage there is not ours"
    );
    world.microsoft_comes_up().await;
    assert_eq!(world.treasurer().await.open("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn rel_01_it_starts_while_the_provider_is_down_and_recovers_without_a_restart() {
    let mut world = World::start_with(Plan { microsoft_is_up: false, ..Plan::default() }).await;
    let public = world.browser().send("GET", "/assets/app.css", PAGE, b"").await;
    assert_eq!(public.status, 200);
    let page = world.browser().open("/reports").await;
    assert_refusal(&page, 503, "provider-");
    assert!(page.text().contains("Sign in again"));
    world.microsoft_comes_up().await;
    // A failed fetch is not repeated for a second; the loop beside finds the provider by itself.
    let recovered = async {
        while world.browser().open("/reports").await.status != 303 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recovered).await.expect("it recovers");
    world.treasurer().await;
    world.stop().await;
}

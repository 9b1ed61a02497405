//! Several portals in one file: what is known at one is nothing at another.

use crate::world::browser::{Browser, PAGE};
use crate::world::{Plan, World};

/// Beside the portal of `AZURE_ONLY`, under another name of this machine.
const SECOND: &str = r#"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM", response_timeout: 1s }
    mode: optional
    auth_path: /own
    routes:
      - { path: "/only-here", access: public }
      - { path: "/closed/**", access: signed_in }
      - { path: "/public/**", access: public }
    identity:
      headers: { X-Portal-Member: email }
      assertion: { audience: "second" }
"#;

const SIGN_IN: &str = "/own/login/corporate?post_login_redirect_uri=/closed/x";

async fn world() -> World {
    World::start_with(Plan { more_portals: SECOND, ..Plan::default() }).await
}

fn second(world: &World) -> Browser {
    Browser::new(format!("http://localhost:{}", world.proxy.port()))
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn host_02_a_session_of_one_portal_is_nothing_at_another() {
    let world = world().await;
    let mut first = world.treasurer().await;
    let mut other = second(&world);
    other.sign_in(SIGN_IN, "member@harborclub.example").await;
    let (at_first, at_second) = (
        first.own_cookies()["__Host-anteport"].clone(),
        other.own_cookies()["__Host-anteport"].clone(),
    );
    assert_ne!(at_first, at_second);
    // Each at its own.
    assert_eq!(first.open("/reports").await.status, 200);
    assert_eq!(other.open("/closed/y").await.status, 200);
    assert!(world.second.last().header("x-portal-member").is_some());
    let here = world.portal.received().len();
    // Swapped.
    first.own_cookies().insert("__Host-anteport".into(), at_second.clone());
    other.own_cookies().insert("__Host-anteport".into(), at_first.clone());
    assert_eq!(first.open("/reports").await.status, 303);
    assert_eq!(other.open("/closed/z").await.status, 200);
    assert_eq!(world.portal.received().len(), here);
    let told = world.second.last();
    assert!(told.line.starts_with("GET /closed/z"), "{told:?}");
    assert_eq!(told.header("x-portal-member"), None, "somebody, but not the first portal's member");
    assert_eq!(told.header("x-anteport-assertion"), None);
    assert_eq!(told.header("cookie"), None);
    // A sign-out with another portal's cookie ends nothing.
    other.send("POST", "/own/logout", &[("sec-fetch-site", "same-origin")], b"").await;
    let mut again = world.browser();
    again.own_cookies().insert("__Host-anteport".into(), at_first);
    assert_eq!(again.open("/reports").await.status, 200, "the session of the first portal lives");
    world.stop().await;
}

#[tokio::test]
async fn hdr_02_each_portal_is_told_what_it_is_told_and_nothing_of_the_other() {
    let world = world().await;
    let first = world.treasurer().await;
    let mut other = second(&world);
    other.sign_in(SIGN_IN, "member@harborclub.example").await;
    let forged = [
        PAGE,
        &[("x-auth-user", "forged"), ("x-portal-member", "forged"), ("X_Portal_Member", "forged")],
    ]
    .concat();
    assert_eq!(first.send("GET", "/reports", &forged, b"").await.status, 200);
    assert_eq!(other.send("GET", "/closed/x", &forged, b"").await.status, 200);
    let (got, told) = (world.portal.last(), world.second.last());
    assert_eq!(got.header("x-auth-email"), Some("treasurer@harborclub.example"));
    assert_eq!(told.header("x-portal-member"), Some("member@harborclub.example"));
    assert!(!names(&told.headers).contains(&"x-auth-user"), "{told:?}");
    assert!(!names(&told.headers).contains(&"x-auth-email"), "{told:?}");
    // What only the other portal maps is an ordinary name here, and the visitor's own.
    assert_eq!(got.header("host"), Some(&*world.proxy.to_string()));
    assert_eq!(told.header("host"), Some(&*format!("localhost:{}", world.proxy.port())));
    assert_eq!(got.header("x-forwarded-host"), got.header("host"));
    assert_eq!(told.header("x-forwarded-host"), told.header("host"));
    let claims = |assertion: &str| {
        use base64::Engine as _;
        let payload = assertion.split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    let (here, there) = (
        claims(got.header("x-anteport-assertion").unwrap()),
        claims(told.header("x-anteport-assertion").unwrap()),
    );
    assert_eq!(there["aud"], "second");
    assert_ne!(here["aud"], there["aud"]);
    assert_ne!(here["sub"], there["sub"]);
    assert!(
        !told.headers.iter().any(|(_, value)| value.contains("treasurer") || value == "forged")
    );
    world.stop().await;
}

#[tokio::test]
async fn gen_04_routes_modes_and_endpoints_of_one_portal_are_nothing_at_another() {
    let world = world().await;
    let (mut first, mut other) = (world.browser(), second(&world));
    assert_eq!(first.open("/only-here").await.status, 303);
    assert_eq!(other.open("/only-here").await.status, 200);
    assert_eq!(other.open("/reports").await.status, 404, "no line of its own names it");
    // The password door of the first is not one here, and still shut there.
    assert_eq!(first.send("POST", "/login", PAGE, b"a=b").await.status, 403);
    assert_eq!(first.open("/own/login").await.status, 303, "no endpoint of this portal");
    assert_ne!(other.open("/own/login").await.status, 404);
    assert!(world.portal.received().is_empty());
    assert!(world.second.received().iter().all(|got| got.line.starts_with("GET /only-here")));
    // One connection, two hosts: each request is judged alone (GEN-05).
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(world.proxy).await.unwrap();
    let asked =
        |host: &str, more: &str| format!("GET /public/z HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
    let (one, two) = (world.proxy.to_string(), format!("localhost:{}", world.proxy.port()));
    let both = asked(&one, "") + &asked(&two, "") + &asked(&one, "Connection: close\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    assert_eq!((world.portal.received().len(), world.second.received().len()), (2, 2));
    world.stop().await;
}

#[tokio::test]
async fn oidc_02_a_login_of_one_portal_cannot_be_finished_at_another() {
    let world = world().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", "member@harborclub.example").await;
    // The same callback and the same cookies, at the other portal.
    let mut other = second(&world);
    *other.own_cookies() = browser.own_cookies().clone();
    for prefix in ["/.auth", "/own"] {
        let path = callback.path().replacen("/.auth", prefix, 1);
        let answer = other.open(&format!("{path}?{}", callback.query().unwrap())).await;
        assert_ne!(answer.status, 303, "{path}");
        assert!(!other.own_cookies().contains_key("__Host-anteport"), "{path}");
    }
    assert!(world.second.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn ret_01_a_login_of_one_portal_never_leads_to_another() {
    let world = world().await;
    let elsewhere = format!("http://localhost:{}/only-here", world.proxy.port());
    for target in [elsewhere.as_str(), "//localhost/only-here", "/.auth/login", "/own/login"] {
        let mut browser = world.browser();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("post_login_redirect_uri", target)
            .finish();
        let start = format!("/.auth/login/corporate?{query}");
        let landed = browser.sign_in(&start, "member@harborclub.example").await;
        assert_eq!(landed.url.host_str(), Some("127.0.0.1"), "{target}");
    }
    assert!(world.second.received().is_empty());
    world.stop().await;
}

//! The progressive switch from `report_only` to `azure_only`: by share of visitors, who keep the part
//! that they are in, and by group.

use std::collections::BTreeSet;

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const SWITCHED: &str = r#"
    mode: azure_only
    rollout: { share: SHARE }
    break_glass: { link: {} }
    local_login:
      login_pages: [/login]
      password_routes:
        - { path: /login, methods: [POST] }
        - { path: /session, form: { j_password: "*" } }
      portal_cookies: [PHPSESSID]
    routes:
      - { path: "/assets/**", access: public }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid }
"#;

const GROUPS: &str = r#"
    mode: azure_only
    rollout: { groups: [0b6d4a12-9e3f-4c75-8d21-000000000200] }
    local_login: { login_pages: [/login], password_routes: [ { path: /login, methods: [POST] } ] }
    identity: { headers: { X-Auth-User: oid } }
"#;

const FROM_GRAPH: &str = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    graph: "http://AUTHORITY/graph"
    groups: { source: graph }
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;

const LOT: &str = "__Host-anteport-lot";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn world(share: &str, listen: &'static str, top: &'static str) -> World {
    let portal: &'static str = Box::leak(SWITCHED.replace("SHARE", share).into());
    World::start_with(Plan { portal, listen, top, ..Plan::default() }).await
}

async fn send(world: &World, method: &str, target: &str, cookie: &str, body: &[u8]) -> Answer {
    let headers = [("accept", "text/html"), FORM, ("cookie", cookie)];
    world.browser().send(method, target, &headers, body).await
}

/// Whether somebody with these cookies is under `azure_only`, by everything that the modes do
/// differently.
async fn is_switched(world: &World, cookie: &str) -> bool {
    let before = world.portal.received().len();
    let password = send(world, "POST", "/login", cookie, b"password=x").await;
    let by_form = send(world, "POST", "/session", cookie, b"j_password=x").await;
    let page = send(world, "GET", "/reports", cookie, b"").await;
    let login = send(world, "GET", "/login", cookie, b"").await;
    match password.status {
        200 => {
            for answer in [&by_form, &page, &login] {
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            assert_eq!(world.portal.received().len(), before + 4);
            assert_eq!(world.portal.last().header("x-auth-user"), None);
            false
        }
        _ => {
            assert_refusal(&password, 403, "local-login-blocked");
            assert_refusal(&by_form, 401, "sign-in-required");
            assert_eq!((page.status, login.status), (303, 303));
            assert_eq!(world.portal.received().len(), before);
            true
        }
    }
}

async fn judged(world: &World, mode: &str) -> f64 {
    let portal = world.proxy;
    let series = format!("anteport_rollout_requests_total{{portal=\"{portal}\",mode=\"{mode}\"}}");
    world.metric(&series).await
}

#[tokio::test]
async fn a_share_of_visitors_is_switched_and_each_stays_where_they_are() {
    let world = world("25%", "", "").await;
    for (lot, expected) in [("0", true), ("24", true), ("25", false), ("99", false)] {
        let cookie = format!("{LOT}={lot}; PHPSESSID=1");
        assert_eq!(is_switched(&world, &cookie).await, expected, "{lot}");
    }
    assert_eq!(
        (judged(&world, "azure_only").await, judged(&world, "report_only").await),
        (8.0, 8.0)
    );
    // What would be refused is told of those who are left out.
    let noted = format!("anteport_would_be_refused_total{{portal=\"{}\"}}", world.proxy);
    assert_eq!(world.metric(&noted).await, 4.0);
    // The portal's own session goes on where its sign-in does (PATH-18), and our cookie nowhere.
    send(&world, "GET", "/reports", &format!("{LOT}=99; PHPSESSID=1"), b"").await;
    assert_eq!(world.portal.last().header("cookie"), Some("PHPSESSID=1"));
    send(&world, "GET", "/assets/x", &format!("{LOT}=0; PHPSESSID=1"), b"").await;
    assert_eq!(world.portal.last().header("cookie"), None);
    world.stop().await;
}

#[tokio::test]
async fn a_browser_keeps_the_lot_of_its_first_page() {
    let world = world("50%", "", "").await;
    let (mut lots, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..40 {
        let mut browser = world.browser();
        let first = browser.open("/reports").await;
        let set = first.header("set-cookie").unwrap_or_default().to_owned();
        let lot = browser.own_cookies().get(LOT).unwrap_or_else(|| panic!("{first:?}")).clone();
        if set.starts_with(LOT) {
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=7776000"] {
                assert!(set.contains(attribute), "COOK-04 {set}");
            }
        }
        let cache = first.header("cache-control").unwrap_or_default();
        assert!(cache.contains("private") || cache.contains("no-store"), "{cache}");
        let is_left_out = first.status == 200;
        assert_eq!(is_left_out, lot.parse::<u8>().unwrap() >= 50, "{lot}");
        for target in ["/reports", "/other", "/login"] {
            let again = browser.open(target).await;
            assert_eq!(again.status == 200, is_left_out, "{target}");
            assert!(!again.all("set-cookie").iter().any(|set| set.starts_with(LOT)), "once");
        }
        lots.insert(lot);
        parts.insert(is_left_out);
    }
    assert!(lots.len() > 5 && parts.len() == 2, "{lots:?}");
    world.stop().await;
}

#[tokio::test]
async fn who_keeps_no_cookie_is_known_by_the_address() {
    let world = world("50%", ", trusted_proxies: [127.0.0.1]", "").await;
    let browser = world.browser();
    let mut parts = BTreeSet::new();
    for number in 0..40 {
        let address = format!("192.0.2.{number}");
        let headers = [("accept", "application/json"), FORM, ("x-forwarded-for", &*address)];
        let first = browser.send("POST", "/login", &headers, b"password=x").await;
        for _ in 0..3 {
            let again = browser.send("POST", "/login", &headers, b"password=x").await;
            assert_eq!(again.status, first.status, "{address}");
        }
        assert_eq!(first.header("set-cookie"), None, "a script keeps nothing");
        parts.insert(first.status);
    }
    assert_eq!(parts, BTreeSet::from([200, 403]));
    // Of IPv6 a network is one visitor; and a cookie that is none of ours, or there twice, is none.
    let of = async |address: &str, cookie: &str| {
        let headers = [("accept", "*/*"), FORM, ("x-forwarded-for", address), ("cookie", cookie)];
        browser.send("POST", "/login", &headers, b"password=x").await.status
    };
    for number in 0..20 {
        let (one, other) = (format!("2001:db8:0:{number}::1"), format!("2001:db8:0:{number}:f::9"));
        let plain = of(&one, "a=b").await;
        assert_eq!(of(&other, "a=b").await, plain);
        let twice = format!("{LOT}=0; {LOT}=99");
        for cookie in [&*twice, &format!("{LOT}=100"), &format!("{LOT}=007"), &format!("{LOT}=x")] {
            assert_eq!(of(&one, cookie).await, plain, "{cookie}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn the_ends_of_a_switch_are_the_modes_themselves() {
    let all = world("100%", "", "").await;
    let none = world("0%", "", "").await;
    for lot in ["", "0", "50", "99"] {
        let cookie = if lot.is_empty() { "a=b".to_owned() } else { format!("{LOT}={lot}") };
        assert!(is_switched(&all, &cookie).await);
        assert!(!is_switched(&none, &cookie).await);
    }
    for world in [&all, &none] {
        let mut browser = world.browser();
        browser.open("/reports").await;
        assert!(!browser.own_cookies().contains_key(LOT), "nobody draws");
    }
    all.stop().await;
    none.stop().await;
}

#[tokio::test]
async fn members_of_a_group_are_switched_once_they_are_signed_in() {
    let plan = Plan { provider: FROM_GRAPH, portal: GROUPS, ..Plan::default() };
    let world = World::start_with(plan).await;
    let post = async |browser: &Browser| {
        let headers = [("accept", "text/html"), FORM];
        browser.send("POST", "/login", &headers, b"password=x").await
    };
    let stranger = world.browser();
    assert_eq!(post(&stranger).await.status, 200);
    assert_eq!(stranger.send("GET", "/reports", PAGE, b"").await.status, 200);
    for (username, is_switched) in [
        ("groups199@harborclub.example", false),
        ("groups201@harborclub.example", true),
        ("groups2000@harborclub.example", true),
    ] {
        let mut browser = world.browser();
        let landed = browser.sign_in("/.auth/login/corporate", username).await;
        assert_eq!(landed.status, 200, "{username} {}", landed.text());
        assert!(world.portal.last().header("x-auth-user").is_some(), "a member in both parts");
        let answer = post(&browser).await;
        match is_switched {
            true => assert_refusal(&answer, 403, "local-login-blocked"),
            false => assert_eq!(answer.status, 200, "{username} {}", answer.text()),
        }
    }
    assert!(judged(&world, "azure_only").await >= 4.0);
    world.stop().await;
}

#[tokio::test]
async fn another_server_that_asks_gets_the_same_and_no_cookie() {
    let top = "verify: { peers: [127.0.0.1], description: x_forwarded }";
    let asks = async |world: &World, method: &str, cookie: &str| {
        let host = world.proxy.to_string();
        let headers = [
            ("x-forwarded-method", method),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", &*host),
            ("x-forwarded-uri", "/session"),
            ("accept", "text/html"),
            ("cookie", cookie),
        ];
        world.browser().send("GET", "/.auth/verify", &headers, b"").await
    };
    let some = world("25%", "", top).await;
    for (method, lot, status) in [
        ("GET", "99", 200),
        // Nobody sees the form here, and nothing depends on it.
        ("POST", "99", 200),
        ("GET", "0", 303),
        ("POST", "0", 401),
    ] {
        let answer = asks(&some, method, &format!("{LOT}={lot}")).await;
        assert_eq!(answer.status, status, "{method} {lot} {}", answer.text());
    }
    let first = asks(&some, "GET", "a=b").await;
    assert!(!first.all("set-cookie").iter().any(|set| set.starts_with(LOT)), "{first:?}");
    for _ in 0..5 {
        assert_eq!(asks(&some, "GET", "a=b").await.status, first.status, "by the address");
    }
    some.stop().await;
}

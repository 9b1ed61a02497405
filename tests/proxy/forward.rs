//! What reaches the portal, and what comes back.

use std::time::Duration;

use crate::signing::verified;
use crate::world::browser::PAGE;
use crate::world::{Plan, World};

#[tokio::test]
async fn a_member_is_named_in_headers_and_in_a_signed_assertion() {
    let world = World::start().await;
    world.treasurer().await;
    let received = world.portal.last();
    assert_eq!(received.header("x-auth-user"), Some("7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57"));
    assert_eq!(received.header("x-auth-email"), Some("treasurer@harborclub.example"));
    assert_eq!(received.header("x-auth-roles"), Some("Member,Treasurer"));
    let claims = verified(&world, received.header("x-anteport-assertion").unwrap()).await;
    let portal = format!("http://{}", world.proxy);
    assert_eq!(claims["iss"], portal);
    assert_eq!(claims["aud"], portal);
    assert_eq!(
        claims["sub"],
        format!("{}.7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57", anteport::demo::TENANT_ID)
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    assert_eq!(claims["roles"], serde_json::json!(["Member", "Treasurer"]));
    assert!(claims["sid"].as_str().unwrap().len() >= 16);
    world.stop().await;
}

#[tokio::test]
async fn env_02_an_assertion_is_made_once_and_renewed_in_time() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let mut assertions = Vec::new();
    for seconds in [0, 10, 19, 1, 30] {
        world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(browser.open("/reports").await.status, 200);
        assertions.push(world.portal.last().header("x-anteport-assertion").unwrap().to_owned());
    }
    assert_eq!(assertions[0], assertions[1]);
    assert_eq!(assertions[1], assertions[2]);
    assert_ne!(assertions[2], assertions[3], "renewed at half of its life");
    assert_ne!(assertions[3], assertions[4]);
    let newest = verified(&world, &assertions[4]).await;
    assert!(newest["exp"].as_i64().unwrap() >= world.clock.now().unix_seconds() + 30);
    world.stop().await;
}

#[tokio::test]
async fn hdr_01_to_05_forged_identity_arrives_nowhere() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let stranger = world.browser();
    let forged: &[(&str, &str)] = &[
        ("X-Auth-User", "admin"),
        ("x_auth_user", "admin"),
        ("X-Auth-Roles", "Administrator"),
        ("XAuthRoles", "Administrator"),
        ("X-Anteport-Assertion", "forged.forged.forged"),
        ("x_anteport_assertion", "forged.forged.forged"),
        ("X-MS-CLIENT-PRINCIPAL", "forged"),
        ("Remote-User", "admin"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Original-URL", "/admin"),
        ("Connection", "close, X-Auth-Email, X-Anteport-Assertion, X-Forwarded-For"),
        ("Authorization", "Basic YWRtaW46YWRtaW4="),
    ];
    for (browser, target, name) in [
        (&member, "/reports", Some("7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57")),
        (&stranger, "/public/x", None),
    ] {
        let headers: Vec<_> = PAGE.iter().chain(forged).copied().collect();
        assert_eq!(browser.send("GET", target, &headers, b"").await.status, 200);
        let received = world.portal.last();
        assert_eq!(received.header("x-auth-user"), name);
        assert_eq!(received.header("x-anteport-assertion").is_some(), name.is_some());
        assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(received.header("x-forwarded-host"), Some(&*world.proxy.to_string()));
        assert_eq!(received.header("x-forwarded-proto"), Some("http"));
        assert_eq!(received.header("host"), Some(&*world.proxy.to_string()));
        let all: String =
            received.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        for trace in ["admin", "Admin", "forged", "evil", "10.0.0.1", "Basic", "_"] {
            let found = all.replace("x-anteport-assertion: ey", "").contains(trace);
            assert!(!found || trace == "_", "{trace} in {all}");
        }
        assert!(received.headers.iter().all(|(name, _)| !name.contains('_')), "{all}");
    }
    world.stop().await;
}

#[tokio::test]
async fn hdr_06_repeated_headers_are_refused() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    for name in ["content-type", "origin", "referer", "authorization", "user-agent"] {
        let answer = member.send("GET", "/reports", &[(name, "a"), (name, "b")], b"").await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.text().contains("header-repeated"));
    }
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn cook_01_our_cookies_never_reach_the_portal_and_its_own_do() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let own = browser.own_cookies();
    own.insert("__Host-anteport-login-00000000abcd".into(), "x".into());
    own.insert("PORTALSESSION".into(), "a=b\"c\"".into());
    own.insert("theme".into(), "dark".into());
    assert_eq!(browser.open("/reports").await.status, 200);
    assert_eq!(world.portal.last().header("cookie"), Some("PORTALSESSION=a=b\"c\"; theme=dark"));
    world.stop().await;
}

#[tokio::test]
async fn cook_03_two_session_cookies_are_nobodys() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let id = browser.own_cookies()["__Host-anteport"].clone();
    browser.own_cookies().clear();
    let double = format!("__Host-anteport={id}; __Host-anteport={id}");
    let answer =
        browser.send("GET", "/reports", &[("cookie", &double), ("accept", "text/html")], b"").await;
    assert_eq!(answer.status, 303);
    world.stop().await;
}

#[tokio::test]
async fn hdr_11_an_answer_loses_what_a_portal_must_not_say() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let answer = browser.open("/cookies").await;
    assert_eq!(answer.all("set-cookie"), ["portal=1; Path=/"]);
    for gone in [
        "x-anteport-assertion",
        "alt-svc",
        "keep-alive",
        "x-secret-hop",
        "x-accel-redirect",
        "www-authenticate",
    ] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    world.stop().await;
}

#[tokio::test]
async fn ui_02_what_a_member_gets_is_at_least_private() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    for (target, expected) in
        [("/page", "no-store"), ("/reports", "private"), ("/public-page", "max-age=600, private")]
    {
        assert_eq!(browser.open(target).await.header("cache-control"), Some(expected), "{target}");
    }
    let mut stranger = world.browser();
    assert_eq!(stranger.open("/assets/app.css").await.header("cache-control"), None);
    world.stop().await;
}

#[tokio::test]
async fn bodies_pass_untouched_both_ways() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    for (method, size) in
        [("POST", 0), ("PUT", 1), ("POST", body.len()), ("DELETE", 0), ("PATCH", 70_000)]
    {
        let answer = member.send(method, "/upload?x=1", PAGE, &body[..size]).await;
        assert_eq!(answer.status, 200);
        let received = world.portal.last();
        assert_eq!(received.line, format!("{method} /upload?x=1 HTTP/1.1"));
        assert_eq!(received.body, body[..size]);
        assert!(received.header("transfer-encoding").is_none(), "a known length stays known");
    }
    let streamed = member.send("GET", "/stream", PAGE, b"").await;
    assert_eq!(streamed.body.len(), 1_000_000);
    assert!(streamed.body.iter().all(|byte| *byte == b'x'));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_to_head_says_how_long_a_get_would_be() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let get = member.send("GET", "/reports", PAGE, b"").await;
    let head = member.send("HEAD", "/reports", PAGE, b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(head.header("content-length"), Some(&*get.body.len().to_string()));
    world.stop().await;
}

#[tokio::test]
async fn hdr_07_trailers_stay_behind() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let answer = browser.open("/trailers").await;
    assert_eq!((answer.text().as_str(), answer.header("x-after")), ("ok", None));
    world.stop().await;
}

#[tokio::test]
async fn connections_to_the_portal_are_used_again() {
    let world = World::start().await;
    let member = world.treasurer().await;
    let first = world.portal.last().connection;
    for _ in 0..20 {
        member.send("GET", "/reports", PAGE, b"").await;
        member.send("POST", "/reports", PAGE, b"body").await;
    }
    let used: std::collections::BTreeSet<_> =
        world.portal.received().iter().map(|request| request.connection).collect();
    assert!(used.len() <= anteport::server::workers() + first, "{used:?}");
    world.stop().await;
}

#[tokio::test]
async fn sess_07_every_answer_goes_to_whoever_asked() {
    let world = World::start().await;
    let treasurer = world.treasurer().await;
    let mut member = world.browser();
    member.sign_in("/", "member@harborclub.example").await;
    let mut asking = tokio::task::JoinSet::new();
    for asker in 0..16 {
        let (name, browser) = match asker % 2 {
            0 => ("treasurer", treasurer.clone()),
            _ => ("member", member.clone()),
        };
        asking.spawn(async move {
            for number in 0..50 {
                let target = format!("/of/{name}/{asker}/{number}");
                let body = vec![b'x'; number * 100];
                let method = if number % 3 == 0 { "POST" } else { "GET" };
                let answer = browser.send(method, &target, PAGE, &body).await;
                assert_eq!(answer.text(), format!("the portal answers {target}"));
            }
        });
    }
    asking.join_all().await;
    let received = world.portal.received();
    let of = |name: &str| {
        let wanted = format!("/of/{name}/");
        let emails = received.iter().filter(|request| request.line.contains(&wanted));
        emails.map(|request| request.header("x-auth-email").unwrap().to_owned()).collect::<Vec<_>>()
    };
    for name in ["treasurer", "member"] {
        let emails = of(name);
        assert_eq!(emails.len(), 400);
        assert!(emails.iter().all(|email| *email == format!("{name}@harborclub.example")));
    }
    world.stop().await;
}

#[tokio::test]
async fn gen_05_requests_of_one_connection_are_judged_alone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let mut member = world.treasurer().await;
    let id = member.own_cookies()["__Host-anteport"].clone();
    let before = world.portal.received().len();
    let mut stream = tokio::net::TcpStream::connect(world.proxy).await.unwrap();
    let with = format!(
        "GET /one HTTP/1.1\r\nHost: {}\r\nCookie: __Host-anteport={id}\r\n\r\n",
        world.proxy
    );
    let without = format!(
        "GET /two HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
        world.proxy
    );
    stream.write_all(format!("{with}{without}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert!(answers.contains("the portal answers /one"), "{answers}");
    assert!(answers.contains("HTTP/1.1 401"), "{answers}");
    let lines: Vec<_> = world.portal.received().into_iter().skip(before).map(|r| r.line).collect();
    assert_eq!(lines, ["GET /one HTTP/1.1"]);
    world.stop().await;
}

#[tokio::test]
async fn sess_03_sessions_end_by_idle_and_by_absolute_time() {
    let plan = Plan { sessions: "{ idle_timeout: 10m, absolute_timeout: 1h }", ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut idle = world.treasurer().await;
    let mut busy = world.treasurer().await;
    for _ in 0..6 {
        world.clock.advance(Duration::from_secs(9 * 60));
        assert_eq!(busy.open("/reports").await.status, 200);
    }
    assert_eq!(idle.open("/reports").await.status, 303);
    world.clock.advance(Duration::from_secs(6 * 60));
    assert_eq!(busy.open("/reports").await.status, 303);
    world.stop().await;
}

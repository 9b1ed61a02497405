//! Revocation by whoever runs it, on the admin listener: who is listed, what ends, and who is not
//! answered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ended::{MEMBER, Portal, TREASURER, cookie, end, member, stream};
use crate::websockets::ask;
use crate::world::browser::{Answer, Browser};
use crate::world::{MORNING, World, assert_refusal};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];
const REVOKED: &str = "anteport_sessions_ended_total{reason=\"revoked\"}";

fn admin(world: &World) -> Browser {
    Browser::new(format!("http://{}", world.admin))
}

pub async fn list(world: &World, query: &str) -> Value {
    let answer = admin(world).send("GET", &format!("/-/sessions{query}"), &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn revoke(world: &World, what: Value) -> Answer {
    let body = what.to_string();
    admin(world).send("POST", "/-/sessions/revoke", JSON, body.as_bytes()).await
}

async fn ends(world: &World, what: Value, count: u64) {
    let answer = revoke(world, what.clone()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ended": count })), "{what}");
}

async fn is_signed_in(browser: &Browser) -> bool {
    let headers = [("accept", "application/json")];
    browser.send("GET", "/reports", &headers, b"").await.status == 200
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["error"], code);
    assert!(!answer.text().contains("canary"), "nothing is reflected");
}

#[tokio::test]
async fn who_is_signed_in_is_listed_without_anything_that_opens_something() {
    let world = World::start().await;
    let mut treasurer = world.treasurer().await;
    let other = member(&world, MEMBER).await;
    let all = list(&world, "").await;
    let sessions = all["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &all["next"]), (2, &Value::Null));
    let me = treasurer.open("/.auth/me").await.json();
    let id = me[0]["user_id"].as_str();
    for session in sessions {
        let fields: Vec<&String> = session.as_object().unwrap().keys().collect();
        let known = [
            "ends",
            "has_refresh_token",
            "last_used",
            "member",
            "portal",
            "provider",
            "session",
            "started",
        ];
        assert_eq!(fields, known);
        assert_eq!(session["portal"], world.proxy.to_string());
        assert_eq!(session["provider"], "corporate");
        assert_eq!(session["started"], MORNING.to_utc_date_time());
        let key = session["member"].as_str().unwrap();
        assert!(
            key.split_once('.').is_some_and(|(tenant, object)| tenant.len() + object.len() == 72)
        );
    }
    assert!(id.is_some(), "{me}");
    let text = all.to_string();
    for browser in [&mut treasurer, &mut other.clone()] {
        assert!(!text.contains(&browser.own_cookies()["__Host-anteport"]), "LOG-01");
    }
    assert!(!text.contains("harborclub"), "no claim: {text}");
    // By member, portal and provider, and by pages.
    let first = sessions[0]["member"].as_str().unwrap();
    let of_one = list(&world, &format!("?member={first}")).await;
    assert_eq!(of_one["sessions"], json!([sessions[0]]));
    assert_eq!(list(&world, "?member=nobody").await, json!({ "sessions": [], "next": null }));
    let portal = format!("?portal={}&provider=corporate", world.proxy);
    assert_eq!(list(&world, &portal).await["sessions"].as_array().unwrap().len(), 2);
    let page = list(&world, "?limit=1").await;
    let next = page["next"].as_str().unwrap();
    let rest = list(&world, &format!("?limit=1&cursor={next}")).await;
    assert_eq!(json!([page["sessions"][0], rest["sessions"][0]]), all["sessions"]);
    world.stop().await;
}

#[tokio::test]
async fn a_session_a_member_a_sid_and_everybody_are_ended() {
    let world = World::start().await;
    let (one, two) = (world.treasurer().await, world.treasurer().await);
    let other = member(&world, MEMBER).await;
    let all = list(&world, "").await;
    let all = all["sessions"].as_array().unwrap();
    let key = |session: &Value| session["member"].clone();
    let twice = all.iter().map(key).find(|k| all.iter().filter(|s| key(s) == *k).count() == 2);
    let treasurer = twice.unwrap();
    let mine = all.iter().find(|session| session["member"] == treasurer).unwrap();
    ends(&world, json!({ "session": mine["session"] }), 1).await;
    ends(&world, json!({ "session": mine["session"] }), 0).await;
    ends(&world, json!({ "session": "canary" }), 0).await;
    assert_eq!([&one, &two].len(), 2);
    assert!(is_signed_in(&one).await != is_signed_in(&two).await, "one of the two");
    ends(&world, json!({ "member": treasurer }), 1).await;
    assert!(!is_signed_in(&one).await && !is_signed_in(&two).await);
    assert!(is_signed_in(&other).await, "nobody else's");
    assert_eq!(world.metric(REVOKED).await, 2.0);
    // A sign-in begun afterwards is one.
    world.clock.advance(Duration::from_secs(1));
    let again = world.treasurer().await;
    assert!(is_signed_in(&again).await);
    let early = MORNING.to_utc_date_time();
    ends(&world, json!({ "everybody": true, "before": early }), 0).await;
    let after = MORNING.after(Duration::from_secs(1)).unix_seconds();
    ends(&world, json!({ "everybody": true, "before": after }), 1).await;
    assert!(!is_signed_in(&other).await && is_signed_in(&again).await);
    let answer = admin(&world).send("POST", "/-/sessions/revoke", FORM, b"everybody=true").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ended": 1 })));
    assert!(!is_signed_in(&again).await);
    assert_eq!(world.metric(REVOKED).await, 4.0);
    assert_eq!(list(&world, "").await["sessions"], json!([]));
    world.clock.advance(Duration::from_secs(1));
    assert!(is_signed_in(&world.treasurer().await).await, "the door is open again");
    world.stop().await;
}

#[tokio::test]
async fn what_came_of_one_session_at_the_provider_is_ended() {
    let world = World::start().await;
    let here = signed_in_there_plainly(&world).await;
    let sid = here.1;
    ends(&world, json!({ "sid": "another", "provider": "corporate" }), 0).await;
    assert!(is_signed_in(&here.0).await);
    ends(&world, json!({ "sid": sid, "provider": "corporate" }), 1).await;
    assert!(!is_signed_in(&here.0).await);
    world.stop().await;
}

/// A member, and the id of their session at the provider.
async fn signed_in_there_plainly(world: &World) -> (Browser, String) {
    let mut browser = world.treasurer().await;
    let me = browser.open("/.auth/me").await.json();
    let claims = me[0]["user_claims"].as_array().unwrap().clone();
    let sid = claims.iter().find(|claim| claim["typ"] == "sid").unwrap();
    (browser, sid["val"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn sess_10_what_is_open_ends_with_a_revocation() {
    let portal = Portal::start().await;
    let world = World::start_with(portal.plan()).await;
    for what in ["session", "member", "everybody"] {
        let (mut mine, mut theirs) =
            (member(&world, TREASURER).await, member(&world, MEMBER).await);
        let (mine, theirs) = (cookie(&mut mine), cookie(&mut theirs));
        let (head, mut socket) = ask(&world, "/mine/ws", &mine, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut events = stream(&world, "/mine/events", &mine).await;
        let mut other = stream(&world, "/theirs/events", &theirs).await;
        let all = list(&world, "").await;
        let all = all["sessions"].as_array().unwrap();
        assert_eq!(all.len(), 2, "{what}");
        let handle = handle_of(&world, TREASURER, all).await;
        let mine = all.iter().find(|session| session["session"] == handle).unwrap();
        let asked = match what {
            "everybody" => json!({ "everybody": true }),
            _ => json!({ what: mine[what] }),
        };
        ends(&world, asked, if what == "everybody" { 2 } else { 1 }).await;
        end(&mut socket).await;
        end(&mut events).await;
        portal.loses("/mine/ws").await;
        portal.loses("/mine/events").await;
        if what != "everybody" {
            ends(&world, json!({ "everybody": true }), 1).await;
        }
        end(&mut other).await;
        world.clock.advance(Duration::from_secs(1));
    }
    world.stop().await;
}

/// The handle of the one whose key is that of this person's account.
async fn handle_of(world: &World, username: &str, all: &[Value]) -> Value {
    let again = member(world, username).await;
    let more = list(world, "").await;
    let more = more["sessions"].as_array().unwrap();
    let new = more.iter().find(|session| !all.contains(session)).unwrap();
    let found = all.iter().find(|session| session["member"] == new["member"]).unwrap();
    ends(world, json!({ "session": new["session"] }), 1).await;
    assert!(!is_signed_in(&again).await);
    found["session"].clone()
}

#[tokio::test]
async fn oidc_14_a_login_under_way_of_whoever_is_meant_becomes_no_session() {
    let world = World::start().await;
    for everybody in [true, false] {
        let mine = member(&world, TREASURER).await;
        let key = list(&world, "").await["sessions"][0]["member"].clone();
        let mut under_way = world.browser();
        let callback = under_way.sign_in_to_callback("/reports", TREASURER).await;
        world.clock.advance(Duration::from_secs(1));
        let what = match everybody {
            true => json!({ "everybody": true }),
            false => json!({ "member": key }),
        };
        ends(&world, what, 1).await;
        assert!(!is_signed_in(&mine).await);
        world.clock.advance(Duration::from_secs(1));
        let answer = under_way.open_url(&callback).await;
        assert_refusal(&answer, 400, "login-signed-out");
        assert_eq!(list(&world, "").await["sessions"], json!([]));
    }
    world.stop().await;
}

#[tokio::test]
async fn cfg_03_no_page_ends_a_session() {
    let world = World::start().await;
    let mine = world.treasurer().await;
    let everybody = br#"{"everybody":true}"#;
    let form = b"everybody=true";
    let json = JSON[0];
    let urlencoded = FORM[0];
    let admin = admin(&world);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16);
    let cases: &[Case<'_>] = &[
        (&[json, ("origin", "https://evil.example")], everybody, 403),
        (&[json, ("origin", "null")], everybody, 403),
        (&[json, ("sec-fetch-site", "cross-site")], everybody, 403),
        (&[json, ("sec-fetch-site", "same-site")], everybody, 403),
        (&[urlencoded, ("accept", "text/html,*/*")], form, 403),
        (&[urlencoded, ("referer", "http://127.0.0.1/")], form, 403),
        (&[urlencoded, ("upgrade-insecure-requests", "1")], form, 403),
        (&[urlencoded, ("cookie", "a=b")], form, 403),
        (&[urlencoded, ("sec-fetch-site", "none")], form, 403),
        (&[("content-type", "text/plain")], everybody, 415),
        (&[("content-type", "multipart/form-data; boundary=x")], form, 415),
        (&[json, urlencoded], everybody, 415),
        (&[], everybody, 415),
    ];
    for (headers, body, status) in cases {
        let answer = admin.send("POST", "/-/sessions/revoke", headers, body).await;
        assert_eq!(answer.status, *status, "{headers:?} {}", answer.text());
    }
    // A name that somebody points here is not answered, whatever it asks for.
    let named = Browser::new(format!("http://localhost:{}", world.admin.port()));
    let renamed = [("host", "rebound.example"), json];
    let answer = named.send("POST", "/-/sessions/revoke", &renamed, everybody).await;
    assert_eq!(answer.status, 421);
    assert!(is_signed_in(&mine).await);
    assert_eq!(world.metric(REVOKED).await, 0.0);
    world.stop().await;
}

#[tokio::test]
async fn gen_07_what_is_not_clear_ends_nothing_and_says_why() {
    let world = World::start().await;
    let mine = world.treasurer().await;
    let tomorrow = MORNING.after(Duration::from_secs(86_400)).to_utc_date_time();
    let long = format!("{{\"member\":\"{}\"}}", "x".repeat(5000));
    for (body, status, code) in [
        ("", 400, "unreadable"),
        ("null", 400, "unreadable"),
        ("[\"everybody\"]", 400, "unreadable"),
        ("{\"everybody\":true", 400, "unreadable"),
        ("{\"everybody\":null}", 400, "unreadable"),
        ("{\"everybody\":false}", 400, "unreadable"),
        ("{\"session\":[\"canary\"]}", 400, "unreadable"),
        ("{\"session\":1.5}", 400, "unreadable"),
        ("{}", 400, "unclear"),
        ("{\"everybody\":\"canary\"}", 400, "unclear"),
        ("{\"session\":\"canary\",\"member\":\"canary\"}", 400, "unclear"),
        ("{\"everybody\":true,\"member\":\"canary\"}", 400, "unclear"),
        ("{\"sid\":\"canary\"}", 400, "unclear"),
        ("{\"provider\":\"corporate\"}", 400, "unclear"),
        ("{\"member\":\"canary\",\"provider\":\"corporate\"}", 400, "unclear"),
        ("{\"member\":\"canary\",\"before\":1}", 400, "unclear"),
        ("{\"sid\":\"canary\",\"provider\":\"canary\"}", 400, "provider-unknown"),
        ("{\"session\":\"\"}", 400, "parameter-empty"),
        ("{\"sesion\":\"canary\"}", 400, "parameter-unknown"),
        ("{\"session\":\"a\",\"session\":\"b\"}", 400, "parameter-repeated"),
        ("{\"everybody\":true,\"before\":\"yesterday\"}", 400, "moment"),
        ("{\"everybody\":true,\"before\":\"2027-01-15\"}", 400, "moment"),
        ("{\"everybody\":true,\"before\":-1}", 400, "moment"),
        ("{\"everybody\":true,\"before\":9999999999999999}", 400, "moment"),
        (&format!("{{\"everybody\":true,\"before\":\"{tomorrow}\"}}"), 400, "moment-in-future"),
        (&long, 413, "body-too-large"),
    ] {
        let answer = admin(&world).send("POST", "/-/sessions/revoke", JSON, body.as_bytes()).await;
        println!("{body:.80}");
        refused(&answer, status, code);
    }
    let answer = admin(&world).send("POST", "/-/sessions/revoke", FORM, b"member=%ff").await;
    refused(&answer, 400, "unreadable");
    let answer = admin(&world).send("POST", "/-/sessions/revoke", FORM, b"a=1&a=2").await;
    refused(&answer, 400, "parameter-repeated");
    for (query, code) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=+5", "limit"),
        ("limit=", "parameter-empty"),
        ("limit=1&limit=2", "parameter-repeated"),
        ("members=canary", "parameter-unknown"),
        ("member=%ff", "unreadable"),
        ("portal=canary.example", "portal-unknown"),
        ("provider=canary", "provider-unknown"),
        ("cursor=canary", "cursor"),
        ("cursor=t-0-00", "cursor"),
        ("cursor=n-0-0-0", "cursor"),
        ("cursor=t-%2B0-", "cursor"),
    ] {
        let target = format!("/-/sessions?{query}");
        refused(&admin(&world).send("GET", &target, &[], b"").await, 400, code);
    }
    for (method, target, allowed) in [
        ("POST", "/-/sessions", "GET, HEAD"),
        ("GET", "/-/sessions/revoke", "POST"),
        ("DELETE", "/-/sessions/revoke", "POST"),
    ] {
        let answer = admin(&world).send(method, target, JSON, b"").await;
        refused(&answer, 405, "method");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
    assert_eq!(admin(&world).send("GET", "/-/sessions/", &[], b"").await.status, 404);
    assert!(is_signed_in(&mine).await);
    world.stop().await;
}

#[tokio::test]
async fn visitors_find_none_of_it() {
    let world = World::start().await;
    let mine = world.treasurer().await;
    let answer = mine.send("POST", "/-/sessions/revoke", JSON, br#"{"everybody":true}"#).await;
    assert_eq!(answer.status, 200, "it is the portal's");
    assert!(is_signed_in(&mine).await);
    world.stop().await;
}

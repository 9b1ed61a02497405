//! The provider's tokens at a portal that asked for them (`identity.tokens`), and nowhere else.

use std::time::Duration;

use anteport::demo::microsoft::TokenAnswer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::kinds::B2C;
use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{MORNING, Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";
const ACCESS: &str = "x-auth-access-token";
const ID: &str = "x-auth-id-token";

const BOTH: &str = r#"
    mode: azure_only
    sign_in: { test: true }
    local_login: {}
    routes:
      - { path: "/public/**", access: public }
      - { path: "/plain/**", access: signed_in, identity: [X-Auth-User] }
      - { path: "/api/**", access: signed_in, identity: [x-auth-access-token] }
      - { path: "/asserted/**", access: signed_in, identity: assertion }
      - { path: "/none/**", access: signed_in, identity: none }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid }
      tokens: { access_token: X-Auth-Access-Token, id_token: X-Auth-Id-Token, portal_acts_as_member: true }
"#;

/// The portal of the demo beside it, which asks for none.
const SECOND: &str = r#"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM", response_timeout: 1s }
    auth_path: /own
    local_login: {}
    identity: { headers: { X-Auth-User: oid } }
"#;

/// Asked about again only when a token ends, and signed in for long.
const SELDOM: &str =
    "{ store: memory, idle_timeout: 24h, absolute_timeout: 24h, refresh_interval: 20h }";

fn plan() -> Plan {
    // Cookies have no room for tokens, so these are not tried with every store.
    Plan { portal: BOTH, sessions: "{ store: memory }", ..Plan::default() }
}

/// What the portal gets of the two tokens with this request.
async fn told(
    world: &World,
    browser: &mut Browser,
    path: &str,
) -> (Option<String>, Option<String>) {
    let answer = browser.open(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last = world.portal.last();
    let header = |name: &str| last.header(name).map(str::to_owned);
    (header(ACCESS), header(ID))
}

fn claims(id_token: &str) -> Value {
    let claims = id_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

async fn refresh(world: &World, browser: &Browser) -> Answer {
    let origin = format!("http://{}", world.proxy);
    let own = [("origin", origin.as_str()), ("accept", "application/json")];
    browser.send("POST", "/.auth/refresh", &own, b"").await
}

async fn me(browser: &Browser) -> String {
    let answer = browser.send("GET", "/.auth/me", PAGE, b"").await;
    assert_eq!(answer.status, 200);
    answer.text()
}

#[tokio::test]
async fn a_portal_that_asks_gets_both_tokens_and_nobody_else_sees_them() {
    let world = World::start_with(plan()).await;
    let mut ada = world.treasurer().await;
    let (access, id) = told(&world, &mut ada, "/reports").await;
    let (access, id) = (access.unwrap(), id.unwrap());
    assert!(access.starts_with("eyJ0."), "as it came, and never read: {access}");
    assert_eq!(claims(&id)["oid"], "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57");
    let me = me(&ada).await;
    assert!(me.contains(r#""passed_to_portal":["access_token","id_token"]"#), "{me}");
    let shown = ada.clone().follow("/.auth/test/corporate").await.text();
    assert!(shown.contains("a token of the provider") && shown.contains(ACCESS), "{shown}");
    let page = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    for text in [&me, &shown, &page, &world.metrics().await] {
        assert!(!text.contains(&access) && !text.contains(&id) && !text.contains("eyJ"), "{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_portal_that_does_not_ask_gets_none_and_neither_does_one_beside_another_that_does() {
    let world = World::start().await;
    let mut ada = world.treasurer().await;
    assert_eq!(told(&world, &mut ada, "/reports").await, (None, None));
    assert!(!me(&ada).await.contains("passed_to_portal"));
    world.stop().await;
    let world = World::start_with(Plan { more_portals: SECOND, ..plan() }).await;
    let mut there = Browser::new(format!("http://localhost:{}", world.proxy.port()));
    assert_eq!(there.sign_in("/", TREASURER).await.status, 200);
    assert_eq!(there.open("/reports").await.status, 200);
    let told = world.second.last();
    assert!(told.header("x-auth-user").is_some());
    assert!(!told.headers.iter().any(|(_, value)| value.contains("eyJ0.")), "{told:?}");
    assert_eq!((told.header(ACCESS), told.header(ID)), (None, None));
    world.stop().await;
}

#[tokio::test]
async fn hdr_02_03_no_spelling_of_their_names_comes_from_a_visitor() {
    let world = World::start_with(plan()).await;
    let ada = world.treasurer().await;
    let forged = [
        PAGE,
        &[
            ("x-auth-access-token", "forged"),
            ("X_Auth_Access_Token", "forged"),
            ("XAuth-AccessToken", "forged"),
            ("X-AUTH-ID-TOKEN", "forged"),
            ("x-auth-id_token", "forged"),
        ],
    ]
    .concat();
    let stranger = world.browser();
    for (browser, path, is_told) in [
        (&stranger, "/public/x", false),
        (&ada, "/public/x", true),
        (&ada, "/none/x", false),
        (&ada, "/x", true),
    ] {
        assert_eq!(browser.send("GET", path, &forged, b"").await.status, 200);
        let last = world.portal.last();
        assert!(!last.headers.iter().any(|(_, value)| value == "forged"), "{last:?}");
        assert_eq!(last.header(ACCESS).is_some(), is_told, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn hdr_11_a_portal_that_reflects_them_shows_them_to_no_script() {
    let world = World::start_with(plan()).await;
    let mut ada = world.treasurer().await;
    let lines = "X-Auth-Access-Token: reflected\r\nx-auth-id-token: reflected\r\nX-Kept: yes\r\n";
    let hex: String = lines.bytes().map(|byte| format!("{byte:02x}")).collect();
    let answer = ada.open(&format!("/say?{hex}")).await;
    assert_eq!((answer.status, answer.header("x-kept")), (200, Some("yes")));
    assert_eq!((answer.header(ACCESS), answer.header(ID)), (None, None));
    world.stop().await;
}

#[tokio::test]
async fn b2c_gives_no_access_token_without_a_resource() {
    let world = World::start_with(Plan { provider: B2C, ..plan() }).await;
    let mut ines = world.browser();
    assert_eq!(ines.sign_in("/", "ines@mail.example").await.status, 200);
    let (access, id) = told(&world, &mut ines, "/x").await;
    assert!(access.is_none() && id.is_some());
    world.stop().await;
}

#[tokio::test]
async fn a_route_can_leave_them_out() {
    let world = World::start_with(plan()).await;
    let mut ada = world.treasurer().await;
    for (path, has_access, has_id) in [
        ("/plain/x", false, false),
        ("/api/x", true, false),
        ("/asserted/x", false, false),
        ("/none/x", false, false),
        ("/x", true, true),
    ] {
        let (access, id) = told(&world, &mut ada, path).await;
        assert_eq!((access.is_some(), id.is_some()), (has_access, has_id), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_refresh_brings_new_tokens_and_keeps_what_does_not_come_again() {
    let world = World::start_with(plan()).await;
    let mut ada = world.treasurer().await;
    let (access, id) = told(&world, &mut ada, "/x").await;
    world.clock.advance(Duration::from_secs(5));
    let answer = refresh(&world, &ada).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("passed_to_portal") && !answer.text().contains("eyJ"));
    let (newer, newer_id) = told(&world, &mut ada, "/x").await;
    assert!(newer.is_some() && newer != access && newer_id.is_some() && newer_id != id);
    world.clock.advance(Duration::from_secs(5));
    world.microsoft.next_token_answer(TokenAnswer::NoIdToken);
    assert_eq!(refresh(&world, &ada).await.status, 200);
    let (third, same_id) = told(&world, &mut ada, "/x").await;
    assert!(third.is_some() && third != newer && same_id == newer_id);
    world.clock.advance(Duration::from_secs(5));
    world.microsoft.next_token_answer(TokenAnswer::NoAccessToken);
    assert_eq!(refresh(&world, &ada).await.status, 200);
    let (same, fourth_id) = told(&world, &mut ada, "/x").await;
    assert!(same == third && fourth_id != newer_id);
    world.stop().await;
}

#[tokio::test]
async fn no_token_is_sent_that_has_ended() {
    let mut world = World::start_with(Plan { sessions: SELDOM, ..plan() }).await;
    let mut ada = world.treasurer().await;
    let (_, id) = told(&world, &mut ada, "/x").await;
    let ends = claims(&id.unwrap())["exp"].as_i64().unwrap() - MORNING.unix_seconds();
    let ends = u64::try_from(ends).unwrap();
    assert!(ends < 4211, "{ends}");
    world.microsoft_goes_down().await;
    let mut passed = 0;
    for (at, has_access, has_id) in [
        (ends - 1, true, true),
        (ends, true, false),
        (4210, true, false),
        (4211, false, false),
        (9000, false, false),
    ] {
        world.clock.advance(Duration::from_secs(at - passed));
        passed = at;
        let (access, id) = told(&world, &mut ada, "/x").await;
        assert_eq!((access.is_some(), id.is_some()), (has_access, has_id), "{at}");
    }
    assert!(!me(&ada).await.contains("passed_to_portal"));
    // And back with the provider.
    world.microsoft_comes_up().await;
    world.clock.advance(Duration::from_secs(60));
    let (access, id) = told(&world, &mut ada, "/x").await;
    assert!(access.is_some() && id.is_some());
    world.stop().await;
}

#[tokio::test]
async fn the_next_token_is_there_before_the_last_one_ends() {
    let world = World::start_with(Plan { sessions: SELDOM, ..plan() }).await;
    let mut ada = world.treasurer().await;
    let mut known = told(&world, &mut ada, "/x").await.0;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(4000));
        let access = told(&world, &mut ada, "/x").await.0;
        assert!(access.is_some() && access != known);
        known = access;
    }
    world.stop().await;
}

#[tokio::test]
async fn without_a_word_on_how_long_it_lasts_no_access_token_is_sent() {
    let world = World::start_with(plan()).await;
    world.microsoft.next_token_answer(TokenAnswer::NoAccessToken);
    let mut ada = world.treasurer().await;
    let (access, id) = told(&world, &mut ada, "/x").await;
    assert!(access.is_none() && id.is_some());
    assert!(me(&ada).await.contains(r#""passed_to_portal":["id_token"]"#));
    world.microsoft.next_token_answer(TokenAnswer::NoAccessToken);
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    assert!(shown.contains("no token: the provider gave none"), "{shown}");
    world.stop().await;
}

#[tokio::test]
async fn hdr_10_a_token_that_is_too_large_refuses_the_login_and_ends_a_session() {
    let large = json!({ "hobby": "n".repeat(9 * 1024) }).as_object().unwrap().clone();
    let world = World::start_with(plan()).await;
    world.microsoft.next_claims(large.clone());
    let landed = world.browser().sign_in("/x", TREASURER).await;
    assert_refusal(&landed, 403, "identity-token-too-large");
    assert!(world.portal.received().is_empty());
    let less = json!({ "hobby": "n".repeat(4 * 1024) }).as_object().unwrap().clone();
    world.microsoft.next_claims(less);
    let mut ada = world.treasurer().await;
    let id = told(&world, &mut ada, "/x").await.1.unwrap();
    assert!(id.len() > 5 * 1024, "on top of what the other headers have: {}", id.len());
    world.clock.advance(Duration::from_secs(15 * 60));
    world.microsoft.next_claims(large.clone());
    let requests = world.portal.received().len();
    assert_eq!(ada.open("/x").await.status, 303, "what cannot be told ends the session");
    assert_eq!(world.portal.received().len(), requests);
    world.stop().await;
    // Of a portal that does not get it, it is nobody's concern.
    let world = World::start().await;
    world.microsoft.next_claims(large);
    assert_eq!(world.browser().sign_in("/x", TREASURER).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn env_03_a_signature_covers_them_where_they_are_sent() {
    const SIGNED: &str = r#"
    mode: azure_only
    local_login: {}
    routes:
      - { path: "/plain/**", access: signed_in, identity: [X-Auth-User] }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid }
      signature: { algorithm: ed25519 }
      tokens: { access_token: X-Auth-Access-Token, portal_acts_as_member: true }
"#;
    let world = World::start_with(Plan { portal: SIGNED, ..plan() }).await;
    let mut ada = world.treasurer().await;
    for (path, is_sent) in [("/x", true), ("/plain/x", false)] {
        let (access, _) = told(&world, &mut ada, path).await;
        assert_eq!(access.is_some(), is_sent, "{path}");
        let last = world.portal.last();
        let input = last.header("signature-input").unwrap();
        assert_eq!(input.contains("\"x-auth-access-token\""), is_sent, "{input}");
    }
    world.stop().await;
}

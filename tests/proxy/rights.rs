//! What routes ask of members besides a sign-in, end to end.

use std::time::Duration;

use anteport::demo::microsoft::Fault;
use serde_json::json;

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";
const MEMBER: &str = "member@harborclub.example";

const RIGHTS: &str = r#"
    local_login: {}
    routes:
      - path: "/treasury/**"
        access: signed_in
        requires: { roles: [Treasurer, Board], hint: "Ask <the board>." }
      - { path: "/guests/**", access: signed_in, requires: { account: guest } }
      - { path: "/members/**", access: signed_in, requires: { account: member } }
      - path: "/abroad/**"
        access: signed_in
        requires: { tenants: [91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128] }
      - { path: "/ours/**", access: signed_in, requires: { claims: { ver: [1.0, 2.0] } } }
      - { path: "/bank/**", access: signed_in, requires: { max_age: 15m } }
      - { path: "/vault/**", access: signed_in, requires: { authentication_context: c1 } }
      - { path: "/**", access: signed_in }
    identity: { headers: { X-Auth-User: oid } }
"#;

async fn world() -> World {
    World::start_with(Plan { portal: RIGHTS, ..Plan::default() }).await
}

#[tokio::test]
async fn members_get_where_their_rights_lead_and_are_told_what_is_missing() {
    let world = world().await;
    let mut treasurer = world.treasurer().await;
    let mut member = world.browser();
    member.sign_in("/", MEMBER).await;
    for path in ["/treasury", "/treasury/2026", "/members/x", "/ours/x"] {
        assert_eq!(treasurer.open(path).await.status, 200, "{path}");
    }
    let received = world.portal.received().len();
    let answer = member.open("/treasury/2026").await;
    assert_refusal(&answer, 403, "role-missing");
    // What the operator wrote for them, and neither the roles nor anything of the request.
    let text = answer.text();
    assert!(text.contains("Ask &#60;the board&#62;."), "{text}");
    assert!(!text.contains("Treasurer") && !text.contains("2026"), "{text}");
    // Somebody else may have it.
    let link = text.split("href=\"").find(|rest| rest.contains("Use another account")).unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&");
    let asked = member.open(&link).await.location();
    assert!(asked.query().unwrap().contains("prompt=select_account"), "{link}: {asked}");
    for (path, code) in [
        ("/TREASURY/2026", "role-missing"),
        ("/guests/x", "account-not-admitted"),
        ("/abroad/x", "tenant-not-admitted"),
    ] {
        assert_refusal(&member.open(path).await, 403, code);
    }
    // A background call and a form are refused alike, in the form that is read there.
    let api = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    let answer = member.send("POST", "/treasury/2026", &api, b"").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("role-missing")));
    assert_eq!(answer.json()["hint"].as_str(), Some("Ask <the board>."));
    assert_eq!(world.portal.received().len(), received, "the portal sees none of it");
    let series = format!(
        "anteport_decisions_total{{portal=\"{}\",decision=\"refuse\",reason=\"role-missing\"}}",
        world.proxy
    );
    assert_eq!(world.metric(&series).await, 3.0);
    // Nothing of it ends the session.
    assert_eq!(member.open("/").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn az_03_a_guest_is_a_guest_to_the_rules_too() {
    let provider = r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    guests: true
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#;
    let plan = Plan { portal: RIGHTS, provider, ..Plan::default() };
    let world = World::start_with(plan).await;
    world.microsoft.next_token(Fault::Guest);
    let mut guest = world.browser();
    let landed = guest.sign_in("/guests/x", TREASURER).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert_refusal(&guest.open("/members/x").await, 403, "account-not-admitted");
    world.stop().await;
}

/// Whether the page at the end of the redirects is the emulated Microsoft's form.
fn asks_for_a_password(text: &str) -> bool {
    text.contains("name=\"password\"")
}

#[tokio::test]
async fn a_sign_in_that_is_too_long_ago_is_asked_for_again_and_leads_back() {
    let world = world().await;
    let mut browser = world.treasurer().await;
    assert_eq!(browser.open("/bank/x").await.status, 200);
    let before = browser.own_cookies().clone();
    world.clock.advance(Duration::from_secs(901));
    // The rest of the portal goes on.
    assert_eq!(browser.open("/").await.status, 200);
    let api = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    let answer = browser.send("GET", "/bank/x", &api, b"").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("sign-in-too-old")));

    // Somebody who is signed in at Microsoft types the password all the same.
    let to_provider = browser.open("/bank/x?month=3").await;
    let location = to_provider.location();
    let has =
        |name: &str, value: &str| location.query_pairs().any(|(n, v)| n == name && v == value);
    assert!(has("prompt", "login") && has("max_age", "900"), "{location}");
    assert!(location.query_pairs().any(|(name, _)| name == "login_hint"), "{location}");
    let form = browser.follow_from(to_provider).await;
    assert!(asks_for_a_password(&form.text()), "{}", form.text());
    let back = browser.submit(&form, TREASURER, "demo").await;
    let landed = browser.follow_from(back).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/bank/x"), "{}", landed.text());
    assert_eq!(landed.url.query(), Some("month=3"));
    // SESS-01: under a new id, and the old one is worth nothing.
    assert_ne!(before.get("__Host-anteport"), browser.own_cookies().get("__Host-anteport"));
    let mut old = world.browser();
    *old.own_cookies() = before;
    assert_eq!(old.open("/").await.status, 303);
    world.stop().await;
}

#[tokio::test]
async fn a_provider_that_says_it_was_long_ago_ends_in_a_page_and_not_in_a_circle() {
    let world = world().await;
    let mut browser = world.treasurer().await;
    world.clock.advance(Duration::from_secs(901));
    let form = browser.follow("/bank/x").await;
    world.microsoft.next_token(Fault::AuthenticatedLongAgo);
    let back = browser.submit(&form, TREASURER, "demo").await;
    let landed = browser.follow_from(back).await;
    assert_refusal(&landed, 403, "token-auth-time");
    // The session is as it was.
    assert_eq!(browser.open("/").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn az_05_a_session_that_does_not_say_when_its_member_signed_in_is_too_old_for_such_a_page() {
    let world = world().await;
    let no_time = || json!({ "auth_time": null }).as_object().unwrap().clone();
    world.microsoft.next_claims(no_time());
    let mut browser = world.treasurer().await;
    assert_eq!(browser.open("/").await.status, 200, "other pages do not ask");
    // It began a moment ago, and by single sign-on for all that is known.
    let received = world.portal.received().len();
    let form = browser.follow("/bank/x").await;
    assert!(asks_for_a_password(&form.text()), "{}", form.text());
    world.microsoft.next_claims(no_time());
    let back = browser.submit(&form, TREASURER, "demo").await;
    let landed = browser.follow_from(back).await;
    assert_refusal(&landed, 403, "token-auth-time-missing");
    assert_eq!(world.portal.received().len(), received);
    assert_eq!(browser.open("/").await.status, 200, "the session is as it was");
    // A provider that says it when it is asked leads there.
    let form = browser.follow("/bank/x").await;
    let back = browser.submit(&form, TREASURER, "demo").await;
    let landed = browser.follow_from(back).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/bank/x"), "{}", landed.text());
    world.stop().await;
}

#[tokio::test]
async fn sess_01_a_step_up_returns_to_the_page_under_a_new_session_id() {
    let world = world().await;
    let mut browser = world.treasurer().await;
    let before = browser.own_cookies().get("__Host-anteport").cloned();
    let api = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    let answer = browser.send("GET", "/vault/x", &api, b"").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("step-up-required")));

    let to_provider = browser.open("/vault/gold?bar=7").await;
    let location = to_provider.location();
    let claims = location.query_pairs().find(|(name, _)| name == "claims").unwrap().1;
    let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(claims, json!({"id_token": {"acrs": {"essential": true, "value": "c1"}}}));
    let landed = browser.follow_from(to_provider).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/vault/gold"), "{}", landed.text());
    assert_eq!(landed.url.query(), Some("bar=7"));
    assert_ne!(before, browser.own_cookies().get("__Host-anteport").cloned());
    // From here on it is there.
    assert_eq!(browser.open("/vault/silver").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_step_up_that_is_refused_or_done_by_another_is_a_page_and_not_a_circle() {
    let world = world().await;
    world.microsoft.refuse_context("c1");
    let mut browser = world.treasurer().await;
    let landed = browser.follow("/vault/gold").await;
    assert_refusal(&landed, 403, "token-context");
    assert_eq!(browser.open("/").await.status, 200, "the session is as it was");
    let received = world.portal.received().len();

    // Somebody else is signed in at Microsoft by now.
    world.microsoft.end_all_sessions();
    let form = browser.follow("/bank/x").await;
    assert!(!asks_for_a_password(&form.text()));
    world.clock.advance(Duration::from_secs(901));
    let landed = browser.sign_in("/bank/x", MEMBER).await;
    assert_refusal(&landed, 400, "login-other-member");
    assert!(world.portal.received().len() <= received + 1);
    let answer = browser.send("GET", "/", PAGE, b"").await;
    assert_eq!(answer.status, 303, "whoever sits there now is not who was signed in");
    world.stop().await;
}

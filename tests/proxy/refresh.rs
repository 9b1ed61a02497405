//! Asking the provider again about a member while the session goes on (OIDC-13, OIDC-14, SESS-06).

use std::time::Duration;

use anteport::demo::microsoft::{TokenAnswer, Trouble};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::browser::{Browser, PAGE};
use crate::world::{ONE_TENANT, Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";
const QUARTER: Duration = Duration::from_secs(15 * 60);

fn says(world: &World, claims: &Value) {
    world.microsoft.next_claims(claims.as_object().unwrap().clone());
}

/// A world in which the treasurer is signed in and a quarter of an hour has passed.
async fn later() -> (World, Browser) {
    let world = World::start().await;
    let browser = world.treasurer().await;
    world.clock.advance(QUARTER);
    (world, browser)
}

async fn roles(world: &World, browser: &mut Browser) -> Option<String> {
    let answer = browser.open("/reports").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.portal.last().header("x-auth-roles").map(str::to_owned)
}

/// Which session the portal was told last (`sid` of the assertion).
fn told_session(world: &World) -> Value {
    let last = world.portal.last();
    let claims = last.header("x-anteport-assertion").unwrap().split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sid"].clone()
}

fn token_calls(world: &World) -> u64 {
    world.microsoft.counts().token
}

#[tokio::test]
async fn sess_06_a_lost_role_counts_after_a_quarter_of_an_hour_and_in_that_very_request() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    says(&world, &json!({ "roles": ["Member"] }));
    world.clock.advance(QUARTER - Duration::from_secs(1));
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member,Treasurer"));
    assert_eq!(token_calls(&world), 1);
    let session = told_session(&world);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member"));
    assert_eq!(token_calls(&world), 2);
    assert_eq!(told_session(&world), session, "the same session");
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member"));
    assert_eq!(token_calls(&world), 2, "for another quarter");
    let refreshed = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ok\"}";
    assert_eq!(world.metric(refreshed).await, 1.0);
    // The next time the newer refresh token is used, and what it brings counts alone.
    says(&world, &json!({ "roles": null }));
    world.clock.advance(QUARTER);
    assert_eq!(roles(&world, &mut browser).await, None);
    world.stop().await;
}

#[tokio::test]
async fn oidc_13_fifty_requests_at_once_ask_once_and_all_get_the_answer() {
    let (world, browser) = later().await;
    says(&world, &json!({ "roles": ["Member"] }));
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let browser = browser.clone();
        asking.spawn(async move { browser.send("GET", "/reports", PAGE, b"").await.status });
    }
    let before = world.portal.received().len();
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(token_calls(&world), 2);
    let received = world.portal.received();
    let told: Vec<_> =
        received.iter().skip(before).map(|seen| seen.header("x-auth-roles")).collect();
    assert!(told.iter().all(|roles| *roles == Some("Member")), "{told:?}");
    world.stop().await;
}

#[tokio::test]
async fn oidc_13_a_disabled_member_is_signed_out() {
    let (world, mut browser) = later().await;
    world.microsoft.set_disabled(TREASURER, true).unwrap();
    let requests = world.portal.received().len();
    let answer = browser.open("/reports").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(world.portal.received().len(), requests);
    assert_eq!(world.metric("anteport_sessions_ended_total{reason=\"revoked\"}").await, 1.0);
    let ended = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ended\"}";
    assert_eq!(world.metric(ended).await, 1.0);
    world.microsoft.set_disabled(TREASURER, false).unwrap();
    assert_eq!(browser.open("/reports").await.status, 303, "and stays so");
    world.stop().await;
}

#[tokio::test]
async fn oidc_13_a_provider_that_is_out_of_order_signs_nobody_out() {
    for answer in [
        TokenAnswer::Trouble(Trouble::ServerError),
        TokenAnswer::Trouble(Trouble::Reset),
        TokenAnswer::Trouble(Trouble::Html),
        TokenAnswer::Trouble(Trouble::Truncated),
        TokenAnswer::Trouble(Trouble::Throttled(3)),
        TokenAnswer::SecretExpired,
    ] {
        let (world, mut browser) = later().await;
        world.microsoft.next_token_answer(answer);
        for _ in 0..3 {
            let roles = roles(&world, &mut browser).await;
            assert_eq!(roles.as_deref(), Some("Member,Treasurer"), "{answer:?}");
        }
        assert_eq!(token_calls(&world), 2, "{answer:?}: nobody asks for half a minute");
        let failed = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"failed\"}";
        assert_eq!(world.metric(failed).await, 1.0);
        says(&world, &json!({ "roles": ["Member"] }));
        world.clock.advance(Duration::from_secs(30));
        assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member"), "{answer:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn oidc_13_a_provider_that_is_away_signs_nobody_out_before_the_sessions_own_end() {
    let (mut world, mut browser) = later().await;
    world.microsoft_goes_down().await;
    for _ in 0..5 {
        assert_eq!(browser.open("/reports").await.status, 200);
        world.clock.advance(QUARTER);
    }
    world.stop().await;
}

#[tokio::test]
async fn oidc_13_a_word_about_somebody_else_ends_the_session() {
    let other = "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70128";
    for claims in [
        json!({ "oid": other }),
        json!({ "tid": other }),
        json!({ "iss": "https://login.example/x/v2.0" }),
        json!({ "aud": other }),
        json!({ "nonce": "of another login" }),
        json!({ "sub": null }),
    ] {
        let (world, mut browser) = later().await;
        says(&world, &claims);
        let requests = world.portal.received().len();
        assert_eq!(browser.open("/reports").await.status, 303, "{claims}");
        assert_eq!(world.portal.received().len(), requests, "{claims}");
        assert_eq!(world.metric("anteport_sessions_ended_total{reason=\"revoked\"}").await, 1.0);
        world.stop().await;
    }
}

#[tokio::test]
async fn oidc_13_a_token_that_is_not_believed_changes_nothing() {
    let (world, mut browser) = later().await;
    says(&world, &json!({ "roles": ["Admin"], "exp": 1 }));
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member,Treasurer"));
    world.stop().await;
}

#[tokio::test]
async fn oidc_14_a_sign_out_wins_over_a_refresh_under_way() {
    let (world, browser) = later().await;
    world.microsoft.next_token_answer(TokenAnswer::Trouble(Trouble::Slow(Duration::from_secs(1))));
    let other_tab = browser.clone();
    let refreshing =
        tokio::spawn(async move { other_tab.send("GET", "/reports", PAGE, b"").await });
    while token_calls(&world) < 2 {
        tokio::task::yield_now().await;
    }
    let origin = format!("http://{}", world.proxy);
    let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
    let left = browser.send("POST", "/.auth/logout", &headers, b"").await;
    assert_eq!(left.status, 303, "{}", left.text());
    let requests = world.portal.received().len();
    assert_eq!(refreshing.await.unwrap().status, 303, "whoever waited is nobody now");
    assert_eq!(browser.send("GET", "/reports", PAGE, b"").await.status, 303);
    assert_eq!(world.portal.received().len(), requests);
    world.stop().await;
}

#[tokio::test]
async fn oidc_13_a_visitor_who_leaves_does_not_lose_the_refresh() {
    let (world, browser) = later().await;
    world
        .microsoft
        .next_token_answer(TokenAnswer::Trouble(Trouble::Slow(Duration::from_millis(300))));
    says(&world, &json!({ "roles": ["Member"] }));
    let leaver = browser.clone();
    let leaving = tokio::spawn(async move { leaver.send("GET", "/reports", PAGE, b"").await });
    while token_calls(&world) < 2 {
        tokio::task::yield_now().await;
    }
    leaving.abort();
    let mut browser = browser;
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member"));
    assert_eq!(token_calls(&world), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_member_is_asked_about_again_when_somebody_wants_it() {
    let world = World::start().await;
    let browser = world.treasurer().await;
    let origin = format!("http://{}", world.proxy);
    let own = [("origin", origin.as_str()), ("accept", "application/json")];
    let path = "/.auth/refresh";
    says(&world, &json!({ "roles": ["Auditor"] }));
    let soon = browser.send("POST", path, &own, b"").await;
    assert_eq!((soon.status, token_calls(&world)), (200, 1), "it was said a moment ago");
    world.clock.advance(Duration::from_secs(5));
    let answer = browser.send("POST", path, &own, b"").await;
    assert_eq!((answer.status, token_calls(&world)), (200, 2));
    assert!(answer.text().contains("Auditor"), "{}", answer.text());
    assert!(!answer.text().contains("token\":"), "{}", answer.text());
    assert_refusal(&browser.send("GET", path, &own, b"").await, 405, "endpoint-method");
    let elsewhere = [("origin", "https://evil.example"), ("accept", "application/json")];
    assert_refusal(&browser.send("POST", path, &elsewhere, b"").await, 403, "refresh-unavailable");
    assert_eq!(world.browser().send("POST", path, &own, b"").await.status, 401);
    world.clock.advance(Duration::from_secs(5));
    world.microsoft.next_token_answer(TokenAnswer::Trouble(Trouble::ServerError));
    assert_refusal(&browser.send("POST", path, &own, b"").await, 503, "refresh-failed");
    world.clock.advance(Duration::from_secs(30));
    world.microsoft.revoke_sessions(TREASURER).unwrap();
    let over = browser.send("POST", path, &own, b"").await;
    assert_eq!(over.status, 401, "{}", over.text());
    world.stop().await;
}

#[tokio::test]
async fn without_a_refresh_token_a_session_lasts_as_it_began() {
    let provider = concat!(
        r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#,
        "\n    scopes: [openid, profile, email]"
    );
    assert!(provider.starts_with(ONE_TENANT));
    let world = World::start_with(Plan { provider, ..Plan::default() }).await;
    let mut browser = world.treasurer().await;
    world.clock.advance(QUARTER);
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some("Member,Treasurer"));
    assert_eq!(token_calls(&world), 1);
    let origin = format!("http://{}", world.proxy);
    let own = [("origin", origin.as_str()), ("accept", "application/json")];
    let answer = browser.send("POST", "/.auth/refresh", &own, b"").await;
    assert_refusal(&answer, 403, "refresh-unavailable");
    world.stop().await;
}

const B2C: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_signupsignin
    sign_up_policy: B2C_1_signup"#;

#[tokio::test]
async fn a_refresh_at_b2c_goes_to_the_policy_of_the_sign_in() {
    let world = World::start_with(Plan { provider: B2C, ..Plan::default() }).await;
    for flow in ["sign_in", "sign_up"] {
        world.microsoft.end_all_sessions();
        let mut browser = world.browser();
        let link = format!("/.auth/login/corporate?flow={flow}");
        assert_eq!(browser.sign_in(&link, "ines@mail.example").await.status, 200);
        let calls = token_calls(&world);
        world.clock.advance(QUARTER);
        assert_eq!(browser.open("/reports").await.status, 200, "{flow}");
        assert_eq!(token_calls(&world), calls + 1, "{flow}");
    }
    let ok = "anteport_session_refreshes_total{provider=\"corporate\",outcome=\"ok\"}";
    assert_eq!(world.metric(ok).await, 2.0);
    world.stop().await;
}

#[tokio::test]
async fn lim_06_a_provider_that_does_not_answer_makes_one_member_wait_and_not_all() {
    let world = World::start().await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(world.treasurer().await);
    }
    world.clock.advance(QUARTER);
    let calls = token_calls(&world);
    world.microsoft.next_token_answer(TokenAnswer::Trouble(Trouble::Unavailable));
    for browser in &mut browsers {
        assert_eq!(browser.open("/reports").await.status, 200);
    }
    assert_eq!(token_calls(&world), calls + 1);
    world.clock.advance(Duration::from_secs(30));
    for browser in &mut browsers {
        assert_eq!(browser.open("/reports").await.status, 200);
    }
    assert_eq!(token_calls(&world), calls + 4);
    world.stop().await;
}

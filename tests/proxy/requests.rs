//! The authorization request as the operator wants it, and callbacks that are posted or go to the
//! path of an old registration.

use std::collections::HashMap;

use anteport::demo::microsoft::Microsoft;
use serde_json::json;

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{ONE_TENANT, Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";

macro_rules! entra {
    ($lines:literal) => {
        concat!(
            r#"
    kind: entra_id
    authority: "http://AUTHORITY"
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11"#,
            $lines
        )
    };
}

async fn world(provider: &'static str) -> World {
    World::start_with(Plan { provider, ..Plan::default() }).await
}

/// What a redirect asks the provider for.
fn asked(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.location();
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    let all: HashMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(all.len(), pairs.len(), "a parameter is there twice: {location}");
    all
}

const OPTIONS: &str = entra!(
    r#"
    request:
      prompt: consent
      domain_hint: harborclub.example
      acr_values: [gold, silver]
      claims: '{"id_token":{"email":null}}'
      ui_locales: [en, de-AT]
      parameters: { campaignId: "spring & summer" }
      from_visitor:
        login_hint: "*@harborclub.example"
        domain_hint: [harborclub.example, organizations]
        ref: "*""#
);

#[tokio::test]
async fn the_request_is_as_the_operator_wants_it() {
    let world = world(OPTIONS).await;
    let browser = world.browser();
    let mut headers = PAGE.to_vec();
    headers.push(("accept-language", "fr;q=0.9, de-DE;q=0.8, en;q=0.1"));
    let asked = asked(&browser.send("GET", "/reports", &headers, b"").await);
    for (name, value) in [
        ("prompt", "consent"),
        ("domain_hint", "harborclub.example"),
        ("acr_values", "gold silver"),
        ("claims", r#"{"id_token":{"email":null}}"#),
        ("ui_locales", "de-AT"),
        ("campaignId", "spring & summer"),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!asked.contains_key("login_hint") && !asked.contains_key("ref"));
    world.stop().await;
}

#[tokio::test]
async fn oidc_19_a_link_sets_what_the_operator_lists_and_nothing_else() {
    let world = world(OPTIONS).await;
    for (query, name, value) in [
        ("login_hint=ines@harborclub.example", "login_hint", Some("ines@harborclub.example")),
        ("login_hint=ines@harborclub.example.evil.example", "login_hint", None),
        ("login_hint=%0a@harborclub.example", "login_hint", None),
        ("login_hint=a@harborclub.example&login_hint=b@harborclub.example", "login_hint", None),
        ("login_hint=a@harborclub.example&prompt=select_account", "login_hint", None),
        ("domain_hint=organizations", "domain_hint", Some("organizations")),
        ("domain_hint=evil.example", "domain_hint", Some("harborclub.example")),
        ("ref=a%26client_id%3Db", "ref", Some("a&client_id=b")),
        ("Ref=x", "Ref", None),
        ("campaignId=mine", "campaignId", Some("spring & summer")),
        ("prompt=select_account", "prompt", Some("select_account")),
        ("prompt=login", "prompt", Some("login")),
        ("prompt=none", "prompt", Some("consent")),
        ("prompt=create", "prompt", Some("consent")),
        ("prompt=login&prompt=none", "prompt", Some("consent")),
        ("claims={}", "claims", Some(r#"{"id_token":{"email":null}}"#)),
        ("scope=all", "scope", Some("openid profile email offline_access")),
        ("client_id=x", "client_id", Some("a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20")),
        ("max_age=0", "max_age", None),
        ("resource=x", "resource", None),
    ] {
        let answer = world.browser().open(&format!("/.auth/login/corporate?{query}")).await;
        let asked = asked(&answer);
        assert_eq!(asked.get(name).map(String::as_str), value, "{query}");
    }
    let long = format!("/.auth/login/corporate?ref={}", "x".repeat(2049));
    assert!(!asked(&world.browser().open(&long).await).contains_key("ref"));
    world.stop().await;
}

const FRESH: &str = entra!("\n    request: { max_age: 10m }");

#[tokio::test]
async fn max_age_is_asked_for_and_held_against_auth_time() {
    let world = world(FRESH).await;
    let mut browser = world.browser();
    assert_eq!(asked(&browser.open("/").await)["max_age"], "600");
    let now = world.clock.now().unix_seconds();
    for (auth_time, code) in [
        (json!(now), None),
        (json!(now - 660), None),
        (json!(now - 661), Some("token-auth-time")),
        (json!(now + 61), Some("token-auth-time")),
        (json!(null), Some("token-auth-time-missing")),
        (json!(now.to_string()), Some("token-malformed")),
    ] {
        let mut browser = world.browser();
        let claims = json!({ "auth_time": auth_time });
        world.microsoft.next_claims(claims.as_object().unwrap().clone());
        let landed = browser.sign_in("/reports", TREASURER).await;
        match code {
            None => assert_eq!(landed.status, 200, "{auth_time}: {}", landed.text()),
            Some(code) => assert!(landed.text().contains(code), "{auth_time}: {}", landed.text()),
        }
    }
    world.stop().await;
}

const POSTED: &str = entra!("\n    request: { response_mode: form_post }");

/// Signs in where the callback is posted, as far as the page that posts it.
async fn to_the_form(browser: &mut Browser, target: &str) -> Answer {
    let form = browser.follow(target).await;
    let page = browser.submit(&form, TREASURER, "demo").await;
    assert!(page.text().contains("name=\"state\""), "{}", page.text());
    page
}

#[tokio::test]
async fn a_callback_can_be_posted_by_the_providers_page() {
    let world = world(POSTED).await;
    let mut browser = world.browser();
    let answer = browser.open("/reports?year=2026").await;
    assert_eq!(asked(&answer)["response_mode"], "form_post");
    let cookies = answer.all("set-cookie");
    assert!(cookies.iter().all(|cookie| cookie.contains("SameSite=None")), "{cookies:?}");
    let form = browser.follow_from(answer).await;
    let page = browser.submit(&form, TREASURER, "demo").await;
    let answer = browser.fill(&page, 0, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let session = answer.all("set-cookie");
    let session = session.iter().find(|cookie| cookie.starts_with("__Host-anteport=")).unwrap();
    assert!(session.contains("SameSite=Lax"), "COOK-04: one cookie alone is for other sites");
    let landed = browser.follow_from(answer).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    let again = browser.fill(&page, 0, &[]).await;
    assert_refusal(&again, 400, "login-not-pending");
    world.stop().await;
}

#[tokio::test]
async fn oidc_05_a_callback_comes_in_the_way_that_was_asked_for_alone() {
    let world = world(POSTED).await;
    let mut browser = world.browser();
    let page = to_the_form(&mut browser, "/reports").await;
    let html = page.text();
    let field = |name: &str| {
        let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (code, state) = (field("code"), field("state"));
    let callback = "/.auth/login/corporate/callback";
    let got = browser.open(&format!("{callback}?code={code}&state={state}")).await;
    assert_refusal(&got, 405, "endpoint-method");
    let form = [PAGE, &[("content-type", "application/x-www-form-urlencoded")]].concat();
    let json = [PAGE, &[("content-type", "application/json")]].concat();
    let body = format!("code={code}&state={state}");
    for (headers, body, status, reason) in [
        (&json, body.clone(), 400, "login-state-missing"),
        (&form, String::new(), 400, "login-state-missing"),
        (&form, format!("{body}&state={state}"), 400, "login-parameter-repeated"),
        (&form, format!("{body}&error=x"), 400, "login-callback-malformed"),
        (&form, format!("{body}&id_token=x"), 400, "login-callback-malformed"),
        (&form, format!("code={code}&state=x"), 400, "login-not-pending"),
        (&form, format!("{body}&x={}", "x".repeat(65_536)), 413, "body-too-large"),
    ] {
        let answer = browser.send("POST", callback, headers, body.as_bytes()).await;
        assert_refusal(&answer, status, reason);
    }
    // None of that has used the login up, or asked the provider anything (OIDC-03).
    assert_eq!(world.microsoft.counts().token, 0);
    let landed = browser.fill(&page, 0, &[]).await;
    let landed = browser.follow_from(landed).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert_eq!(world.microsoft.counts().token, 1);
    world.stop().await;
}

#[tokio::test]
async fn a_posted_callback_replaces_the_session_that_its_request_cannot_show() {
    let world = world(POSTED).await;
    let mut browser = world.browser();
    let page = to_the_form(&mut browser, "/").await;
    let first = browser.fill(&page, 0, &[]).await;
    browser.follow_from(first).await;
    let mut old = browser.clone();
    let page = browser.follow("/.auth/login/corporate").await;
    let second = browser.fill(&page, 0, &[]).await;
    assert_eq!(browser.follow_from(second).await.status, 200);
    assert_eq!(old.open("/").await.status, 303, "SESS-01: the earlier one is over");
    world.stop().await;
}

const LEGACY: &str = entra!("\n    request: { response_type: id_token }");

fn issues_id_tokens(microsoft: &Microsoft) {
    microsoft.switch(|switches| switches.id_tokens = true);
}

#[tokio::test]
async fn an_id_token_can_come_without_a_code_where_an_old_registration_wants_it() {
    let world = world(LEGACY).await;
    let mut browser = world.browser();
    let answer = browser.open("/").await;
    let asked = asked(&answer);
    assert_eq!(asked["response_type"], "id_token");
    assert_eq!(asked["response_mode"], "form_post");
    assert!(asked.contains_key("nonce") && !asked.contains_key("code_challenge"));
    issues_id_tokens(&world.microsoft);
    let form = browser.follow_from(answer).await;
    let page = browser.submit(&form, TREASURER, "demo").await;
    let landed = browser.fill(&page, 0, &[]).await;
    assert_eq!(browser.follow_from(landed).await.status, 200);
    assert_eq!(world.microsoft.counts().token, 0, "no credential is asked for");
    // The nonce binds it to this login (OIDC-09).
    let claims = json!({ "nonce": "of another login" });
    world.microsoft.end_all_sessions();
    let mut browser = world.browser();
    world.microsoft.next_claims(claims.as_object().unwrap().clone());
    let page = to_the_form(&mut browser, "/").await;
    let answer = browser.fill(&page, 0, &[]).await;
    assert_refusal(&answer, 403, "token-nonce");
    world.stop().await;
}

#[tokio::test]
async fn an_id_token_is_taken_only_where_it_was_asked_for() {
    let world = world(POSTED).await;
    let mut browser = world.browser();
    let page = to_the_form(&mut browser, "/").await;
    let html = page.text();
    let (_, rest) = html.split_once("name=\"state\" value=\"").unwrap();
    let state = rest.split('"').next().unwrap();
    let form = [PAGE, &[("content-type", "application/x-www-form-urlencoded")]].concat();
    let body = format!("id_token=e30.e30.x&state={state}");
    let answer =
        browser.send("POST", "/.auth/login/corporate/callback", &form, body.as_bytes()).await;
    assert_refusal(&answer, 403, "login-callback-malformed");
    world.stop().await;
}

const OLD_PATH: &str = entra!("\n    callback_path: /signin-B2C");

#[tokio::test]
async fn the_redirect_uri_of_an_old_registration_goes_on_working() {
    let world = world(OLD_PATH).await;
    let mut browser = world.browser();
    let answer = browser.open("/reports").await;
    assert!(asked(&answer)["redirect_uri"].ends_with("/signin-B2C"), "{answer:?}");
    let landed = browser.sign_in("/reports", TREASURER).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    let requests = world.portal.received().len();
    for target in ["/signin-B2C", "/signin-b2c", "/signin-B2C/x", "/SIGNIN-B2C?code=x&state=y"] {
        let answer = browser.open(target).await;
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
    }
    assert_eq!(world.portal.received().len(), requests, "the portal sees nothing of it");
    let answer = browser.open("/.auth/login/corporate?post_login_redirect_uri=/signin-B2C").await;
    let landed = browser.follow_from(answer).await;
    assert_eq!(landed.url.path(), "/", "RET-02");
    world.stop().await;
}

#[tokio::test]
async fn cook_05_a_picture_in_somebodys_page_begins_no_login() {
    for provider in [POSTED, ONE_TENANT] {
        let world = world(provider).await;
        let browser = world.browser();
        let picture = [
            ("accept", "image/avif,image/webp,*/*;q=0.8"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-dest", "image"),
            ("sec-fetch-site", "cross-site"),
        ];
        let early = [PAGE, &[("sec-purpose", "prefetch")]].concat();
        for headers in [&picture[..], &early] {
            let answer = browser.send("GET", "/.auth/login/corporate", headers, b"").await;
            assert_refusal(&answer, 401, "sign-in-required");
            assert!(answer.all("set-cookie").is_empty(), "{:?}", answer.headers);
        }
        let answer = browser.send("GET", "/.auth/login/corporate", PAGE, b"").await;
        assert_eq!(answer.status, 303);
        world.stop().await;
    }
}

const FRESHLY: &str = entra!("\n    request: { prompt: login }");

#[tokio::test]
async fn a_link_does_not_get_around_a_fresh_sign_in() {
    let world = world(FRESHLY).await;
    for link in ["", "?prompt=select_account", "?account=another", "?prompt=none"] {
        let answer = world.browser().open(&format!("/.auth/login/corporate{link}")).await;
        assert_eq!(asked(&answer).get("prompt").map(String::as_str), Some("login"), "{link}");
    }
    world.stop().await;
}

const ESSENTIAL: &str = entra!(
    r#"
    request:
      claims: '{"id_token":{"acrs":{"essential":true,"value":"c7"}}}'"#
);

#[tokio::test]
async fn an_essential_context_of_the_request_is_required_of_the_token() {
    let world = world(ESSENTIAL).await;
    for (acrs, status) in [(json!(["c7"]), 200), (json!(["c1"]), 403), (json!(null), 403)] {
        let claims = json!({ "acrs": acrs });
        world.microsoft.next_claims(claims.as_object().unwrap().clone());
        let mut browser = world.browser();
        let landed = browser.sign_in("/reports", TREASURER).await;
        assert_eq!(landed.status, status, "{acrs}: {}", landed.text());
    }
    world.stop().await;
}

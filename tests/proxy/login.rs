//! Logins that become sessions, and those that must not.

use std::time::Duration;

use anteport::demo::microsoft::{Fault, TokenAnswer, Trouble};
use url::Url;

use crate::world::browser::Answer;
use crate::world::{World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";

#[tokio::test]
async fn a_visitor_comes_back_to_the_page_that_was_asked_for() {
    let world = World::start().await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/reports?year=2026&q=a%2Fb+c", TREASURER).await;
    assert_eq!(landed.status, 200);
    assert_eq!(landed.url.path(), "/reports");
    assert_eq!(landed.url.query(), Some("year=2026&q=a%2Fb+c"));
    assert_eq!(world.portal.last().line, "GET /reports?year=2026&q=a%2Fb+c HTTP/1.1");
    let counts = world.microsoft.counts();
    assert_eq!((counts.authorize, counts.token), (1, 1), "{counts:?}");
    world.stop().await;
}

#[tokio::test]
async fn oidc_01_every_login_has_pkce_state_and_nonce() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let off = world.browser().open("/reports").await;
        assert_eq!(off.status, 303);
        assert_eq!(off.header("cache-control"), Some("no-store"));
        assert_eq!(off.header("referrer-policy"), Some("no-referrer"));
        let url = off.location();
        let value = |name: &str| {
            let found: Vec<_> = url.query_pairs().filter(|(known, _)| known == name).collect();
            assert_eq!(found.len(), 1, "{name} in {url}");
            found[0].1.to_string()
        };
        assert_eq!(value("response_type"), "code");
        assert_eq!(value("code_challenge_method"), "S256");
        assert_eq!(value("code_challenge").len(), 43);
        assert!(value("redirect_uri").ends_with("/.auth/login/corporate/callback"));
        assert!(value("scope").split(' ').any(|scope| scope == "openid"));
        seen.extend([value("state"), value("nonce"), value("code_challenge")]);
        let cookies = off.all("set-cookie");
        assert_eq!(cookies.len(), 1, "one sealed cookie a login");
        assert!(cookies[0].starts_with("__Host-anteport-login-"));
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
            assert!(cookies[0].split("; ").any(|part| part == attribute), "{}", cookies[0]);
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "nothing is used twice");
    world.stop().await;
}

/// Takes a browser up to the callback, lets `change` spoil it, and expects no session from it.
async fn spoiled(change: impl Fn(&mut Url), status: u16, code: &str) {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    change(&mut callback);
    let answer = browser.open_url(&callback).await;
    assert_no_session(&world, &answer, status, code).await;
    assert_eq!(world.microsoft.counts().token, 0, "the provider was asked");
    world.stop().await;
}

async fn assert_no_session(world: &World, answer: &Answer, status: u16, code: &str) {
    assert_refusal(answer, status, code);
    let cookies = answer.all("set-cookie");
    assert!(!cookies.iter().any(|cookie| cookie.starts_with("__Host-anteport=")), "{cookies:?}");
    assert!(world.portal.received().is_empty(), "the portal was asked");
    let series = format!("anteport_logins_total{{provider=\"corporate\",result=\"{code}\"}}");
    assert_eq!(world.metric(&series).await, 1.0, "{series}");
    assert_eq!(world.metric("anteport_sessions_created_total").await, 0.0);
}

fn with_query(url: &mut Url, change: impl Fn(&str) -> String) {
    let changed = change(url.query().unwrap());
    url.set_query(Some(&changed));
}

#[tokio::test]
async fn oidc_05_two_states_are_refused() {
    let double = |url: &mut Url| with_query(url, |query| format!("{query}&state=x"));
    spoiled(double, 400, "login-parameter-repeated").await;
}

#[tokio::test]
async fn oidc_05_code_with_error_is_refused() {
    let both = |url: &mut Url| with_query(url, |query| format!("{query}&error=access_denied"));
    spoiled(both, 400, "login-callback-malformed").await;
}

#[tokio::test]
async fn oidc_02_a_wrong_state_is_refused_and_asks_nobody() {
    let wrong = |url: &mut Url| {
        with_query(url, |query| {
            let (before, state) = query.split_once("&state=").unwrap();
            let (state, after) = state.split_at(state.find('&').unwrap_or(state.len()));
            let flipped = if state.ends_with('A') { "B" } else { "A" };
            format!("{before}&state={}{flipped}{after}", &state[..state.len() - 1])
        });
    };
    spoiled(wrong, 400, "login-state-mismatch").await;
    let unknown =
        |url: &mut Url| url.set_query(Some("code=c&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    spoiled(unknown, 400, "login-not-pending").await;
    let none = |url: &mut Url| url.set_query(Some("code=c"));
    spoiled(none, 400, "login-state-missing").await;
}

#[tokio::test]
async fn oidc_02_a_callback_in_another_browser_is_refused() {
    let world = World::start().await;
    let callback = world.browser().sign_in_to_callback("/reports", TREASURER).await;
    let answer = world.browser().open_url(&callback).await;
    assert_no_session(&world, &answer, 400, "login-not-pending").await;
    world.stop().await;
}

#[tokio::test]
async fn oidc_02_a_callback_is_used_once() {
    let world = World::start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let mut copy = browser.clone();
    assert_eq!(browser.open_url(&callback).await.status, 303);
    let answer = copy.open_url(&callback).await;
    assert_refusal(&answer, 400, "login-replayed");
    assert_eq!(world.microsoft.counts().token, 1);
    world.stop().await;
}

#[tokio::test]
async fn oidc_02_of_fifty_callbacks_at_the_same_moment_one_counts() {
    let world = World::start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let attempts = (0..50).map(|_| {
        let (mut browser, callback) = (browser.clone(), callback.clone());
        tokio::spawn(async move { browser.open_url(&callback).await.status })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(world.microsoft.counts().token, 1);
    world.stop().await;
}

#[tokio::test]
async fn oidc_02_a_login_ends_after_ten_minutes() {
    let world = World::start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    world.clock.advance(Duration::from_secs(600));
    let answer = browser.open_url(&callback).await;
    assert_no_session(&world, &answer, 400, "login-expired").await;
    assert_eq!(world.microsoft.counts().token, 0);
    world.stop().await;
}

#[tokio::test]
async fn oidc_05_head_and_prefetch_use_nothing_up() {
    let world = World::start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let target = format!("{}?{}", callback.path(), callback.query().unwrap());
    assert_eq!(browser.send("HEAD", &target, &[], b"").await.status, 405);
    let prefetch = browser.send("GET", &target, &[("sec-purpose", "prefetch")], b"").await;
    assert_eq!(prefetch.status, 405);
    assert_eq!(browser.send("POST", &target, &[], b"").await.status, 405);
    assert_eq!(browser.open_url(&callback).await.status, 303);
    world.stop().await;
}

/// A token with this fault makes no session.
async fn refused_token(fault: Fault, code: &str) {
    let world = World::start().await;
    world.microsoft.next_token(fault);
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let answer = browser.open_url(&callback).await;
    assert_no_session(&world, &answer, 403, code).await;
    // The login is over all the same: its cookie goes, and the next one works.
    assert!(browser.own_cookies().is_empty(), "{:?}", browser.cookies);
    assert_eq!(browser.follow("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn oidc_09_a_wrong_nonce_makes_no_session() {
    refused_token(Fault::WrongNonce, "token-nonce").await;
}

#[tokio::test]
async fn oidc_09_a_wrong_audience_makes_no_session() {
    refused_token(Fault::WrongAudience, "token-audience").await;
}

#[tokio::test]
async fn oidc_09_a_wrong_issuer_makes_no_session() {
    refused_token(Fault::WrongIssuer, "token-issuer").await;
}

#[tokio::test]
async fn oidc_06_alg_none_makes_no_session() {
    refused_token(Fault::AlgNone, "token-algorithm").await;
}

#[tokio::test]
async fn oidc_06_hs256_with_the_public_key_makes_no_session() {
    refused_token(Fault::Hs256WithPublicKey, "token-algorithm").await;
}

#[tokio::test]
async fn oidc_08_an_unknown_key_makes_no_session() {
    refused_token(Fault::UnknownKey, "token-key-unknown").await;
}

#[tokio::test]
async fn oidc_07_a_bad_signature_makes_no_session() {
    refused_token(Fault::BadSignature, "token-signature").await;
}

#[tokio::test]
async fn oidc_09_an_expired_token_makes_no_session() {
    refused_token(Fault::Expired, "token-expired").await;
}

#[tokio::test]
async fn oidc_09_a_token_of_the_future_makes_no_session() {
    refused_token(Fault::NotYetValid, "token-not-yet-valid").await;
}

#[tokio::test]
async fn az_01_another_tenants_token_makes_no_session() {
    refused_token(Fault::OtherTenant, "token-issuer").await;
}

#[tokio::test]
async fn az_01_a_key_of_personal_accounts_makes_no_session() {
    refused_token(Fault::PersonalKey, "token-key-unknown").await;
}

#[tokio::test]
async fn az_02_a_token_without_an_object_id_makes_no_session() {
    refused_token(Fault::MissingOid, "token-subject").await;
}

#[tokio::test]
async fn az_03_a_guest_makes_no_session() {
    refused_token(Fault::Guest, "token-guest").await;
}

#[tokio::test]
async fn oidc_12_a_token_endpoint_that_fails_makes_no_session() {
    for (answer, code) in [
        (TokenAnswer::SecretExpired, "client-secret-refused"),
        (TokenAnswer::Trouble(Trouble::ServerError), "provider-"),
    ] {
        let world = World::start().await;
        world.microsoft.next_token_answer(answer);
        let mut browser = world.browser();
        let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
        let page = browser.open_url(&callback).await;
        assert_refusal(&page, 503, code);
        assert!(page.header("retry-after").is_some());
        assert_eq!(world.microsoft.counts().token, 1, "the exchange is not repeated");
        assert!(world.portal.received().is_empty());
        world.stop().await;
    }
}

#[tokio::test]
async fn oidc_16_a_cancelled_sign_in_is_a_page_of_its_own() {
    let world = World::start().await;
    world.microsoft.authorize_error("access_denied", Some("cancel"), None);
    let answer = world.browser().follow("/reports").await;
    assert_refusal(&answer, 403, "login-cancelled");
    world.microsoft.authorize_error(
        "server_error",
        None,
        Some("AADSTS90033: A transient error. <script>alert(1)</script>"),
    );
    let answer = world.browser().follow("/reports").await;
    assert_refusal(&answer, 503, "provider-busy");
    assert!(!answer.text().contains("transient"), "the provider's text is not shown");
    world.stop().await;
}

#[tokio::test]
async fn rel_02_new_signing_keys_are_found_without_a_failed_login() {
    let world = World::start().await;
    world.treasurer().await;
    let before = world.microsoft.counts().keys;
    world.microsoft.replace_keys();
    world.treasurer().await;
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().keys, before + 1, "one fetch for the new key");
    world.stop().await;
}

#[tokio::test]
async fn sess_01_every_login_has_a_new_session_and_ends_the_one_before() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let first = browser.own_cookies()["__Host-anteport"].clone();
    let again = browser.follow("/.auth/login/corporate?post_login_redirect_uri=/reports").await;
    assert_eq!((again.status, again.url.path()), (200, "/reports"));
    let second = browser.own_cookies()["__Host-anteport"].clone();
    assert_ne!(first, second);
    browser.own_cookies().insert("__Host-anteport".into(), first);
    assert_eq!(browser.open("/reports").await.status, 303, "the old session is over");
    world.stop().await;
}

#[tokio::test]
async fn ten_tabs_finish_in_reverse_order_each_on_its_own_page() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut forms = Vec::new();
    for tab in 0..10 {
        forms.push((tab, browser.follow(&format!("/reports?tab={tab}")).await));
        world.clock.advance(Duration::from_secs(1));
    }
    for (tab, form) in forms.iter().rev() {
        let back = browser.submit(form, TREASURER, "demo").await;
        let landed = browser.follow_from(back).await;
        assert_eq!(landed.url.query(), Some(&*format!("tab={tab}")));
    }
    world.stop().await;
}

#[tokio::test]
async fn cook_05_logins_under_way_are_bounded_and_the_oldest_goes_first() {
    let world = World::start().await;
    let mut browser = world.browser();
    let long = "x".repeat(1800);
    for tab in 0..30 {
        let target =
            if tab % 3 == 0 { format!("/reports?{tab}{long}") } else { format!("/reports?{tab}") };
        assert_eq!(browser.open(&target).await.status, 303);
        world.clock.advance(Duration::from_secs(1));
        let cookies = browser.own_cookies();
        assert!(cookies.len() <= 12, "{}", cookies.len());
        let bytes: usize = cookies.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes < 14 * 1024, "{bytes}");
    }
    let newest = browser.sign_in("/reports?newest", TREASURER).await;
    assert_eq!(newest.url.query(), Some("newest"));
    world.stop().await;
}

#[tokio::test]
async fn ret_01_only_our_own_pages_are_return_targets() {
    let world = World::start().await;
    for (asked, landed) in [
        ("/reports%3Fyear%3D2026", "/reports?year=2026"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/%5Cevil.example", "/"),
        ("/..//evil.example", "/"),
        ("/.auth/logout", "/"),
        ("/.AUTH/logout", "/"),
        ("%2F%0d%0aLocation:%20x", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let mut browser = world.browser();
        let target = format!("/.auth/login/corporate?post_login_redirect_uri={asked}");
        let callback = browser.sign_in_to_callback(&target, TREASURER).await;
        let answer = browser.open_url(&callback).await;
        assert_eq!(answer.header("location"), Some(landed), "{asked}");
    }
    world.stop().await;
}

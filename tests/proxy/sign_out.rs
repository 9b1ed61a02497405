//! Signing out everywhere: with the provider, from the provider, and against what is under way.

use std::time::Duration;

use anteport::demo::microsoft::{TokenAnswer, Trouble};
use serde_json::{Value, json};

use crate::kinds::{B2C, TWO, TWO_FOR_A_PORTAL};
use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::provider::{self, BACK, EVENT, INES, OIDC};
use crate::world::{Plan, Registration, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";
const MEMBER: &str = "member@harborclub.example";
const FRONT: &str = "/.auth/front-channel-logout/corporate";
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

/// A second portal of the same provider.
const SECOND: &str = r#"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM", response_timeout: 1s }
    auth_path: /own
    local_login: {}
    identity: { headers: { X-Portal-Member: email } }
"#;

/// What a frame sends: no cookie, and the words of a third party.
const FRAME: &[(&str, &str)] = &[
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "iframe"),
    ("sec-fetch-site", "cross-site"),
];

async fn claim(browser: &mut Browser, name: &str) -> String {
    let me = browser.open("/.auth/me").await.json();
    let claims = me[0]["user_claims"].as_array().unwrap().clone();
    let found = claims.iter().find(|claim| claim["typ"] == name);
    found.unwrap_or_else(|| panic!("{me}"))["val"].as_str().unwrap().to_owned()
}

async fn is_signed_in(browser: &Browser) -> bool {
    let headers = [("accept", "application/json")];
    browser.send("GET", "/reports", &headers, b"").await.status == 200
}

#[tokio::test]
async fn oidc_20_a_sign_out_at_one_portal_ends_the_session_at_the_other_without_a_cookie() {
    let told: Registration = Box::new(|options, _| {
        let back = &options.redirect_uris[0];
        let front = back.replace("/login/corporate/callback", "/front-channel-logout/corporate");
        options.front_channel_logout = vec![front];
    });
    let plan = Plan { more_portals: SECOND, registration: told, ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut browser = world.treasurer().await;
    let mut second = Browser::new(format!("http://localhost:{}", world.proxy.port()));
    second.cookies = browser.cookies.clone();
    assert_eq!(second.follow("/reports").await.status, 200, "by single sign-on");
    let someone = {
        let mut other = world.browser();
        other.sign_in("/reports", MEMBER).await;
        other
    };
    let page = browser.follow("/.auth/logout").await;
    assert!(is_signed_in(&second).await, "until the frame is loaded");
    let html = page.text();
    let frame = html.split("<iframe hidden src=\"").nth(1).unwrap().split('"').next().unwrap();
    let frame = url::Url::parse(&frame.replace("&#38;", "&")).unwrap();
    let query: Vec<_> = frame.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(query, ["sid"], "{frame}");
    let target = &frame[url::Position::BeforePath..];
    let answer = world.browser().send("GET", target, FRAME, b"").await;
    assert_eq!(answer.status, 200);
    assert!(!is_signed_in(&second).await);
    assert!(is_signed_in(&someone).await, "somebody else's stays");
    let next = html.split("content=\"2;url=").nth(1).unwrap().split('"').next().unwrap();
    let next = url::Url::parse(&next.replace("&#38;", "&")).unwrap();
    let landed = browser.open_url(&next).await;
    assert!(landed.text().contains("and your corporate account"), "{}", landed.text());
    assert_eq!(world.metric("anteport_sessions_ended_total{reason=\"provider\"}").await, 1.0);
    world.stop().await;
}

fn without_id(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "x-request-id" && name != "date");
    (answer.status, headers, answer.body.clone())
}

#[tokio::test]
async fn oidc_20_the_front_channel_reveals_nothing_and_believes_only_its_own_provider() {
    let plan = Plan { provider: TWO, portal: TWO_FOR_A_PORTAL, ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut browser = world.browser();
    browser.sign_in("/.auth/login/corporate", TREASURER).await;
    let sid = claim(&mut browser, "sid").await;
    let issuer = claim(&mut browser, "iss").await;
    let frame = world.browser();
    let unknown = frame.send("GET", &format!("{FRONT}?sid=nobody"), FRAME, b"").await;
    assert_eq!(unknown.header("x-frame-options"), None);
    assert_eq!(unknown.header("cache-control"), Some("no-store"));
    let policy = unknown.header("content-security-policy").unwrap();
    let login = world.microsoft.base_url();
    assert_eq!(policy, format!("default-src 'none'; frame-ancestors {login}"));
    assert!(unknown.all("set-cookie").is_empty());
    for target in [
        FRONT.to_owned(),
        format!("{FRONT}?sid="),
        format!("{FRONT}?sid={sid}&sid={sid}"),
        format!("{FRONT}?sid={sid}&iss=https://evil.example/"),
        format!("{FRONT}?sid={sid}&iss={issuer}&iss={issuer}"),
        format!("{FRONT}?sub={sid}"),
    ] {
        let answer = frame.send("GET", &target, FRAME, b"").await;
        assert_eq!(without_id(&answer), without_id(&unknown), "{target}");
    }
    let elsewhere = "/.auth/front-channel-logout/members";
    assert_eq!(frame.send("GET", &format!("{elsewhere}?sid={sid}"), FRAME, b"").await.status, 200);
    let nobody = frame.send("GET", "/.auth/front-channel-logout/other?sid=x", PAGE, b"").await;
    assert_refusal(&nobody, 404, "endpoint-unknown");
    assert_eq!(frame.send("DELETE", FRONT, FRAME, b"").await.status, 405);
    assert!(is_signed_in(&browser).await);
    // With the right issuer, and posted, as B2C is said to do.
    let body = format!("sid={sid}&iss={issuer}");
    let answer = frame.send("POST", FRONT, FORM, body.as_bytes()).await;
    assert_eq!(without_id(&answer), without_id(&unknown));
    assert!(!is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn a_session_without_the_claim_is_found_by_session_state() {
    let world = World::start().await;
    world.microsoft.plan("claims", r#"{"sid":null}"#).unwrap();
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let state = callback.query_pairs().find(|(name, _)| name == "session_state").unwrap().1;
    assert_eq!(browser.open_url(&callback).await.status, 303);
    assert!(is_signed_in(&browser).await);
    world.browser().send("GET", &format!("{FRONT}?sid={state}"), FRAME, b"").await;
    assert!(!is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn oidc_20_nobody_asks_for_sign_outs_as_fast_as_they_like() {
    let world = World::start().await;
    let frame = world.browser();
    // By now the provider's own address is known, which the answer names.
    let mut busy = world.treasurer().await;
    let ordinary = without_id(&frame.send("GET", FRONT, FRAME, b"").await);
    for _ in 0..119 {
        assert_eq!(frame.send("GET", &format!("{FRONT}?sid=x"), FRAME, b"").await.status, 200);
    }
    let answer = frame.send("GET", &format!("{FRONT}?sid=x"), FRAME, b"").await;
    assert_refusal(&answer, 429, "sign-outs-busy");
    assert_eq!(answer.header("retry-after"), Some("60"));
    // A neighbour behind the same address signs out all the same, at once and as often as they
    // come.
    let mut other = world.treasurer().await;
    for member in [&mut busy, &mut other] {
        let sid = claim(member, "sid").await;
        let answer = frame.send("GET", &format!("{FRONT}?sid={sid}"), FRAME, b"").await;
        assert_eq!(without_id(&answer), ordinary);
        assert!(!is_signed_in(member).await);
    }
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(frame.send("GET", &format!("{FRONT}?sid=x"), FRAME, b"").await.status, 200);
    world.stop().await;
}

/// Somebody who signed in there, with this `sid`.
pub async fn signed_in_there(world: &World, sid: &str) -> Browser {
    world.microsoft.plan("claims", &json!({ "sid": sid }).to_string()).unwrap();
    let mut browser = world.browser();
    assert_eq!(browser.sign_in("/reports", INES).await.status, 200);
    browser
}

/// A logout token that is in order, with these changes; `null` takes a claim away.
pub async fn logout_token(world: &World, changes: Value) -> String {
    provider::logout_token(&world.microsoft, world.clock.now(), &changes).await
}

pub async fn send_token(world: &World, token: &str) -> Answer {
    world.browser().send("POST", BACK, FORM, format!("logout_token={token}").as_bytes()).await
}

#[tokio::test]
async fn oidc_15_a_logout_token_ends_sessions_by_sid_or_by_sub() {
    let world = World::start_with(Plan { provider: OIDC, ..Plan::default() }).await;
    let mut browser = signed_in_there(&world, "one").await;
    let mut elsewhere = signed_in_there(&world, "two").await;
    world.microsoft.plan("claims", r#"{"sub":"somebody-else","oid":null}"#).unwrap();
    let mut other = world.browser();
    other.sign_in("/reports", INES).await;
    let sub = claim(&mut browser, "sub").await;
    let token = logout_token(&world, json!({ "sid": "one" })).await;
    let answer = send_token(&world, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.is_empty());
    assert!(!is_signed_in(&browser).await);
    assert!(is_signed_in(&elsewhere).await, "another session of the same person");
    let again = send_token(&world, &token).await;
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_request")));
    assert_eq!(again.json()["error_description"], "logout-token-replayed");
    assert_eq!(again.header("cache-control"), Some("no-store"));
    assert_eq!(claim(&mut elsewhere, "sub").await, sub);
    let token = logout_token(&world, json!({ "sub": sub })).await;
    assert_eq!(send_token(&world, &token).await.status, 200);
    assert!(!is_signed_in(&elsewhere).await && is_signed_in(&other).await);
    assert_eq!(world.metric("anteport_sessions_ended_total{reason=\"provider\"}").await, 2.0);
    world.stop().await;
}

#[tokio::test]
async fn oidc_15_whatever_is_wrong_with_a_logout_token_ends_nothing() {
    let world = World::start_with(Plan { provider: OIDC, ..Plan::default() }).await;
    let mut browser = signed_in_there(&world, "one").await;
    let sub = claim(&mut browser, "sub").await;
    let now = world.clock.now().unix_seconds();
    for (changes, code) in [
        (json!({ "iss": "https://evil.example" }), "logout-token-issuer"),
        (json!({ "iss": null }), "logout-token-issuer"),
        (json!({ "aud": "another" }), "logout-token-audience"),
        (json!({ "aud": [anteport::demo::CLIENT_ID, "another"] }), "logout-token-audience"),
        (json!({ "aud": null }), "logout-token-audience"),
        (json!({ "iat": null }), "logout-token-time"),
        (json!({ "exp": null }), "logout-token-time"),
        (json!({ "exp": now - 61 }), "logout-token-time"),
        (json!({ "iat": now + 61, "exp": now + 200 }), "logout-token-time"),
        (json!({ "iat": now - 661 }), "logout-token-time"),
        (json!({ "nbf": now + 61 }), "logout-token-time"),
        (json!({ "iat": now.to_string() }), "token-claim-type"),
        (json!({ "events": null }), "logout-token-event"),
        (json!({ "events": [EVENT] }), "logout-token-event"),
        (json!({ "events": { EVENT: true } }), "logout-token-event"),
        (json!({ "events": { "other": {} } }), "logout-token-event"),
        (json!({ "nonce": "n" }), "logout-token-nonce"),
        (json!({ "nonce": null, "sid": null }), "logout-token-subject"),
        (json!({ "sid": 1 }), "token-claim-type"),
        (json!({ "sid": "a b" }), "logout-token-subject"),
        (json!({ "jti": null }), "logout-token-id"),
        (json!({ "jti": "" }), "logout-token-subject"),
    ] {
        let mut all = json!({ "sid": "one" });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let answer = send_token(&world, &logout_token(&world, all).await).await;
        assert_eq!(answer.status, 400, "{changes}");
        assert_eq!(answer.json()["error_description"], code, "{changes}");
        assert!(is_signed_in(&browser).await, "{changes}");
    }
    let good = logout_token(&world, json!({ "sub": sub, "jti": "good" })).await;
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, payload) = signed.split_once('.').unwrap();
    for (spoiled, code) in [
        (format!("{signed}."), "token-signature"),
        (format!("{signed}.AAAA"), "token-signature"),
        (format!("eyJhbGciOiJub25lIn0.{payload}."), "token-algorithm"),
        (invented(payload), "token-key-unknown"),
        ("nonsense".to_owned(), "logout-token-malformed"),
        (String::new(), "logout-token-malformed"),
        (format!("{good}&logout_token={good}"), "logout-token-malformed"),
    ] {
        let answer = send_token(&world, &spoiled).await;
        assert_eq!(answer.status, 400, "{spoiled}");
        assert_eq!(answer.json()["error_description"], code);
    }
    let get = world.browser().send("GET", &format!("{BACK}?logout_token={good}"), PAGE, b"").await;
    assert_refusal(&get, 405, "endpoint-method");
    assert!(is_signed_in(&browser).await);
    assert_eq!(send_token(&world, &good).await.status, 200);
    assert!(!is_signed_in(&browser).await);
    world.stop().await;
}

/// A token that names a key which nobody has.
fn invented(payload: &str) -> String {
    // {"alg":"RS256","kid":"invented"}
    format!("eyJhbGciOiJSUzI1NiIsImtpZCI6ImludmVudGVkIn0.{payload}.AAAA")
}

#[tokio::test]
async fn gen_03_a_logout_token_whose_key_cannot_be_looked_for_is_to_be_sent_again() {
    let mut world = World::start_with(Plan { provider: OIDC, ..Plan::default() }).await;
    let mut browser = signed_in_there(&world, "one").await;
    let sub = claim(&mut browser, "sub").await;
    let good = logout_token(&world, json!({ "sub": sub })).await;
    let payload = good.split('.').nth(1).unwrap();
    world.microsoft_goes_down().await;
    let answer = send_token(&world, &invented(payload)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(answer.json()["error_description"], "logout-token-keys");
    assert!(is_signed_in(&browser).await);
    // Its key is known, and it was not spent by the other.
    assert_eq!(send_token(&world, &good).await.status, 200);
    assert!(!is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn oidc_08_after_a_forged_logout_token_a_login_with_a_new_key_goes_on() {
    let world = World::start_with(Plan { provider: OIDC, ..Plan::default() }).await;
    let browser = signed_in_there(&world, "one").await;
    let answer = send_token(&world, &invented("e30")).await;
    assert_eq!(answer.json()["error_description"], "token-key-unknown");
    world.microsoft.replace_keys();
    signed_in_there(&world, "two").await;
    assert!(is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn oidc_15_the_pace_of_a_back_channel_is_kept_before_a_key_is_looked_for() {
    let world = World::start_with(Plan { provider: OIDC, ..Plan::default() }).await;
    let browser = signed_in_there(&world, "one").await;
    for number in 0..125 {
        let token = logout_token(&world, json!({ "sid": format!("other-{number}") })).await;
        assert_eq!(send_token(&world, &token).await.status, 200, "a provider may be busy");
    }
    for _ in 0..120 {
        assert_eq!(send_token(&world, "nonsense").await.status, 400);
    }
    let keys = world.microsoft.counts().keys;
    assert_refusal(&send_token(&world, &invented("e30")).await, 429, "sign-outs-busy");
    assert_eq!(world.microsoft.counts().keys, keys);
    assert!(is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn oidc_15_microsofts_providers_have_no_back_channel() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let sub = claim(&mut browser, "sub").await;
    let token = logout_token(&world, json!({ "sub": sub })).await;
    assert_eq!(send_token(&world, &token).await.status, 404);
    assert!(is_signed_in(&browser).await);
    world.stop().await;
}

#[tokio::test]
async fn a_sign_out_at_b2c_brings_the_id_token_back_and_shows_it_nowhere_else() {
    for provider in [B2C, OIDC] {
        let strict: Registration = Box::new(|options, _| options.requires_id_token_hint = true);
        let plan = Plan { provider, registration: strict, ..Plan::default() };
        let world = World::start_with(plan).await;
        let mut browser = world.browser();
        assert_eq!(browser.sign_in("/reports", INES).await.status, 200);
        let off = browser.open("/.auth/logout").await;
        let location = off.location();
        let value = |name: &str| {
            let found = location.query_pairs().find(|(known, _)| known == name);
            found.unwrap_or_else(|| panic!("no {name} in {location}")).1.into_owned()
        };
        let hint = value("id_token_hint");
        assert_eq!(hint.split('.').count(), 3);
        assert_eq!(value("client_id"), anteport::demo::CLIENT_ID);
        let landed = browser.follow_from(off).await;
        assert_eq!(landed.url.path(), "/.auth/logout/done", "{}", landed.text());
        assert!(landed.text().contains("and your corporate account"));
        for received in world.portal.received() {
            assert!(!format!("{received:?}").contains(&hint), "the portal got the ID token");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn oidc_14_a_login_that_was_under_way_at_a_sign_out_becomes_no_session() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    world.clock.advance(Duration::from_secs(1));
    let mut other_tab = browser.clone();
    let off = other_tab.open("/.auth/login/corporate?post_login_redirect_uri=/reports").await;
    let callback = other_tab.open_url(&off.location()).await.location();
    world.clock.advance(Duration::from_secs(1));
    browser.open("/.auth/logout").await;
    let answer = other_tab.open_url(&callback).await;
    assert_refusal(&answer, 400, "login-signed-out");
    assert!(!is_signed_in(&other_tab).await);
    // In the browser itself, the login's cookie is gone.
    let mut browser = world.treasurer().await;
    let off = browser.open("/.auth/login/corporate").await;
    let callback = browser.open_url(&off.location()).await.location();
    browser.open("/.auth/logout").await;
    assert_refusal(&browser.open_url(&callback).await, 400, "login-not-pending");
    // And whoever signs in afterwards is in.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.follow("/reports").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn oidc_14_a_sign_out_at_the_provider_wins_over_the_callback_that_is_being_answered() {
    let world = World::start().await;
    let mut known = world.treasurer().await;
    let sid = claim(&mut known, "sid").await;
    world.clock.advance(Duration::from_secs(1));
    let mut browser = world.browser();
    browser.cookies = known.cookies.clone();
    browser.own_cookies().clear();
    let off = browser.open("/reports").await;
    let callback = browser.open_url(&off.location()).await.location();
    world
        .microsoft
        .next_token_answer(TokenAnswer::Trouble(Trouble::Slow(Duration::from_millis(400))));
    let before = world.microsoft.counts().token;
    let answer = {
        let (mut browser, callback) = (browser.clone(), callback.clone());
        tokio::spawn(async move { browser.open_url(&callback).await })
    };
    while world.microsoft.counts().token == before {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(1));
    world.browser().send("GET", &format!("{FRONT}?sid={sid}"), FRAME, b"").await;
    let answer = answer.await.unwrap();
    assert_refusal(&answer, 400, "login-signed-out");
    assert!(answer.all("set-cookie").iter().all(|one| !one.starts_with("__Host-anteport=")));
    world.stop().await;
}

#[tokio::test]
async fn ui_03_a_form_of_another_site_takes_nobodys_cookie() {
    let world = World::start().await;
    // The cookie is `SameSite=Lax`, so it is not with the form.
    let stranger = world.browser();
    let form = [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = stranger.send("POST", "/.auth/logout", &form, b"").await;
    assert_eq!(answer.status, 303);
    assert!(answer.all("set-cookie").is_empty(), "{:?}", answer.headers);
    // Whoever means it is rid of a cookie that is worth nothing any more.
    let mut leaver = world.treasurer().await;
    world.clock.advance(std::time::Duration::from_secs(24 * 3600));
    leaver.open("/.auth/login/corporate").await;
    let origin = format!("http://{}", world.proxy);
    let own = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
    let answer = leaver.send("POST", "/.auth/logout", &own, b"").await;
    let taken = answer.all("set-cookie");
    assert!(taken.iter().any(|cookie| cookie.starts_with("__Host-anteport=;")), "{taken:?}");
    assert!(taken.iter().any(|cookie| cookie.contains("-login-")), "{taken:?}");
    world.stop().await;
}

#[tokio::test]
async fn oidc_14_a_sign_out_ends_every_login_that_this_browser_has_under_way() {
    let world = World::start().await;
    // Two tabs, and nobody is signed in yet.
    let mut browser = world.browser();
    let first = browser.sign_in_to_callback("/one", "treasurer@harborclub.example").await;
    let mut other_tab = browser.clone();
    let landed = other_tab.follow("/two").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    // The first tab's callback is under way while the member signs out in the second.
    let calls = world.microsoft.counts().token;
    let slow = TokenAnswer::Trouble(Trouble::Slow(Duration::from_millis(500)));
    world.microsoft.next_token_answer(slow);
    let finishing = tokio::spawn({
        let mut browser = browser.clone();
        async move { browser.open_url(&first).await }
    });
    while world.microsoft.counts().token == calls {
        tokio::task::yield_now().await;
    }
    let origin = format!("http://{}", world.proxy);
    let own = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(other_tab.send("POST", "/.auth/logout", &own, b"").await.status, 303);
    let answer = finishing.await.unwrap();
    assert!(answer.text().contains("login-signed-out"), "{} {}", answer.status, answer.text());
    assert!(!answer.all("set-cookie").iter().any(|one| one.starts_with("__Host-anteport=")));
    world.stop().await;
}

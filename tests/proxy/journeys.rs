//! The journeys of B2C besides signing in, each bound to its policy and back to the page first
//! asked for (azure.md, section 6).

use anteport::demo::microsoft::B2c;
use serde_json::json;

use crate::world::browser::{Answer, Browser};
use crate::world::{Plan, World, assert_refusal};

const MEMBER: &str = "ines@mail.example";

const PROVIDER: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_SignUpSignIn
    sign_up_policy: B2C_1_signup
    password_reset_policy: B2C_1_PasswordReset
    profile_edit_policy: B2C_1_profileedit"#;
const SIGN_IN_ALONE: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_signupsignin"#;
const PORTAL: &str = r#"
    mode: azure_only
    local_login:
      login_pages:
        - /login
        - { path: /register, journey: sign_up }
        - { path: /lost-password, journey: password_reset }
        - { path: /profile, journey: profile_edit }
    identity:
      headers:
        X-Auth-User: oid
        X-Auth-Name: name
        X-Auth-Email: "emails[0]"
        X-Auth-New: newUser
        X-Auth-Number: extension_MemberNumber
        X-Auth-Flow: tfp"#;

async fn world(provider: &'static str) -> World {
    World::start_with(Plan { provider, portal: PORTAL, ..Plan::default() }).await
}

/// Where a redirect to the provider leads, by its policy.
fn policy(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.location().path().split('/').nth(2).unwrap_or_default().to_owned()
}

async fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    let landed = browser.sign_in("/", MEMBER).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    browser
}

/// Presses a button of a page, and follows.
async fn press(browser: &mut Browser, page: &Answer, form: usize, field: (&str, &str)) -> Answer {
    let answer = browser.fill(page, form, &[field]).await;
    browser.follow_from(answer).await
}

#[tokio::test]
async fn az_04_a_forgotten_password_leads_through_the_reset_and_to_the_page_first_asked_for() {
    let world = world(PROVIDER).await;
    let mut browser = world.browser();
    let form = browser.follow("/reports?year=2026").await;
    let reset = press(&mut browser, &form, 1, ("forgot", "1")).await;
    assert!(reset.text().contains("name=\"new_password\""), "{}", reset.text());
    assert!(reset.url.path().contains("b2c_1_passwordreset"), "{}", reset.url);
    assert!(world.portal.received().is_empty());
    let done = browser.fill(&reset, 0, &[("username", MEMBER), ("new_password", "n")]).await;
    let landed = browser.follow_from(done).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    assert_eq!(landed.url.query(), Some("year=2026"));
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-flow"), Some("B2C_1_signupsignin"), "not the reset's token");
    assert_eq!(seen.header("x-auth-email"), Some(MEMBER));
    assert_eq!(seen.header("x-auth-number"), Some("10442"));
    // What counts logins for a minute is none.
    browser.own_cookies().retain(|_, value| !value.starts_with("over."));
    assert_eq!(browser.own_cookies().len(), 1, "no login is left over: {:?}", browser.cookies);
    world.stop().await;
}

#[tokio::test]
async fn az_04_without_a_reset_policy_a_page_explains() {
    let plan = Plan { provider: SIGN_IN_ALONE, ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut browser = world.browser();
    let form = browser.follow("/reports").await;
    let page = press(&mut browser, &form, 1, ("forgot", "1")).await;
    assert_refusal(&page, 400, "login-password-forgotten");
    assert!(!page.text().contains("flow&#61;password_reset"), "{}", page.text());
    let twice = "sign_in&flow=sign_in";
    for flow in ["sign_up", "password_reset", "profile_edit", "sign-in", "", twice] {
        let page = browser.open(&format!("/.auth/login/corporate?flow={flow}")).await;
        assert_refusal(&page, 404, "endpoint-unknown");
    }
    world.stop().await;
}

#[tokio::test]
async fn az_04_a_reset_that_leads_back_to_itself_is_no_loop() {
    let world = world(PROVIDER).await;
    let mut browser = world.browser();
    let form = browser.follow("/reports").await;
    let reset = press(&mut browser, &form, 1, ("forgot", "1")).await;
    let done = browser.fill(&reset, 0, &[("username", MEMBER), ("new_password", "n")]).await;
    let next = browser.open_url(&done.location()).await;
    assert_eq!(policy(&next), "b2c_1_signupsignin");
    world.microsoft.end_all_sessions();
    let form = browser.follow_from(next).await;
    let page = press(&mut browser, &form, 1, ("forgot", "1")).await;
    assert_refusal(&page, 400, "login-password-forgotten");
    let html = page.text();
    assert!(html.contains("Choose a new password"), "{html}");
    let link =
        html.split("href=\"").find(|rest| rest.starts_with("/.auth/login/corporate")).unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&").replace("&#61;", "=");
    let next = browser.open(&link).await;
    assert_eq!(policy(&next), "b2c_1_passwordreset", "{link}");
    world.stop().await;
}

#[tokio::test]
async fn az_04_a_reset_that_is_given_up_leads_to_a_choice() {
    let world = world(PROVIDER).await;
    let mut browser = world.browser();
    let page = browser.follow("/lost-password").await;
    assert!(page.url.path().contains("b2c_1_passwordreset"), "{}", page.url);
    let page = press(&mut browser, &page, 1, ("cancel", "1")).await;
    assert_refusal(&page, 403, "login-cancelled");
    world.stop().await;
}

#[tokio::test]
async fn az_04_a_reset_within_the_sign_in_is_an_ordinary_sign_in() {
    let b2c = B2c { resets_within: true, ..B2c::default() };
    let plan = Plan { provider: PROVIDER, portal: PORTAL, b2c, ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut browser = world.browser();
    let form = browser.follow("/reports").await;
    let reset = browser.fill(&form, 1, &[("forgot", "1")]).await;
    let done = browser.fill(&reset, 0, &[("username", MEMBER), ("new_password", "n")]).await;
    let landed = browser.follow_from(done).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    world.stop().await;
}

#[tokio::test]
async fn az_04_somebody_who_signs_up_is_new() {
    let world = world(PROVIDER).await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/register", MEMBER).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/"), "{}", landed.text());
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-new"), Some("true"));
    assert_eq!(seen.header("x-auth-flow"), Some("B2C_1_signup"));
    let again = browser.follow("/register").await;
    assert_eq!(again.status, 200);
    assert!(again.text().contains("signed in"), "{}", again.text());
    world.stop().await;
}

#[tokio::test]
async fn az_04_a_token_of_one_journey_is_no_other_ones() {
    let world = world(PROVIDER).await;
    for (start, other) in [
        ("/", "B2C_1_signup"),
        ("/", "B2C_1_passwordreset"),
        ("/register", "B2C_1_signupsignin"),
        ("/register", "B2C_1_profileedit"),
    ] {
        let mut browser = world.browser();
        let wrong = json!({ "tfp": other });
        world.microsoft.next_claims(wrong.as_object().unwrap().clone());
        let page = browser.sign_in(start, MEMBER).await;
        assert_refusal(&page, 403, "token-policy");
        assert!(!browser.own_cookies().contains_key("__Host-anteport"));
    }
    assert!(world.portal.received().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_profile_is_changed_in_the_same_session_of_the_same_member() {
    let world = world(PROVIDER).await;
    let mut browser = signed_in(&world).await;
    let before = browser.own_cookies().get("__Host-anteport").cloned();
    let link = "/.auth/login/corporate?flow=profile_edit&post_login_redirect_uri=/me?tab=1";
    let profile = browser.follow(link).await;
    assert!(profile.text().contains("name=\"display_name\""), "{}", profile.text());
    let done = browser.fill(&profile, 0, &[("display_name", "Inês de Castro")]).await;
    let landed = browser.follow_from(done).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/me"), "{}", landed.text());
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-name"), Some("In%C3%AAs de Castro"));
    assert_eq!(seen.header("x-auth-flow"), Some("B2C_1_signupsignin"), "who signed in by that");
    let after = browser.own_cookies().get("__Host-anteport").cloned();
    assert!(after.is_some() && after != before, "SESS-01: a new id");
    let mut old = world.browser();
    old.own_cookies().insert("__Host-anteport".to_owned(), before.unwrap());
    assert_eq!(old.open("/me").await.status, 303, "the old one is worth nothing");
    world.stop().await;
}

#[tokio::test]
async fn a_profile_that_is_left_as_it_is_leaves_the_session_too() {
    let world = world(PROVIDER).await;
    let mut browser = signed_in(&world).await;
    let before = browser.own_cookies().get("__Host-anteport").cloned();
    let link = "/.auth/login/corporate?flow=profile_edit&post_login_redirect_uri=/me";
    let profile = browser.follow(link).await;
    let landed = press(&mut browser, &profile, 1, ("cancel", "1")).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/me"), "{}", landed.text());
    assert_eq!(browser.own_cookies().get("__Host-anteport").cloned(), before);
    world.stop().await;
}

#[tokio::test]
async fn a_profile_of_another_person_ends_the_session() {
    let world = world(PROVIDER).await;
    let mut browser = signed_in(&world).await;
    let profile = browser.follow("/profile").await;
    let other = json!({
        "oid": "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70199",
        "sub": "91d0f3b2-7c64-4e15-8a0b-d3e6c5f70199",
    });
    world.microsoft.next_claims(other.as_object().unwrap().clone());
    let done = browser.fill(&profile, 0, &[("display_name", "Mallory")]).await;
    let requests = world.portal.received().len();
    let page = browser.follow_from(done).await;
    assert_refusal(&page, 400, "login-other-member");
    assert_eq!(browser.open("/me").await.status, 303, "nobody is signed in any more");
    assert_eq!(world.portal.received().len(), requests);
    world.stop().await;
}

#[tokio::test]
async fn who_changes_a_profile_without_a_session_signs_in_by_the_sign_in_policy() {
    let world = world(PROVIDER).await;
    let mut browser = world.browser();
    let form = browser.follow("/profile").await;
    let profile = browser.submit(&form, MEMBER, "demo").await;
    assert!(profile.text().contains("name=\"display_name\""), "{}", profile.text());
    let done = browser.fill(&profile, 0, &[("display_name", "Ines II")]).await;
    let next = browser.open_url(&done.location()).await;
    assert_eq!(policy(&next), "b2c_1_signupsignin");
    assert!(!browser.own_cookies().contains_key("__Host-anteport"), "not by the edit's token");
    let landed = browser.follow_from(next).await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    let seen = world.portal.last();
    assert_eq!(seen.header("x-auth-flow"), Some("B2C_1_signupsignin"));
    assert_eq!(seen.header("x-auth-name"), Some("Ines II"));
    world.stop().await;
}

const POSTED: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_signupsignin
    password_reset_policy: B2C_1_passwordreset
    request: { response_mode: form_post }"#;

#[tokio::test]
async fn sess_01_a_detour_by_form_post_ends_the_session_that_it_replaces() {
    let world = World::start_with(Plan { provider: POSTED, ..Plan::default() }).await;
    let mut browser = world.browser();
    let form = browser.follow("/").await;
    let page = browser.submit(&form, MEMBER, "demo").await;
    let landed = browser.fill(&page, 0, &[]).await;
    assert_eq!(browser.follow_from(landed).await.status, 200);
    let mut old = browser.clone();
    let reset = browser.follow("/.auth/login/corporate?flow=password_reset").await;
    let page = browser.fill(&reset, 0, &[("username", MEMBER), ("new_password", "n")]).await;
    let next = browser.fill(&page, 0, &[]).await;
    let page = browser.follow_from(next).await;
    let landed = browser.fill(&page, 0, &[]).await;
    assert_eq!(browser.follow_from(landed).await.status, 200);
    assert_eq!(old.open("/me").await.status, 303, "the earlier one is over");
    world.stop().await;
}

//! `/.auth/test`: a login to the end, of which nothing is left.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::world::browser::PAGE;
use crate::world::folder::Folder;
use crate::world::{Plan, World};

const WITH_TEST: &str = r#"
    mode: azure_only
    sign_in: { test: true }
    local_login: {}
    routes:
      - { path: "/assets/**", access: public }
      - { path: "/books/**", access: signed_in, requires: { roles: [Treasurer] } }
      - { path: "/board/**", access: signed_in, requires: { roles: [Board, Chair] } }
      - { path: "/vault/**", access: signed_in, requires: { authentication_context: c1 } }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Name: name, X-Auth-Roles: roles, X-Auth-Nothing: nothing }
"#;

async fn world() -> World {
    World::start_with(Plan { portal: WITH_TEST, ..Plan::default() }).await
}

fn logins(result: &str) -> String {
    format!("anteport_logins_total{{provider=\"corporate\",result=\"{result}\"}}")
}

const TREASURER: &str = "treasurer@harborclub.example";

#[tokio::test]
async fn what_would_come_of_a_login_is_shown_and_nothing_does() {
    let world = world().await;
    let mut ada = world.browser();
    let page = ada.open("/.auth/test").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("href=\"/.auth/test/corporate\""), "{}", page.text());
    let shown = ada.sign_in("/.auth/test/corporate", TREASURER).await;
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("no-store")));
    let text = shown.text();
    for said in [
        "The sign-in works",
        "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57",
        "x-auth-roles",
        "Member,Treasurer",
        "roles Treasurer: this member passes",
        "roles Board or Chair: this member has none of the roles that the route requires (role-missing)",
        "authentication_context c1: this member signs in once more first",
        "signed in: this member passes",
        "public: everybody passes",
        "<dt>aud</dt>",
        "of claim roles",
        "<dt>x-auth-nothing</dt><dd class=\"plain\">is not sent",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // No session, no token, nothing at the portal, and no cookie but none.
    assert!(!text.contains("eyJ"), "no token is shown");
    assert!(ada.own_cookies().is_empty(), "{:?}", ada.own_cookies());
    assert!(world.portal.received().is_empty());
    assert_eq!(world.metric("anteport_sessions_created_total").await, 0.0);
    for (result, count) in [("tested", 1.0), ("started", 0.0), ("success", 0.0)] {
        assert_eq!(world.metric(&logins(result)).await, count, "{result}");
    }
    assert_eq!(ada.open("/reports").await.status, 303, "a stranger as before");
    world.stop().await;
}

#[tokio::test]
async fn who_is_signed_in_stays_so() {
    let world = world().await;
    let mut ada = world.treasurer().await;
    let before = ada.own_cookies().clone();
    let begun = ada.open("/.auth/test/corporate").await;
    let shown = ada.follow_from(begun).await;
    assert!(shown.text().contains("The sign-in works"));
    assert_eq!(*ada.own_cookies(), before);
    assert_eq!(ada.open("/reports").await.status, 200);
    let told = world.portal.last();
    assert_eq!(told.header("x-auth-user"), Some("7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57"));
    world.stop().await;
}

#[tokio::test]
async fn oidc_02_a_test_is_a_login_and_its_callback_counts_once() {
    let world = world().await;
    let mut ada = world.browser();
    let callback = ada.sign_in_to_callback("/.auth/test/corporate", TREASURER).await;
    let mut copy = ada.clone();
    assert_eq!(ada.open_url(&callback).await.status, 200);
    let again = copy.open_url(&callback).await;
    assert!(again.status == 400 && again.text().contains("login-replayed"), "{}", again.text());
    // A stranger's browser is shown nothing of it.
    let elsewhere = world.browser().open_url(&callback).await;
    assert!(!elsewhere.text().contains("7b2e5c90"), "{}", elsewhere.text());
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_shown_as_that() {
    const CLAIM_OF_NO_FORM: &str = r#"
    mode: azure_only
    sign_in: { test: true }
    local_login: {}
    identity:
      headers: { X-Auth-Groups: groups }
"#;
    let world = World::start_with(Plan { portal: CLAIM_OF_NO_FORM, ..Plan::default() }).await;
    let many = "groups2000@harborclub.example";
    let shown = world.browser().sign_in("/.auth/test/corporate", many).await;
    assert!(shown.text().contains("identity-group-overage"), "{}", shown.text());
    world.stop().await;
}

#[tokio::test]
async fn without_the_key_there_is_none() {
    let world = World::start().await;
    for path in ["/.auth/test", "/.auth/test/corporate"] {
        let answer = world.browser().open(path).await;
        assert!(answer.status == 404 && answer.text().contains("endpoint-unknown"), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_picture_or_a_script_begins_no_test() {
    let world = world().await;
    let picture = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let answer = world.browser().send("GET", "/.auth/test/corporate", &picture, b"").await;
    assert_eq!(answer.status, 401);
    let answer = world.browser().send("POST", "/.auth/test/corporate", PAGE, b"").await;
    assert_eq!(answer.status, 405);
    for path in ["/.auth/test/nobody", "/.auth/test/corporate?flow=profile_edit"] {
        assert_eq!(world.browser().open(path).await.status, 404, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_test_that_fails_leads_to_another_and_is_no_failed_login() {
    let world = world().await;
    for (error, code, link) in [
        ("temporarily_unavailable", None, "/.auth/test/corporate"),
        ("access_denied", Some("AADSTS50105"), "/.auth/test/corporate?account=another"),
    ] {
        let mut ada = world.browser();
        world.microsoft.authorize_error(error, None, code);
        let page = ada.follow("/.auth/test/corporate").await;
        assert!([403, 503].contains(&page.status), "{}", page.text());
        assert_eq!(crate::errors::button(&page), link);
        assert!(!page.text().contains("/.auth/login/"), "{}", page.text());
        let shown = ada.sign_in(link, TREASURER).await;
        assert!(shown.text().contains("The sign-in works"), "{}", shown.text());
    }
    let failures = world.metrics().await;
    for (result, count) in [("test-failed", 2.0), ("tested", 2.0), ("started", 0.0)] {
        assert_eq!(world.metric(&logins(result)).await, count, "{result}");
    }
    for code in ["provider-busy", "login-refused-by-provider"] {
        assert!(failures.contains(&format!("{} 0", logins(code))), "{code}");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_no_browser_keeps_is_said_and_what_fits_too() {
    let folder = Folder::new();
    folder.write("key", &STANDARD.encode([1; 32]));
    let at = folder.at("key").display().to_string();
    let kept = format!("{{ store: cookie, keys: [{{ file: \"{at}\" }}] }}");
    let plan = Plan { portal: WITH_TEST, kept_sessions: Some(kept), ..Plan::default() };
    let world = World::start_with(plan).await;
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    assert!(shown.contains("fits into the cookies"), "{shown}");
    assert!(shown.contains("The sign-in works"), "{shown}");
    // What nothing is told of, and yet has to be kept.
    let large = json!({ "hobby": "n".repeat(12 * 1024) }).as_object().unwrap().clone();
    world.microsoft.next_claims(large.clone());
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    assert!(shown.contains("(session-too-large)"), "{shown}");
    assert!(shown.contains("The sign-in would be refused"), "{shown}");
    world.microsoft.next_claims(large);
    let landed = world.browser().sign_in("/reports", TREASURER).await;
    assert!(landed.text().contains("session-too-large"), "SESS-05: as it is: {}", landed.text());
    world.stop().await;
}

#[tokio::test]
async fn whom_no_route_lets_in_is_not_shown_what_they_ask_for() {
    const BOARD: &str = r#"
    mode: azure_only
    sign_in: { test: true }
    local_login: {}
    routes:
      - { path: "/secret-minutes/**", access: signed_in, requires: { roles: [Chair] } }
      - { path: "/**", access: signed_in, requires: { roles: [Treasurer] } }
"#;
    let world = World::start_with(Plan { portal: BOARD, ..Plan::default() }).await;
    let member = "member@harborclub.example";
    let shown = world.browser().sign_in("/.auth/test/corporate", member).await.text();
    assert!(!shown.contains("secret-minutes") && !shown.contains("Chair"), "{shown}");
    assert!(shown.contains("this portal would not let you in"), "{shown}");
    let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
    assert!(shown.contains("/secret-minutes/**"), "{shown}");
    world.stop().await;
}

#[tokio::test]
async fn whom_the_portal_cannot_be_told_of_is_not_shown_what_routes_ask_for() {
    const ADDRESSED: &str = r#"
    mode: azure_only
    sign_in: { test: true }
    local_login: {}
    routes:
      - { path: "/secret-minutes/**", access: signed_in, requires: { roles: [Chair] } }
      - { path: "/**", access: signed_in }
    identity: { preset: authelia, only_way_in: true, assertion: none }
"#;
    let folder = Folder::new();
    folder.write("key", &STANDARD.encode([1; 32]));
    let at = folder.at("key").display().to_string();
    let kept = Some(format!("{{ store: cookie, keys: [{{ file: \"{at}\" }}] }}"));
    let plan = Plan { portal: ADDRESSED, kept_sessions: kept, ..Plan::default() };
    let world = World::start_with(plan).await;
    let verified = json!({ "xms_edov": true });
    let large = json!({ "xms_edov": true, "hobby": "n".repeat(12 * 1024) });
    for (claims, code) in [
        (json!({}), Some("identity-email-unverified")),
        (large, Some("session-too-large")),
        (verified, None),
    ] {
        world.microsoft.next_claims(claims.as_object().unwrap().clone());
        let shown = world.browser().sign_in("/.auth/test/corporate", TREASURER).await.text();
        assert!(code.is_none_or(|code| shown.contains(code)), "{code:?} {shown}");
        let (path, role) = (shown.contains("secret-minutes"), shown.contains("Chair"));
        assert_eq!((path, role), (code.is_none(), code.is_none()), "{code:?} {shown}");
    }
    world.stop().await;
}

//! Sessions from before a change of the configuration, of which not all can be told that the portal
//! is told now.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::browser::{Browser, PAGE};
use crate::world::folder::Folder;
use crate::world::{Plan, World, assert_refusal};

const PORTAL: &str = r#"
    mode: azure_only
    local_login: {}
    routes:
      - { path: "/assets/**", access: public }
      - { path: "/untold/**", access: signed_in, identity: none }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid }
"#;
const TOLD: &str = "headers: { X-Auth-User: oid }";
/// What no claim of anybody's has.
const MORE: &str =
    "headers: { X-Auth-User: oid, X-Auth-Number: { claim: number, required: true } }";
const ADA: &str = "7b2e5c90-41d3-4a8f-8c6b-2f9e0d1a3c57";

/// A member of a portal, before its configuration becomes another: what was `known` is `written`.
async fn changed(portal: &'static str, known: &str, written: &str) -> (World, Browser, Folder) {
    changed_at(portal, "scopes: [openid, profile]", (known, written)).await
}

async fn changed_at(
    portal: &'static str,
    scopes: &str,
    (known, written): (&str, &str),
) -> (World, Browser, Folder) {
    let folder = Folder::new();
    folder.write("key", &STANDARD.encode([1; 32]));
    let at = |name: &str| folder.at(name).display().to_string();
    let kept = format!(
        "{{ keys: [{{ file: \"{}\" }}], snapshot: \"{}\", absolute_timeout: 4h }}",
        at("key"),
        at("sessions")
    );
    let credentials = format!("{}\n    {scopes}", Plan::default().credentials);
    let plan = Plan { portal, kept_sessions: Some(kept), credentials, ..Plan::default() };
    let mut world = World::start_with(plan).await;
    let mut ada = world.browser();
    let landed = ada.sign_in("/.auth/login/corporate", "treasurer@harborclub.example").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    world.configure(known, written);
    world.restart().await;
    (world, ada, folder)
}

#[tokio::test]
async fn hdr_09_what_cannot_be_told_any_more_stops_nobody_where_it_is_not_told() {
    let (world, mut ada, _folder) = changed(PORTAL, TOLD, MORE).await;
    for path in ["/assets/logo", "/untold/feed"] {
        assert_eq!(ada.open(path).await.status, 200, "{path}");
        assert_eq!(world.portal.last().header("x-auth-user"), None, "{path}");
    }
    assert_eq!(ada.send("POST", "/untold/feed", &[], b"").await.status, 200);
    assert_eq!(ada.open("/.auth/me").await.status, 200, "and the session is there");
    let stranger = world.browser().open("/untold/feed").await;
    assert_eq!(stranger.status, 303, "for members");
    world.stop().await;
}

#[tokio::test]
async fn hdr_09_what_cannot_be_told_any_more_is_said_by_the_next_sign_in() {
    let (world, mut ada, _folder) = changed(PORTAL, TOLD, MORE).await;
    let before = world.portal.received().len();
    // As often as it is asked for, and never in circles.
    for _ in 0..5 {
        let said = ada.follow("/reports").await;
        assert_refusal(&said, 403, "identity-claim-missing");
    }
    let script = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    let said = ada.send("GET", "/api", &script, b"").await;
    assert_eq!(said.status, 403);
    assert!(said.text().contains("identity-claim-missing"), "{}", said.text());
    let form = ada.send("POST", "/reports", PAGE, b"a=b").await;
    assert_refusal(&form, 403, "identity-claim-missing");
    assert!(form.text().contains("/.auth/login/corporate?"), "{}", form.text());
    assert!(!form.text().contains("reports"), "GEN-07: {}", form.text());
    assert_eq!(world.portal.received().len(), before, "the portal was told nothing");
    world.stop().await;
}

#[tokio::test]
async fn hdr_09_a_sign_in_brings_what_the_session_lacked() {
    const ADDRESSED: &str =
        "headers: { X-Auth-User: oid, X-Auth-Email: { claim: email, required: true } }";
    let scopes = ("scopes: [openid, profile]", "scopes: [openid, profile, email]");
    let (mut world, mut ada, _folder) = changed_at(PORTAL, scopes.0, (TOLD, ADDRESSED)).await;
    assert_refusal(&ada.follow("/reports").await, 403, "identity-claim-missing");
    world.configure(scopes.0, scopes.1);
    world.restart().await;
    let page = ada.follow("/reports?year=2026").await;
    assert_eq!((page.status, page.url.query()), (200, Some("year=2026")));
    let told = world.portal.last();
    assert_eq!(told.header("x-auth-user"), Some(ADA));
    assert!(told.header("x-auth-email").is_some());
    world.stop().await;
}

#[tokio::test]
async fn hdr_09_gen_03_where_somebody_may_be_nobody_pages_go_on_and_nothing_is_written_as_nobody() {
    const OPTIONAL: &str = r#"
    mode: optional
    sign_in: { button_label: Sign in }
    routes:
      - { path: "/**", access: public }
    identity:
      headers: { X-Auth-User: oid }
"#;
    let (world, mut ada, _folder) = changed(OPTIONAL, TOLD, MORE).await;
    assert_eq!(ada.open("/reports").await.status, 200);
    assert_eq!(world.portal.last().header("x-auth-user"), None);
    assert!(!world.portal.last().headers.iter().any(|(_, value)| value.contains(ADA)));
    let style = [("accept", "text/css,*/*;q=0.1"), ("sec-fetch-mode", "no-cors")];
    let style = [&style[..], &[("sec-fetch-dest", "style")]].concat();
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for (method, headers) in
        [("HEAD", PAGE), ("GET", &style[..]), ("GET", &frame[..]), ("GET", &[])]
    {
        assert_eq!(ada.send(method, "/reports", headers, b"").await.status, 200, "{headers:?}");
    }
    assert_untold_where_it_matters(&world, &ada).await;
    world.stop().await;
}

#[tokio::test]
async fn hdr_09_gen_03_on_a_public_route_nothing_is_written_as_nobody() {
    let (world, ada, _folder) = changed(PORTAL, TOLD, MORE).await;
    assert_eq!(ada.send("GET", "/assets/logo", PAGE, b"").await.status, 200);
    assert_untold_where_it_matters(&world, &ada).await;
    world.stop().await;
}

/// What depends on who asks reaches no portal as nobody's, and says why.
async fn assert_untold_where_it_matters(world: &World, ada: &Browser) {
    let before = world.portal.received().len();
    let script = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    let fetch = [("accept", "*/*"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    let old = [("accept", "*/*"), ("x-requested-with", "XMLHttpRequest")];
    for (method, headers) in [
        ("POST", PAGE),
        ("POST", &[]),
        ("PUT", &fetch[..]),
        ("DELETE", &fetch[..]),
        ("GET", &script[..]),
        ("GET", &fetch[..]),
        ("HEAD", &fetch[..]),
        ("GET", &old[..]),
    ] {
        let said = ada.send(method, "/assets/comments", headers, b"").await;
        assert_eq!(said.status, 403, "{method} {headers:?}");
        assert!(method == "HEAD" || said.text().contains("identity-claim-missing"), "{method}");
    }
    assert_eq!(world.portal.received().len(), before, "the portal was told nothing");
    let stranger = world.browser().send("POST", "/assets/comments", PAGE, b"").await;
    assert_eq!(stranger.status, 200, "a stranger is one");
}

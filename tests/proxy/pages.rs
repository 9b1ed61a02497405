//! What an operator has said of our own pages: the portal's name, its colour and where help is, on
//! each page of that portal, and on nothing else.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use anteport::pages::STYLE;
use anteport::server::ReloadError;

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const BRANDED: &str = r##"
    mode: azure_only
    sign_in: { test: true, resend_forms: 64KiB }
    break_glass: { link: {} }
    pages:
      name: "Harbour <b>'Members'</b> & \"Friends\""
      colour: "#0b2545"
      help: "https://help.example.org/sign-in?from=portal&to=club#where"
      help_label: "the <i>club's</i> \"office\""
    local_login:
      login_pages: [/login]
      password_routes:
        - { path: /login, methods: [POST] }
    routes:
      - { path: "/public/**", access: public }
      - { path: "/books/**", access: signed_in, requires: { roles: [Board] } }
      - { path: "/**", access: signed_in }
"##;

/// One with a light colour and nothing else, and one of which nothing is said.
const OTHERS: &str = r##"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM" }
    auth_path: /own
    sign_in: { test: true }
    break_glass: { link: {} }
    pages: { colour: "#fc0" }
    local_login: { password_routes: [ { path: /login, methods: [POST] } ] }
  - public_url: "http://127.0.0.9:PORT"
    upstream: { url: "http://UPSTREAM" }
    auth_path: /own
    sign_in: { test: true }
    break_glass: { link: {} }
    local_login: { password_routes: [ { path: /login, methods: [POST] } ] }
"##;

const NAME: &str = "Harbour &#60;b&#62;&#39;Members&#39;&#60;/b&#62; &#38; &#34;Friends&#34;";
const HELP: &str = "<p class=\"help\">Ask for help: <a \
                    href=\"https://help.example.org/sign-in?from=portal&#38;to=club#where\" \
                    rel=\"noreferrer\">the &#60;i&#62;club&#39;s&#60;/i&#62; \
                    &#34;office&#34;</a></p>";

async fn world() -> World {
    World::start_with(Plan { portal: BRANDED, more_portals: OTHERS, ..Plan::default() }).await
}

/// At another name of ours.
fn at(world: &World, host: &str) -> Browser {
    let mut browser = Browser::new(format!("http://{host}:{}", world.proxy.port()));
    browser.reached.insert(format!("{host}:{}", world.proxy.port()), world.proxy);
    browser
}

/// The style of a page, which is the one that its policy allows.
fn style(page: &Answer) -> String {
    let text = page.text();
    assert_eq!(text.matches("<style").count(), 1, "{text}");
    let (_, rest) = text.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with(&format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; \
             frame-ancestors 'none'; form-action 'self'"
        )),
        "{policy} at {}",
        page.url
    );
    for part in ["<script", "<img", "<link", " style=", "url(", "@import"] {
        assert!(!text.contains(part), "{part} at {}", page.url);
    }
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    style.to_owned()
}

fn title(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("<title>").unwrap();
    rest.split_once("</title>").unwrap().0.to_owned()
}

/// Pages of every kind that there is without a session.
async fn pages(browser: &mut Browser, own: &str) -> Vec<Answer> {
    let mut pages = Vec::new();
    for path in ["login", "test", "break-glass", "break-glass?link=x", "logout/done", "nothing"] {
        pages.push(browser.open(&format!("{own}/{path}")).await);
    }
    for (method, target) in [("POST", "/login"), ("GET", "/a//b"), ("BREW", "/")] {
        pages.push(browser.send(method, target, PAGE, b"").await);
    }
    pages
}

#[tokio::test]
async fn ui_01_the_policy_of_each_page_allows_exactly_the_style_that_is_in_it() {
    let world = world().await;
    let mut styles = Vec::new();
    for (host, own) in [("127.0.0.1", "/.auth"), ("localhost", "/own"), ("127.0.0.9", "/own")] {
        let pages = pages(&mut at(&world, host), own).await;
        let statuses: Vec<u16> = pages.iter().map(|page| page.status).collect();
        assert_eq!(statuses, [200, 200, 200, 400, 200, 404, 403, 400, 405], "{host}");
        let mut of_portal: Vec<String> = pages.iter().map(style).collect();
        of_portal.dedup();
        assert_eq!(of_portal.len(), 1, "one style for all pages of {host}");
        styles.append(&mut of_portal);
    }
    let [dark, light, none] = &*styles else { panic!("{styles:?}") };
    assert_eq!(none, STYLE);
    for (branded, colour) in [(dark, "#0b2545"), (light, "#ffcc00")] {
        let rule = branded.strip_prefix(STYLE).unwrap();
        assert!(rule.starts_with(&format!(":root{{--accent:{colour};")), "{rule}");
    }
    assert!(dark.contains("--on-accent:#ffffff;--link:#0b2545;"), "{dark}");
    assert!(light.contains("--on-accent:#000000;--link:#907300;"), "{light}");
    // Of no portal.
    let nobody = at(&world, "nobody.example").open("/").await;
    assert_refusal(&nobody, 421, "host-unknown");
    assert_eq!(style(&nobody), STYLE);
    assert!(!nobody.text().contains("Harbour") && !nobody.text().contains("Ask for help"));
    world.stop().await;
}

#[tokio::test]
async fn ui_01_a_name_and_the_way_to_help_are_text_wherever_they_stand() {
    let world = world().await;
    let mut browser = world.browser();
    let mut all = pages(&mut browser, "/.auth").await;
    // A page with a member's name, one that shows a test, one that refuses a member.
    let mut ada = world.treasurer().await;
    all.push(ada.open("/login").await);
    all.push(ada.open("/books/x").await);
    all.push(ada.follow("/.auth/test/corporate").await);
    let elsewhere = [&PAGE[..3], &[("sec-fetch-site", "cross-site")]].concat();
    all.push(ada.send("GET", "/.auth/logout", &elsewhere, b"").await);
    // A login that failed.
    world.microsoft.authorize_error("access_denied", None, None);
    let failed = browser.follow("/x").await;
    assert_refusal(&failed, 403, "login-cancelled");
    all.push(failed);
    for page in &all {
        let text = page.text();
        style(page);
        assert!(title(page).ends_with(NAME), "{} at {}", title(page), page.url);
        for raw in ["<b>", "<i>", "Harbour <", "&to=", "\"Friends\""] {
            assert!(!text.contains(raw), "{raw} at {}", page.url);
        }
        let is_refusal = page.status >= 400;
        assert_eq!(text.contains(HELP), is_refusal, "{text}");
    }
    // Where something is asked for, the host stands beside the name.
    let host = world.proxy;
    for path in ["/.auth/login", "/.auth/test", "/.auth/break-glass"] {
        let text = browser.open(path).await.text();
        assert!(text.contains(&format!("<strong>{NAME}</strong> ({host})")), "{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_form_that_waits_for_its_member_looks_like_its_portal_too() {
    let world = world().await;
    let ada = world.treasurer().await;
    world.clock.advance(Duration::from_secs(31 * 60));
    let origin = format!("http://{}", world.proxy);
    let of_page = [
        ("sec-fetch-site", "same-origin"),
        ("origin", &*origin),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let headers = [&PAGE[..3], &of_page].concat();
    let kept = ada.send("POST", "/entry", &headers, b"text=long").await;
    assert_refusal(&kept, 401, "form-kept");
    assert!(style(&kept).contains("--accent:#0b2545"));
    assert!(title(&kept).ends_with(NAME) && kept.text().contains(HELP), "{}", kept.text());
    world.stop().await;
}

/// Programs have no use for it.
#[tokio::test]
async fn what_is_no_page_says_nothing_of_it() {
    let world = world().await;
    for accept in ["application/json", "*/*"] {
        let answer = world.browser().send("POST", "/login", &[("accept", accept)], b"").await;
        assert_refusal(&answer, 403, "local-login-blocked");
        let text = answer.text();
        assert!(!text.contains("Harbour") && !text.contains("help.example.org"), "{text}");
        assert_eq!(answer.header("content-security-policy"), None);
    }
    world.stop().await;
}

#[tokio::test]
async fn cfg_02_a_reload_changes_how_pages_look_and_a_bad_one_does_not() {
    let world = world().await;
    let mut browser = world.browser();
    let before = browser.open("/.auth/login").await;
    assert!(style(&before).contains("--accent:#0b2545"));
    world.configure("colour: \"#0b2545\"", "colour: red");
    let error = world.reload().await.unwrap_err();
    assert!(matches!(error, ReloadError::Problems(_)), "{error:?}");
    assert_eq!(style(&browser.open("/.auth/login").await), style(&before));
    world.configure("colour: red", "colour: \"#7a1f3d\"");
    world.configure("Harbour <b>'Members'</b>", "Moorings");
    world.configure(
        "https://help.example.org/sign-in?from=portal&to=club#where",
        "mailto:a@b.example",
    );
    world.reload().await.unwrap();
    let after = browser.open("/.auth/login").await;
    assert!(style(&after).contains("--accent:#7a1f3d") && !style(&after).contains("0b2545"));
    assert!(title(&after).contains("Moorings"), "{}", title(&after));
    let refused = browser.send("POST", "/login", PAGE, b"").await;
    assert!(refused.text().contains("<a href=\"mailto:a@b.example\""), "{}", refused.text());
    // Nothing is said any more, and the page is as it would be without.
    world.configure("colour: \"#7a1f3d\"", "");
    world.reload().await.unwrap();
    assert_eq!(style(&browser.open("/.auth/login").await), STYLE);
    world.stop().await;
}

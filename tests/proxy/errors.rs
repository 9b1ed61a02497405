//! What a member and an operator are told when the provider says no.

use anteport::demo::microsoft::{Fault, TokenAnswer};

use crate::kinds::B2C;
use crate::world::browser::Answer;
use crate::world::{Plan, World, assert_refusal};

const TREASURER: &str = "treasurer@harborclub.example";

/// A description as Microsoft writes them, with text that must not be shown.
fn described(code: &str) -> String {
    format!(
        "{code}: User <script>alert('x')</script> of app 'canary'.\r\nTrace ID: \
         0d1f2a3b-0000-4000-8000-000000000001\r\nCorrelation ID: \
         9b3e4c5d-0000-4000-8000-000000000002\r\nTimestamp: 2026-03-02 08:15:30Z"
    )
}

/// What a visitor sees when the redirect URI gets this error.
async fn answered(world: &World, error: &str, code: &str) -> Answer {
    let description = (!code.is_empty()).then(|| described(code));
    world.microsoft.authorize_error(error, None, description.as_deref());
    world.browser().follow("/reports?year=2026").await
}

#[tokio::test]
async fn oidc_16_each_class_of_error_has_its_page_and_status() {
    let world = World::start().await;
    for (error, code, status, reason, sentence) in [
        ("access_denied", "", 403, "login-cancelled", "stopped"),
        ("access_denied", "AADSTS65004", 403, "login-cancelled", "You did not agree"),
        ("access_denied", "AADB2C90091", 403, "login-cancelled", "stopped the sign-in"),
        ("access_denied", "AADSTS99999999", 403, "login-refused-by-provider", "another account"),
        ("interaction_required", "AADSTS50105", 403, "login-refused-by-provider", "no access to"),
        ("interaction_required", "AADSTS50076", 403, "login-interaction-required", "second proof"),
        ("login_required", "AADSTS50058", 403, "login-interaction-required", "not signed in yet"),
        ("server_error", "AADB2C90157", 400, "login-broken-off", "too many tries"),
        ("unsupported_response_type", "AADSTS700054", 500, "login-misconfigured", "whoever runs"),
        ("invalid_scope", "", 500, "login-misconfigured", "whoever runs"),
        ("invalid_resource", "AADSTS1", 500, "login-misconfigured", "whoever runs"),
        ("temporarily_unavailable", "AADB2C90035", 503, "provider-busy", "Wait a minute"),
        ("server_error", "AADSTS1", 503, "provider-busy", "Wait a minute"),
        ("nobody_knows", "AADSTS1", 403, "login-refused-by-provider", "another account"),
    ] {
        let page = answered(&world, error, code).await;
        assert_refusal(&page, status, reason);
        let text = page.text();
        assert!(text.contains(sentence), "{code}: {text}");
        assert!(!text.contains("canary") && !text.contains("alert("), "their text: {text}");
        assert_eq!(page.header("retry-after").is_some(), status == 503, "{code}");
        assert_eq!(text.contains("9b3e4c5d-0000-4000-8000-000000000002"), !code.is_empty());
        assert!(text.contains(code), "{code}: {text}");
        assert!(!text.contains("0d1f2a3b"), "the trace id is for the log");
        let series = format!("anteport_logins_total{{provider=\"corporate\",result=\"{reason}\"}}");
        assert!(world.metric(&series).await >= 1.0, "{series}");
    }
    assert!(world.portal.received().is_empty());
    assert_eq!(world.microsoft.counts().token, 0);
    world.stop().await;
}

#[tokio::test]
async fn the_button_of_a_failed_sign_in_leads_to_the_page_that_was_asked_for() {
    let world = World::start().await;
    let mut browser = world.browser();
    for _ in 0..5 {
        world.microsoft.authorize_error("access_denied", Some("cancel"), None);
        let page = browser.follow("/reports?year=2026").await;
        assert_refusal(&page, 403, "login-cancelled");
        let again = button(&page);
        let landed = browser.clone().sign_in(&again, TREASURER).await;
        assert_eq!((landed.url.path(), landed.url.query()), ("/reports", Some("year=2026")));
        world.clock.advance(std::time::Duration::from_secs(60));
    }
    world.stop().await;
}

/// Where the page's button leads.
pub fn button(page: &Answer) -> String {
    let html = page.text();
    let (_, link) = html.split_once("class=\"button\" href=\"").unwrap();
    link.split('"').next().unwrap().replace("&#38;", "&")
}

#[tokio::test]
async fn a_refusal_of_the_token_endpoint_has_its_code_and_correlation_id() {
    let world = World::start().await;
    world.microsoft.next_token_answer(TokenAnswer::SecretExpired);
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let page = browser.open_url(&callback).await;
    assert_refusal(&page, 503, "client-secret-refused");
    let text = page.text();
    assert!(text.contains("AADSTS7000222") && text.contains("has run out"), "{text}");
    assert!(text.contains("correlation id"), "{text}");
    // A code that nobody knows: start again.
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/reports", TREASURER).await;
    let spent = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let wrong = callback.as_str().replace(&spent, "1.AXYAunknown");
    let page = browser.open_url(&url::Url::parse(&wrong).unwrap()).await;
    assert_refusal(&page, 400, "token-request-refused");
    assert!(page.text().contains("start it again"), "{}", page.text());
    world.stop().await;
}

#[tokio::test]
async fn who_is_refused_may_use_another_account() {
    for (plan, username, code, prompt, other) in [
        (Plan::default(), TREASURER, "token-guest", "select_account", "member@harborclub.example"),
        (Plan::default(), TREASURER, "token-issuer", "select_account", TREASURER),
        (
            Plan { provider: B2C, ..Plan::default() },
            "ines@mail.example",
            "login-refused-by-provider",
            "login",
            "ines@mail.example",
        ),
    ] {
        let world = World::start_with(plan).await;
        let mut browser = world.browser();
        match code {
            "token-guest" => world.microsoft.next_token(Fault::Guest),
            "token-issuer" => world.microsoft.next_token(Fault::WrongIssuer),
            _ => {}
        }
        let page = match code {
            "login-refused-by-provider" => {
                browser.sign_in("/reports", username).await;
                browser.own_cookies().clear();
                let refused = described("AADB2C90053");
                world.microsoft.authorize_error("access_denied", None, Some(&refused));
                browser.follow("/reports?2").await
            }
            _ => browser.sign_in("/reports?2", TREASURER).await,
        };
        assert_refusal(&page, 403, code);
        assert!(page.text().contains("Use another account"), "{}", page.text());
        let off = browser.open(&button(&page)).await;
        let asked = off.location();
        let found = asked.query_pairs().find(|(name, _)| name == "prompt");
        assert_eq!(found.unwrap().1, prompt, "{asked}");
        // Single sign-on alone would have led back here.
        let form = browser.follow_from(off).await;
        assert!(form.text().contains("<form"), "{}", form.text());
        let back = browser.submit(&form, other, "demo").await;
        let landed = browser.follow_from(back).await;
        assert_eq!((landed.status, landed.url.query()), (200, Some("2")), "{}", landed.text());
        world.stop().await;
    }
}

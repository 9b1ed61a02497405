//! Our own endpoints: who am I, keys, signing out; and what the admin listener and TLS show.

use crate::world::browser::PAGE;
use crate::world::{Plan, World, assert_refusal};

#[tokio::test]
async fn me_says_who_is_signed_in_and_never_a_token() {
    let world = World::start().await;
    let mut browser = world.browser();
    let nobody = browser.open("/.auth/me").await;
    assert_eq!((nobody.status, nobody.text().as_str()), (401, "[]"));
    let mut browser = world.treasurer().await;
    let me = browser.open("/.auth/me").await;
    assert_eq!(me.status, 200);
    assert_eq!(me.header("cache-control"), Some("no-store"));
    let me = me.json();
    assert_eq!(me[0]["provider_name"], "corporate");
    assert_eq!(me[0]["user_id"], "treasurer@harborclub.example");
    let claims = me[0]["user_claims"].as_array().unwrap();
    let roles: Vec<_> =
        claims.iter().filter(|claim| claim["typ"] == "roles").map(|claim| &claim["val"]).collect();
    assert_eq!(roles, ["Member", "Treasurer"]);
    assert!(claims.iter().all(|claim| claim["val"].is_string()));
    assert!(me[0].get("id_token").is_none() && me[0].get("access_token").is_none());
    world.stop().await;
}

#[tokio::test]
async fn sess_04_signing_out_ends_the_session_here_and_at_the_provider() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let copy = browser.clone();
    let off = browser.open("/.auth/logout").await;
    assert_eq!(off.status, 303);
    assert_eq!(off.header("clear-site-data"), Some("\"cache\""));
    let provider = off.location();
    assert!(provider.path().ends_with("/oauth2/v2.0/logout"), "{provider}");
    let landed = browser.follow_from(off).await;
    assert_eq!(landed.url.path(), "/.auth/logout/done");
    assert!(landed.text().contains("You are signed out"));
    assert!(landed.text().contains("and your corporate account"));
    // A copied cookie is worthless, and the provider asks for a password again.
    assert_eq!(copy.send("GET", "/reports", PAGE, b"").await.status, 303);
    let asked = browser.follow("/reports").await;
    assert!(asked.text().contains("name=\"password\""), "{}", asked.text());
    assert_eq!(world.metric("anteport_sessions_ended_total{reason=\"logout\"}").await, 1.0);
    world.stop().await;
}

const LOCAL_SIGN_OUT: &str = r#"
    routes: [ { path: "/public/**", access: public }, { path: "/**", access: signed_in } ]
    local_login: { login_pages: [/login] }
    logout: { federated: false }
"#;

#[tokio::test]
async fn a_local_sign_out_ends_our_session_alone_and_says_so() {
    let world = World::start_with(Plan { portal: LOCAL_SIGN_OUT, ..Plan::default() }).await;
    let mut browser = world.treasurer().await;
    let off = browser.open("/.auth/logout").await;
    assert_eq!((off.status, off.header("location")), (303, Some("/.auth/logout/done")));
    let page = browser.follow_from(off).await;
    assert!(page.text().contains("may still be signed in"), "{}", page.text());
    assert!(page.text().contains("<code>signed-out</code>"), "every page has a code");
    assert!(page.text().contains(page.header("x-request-id").unwrap()));
    assert_eq!(world.microsoft.counts().logout, 0);
    // The provider still knows the browser: signing in again asks nothing.
    assert_eq!(browser.follow("/reports").await.status, 200);
    let bye = browser.open("/.auth/logout?post_logout_redirect_uri=/public/bye").await;
    assert_eq!(bye.header("location"), Some("/public/bye"));
    world.stop().await;
}

#[tokio::test]
async fn signing_out_leads_to_the_place_that_was_asked_for() {
    let world = World::start().await;
    for (asked, landed) in
        [("/public/bye", "/public/bye"), ("https://evil.example/", "/.auth/logout/done")]
    {
        let mut browser = world.treasurer().await;
        let target = format!("/.auth/logout?post_logout_redirect_uri={asked}");
        assert_eq!(browser.follow(&target).await.url.path(), landed);
    }
    world.stop().await;
}

#[tokio::test]
async fn ui_03_a_get_of_another_site_is_asked_first() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let navigation = |site: &'static str| {
        [
            ("accept", "text/html"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", site),
        ]
    };
    for site in ["cross-site", "same-site"] {
        let asked = browser.send("GET", "/.auth/logout", &navigation(site), b"").await;
        assert_eq!(asked.status, 200);
        assert!(asked.text().contains("Sign out?"));
        let policy = asked.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self' http://127.0.0.1"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
    let unknown = browser.send("GET", "/.auth/logout", &[("accept", "text/html")], b"").await;
    assert!(unknown.text().contains("Sign out?"));
    let forged = browser.send("POST", "/.auth/logout", &navigation("cross-site"), b"").await;
    assert!(forged.text().contains("Sign out?"));
    // A picture in a page, a page that is fetched early, a form of nobody knows whom.
    for (name, value) in [
        ("sec-fetch-dest", "image"),
        ("sec-purpose", "prefetch"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
        ("sec-fetch-mode", "no-cors"),
    ] {
        let mut headers = navigation("same-origin").to_vec();
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        let asked = browser.send("GET", "/.auth/logout", &headers, b"").await;
        assert!(asked.text().contains("Sign out?"), "{name}");
    }
    for origin in ["http://evil.example", "null"] {
        let headers = [("accept", "text/html"), ("origin", origin)];
        let asked = browser.send("POST", "/.auth/logout", &headers, b"").await;
        assert!(asked.text().contains("Sign out?"), "{origin}");
    }
    assert_eq!(browser.open("/reports").await.status, 200, "still signed in");
    let confirmed = browser.send("POST", "/.auth/logout", &navigation("same-origin"), b"").await;
    assert_eq!(confirmed.status, 303);
    assert_eq!(browser.open("/reports").await.status, 303, "signed out");
    world.stop().await;
}

#[tokio::test]
async fn what_we_do_not_have_is_said() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    let before = world.portal.received().len();
    for target in
        ["/.auth", "/.auth/", "/.auth/nothing", "/.auth/login/other", "/.AUTH/me", "/.auth/me/"]
    {
        assert_refusal(&browser.open(target).await, 404, "endpoint-unknown");
    }
    let answer = browser.send("DELETE", "/.auth/logout", PAGE, b"").await;
    assert_refusal(&answer, 405, "endpoint-method");
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn the_admin_listener_tells_health_and_metrics() {
    let world = World::start().await;
    let admin = crate::world::browser::Browser::new(format!("http://{}", world.admin));
    for (target, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/readyz?verbose", 200),
        ("/version", 200),
        ("/x", 404),
    ] {
        assert_eq!(admin.send("GET", target, &[], b"").await.status, status, "{target}");
    }
    let mut browser = world.treasurer().await;
    browser.open("/reports").await;
    browser.send("POST", "/login", PAGE, b"").await;
    let portal = world.proxy.to_string();
    for (series, least) in [
        (format!("anteport_requests_total{{portal=\"{portal}\",status_class=\"2xx\"}}"), 2.0),
        (format!("anteport_decisions_total{{portal=\"{portal}\",decision=\"forward\",reason=\"none\"}}"), 2.0),
        (format!("anteport_decisions_total{{portal=\"{portal}\",decision=\"login\",reason=\"none\"}}"), 1.0),
        (format!("anteport_decisions_total{{portal=\"{portal}\",decision=\"refuse\",reason=\"local-login-blocked\"}}"), 1.0),
        ("anteport_logins_total{provider=\"corporate\",result=\"started\"}".into(), 1.0),
        ("anteport_logins_total{provider=\"corporate\",result=\"success\"}".into(), 1.0),
        ("anteport_provider_call_duration_seconds_count{provider=\"corporate\",call=\"token\",outcome=\"ok\"}".into(), 1.0),
        ("anteport_sessions".into(), 1.0),
        (format!("anteport_request_overhead_seconds_count{{portal=\"{portal}\"}}"), 2.0),
    ] {
        let value = world.metric(&series).await;
        assert!(value >= least, "{series} is {value}\n{}", world.metrics().await);
    }
    world.stop().await;
}

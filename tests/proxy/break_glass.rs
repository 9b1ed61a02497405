//! Break-glass: a link, or an address, leads to the portal's own sign-in when nobody can sign in with
//! the provider, and to nothing else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const GLASS: &str = r#"
    mode: azure_only
    break_glass: { link: { lifetime: 10m, pass: 30m } }
    local_login:
      login_pages: [/login]
      password_routes:
        - { name: door, path: /login, methods: [POST] }
        - { name: basic, path: "/**", headers: { Authorization: "Basic *" } }
        - { name: by-form, path: /session, form: { j_password: "*" } }
      portal_cookies: [PHPSESSID]
    routes:
      - { path: "/public/**", access: public }
      - { path: "/board/**", access: signed_in, requires: { roles: [Board] } }
      - { path: "/**", access: signed_in, websocket: true }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email }
"#;

const SECOND: &str = r#"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM", response_timeout: 1s }
    auth_path: /own
    break_glass: { link: {} }
    local_login: { login_pages: [/login], password_routes: [ { path: /login, methods: [POST] } ] }
"#;

pub const COOKIE: &str = "__Host-anteport-break-glass";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

async fn world() -> World {
    // Nobody can sign in, from the beginning.
    let plan =
        Plan { portal: GLASS, more_portals: SECOND, microsoft_is_up: false, ..Plan::default() };
    World::start_with(plan).await
}

pub async fn ask_admin(world: &World, target: &str, what: Value) -> Answer {
    let admin = Browser::new(format!("http://{}", world.admin));
    admin.send("POST", target, JSON, what.to_string().as_bytes()).await
}

pub async fn make(world: &World) -> Value {
    let portal = format!("http://{}", world.proxy);
    let what = json!({ "portal": portal, "reason": "ticket 123", "by": "robin" });
    let answer = ask_admin(world, "/-/break-glass", what).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub async fn revoke(world: &World) -> Value {
    let what = json!({ "portal": world.proxy.to_string() });
    let answer = ask_admin(world, "/-/break-glass/revoke", what).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub fn code(link: &Value) -> &str {
    link["code"].as_str().unwrap()
}

/// What a browser sends with the form of our page, which sends no referrer and so no origin.
pub fn of_page() -> Vec<(&'static str, &'static str)> {
    let mut headers: Vec<_> =
        PAGE.iter().filter(|(name, _)| *name != "sec-fetch-site").copied().collect();
    headers.extend([("sec-fetch-site", "same-origin"), ("origin", "null"), FORM]);
    headers
}

pub async fn post_code(browser: &Browser, code: &str) -> Answer {
    let body = format!("link={code}");
    browser.send("POST", "/.auth/break-glass", &of_page(), body.as_bytes()).await
}

/// A browser with a pass.
pub async fn opened(world: &World) -> Browser {
    let link = make(world).await;
    let mut browser = world.browser();
    let target = link["link"].as_str().unwrap().to_owned();
    let page = browser.open(&target).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let opened = browser.fill(&page, 0, &[]).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    assert!(opened.text().contains("own sign-in is open"), "{}", opened.text());
    browser
}

pub async fn counted(world: &World, event: &str) -> f64 {
    let portal = world.proxy;
    let series =
        format!("anteport_break_glass_links_total{{portal=\"{portal}\",event=\"{event}\"}}");
    world.metric(&series).await
}

async fn passed(world: &World, by: &str) -> f64 {
    let portal = world.proxy;
    world
        .metric(&format!("anteport_break_glass_requests_total{{portal=\"{portal}\",by=\"{by}\"}}"))
        .await
}

pub async fn passes(world: &World) -> f64 {
    world.metric(&format!("anteport_break_glass_passes{{portal=\"{}\"}}", world.proxy)).await
}

/// Whether a browser comes to the portal's own sign-in.
pub async fn comes_through(world: &World, browser: &Browser) -> bool {
    let before = world.portal.received().len();
    let answer = browser.send("POST", "/login", &of_page(), b"user=a&password=b").await;
    let came = world.portal.received().len() > before;
    match answer.status {
        200 => assert!(came),
        _ => {
            assert_refusal(&answer, 403, "local-login-blocked");
            assert!(!came);
        }
    }
    came
}

#[tokio::test]
async fn a_link_leads_one_browser_to_the_portals_own_sign_in_while_microsoft_is_down() {
    let world = world().await;
    let stranger = world.browser();
    assert!(!comes_through(&world, &stranger).await);
    let browser = opened(&world).await;
    assert!(comes_through(&world, &browser).await);
    let login = world.portal.last();
    assert_eq!(login.line, "POST /login HTTP/1.1");
    assert_eq!(login.body, b"user=a&password=b");
    for (method, target, body) in [
        ("GET", "/login", &b""[..]),
        ("GET", "/", b""),
        ("GET", "/reports?year=2027", b""),
        ("POST", "/session", b"j_password=x"),
        ("POST", "/reports", b"a=b"),
        ("GET", "/public/x", b""),
    ] {
        let answer = browser.send(method, target, &of_page(), body).await;
        assert_eq!(answer.status, 200, "{method} {target} {}", answer.text());
        assert_eq!(world.portal.last().line, format!("{method} {target} HTTP/1.1"));
        let cache = answer.header("cache-control").unwrap_or_default();
        assert!(cache.contains("private") || cache.contains("no-store"), "{target}: {cache}");
    }
    assert!(!comes_through(&world, &stranger).await, "nobody else's");
    assert_eq!(stranger.send("GET", "/reports", PAGE, b"").await.status, 503, "as before");
    assert_eq!((counted(&world, "made").await, counted(&world, "opened").await), (1.0, 1.0));
    assert_eq!(passed(&world, "link").await, 6.0, "the public page would have come anyhow");
    assert_eq!(passes(&world).await, 1.0);
    let other =
        format!("anteport_break_glass_passes{{portal=\"localhost:{}\"}}", world.proxy.port());
    assert_eq!(world.metric(&other).await, 0.0);
    world.stop().await;
}

#[tokio::test]
async fn hdr_02_nobody_is_told_of_whoever_has_a_pass() {
    let plan = Plan { portal: GLASS, ..Plan::default() };
    let world = World::start_with(plan).await;
    let mut browser = opened(&world).await;
    let forged = [
        ("accept", "text/html"),
        ("x-auth-user", "admin"),
        ("X_Auth_User", "admin"),
        ("x-auth-email", "a@b"),
        ("x-anteport-assertion", "forged"),
        ("x-ms-client-principal-name", "admin"),
        ("x-forwarded-user", "admin"),
        ("remote-user", "admin"),
        ("x-original-url", "/board"),
        ("x-forwarded-host", "evil.example"),
    ];
    let is_nobodys = |world: &World| {
        let received = world.portal.last();
        for (name, value) in &received.headers {
            let name = name.to_ascii_lowercase().replace('_', "-");
            assert!(!name.contains("auth-"), "{name}");
            assert!(!name.contains("user") || name == "user-agent", "{name}");
            assert!(name != "x-anteport-assertion" && !name.contains("principal"), "{name}");
            assert!(!value.contains("evil") && !value.contains(COOKIE), "{name}: {value}");
            assert!(!value.contains("__Host-anteport"), "COOK-01 {name}: {value}");
        }
    };
    let answer = browser.send("GET", "/reports", &forged, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    is_nobodys(&world);
    // The same beside a member's session, which does not count while there is a pass.
    let landed = browser.sign_in("/.auth/login/corporate", "treasurer@harborclub.example").await;
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert!(browser.own_cookies().contains_key("__Host-anteport"));
    assert_eq!(browser.send("GET", "/reports", &forged, b"").await.status, 200);
    is_nobodys(&world);
    assert!(comes_through(&world, &browser).await);
    is_nobodys(&world);
    assert!(browser.own_cookies().remove(COOKIE).is_some());
    assert_eq!(browser.open("/reports").await.status, 200);
    assert!(world.portal.last().header("x-auth-user").is_some(), "without the pass a member again");
    assert!(!comes_through(&world, &browser).await);
    world.stop().await;
}

#[tokio::test]
async fn path_15_and_18_the_portals_own_credentials_pass_with_a_pass_and_with_nothing_else() {
    let world = world().await;
    let browser = opened(&world).await;
    let basic =
        [("accept", "text/html"), ("authorization", "Basic dTpw"), ("cookie", "PHPSESSID=1")];
    let sealed = browser.clone().own_cookies()[COOKIE].clone();
    let all = format!("PHPSESSID=1; {COOKIE}={sealed}; theme=dark");
    let with_all =
        [("accept", "text/html"), ("authorization", "Basic dTpw"), ("cookie", all.as_str())];
    let bare = world.browser();
    assert_eq!(bare.send("GET", "/reports", &with_all, b"").await.status, 200);
    let received = world.portal.last();
    assert_eq!(received.header("authorization"), Some("Basic dTpw"));
    assert_eq!(received.header("cookie"), Some("PHPSESSID=1; theme=dark"));
    assert_refusal(&bare.send("GET", "/reports", &basic, b"").await, 403, "local-login-blocked");
    // When the pass is over, what was set under it is as any other.
    world.clock.advance(Duration::from_secs(31 * 60));
    let cookies = [("accept", "text/html"), ("cookie", all.as_str())];
    assert_eq!(bare.send("GET", "/public/x", &cookies, b"").await.status, 200);
    assert_eq!(world.portal.last().header("cookie"), Some("theme=dark"));
    world.stop().await;
}

#[tokio::test]
async fn a_pass_opens_no_right() {
    let world = world().await;
    let browser = opened(&world).await;
    for target in ["/board", "/board/x", "/BOARD/x", "/board/login"] {
        let answer = browser.send("GET", target, PAGE, b"").await;
        assert_refusal(&answer, 403, "break-glass-closed");
    }
    world.stop().await;
}

#[tokio::test]
async fn sess_02_what_is_not_a_good_link_opens_nothing() {
    let world = world().await;
    let link = make(&world).await;
    let good = code(&link);
    let browser = world.browser();
    let second =
        json!({ "portal": format!("http://localhost:{}", world.proxy.port()), "reason": "x" });
    let second = ask_admin(&world, "/-/break-glass", second).await.json();
    let pass = opened(&world).await.own_cookies()[COOKIE].clone();
    let mut bad = vec![
        String::new(),
        "x".to_owned(),
        "A".repeat(900),
        format!("{good}A"),
        good[..good.len() - 1].to_owned(),
        format!("{good}&link={good}"),
        code(&second).to_owned(),
        pass.clone(),
        good.to_ascii_uppercase(),
    ];
    for at in [0, 1, 5, 20, 40, good.len() - 2] {
        let mut changed = good.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8(changed).unwrap());
    }
    for bad in &bad {
        assert_refusal(&post_code(&browser, bad).await, 400, "break-glass-link");
        let looked =
            browser.send("GET", &format!("/.auth/break-glass?link={bad}"), PAGE, b"").await;
        assert_refusal(&looked, 400, "break-glass-link");
        assert!(!looked.text().contains(good), "GEN-07");
    }
    assert!(counted(&world, "refused").await >= bad.len() as f64);
    // Too much is no form of ours.
    let huge = format!("link={}", "A".repeat(100_000));
    let answer = browser.send("POST", "/.auth/break-glass", &of_page(), huge.as_bytes()).await;
    assert_refusal(&answer, 413, "body-too-large");
    // A link is no pass, and neither are a changed one, another portal's, or two.
    let of_second = {
        let mut other = Browser::new(format!("http://localhost:{}", world.proxy.port()));
        other.reached.insert(format!("localhost:{}", world.proxy.port()), world.proxy);
        let body = format!("link={}", code(&second));
        let answer = other.send("POST", "/own/break-glass", &of_page(), body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=1800"] {
            assert!(cookie.contains(attribute), "COOK-04 {cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        // And ours is none there (HOST-02).
        let ours = [("accept", "text/html"), ("cookie", &*format!("{COOKIE}={pass}"))];
        assert_refusal(&other.send("POST", "/login", &ours, b"").await, 403, "local-login-blocked");
        let own = [("accept", "text/html"), ("cookie", cookie.as_str())];
        assert_eq!(other.send("POST", "/login", &own, b"").await.status, 200);
        cookie.split_once('=').unwrap().1.to_owned()
    };
    let mut changed = pass.clone().into_bytes();
    changed[30] ^= 1;
    let changed = String::from_utf8(changed).unwrap();
    for cookie in [
        format!("{COOKIE}={good}"),
        format!("{COOKIE}={of_second}"),
        format!("{COOKIE}={changed}"),
        format!("{COOKIE}={pass}; {COOKIE}={pass}"),
        format!("{COOKIE}={}", "A".repeat(4000)),
        format!("{COOKIE}="),
        format!("__host-anteport-break-glass={pass}"),
    ] {
        let headers = [("accept", "text/html"), ("cookie", cookie.as_str())];
        let answer = browser.send("POST", "/login", &headers, b"password=x").await;
        assert_refusal(&answer, 403, "local-login-blocked");
    }
    // The good one was not used up by any of it.
    assert_eq!(post_code(&browser, good).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_link_is_used_once_also_by_two_at_once_and_not_by_who_only_looks() {
    let world = world().await;
    let link = make(&world).await;
    let mut browser = world.browser();
    let target = link["link"].as_str().unwrap().to_owned();
    // A preview, a scanner, a prefetch, a reload.
    for method in ["GET", "HEAD", "GET"] {
        let path = target.split_once("/.auth").map(|(_, rest)| format!("/.auth{rest}")).unwrap();
        let answer = browser.send(method, &path, PAGE, b"").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let page = browser.open(&target).await;
    let (one, two) = (browser.clone(), browser.clone());
    let both = tokio::join!(post_code(&one, code(&link)), post_code(&two, code(&link)));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_refusal(&browser.fill(&page, 0, &[]).await, 409, "break-glass-used");
    assert_refusal(&browser.open(&target).await, 409, "break-glass-used");
    world.clock.advance(Duration::from_secs(11 * 60));
    assert_refusal(&browser.open(&target).await, 410, "break-glass-expired");
    assert_eq!(passes(&world).await, 1.0);
    world.stop().await;
}

#[tokio::test]
async fn a_link_and_a_pass_end_by_time_by_word_by_sign_out_and_by_a_restart() {
    let mut world = world().await;
    // By time, to the millisecond.
    let late = make(&world).await;
    let link = make(&world).await;
    world.clock.advance(Duration::from_millis(10 * 60 * 1000 - 1));
    let mut browser = world.browser();
    let page = browser.open(link["page"].as_str().unwrap()).await;
    assert!(page.text().contains("type=\"text\""), "{}", page.text());
    // Typed in, with a blank that came along.
    let answer = browser.fill(&page, 0, &[("link", &format!(" {} ", code(&link)))]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.clock.advance(Duration::from_millis(1));
    assert_refusal(&post_code(&world.browser(), code(&late)).await, 410, "break-glass-expired");
    world.clock.advance(Duration::from_millis(30 * 60 * 1000 - 2));
    assert!(comes_through(&world, &browser).await);
    world.clock.advance(Duration::from_millis(1));
    assert!(!comes_through(&world, &browser).await);
    assert_eq!(passes(&world).await, 0.0);
    // By word, and not what is made afterwards.
    let (browser, unused) = (opened(&world).await, make(&world).await);
    assert!(comes_through(&world, &browser).await);
    assert_eq!(revoke(&world).await, json!({ "passes": 1, "others_may_not_know": false }));
    assert!(!comes_through(&world, &browser).await);
    assert_refusal(&post_code(&browser, code(&unused)).await, 410, "break-glass-ended");
    assert_eq!((passes(&world).await, counted(&world, "ended").await), (0.0, 1.0));
    world.clock.advance(Duration::from_secs(1));
    // By sign-out: a copy of the cookie is worthless, too, and the link is not good again.
    let mut browser = opened(&world).await;
    let copy = browser.clone();
    assert!(comes_through(&world, &copy).await);
    let gone = browser.open("/.auth/logout").await;
    assert_eq!(gone.status, 303, "{}", gone.text());
    assert!(!browser.own_cookies().contains_key(COOKIE), "{gone:?}");
    assert!(!comes_through(&world, &copy).await, "SESS-04");
    assert_eq!(passes(&world).await, 0.0);
    // By a restart, whatever the keys are.
    let (browser, unused) = (opened(&world).await, make(&world).await);
    world.clock.advance(Duration::from_secs(1));
    world.restart().await;
    assert!(!comes_through(&world, &browser).await);
    let answer = post_code(&browser, code(&unused)).await;
    assert!(matches!(answer.status, 400 | 410), "{}", answer.text());
    world.stop().await;
}

#[tokio::test]
async fn a_restart_ends_what_configured_keys_sealed_too() {
    let plan = Plan {
        portal: GLASS,
        sessions: "{ keys: [ { value: \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\" } ] }",
        ..Plan::default()
    };
    let mut world = World::start_with(plan).await;
    let (browser, unused) = (opened(&world).await, make(&world).await);
    assert_eq!(unused["on_this_node_alone"], json!(false));
    world.clock.advance(Duration::from_secs(1));
    revoke(&world).await;
    world.restart().await;
    assert!(!comes_through(&world, &browser).await, "SESS-09: nothing revives");
    assert_refusal(&post_code(&browser, code(&unused)).await, 410, "break-glass-ended");
    assert!(comes_through(&world, &opened(&world).await).await);
    // Shorter in the configuration is shorter at once, and what is switched off is off.
    let (browser, unused) = (opened(&world).await, make(&world).await);
    world.configure("lifetime: 10m, pass: 30m", "lifetime: 1m, pass: 1m");
    world.restart().await;
    assert!(comes_through(&world, &browser).await, "the same moment");
    world.clock.advance(Duration::from_secs(121));
    assert!(!comes_through(&world, &browser).await);
    assert_refusal(&post_code(&browser, code(&unused)).await, 410, "break-glass-expired");
    world.stop().await;
}

#[tokio::test]
async fn cfg_02_a_reload_mends_the_configuration_under_whoever_mends_it() {
    let world = world().await;
    let (browser, revoked) = (opened(&world).await, make(&world).await);
    let copy = browser.clone();
    revoke(&world).await;
    world.clock.advance(Duration::from_secs(1));
    let (browser, spent) = (opened(&world).await, make(&world).await);
    assert_eq!(post_code(&world.browser(), code(&spent)).await.status, 200);
    let unused = make(&world).await;
    world.configure("name: by-form", "name: by-another-name");
    world.reload().await.unwrap();
    assert!(comes_through(&world, &browser).await, "who has a pass goes on");
    assert!(!comes_through(&world, &copy).await, "what was ended stays so");
    assert_refusal(&post_code(&copy, code(&revoked)).await, 410, "break-glass-ended");
    assert_refusal(&post_code(&copy, code(&spent)).await, 409, "break-glass-used");
    assert_eq!(passes(&world).await, 2.0);
    // What the configuration says holds for all that was made before, too.
    world.configure("lifetime: 10m, pass: 30m", "lifetime: 1m, pass: 1m");
    world.clock.advance(Duration::from_secs(90));
    assert!(comes_through(&world, &browser).await);
    world.reload().await.unwrap();
    assert_refusal(&post_code(&copy, code(&unused)).await, 410, "break-glass-expired");
    world.clock.advance(Duration::from_secs(31));
    assert!(!comes_through(&world, &browser).await);
    let browser = opened(&world).await;
    world.configure("break_glass: { link: { lifetime: 1m, pass: 1m } }", "break_glass: ~");
    assert!(world.reload().await.is_err() && comes_through(&world, &browser).await, "no such word");
    world.configure("break_glass: ~", "");
    assert!(passes(&world).await > 0.0);
    world.reload().await.unwrap();
    assert_eq!(passes(&world).await, 0.0, "nobody is called for what there is no more");
    assert!(!comes_through(&world, &browser).await);
    assert_refusal(
        &browser.send("GET", "/.auth/break-glass", PAGE, b"").await,
        404,
        "endpoint-unknown",
    );
    // On again, and nothing of before is good.
    world.clock.advance(Duration::from_millis(1));
    world.configure(
        "    mode: azure_only\n    \n",
        "    mode: azure_only\n    break_glass: { link: {} }\n",
    );
    world.reload().await.unwrap();
    assert!(!comes_through(&world, &browser).await);
    assert!(comes_through(&world, &opened(&world).await).await);
    world.stop().await;
}

#[tokio::test]
async fn ui_03_another_site_opens_nothing() {
    let world = world().await;
    let link = make(&world).await;
    let body = format!("link={}", code(&link));
    let changed = |changes: &[(&'static str, &'static str)]| {
        let mut headers = of_page();
        for (name, value) in changes {
            headers.retain(|(known, _)| known != name);
            if !value.is_empty() {
                headers.push((name, value));
            }
        }
        headers
    };
    let browser = world.browser();
    for headers in [
        changed(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]),
        changed(&[("sec-fetch-site", "same-site")]),
        changed(&[("sec-fetch-site", ""), ("origin", "https://evil.example")]),
    ] {
        let answer = browser.send("POST", "/.auth/break-glass", &headers, body.as_bytes()).await;
        assert_refusal(&answer, 403, "break-glass-elsewhere");
    }
    // Without the form's type there is no form.
    let headers = changed(&[("content-type", "application/json")]);
    let answer = browser.send("POST", "/.auth/break-glass", &headers, body.as_bytes()).await;
    assert_refusal(&answer, 400, "break-glass-link");
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = browser.send(method, "/.auth/break-glass", &of_page(), body.as_bytes()).await;
        assert_refusal(&answer, 405, "endpoint-method");
    }
    let before = world.portal.received().len();
    for target in [
        "/.AUTH/break-glass",
        "/.auth/Break-Glass",
        "/.auth/break-glass/",
        "/.auth/break-glass/x",
        "/.auth/break%2Dglass/..",
        "/.auth//break-glass",
    ] {
        let answer = browser.send("POST", target, &of_page(), body.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 404), "{target} {}", answer.text());
    }
    assert_eq!(world.portal.received().len(), before, "nothing of it is the portal's");
    assert_eq!(post_code(&browser, code(&link)).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on() {
    let world = World::start().await;
    let portal = world.proxy.to_string();
    for target in ["/-/break-glass", "/-/break-glass/revoke"] {
        let what = json!({ "portal": portal, "reason": "x" });
        let answer = ask_admin(&world, target, what).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("break-glass-off")));
        assert!(answer.text().contains("break_glass: { link: {} }"), "{}", answer.text());
    }
    for method in ["GET", "POST"] {
        let answer =
            world.browser().send(method, "/.auth/break-glass?link=x", &of_page(), b"link=x").await;
        assert_refusal(&answer, 404, "endpoint-unknown");
    }
    world.stop().await;
}

#[tokio::test]
async fn cfg_03_who_may_have_a_link_made() {
    let world = world().await;
    let portal = world.proxy.to_string();
    for (what, code) in [
        (json!({ "portal": portal }), "reason"),
        (json!({ "portal": portal, "reason": "" }), "parameter-empty"),
        (json!({ "portal": portal, "reason": "a\nb" }), "reason"),
        (json!({ "portal": portal, "reason": "x".repeat(201) }), "reason"),
        (json!({ "portal": portal, "reason": "x", "by": "a\u{1b}[2J" }), "reason"),
        (json!({ "portal": "evil.example", "reason": "x" }), "portal-unknown"),
        (json!({ "reason": "there are two portals" }), "portal-unknown"),
        (json!({ "portal": portal, "reason": "x", "minutes": 600 }), "parameter-unknown"),
    ] {
        let answer = ask_admin(&world, "/-/break-glass", what.clone()).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!(code)), "{what}");
    }
    let admin = Browser::new(format!("http://{}", world.admin));
    let get = admin.send("GET", "/-/break-glass", &[], b"").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    // A page of somebody's, in the browser of whoever runs this.
    let body = json!({ "portal": portal, "reason": "x" }).to_string();
    let page = [("content-type", "application/json"), ("origin", "https://evil.example")];
    let answer = admin.send("POST", "/-/break-glass", &page, body.as_bytes()).await;
    assert_eq!(answer.status, 403);
    let form = [FORM, ("sec-fetch-site", "none")];
    let answer = admin.send("POST", "/-/break-glass", &form, b"reason=x").await;
    assert_eq!(answer.status, 403);
    let made = make(&world).await;
    assert_eq!(made["until"], "2027-01-15T08:10:00Z");
    assert_eq!((&made["pass_seconds"], &made["on_this_node_alone"]), (&json!(1800), &json!(true)));
    world.stop().await;
}

const LISTED: &str = r#"
    mode: azure_only
    break_glass: { networks: [192.0.2.7, "2001:db8:7::/48"] }
    local_login:
      login_pages: [/login]
      password_routes: [ { path: /login, methods: [POST] } ]
    routes:
      - { path: "/public/**", access: public }
      - { path: "/board/**", access: signed_in, requires: { roles: [Board] } }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid }
"#;

async fn from(browser: &Browser, method: &str, target: &str, address: &str) -> Answer {
    let headers = [("accept", "text/html"), ("x-forwarded-for", address)];
    browser.send(method, target, &headers, b"").await
}

#[tokio::test]
async fn fwd_02_a_listed_address_needs_no_link_and_nobody_can_pretend_to_be_there() {
    let listen = ", trusted_proxies: [127.0.0.1, 10.0.0.0/8]";
    let plan = Plan { portal: LISTED, listen, ..Plan::default() };
    let world = World::start_with(plan).await;
    let browser = world.browser();
    for address in
        ["192.0.2.7", "6.6.6.6, 192.0.2.7, 10.0.0.9", "2001:db8:7::1", "::ffff:192.0.2.7"]
    {
        for (method, target) in [("POST", "/login"), ("GET", "/login"), ("GET", "/reports")] {
            let answer = from(&browser, method, target, address).await;
            assert_eq!(answer.status, 200, "{address} {}", answer.text());
            assert_eq!(world.portal.last().header("x-auth-user"), None);
        }
    }
    assert_eq!(passed(&world, "network").await, 12.0);
    for address in ["192.0.2.8", "192.0.2.7, 6.6.6.6", "6.6.6.6", "10.0.0.9", "", "192.0.2.7,"] {
        let answer = from(&browser, "POST", "/login", address).await;
        assert_refusal(&answer, 403, "local-login-blocked");
        assert_eq!(from(&browser, "GET", "/reports", address).await.status, 303, "{address}");
    }
    // What needs a right leads to a sign-in, as ever.
    assert_eq!(from(&browser, "GET", "/board/x", "192.0.2.7").await.status, 303);
    // A member is a member there, too.
    let treasurer = world.treasurer().await;
    assert_eq!(from(&treasurer, "GET", "/reports", "192.0.2.7").await.status, 200);
    assert!(world.portal.last().header("x-auth-user").is_some());
    let answer = from(&treasurer, "POST", "/login", "192.0.2.7").await;
    assert_refusal(&answer, 403, "local-login-blocked");
    // There are no links here.
    let what = json!({ "reason": "x" });
    let answer = ask_admin(&world, "/-/break-glass", what).await;
    assert_eq!(answer.json()["error"], "break-glass-off");
    let answer = browser.send("GET", "/.auth/break-glass", PAGE, b"").await;
    assert_refusal(&answer, 404, "endpoint-unknown");
    world.stop().await;
}

#[tokio::test]
async fn fwd_01_a_stranger_is_not_believed_to_be_at_a_listed_address() {
    let world = World::start_with(Plan { portal: LISTED, ..Plan::default() }).await;
    for name in ["x-forwarded-for", "x-real-ip", "forwarded", "client-ip", "x-client-ip"] {
        let value = if name == "forwarded" { "for=192.0.2.7" } else { "192.0.2.7" };
        let headers = [("accept", "text/html"), (name, value)];
        let answer = world.browser().send("POST", "/login", &headers, b"").await;
        assert_refusal(&answer, 403, "local-login-blocked");
    }
    assert_eq!(passed(&world, "network").await, 0.0);
    world.stop().await;
}

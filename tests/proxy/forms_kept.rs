//! A form that meets an expired session is not lost: its member signs in and sends it once more,
//! and nobody else does.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use url::Url;

use crate::world::browser::{Answer, Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const KEEPING: &str = r#"
    mode: azure_only
    sign_in: { resend_forms: 16KiB }
    local_login:
      login_pages: [/login]
      password_routes:
        - { path: /login, methods: [POST] }
        - { path: /session, form: { j_password: "*" } }
    routes:
      - { path: "/public/**", access: public }
      - { path: "/board/**", access: signed_in, requires: { roles: [Board] } }
      - { path: "/small/**", access: signed_in, max_body: 10B }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email }
"#;

const SECOND: &str = r#"
  - public_url: "http://localhost:PORT"
    upstream: { url: "http://UPSTREAM", response_timeout: 1s }
    auth_path: /own
    sign_in: { resend_forms: 16KiB }
    local_login: {}
"#;

const TREASURER: &str = "treasurer@harborclub.example";
const MEMBER: &str = "member@harborclub.example";
const COOKIE: &str = "__Host-anteport-member";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// Longer than a session is left alone, and shorter than a form is kept.
const EXPIRY: Duration = Duration::from_secs(31 * 60);

async fn world() -> World {
    let plan = Plan { portal: KEEPING, more_portals: SECOND, ..Plan::default() };
    World::start_with(plan).await
}

/// A browser whose treasurer's session is over.
async fn expired(world: &World) -> Browser {
    let browser = world.treasurer().await;
    world.clock.advance(EXPIRY);
    browser
}

/// What a browser sends with a form of a page of this origin.
fn of_page(origin: &str) -> Vec<(&'static str, String)> {
    let mut headers: Vec<(&str, String)> = PAGE
        .iter()
        .filter(|(name, _)| *name != "sec-fetch-site")
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    headers.push(("sec-fetch-site", "same-origin".to_owned()));
    headers.push(("origin", origin.to_owned()));
    headers.push(("referer", format!("{origin}/reports/new?step=2")));
    headers
}

async fn send(
    browser: &Browser,
    method: &str,
    target: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Answer {
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.send(method, target, &headers, body).await
}

fn with(
    mut headers: Vec<(&'static str, String)>,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in changes {
        headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            headers.push((name, (*value).to_owned()));
        }
    }
    headers
}

async fn post(world: &World, browser: &Browser, target: &str, body: &[u8]) -> Answer {
    let headers = with(of_page(&format!("http://{}", world.proxy)), &[FORM]);
    send(browser, "POST", target, &headers, body).await
}

/// What the page keeps.
fn sealed(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) =
        text.split_once("name=\"anteport-form\" value=\"").unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Where it is posted to.
fn action(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("<form method=\"post\" action=\"").unwrap();
    rest.split('"').next().unwrap().replace("&#38;", "&").replace("&#61;", "=")
}

/// Presses "Send it again": such a page sends no referrer, and so no origin.
async fn resend(browser: &Browser, sealed: &str) -> Answer {
    resend_to(browser, "/.auth/resend", sealed).await
}

async fn resend_to(browser: &Browser, action: &str, sealed: &str) -> Answer {
    let changes = [FORM, ("origin", "null"), ("referer", "")];
    let headers = with(of_page("null"), &changes);
    send(browser, "POST", action, &headers, format!("anteport-form={sealed}").as_bytes()).await
}

/// Goes through the link that the page opens in another tab.
async fn sign_in_beside(browser: &mut Browser, page: &Answer, username: &str) -> Answer {
    let text = page.text();
    let (before, rest) = text.split_once("\" target=\"_blank\" rel=\"noopener\"").unwrap();
    assert!(rest.contains("Send it again"), "{text}");
    let link = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let answer = browser.follow(&link).await;
    if !answer.text().contains("name=\"password\"") {
        return answer;
    }
    let back = browser.submit(&answer, username, "demo").await;
    browser.follow_from(back).await
}

fn assert_kept(page: &Answer) {
    assert_refusal(page, 401, "form-kept");
    let text = page.text();
    assert!(text.contains("You were signed out. Nothing was sent."), "{text}");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'none'; form-action 'self' https:"), "{policy}");
}

#[tokio::test]
async fn ret_04_a_form_that_meets_an_expired_session_is_sent_once_its_member_is_back() {
    let world = world().await;
    let origin = format!("http://{}", world.proxy);
    let parts: &[u8] =
        b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\x00\r\n--xx\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"\xc3\xa4.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\x00\x01\x02\r\n\r\n--\xfe\r\n--xx--\r\n";
    let all: Vec<u8> = (0..=255).collect();
    for (method, target, kind, body) in [
        (
            "POST",
            "/reports/new?a=%2f&b=1+2",
            FORM.1,
            &b"comment=Hello+w%c3%b6rld&x=%zz&\xff=&&;=\x00"[..],
        ),
        ("POST", "/reports/new", "multipart/form-data; boundary=\"xx\"; q=1", parts),
        ("PUT", "/%72eports/%c3%a4?x={1}", "text/plain;charset=UTF-8", &all),
        ("POST", "/reports/empty", FORM.1, b""),
        ("DELETE", "/reports/7", "", b""),
    ] {
        let mut browser = expired(&world).await;
        let before = world.portal.received().len();
        let headers = with(of_page(&origin), &[("content-type", kind), ("x-mine", "first")]);
        let page = send(&browser, method, target, &headers, body).await;
        assert_kept(&page);
        assert_eq!(world.portal.received().len(), before, "nothing was sent");
        let ready = sign_in_beside(&mut browser, &page, TREASURER).await;
        assert_eq!((ready.status, ready.url.path()), (200, "/.auth/resend/signed-in"));
        assert!(ready.text().contains("You can close this tab"), "{}", ready.text());
        assert_eq!(world.portal.received().len(), before);
        let canonical = target.replace("/%72", "/r").replace("%c3%a4?", "%C3%A4?");
        assert_eq!(action(&page), format!("/.auth/resend/at{canonical}"));
        let sent = resend_to(&browser, &action(&page), &sealed(&page)).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let told = world.portal.last();
        assert_eq!(world.portal.received().len(), before + 1);
        assert_eq!(told.line, format!("{method} {canonical} HTTP/1.1"));
        assert_eq!(told.body, body);
        assert_eq!(told.header("content-type"), Some(kind).filter(|kind| !kind.is_empty()));
        assert_eq!(told.header("origin"), Some(origin.as_str()));
        let referer = format!("{origin}/reports/new?step=2");
        assert_eq!(told.header("referer"), Some(referer.as_str()));
        assert_eq!(told.header("x-auth-email"), Some(TREASURER));
        assert_eq!(told.header("sec-fetch-site"), Some("same-origin"));
        assert!(told.header("x-mine").is_none(), "the rest is of the request that comes now");
        assert!(!told.header("cookie").unwrap_or_default().contains("anteport"), "COOK-01");
        // Once is once.
        assert_refusal(&resend(&browser, &sealed(&page)).await, 409, "form-used");
        let again = resend_to(&browser, &action(&page), &sealed(&page)).await;
        assert_refusal(&again, 409, "form-used");
        assert_eq!(world.portal.received().len(), before + 1);
    }
    let series = format!("anteport_forms_resent_total{{portal=\"{}\"}}", world.proxy);
    assert_eq!(world.metric(&series).await, 5.0);
    world.stop().await;
}

#[tokio::test]
async fn a_form_that_is_sent_often_at_the_same_moment_arrives_once() {
    let world = world().await;
    let mut browser = expired(&world).await;
    let page = post(&world, &browser, "/reports/new", b"a=1").await;
    sign_in_beside(&mut browser, &page, TREASURER).await;
    let before = world.portal.received().len();
    let sealed = sealed(&page);
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (browser, sealed) = (browser.clone(), sealed.clone());
        sending.spawn(async move { resend(&browser, &sealed).await.status });
    }
    let mut statuses = sending.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    assert_eq!(world.portal.received().len(), before + 1);
    world.stop().await;
}

#[tokio::test]
async fn what_the_portal_answers_with_finds_its_way() {
    let world = world().await;
    let browser = world.treasurer().await;
    let before = world.portal.received().len();
    // As a browser reads `css/a.css`, `../x?y`, `edit` and an empty action on the page that a form
    // at /reports/new?a was answered with.
    for (method, target, leads_to) in [
        ("GET", "/.auth/resend/at/reports/css/a.css", "/reports/css/a.css"),
        ("GET", "/.auth/resend/at/x?y=%2f&z", "/x?y=%2f&z"),
        ("HEAD", "/.auth/resend/at/", "/"),
        ("POST", "/.auth/resend/at/reports/new?a", "/reports/new?a"),
        ("PUT", "/.auth/resend/at/reports/new?a", "/reports/new?a"),
    ] {
        let answer = send(&browser, method, target, &of_page("null"), b"").await;
        assert_eq!((answer.status, answer.header("location")), (307, Some(leads_to)), "{target}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    }
    for (kind, body) in [
        (FORM.1, &b"form=1&a=2"[..]),
        (FORM.1, &[b'a'; 200 * 1024]),
        ("multipart/form-data; boundary=x", b"--x--"),
    ] {
        let headers = with(of_page("null"), &[("content-type", kind)]);
        let answer = send(&browser, "POST", "/.auth/resend/at/x", &headers, body).await;
        assert_eq!((answer.status, answer.header("location")), (307, Some("/x")), "{kind}");
    }
    // Nowhere but to the portal, in a spelling that is one (RET-01).
    for target in [
        "/.auth/resend/at",
        "/.auth/resend/at/.auth/logout",
        "/.auth/resend/at/.AUTH/me",
        "/.auth/resend/attic",
        "/.AUTH/resend/at/x",
    ] {
        let answer = send(&browser, "GET", target, &of_page("null"), b"").await;
        assert_refusal(&answer, 404, "endpoint-unknown");
    }
    for target in [
        "/.auth/resend/at//evil.example/",
        "/.auth/resend/at/%2fevil.example",
        "/.auth/resend/at/../logout",
    ] {
        let answer = send(&browser, "GET", target, &of_page("null"), b"").await;
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
    }
    // What cannot be written there comes to the plain address.
    world.clock.advance(EXPIRY);
    let page = post(&world, &browser, "/reports/new?a=\\", b"a=1").await;
    assert_kept(&page);
    assert_eq!(action(&page), "/.auth/resend");
    // Our field is ours, wherever it comes to.
    let answer = resend_to(&browser, "/.auth/resend/at/reports/new", "AAAA").await;
    assert_refusal(&answer, 400, "form-unreadable");
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn http_07_a_form_that_finds_no_portal_is_not_used_up() {
    let mut world = world().await;
    let mut browser = expired(&world).await;
    let page = post(&world, &browser, "/reports/new", b"a=1").await;
    let silent = post(&world, &browser, "/silent", b"a=1").await;
    sign_in_beside(&mut browser, &page, TREASURER).await;
    world.portal.goes_down().await;
    for _ in 0..2 {
        assert_refusal(&resend(&browser, &sealed(&page)).await, 502, "upstream-unreachable");
    }
    world.portal.comes_back().await;
    assert_eq!(resend(&browser, &sealed(&page)).await.status, 200);
    assert_refusal(&resend(&browser, &sealed(&page)).await, 409, "form-used");
    // What the portal may have got is.
    let slow = resend(&browser, &sealed(&silent)).await;
    assert_refusal(&slow, 504, "upstream-response-timeout");
    assert_refusal(&resend(&browser, &sealed(&silent)).await, 409, "form-used");
    world.stop().await;
}

#[tokio::test]
async fn a_form_goes_out_in_its_own_members_name_or_waits() {
    let world = world().await;
    let browser = expired(&world).await;
    let page = post(&world, &browser, "/reports/new", b"a=1").await;
    let form = sealed(&page);
    let before = world.portal.received().len();
    // Nobody: the same page again, for the same form.
    let again = resend(&browser, &form).await;
    assert_kept(&again);
    assert_eq!(sealed(&again), form);
    // Somebody else, in this browser or another.
    let mut other = world.browser();
    other.sign_in("/", MEMBER).await;
    let before_other = world.portal.received().len();
    let refused = resend(&other, &form).await;
    assert_refusal(&refused, 403, "form-other-member");
    assert!(refused.text().contains("another member’s"), "{}", refused.text());
    assert_eq!(sealed(&refused), form, "it waits for whoever it was");
    assert!(
        refused.text().contains("account&#61;another")
            || refused.text().contains("account=another")
    );
    assert_eq!(world.portal.received().len(), before_other);
    // Through that link to the one whose form it is.
    let ready = sign_in_beside(&mut other, &refused, TREASURER).await;
    assert_eq!(ready.url.path(), "/.auth/resend/signed-in", "{}", ready.text());
    assert_eq!(resend(&other, &form).await.status, 200);
    assert_eq!(world.portal.last().header("x-auth-email"), Some(TREASURER));
    assert!(world.portal.received().len() > before);
    world.stop().await;
}

#[tokio::test]
async fn sess_02_a_form_is_sent_as_it_was_sealed_and_where() {
    let world = world().await;
    let mut browser = expired(&world).await;
    let page = post(&world, &browser, "/reports/new", b"a=1").await;
    sign_in_beside(&mut browser, &page, TREASURER).await;
    let (form, before) = (sealed(&page), world.portal.received().len());
    let last_member = browser.own_cookies()[COOKIE].clone();
    let mut bad: Vec<String> = (0..form.len())
        .step_by(7)
        .map(|at| {
            let mut text = form.clone().into_bytes();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(text).unwrap()
        })
        .collect();
    bad.extend([
        String::new(),
        "A".repeat(100),
        form[..form.len() - 4].to_owned(),
        format!("{form}AAAA"),
        // Sealed by us, and for something else.
        last_member,
        // Twice: which of them?
        format!("{form}&anteport-form={form}"),
    ]);
    for bad in bad {
        assert_refusal(&resend(&browser, &bad).await, 400, "form-unreadable");
    }
    // Another portal of the same operator, and another process.
    let mut second = Browser::new(format!("http://localhost:{}", world.proxy.port()));
    second.sign_in("/", TREASURER).await;
    let before_second = world.second.received().len();
    let headers = with(of_page("null"), &[FORM, ("referer", "")]);
    let body = format!("anteport-form={form}");
    let there = send(&second, "POST", "/own/resend", &headers, body.as_bytes()).await;
    assert_refusal(&there, 400, "form-unreadable");
    assert_eq!(world.second.received().len(), before_second);
    let restarted = self::world().await;
    let member = restarted.treasurer().await;
    assert_refusal(&resend(&member, &form).await, 400, "form-unreadable");
    restarted.stop().await;
    // It is still good where it is from: nothing of this has used it up.
    assert_eq!(world.portal.received().len(), before);
    assert_eq!(resend(&browser, &form).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_form_waits_for_half_an_hour() {
    let world = world().await;
    let mut browser = expired(&world).await;
    let early = post(&world, &browser, "/reports/new", b"a=1").await;
    let late = post(&world, &browser, "/reports/new", b"a=2").await;
    world.clock.advance(Duration::from_secs(30 * 60 - 1));
    sign_in_beside(&mut browser, &early, TREASURER).await;
    assert_eq!(resend(&browser, &sealed(&early)).await.status, 200);
    let before = world.portal.received().len();
    world.clock.advance(Duration::from_secs(1));
    assert_refusal(&resend(&browser, &sealed(&late)).await, 400, "form-expired");
    let stranger = world.browser();
    assert_refusal(&resend(&stranger, &sealed(&late)).await, 400, "form-expired");
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn oidc_17_whatever_is_no_form_of_our_own_page_is_told_to_sign_in() {
    let world = world().await;
    let mut browser = expired(&world).await;
    let origin = format!("http://{}", world.proxy);
    let before = world.portal.received().len();
    let own: &[(&str, &str)] = &[FORM];
    let form = |changes: &[(&'static str, &str)]| with(with(of_page(&origin), own), changes);
    for (is_kept, changes) in [
        (true, &[][..]),
        (true, &[("origin", "null")]),
        (true, &[("origin", "")]),
        // Without fetch metadata, `Origin` has to say it.
        (true, &[("sec-fetch-site", ""), ("sec-fetch-mode", ""), ("sec-fetch-dest", "")]),
        (false, &[("sec-fetch-site", ""), ("origin", "null")]),
        (false, &[("sec-fetch-site", ""), ("origin", "")]),
        (false, &[("sec-fetch-site", ""), ("origin", "http://evil.example")]),
        (false, &[("sec-fetch-site", "cross-site")]),
        (false, &[("sec-fetch-site", "same-site")]),
        (false, &[("sec-fetch-site", "none")]),
        (false, &[("origin", "http://evil.example")]),
        (false, &[("origin", "https://127.0.0.1")]),
        // Scripts, frames, what is fetched early.
        (false, &[("sec-fetch-mode", "cors")]),
        (false, &[("sec-fetch-dest", "empty")]),
        (false, &[("sec-fetch-dest", "iframe")]),
        (false, &[("x-requested-with", "XMLHttpRequest")]),
        (false, &[("accept", "application/json")]),
        (false, &[("accept", "")]),
        (false, &[("sec-purpose", "prefetch")]),
        // Bodies that no page sends.
        (false, &[("content-type", "application/json")]),
        (false, &[("content-type", "")]),
        (false, &[("content-type", "application/x-www-form-urlencoded+json")]),
        (false, &[("content-encoding", "gzip")]),
    ] {
        let answer = send(&browser, "POST", "/reports/new", &form(changes), b"a=1").await;
        match is_kept {
            true => assert_kept(&answer),
            false => {
                assert_eq!(answer.status, 401, "{changes:?} {}", answer.text());
                assert!(answer.text().contains("sign-in-required"), "{changes:?}");
            }
        }
    }
    // A page's GET signs in as ever, and a background call is told so.
    assert_eq!(browser.send("GET", "/reports", PAGE, b"").await.status, 303);
    // Nobody knows whose it would be: no cookie, two, one of another portal, one that we did not
    // make.
    let cookie = browser.own_cookies()[COOKIE].clone();
    let mut second = Browser::new(format!("http://localhost:{}", world.proxy.port()));
    second.sign_in("/", TREASURER).await;
    let elsewhere = second.own_cookies()[COOKIE].clone();
    let stranger = world.browser();
    for cookies in [
        String::new(),
        format!("{COOKIE}={cookie}; {COOKIE}={cookie}"),
        format!("{COOKIE}={elsewhere}"),
        format!("{COOKIE}={}", cookie.replace(|c: char| c.is_ascii_digit(), "x")),
        format!("{COOKIE}="),
    ] {
        let headers = form(&[("cookie", &cookies)]);
        let answer = send(&stranger, "POST", "/reports/new", &headers, b"a=1").await;
        assert_refusal(&answer, 401, "sign-in-required");
    }
    let headers = form(&[("cookie", &format!("{COOKIE}={cookie}"))]);
    assert_kept(&send(&stranger, "POST", "/reports/new", &headers, b"a=1").await);
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn cook_04_the_mark_of_a_member_lets_nobody_in_and_goes_with_a_sign_out() {
    let world = world().await;
    let mut browser = world.browser();
    let callback = browser.sign_in_to_callback("/", TREASURER).await;
    let landed = browser.open_url(&callback).await;
    let cookies = landed.all("set-cookie");
    let mark = cookies.iter().find(|cookie| cookie.starts_with(COOKIE)).unwrap();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(mark.split("; ").any(|part| part == attribute), "{mark}");
    }
    // It alone is no session, and never at the portal.
    let before = world.portal.received().len();
    let mut alone = browser.clone();
    alone.own_cookies().retain(|name, _| name == COOKIE);
    assert_eq!(alone.open("/reports").await.status, 303);
    assert_eq!(alone.send("GET", "/.auth/me", PAGE, b"").await.status, 401);
    assert_eq!(world.portal.received().len(), before);
    browser.open("/reports").await;
    assert!(world.portal.last().header("cookie").is_none());
    // A sign-out takes it back, with a session and after it; what is kept then is nobody's.
    for has_session in [true, false] {
        let mut leaving = browser.clone();
        if !has_session {
            leaving.own_cookies().remove("__Host-anteport");
        }
        let headers = of_page(&format!("http://{}", world.proxy));
        let off = send(&leaving, "POST", "/.auth/logout", &headers, b"").await;
        let taken = format!("{COOKIE}=;");
        assert!(off.all("set-cookie").iter().any(|cookie| cookie.starts_with(&taken)), "{off:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn after_a_sign_out_no_form_is_kept() {
    let world = world().await;
    let mut browser = world.treasurer().await;
    let headers = of_page(&format!("http://{}", world.proxy));
    let off = send(&browser, "GET", "/.auth/logout", &headers, b"").await;
    assert_eq!(off.status, 303);
    for cookie in off.all("set-cookie").into_iter().filter(|cookie| cookie.contains("Max-Age=0")) {
        let name = cookie.split('=').next().unwrap().to_owned();
        browser.own_cookies().remove(&name);
    }
    let answer = post(&world, &browser, "/reports/new", b"a=1").await;
    assert_refusal(&answer, 401, "sign-in-required");
    world.stop().await;
}

#[tokio::test]
async fn without_the_option_everything_is_as_it_was() {
    let world = World::start().await;
    let mut browser = world.treasurer().await;
    assert!(!browser.own_cookies().contains_key(COOKIE));
    let headers = of_page(&format!("http://{}", world.proxy));
    let off = send(&browser.clone(), "POST", "/.auth/logout", &headers, b"").await;
    assert!(off.all("set-cookie").iter().all(|cookie| !cookie.starts_with(COOKIE)));
    world.clock.advance(EXPIRY);
    assert_refusal(&post(&world, &browser, "/reports/new", b"a=1").await, 401, "sign-in-required");
    assert_refusal(&resend(&browser, "AAAA").await, 404, "endpoint-unknown");
    assert_refusal(&browser.open("/.auth/resend/signed-in").await, 404, "endpoint-unknown");
    // And no login leads there.
    let begun = "/.auth/login/corporate?post_login_redirect_uri=/.auth/resend/signed-in";
    let landed = browser.follow(begun).await;
    assert_eq!(landed.url.path(), "/", "{}", landed.text());
    world.stop().await;
}

#[tokio::test]
async fn lim_07_a_form_that_is_too_large_says_so_in_words() {
    let world = world().await;
    let browser = expired(&world).await;
    let before = world.portal.received().len();
    assert_kept(&post(&world, &browser, "/reports/new", &vec![b'a'; 16 * 1024]).await);
    for length in [16 * 1024 + 1, 300 * 1024] {
        let page = post(&world, &browser, "/reports/new", &vec![b'a'; length]).await;
        assert_refusal(&page, 401, "form-too-large");
        assert!(page.text().contains("go back"), "{}", page.text());
        assert!(page.text().contains("target=\"_blank\""));
        assert!(!page.text().contains("Send it again"));
    }
    // And so does what comes back, whatever it holds.
    let long = "A".repeat(200 * 1024);
    assert_refusal(&resend(&browser, &long).await, 413, "body-too-large");
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn the_largest_form_that_can_be_kept_arrives_whole() {
    let portal = "    sign_in: { resend_forms: 1MiB }\n    local_login: {}\n";
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let mut browser = expired(&world).await;
    let body: Vec<u8> =
        (0..1 << 20).map(|at: u32| at.to_le_bytes()[1] ^ at.to_le_bytes()[0]).collect();
    let page = post(&world, &browser, "/reports/new", &body).await;
    assert_kept(&page);
    sign_in_beside(&mut browser, &page, TREASURER).await;
    assert_eq!(resend_to(&browser, &action(&page), &sealed(&page)).await.status, 200);
    assert!(world.portal.last().body == body, "byte for byte");
    world.stop().await;
}

#[tokio::test]
async fn gen_01_a_form_that_comes_back_is_judged_as_if_it_came_now() {
    let world = world().await;
    for (target, body, status, code) in [
        ("/session", &b"j_username=a&j_password=b"[..], 403, "local-login-blocked"),
        ("/board/minutes", b"a=1", 403, "role-missing"),
        ("/small/x", b"0123456789a", 413, "body-too-large"),
    ] {
        let mut browser = expired(&world).await;
        let page = post(&world, &browser, target, body).await;
        assert_kept(&page);
        sign_in_beside(&mut browser, &page, TREASURER).await;
        let before = world.portal.received().len();
        // Whatever refuses it has used nothing up, and says the same each time.
        for _ in 0..2 {
            assert_refusal(&resend(&browser, &sealed(&page)).await, status, code);
        }
        assert_eq!(world.portal.received().len(), before, "{target}");
    }
    // What is refused for everybody is not kept, and what passes is not either.
    let browser = expired(&world).await;
    assert_refusal(&post(&world, &browser, "/login", b"a=1").await, 403, "local-login-blocked");
    assert_eq!(post(&world, &browser, "/public/x", b"a=1").await.status, 200);
    // Our own endpoints are not for the portal, and no form for them is kept.
    for target in ["/.auth/refresh", "/.auth/resend", "/.auth/me", "/.AUTH/resend"] {
        let answer = post(&world, &browser, target, b"a=1").await;
        assert!(!answer.text().contains("form-kept"), "{target}: {}", answer.text());
    }
    world.stop().await;
}

#[tokio::test]
async fn ui_03_only_a_page_of_ours_sends_a_form_again() {
    let world = world().await;
    let mut browser = expired(&world).await;
    let page = post(&world, &browser, "/reports/new", b"a=1").await;
    sign_in_beside(&mut browser, &page, TREASURER).await;
    let (form, before) = (sealed(&page), world.portal.received().len());
    let body = format!("anteport-form={form}");
    let base = || with(of_page("null"), &[FORM, ("referer", "")]);
    for changes in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example")],
        &[("sec-fetch-site", ""), ("origin", "http://evil.example")],
    ] {
        let headers = with(base(), changes);
        let answer = send(&browser, "POST", "/.auth/resend", &headers, body.as_bytes()).await;
        assert_refusal(&answer, 403, "form-elsewhere");
    }
    let answer = send(&browser, "GET", "/.auth/resend", &base(), b"").await;
    assert_refusal(&answer, 405, "endpoint-method");
    let answer = send(&browser, "PUT", "/.auth/resend", &base(), body.as_bytes()).await;
    assert_refusal(&answer, 405, "endpoint-method");
    let odd = with(base(), &[("content-type", "text/plain")]);
    let answer = send(&browser, "POST", "/.auth/resend", &odd, body.as_bytes()).await;
    assert_refusal(&answer, 400, "form-unreadable");
    assert_eq!(world.portal.received().len(), before);
    // A browser that sends none of it has the form all the same.
    let bare = with(base(), &[("sec-fetch-site", ""), ("origin", "")]);
    assert_eq!(send(&browser, "POST", "/.auth/resend", &bare, body.as_bytes()).await.status, 200);
    // What said something of another body does not come along.
    world.clock.advance(EXPIRY);
    let page = post(&world, &browser, "/reports/new", b"a=2").await;
    sign_in_beside(&mut browser, &page, TREASURER).await;
    let more = with(base(), &[("content-encoding", "gzip"), ("content-language", "de")]);
    let body = format!("anteport-form={}", sealed(&page));
    assert_eq!(send(&browser, "POST", "/.auth/resend", &more, body.as_bytes()).await.status, 200);
    let told = world.portal.last();
    assert_eq!((told.header("content-encoding"), told.header("content-language")), (None, None));
    assert_eq!((told.header("content-type"), &*told.body), (Some(FORM.1), &b"a=2"[..]));
    world.stop().await;
}

#[tokio::test]
async fn the_page_beside_a_form_begins_a_sign_in_and_nothing_else() {
    let world = world().await;
    let mut browser = world.browser();
    let picture =
        [("accept", "image/*"), ("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors")];
    let answer = browser.send("GET", "/.auth/resend/signed-in", &picture, b"").await;
    assert_eq!((answer.status, answer.all("set-cookie").len()), (401, 0));
    let answer = browser.send("POST", "/.auth/resend/signed-in", PAGE, b"").await;
    assert_refusal(&answer, 405, "endpoint-method");
    let landed = browser.sign_in("/.auth/resend/signed-in", MEMBER).await;
    assert_eq!((landed.status, landed.url.path()), (200, "/.auth/resend/signed-in"));
    assert!(landed.text().contains("form-waits") && landed.text().contains("You are signed in"));
    // No other endpoint of ours is a place to return to (RET-02).
    for own in
        ["/.auth/resend", "/.auth/resend/signed-in?x", "/.auth/resend/signed-in/", "/.auth/me"]
    {
        // Not so fast that it looks like a circle.
        world.clock.advance(Duration::from_secs(60));
        let begun = format!("/.auth/login/corporate?post_login_redirect_uri={own}");
        assert_eq!(browser.follow(&begun).await.url.path(), "/", "{own}");
    }
    let begun = "/.auth/login/corporate?post_login_redirect_uri=/.auth/resend/signed-in";
    assert_eq!(browser.follow(begun).await.url.path(), "/.auth/resend/signed-in");
    let bye = "/.auth/logout?post_logout_redirect_uri=/.auth/resend/signed-in";
    assert_eq!(browser.follow(bye).await.url.path(), "/.auth/logout/done");
    world.stop().await;
}

/// A browser that speaks HTTP/2 with us, and something else with the provider.
struct OverHttp2 {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    origin: String,
    jar: BTreeMap<String, String>,
}

impl OverHttp2 {
    async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> http::Response<Bytes> {
        let uri = format!("{}{target}", self.origin);
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in &self.jar {
            request = request.header("cookie", format!("{name}={value}"));
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let answer = self.sender.send_request(request.body(body).unwrap()).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.jar.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        let (head, body) = answer.into_parts();
        http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    async fn sign_in(&mut self, target: &str) -> String {
        let page = of_page(&self.origin);
        let begun = self.ask("GET", target, &page, "").await;
        let there = Url::parse(begun.headers()["location"].to_str().unwrap()).unwrap();
        let mut browser = Browser::new(there.origin().ascii_serialization());
        let form = browser.open_url(&there).await;
        let back = browser.submit(&form, TREASURER, "demo").await.location();
        let callback = &back[url::Position::BeforePath..];
        let landed = self.ask("GET", callback, &page, "").await;
        landed.headers()["location"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_form_comes_back_over_http2_as_well() {
    let plan = Plan { portal: KEEPING, ..Plan::default() };
    let (world, certificate) = crate::tls::world_with(plan).await;
    let sender = crate::tls::over_http2(&world, &certificate).await;
    let origin = format!("https://{}", world.proxy);
    let mut browser = OverHttp2 { sender, origin: origin.clone(), jar: BTreeMap::new() };
    assert_eq!(browser.sign_in("/reports").await, "/reports");
    world.clock.advance(EXPIRY);
    let headers = with(of_page(&origin), &[FORM]);
    let page = browser.ask("POST", "/reports/new?a=%2f", &headers, "a=1&b=%ff").await;
    assert_eq!(page.status(), 401);
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    let (_, rest) = text.split_once("name=\"anteport-form\" value=\"").unwrap();
    let form = format!("anteport-form={}", rest.split('"').next().unwrap());
    assert_eq!(browser.sign_in("/.auth/resend/signed-in").await, "/.auth/resend/signed-in");
    let before = world.portal.received().len();
    let headers = with(headers, &[("origin", "null"), ("referer", "")]);
    let sent = browser.ask("POST", "/.auth/resend", &headers, &form).await;
    assert_eq!(sent.status(), 200, "{sent:?}");
    assert_eq!(world.portal.received().len(), before + 1);
    let told = world.portal.last();
    assert_eq!(told.line, "POST /reports/new?a=%2f HTTP/1.1");
    assert_eq!((&*told.body, told.header("origin")), (&b"a=1&b=%ff"[..], Some(origin.as_str())));
    assert_eq!(told.header("host"), Some(&*world.proxy.to_string()));
    assert_eq!(told.header("content-length"), Some("9"));
    let sent = browser.ask("POST", "/.auth/resend", &headers, &form).await;
    assert_eq!(sent.status(), 409);
    drop(browser);
    world.stop().await;
}

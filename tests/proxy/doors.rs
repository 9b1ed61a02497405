//! The portal's own doors, by everything that a rule can look at: forms, queries, headers, cookies;
//! and odd spellings of paths.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::browser::{Browser, PAGE};
use crate::world::{Plan, World, assert_refusal};

const DOORS: &str = r#"
    mode: azure_only
    local_login:
      login_pages:
        - { path: /index.php, query: { page: login } }
      password_routes:
        - { name: by-form, path: /session, form: { j_password: "*" } }
        - { name: by-query, path: /index.php, query: { page: [register, reset] } }
        - { name: by-header, path: /**, headers: { Authorization: "Basic *" } }
        - { name: by-cookie, path: /legacy/**, cookies: { ticket: "*" } }
        - name: wp
          path: /wp-login.php
          covers: [anywhere, path_info]
          unless: [{ query: { action: [logout, postpass] } }]
      form_limit: 4KiB
    spelling:
      odd_segments: redirect
      session_parameter: redirect
      allow:
        - { path: "/wiki/**", oddities: [encoded_slash, empty_segments] }
    routes:
      - { path: "/open/**", access: public, local_credentials: true }
      - { path: "/**", access: signed_in }
"#;

async fn world() -> World {
    World::start_with(Plan { portal: DOORS, ..Plan::default() }).await
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const PARTS: (&str, &str) = ("content-type", "multipart/form-data; boundary=xx");

async fn refused(browser: &Browser, method: &str, target: &str, kind: (&str, &str), body: &[u8]) {
    let headers = [("accept", "text/html"), kind];
    let answer = browser.send(method, target, &headers, body).await;
    assert_refusal(&answer, 403, "local-login-blocked");
}

#[tokio::test]
async fn path_12_a_rule_looks_at_forms_of_every_kind() {
    let world = world().await;
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    for body in [
        &b"j_username=a&j_password=b"[..],
        b"J_PASSWORD=b",
        b"j%5Fpassword=b",
        b"j.password=b",
        b"j_password[]=b",
        b"a=1;j_password=b",
        b"%zz=1",
        b"\xff=1",
    ] {
        refused(&member, "POST", "/session", FORM, body).await;
        refused(&member, "PUT", "/SESSION/", FORM, body).await;
    }
    for body in [
        &br#"{"j_password":"b"}"#[..],
        br#"{"user":{"j_password":["b"]}}"#,
        br#"[{"J_Password":null}]"#,
        br#"{"j_passw\u006frd":1}"#,
        b"{not json",
    ] {
        refused(&member, "POST", "/session", JSON, body).await;
    }
    for body in [
        &b"--xx\r\nContent-Disposition: form-data; name=\"j_password\"\r\n\r\nb\r\n--xx--\r\n"[..],
        b"--xx\r\ncontent-disposition:form-data;name=\"J_password\"; filename=\"a\"\r\n\r\nb\r\n--xx--",
        b"--xx\nContent-Disposition: form-data; name=\"a\"\n\nb\n--xx--\n",
        b"preamble\r\n--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--xx--\r\n",
        b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xx--\r\n",
    ] {
        refused(&member, "POST", "/session", PARTS, body).await;
    }
    // What cannot be read: another type, none, coded, too long; and the query says it too.
    refused(&member, "POST", "/session", ("content-type", "text/plain"), b"a=b").await;
    refused(
        &member,
        "POST",
        "/session",
        ("content-type", "application/x-www-form-urlencoded; charset=utf-16"),
        b"a=b",
    )
    .await;
    refused(&member, "POST", "/session", ("x-none", "1"), b"a=b").await;
    refused(&member, "POST", "/session?j_password=b", FORM, b"").await;
    refused(&member, "GET", "/session?x&j_password", FORM, b"").await;
    refused(&member, "POST", "/session", FORM, &[b'a'; 5000]).await;
    let coded = [("accept", "text/html"), FORM, ("content-encoding", "gzip")];
    let answer = member.send("POST", "/session", &coded, b"a=b").await;
    assert_refusal(&answer, 403, "local-login-blocked");
    assert_eq!(world.portal.received().len(), before, "nothing reached the portal");
    world.stop().await;
}

#[tokio::test]
async fn gen_01_a_form_that_was_looked_at_arrives_as_it_was_sent() {
    let world = world().await;
    let member = world.treasurer().await;
    for (kind, body) in [
        (FORM, &b"comment=Hello+w%c3%b6rld&x=1"[..]),
        (JSON, br#"{"comment": "hi"}"#),
        (
            PARTS,
            b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nj_password\r\n--xx--\r\n",
        ),
    ] {
        let answer = member.send("POST", "/session", &[("accept", "*/*"), kind], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.portal.last().body, body);
    }
    let answer = member.send("POST", "/session", &[("accept", "*/*"), FORM], b"").await;
    assert_eq!(answer.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn path_12_a_rule_looks_at_query_header_and_cookie() {
    let world = world().await;
    let member = world.treasurer().await;
    for target in [
        "/index.php?page=register",
        "/index.php?a=1&PAGE=Reset",
        "/INDEX.php/?page%5B%5D=x",
        "/index.php?page=home&page=reset",
        "/index.php?x=1;page=reset",
        "/blog/wp-login.php",
        "/wp-login.php/more?action=lostpassword",
        "/wp-login.php?action=logout&action=login",
        "/wp-login.php?action=Logout",
        "/a/b/WP-Login.php?action%5B%5D=logout",
    ] {
        refused(&member, "GET", target, ("x-none", "1"), b"").await;
    }
    refused(&member, "POST", "/wp-login.php?action=logout", FORM, b"action=login&pwd=x").await;
    refused(&member, "GET", "/open/x", ("authorization", "bAsIc  dTpw"), b"").await;
    refused(&member, "GET", "/legacy/x", ("cookie", "a=b; Ticket=1"), b"").await;
    for (target, kind) in [
        ("/index.php?page=home", ("x-none", "1")),
        ("/wp-login.php?action=logout&_wpnonce=1", ("x-none", "1")),
        ("/open/x", ("authorization", "Bearer abc")),
        ("/legacy/x", ("cookie", "tickets=1")),
    ] {
        let mut headers = PAGE.to_vec();
        headers.push(kind);
        assert_eq!(member.send("GET", target, &headers, b"").await.status, 200, "{target}");
        assert!(world.portal.last().line.contains(target));
    }
    let page = member.send("GET", "/index.php?page=login", PAGE, b"").await;
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    world.stop().await;
}

#[tokio::test]
async fn path_18_a_portal_session_from_before_ours_reaches_nobody() {
    let portal = "
    mode: azure_only
    local_login: { portal_cookies: [PHPSESSID, legacy_*] }
    routes: [{ path: /open, access: public }, { path: /**, access: signed_in }]";
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let stranger = world.browser();
    let mut member = world.treasurer().await;
    let other = world.treasurer().await;
    let cookies = async |browser: &Browser, target: &str, cookie: &str| {
        let headers = [("accept", "text/html"), ("cookie", cookie)];
        assert_eq!(browser.send("GET", target, &headers, b"").await.status, 200);
        world.portal.last().all("cookie").join("; ")
    };
    let before = "a=1; PHPSESSID=before; legacy_x=2; phpsess%49d=3; b=4";
    assert_eq!(cookies(&stranger, "/open", before).await, "a=1; b=4");
    assert_eq!(cookies(&member, "/", before).await, "a=1; b=4");
    assert_eq!(cookies(&member, "/", "PHPSESSID=during").await, "");
    member.open("/local-session").await;
    for name in ["PHPSESSID", "theme"] {
        assert!(member.own_cookies().remove(name).is_some(), "{name} was set");
    }
    assert_eq!(cookies(&member, "/", "x=1; PHPSESSID=during").await, "x=1; PHPSESSID=during");
    assert_eq!(cookies(&member, "/", "PHPSESSID=before").await, "");
    assert_eq!(cookies(&other, "/", "PHPSESSID=during").await, "");
    world.stop().await;
}

#[tokio::test]
async fn path_07_and_08_a_get_is_sent_to_the_canonical_path() {
    let world = world().await;
    let member = world.treasurer().await;
    for (target, location) in [
        ("/a//b?x=/../", "/a/b?x=/../"),
        ("//elsewhere.example/x", "/elsewhere.example/x"),
        ("/a/./%2e%2e/b", "/b"),
        ("/a;jsessionid=12AB?q", "/a?q"),
    ] {
        let before = world.portal.received().len();
        let answer = member.send("GET", target, PAGE, b"").await;
        assert_eq!((answer.status, answer.header("location")), (308, Some(location)), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_refusal(
            &member.send("POST", target, PAGE, b"").await,
            400,
            if target.contains(';') { "path-parameter" } else { "path-segment" },
        );
        assert_eq!(world.portal.received().len(), before);
    }
    assert_refusal(&member.send("GET", "/..", PAGE, b"").await, 400, "path-segment");
    world.stop().await;
}

#[tokio::test]
async fn path_17_an_allowed_oddity_is_forwarded_as_it_is_and_only_there() {
    let world = world().await;
    let member = world.treasurer().await;
    for target in ["/wiki/a%2Fb", "/wiki//x"] {
        assert_eq!(member.send("GET", target, PAGE, b"").await.status, 200);
        assert!(world.portal.last().line.contains(target));
    }
    assert_refusal(&member.send("GET", "/a%2Fb", PAGE, b"").await, 400, "path-encoded-separator");
    refused(&member, "GET", "/wiki/a%2Fwp-login.php", ("x-none", "1"), b"").await;
    refused(&member, "GET", "/wiki//wp-login.php%2Fx", ("x-none", "1"), b"").await;
    for target in ["/wiki/..%2Fx", "/wiki/a%2F..%2F..%2Fsession"] {
        assert_refusal(
            &member.send("POST", target, PAGE, b"").await,
            400,
            "path-encoded-separator",
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn report_only_refuses_nothing_and_tells_where_passwords_come_along() {
    let portal: &'static str = Box::leak(DOORS.replace("azure_only", "report_only").into());
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let stranger = world.browser();
    let canary = "cAnArY-value";
    let form = format!("user=x&pwd={canary}");
    for target in ["/members/12/signin", "/members/13/signin"] {
        let answer =
            stranger.send("POST", target, &[("accept", "*/*"), FORM], form.as_bytes()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(world.portal.last().body, form.as_bytes());
    }
    let body = format!(r#"{{"login":{{"newPassword":"{canary}"}}}}"#);
    stranger.send("PUT", "/api/me", &[("accept", "*/*"), JSON], body.as_bytes()).await;
    stranger.send("GET", "/dav", &[("authorization", "Basic dTpw")], b"").await;
    stranger.send("GET", "/wp-login.php", PAGE, b"").await;
    stranger.send("GET", "/plain", PAGE, b"").await;
    let long = format!("a={}", "x".repeat(9000));
    let answer = stranger.send("POST", "/long", &[("accept", "*/*"), FORM], long.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.portal.last().body, long.as_bytes());

    let admin = Browser::new(format!("http://{}", world.admin));
    let told = admin.send("GET", "/-/discoveries", &[], b"").await;
    assert!(!told.text().contains(canary));
    let told = told.json();
    let places = told["places"].as_array().unwrap();
    let place = |path: &str| places.iter().find(|place| place["path"] == path).unwrap();
    assert_eq!(place("/members/*/signin")["requests"], 2);
    assert_eq!(place("/members/*/signin")["fields"], serde_json::json!(["pwd"]));
    assert_eq!(place("/api/me")["fields"], serde_json::json!(["newpassword"]));
    assert_eq!(place("/dav")["credentials"], true);
    assert_eq!(place("/dav")["refused_by"], "by-header");
    assert_eq!(place("/wp-login.php")["refused_by"], "wp");
    assert_eq!(places.len(), 4, "{told}");
    let series = format!("anteport_would_be_refused_total{{portal=\"{}\"}}", world.proxy);
    assert_eq!(world.metric(&series).await, 2.0);
    world.stop().await;
}

#[tokio::test]
async fn lim_07_forms_made_to_be_costly_are_refused_at_once() {
    let portal = DOORS.replace("form_limit: 4KiB", "form_limit: 4MiB");
    let plan = Plan { portal: Box::leak(portal.into()), ..Plan::default() };
    let world = World::start_with(plan).await;
    let member = world.treasurer().await;
    let before = world.portal.received().len();
    // Decoded again and again; more fields than anybody has; long names under which others stand.
    let deep = format!("%{}41=1", "25".repeat(500_000));
    let deep_value = format!("j_password=%{}41", "25".repeat(500_000));
    let many = "a&".repeat(1_000_000);
    let long = "k".repeat(100_000);
    let json = format!("{{\"{long}\":{{{}\"j_password\":1}}}}", "\"a\":1,".repeat(4000));
    for (kind, body) in [(FORM, &deep), (FORM, &deep_value), (FORM, &many), (JSON, &json)] {
        refused(&member, "POST", "/session", kind, body.as_bytes()).await;
    }
    let cookie = format!("%{}41=1", "25".repeat(4000));
    refused(&member, "GET", "/legacy/x", ("cookie", &cookie), b"").await;
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn hdr_01_nothing_is_taken_away_after_a_rule_has_looked_at_it() {
    let world = world().await;
    let mut member = world.treasurer().await;
    let before = world.portal.received().len();
    let host = world.proxy.to_string();
    let id = member.own_cookies()["__Host-anteport"].clone();
    for (kind, body) in [
        ("application/json", "{\"a\":\"&j_password=b&\"}"),
        ("application/octet-stream", "j_password=b"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(world.proxy).await.unwrap();
        let request = format!(
            "POST /session HTTP/1.1\r\nHost: {host}\r\nCookie: __Host-anteport={id}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close, content-type\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{kind}: {answer}");
    }
    assert_eq!(world.portal.received().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn a_stranger_comes_back_to_the_page_that_was_asked_for_where_rules_look_at_forms() {
    let portal = "
    mode: azure_only
    local_login: { password_routes: [{ path: /**, form: { password: \"*\" } }] }
    routes: [{ path: /**, access: signed_in }]";
    let world = World::start_with(Plan { portal, ..Plan::default() }).await;
    let mut browser = world.browser();
    let landed = browser.sign_in("/reports?year=2026", "treasurer@harborclub.example").await;
    assert_eq!((landed.status, landed.url.path()), (200, "/reports"));
    assert_eq!(landed.url.query(), Some("year=2026"));
    let stranger = world.browser();
    let headers = [("accept", "text/html"), FORM];
    let answer = stranger.send("POST", "/reports", &headers, b"password=x").await;
    assert_refusal(&answer, 401, "sign-in-required");
    refused(&browser, "POST", "/reports", FORM, b"password=x").await;
    world.stop().await;
}

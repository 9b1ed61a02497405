//! Mistakes about the portal.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use super::bench::{
    Bench, LOGIN, Plan, Portal, Report, good_portal, page, portal_of_an_authority, secure_portal,
};
use crate::ports::free_ports;

const ONLY: [&str; 2] = ["--only", "portal"];

fn plan(answers: super::bench::Answers) -> Plan {
    Plan { answers, ..Plan::default() }
}

#[test]
fn a_portal_that_is_down_is_named() {
    let nobody = free_ports(1);
    let instead =
        vec![("upstream: { url:", format!("upstream: {{ url: \"http://127.0.0.1:{nobody}\" }} #"))];
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    let words = ["cannot be reached", "start the portal, or correct `upstream.url`"];
    report.finds("portal-reachable", "error", &words);
    report.nothing_else_is_wrong_than(&["portal-reachable"]);
}

#[test]
fn a_portal_that_does_not_know_its_host_is_named() {
    let report = Bench::start(plan(|_| page("421 Misdirected Request", "", ""))).doctor(&ONLY);
    let words = ["does not know its public host `localhost:", "421", "virtual host"];
    report.finds("portal-answer", "error", &words);
    let report = Bench::start(plan(|_| page("400 Bad Request", "", ""))).doctor(&ONLY);
    report.finds("portal-answer", "error", &["allowed hosts"]);
}

#[test]
fn a_portal_that_sends_visitors_elsewhere_is_named() {
    let report = Bench::start(plan(|_| {
        page("301 Moved Permanently", "location: https://www.harbor.example/?canary\r\n", "")
    }))
    .doctor(&ONLY);
    let words = ["away to https://www.harbor.example, past Anteport", "base URL"];
    report.finds("portal-answer", "error", &words);
}

#[test]
fn a_portal_that_does_not_see_how_visitors_come_is_named() {
    let without_tls = |head: &str| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let host = host.split(':').next().unwrap();
        page("302 Found", &format!("location: http://{host}/home\r\n"), "")
    };
    let report = Bench::start(plan(without_tls)).doctor(&ONLY);
    report.finds("portal-answer", "error", &["http://localhost", "`X-Forwarded-Proto`"]);
    let to_itself = |_: &str| page("302 Found", "location: /\r\n", "");
    let report = Bench::start(plan(to_itself)).doctor(&ONLY);
    report.finds("portal-answer", "error", &["to itself, for ever"]);
}

#[test]
fn a_portal_that_fails_is_named() {
    let report = Bench::start(plan(|_| page("500 Internal Server Error", "", ""))).doctor(&ONLY);
    report.finds("portal-answer", "error", &["500", "log"]);
    let report = Bench::start(plan(|_| "no HTTP at all\r\n\r\n".to_owned())).doctor(&ONLY);
    report.finds("portal-answer", "error", &["has no answer", "`upstream.protocol`"]);
}

#[test]
fn headers_at_odds_with_a_gate_are_named() {
    let basic = |_: &str| page("401 Unauthorized", "www-authenticate: Basic\r\n", "");
    Bench::start(plan(basic)).doctor(&ONLY).finds("portal-headers", "warning", &["WWW-Auth"]);
    let open = |_: &str| page("200 OK", "set-cookie: session=canary; HttpOnly\r\n", "");
    let report = Bench::start(plan(open)).doctor(&ONLY);
    report.finds("portal-headers", "warning", &["`session`", "`Secure`"]);
}

#[test]
fn a_password_form_that_no_rule_refuses_is_named() {
    let rules = "password_routes: [ { path: /elsewhere, methods: [POST] } ]".to_owned();
    let instead = vec![("password_routes: [ { path: /session, methods: [POST] } ]", rules)];
    let bench = Bench::start(Plan { instead, ..Plan::default() });
    let report = bench.doctor(&ONLY);
    let words = [
        "the form at /login takes a password to /session",
        "open to members",
        "{ path: \"/session\", methods: [POST], form: { \"pass\": \"*\" } }",
    ];
    report.finds("login-form", "error", &words);
    report.nothing_else_is_wrong_than(&["login-form"]);
    assert!(bench.portal.asked().iter().all(|head| head.starts_with("GET ")));
}

/// What is proposed is what helps.
#[test]
fn the_rule_that_is_proposed_shuts_the_form() {
    let rules = "password_routes: [ { path: /elsewhere } ]".to_owned();
    let written = "password_routes: [ { path: /session, methods: [POST] } ]";
    let bench = Bench::start(Plan { instead: vec![(written, rules)], ..Plan::default() });
    let report = bench.doctor(&ONLY);
    let fix = report.finds("login-form", "error", &[])["fix"].as_str().unwrap().to_owned();
    let rule = fix.split_once(": {").unwrap().1;
    let text = std::fs::read_to_string(bench.folder.at("config.yaml")).unwrap();
    let text = text.replace("{ path: /elsewhere }", &format!("{{{rule}"));
    bench.write("config.yaml", &text);
    bench.doctor(&ONLY).finds("login-form", "ok", &["goes to /session, which `/session` refuses"]);
}

#[test]
fn forms_are_found_behind_a_redirect_and_scripts_are_told_of() {
    let redirects = |head: &str| match head.split(' ').nth(1) {
        Some("/") => page("302 Found", "location: /signin?next=canary\r\n", ""),
        Some("/signin?next=canary") => page("200 OK", "", &LOGIN.replace("/session", "open")),
        _ => page("404 Not Found", "", ""),
    };
    let report = Bench::start(plan(redirects)).doctor(&ONLY);
    report.finds("login-form", "error", &["takes a password to /open"]);
    let scripted = |_: &str| page("200 OK", "", "<div><input type=password id=p></div>");
    let report = Bench::start(plan(scripted)).doctor(&ONLY);
    report.finds("login-form", "warning", &["a script takes a password", "report_only"]);
}

#[test]
fn in_report_only_what_would_be_open_is_a_warning() {
    let rules = "password_routes: [ { path: /elsewhere, methods: [POST] } ]".to_owned();
    let written = "password_routes: [ { path: /session, methods: [POST] } ]";
    let mode = ("mode: azure_only", "mode: report_only".to_owned());
    let instead = vec![(written, rules), mode];
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    report.finds("login-form", "warning", &["no rule refuses it"]);
    assert_eq!(report.code, 0);
}

#[test]
fn a_rule_that_does_not_refuse_is_named() {
    let rules = "password_routes: [ { path: /session, methods: [POST], unless: [ { methods: \
                 [POST] } ] } ]"
        .to_owned();
    let written = "password_routes: [ { path: /session, methods: [POST] } ]";
    let report =
        Bench::start(Plan { instead: vec![(written, rules)], ..Plan::default() }).doctor(&ONLY);
    report.finds("password-routes", "error", &["`/session` (to members)", "`unless`"]);
}

#[test]
fn every_rule_of_a_profile_refuses_what_it_is_there_for() {
    for profile in [
        "wordpress",
        "dokuwiki",
        "mediawiki",
        "redmine",
        "django",
        "rails_devise",
        "aspnet_identity",
        "aspnet_webforms",
        "tomcat",
        "spring",
        "drupal",
        "joomla",
        "moodle",
        "keycloak",
        "generic",
    ] {
        let rules = format!("local_login: {{ profile: {profile} }}\n    #");
        let written = "local_login:\n      login_pages: [/login]\n      password_routes:";
        let instead = vec![(written, rules)];
        let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
        report.finds("password-routes", "ok", &["are refused, to strangers and to members"]);
    }
}

#[test]
fn a_portal_that_can_be_reached_past_us_is_named() {
    let bench = Bench::start(Plan::default());
    let mut elsewhere = bench.portal.address;
    elsewhere.set_ip([127, 0, 0, 2].into());
    let _past_us = Portal::start(elsewhere, good_portal);
    let only = ["--only", "portal", "--around", "127.0.0.2"];
    let report = bench.doctor(&only);
    let port = elsewhere.port();
    let words = [
        &*format!("the portal answers at 127.0.0.2:{port} too"),
        "listen on a loopback address alone",
        &*format!("keep port {port} shut"),
    ];
    report.finds("portal-around", "error", &words);
    report.nothing_else_is_wrong_than(&["portal-around"]);
    let around = format!("localhost:{}", free_ports(1));
    let report = bench.doctor(&["--only", "portal", "--around", &around]);
    report.finds("portal-around", "ok", &["nothing answers"]);
}

/// A portal elsewhere may be fine, and nobody can see that from here.
#[test]
fn a_portal_on_the_network_is_told_of() {
    let instead = vec![(
        "upstream: { url:",
        "upstream: { url: \"http://10.255.255.1:9\", connect_timeout: 100ms } #".to_owned(),
    )];
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    report.finds("portal-around", "warning", &["on the network, at 10.255.255.1:9", "assertion"]);
}

#[test]
fn a_portal_whose_certificate_is_not_in_order_is_named() {
    let at = |ends, tls: &str| over_tls(secure_portal("portal.internal", ends), tls);
    let report = at((2099, 1, 1), "");
    let words = ["TLS with the portal failed", "UnknownIssuer", "`upstream.tls.ca`"];
    report.finds("portal-reachable", "error", &words);
    report.nothing_else_is_wrong_than(&["portal-reachable"]);
    let known = ", tls: { ca: none, server_name: portal.internal }";
    at((2099, 1, 1), known).finds("portal-certificate", "ok", &["ends on 2098-12-31"]);
    at((2099, 1, 1), ", tls: { ca: none }").finds("portal-reachable", "error", &["server_name"]);
    at((2024, 1, 1), known).finds("portal-reachable", "error", &["xpired"]);
    let report = over_tls(portal_of_an_authority("portal.internal"), known);
    report.finds("portal-reachable", "error", &["CaUsedAsEndEntity", "CA:FALSE"]);
}

/// What is found of a portal over TLS, whose own certificate is `portal.pem`.
fn over_tls((address, pem): (SocketAddr, String), tls: &str) -> Report {
    let upstream = format!("upstream: {{ url: \"https://{address}\"{tls} }} #");
    let instead = vec![("upstream: { url:", upstream)];
    let bench = Bench::start(Plan { instead, ..Plan::default() });
    bench.write("portal.pem", &pem);
    let text = std::fs::read_to_string(bench.folder.at("config.yaml")).unwrap();
    bench.write("config.yaml", &text.replace("ca: none", "ca: [portal.pem]"));
    bench.doctor(&ONLY)
}

#[test]
fn a_portal_that_speaks_tls_where_none_is_awaited_or_the_reverse_is_named() {
    let url = |url: String| vec![("upstream: { url:", format!("upstream: {{ url: \"{url}\" }} #"))];
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let instead = url(format!("https://{}", plain.local_addr().unwrap()));
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(page("400 Bad Request", "", "TLS?").as_bytes());
        }
    });
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    report.finds("portal-reachable", "error", &["`http:` in `upstream.url`"]);
    let (address, _) = secure_portal("portal.internal", (2099, 1, 1));
    let instead = url(format!("http://{address}"));
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    report.finds("portal-answer", "error", &["has no answer", "`https:`"]);
}

#[test]
fn a_password_form_that_the_first_page_leads_to_is_found() {
    let answers = |head: &str| match head.split(' ').nth(1) {
        Some("/account/Sign-In?next=/") => page("200 OK", "", LOGIN),
        Some("/") => {
            let links = "<a href=https://elsewhere.example/login>no</a>\
                <A HREF='/account/Sign-In?next=/'>Members</a><a href=/news>news</a>";
            page("200 OK", "", links)
        }
        _ => page("404 Not Found", "", ""),
    };
    let written = "local_login:\n      login_pages: [/login]\n      password_routes:";
    let nothing = vec![(written, "local_login: {}\n    #".to_owned())];
    let report = Bench::start(Plan { instead: nothing.clone(), ..plan(answers) }).doctor(&ONLY);
    let words = ["the form at /account/Sign-In takes a password to /session", "open to members"];
    report.finds("login-form", "error", &words);
    report.finds("password-routes", "skipped", &["names no password route"]);
    // Where none is seen nobody says that there is none.
    let without = |_: &str| page("200 OK", "", "<p>Welcome");
    let report = Bench::start(Plan { instead: nothing, ..plan(without) }).doctor(&ONLY);
    report.finds("login-form", "skipped", &["no password form was seen at /", "stays open"]);
    // Nor does anybody name a page that was not there.
    let nowhere = |head: &str| match head.split(' ').nth(1) {
        Some("/") => page("200 OK", "", "<p>Welcome"),
        _ => page("404 Not Found", "", ""),
    };
    let report = Bench::start(plan(nowhere)).doctor(&ONLY);
    let found = report.finds("login-form", "skipped", &["no password form was seen at /"]);
    assert!(!found.to_string().contains("/login"), "{found}");
}

//! Known facts about the servers, so that the models can be believed.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::kit::forwarded::{Forwarded, Handlers};
use super::kit::portals::PORTALS;

/// Handlers that any variant of a portal's server finds.
fn found(
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Handlers {
    let mut fields = HeaderMap::new();
    for (name, value) in headers {
        fields.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let forwarded = Forwarded {
        method: Cow::Borrowed(method),
        target: Cow::Borrowed(target),
        headers: &fields,
        body: body.as_bytes(),
    };
    let portal = PORTALS.iter().find(|portal| portal.host.starts_with(host)).unwrap();
    let mut all = Handlers::default();
    for model in portal.models {
        (model.resolve)(&forwarded).0.into_iter().for_each(|handler| all.add(handler));
    }
    all
}

#[track_caller]
fn reaches(host: &str, handler: &str, targets: &[&str]) {
    for target in targets {
        let found = found(host, "POST", target, &[], "");
        assert!(found.has(handler), "{host} {target} {found:?}");
    }
}

#[track_caller]
fn reaches_nothing(host: &str, targets: &[&str]) {
    for target in targets {
        let found = found(host, "POST", target, &[], "");
        assert!(found.0.is_empty(), "{host} {target} {found:?}");
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn iis_folds_names_as_windows_does() {
    reaches(
        "asp",
        "login.aspx",
        &[
            "/LOGIN.aspx",
            "/login.aspx/x.css",
            "/login.aspx.",
            "/login.aspx%20",
            "/login.aspx::$DATA",
            "/LOGIN~1.ASP",
            "/(S(abc))/login.aspx",
            "/%u006cogin.aspx",
            "/x\\..\\login.aspx",
            "/%6cogin",
            "/%256cogin.aspx",
            "/%EF%BD%8Cogin.aspx",
            "//login.aspx",
            "/login/5",
        ],
    );
    reaches(
        "asp",
        "account/login",
        &["/Account/Login", "/account/login/7", "/ACCOUNT/(A(x))/LOGIN"],
    );
    reaches(
        "asp",
        "page=login",
        &["/?page=login", "/default.aspx?PAGE=home,login", "/?p%61ge=login", "/?page=a&page=login"],
    );
    let renamed = found("asp", "GET", "/", &[("x-original-url", "/login.aspx")], "");
    assert!(renamed.has("login.aspx"));
    reaches_nothing(
        "asp",
        &["/loginx.aspx", "/a/login.aspx", "/login.asp", "/content/login", "/log/in"],
    );
}

#[test]
fn servlets_drop_parameters_and_map_by_ending() {
    reaches(
        "servlet",
        "login",
        &[
            "/login;x=1",
            "/a/..;/login",
            "/login/",
            "/login.json",
            "/login%3bx",
            "/%2e%2e/login",
            "/x%5c..%5clogin",
        ],
    );
    reaches("servlet", "auth", &["/auth", "/auth/", "/auth/token;x/y", "//auth/x"]);
    reaches(
        "servlet",
        "j_security_check",
        &["/j_security_check", "/a/b/j_security_check", "/a/j_security_check/x"],
    );
    reaches(
        "servlet",
        "login.action",
        &["/any/where/login.action", "/login.do", "/x/login!execute.action", "/x/login"],
    );
    reaches("servlet", "action=login", &["/front?action=login", "/front;x?a=1&action=login"]);
    assert!(found("servlet", "POST", "/front", &[FORM], "action=login").has("action=login"));
    reaches_nothing("servlet", &["/LOGIN", "/authx", "/front?action=home", "/j_security_checks"]);
}

#[test]
fn php_finds_scripts_and_pages() {
    reaches(
        "php",
        "login.php",
        &[
            "/login.php/x.css",
            "/LOGIN.PHP",
            "/login",
            "/login.php.de",
            "/login.php.",
            "/login.php%20",
            "/x/../login.php",
            "/LOGIN~1.PHP",
        ],
    );
    reaches(
        "php",
        "front login",
        &[
            "/login",
            "/de/login",
            "/index.php/login",
            "/?route=login",
            "/?route=x&route=login",
            "/?r%6fute=login",
            "/?route%00x=login",
            "/?+route=login",
            "/?route[]=login",
            "/?a;route=login",
            "/index.php?%20route=login",
            "/l%C3%B3gin",
        ],
    );
    assert!(found("php", "POST", "/", &[FORM], "route=login").has("front login"));
    assert!(found("php", "POST", "/?route=home", &[FORM], "route=login").has("front login"));
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"route\"\r\n\r\nlogin\r\n--b--";
    assert!(
        found(
            "php",
            "POST",
            "/",
            &[("content-type", "multipart/form-data; boundary=b")],
            multipart
        )
        .has("front login")
    );
    assert!(found("php", "GET", "/", &[("cookie", "route=login")], "").has("front login"));
    reaches_nothing("php", &["/?route=home", "/logins", "/?xroute=login"]);
}

#[test]
fn rails_takes_formats_and_other_methods() {
    reaches(
        "rails",
        "users/sign_in",
        &[
            "/users/sign_in",
            "/users/sign_in/",
            "/users//sign_in",
            "/users/sign_in.json",
            "/de/users/sign_in.x",
        ],
    );
    reaches(
        "rails",
        "step=password",
        &["/session?step=password", "/session?step[]=password", "/session?a;step=password"],
    );
    assert!(
        found(
            "rails",
            "POST",
            "/session",
            &[("content-type", "application/json")],
            "{\"step\":\"password\"}"
        )
        .has("step=password")
    );
    assert!(
        found("rails", "POST", "/account/password", &[FORM], "_method=put")
            .has("PUT account/password")
    );
    assert!(
        found("rails", "POST", "/account/password", &[("x-http-method-override", "PUT")], "")
            .has("PUT account/password")
    );
    assert!(
        !found("rails", "GET", "/account/password", &[("x-http-method-override", "PUT")], "")
            .has("PUT account/password")
    );
    reaches_nothing("rails", &["/USERS/SIGN_IN", "/users/sign_in/x", "/account/password"]);
}

#[test]
fn django_matches_patterns() {
    reaches(
        "django",
        "accounts/login",
        &[
            "/accounts/login",
            "/accounts/login/",
            "/accounts/login/%0a",
            "/de/accounts/login/",
            "/app/accounts/login/",
            "/ACCOUNTS/LOGIN/",
            "/accounts/log%C4%B1n/",
            "/account%C5%BF/login/",
            "/accounts/login/x",
        ],
    );
    reaches("django", "api/token", &["/api/token", "/api/token.json", "/api/token.xml/"]);
    reaches_nothing("django", &["/accounts//logins/", "/x/y/accounts/login/"]);
}

#[test]
fn express_is_not_strict() {
    reaches(
        "node",
        "login",
        &[
            "/login",
            "/LOGIN",
            "/login/",
            "/%6Cogin",
            "/log%E2%85%B0n",
            "/log%C4%B1n",
            "/%EF%BC%AC%EF%BC%AFgin",
        ],
    );
    reaches("node", "auth login", &["/api/auth/login", "/API/Auth/Login/"]);
    reaches(
        "node",
        "action=login",
        &[
            "/rpc?action=login",
            "/rpc?action[]=login",
            "/rpc?action=x&action=login",
            "/rpc?action[0]=login",
        ],
    );
    assert!(
        found(
            "node",
            "POST",
            "/rpc",
            &[("content-type", "application/json")],
            "{\"action\":\"login\"}"
        )
        .has("action=login")
    );
    reaches_nothing("node", &["/login.json", "/login/x", "/rpc?actions=login"]);
}

#[test]
fn wordpress_has_many_doors() {
    reaches(
        "wordpress",
        "wp-login.php",
        &[
            "/wp-login.php",
            "/wp-login.php/x",
            "/site/wp-login.php",
            "//wp-login.php?action=register",
            "/WP-LOGIN.PHP",
        ],
    );
    reaches("wordpress", "xmlrpc.php", &["/xmlrpc.php", "/site/xmlrpc.php"]);
    reaches(
        "wordpress",
        "rest token",
        &[
            "/wp-json/jwt-auth/v1/token",
            "/wp-json/JWT-AUTH/v1/token/",
            "/index.php/wp-json/jwt-auth/v1/token",
            "/?rest_route=/jwt-auth/v1/token",
            "/?rest.route=/jwt-auth/v1/token",
            "/?rest%5Froute=%2Fjwt-auth%2Fv1%2Ftoken",
        ],
    );
    reaches(
        "wordpress",
        "my-account",
        &[
            "/my-account/",
            "/My-Account",
            "/m%C3%BD-account/",
            "/index.php/my-account",
            "/?pagename=my-account",
            "/?page_id=7",
            "/de/my-account/",
            "/my-account/lost-password/",
            "/my%20account/",
        ],
    );
    assert!(found("wordpress", "POST", "/", &[FORM], "pagename=my-account").has("my-account"));
    reaches_nothing(
        "wordpress",
        &["/wp-login.phpx", "/assets/x.css", "/wp-json/wp/v2/posts", "/?page_id=8"],
    );
}

#[test]
fn every_seed_is_what_it_is_meant_to_be() {
    for portal in PORTALS {
        let mut shut = 0;
        for seed in portal.seeds {
            let headers: &[_] = if seed.body.is_empty() { &[] } else { &[FORM] };
            let found = found(portal.host, seed.method, seed.target, headers, seed.body);
            shut += usize::from(found.any_of(portal.blocked).is_some());
        }
        assert!(shut * 2 > portal.seeds.len(), "{}", portal.host);
    }
}

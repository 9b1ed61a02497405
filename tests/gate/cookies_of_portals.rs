//! The portal's own session cookies (PATH-18).

use anteport::gate::{PortalCookies, ValuePattern, cookies};
use http::{HeaderMap, HeaderValue};

fn portal() -> PortalCookies {
    let names = ["PHPSESSID", "wordpress_logged_in_*", "*_sid"];
    PortalCookies::new(&names.map(|name| ValuePattern::parse(name).unwrap()))
}

fn fields(name: &'static str, values: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn path_18_the_portals_sessions_are_taken_out_but_for_those_to_keep() {
    for (sent, left) in [
        (&["PHPSESSID=1"][..], &[][..]),
        (&["a=1; PHPSESSID=1; b=2"], &["a=1; b=2"]),
        (&["phpsessid=1; a=1"], &["a=1"]),
        (&["PHP%53ESSID=1; a=1"], &["a=1"]),
        (&["PHP.SESS_ID=1; a=1"], &["a=1"]),
        (&["wordpress_logged_in_ab12=x; wordpress_test=1"], &["wordpress_test=1"]),
        (&["forum_sid=1; forum_sid_x=1"], &["forum_sid_x=1"]),
        (&["PHPSESSID=keep; a=1"], &["PHPSESSID=keep; a=1"]),
        (&["PHPSESSID=keep; PHPSESSID=1"], &["PHPSESSID=keep"]),
        (&["a=1", "PHPSESSID=1", "b=2"], &["a=1", "b=2"]),
        (&["a=1;b=2"], &["a=1;b=2"]),
        // What ends a cookie at a comma or a blank finds one inside of another.
        (&["a=b,PHPSESSID=1; c=2"], &["c=2"]),
        (&["a=b PHPSESSID=1"], &[]),
        (&["$Version=1; a=b, PHPSESSID =1"], &["$Version=1"]),
        (&["a=\"b\"PHPSESSID=1; c=\"d\""], &["c=\"d\""]),
        (&["x,PHPSESSID=1; c=2"], &["c=2"]),
        (&["$Version=1; a=\"b\", PHPSESSID=1"], &["$Version=1"]),
        (&["PHPSESSID=keep; a=b,PHPSESSID=1"], &["PHPSESSID=keep"]),
        (&["a=b,c; d=e f=g"], &["a=b,c; d=e f=g"]),
    ] {
        let mut headers = fields("cookie", sent);
        portal().take_out(&mut headers, |name, value| (name, value) == (b"PHPSESSID", b"keep"));
        let kept: Vec<_> = headers.get_all("cookie").iter().collect();
        assert_eq!(kept, left, "{sent:?}");
    }
}

#[test]
fn path_18_what_an_answer_sets_is_found() {
    let answer = fields("set-cookie", &["PHPSESSID=1; Path=/", "theme=dark", "PHPSESSID=2"]);
    let portal = portal();
    let set: Vec<_> = portal.set_by(&answer).collect();
    assert_eq!(set, [(&b"PHPSESSID"[..], &b"1"[..]), (b"PHPSESSID", b"2")]);
    assert!(!portal.is_empty() && PortalCookies::default().is_empty());
}

#[test]
fn cook_01_a_set_cookie_of_ours_is_known_in_any_spelling() {
    for ours in ["__Host-anteport=1", "=__host-Anteport=1", "a=__Host-anteport; Path=/"] {
        assert!(cookies::sets_own(&HeaderValue::from_static(ours)), "{ours}");
    }
    for theirs in
        ["a=1; Domain=__Host-anteport", "__Host-anteportal=1", "__Host-anteport_x=1", "a=1"]
    {
        assert!(!cookies::sets_own(&HeaderValue::from_static(theirs)), "{theirs}");
    }
    assert!(cookies::is_own(b"__host-anteport-login-1") && !cookies::is_own(b"__Host-anteports"));
}

#[test]
fn oidc_02_a_login_whose_cookie_is_there_twice_is_nobodys() {
    let headers = fields(
        "cookie",
        &["__Host-anteport-login-1=a; __Host-anteport-login-2=b", "__Host-anteport-login-1=c; x=y"],
    );
    let found = cookies::logins(headers.get_all("cookie"));
    assert_eq!(found, [("__Host-anteport-login-2", "b")]);
}

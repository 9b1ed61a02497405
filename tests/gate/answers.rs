//! What a portal's answer may say (HDR-11), and what no visitor's request brings.

use anteport::gate::identity::{
    LocalCredentials, OwnedNames, cleanse_answer, cleanse_challenges, cleanse_trailers,
};
use http::{HeaderMap, HeaderName, HeaderValue};

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn hdr_11_an_answer_says_nothing_in_our_name() {
    let mut answer = headers(&[
        ("connection", "X-Hop, close"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("x-request-id", "1"),
        ("alt-svc", "h3"),
        ("set-cookie2", "a=b"),
        ("x-anteport-assertion", "x"),
        ("x-accel-redirect", "/secret"),
        ("x-sendfile", "/etc/passwd"),
        ("x-middleware-rewrite", "/"),
        ("x-lighttpd-send-file", "/"),
        ("content-type", "text/html"),
        ("x-accelerated", "yes"),
        ("set-cookie", "PHPSESSID=1; Path=/"),
        ("set-cookie", "__Host-anteport=evil"),
        ("set-cookie", "=__HOST-anteport-login-1=evil"),
        ("set-cookie", "theme=dark"),
    ]);
    cleanse_answer(&mut answer);
    let mut names: Vec<&str> = answer.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "set-cookie", "x-accelerated"]);
    assert_eq!(all(&answer, "set-cookie"), ["PHPSESSID=1; Path=/", "theme=dark"]);
}

#[test]
fn hdr_11_a_portal_clears_all_but_cookies() {
    for (value, left) in [
        ("\"*\"", Some("\"cache\", \"storage\"")),
        ("\"cookies\"", None),
        ("\"Cookies\"", None),
        ("\"cache\", \"cookies\"", Some("\"cache\"")),
        ("\"cache\"", Some("\"cache\"")),
    ] {
        let mut answer = headers(&[("clear-site-data", value)]);
        cleanse_answer(&mut answer);
        assert_eq!(
            all(&answer, "clear-site-data"),
            left.into_iter().collect::<Vec<_>>(),
            "{value}"
        );
    }
}

#[test]
fn hdr_11_trailers_say_nothing_that_has_to_be_known_before() {
    let mut trailers = headers(&[
        ("set-cookie", "a=b"),
        ("content-type", "text/html"),
        ("location", "/"),
        ("cache-control", "public"),
        ("x-sendfile", "/"),
        ("transfer-encoding", "chunked"),
        ("grpc-status", "0"),
        ("digest", "sha-256=x"),
    ]);
    cleanse_trailers(&mut trailers);
    let mut names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["digest", "grpc-status"]);
}

#[test]
fn http_12_path_15_challenges_pass_where_credentials_do() {
    let challenges = [
        ("www-authenticate", "Basic realm=\"a\""),
        ("www-authenticate", "NTLM"),
        ("www-authenticate", "Digest nonce=x, negotiate YII="),
        ("content-type", "text/html"),
    ];
    let mut answer = headers(&challenges);
    cleanse_challenges(&mut answer, LocalCredentials::Pass);
    assert_eq!(all(&answer, "www-authenticate"), ["Basic realm=\"a\""]);
    let mut answer = headers(&challenges);
    cleanse_challenges(&mut answer, LocalCredentials::Stop);
    assert_eq!(answer.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
}

#[test]
fn cook_01_several_cookie_fields_become_one_without_ours() {
    for (fields, any_own, left) in [
        (&[("cookie", "a=1"), ("cookie", "b=2")][..], false, &["a=1; b=2"][..]),
        (
            &[("cookie", "a=1"), ("cookie", "__Host-anteport=x"), ("cookie", "b=2")],
            true,
            &["a=1; b=2"],
        ),
        (&[("cookie", "__Host-anteport=x")], true, &[]),
        (&[("cookie", "a=1;b=2")], false, &["a=1;b=2"]),
    ] {
        let mut headers = headers(fields);
        OwnedNames::with([]).cleanse(&mut headers, any_own, LocalCredentials::Pass);
        assert_eq!(all(&headers, "cookie"), left, "{fields:?}");
    }
}

#[test]
fn hdr_03_a_name_is_ours_however_long_it_goes_on() {
    let long = format!("x-portal-{}", "a".repeat(70));
    let owned = OwnedNames::with(&[HeaderName::from_bytes(long.as_bytes()).unwrap()]);
    assert!(owned.takes(&long));
    // What begins alike for 64 characters is owned alike.
    assert!(owned.takes(&format!("{long}b")));
    assert!(!owned.takes(&format!("x-portal-{}", "a".repeat(40))));
    assert!(owned.takes("-"));
    assert!(!owned.takes("x-portal"));
}

//! Which bodies can be read, and what they say (PATH-12).

use anteport::gate::{Conditions, Decision, Form, Mode, Policy, Rule, decide};
use http::{HeaderMap, HeaderValue, Method};

use super::rules::pairs;
use super::{HOST, NOON, asked_with, policy};

/// What a gate makes of a body before a door that `action=login` shuts.
#[derive(Debug, PartialEq, Eq)]
enum Is {
    Unreadable,
    Login,
    Other,
}

fn is(kind: &str, body: &[u8]) -> Is {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static(HOST));
    for kind in kind.split('|').filter(|kind| !kind.is_empty()) {
        let (name, value) = kind.split_once(": ").unwrap_or(("content-type", kind));
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let form = Form::read(&headers, body);
    if form.is_unreadable() {
        return Is::Unreadable;
    }
    let shown = format!("{form:?}");
    assert!(shown == "Absent" || shown.ends_with("of them))"), "{shown}");
    let mut asked = HeaderMap::new();
    asked.insert("host", HeaderValue::from_static(HOST));
    let asked = asked_with(&Method::POST, "/assets/x", &asked).unwrap().with_form(form);
    let conditions = Conditions { form: pairs("action", "login"), ..Conditions::default() };
    let door = Rule { conditions, ..Rule::at("/assets/x".parse().unwrap()) };
    let policy = Policy { password_routes: vec![door], ..policy(Mode::AzureOnly) };
    match decide(&policy, asked, None, NOON) {
        Decision::Forward(_) => Is::Other,
        Decision::Refuse(_) => Is::Login,
        other => panic!("{other:?}"),
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn path_12_a_type_says_how_a_body_is_read_or_nobody_can() {
    for (kind, expected) in [
        (FORM, Is::Login),
        ("Application/X-WWW-Form-URLEncoded ; charset=\"UTF-8\"", Is::Login),
        ("application/x-www-form-urlencoded;; charset=iso-8859-15;x=y", Is::Login),
        ("application/x-www-form-urlencoded; charset=utf-16", Is::Unreadable),
        ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-8", Is::Unreadable),
        ("application/x-www-form-urlencoded; charset", Is::Unreadable),
        ("application/x-www-form-urlencoded; charset=\"utf-8", Is::Unreadable),
        ("application/x-www-form-urlencoded; a*0=b", Is::Unreadable),
        ("application/x-www-form-urlencoded; a\"=b", Is::Unreadable),
        ("application/x-www-form-urlencoded|application/x-www-form-urlencoded", Is::Unreadable),
        ("application/x-www-form-urlencoded|content-encoding: gzip", Is::Unreadable),
        ("application/x-www-form-urlencoded|content-encoding: Identity", Is::Login),
        ("application/x-www-form-urlencoded, text/plain", Is::Unreadable),
        ("text/plain", Is::Unreadable),
        ("", Is::Unreadable),
    ] {
        assert_eq!(is(kind, b"action=login"), expected, "{kind}");
        assert_eq!(is(kind, b""), Is::Other, "{kind}");
    }
    assert_eq!(is(FORM, b"action=x"), Is::Other);
    // Moodle's scripts read a body as JSON, whatever its type says.
    for json in [" [{\"action\":\"x\"}]", "{\"action\":1}", "\u{feff}[]"] {
        assert_eq!(is(FORM, json.as_bytes()), Is::Unreadable, "{json}");
    }
    for kind in [
        "application/x-www-form-urlencoded+json",
        "multipart/x+json",
        "application/x-www-form-urlencoded; xcharset=utf-7",
        "application/x-www-form-urlencoded; x=\"charset=utf-7\"; charset=utf-8",
    ] {
        assert_eq!(is(kind, b"{\"action\":\"x\"}"), Is::Unreadable, "{kind}");
        assert_eq!(is(kind, b"action=x"), Is::Unreadable, "{kind}");
    }
    assert_eq!(is("application/problem+json", b"{\"action\":\"x\"}"), Is::Other);
    assert_eq!(is(FORM, b"_charset_=utf-7&a=b"), Is::Unreadable);
    assert_eq!(is(FORM, b"_charset_=UTF-8&a=b"), Is::Other);
    assert_eq!(is(FORM, b"a=\xff"), Is::Unreadable);
    assert_eq!(is(FORM, "a=b&".repeat(4096).as_bytes()), Is::Other);
    assert_eq!(is(FORM, "a=b&".repeat(4097).as_bytes()), Is::Unreadable);
    assert_eq!(is(FORM, ("a=b&".repeat(4096) + "a=b").as_bytes()), Is::Unreadable);
}

#[test]
fn path_12_json_is_read_at_every_depth() {
    let json = "application/json";
    for (body, expected) in [
        (r#"{"action":"login"}"#, Is::Login),
        (r#"{"a":[{"b":{"action":"login"}}]}"#, Is::Login),
        (r#"{"action":["login"]}"#, Is::Login),
        (r#"{"action":{"x":"y"}}"#, Is::Login),
        (r#"{"action":"x","action":"y"}"#, Is::Login),
        (r#"{"\u0061ction":"login"}"#, Is::Login),
        (r#"{"action":"logout"}"#, Is::Other),
        (r#"{"action":true}"#, Is::Other),
        (r#"{"action":1}"#, Is::Other),
        (r#"{"action":-1}"#, Is::Other),
        (r#"{"action":1.5}"#, Is::Other),
        (r#"{"action":null}"#, Is::Other),
        (r#""login""#, Is::Other),
        (r#"{"action":"login"} x"#, Is::Unreadable),
        (r#"{"action":"login""#, Is::Unreadable),
        (r#"{action:"login"}"#, Is::Unreadable),
    ] {
        assert_eq!(is(json, body.as_bytes()), expected, "{body}");
        assert_eq!(is("application/vnd.api+json", body.as_bytes()), expected, "{body}");
        assert_eq!(is("text/json", body.as_bytes()), Is::Unreadable, "{body}");
    }
    // However much there is, what is beyond a limit could have any value.
    let filler = |count: usize| "\"a\":1,".repeat(count);
    let after = |count: usize, last: &str| format!("{{{}{last}}}", filler(count));
    assert_eq!(is(json, after(9000, "\"z\":1").as_bytes()), Is::Other);
    assert_eq!(is(json, after(1000, "\"action\":\"x\"").as_bytes()), Is::Other);
    assert_eq!(is(json, after(9000, "\"action\":\"x\"").as_bytes()), Is::Login);
    let names: String = (0..9000).map(|number| format!("\"n{number}\":1,")).collect();
    assert_eq!(is(json, format!("{{{names}\"z\":1}}").as_bytes()), Is::Unreadable);
}

#[test]
fn path_12_json_values_are_compared_as_they_are_written() {
    let door = |value: &str, body: &str| {
        let conditions = Conditions { form: pairs("n", value), ..Conditions::default() };
        let door = Rule { conditions, ..Rule::at("/assets/x".parse().unwrap()) };
        let policy = Policy { password_routes: vec![door], ..policy(Mode::AzureOnly) };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static(HOST));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let form = Form::read(&headers, body.as_bytes());
        let asked = asked_with(&Method::POST, "/assets/x", &headers).unwrap().with_form(form);
        matches!(decide(&policy, asked, None, NOON), Decision::Refuse(_))
    };
    for (value, body) in [
        ("true", r#"{"n":true}"#),
        ("false", r#"{"n":false}"#),
        ("7", r#"{"n":7}"#),
        ("-7", r#"{"n":-7}"#),
        ("1.5", r#"{"n":1.5}"#),
        ("*", r#"{"n":null}"#),
        ("x", r#"{"n":{"a":"b"}}"#),
        ("x", r#"{"n":[]}"#),
    ] {
        assert!(door(value, body), "{value} {body}");
    }
    for (value, body) in [("true", r#"{"n":false}"#), ("7", r#"{"n":8}"#), ("x", r#"{"n":null}"#)] {
        assert!(!door(value, body), "{value} {body}");
    }
}

/// `|` for a line's end.
fn multipart(kind: &str, body: &str) -> Is {
    is(kind, body.replace('|', "\r\n").as_bytes())
}

#[test]
fn path_12_multipart_is_read_in_one_way_or_not_at_all() {
    let kind = "multipart/form-data; boundary=b";
    let named = "Content-Disposition: form-data; name=\"action\"";
    for (body, expected) in [
        (format!("--b|{named}||login|--b--"), Is::Login),
        (format!("--b|{named}||login|--b--|"), Is::Login),
        (format!("--b|{named}||logout|--b--|"), Is::Other),
        ("--b|content-disposition:form-data;name=\"action\"||login|--b--|".to_owned(), Is::Login),
        (
            format!("--b|{named}|Content-Type: text/plain|Content-Length: 5||login|--b--|"),
            Is::Login,
        ),
        (format!("--b|{named}|Content-Type: text/plain; charset=utf-7||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}|Content-Type: text/plain; charset=utf-8||x|--b--|"), Is::Other),
        (format!("--b|{named}; filename=\"a\"||x|--b--|"), Is::Login),
        (format!("--b|{named}; filename=\"a\\\"\"||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}; filename=\"a; name=b\"||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}; filename=\"=?utf-8?Q?a?=\"||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}; filename*=\"a\"||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}; x||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}|{named}||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}|Content-Transfer-Encoding: base64||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}| folded: x||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}|\tfolded: x||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}\nX: y||x|--b--|"), Is::Unreadable),
        (format!("--b|{named}|Content-Type: text/plain\nX: y||x|--b--|"), Is::Unreadable),
        ("--b|Content-Type: text/plain||x|--b--|".to_owned(), Is::Unreadable),
        ("--b|Content-Disposition: form-data; name=action||x|--b--|".to_owned(), Is::Unreadable),
        (
            "--b|Content-Disposition: form-data; name=\"act\\ion\"||x|--b--|".to_owned(),
            Is::Unreadable,
        ),
        (format!("preamble|--b|{named}||login|--b--|"), Is::Unreadable),
        (format!("--b|{named}||x|--b--|epilogue"), Is::Unreadable),
        (format!("--b|{named}||x"), Is::Unreadable),
        (format!("--b|{named}||x|--bc|{named}||y|--b--"), Is::Unreadable),
        (format!("--b|{named}||x\n--b\n|--b--"), Is::Unreadable),
        (format!("--b|{named}||--b|--b--"), Is::Unreadable),
        (format!("--b|{named}||x\r--b|--b--"), Is::Unreadable),
        (format!("--b|{named}||x--b|--b--"), Is::Other),
    ] {
        assert_eq!(multipart(kind, &body), expected, "{body}");
    }
    let body = format!("--b|{named}||login|--b--");
    for kind in ["multipart/form-data; boundary=\"b\"", "multipart/form-data;boundary=b;x=y"] {
        assert_eq!(multipart(kind, &body), Is::Login, "{kind}");
    }
    for kind in [
        "multipart/form-data",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"b",
        "multipart/form-data; boundary=b; boundary=b",
        "multipart/form-data; boundary*=b",
        // PHP takes the first place where the word stands, Rack the last.
        "multipart/form-data; xboundary=a; boundary=b",
        "multipart/form-data; foo-boundary=a; boundary=b",
        "multipart/form-data; boundary=b; xboundary=a",
        "multipart/form-data; x=\"boundary=a\"; boundary=b",
        "multipart/form-data; x=boundary; boundary=b",
        "multipart/form-data; boundary=b; xcharset=utf-7",
    ] {
        assert_eq!(multipart(kind, &body), Is::Unreadable, "{kind}");
    }
    let longest = "b".repeat(70);
    for (boundary, quoted, expected) in [
        (longest.as_str(), false, Is::Login),
        (&format!("{longest}b"), false, Is::Unreadable),
        ("b b", true, Is::Login),
        ("b b", false, Is::Unreadable),
        ("b ", true, Is::Unreadable),
        ("b@", false, Is::Unreadable),
        ("b'()+_-./:=?", true, Is::Login),
        ("----WebKitFormBoundaryb", false, Is::Login),
        // To PHP, Rack and Java's common parser it ends at the comma.
        ("a,b", false, Is::Unreadable),
        ("a,b", true, Is::Unreadable),
        ("boundary=b", true, Is::Unreadable),
        ("charset=utf-7", true, Is::Unreadable),
    ] {
        let mark = if quoted { "\"" } else { "" };
        let kind = format!("multipart/form-data; boundary={mark}{boundary}{mark}");
        let body = format!("--{boundary}|{named}||login|--{boundary}--");
        assert_eq!(multipart(&kind, &body), expected, "{kind}");
    }
    let part = "--b|Content-Disposition: form-data; name=\"a\"||x|";
    assert_eq!(multipart(kind, &format!("{}--b--", part.repeat(4096))), Is::Other);
    assert_eq!(multipart(kind, &format!("{}--b--", part.repeat(4097))), Is::Unreadable);
}

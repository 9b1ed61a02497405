//! Which requests are kept for their members: some of those that are told to sign in, and no
//! others.

use anteport::gate::{Decision, KeptForm, MemberMark, Mode, Refusal, may_be_from_own_page};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{HOST, NOON, policy};

const KEPT: [(&str, &str); 8] = [
    ("host", HOST),
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "same-origin"),
    ("origin", "https://members.example"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("cookie", "a=b; __Host-anteport-member=x"),
];

/// Those above without the named ones, and with these instead.
fn headers(instead: &[(&str, &str)]) -> HeaderMap {
    let kept = KEPT.iter().filter(|(name, _)| instead.iter().all(|(other, _)| other != name));
    let all = kept.chain(instead).filter(|(_, value)| !value.is_empty());
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    HeaderMap::from_iter(all.map(pair))
}

fn decided(mode: Mode, keeps: bool, method: &Method, target: &str, headers: &HeaderMap) -> String {
    let policy = anteport::gate::Policy { resend_forms: keeps.then_some(1024), ..policy(mode) };
    let line = anteport::gate::RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    let policies = std::slice::from_ref(&policy);
    let asked = match anteport::gate::Asked::read(policies, method, &line, headers) {
        Ok(asked) => asked.with_form(anteport::gate::Form::Absent),
        Err(refusal) => return refusal.code().to_owned(),
    };
    match anteport::gate::decide(&policy, asked, None, NOON).settled() {
        Ok(Decision::Keep(target)) => format!("keep {target}"),
        Ok(Decision::Refuse(refusal)) => refusal.code().to_owned(),
        other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
    }
}

#[test]
fn oidc_17_what_is_kept_is_what_is_told_to_sign_in_otherwise() {
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let targets =
        ["/", "/reports/%41?q=%2f", "/login", "/.auth/resend", "/.auth/me", "/assets/a", "/a//b"];
    let instead: [&[(&str, &str)]; 6] = [
        &[],
        &[("cookie", "")],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-mode", "cors")],
        &[("content-type", "application/json")],
        &[("upgrade", "websocket")],
    ];
    let mut kept = 0;
    for mode in [Mode::AzureOnly, Mode::Optional, Mode::ReportOnly, Mode::Off] {
        for method in &methods {
            for target in targets {
                for instead in instead {
                    let headers = headers(instead);
                    let without = decided(mode, false, method, target, &headers);
                    let with = decided(mode, true, method, target, &headers);
                    if with == without {
                        continue;
                    }
                    kept += 1;
                    assert_eq!(without, Refusal::SignInRequired.code(), "{method} {target}");
                    let canonical = target.replace("%41", "A");
                    assert_eq!(with, format!("keep {canonical}"), "{method} {instead:?}");
                    assert_eq!((mode, instead.len()), (Mode::AzureOnly, 0));
                }
            }
        }
    }
    assert_eq!(kept, 4 * 3 - 1, "four methods and three addresses, less the password route");
}

#[test]
fn ui_03_two_values_of_what_may_be_there_once_show_nothing() {
    let policy = policy(Mode::AzureOnly);
    assert!(may_be_from_own_page(&policy, &headers(&[])));
    for name in ["sec-fetch-site", "origin"] {
        let mut headers = headers(&[]);
        let same = headers[name].clone();
        headers.append(name.parse::<HeaderName>().unwrap(), same);
        assert!(!may_be_from_own_page(&policy, &headers), "{name}");
    }
}

#[test]
fn a_record_is_read_as_it_was_written_or_not_at_all() {
    let mark = MemberMark::new([7; 32]);
    let keep = |headers: &HeaderMap| {
        let asked = (&Method::PATCH, "/a?b=%2f".to_owned());
        KeptForm::keep(asked, headers, Bytes::from_static(b"\0\xff{"), mark, [9; 16], NOON)
    };
    let form = keep(&headers(&[])).unwrap();
    let bytes = form.to_bytes().unwrap();
    let again = KeptForm::from_bytes(bytes.clone()).unwrap();
    assert_eq!((again.id(), again.member(), again.target()), (&[9; 16], mark, "/a?b=%2f"));
    assert!(!again.is_over(NOON) && again.is_over(NOON.after(KeptForm::LIMIT)));
    let mut headers_now = headers(&[("origin", "null"), ("content-encoding", "gzip")]);
    let (method, target, body) = again.restore(&mut headers_now).unwrap();
    assert_eq!((method, &*target, &*body), (Method::PATCH, "/a?b=%2f", &b"\0\xff{"[..]));
    assert_eq!(headers_now["origin"], "https://members.example");
    assert_eq!(headers_now["content-length"], "3");
    assert!(!headers_now.contains_key("content-encoding") && !headers_now.contains_key("referer"));
    for length in 0..bytes.len() - 3 {
        assert!(KeptForm::from_bytes(bytes[..length].to_vec()).is_none(), "{length}");
    }
    assert!(KeptForm::from_bytes(vec![0xff; 64]).is_none());
    // What no browser sends is not kept, and nothing shows what was typed (LOG-01).
    let mut odd = headers(&[]);
    odd.insert("referer", HeaderValue::from_bytes(b"\xff").unwrap());
    assert!(keep(&odd).is_none());
    odd.insert("referer", HeaderValue::from_str(&"\"".repeat(32 * 1024)).unwrap());
    assert!(keep(&odd).unwrap().to_bytes().is_none());
    assert_eq!(format!("{form:?} {mark:?}"), "KeptForm(3 bytes) MemberMark(…)");
}

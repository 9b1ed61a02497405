//! The profiles, by the tables of requests in `fixtures/profiles/` (PATH-16). What products are
//! really reached through is for `tests/portals`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use anteport::config;
use anteport::gate::{Asked, Decision, Form, Policy, RawTarget, Refusal, Timestamp, decide};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn policy(profile: &str) -> Policy {
    let text = format!(
        r#"
listen: {{ address: "127.0.0.1:8443" }}
providers:
  corporate:
    kind: entra_id
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [{{ secret: {{ value: "secret" }} }}]
portals:
  - public_url: https://portal.example
    upstream: {{ url: "http://127.0.0.1:3000" }}
    local_login: {{ profile: {profile} }}
    routes: [{{ path: "/**", access: public, local_credentials: true }}]
"#
    );
    let loaded = config::parse("test.yaml", &text, &|_| None, NOON);
    let mut loaded = loaded.unwrap_or_else(|problems| panic!("{profile}: {problems}"));
    loaded.config.portals.remove(0).policy
}

/// What becomes of a line's request for somebody without a session on a route for everybody: only
/// the profile can refuse it or turn it into a sign-in.
fn verdict(policy: &Policy, method: &str, target: &str, more: &[&str]) -> &'static str {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("portal.example"));
    let mut body = String::new();
    for field in more {
        let (kind, rest) = field.split_once(':').unwrap();
        match kind {
            "header" => {
                let (name, value) = rest.split_once('=').unwrap();
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            "cookie" => {
                headers.append("cookie", HeaderValue::from_str(rest).unwrap());
            }
            "body" => {
                let (kind, text) = rest.split_once(' ').unwrap();
                if kind != "-" {
                    headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
                }
                body = text.replace("\\r", "\r").replace("\\n", "\n");
            }
            other => panic!("unknown field {other}"),
        }
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let target = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    let policies = std::slice::from_ref(policy);
    let asked = match Asked::read(policies, &method, &target, &headers) {
        Ok(asked) => asked.with_form(Form::read(&headers, body.as_bytes())),
        Err(_) => return "refuse",
    };
    match decide(policy, asked, None, NOON) {
        Decision::Forward(_) => "pass",
        Decision::Login(_) | Decision::Keep(_) | Decision::Refuse(Refusal::SignInRequired) => {
            "login"
        }
        Decision::Refuse(_) => "refuse",
        Decision::Own(_) | Decision::Redirect(_) | Decision::Inspect(_) => "something else",
    }
}

#[test]
fn path_16_every_profile_refuses_and_passes_what_its_table_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/profiles");
    let mut wrong = Vec::new();
    let mut profiles = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        profiles += 1;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let policy = policy(&name);
        let text = std::fs::read_to_string(&path).unwrap();
        let (mut refused, mut passed) = (0, 0);
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [expected, method, target, more @ ..] = fields.as_slice() else {
                panic!("{name}: {line}")
            };
            let is = verdict(&policy, method, target, more);
            refused += usize::from(*expected == "refuse");
            passed += usize::from(*expected == "pass");
            if is != *expected {
                wrong.push(format!("{name}: {line}\n  is {is}"));
            }
        }
        assert!(refused >= 15 && passed >= 8, "{name}: {refused} refused, {passed} passed");
    }
    assert_eq!(profiles, 15);
    assert!(wrong.is_empty(), "{} of the lines differ:\n{}", wrong.len(), wrong.join("\n"));
}

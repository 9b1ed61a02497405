//! What is told of members, and when nothing is.

use super::*;
use crate::gate::{Lifetimes, Subject};
use std::time::Duration;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn session(claim: &str, value: Value) -> Session {
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::assertion(subject, Map::from_iter([(claim.to_owned(), value)]));
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(claims, "corporate".into(), "h".into(), "s".into(), lifetimes, NOON)
}

#[test]
fn a_route_is_told_its_part_and_one_that_is_not_known_nothing() {
    let [one, other] = ["x-auth-one", "x-auth-other"].map(HeaderName::from_static);
    let mapping = || Mapping::claim("note".parse().unwrap());
    let signers = Arc::new(Signers::new(Vec::new()));
    let identity = Identity {
        headers: vec![(one.clone(), mapping()), (other.clone(), mapping())],
        assertion: None,
        signer: None,
        parts: vec![vec![], vec![other.clone()]],
        presets: Presets::new(&crate::config::Presets::default(), &signers),
        tokens: Vec::new(),
        made: 0,
        signers,
    };
    let envelope = identity.render(&session("note", Value::from("n")), NOON).unwrap();
    for (told, names) in [
        (Told::All, vec![one, other.clone()]),
        (Told::Part(0), vec![]),
        (Told::Part(1), vec![other]),
        (Told::Part(2), vec![]),
        (Told::Part(u16::MAX), vec![]),
    ] {
        let here = envelope.told(told).headers.iter().map(|(name, _)| name.clone());
        assert_eq!(here.collect::<Vec<_>>(), names, "{told:?}");
    }
}

#[test]
fn the_assertion_has_the_claims_that_headers_are_made_of_as_they_are() {
    let mapping = Mapping::Template {
        template: "{a.b}/{c}".parse().unwrap(),
        transforms: vec![crate::config::Transform::Upper],
        otherwise: crate::config::Otherwise::Nothing,
    };
    let headers = [(HeaderName::from_static("x-auth-note"), mapping)];
    let claims = serde_json::json!({ "a": { "b": "x", "d": 1 }, "c": null, "e": 2 });
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = VerifiedClaims::assertion(subject, claims.as_object().unwrap().clone());
    let said = Value::Object(read(&headers, &claims).unwrap());
    assert_eq!(said, serde_json::json!({ "a": { "b": "x", "d": 1 } }));
}

#[test]
fn hdr_09_a_number_arrives_in_the_assertion_as_it_was_written_or_refuses_the_login() {
    // A template reads one part, and the assertion has the whole claim.
    let mapping = Mapping::Template {
        template: "{member.name}".parse().unwrap(),
        transforms: vec![],
        otherwise: crate::config::Otherwise::Nothing,
    };
    let headers = [(HeaderName::from_static("x-auth-note"), mapping)];
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let said = |number: &str| {
        let text = format!("{{\"member\":{{\"name\":\"n\",\"numbers\":[{number}]}}}}");
        let claims: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let claims = VerifiedClaims::assertion(subject.clone(), claims);
        let read = read(&headers, &claims).map(|read| serde_json::to_string(&read).unwrap());
        (text, read)
    };
    for number in [
        "0",
        "-7",
        // Beyond what a number of JavaScript's holds, and as it was all the same.
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1.5",
        "123456.789012345",
    ] {
        let (text, read) = said(number);
        assert_eq!(read.unwrap(), text);
    }
    for number in [
        "18446744073709551616",
        "-9223372036854775809",
        "12345678901234567890123",
        "9007199254740993.0",
        "0.12345678901234567",
        "1e22",
    ] {
        let (text, read) = said(number);
        match read {
            Ok(read) => panic!("{text} became {read}"),
            Err(error) => assert_eq!(error.code(), "identity-claim-form"),
        }
    }
}

#[test]
fn hdr_10_identity_headers_are_as_large_as_old_servers_take_and_no_larger() {
    let name = HeaderName::from_static("x-auth-note");
    let mapping = Mapping::claim("note".parse().unwrap());
    let signers = Arc::new(Signers::new(Vec::new()));
    let identity = Identity {
        headers: vec![(name.clone(), mapping)],
        assertion: None,
        signer: None,
        parts: Vec::new(),
        presets: Presets::new(&crate::config::Presets::default(), &signers),
        tokens: Vec::new(),
        made: 0,
        signers,
    };
    let render =
        |length: usize| identity.render(&session("note", Value::from("n".repeat(length))), NOON);
    let room = LARGEST - name.as_str().len() - 4;
    assert_eq!(render(room).unwrap().headers.len(), 1);
    let error = render(room + 1).unwrap_err();
    assert_eq!(error.code(), "identity-too-large", "and nothing is cut short");
    // What is encoded counts as it is on the wire.
    let error = identity.render(&session("note", Value::from("é".repeat(room / 3))), NOON);
    assert_eq!(error.unwrap_err().code(), "identity-too-large");
}

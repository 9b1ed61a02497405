//! Which ID tokens are believed. No network.

use std::time::Duration;

use anteport::config::{Tenant, Tenants};
use anteport::gate::{Secret, Subject, Timestamp, VerifiedClaims};
use anteport::relying_party::IdTokenError;
use anteport::relying_party::id_token::{Expected, UnverifiedToken};
use anteport::relying_party::issuers::Issuers;
use anteport::relying_party::keys::Keys;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::provider::{
    CLIENT, KEYS, OBJECT, PERSONAL, TENANT, base64, header, jwk, numbers, sign, token,
};
use crate::world::{NOON, claims, entra};

const ISSUER: &str = "https://login.microsoftonline.com/3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11/v2.0";
const NONCE: &str = "kU3vNonceOfThisLogin";
const SKEW: Duration = Duration::from_secs(60);

fn judge_at(raw: &str, now: Timestamp) -> Result<VerifiedClaims, IdTokenError> {
    let set = json!({"keys": [jwk("one", &KEYS[0])]}).to_string();
    let tenant = Tenants::One(Tenant::Id(TENANT.to_owned()));
    let kind = entra("https://login.microsoftonline.com", tenant);
    let issuers = Issuers::of(&kind, ISSUER).unwrap();
    let keys = Keys::read(set.as_bytes(), &issuers, None).unwrap();
    let nonce = Secret::new(NONCE.to_owned());
    let access_token = Secret::new("opaque-access-token".to_owned());
    let expected = Expected {
        issuers: &issuers,
        policy: None,
        client_id: CLIENT,
        nonce: &nonce,
        access_token: Some(&access_token),
        clock_skew: SKEW,
        max_age: None,
        is_refreshed: false,
        context: None,
    };
    let token = UnverifiedToken::read(raw)?;
    let key = keys.get(token.key_id()).ok_or(IdTokenError::KeyUnknown)?;
    token.verify(key, &expected, now)
}

fn judge(raw: &str) -> Result<VerifiedClaims, IdTokenError> {
    judge_at(raw, NOON)
}

fn good() -> Value {
    claims(ISSUER, NONCE, NOON)
}

fn with(name: &str, value: Value) -> String {
    let mut claims = good();
    claims[name] = value;
    token("one", &claims, &KEYS[0])
}

fn without(name: &str) -> String {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    token("one", &claims, &KEYS[0])
}

fn with_header(header: Value) -> String {
    let claims = good().to_string();
    sign(header.to_string().as_bytes(), claims.as_bytes(), &KEYS[0])
}

fn reason(raw: &str) -> &'static str {
    match judge(raw) {
        Ok(_) => "believed",
        Err(error) => error.code(),
    }
}

#[test]
fn log_01_a_reason_says_what_was_expected_and_not_what_was_there() {
    for (name, value, said) in [
        ("iat", json!("canary"), "the token's `iat` is not a whole number of seconds since 1970"),
        ("sub", json!(["canary"]), "the token's `sub` is not a text"),
        (
            "aud",
            json!("canary"),
            "the token's `aud` is not the provider's `client_id`, and that alone",
        ),
        (
            "nonce",
            json!("canary"),
            "the token's `nonce` is missing, or not the one that the login sent",
        ),
    ] {
        assert_eq!(judge(&with(name, value)).unwrap_err().to_string(), said);
    }
}

#[test]
fn log_01_a_token_among_the_claims_is_not_taken_over() {
    for name in ["idp_access_token", "idp_refresh_token", "identityProviderAccessToken"] {
        let claims = judge(&with(name, json!("canary"))).unwrap();
        assert_eq!(claims.get(name), None);
        assert!(claims.iter().all(|(_, value)| *value != "canary"), "{name}");
        assert_eq!(claims.text("name"), Some("Ines Caldera"));
    }
}

/// AZ-02
#[test]
fn a_good_token_is_believed_and_names_tenant_and_object() {
    let claims = judge(&token("one", &good(), &KEYS[0])).unwrap();
    let subject = Subject::Directory { tenant: TENANT.to_owned(), object: OBJECT.to_owned() };
    assert_eq!(claims.subject(), &subject);
    assert_eq!(claims.text("name"), Some("Ines Caldera"));
    assert_eq!(claims.get("roles"), Some(&json!(["treasurer"])));
}

/// OIDC-09, AZ-01
#[test]
fn a_claim_that_says_something_else_is_refused() {
    let elsewhere = "b7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8";
    let now = NOON.unix_seconds();
    for (name, value, code) in [
        ("iss", json!("https://elsewhere.example/v2.0"), "token-issuer"),
        ("iss", json!(format!("{ISSUER}/")), "token-issuer"),
        ("iss", json!(ISSUER.replace(TENANT, elsewhere)), "token-issuer"),
        ("iss", json!(ISSUER.replace("https", "HTTPS")), "token-issuer"),
        ("iss", json!("no url"), "token-issuer"),
        ("iss", json!(["x"]), "token-claim-type"),
        ("aud", json!("another"), "token-audience"),
        ("aud", json!([CLIENT, "another"]), "token-audience"),
        ("aud", json!([CLIENT, CLIENT]), "token-audience"),
        ("aud", json!([]), "token-audience"),
        ("aud", json!(1), "token-audience"),
        ("azp", json!("another"), "token-authorized-party"),
        ("azp", json!(null), "token-claim-type"),
        ("nonce", json!("another"), "token-nonce"),
        ("nonce", json!(""), "token-nonce"),
        ("nonce", json!(7), "token-claim-type"),
        ("exp", json!(now - 61), "token-expired"),
        ("exp", json!((now + 3600).to_string()), "token-claim-type"),
        ("exp", json!(1e12), "token-claim-type"),
        ("exp", json!(-1), "token-claim-type"),
        ("exp", json!(u64::MAX), "token-claim-type"),
        ("iat", json!(now + 61), "token-not-yet-valid"),
        ("iat", json!(now - 24 * 3600 - 1), "token-too-old"),
        ("iat", json!(now as f64 + 0.5), "token-claim-type"),
        ("nbf", json!(now + 61), "token-not-yet-valid"),
        ("nbf", json!("now"), "token-claim-type"),
        ("sub", json!(""), "token-subject"),
        ("sub", json!("x".repeat(256)), "token-subject"),
        ("sub", json!("line\nbreak"), "token-subject"),
        ("tid", json!(elsewhere), "token-tenant"),
        ("tid", json!(TENANT.to_uppercase()), "token-tenant"),
        ("tid", json!("common"), "token-tenant"),
        ("oid", json!("ines"), "token-subject"),
        ("oid", json!(OBJECT.to_uppercase()), "token-subject"),
        ("ver", json!("1.0"), "token-version"),
        ("ver", json!(2.0), "token-claim-type"),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), "token-access-token-hash"),
    ] {
        assert_eq!(reason(&with(name, value.clone())), code, "{name}: {value}");
    }
}

/// OIDC-09
#[test]
fn a_claim_that_must_be_there_is_missed() {
    for (name, code) in [
        ("iss", "token-issuer"),
        ("aud", "token-audience"),
        ("nonce", "token-nonce"),
        ("exp", "token-expired"),
        ("iat", "token-not-yet-valid"),
        ("sub", "token-subject"),
        ("tid", "token-tenant"),
        ("oid", "token-subject"),
        // Optional by the standards, and then not missed.
        ("nbf", "believed"),
        ("ver", "believed"),
    ] {
        assert_eq!(reason(&without(name)), code, "{name}");
    }
}

/// OIDC-09
#[test]
fn an_audience_of_one_may_be_a_list_and_the_party_may_be_named() {
    assert_eq!(reason(&with("aud", json!([CLIENT]))), "believed");
    assert_eq!(reason(&with("azp", json!(CLIENT))), "believed");
    let hash = digest(&SHA256, b"opaque-access-token");
    let hash = base64(&hash.as_ref()[..16]);
    assert_eq!(reason(&with("at_hash", json!(hash))), "believed");
}

/// OIDC-09, REL-03
#[test]
fn clocks_may_differ_by_the_skew_and_no_more() {
    let raw = token("one", &good(), &KEYS[0]);
    let issued = Timestamp::from_unix_seconds(NOON.unix_seconds() - 300);
    let expires = Timestamp::from_unix_seconds(NOON.unix_seconds() + 3600);
    let millisecond = Duration::from_millis(1);
    assert!(judge_at(&raw, issued.before(SKEW)).is_ok());
    assert!(judge_at(&raw, expires.after(SKEW).before(millisecond)).is_ok());
    let early = judge_at(&raw, issued.before(SKEW).before(millisecond));
    assert_eq!(early.unwrap_err(), IdTokenError::NotYetValid);
    let late = judge_at(&raw, expires.after(SKEW));
    assert_eq!(late.unwrap_err(), IdTokenError::Expired);
}

/// OIDC-09: a wrong clock does not make us fall over.
#[test]
fn no_clock_is_too_wrong_to_refuse_with() {
    let raw = token("one", &good(), &KEYS[0]);
    for millis in [i64::MIN, -1, 0, i64::MAX] {
        assert!(judge_at(&raw, Timestamp::from_unix_millis(millis)).is_err());
    }
}

/// OIDC-06
#[test]
fn the_algorithm_is_ours_to_choose() {
    for algorithm in ["none", "None", "HS256", "RS384", "PS256", "ES256", "rs256", "A256GCM"] {
        let raw = with_header(json!({"alg": algorithm, "kid": "one"}));
        assert_eq!(reason(&raw), "token-algorithm", "{algorithm}");
    }
    assert_eq!(reason(&with_header(json!({"kid": "one"}))), "token-algorithm");
    let list = json!({"alg": ["RS256"], "kid": "one"});
    assert_eq!(reason(&with_header(list)), "token-algorithm");
}

/// OIDC-06
#[test]
fn without_a_signature_nothing_is_believed() {
    let payload = base64(good().to_string());
    let unsigned = base64(json!({"alg": "none", "kid": "one"}).to_string());
    assert_eq!(reason(&format!("{unsigned}.{payload}.")), "token-algorithm");
    let stripped = base64(header("one").to_string());
    assert_eq!(reason(&format!("{stripped}.{payload}.")), "token-signature");
}

/// OIDC-06: the class of attack that the public key as an HMAC secret belongs to.
#[test]
fn the_public_key_is_no_secret() {
    let (modulus, _) = numbers(&KEYS[0]);
    for algorithm in ["HS256", "RS256"] {
        let header = json!({"alg": algorithm, "kid": "one"}).to_string();
        let input = format!("{}.{}", base64(header), base64(good().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &modulus);
        let tag = hmac::sign(&key, input.as_bytes());
        let raw = format!("{input}.{}", base64(tag));
        assert!(judge(&raw).is_err(), "{algorithm}");
    }
}

/// OIDC-09
#[test]
fn a_signature_fits_its_own_content_and_key() {
    assert_eq!(reason(&token("one", &good(), &KEYS[1])), "token-signature");
    let raw = token("one", &good(), &KEYS[0]);
    let (content, signature) = raw.rsplit_once('.').unwrap();
    let other = with("name", json!("Somebody Else"));
    let (other, _) = other.rsplit_once('.').unwrap();
    assert_eq!(reason(&format!("{other}.{signature}")), "token-signature");
    assert_eq!(reason(&format!("{content}.{}", &signature[4..])), "token-signature");
}

/// OIDC-07
#[test]
fn a_key_in_the_header_is_ignored() {
    let raw = |extra: Value| {
        let mut header = header("one");
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let claims = good().to_string();
        sign(header.to_string().as_bytes(), claims.as_bytes(), &KEYS[1])
    };
    for extra in [
        json!({"jwk": jwk("one", &KEYS[1])}),
        json!({"jku": "https://elsewhere.example/keys"}),
        json!({"x5u": "https://elsewhere.example/cert"}),
        json!({"x5c": ["MIIC"]}),
    ] {
        assert_eq!(reason(&raw(extra)), "token-signature");
    }
}

/// OIDC-07
#[test]
fn the_key_must_be_named() {
    assert_eq!(reason(&with_header(json!({"alg": "RS256"}))), "token-key-missing");
    for kid in [json!(""), json!(1), json!(null), json!("x".repeat(300))] {
        let raw = with_header(json!({"alg": "RS256", "kid": kid}));
        assert_eq!(reason(&raw), "token-malformed");
    }
    assert_eq!(reason(&token("two", &good(), &KEYS[0])), "token-key-unknown");
}

#[test]
fn a_critical_extension_is_refused() {
    let raw = with_header(json!({"alg": "RS256", "kid": "one", "crit": ["exp"], "exp": 1}));
    assert_eq!(reason(&raw), "token-critical-header");
}

/// OIDC-21: an access token is a JWT too.
#[test]
fn another_kind_of_token_is_refused() {
    for header in [
        json!({"alg": "RS256", "kid": "one", "typ": "at+jwt"}),
        json!({"alg": "RS256", "kid": "one", "typ": "logout+jwt"}),
        json!({"alg": "RS256", "kid": "one", "cty": "JWT"}),
    ] {
        assert_eq!(reason(&with_header(header)), "token-malformed");
    }
}

/// OIDC-09
#[test]
fn what_is_said_twice_is_refused() {
    let claims = good().to_string();
    let body = claims.strip_prefix('{').unwrap();
    let head = header("one").to_string();
    for payload in [
        format!(r#"{{"oid":"00000000-0000-0000-0000-000000000000",{body}"#),
        format!(r#"{{"\u006fid":"00000000-0000-0000-0000-000000000000",{body}"#),
        format!(r#"{{"TID":"{PERSONAL}",{body}"#),
        format!(r#"{{"address":{{"a":1,"a":2}},{body}"#),
        format!(r#"{{"list":[{{"a":1,"a":1}}],{body}"#),
    ] {
        let raw = sign(head.as_bytes(), payload.as_bytes(), &KEYS[0]);
        assert_eq!(reason(&raw), "token-duplicate", "{payload}");
    }
    let head = r#"{"alg":"RS256","kid":"one","kid":"two"}"#;
    let raw = sign(head.as_bytes(), claims.as_bytes(), &KEYS[0]);
    assert_eq!(reason(&raw), "token-duplicate");
}

#[test]
fn what_is_no_compact_jws_is_refused() {
    let raw = token("one", &good(), &KEYS[0]);
    let head = header("one").to_string();
    for broken in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{raw}.x"),
        format!(" {raw}"),
        format!("{raw}="),
        format!("{raw}\n"),
        sign(head.as_bytes(), b"[]", &KEYS[0]),
        sign(head.as_bytes(), b"{} {}", &KEYS[0]),
        sign(head.as_bytes(), b"\xff", &KEYS[0]),
        sign(head.as_bytes(), "[".repeat(20_000).as_bytes(), &KEYS[0]),
    ] {
        assert_eq!(reason(&broken), "token-malformed");
    }
    assert_eq!(reason(&"x".repeat(70_000)), "token-too-long");
}

/// AZ-03
#[test]
fn guests_and_personal_accounts_are_refused() {
    let home = format!("https://sts.windows.net/{TENANT}/");
    assert_eq!(reason(&with("idp", json!(home))), "believed");
    assert_eq!(reason(&with("acct", json!(0))), "believed");
    let partner = "https://sts.windows.net/b7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8/";
    for (name, value) in [
        ("idp", json!(partner)),
        ("idp", json!("live.com")),
        ("idp", json!("mail")),
        ("idp", json!(null)),
        ("acct", json!(1)),
        ("acct", json!("1")),
        ("acct", json!(null)),
    ] {
        assert_eq!(reason(&with(name, value)), "token-guest", "{name}");
    }
}

/// AZ-02: an address is no identity, however well it fits.
#[test]
fn an_address_changes_nothing_about_who_it_is() {
    let plain = judge(&token("one", &good(), &KEYS[0])).unwrap();
    let mut claims = good();
    claims["email"] = json!("treasurer@harborclub.example");
    claims["preferred_username"] = json!("treasurer@harborclub.example");
    let dressed = judge(&token("one", &claims, &KEYS[0])).unwrap();
    assert_eq!(plain.subject().member_key(), dressed.subject().member_key());
}

/// LOG-01
#[test]
fn neither_token_nor_reason_shows_a_claim() {
    let raw = with("nonce", json!("canary-canary"));
    let token = UnverifiedToken::read(&raw).unwrap();
    assert_eq!(format!("{token:?}"), "UnverifiedToken(…)");
    let error = judge(&raw).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}

fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let raw = token("one", &good(), &KEYS[0]).into_bytes();
    let length = raw.len();
    (0..length, any::<u8>(), 0..3_u8).prop_map(move |(at, byte, how)| {
        let mut bytes = raw.clone();
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_believed(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(judge(&String::from_utf8_lossy(&bytes)).is_err());
    }

    #[test]
    fn arbitrary_members_are_never_believed(
        header in ".{0,64}", payload in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let raw = format!("{}.{}.{}", base64(&header), base64(&payload), base64(&header));
        prop_assert!(judge(&raw).is_err());
        let signed = crate::provider::header("one").to_string();
        prop_assert!(judge(&sign(signed.as_bytes(), &payload, &KEYS[0])).is_err());
    }

    #[test]
    fn a_changed_token_is_never_believed(bytes in mangled()) {
        let changed = String::from_utf8_lossy(&bytes);
        prop_assume!(changed != token("one", &good(), &KEYS[0]));
        prop_assert!(judge(&changed).is_err());
    }
}

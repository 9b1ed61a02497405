//! Which keys of a key set are taken. No network.

use std::sync::LazyLock;

use anteport::config::{Tenant, Tenants};
use anteport::relying_party::issuers::{Issuers, TrustedIssuer};
use anteport::relying_party::keys::{KeyProblem, KeySetError, Keys};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::provider::{KEYS, PERSONAL, TENANT, base64, jwk, numbers};
use crate::world::entra;

const ISSUER: &str = "https://login.microsoftonline.com/3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11/v2.0";
static OWNERS: LazyLock<Issuers> = LazyLock::new(|| {
    let tenant = Tenants::One(Tenant::Id(TENANT.to_owned()));
    Issuers::of(&entra("https://login.microsoftonline.com", tenant), ISSUER).unwrap()
});
const CLOUD: Option<&str> = Some("microsoftonline.com");

fn read(keys: &[Value]) -> Result<Keys, KeySetError> {
    Keys::read(json!({ "keys": keys }).to_string().as_bytes(), &OWNERS, CLOUD)
}

fn changed(name: &str, value: Value) -> Value {
    let mut key = jwk("changed", &KEYS[1]);
    key[name] = value;
    key
}

/// OIDC-07, AZ-01
#[test]
fn a_bad_key_is_refused_and_the_others_are_taken() {
    let (modulus, exponent) = numbers(&KEYS[1]);
    let mut even = modulus.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let personal = ISSUER.replace(TENANT, PERSONAL);
    let oversize = vec![0xff; 1024];
    for (name, value, problem) in [
        ("kty", json!("EC"), KeyProblem::Type),
        ("kty", json!("oct"), KeyProblem::Type),
        ("kty", json!(null), KeyProblem::Malformed),
        ("use", json!("enc"), KeyProblem::Use),
        ("alg", json!("RS512"), KeyProblem::Algorithm),
        ("alg", json!("HS256"), KeyProblem::Algorithm),
        ("kid", json!(""), KeyProblem::Id),
        ("kid", json!(3), KeyProblem::Malformed),
        ("n", json!(base64(&modulus[..128])), KeyProblem::Weak),
        ("n", json!(base64(&modulus[1..])), KeyProblem::Weak),
        ("n", json!(base64(even)), KeyProblem::Weak),
        ("n", json!(base64(oversize)), KeyProblem::Weak),
        ("n", json!(""), KeyProblem::Weak),
        ("n", json!("not base64!"), KeyProblem::Malformed),
        ("e", json!(base64([1])), KeyProblem::Weak),
        ("e", json!(base64([3])), KeyProblem::Weak),
        ("e", json!(base64([1, 0, 0])), KeyProblem::Weak),
        ("e", json!(base64([0xff; 9])), KeyProblem::Weak),
        ("issuer", json!(personal), KeyProblem::Issuer),
        ("issuer", json!("https://login.microsoftonline.us/{tenantid}/v2.0"), KeyProblem::Issuer),
        ("issuer", json!(5), KeyProblem::Malformed),
        ("cloud_instance_name", json!("microsoftonline.us"), KeyProblem::Cloud),
    ] {
        let keys = read(&[changed(name, value.clone()), jwk("good", &KEYS[0])]).unwrap();
        assert_eq!(keys.refused(), [problem], "{name}: {value}");
        assert!(keys.get("changed").is_none());
        assert!(keys.get("good").is_some());
    }
    let padded: Vec<u8> = [0].into_iter().chain(modulus).collect();
    for (name, value) in [
        ("alg", json!("RS256")),
        ("n", json!(base64(padded))),
        ("e", json!(base64(exponent))),
        ("issuer", json!(ISSUER)),
        ("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ("cloud_instance_name", json!("microsoftonline.com")),
        ("x5c", json!(["not a certificate"])),
    ] {
        assert_eq!(read(&[changed(name, value)]).unwrap().len(), 1, "{name}");
    }
}

/// OIDC-07
#[test]
fn of_two_keys_with_one_id_neither_is_taken() {
    let (one, other) = (jwk("same", &KEYS[0]), jwk("same", &KEYS[1]));
    let keys = read(&[one.clone(), other.clone(), jwk("good", &KEYS[0]), one.clone()]).unwrap();
    assert!(keys.get("same").is_none());
    assert_eq!(keys.refused(), [KeyProblem::Ambiguous; 3]);
    assert_eq!(keys.len(), 1);
    // The same key twice is one key.
    assert_eq!(read(&[one.clone(), one]).unwrap().len(), 1);
}

/// SUP-02
#[test]
fn a_set_without_a_usable_key_is_not_taken() {
    let empty = read(&[]).unwrap_err();
    assert_eq!(empty, KeySetError::NoneUsable);
    let many: Vec<Value> = (0..300).map(|id| jwk(&id.to_string(), &KEYS[0])).collect();
    assert_eq!(read(&many).unwrap_err(), KeySetError::TooMany);
    for document in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]} x"#] {
        assert_eq!(
            Keys::read(document.as_bytes(), &OWNERS, CLOUD).unwrap_err(),
            KeySetError::Malformed
        );
    }
}

/// AZ-01
#[test]
fn a_key_signs_for_no_other_issuer_than_its_own() {
    let keys = read(&[changed("issuer", json!(ISSUER)), jwk("any", &KEYS[0])]).unwrap();
    let issuer = |tenant: &str| TrustedIssuer {
        issuer: ISSUER.replace(TENANT, tenant),
        tenant: Some(tenant.to_owned()),
    };
    assert!(keys.get("changed").unwrap().may_sign_for(&issuer(TENANT)));
    assert!(!keys.get("changed").unwrap().may_sign_for(&issuer(PERSONAL)));
    assert!(keys.get("any").unwrap().may_sign_for(&issuer(PERSONAL)));
}

proptest! {
    #[test]
    fn no_bytes_make_us_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Keys::read(&bytes, &OWNERS, CLOUD).is_err());
    }

    #[test]
    fn no_numbers_make_us_fall_over(
        n in prop::collection::vec(any::<u8>(), 0..600), e in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let key = json!({"kty": "RSA", "kid": "odd", "n": base64(n), "e": base64(e)});
        let _ = read(&[key]);
    }
}

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{EntraId, Oidc, ProviderKind, Tenant, Tenants};
use crate::gate::{Lifetimes, Subject, VerifiedClaims};
use crate::signing_key::SigningKey;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn session_of(subject: Subject, claims: Value) -> Session {
    let Value::Object(claims) = claims else { unreachable!() };
    let claims = VerifiedClaims::assertion(subject, claims);
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    Session::start(claims, "corporate".into(), "h".into(), "s".into(), lifetimes, NOON)
}

fn session(claims: Value) -> Session {
    session_of(Subject::Directory { tenant: "t".into(), object: "o".into() }, claims)
}

/// Ines, with other claims over hers.
fn ines(more: Value) -> Session {
    let mut claims = json!({
        "sub": "s-1", "oid": "o", "email": "ines@club.example", "name": "Ines Caldera",
        "preferred_username": "ines@club.example", "groups": ["crew", "board"],
    });
    let (Value::Object(all), Value::Object(more)) = (&mut claims, more) else { unreachable!() };
    all.extend(more);
    session(claims)
}

fn presets(presets: Vec<Preset>) -> Presets {
    let claims = PresetClaims {
        user: None,
        email: "email".into(),
        name: "name".into(),
        groups: "groups".into(),
    };
    let keys = [SigningAlgorithm::Es256, SigningAlgorithm::Rs256]
        .map(|algorithm| Arc::new(SigningKey::generate(algorithm).unwrap().0));
    let signers = Arc::new(Signers::new(keys.to_vec()));
    let addresses = config::Addresses { are_theirs: true, providers: Vec::new() };
    Presets::new(&config::Presets { presets, claims, addresses }, &signers)
}

fn both_families() -> Preset {
    Preset::Oauth2Proxy { forwarded: true, auth_request: true }
}

type Told = Vec<(String, String)>;

fn told(presets: &Presets, session: &Session) -> Result<Told, IdentityError> {
    let mut headers = Vec::new();
    presets.render(session, NOON, &mut headers)?;
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    Ok(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
}

fn value<'t>(told: &'t Told, name: &str) -> Option<&'t str> {
    told.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn hdr_09_one_group_never_becomes_two() {
    for (preset, name) in [
        (Preset::Authelia, "remote-groups"),
        (both_families(), "x-forwarded-groups"),
        (both_families(), "x-auth-request-groups"),
    ] {
        let presets = presets(vec![preset]);
        let all = told(&presets, &ines(json!({}))).unwrap();
        assert_eq!(value(&all, name), Some("crew,board"));
        for groups in [
            json!(["crew,admin"]),
            json!(["crew", ","]),
            json!("crew,admin"),
            json!([""]),
            json!(["crew", ""]),
            json!([" crew"]),
            json!(["crew\r\nRemote-User: admin"]),
            json!(["crew\n"]),
            json!(["Vorstände"]),
            json!(["crew\u{0}"]),
            json!(["crew\u{7f}"]),
        ] {
            let error = told(&presets, &ines(json!({ "groups": groups }))).unwrap_err();
            assert_eq!(error.code(), "identity-preset-value", "{groups}");
            // LOG-01: the log has the claim's name, not what it says.
            assert!(!causes_of(&error).contains("crew"), "{error}");
        }
        for groups in [json!([["a"]]), json!([{ "id": "a" }]), json!([null])] {
            let error = told(&presets, &ines(json!({ "groups": groups }))).unwrap_err();
            assert_eq!(error.code(), "identity-claim-form", "{groups}");
        }
        // No groups, no header: an empty one could be read as a group without a name.
        for groups in [json!([]), Value::Null] {
            let all = told(&presets, &ines(json!({ "groups": groups }))).unwrap();
            assert_eq!(value(&all, name), None);
        }
    }
}

fn causes_of(error: &IdentityError) -> String {
    crate::telemetry::causes(error)
}

#[test]
fn hdr_09_names_are_sent_as_they_are_or_not_at_all() {
    let presets = presets(vec![Preset::Authelia]);
    for user in ["ines\u{e9}", " ines", "ines ", "in\nes", "\u{202e}seni", "ines\t"] {
        for claim in ["preferred_username", "email"] {
            let mut more = json!({});
            more[claim] = user.into();
            let error = told(&presets, &ines(more)).unwrap_err();
            assert_eq!(error.code(), "identity-preset-value", "{user:?}");
        }
    }
    // Who cannot be named is nobody's member of groups.
    for user in [json!(""), Value::Null] {
        let error = told(&presets, &ines(json!({ "preferred_username": user }))).unwrap_err();
        assert_eq!(error.code(), "identity-preset-value");
    }
    // A name for display is encoded instead, and `%` with it, so that it decodes to itself.
    let all = told(&presets, &ines(json!({ "name": "Łukasz 100%, jr." }))).unwrap();
    assert_eq!(value(&all, "remote-name"), Some("%C5%81ukasz 100%25, jr."));
}

#[test]
fn az_05_groups_that_are_not_known_are_never_none() {
    let cases = [
        json!({ "groups": null, "_claim_names": { "groups": "src1" } }),
        json!({ "groups": null, "hasgroups": true }),
    ];
    for preset in [
        Preset::Authelia,
        both_families(),
        Preset::EasyAuth { names: Vec::new() },
        Preset::Pomerium { issuer: "i".into(), audience: "a".into(), headers: Vec::new() },
        Preset::AwsAlb {
            signer: "arn".into(),
            issuer: None,
            client_id: None,
            claims: vec!["groups".into()],
            plain: false,
        },
    ] {
        let presets = presets(vec![preset]);
        for case in &cases {
            let error = told(&presets, &ines(case.clone())).unwrap_err();
            assert_eq!(error.code(), "identity-group-overage");
        }
        let claims = ines(json!({})).claims().clone().with_groups_unresolved();
        let session = Session::start(
            claims,
            "corporate".into(),
            "h".into(),
            "s".into(),
            ines(json!({})).lifetimes(),
            NOON,
        );
        let error = told(&presets, &session).unwrap_err();
        assert_eq!(error.code(), "identity-groups-unresolved");
    }
}

#[test]
fn az_02_a_subject_that_everybody_has_names_nobody() {
    let presets = presets(vec![both_families()]);
    let everybody = json!({ "sub": "Not supported currently. Use oid claim." });
    let all = told(&presets, &ines(everybody)).unwrap();
    assert_eq!(value(&all, "x-forwarded-user"), Some("o"));
}

#[test]
fn an_operator_chooses_the_claims() {
    let mut presets = presets(vec![Preset::Authelia, both_families()]);
    presets.settings.claims = PresetClaims {
        user: Some("employee".into()),
        email: "emails[0]".into(),
        name: "given_name".into(),
        groups: "roles".into(),
    };
    let session = ines(json!({
        "employee": 10442, "emails": ["i@club.example", "j@club.example"], "given_name": "Ines",
        "roles": "Treasurer", "groups": ["a,b"],
    }));
    let all = told(&presets, &session).unwrap();
    for (name, wanted) in [
        ("remote-user", "10442"),
        ("remote-email", "i@club.example"),
        ("remote-name", "Ines"),
        ("remote-groups", "Treasurer"),
        ("x-forwarded-user", "10442"),
        ("x-auth-request-groups", "Treasurer"),
    ] {
        assert_eq!(value(&all, name), Some(wanted), "{name}");
    }
}

#[test]
fn easy_auth_names_customers_of_b2c_too() {
    let mut presets = presets(vec![Preset::EasyAuth { names: Vec::new() }]);
    let customer = session(json!({ "sub": "o", "emails": ["ines@mail.example"] }));
    let all = told(&presets, &customer).unwrap();
    assert_eq!(value(&all, "x-ms-client-principal-name"), None);
    presets.settings.claims.email = "emails[0]".into();
    let all = told(&presets, &customer).unwrap();
    assert_eq!(value(&all, "x-ms-client-principal-name"), Some("ines@mail.example"));
    assert_eq!(value(&all, "x-ms-client-principal-id"), Some("o"));
    assert_eq!(value(&all, "x-ms-client-principal-idp"), Some("corporate"));
}

#[test]
fn without_plain_headers_only_the_signed_one_is_sent() {
    let signed = [
        Preset::CloudflareAccess {
            team_domain: "https://t".into(),
            audience: "a".into(),
            plain: false,
        },
        Preset::GoogleIap { audience: "a".into(), plain: false },
        Preset::AwsAlb {
            signer: "arn".into(),
            issuer: None,
            client_id: None,
            claims: Vec::new(),
            plain: false,
        },
        Preset::Pomerium { issuer: "i".into(), audience: "a".into(), headers: Vec::new() },
    ];
    for preset in signed {
        let names: Vec<String> = preset.header_names().into_iter().map(str::to_owned).collect();
        let all = told(&presets(vec![preset]), &ines(json!({}))).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(names, [all[0].0.as_str()]);
        // What no plain header could carry is no matter in a token.
        assert!(all[0].1.is_ascii());
    }
}

#[test]
fn a_cloudflare_subject_is_another_for_every_member() {
    let presets = presets(vec![Preset::CloudflareAccess {
        team_domain: "https://t".into(),
        audience: "a".into(),
        plain: true,
    }]);
    let of = |issuer: &str| {
        let subject = Subject::Issuer { issuer: issuer.into(), subject: "same".into() };
        let session = session_of(subject, json!({ "sub": "same" }));
        match presets.published(&PresetEndpoint::CloudflareIdentity, Some(&session)) {
            Some(Published::Own(text)) => {
                serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(of("https://a"), of("https://b"));
    assert_eq!(of("https://a"), of("https://a"));
}

#[test]
fn without_a_key_nothing_is_sent() {
    let mut presets = presets(vec![Preset::GoogleIap { audience: "a".into(), plain: true }]);
    presets.signers.replace(Vec::new());
    let error = told(&presets, &ines(json!({}))).unwrap_err();
    assert_eq!(error.code(), "identity-assertion");
    presets.settings.presets = vec![Preset::AwsAlb {
        signer: "arn".into(),
        issuer: None,
        client_id: None,
        claims: Vec::new(),
        plain: true,
    }];
    let error = told(&presets, &ines(json!({}))).unwrap_err();
    assert_eq!(error.code(), "identity-assertion");
}

#[test]
fn env_04_all_keys_are_published_and_the_first_signs() {
    let presets = presets(vec![
        Preset::GoogleIap { audience: "a".into(), plain: false },
        Preset::CloudflareAccess {
            team_domain: "https://t".into(),
            audience: "a".into(),
            plain: false,
        },
    ]);
    let keys: Vec<Arc<SigningKey>> = [
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
    ]
    .map(|algorithm| Arc::new(SigningKey::generate(algorithm).unwrap().0))
    .to_vec();
    presets.signers.replace(keys.clone());
    let published = |endpoint| match presets.published(&endpoint, None) {
        Some(Published::Json(text)) => serde_json::from_str::<Value>(&text).unwrap(),
        other => panic!("{other:?}"),
    };
    let pems = published(PresetEndpoint::IapKeys);
    assert_eq!(pems.as_object().unwrap().len(), 2, "of the other algorithms none");
    let certs = published(PresetEndpoint::CloudflareCerts);
    let ids = |of: &Value| -> Vec<String> {
        let all = of.as_array().unwrap().iter();
        all.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&certs["keys"]), [keys[1].id(), keys[4].id()]);
    assert_eq!(ids(&certs["public_certs"]), [keys[1].id(), keys[4].id()]);
    assert_eq!(certs["public_cert"]["kid"], keys[1].id());
    // Every node makes the same certificate of a key.
    let pem = keys[1].certificate().unwrap().to_owned();
    assert_eq!(certs["public_cert"]["cert"], pem.as_str());
    assert_eq!(keys[0].certificate(), None);
}

#[test]
fn hdr_09_a_number_whose_digits_could_be_others_is_told_by_no_preset() {
    for preset in [Preset::Authelia, both_families()] {
        let presets = presets(vec![preset]);
        let of = |number: &str| {
            let number: Value = serde_json::from_str(number).unwrap();
            told(&presets, &ines(json!({ "preferred_username": number, "sub": number })))
        };
        assert!(of("10442").is_ok());
        assert!(of("12345678901234567890123").is_err(), "it is also the one after it");
    }
}

#[test]
fn hdr_09_a_number_that_could_be_another_is_in_no_token_and_no_principal() {
    let alb = Preset::AwsAlb {
        signer: "arn".into(),
        issuer: None,
        client_id: None,
        claims: vec!["member".into()],
        plain: false,
    };
    for preset in [alb, Preset::EasyAuth { names: Vec::new() }] {
        let presets = presets(vec![preset]);
        for (name, number, is_told) in [
            ("member", "18446744073709551615", true),
            ("member", "18446744073709551616", false),
            ("updated_at", "12345678901234567890123", false),
            ("address", "{\"x\":[1,{\"y\":0.12345678901234567}]}", false),
        ] {
            let mut more = json!({});
            more[name] = serde_json::from_str(number).unwrap();
            match told(&presets, &ines(more)) {
                Ok(_) => assert!(is_told, "{name} {number}"),
                Err(error) => {
                    assert!(!is_told, "{name} {number}");
                    assert_eq!(error.code(), "identity-claim-form");
                }
            }
        }
    }
}

/// Every preset that tells of an address which portals take for verified.
fn that_promise() -> [Preset; 5] {
    [
        Preset::CloudflareAccess {
            team_domain: "https://t".into(),
            audience: "a".into(),
            plain: true,
        },
        Preset::GoogleIap { audience: "a".into(), plain: true },
        Preset::Pomerium { issuer: "i".into(), audience: "a".into(), headers: Vec::new() },
        both_families(),
        Preset::Authelia,
    ]
}

fn entra() -> ProviderKind {
    let login = "https://login.example".parse().unwrap();
    let tenants = Tenants::One(Tenant::Id("t".into()));
    ProviderKind::EntraId(EntraId { login, tenants, guests: false })
}

#[test]
fn az_02_an_address_that_nobody_is_known_to_have_verified_is_told_by_no_preset_that_means_one() {
    let oidc = ProviderKind::Oidc(Oidc {
        issuer: "https://i.example".into(),
        metadata: "https://i.example".parse().unwrap(),
    });
    for preset in that_promise() {
        for (kind, more, of_provider, of_operator) in [
            (entra(), json!({}), false, true),
            (entra(), json!({ "xms_edov": true }), true, true),
            (entra(), json!({ "xms_edov": "1" }), true, true),
            (entra(), json!({ "xms_edov": false }), false, false),
            (entra(), json!({ "xms_edov": "0" }), false, false),
            // What others say with is no word of Entra's, but a no is a no.
            (entra(), json!({ "email_verified": true }), false, true),
            (entra(), json!({ "xms_edov": true, "email_verified": false }), false, false),
            (oidc.clone(), json!({}), false, true),
            (oidc.clone(), json!({ "email_verified": true }), true, true),
            (oidc.clone(), json!({ "email_verified": "true" }), true, true),
            (oidc.clone(), json!({ "email_verified": false }), false, false),
            (oidc.clone(), json!({ "email_verified": "false" }), false, false),
            // Nobody's address is nobody's to verify.
            (oidc.clone(), json!({ "email": null, "email_verified": false }), true, true),
        ] {
            let mut presets = presets(vec![preset.clone()]);
            presets.settings.addresses.providers = vec![("corporate".into(), kind)];
            for (are_theirs, is_told) in [(false, of_provider), (true, of_operator)] {
                presets.settings.addresses.are_theirs = are_theirs;
                let told = told(&presets, &ines(more.clone()));
                let case = format!("{} {more} {are_theirs}", preset.name());
                match told {
                    Ok(_) => assert!(is_told, "{case}"),
                    Err(error) => {
                        assert!(!is_told, "{case}: {error}");
                        assert_eq!(error.code(), "identity-email-unverified", "{case}");
                        assert!(!causes_of(&error).contains("ines@"), "LOG-01: {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn az_02_another_claim_does_not_make_an_address_a_verified_one() {
    for preset in that_promise() {
        let mut presets = presets(vec![preset.clone()]);
        presets.settings.addresses.are_theirs = false;
        presets.settings.addresses.providers = vec![("corporate".into(), entra())];
        let edov = |claims: Value| {
            let mut claims = claims;
            claims["xms_edov"] = true.into();
            ines(claims)
        };
        // As a name that somebody signs in with, or as the name of a member.
        presets.settings.claims.email = "upn".into();
        let other = edov(json!({ "upn": "board@club.example" }));
        let error = told(&presets, &other).unwrap_err();
        assert_eq!(error.code(), "identity-email-unverified", "{}", preset.name());
        assert!(told(&presets, &edov(json!({ "upn": "ines@club.example" }))).is_ok());
        presets.settings.claims.email = "nothing".into();
        presets.settings.claims.user = Some("email".into());
        let is_told = told(&presets, &ines(json!({}))).is_ok();
        // Cloudflare names nobody by a claim.
        assert_eq!(is_told, preset.name() == "cloudflare_access", "{}", preset.name());
        assert!(told(&presets, &edov(json!({}))).is_ok());
        presets.settings.claims.user = None;
        // A session of a provider that is gone from the configuration.
        presets.settings.claims.email = "email".into();
        presets.settings.addresses.providers = vec![("other".into(), entra())];
        assert!(told(&presets, &edov(json!({}))).is_err());
        // What the portal's own directory says is its own.
        presets.settings.claims.email = "ext.mail".into();
        let directory = Map::from_iter([("mail".to_owned(), "ines@club.example".into())]);
        // Whatever the provider says of the same.
        let ines = ines(json!({ "xms_edov": false }));
        let claims = ines.claims().clone().with_extensions(directory);
        let known = ines.continued(claims, "s".into(), NOON);
        assert!(told(&presets, &known).is_ok(), "{}", preset.name());
    }
}

#[test]
fn az_02_easy_auth_calls_nobody_by_an_address_that_is_not_theirs() {
    let presets = presets(vec![Preset::EasyAuth { names: Vec::new() }]);
    let named = |more: Value| {
        let mut all = json!({ "preferred_username": "ines" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let session = ines(all);
        let told = told(&presets, &session).unwrap();
        let called = describe(&session, "aad")["user_id"].as_str().unwrap().to_owned();
        let name = value(&told, "x-ms-client-principal-name").unwrap().to_owned();
        assert_eq!(name, called);
        name
    };
    assert_eq!(named(json!({})), "ines@club.example");
    assert_eq!(named(json!({ "xms_edov": true })), "ines@club.example");
    assert_eq!(named(json!({ "xms_edov": false })), "ines");
    assert_eq!(named(json!({ "email_verified": "false" })), "ines");
}

#[test]
fn what_the_portals_directory_says_is_not_for_the_browser() {
    let mut said = Map::new();
    said.insert("risk".to_owned(), 9.into());
    let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
    let claims = Map::from_iter([("name".to_owned(), "Ines".into())]);
    let claims = VerifiedClaims::assertion(subject, claims).with_extensions(said);
    let lifetimes =
        Lifetimes { idle: Duration::from_secs(1800), absolute: Duration::from_secs(43_200) };
    let session =
        Session::start(claims, "corporate".into(), "h".into(), "s".into(), lifetimes, NOON);
    let described = describe(&session, "aad").to_string();
    assert!(described.contains("Ines") && !described.contains("risk"), "{described}");
    let presets = presets(vec![Preset::EasyAuth { names: Vec::new() }]);
    let told = told(&presets, &session).unwrap();
    let principal = base64::engine::general_purpose::STANDARD;
    let principal = principal.decode(value(&told, "x-ms-client-principal").unwrap()).unwrap();
    let principal = String::from_utf8(principal).unwrap();
    assert!(principal.contains("Ines") && !principal.contains("risk"), "{principal}");
}

proptest! {
    #[test]
    fn hdr_09_two_members_are_never_told_alike(
        one in (any::<String>(), prop::collection::vec(any::<String>(), 0..3)),
        other in (any::<String>(), prop::collection::vec(any::<String>(), 0..3)),
    ) {
        let presets = presets_once();
        let of = |(name, groups): &(String, Vec<String>)| {
            told(presets, &ines(json!({ "preferred_username": name, "groups": groups })))
        };
        if let (Ok(first), Ok(second)) = (of(&one), of(&other)) {
            prop_assert_eq!(first == second, one == other);
            for (_, value) in &first {
                prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                prop_assert_eq!(value.trim(), value);
            }
        }
    }
}

fn presets_once() -> &'static Presets {
    static MADE: std::sync::OnceLock<Presets> = std::sync::OnceLock::new();
    MADE.get_or_init(|| presets(vec![Preset::Authelia, both_families()]))
}

/// Every claim of this name with a header.
fn pomerium_with(claim: &str) -> Preset {
    let header = HeaderName::try_from(format!("x-pomerium-claim-{claim}")).unwrap();
    let headers = vec![(header, claim.to_owned())];
    Preset::Pomerium { issuer: "i".into(), audience: "a".into(), headers }
}

#[test]
fn az_02_a_claim_header_tells_no_address_that_nobody_is_known_to_have_verified() {
    let oidc = ProviderKind::Oidc(Oidc {
        issuer: "https://i.example".into(),
        metadata: "https://i.example".parse().unwrap(),
    });
    let (mine, other) = ("ines@club.example", "board@club.example");
    for (claim, said, more, of_provider, of_operator) in [
        ("emails", json!([mine]), json!({}), true, true),
        // Another one than the verified.
        ("emails", json!([mine, other]), json!({}), false, true),
        ("emails", json!(other), json!({}), false, true),
        ("emails", json!([]), json!({}), true, true),
        ("emails", json!([other]), json!({ "email": null }), false, true),
        ("emails", json!([other]), json!({ "email": null, "email_verified": false }), false, false),
        (
            "emails",
            json!(["x", other]),
            json!({ "email": null, "email_verified": 0 }),
            false,
            false,
        ),
        // No address here, unless it is the very one of which the provider says no.
        ("upn", json!(other), json!({}), true, true),
        ("upn", json!(other), json!({ "email": null, "email_verified": false }), true, true),
        (
            "upn",
            json!("Board@Club.example"),
            json!({ "email": null, "emails": [other], "email_verified": false }),
            false,
            false,
        ),
        (
            "preferred_username",
            json!([other]),
            json!({ "email": null, "emails": other, "email_verified": false }),
            false,
            false,
        ),
    ] {
        let mut presets = presets(vec![pomerium_with(claim)]);
        presets.settings.addresses.providers = vec![("corporate".into(), oidc.clone())];
        let mut all = json!({ "email_verified": true, "preferred_username": "ines" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all[claim] = said;
        for (are_theirs, is_told) in [(false, of_provider), (true, of_operator)] {
            presets.settings.addresses.are_theirs = are_theirs;
            let case = format!("{claim} {all} {are_theirs}");
            match told(&presets, &ines(all.clone())) {
                Ok(_) => assert!(is_told, "{case}"),
                Err(error) => {
                    assert!(!is_told, "{case}: {error}");
                    assert_eq!(error.code(), "identity-email-unverified", "{case}");
                }
            }
        }
    }
}

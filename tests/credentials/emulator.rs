//! The emulated Microsoft's own checks of client assertions, asked as an application would.

use std::time::Duration;

use anteport::config;
use anteport::demo::microsoft::Options;
use anteport::demo::{CLIENT_ID, TENANT_ID};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::log::Log;
use crate::material::{Certificate, certificate};
use crate::world::browser::{Answer, Browser};
use crate::world::folder::Folder;
use crate::world::{MORNING, Plan, World};

/// An assertion that is wrong in the way that a test says.
struct Assertion {
    header: Value,
    claims: Value,
    encoding: &'static dyn RsaEncoding,
}

impl Assertion {
    fn written(&self, key: &KeyPair) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let input = format!("{}.{}", encoded(&self.header), encoded(&self.claims));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(self.encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn key(certificate: &Certificate) -> KeyPair {
    let pem = certificate.key.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = base64::engine::general_purpose::STANDARD.decode(pem).unwrap();
    KeyPair::from_pkcs8(&der).unwrap()
}

fn thumbprint(
    certificate: &Certificate,
    algorithm: &'static aws_lc_rs::digest::Algorithm,
) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(algorithm, &certificate.der))
}

async fn ask(base: &str, tenant: &str, assertion: &str) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", "https://graph.microsoft.com/.default")
        .append_pair("client_id", CLIENT_ID)
        .append_pair(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        .append_pair("client_assertion", assertion)
        .finish();
    let target = format!("/{tenant}/oauth2/v2.0/token");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    Browser::new(base.to_owned()).send("POST", &target, &headers, form.as_bytes()).await
}

/// What an operator's own configuration proves itself with is registered as it is.
#[test]
fn the_credentials_of_a_configuration_are_registered() {
    let folder = Folder::new();
    let made = certificate(2028, 3);
    let (file, key) = (folder.file("it.pem", &made.pem), folder.file("it.key", &made.key));
    let token = folder.file("token", "a.b.c");
    let text = format!(
        r#"
listen: {{ address: "127.0.0.1:8443" }}
providers:
  corporate:
    kind: entra_id
    tenant: harborclub.example
    client_id: {CLIENT_ID}
    credentials:
      - secret: {{ value: a-secret }}
      - certificate: {{ file: {file}, key: {{ file: {key} }} }}
      - federated: {{ token_file: {token} }}
      - managed_identity: {{ client_id: 2f6d8e30-7b41-4c95-a6d2-0e9f1b3c5a78 }}
portals:
  - public_url: http://127.0.0.1:8443
    upstream: {{ url: "http://127.0.0.1:3000" }}
    local_login: {{}}
"#
    );
    let loaded = config::parse("tests.yaml", &text, &|_| None, MORNING);
    let options = Options::operator(&loaded.unwrap_or_else(|problems| panic!("{problems}")).config);
    assert!(options.secrets[0].value.matches("a-secret"));
    assert_eq!(options.proofs.certificates, [made.der]);
    assert!(options.proofs.any_federated);
    let audience = &options.proofs.federated[0].audience;
    assert_eq!((options.proofs.identities.len(), &**audience), (1, "api://AzureADTokenExchange"));
}

#[tokio::test]
async fn assertions_are_checked_as_at_microsoft() {
    let _log = Log::hold().await;
    let (registered, ended, unknown) =
        (certificate(2028, 3), certificate(2026, 3), certificate(2028, 3));
    let known = vec![registered.der.clone(), ended.der.clone()];
    let world = World::start_with(Plan {
        registration: Box::new(move |options, _| {
            options.proofs.certificates = known;
            options.proofs.once = true;
        }),
        ..Plan::default()
    })
    .await;
    let base = world.microsoft.base_url().to_owned();
    let now = MORNING.unix_seconds();
    let number = std::cell::Cell::new(0);
    let good = |of: &Certificate| {
        number.set(number.get() + 1);
        Assertion {
            header: json!({
                "typ": "JWT", "alg": "PS256",
                "x5t#S256": thumbprint(of, &aws_lc_rs::digest::SHA256),
            }),
            claims: json!({
                "aud": format!("{base}/{TENANT_ID}/oauth2/v2.0/token"),
                "iss": CLIENT_ID, "sub": CLIENT_ID, "jti": number.get().to_string(),
                "iat": now, "nbf": now, "exp": now + 300,
            }),
            encoding: &RSA_PSS_SHA256,
        }
    };
    let with = |name: &str, value: Value| {
        let mut changed = good(&registered);
        changed.claims[name] = value;
        changed
    };
    let own = key(&registered);
    let old = {
        let mut old = good(&registered);
        let thumbprint = thumbprint(&registered, &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
        old.header = json!({ "typ": "JWT", "alg": "RS256", "x5t": thumbprint });
        old.encoding = &RSA_PKCS1_SHA256;
        old
    };
    for right in [
        good(&registered),
        old,
        with("aud", json!(format!("{base}/{}/oauth2/v2.0/token", "harborclub.example"))),
    ] {
        let tenant = if right.claims["aud"].as_str().unwrap().contains("harborclub") {
            "harborclub.example"
        } else {
            TENANT_ID
        };
        let assertion = right.written(&own);
        let answer = ask(&base, tenant, &assertion).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let again = ask(&base, tenant, &assertion).await;
        assert_eq!(again.json()["error_codes"], json!([50_012]), "it is taken once");
    }
    let mixed = {
        let mut mixed = good(&registered);
        mixed.header["alg"] = json!("RS256");
        mixed.encoding = &RSA_PKCS1_SHA256;
        mixed
    };
    let none = {
        let mut none = good(&registered);
        none.header["alg"] = json!("none");
        none
    };
    for (name, wrong, signer, code) in [
        ("another key", good(&registered), key(&unknown), 700_027),
        ("not registered", good(&unknown), key(&unknown), 700_027),
        ("no longer valid", good(&ended), key(&ended), 1_000_502),
        ("RS256 by SHA-256", mixed, key(&registered), 700_027),
        ("no algorithm", none, key(&registered), 700_027),
        ("too old", with("exp", json!(now - 301)), key(&registered), 700_024),
        ("without an end", with("exp", json!(null)), key(&registered), 700_024),
        ("not yet", with("nbf", json!(now + 301)), key(&registered), 700_024),
        ("for others", with("aud", json!("https://elsewhere.example")), key(&registered), 50_027),
        ("from others", with("iss", json!("elsewhere")), key(&registered), 50_027),
        ("about others", with("sub", json!("elsewhere")), key(&registered), 50_048),
    ] {
        let answer = ask(&base, TENANT_ID, &wrong.written(&signer)).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        assert_eq!(answer.json()["error_codes"], json!([code]), "{name}");
    }
    let of_b2c = "harbormembers.onmicrosoft.com/B2C_1_signupsignin";
    let answer = ask(&base, of_b2c, &good(&registered).written(&own)).await;
    assert!(answer.text().contains("AADB2C99027"), "{}", answer.text());
    world.clock.advance(Duration::from_secs(601));
    let answer = ask(&base, TENANT_ID, &good(&registered).written(&own)).await;
    assert_eq!(answer.json()["error_codes"], json!([700_024]));
    world.stop().await;
}

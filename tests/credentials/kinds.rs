//! Every kind of credential, from the configuration to a member at the page that was asked for.

use anteport::demo::microsoft::{ClientSecret, FederatedCredential, Identity, Options};
use anteport::gate::Secret;
use serde_json::json;

use crate::log::Log;
use crate::material::{
    CLUSTER_ISSUER, EXCHANGE, SERVICE_ACCOUNT, certificate, cluster_key, cluster_token, signed,
};
use crate::world::folder::Folder;
use crate::world::{MORNING, Plan, SECRET, World, assert_refusal};

const IDENTITY: &str = "2f6d8e30-7b41-4c95-a6d2-0e9f1b3c5a78";
const PRINCIPAL: &str = "c0a8d1f2-6e37-4b59-9d04-8a1f7e2b6c93";
const TREASURER: &str = "treasurer@harborclub.example";

async fn start(
    credentials: String,
    registration: impl FnOnce(&mut Options, &str) + 'static,
) -> World {
    let registration = Box::new(registration);
    World::start_with(Plan { credentials, registration, ..Plan::default() }).await
}

/// Nothing but the given proof opens the token endpoint.
fn only(change: impl FnOnce(&mut Options) + 'static) -> impl FnOnce(&mut Options, &str) + 'static {
    move |options, _| {
        options.secrets.clear();
        options.proofs.once = true;
        change(options);
    }
}

pub fn cluster(options: &mut Options) {
    options.proofs.federated.push(FederatedCredential {
        issuer: Some(CLUSTER_ISSUER.to_owned()),
        subject: SERVICE_ACCOUNT.to_owned(),
        audience: EXCHANGE.to_owned(),
        keys: vec![cluster_key()],
    });
}

fn identity(options: &mut Options, _: &str) {
    options.secrets.clear();
    options
        .proofs
        .identities
        .push(Identity { client_id: IDENTITY.to_owned(), principal_id: PRINCIPAL.to_owned() });
    options.proofs.federated.push(FederatedCredential {
        issuer: None,
        subject: PRINCIPAL.to_owned(),
        audience: EXCHANGE.to_owned(),
        keys: Vec::new(),
    });
}

#[tokio::test]
async fn a_secret_signs_in_by_post_and_by_basic() {
    let log = Log::hold().await;
    for method in ["post", "basic"] {
        let odd = "a+b/c: %ä&=";
        let credentials = format!("[ {{ secret: {{ value: '{odd}' }}, method: {method} }} ]");
        let world = start(credentials, move |options, _| {
            options.secrets =
                vec![ClientSecret { value: Secret::new(odd.to_owned()), expires: None }];
        })
        .await;
        world.treasurer().await;
        world.stop().await;
    }
    assert!(log.of_credentials().is_empty());
    assert!(!log.text().contains("a+b/c"), "LOG-01");
}

#[tokio::test]
async fn a_certificate_signs_in_with_ps256_and_with_rs256_and_a_fresh_assertion_each_time() {
    let log = Log::hold().await;
    let folder = Folder::new();
    let made = certificate(2028, 3);
    let (file, key) = (folder.file("client.pem", &made.pem), folder.file("key.pem", &made.key));
    for algorithm in ["PS256", "RS256"] {
        let credentials = format!(
            "[ {{ certificate: {{ file: {file}, key: {{ file: {key} }}, algorithm: {algorithm} }} }} ]"
        );
        let der = made.der.clone();
        let world = start(credentials, only(|options| options.proofs.certificates.push(der))).await;
        // The emulator takes an assertion once.
        for _ in 0..3 {
            world.treasurer().await;
        }
        assert_eq!(world.microsoft.counts().token, 3);
        world.stop().await;
    }
    assert!(log.of_credentials().is_empty());
    assert!(!log.text().contains("eyJ"), "LOG-01");
}

#[tokio::test]
async fn a_key_from_the_environment_does_as_well() {
    let _log = Log::hold().await;
    let folder = Folder::new();
    let made = certificate(2028, 3);
    let file = folder.file("client.pem", &made.pem);
    let key: &'static str = Box::leak(made.key.into_boxed_str());
    let environment: &'static [_] = Box::leak(Box::new([("CLIENT_KEY", key)]));
    let world = World::start_with(Plan {
        credentials: format!(
            "[ {{ certificate: {{ file: {file}, key: {{ env: CLIENT_KEY }} }} }} ]"
        ),
        environment,
        registration: Box::new(only(|options| options.proofs.certificates.push(made.der))),
        ..Plan::default()
    })
    .await;
    world.treasurer().await;
    world.stop().await;
}

#[tokio::test]
async fn a_federated_token_is_read_anew_for_each_login() {
    let log = Log::hold().await;
    let folder = Folder::new();
    let file = folder.file("token", &format!("{}\n", cluster_token(MORNING)));
    let credentials = format!(
        "[ {{ federated: {{ token_file: {file} }} }}, {{ secret: {{ value: {SECRET} }} }} ]"
    );
    let world = start(credentials, |options, _| cluster(options)).await;
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().token, 1);

    // The kubelet has renewed it.
    let mut renewed = json!({ "iss": CLUSTER_ISSUER, "sub": SERVICE_ACCOUNT, "aud": EXCHANGE });
    renewed["exp"] = json!(MORNING.unix_seconds() + 7200);
    folder.write("token", &signed(&renewed));
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().token, 2);
    assert!(log.of_credentials().is_empty());

    // It is gone for a moment: nobody notices, and it is used again afterwards.
    std::fs::remove_file(&file).unwrap();
    world.treasurer().await;
    world.treasurer().await;
    let lines = log.of_credentials();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["reason"], "token-file-unreadable");
    folder.write("token", &cluster_token(MORNING));
    world.clock.advance(std::time::Duration::from_secs(30));
    let before = world.microsoft.counts().token;
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().token, before + 1);
    let lines = log.of_credentials();
    assert_eq!(lines[1]["message"], "a client credential is accepted again");
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_nothing_trusts_is_passed_over_with_its_reason() {
    let log = Log::hold().await;
    let now = MORNING.unix_seconds();
    let good = json!({
        "iss": CLUSTER_ISSUER, "sub": SERVICE_ACCOUNT, "aud": EXCHANGE, "exp": now + 60,
    });
    let upper = CLUSTER_ISSUER.replace("abc", "ABC");
    for (name, value, code, reason) in [
        ("iss", json!("https://oidc.other.example/"), "AADSTS700211", "federation-unknown"),
        ("iss", json!(CLUSTER_ISSUER.trim_end_matches('/')), "AADSTS700211", "federation-unknown"),
        ("iss", json!(upper), "AADSTS7002138", "federation-unknown"),
        ("sub", json!("system:serviceaccount:portal:other"), "AADSTS700213", "federation-unknown"),
        ("aud", json!("api://elsewhere"), "AADSTS700212", "federation-unknown"),
        ("exp", json!(now - 3600), "AADSTS700024", "assertion-time"),
    ] {
        let folder = Folder::new();
        let mut claims = good.clone();
        claims[name] = value;
        let file = folder.file("token", &signed(&claims));
        let credentials = format!("[ {{ federated: {{ token_file: {file} }} }} ]");
        let world = start(credentials, only(cluster)).await;
        let page = world.browser().sign_in("/reports", TREASURER).await;
        assert_refusal(&page, 503, "client-credential-refused");
        let line = log.of_credentials().pop().unwrap();
        assert_eq!(line["reason"], reason, "{line}");
        assert!(line["answer"].as_str().unwrap().contains(code), "{line}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_managed_identity_signs_in_from_a_machine_and_its_token_is_kept() {
    let _log = Log::hold().await;
    let credentials = format!(
        "[ {{ managed_identity: {{ client_id: {IDENTITY}, endpoint: 'http://AUTHORITY' }} }} ]"
    );
    let world = start(credentials, identity).await;
    for _ in 0..3 {
        world.treasurer().await;
    }
    assert_eq!(world.microsoft.counts().identity, 1);
    // Its tokens are good for a day.
    world.clock.advance(std::time::Duration::from_secs(24 * 3600 - 300));
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().identity, 2);
    world.stop().await;
}

#[tokio::test]
async fn a_managed_identity_signs_in_from_an_app_service() {
    let _log = Log::hold().await;
    let world = World::start_with(Plan {
        credentials: format!("[ {{ managed_identity: {{ client_id: {IDENTITY} }} }} ]"),
        environment: &[
            ("IDENTITY_ENDPOINT", "http://AUTHORITY/msi/token"),
            ("IDENTITY_HEADER", anteport::demo::microsoft::IDENTITY_HEADER),
        ],
        registration: Box::new(identity),
        ..Plan::default()
    })
    .await;
    world.treasurer().await;
    assert_eq!(world.microsoft.counts().identity, 1);
    world.stop().await;
}

#[tokio::test]
async fn an_identity_that_cannot_be_asked_makes_way_for_the_next_credential() {
    let log = Log::hold().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let identity =
        format!("{{ managed_identity: {{ client_id: {IDENTITY}, endpoint: 'http://{nobody}' }} }}");
    let both = format!("[ {identity}, {{ secret: {{ value: {SECRET} }} }} ]");
    let world = start(both, |_, _| {}).await;
    world.treasurer().await;
    world.treasurer().await;
    let lines = log.of_credentials();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["reason"], "identity-unavailable");
    world.stop().await;

    let world = start(format!("[ {identity} ]"), |_, _| {}).await;
    let page = world.browser().sign_in("/reports", TREASURER).await;
    assert_refusal(&page, 503, "client-credential-unavailable");
    assert!(page.header("retry-after").is_some());
    world.stop().await;
}

const B2C: &str = r#"
    kind: azure_ad_b2c
    authority: "http://AUTHORITY"
    tenant: harbormembers
    policy: B2C_1_signupsignin"#;

#[tokio::test]
async fn b2c_says_less_and_the_next_secret_is_tried_all_the_same() {
    let log = Log::hold().await;
    let world = World::start_with(Plan {
        provider: B2C,
        credentials: format!(
            "[ {{ secret: {{ value: old }} }}, {{ secret: {{ value: {SECRET} }} }} ]"
        ),
        ..Plan::default()
    })
    .await;
    for _ in 0..2 {
        let landed = world.browser().sign_in("/reports", "ines@mail.example").await;
        assert_eq!((landed.status, landed.url.path()), (200, "/reports"), "{}", landed.text());
    }
    let lines = log.of_credentials();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["message"], "a client credential was refused; it is passed over");
    assert!(lines[0]["answer"].as_str().unwrap().contains("AADB2C90081"), "{lines:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_registered_or_that_has_ended_is_passed_over() {
    let log = Log::hold().await;
    let (registered, other, ended) =
        (certificate(2028, 3), certificate(2028, 3), certificate(2026, 3));
    let folder = Folder::new();
    for (used, reason) in [(other, "assertion-refused"), (ended, "certificate-refused")] {
        let (file, key) = (folder.file("it.pem", &used.pem), folder.file("it.key", &used.key));
        let credentials = format!(
            "[ {{ certificate: {{ file: {file}, key: {{ file: {key} }} }} }}, \
             {{ secret: {{ value: {SECRET} }} }} ]"
        );
        let known = vec![registered.der.clone(), used.der.clone()];
        let world = start(credentials, move |options, _| {
            options.proofs.certificates = known;
            if reason == "assertion-refused" {
                options.proofs.certificates.pop();
            }
        })
        .await;
        world.treasurer().await;
        assert_eq!(log.of_credentials().pop().unwrap()["reason"], reason);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_secret_that_is_an_id_is_pointed_out() {
    let log = Log::hold().await;
    let id = "0d9c2b1e-0c2f-47d8-b3e5-8f6a1d7c9b20";
    let world = start(format!("[ {{ secret: {{ value: {id} }} }} ]"), |_, _| {}).await;
    let page = world.browser().sign_in("/reports", TREASURER).await;
    assert_refusal(&page, 503, "client-secret-refused");
    let lines = log.of_credentials();
    assert_eq!(lines[0]["reason"], "secret-wrong");
    assert!(lines[0]["message"].as_str().unwrap().contains("nobody can sign in"));
    let advice = lines[0]["advice"].as_str().unwrap();
    assert!(advice.starts_with("it looks like the secret's ID"), "{advice}");
    assert!(!log.text().contains(id), "LOG-01");
    world.stop().await;
}

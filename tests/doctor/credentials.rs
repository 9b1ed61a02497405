//! Mistakes about what we are registered as.

use anteport::clock::Clock;

use super::bench::{B2C, Bench, CLIENT, Plan};

fn day(days: u64) -> String {
    let now = Clock::system().now();
    let then = now.after(std::time::Duration::from_secs(days * 24 * 60 * 60));
    then.to_utc_date_time().split('T').next().unwrap().to_owned()
}

fn secret_until(day: &str) -> String {
    format!("[ {{ secret: {{ file: secret }}, expires: {day} }} ]")
}

const ONLY: [&str; 2] = ["--only", "credentials"];

#[test]
fn an_unknown_client_id_is_named() {
    let instead = vec![(CLIENT, "00000000-0c2f-47d8-b3e5-8f6a1d7c9b20".to_owned())];
    let report = Bench::start(Plan { instead, ..Plan::default() }).doctor(&ONLY);
    report.finds("credential", "error", &["corporate, credential 1 (secret)", "AADSTS700016"]);
    report.finds("redirect-uri", "error", &["AADSTS700016"]);
}

#[test]
fn a_wrong_secret_is_named() {
    let bench = Bench::start(Plan::default());
    bench.write("secret", "canary-of-another-secret");
    let report = bench.doctor(&ONLY);
    let words = ["AADSTS7000215", "the Value under Certificates & secrets"];
    report.finds("credential", "error", &words);
    report.nothing_else_is_wrong_than(&["credential"]);
    let bench = Bench::start(Plan { provider: B2C.to_owned(), ..Plan::default() });
    bench.write("secret", "canary-of-another-secret");
    bench.doctor(&ONLY).finds("credential", "error", &["AADB2C90081"]);
}

#[test]
fn a_secrets_id_in_its_place_is_named() {
    let bench = Bench::start(Plan::default());
    bench.write("secret", "5f0e8a91-d03c-474b-8f20-07f1c3b8e6a4");
    let report = bench.doctor(&ONLY);
    report.finds("credential", "error", &["AADSTS7000215", "it looks like the secret's ID"]);
}

#[test]
fn an_expired_secret_is_named() {
    let registration = |options: &mut anteport::demo::microsoft::Options| {
        options.secrets[0].expires = Some(anteport::gate::Timestamp::from_unix_seconds(0));
    };
    let report = Bench::start(Plan { registration, ..Plan::default() }).doctor(&ONLY);
    report.finds("credential", "error", &["AADSTS7000222", "Certificates & secrets"]);
}

/// What B2C says to a made-up code is about the code.
#[test]
fn what_is_right_is_accepted_by_every_product() {
    let external = "\n    kind: external_id\n    tenant: harborguests.onmicrosoft.com";
    let several = "\n    kind: entra_id\n    tenants: [3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11]";
    for provider in [B2C, external, several] {
        let plan = Plan { provider: provider.to_owned(), ..Plan::default() };
        let report = Bench::start(plan).doctor(&ONLY);
        report.finds("credential", "ok", &["the provider accepts it"]);
        report.finds("redirect-uri", "ok", &["it is registered at corporate"]);
    }
}

fn certificate(bench: &Bench, name: &str) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let made = parameters.self_signed(&key).unwrap();
    bench.write(&format!("{name}.pem"), &made.pem());
    bench.write(&format!("{name}.key"), &key.serialize_pem());
}

const CERTIFICATE: &str = "[ { certificate: { file: client.pem, key: { file: client.key } } } ]";

#[test]
fn a_certificate_that_is_not_registered_is_named() {
    let credentials = CERTIFICATE.to_owned();
    let bench = Bench::start(Plan { credentials, ..Plan::default() });
    certificate(&bench, "client");
    let report = bench.doctor(&ONLY);
    report.finds("credential", "error", &["AADSTS700027", "upload the certificate"]);
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let credentials = CERTIFICATE.to_owned();
    let bench = Bench::start(Plan { credentials, ..Plan::default() });
    certificate(&bench, "client");
    certificate(&bench, "other");
    std::fs::copy(bench.folder.at("other.key"), bench.folder.at("client.key")).unwrap();
    let report = bench.doctor(&ONLY);
    report.finds("configuration", "error", &["credentials[0]", "key", "certificate"]);
    assert_eq!(report.code, 3);
}

#[test]
fn a_redirect_uri_that_is_not_registered_is_named() {
    let registration = |options: &mut anteport::demo::microsoft::Options| {
        options.redirect_uris = vec!["https://members.example.org/signin-oidc".to_owned()];
    };
    let bench = Bench::start(Plan { registration, ..Plan::default() });
    let report = bench.doctor(&ONLY);
    let uri = format!("https://localhost:{}/.auth/login/corporate/callback", bench.listen);
    let words = [&*uri, "AADSTS50011", "copy it into the app registration", "platform \"Web\""];
    report.finds("redirect-uri", "error", &words);
    report.nothing_else_is_wrong_than(&["redirect-uri"]);
}

#[test]
fn a_credential_that_ends_soon_is_named() {
    for (days, words) in [(9, "in less than two weeks"), (20, "days")] {
        let credentials = secret_until(&day(days));
        let report = Bench::start(Plan { credentials, ..Plan::default() }).doctor(&ONLY);
        let words = [&*day(days), words, "put it first in `credentials`"];
        report.finds("credential-expiry", "warning", &words);
        assert_eq!(report.code, 0);
    }
    let credentials = secret_until("2024-02-29");
    let report = Bench::start(Plan { credentials, ..Plan::default() }).doctor(&ONLY);
    report.finds("credential-expiry", "error", &["it ended on", "Certificates & secrets"]);
    let credentials = "[ { secret: { file: secret } } ]".to_owned();
    let report = Bench::start(Plan { credentials, ..Plan::default() }).doctor(&ONLY);
    report.finds("credential-expiry", "skipped", &["nobody here knows", "`expires`"]);
}

#[test]
fn a_token_endpoint_that_is_out_of_order_condemns_no_credential() {
    let next = vec![("answer", "unavailable")];
    let report = Bench::start(Plan { next, ..Plan::default() }).doctor(&ONLY);
    report.finds("credential", "warning", &["no answer to judge by", "provider-busy"]);
}

/// Whoever is no Microsoft is asked by a code that nobody was given.
#[test]
fn another_openid_provider_is_asked_too() {
    let provider = "
    kind: oidc
    issuer: \"https://AUTHORITY/c7d40e9b-52a1-4f36-8e0d-91b3a6c2f4d8/v2.0/\"
    metadata_url: \"https://AUTHORITY/harbormembers.onmicrosoft.com/B2C_1_signupsignin/v2.0/.well-known/\
    openid-configuration\"";
    let provider = provider.to_owned();
    let instead = vec![("    authority: \"https://AUTHORITY\"\n", String::new())];
    let bench = Bench::start(Plan { provider, instead, ..Plan::default() });
    let report = bench.doctor(&["--only", "provider", "credentials"]);
    report.finds("provider-metadata", "ok", &[]);
    report.finds("credential", "ok", &["the provider accepts it"]);
    report.finds("redirect-uri", "skipped", &["/.auth/logout/done", "after a sign-out"]);
    report.nothing_else_is_wrong_than(&[]);
    bench.write("secret", "canary-of-another-secret");
    let report = bench.doctor(&ONLY);
    report.finds("credential", "error", &["the provider refuses it"]);
}

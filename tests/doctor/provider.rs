//! Mistakes about the provider.

use super::bench::{B2C, Bench, ENTRA, Plan, TENANT};

fn plan(provider: &str) -> Plan {
    Plan { provider: provider.to_owned(), ..Plan::default() }
}

const FOLLOW: [&str; 5] =
    ["provider-metadata", "provider-issuer", "credential", "redirect-uri", "provider-keys"];

#[test]
fn a_wrong_tenant_guid_is_named() {
    let wrong = "\n    kind: entra_id\n    tenant: 00000000-8b7d-4e0a-9c55-6d2f0b9a7e11";
    let report = Bench::start(plan(wrong)).doctor(&[]);
    let words = ["corporate", "AADSTS90002", "tenant", "00000000-8b7d", "No other known form"];
    report.finds("provider-metadata", "error", &words);
    report.finds("credential", "skipped", &["it was not tried"]);
    report.nothing_else_is_wrong_than(&FOLLOW);
    assert_eq!(report.code, 3);
}

#[test]
fn a_mistyped_domain_is_named() {
    let wrong = "\n    kind: entra_id\n    tenant: harborclubb.example";
    let report = Bench::start(plan(wrong)).doctor(&["--only", "provider"]);
    report.finds("provider-metadata", "error", &["harborclubb.example", "AADSTS90002"]);
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let wrong = B2C.replace("signupsignin", "signin");
    let report = Bench::start(plan(&wrong)).doctor(&[]);
    let words = ["corporate, B2C_1_signin", "404 Not Found", "compare `policy`", "User flows"];
    report.finds("provider-metadata", "error", &words);
    report.nothing_else_is_wrong_than(&FOLLOW);
}

#[test]
fn each_policy_is_looked_at() {
    let wrong = format!("{B2C}\n    password_reset_policy: B2C_1_resett");
    let report = Bench::start(plan(&wrong)).doctor(&["--only", "provider"]);
    report.finds("provider-metadata", "ok", &["B2C_1_signupsignin"]);
    report.finds("provider-metadata", "error", &["B2C_1_resett", "404"]);
}

/// B2C takes a policy in any case, so that is no mistake.
#[test]
fn a_policy_of_another_case_is_fine() {
    let other = B2C.replace("B2C_1_signupsignin", "b2c_1_SIGNUPSIGNIN");
    let report = Bench::start(plan(&other)).doctor(&["--only", "provider", "credentials"]);
    report.finds("provider-metadata", "ok", &["b2c_1_SIGNUPSIGNIN"]);
    report.finds("credential", "ok", &["accepts"]);
    report.nothing_else_is_wrong_than(&[]);
}

#[test]
fn a_user_flow_that_is_taken_for_a_custom_policy_is_found() {
    let wrong = B2C.replace("B2C_1_", "B2C_1A_");
    let report = Bench::start(plan(&wrong)).doctor(&["--only", "provider"]);
    let words = ["404", "B2C_1_signupsignin/v2.0/", "write `policy: B2C_1_signupsignin`"];
    report.finds("provider-metadata", "error", &words);
}

#[test]
fn the_issuer_of_token_compatibility_is_found() {
    let set = vec![("issuer", "tfp")];
    let report = Bench::start(Plan { set, ..plan(B2C) }).doctor(&["--only", "provider"]);
    report.finds("provider-issuer", "error", &["/tfp/", "provider-issuer", "write `issuer: tfp`"]);
}

#[test]
fn the_metadata_of_version_one_are_known() {
    let wrong = format!("\n    kind: oidc\n    issuer: \"https://AUTHORITY/{TENANT}\"");
    let instead = vec![("    authority: \"https://AUTHORITY\"\n", String::new())];
    let report = Bench::start(Plan { instead, ..plan(&wrong) }).doctor(&["--only", "provider"]);
    let change = format!("write `kind: entra_id, tenant: {TENANT}`");
    report.finds("provider-issuer", "error", &["https://sts.windows.net/", &change]);
}

#[test]
fn another_product_of_microsofts_is_found() {
    let wrong = "\n    kind: entra_id\n    tenant: harborguests.onmicrosoft.com";
    let report = Bench::start(plan(wrong)).doctor(&["--only", "provider"]);
    report.finds("provider-issuer", "error", &["ciamlogin.com", "write `kind: external_id`"]);
    let wrong = format!("\n    kind: external_id\n    tenant: {TENANT}");
    let report = Bench::start(plan(&wrong)).doctor(&["--only", "provider"]);
    report.finds("provider-issuer", "error", &["write `kind: entra_id`"]);
}

#[test]
fn a_web_page_in_place_of_metadata_is_named() {
    let next = vec![("document", "html")];
    let report = Bench::start(Plan { next, ..plan(ENTRA) }).doctor(&["--only", "provider"]);
    report.finds("provider-metadata", "error", &["a web page and not metadata"]);
}

#[test]
fn an_outage_of_the_key_set_is_named() {
    let set = vec![("key_sets", "unavailable")];
    let report = Bench::start(Plan { set, ..plan(ENTRA) }).doctor(&[]);
    report.finds("provider-metadata", "ok", &[]);
    let words = ["the signing keys cannot be had", "503", "try again in a minute"];
    report.finds("provider-keys", "error", &words);
    report.nothing_else_is_wrong_than(&FOLLOW);
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    for (ahead, status, words) in [
        ("+2m", "warning", "behind the provider's"),
        ("-10m", "error", "ahead of the provider's: tokens are refused"),
    ] {
        let set = vec![("clock", ahead)];
        let report = Bench::start(Plan { set, ..plan(ENTRA) }).doctor(&["--only", "provider"]);
        report.finds("clock", status, &[words, "timedatectl"]);
        report.nothing_else_is_wrong_than(&["clock"]);
    }
}

#[test]
fn an_authority_that_nobody_knows_is_named() {
    let instead = vec![("    ca: [ca.pem]\n", String::new())];
    let report = Bench::start(Plan { instead, ..plan(ENTRA) }).doctor(&["--only", "provider"]);
    report.finds("provider-connection", "error", &["the TLS handshake failed", "`ca`"]);
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let instead = vec![("https://AUTHORITY", "https://nobody.invalid".to_owned())];
    let report = Bench::start(Plan { instead, ..plan(ENTRA) }).doctor(&["--only", "provider"]);
    report.finds("provider-name", "error", &["`nobody.invalid` has no address", "DNS"]);
}

#[test]
fn a_provider_that_is_down_is_named() {
    let set = vec![("outage", "on")];
    let report = Bench::start(Plan { set, ..plan(ENTRA) }).doctor(&["--only", "provider"]);
    report.finds("provider-metadata", "error", &["503 Service Unavailable", "in a minute"]);
}

/// Its keys are for issuers that follow Microsoft's own rule.
#[test]
fn microsoft_taken_for_any_provider_is_named() {
    let wrong = format!("\n    kind: oidc\n    issuer: \"https://AUTHORITY/{TENANT}/v2.0\"");
    let instead = vec![("    authority: \"https://AUTHORITY\"\n", String::new())];
    let report = Bench::start(Plan { instead, ..plan(&wrong) }).doctor(&["--only", "provider"]);
    let change = format!("write `kind: entra_id, tenant: {TENANT}`");
    report.finds("provider-keys", "error", &["no key that may sign", &change]);
}

//! `anteport doctor` as an operator meets it: mistakes are planted in an emulated tenant, a portal,
//! a store and on this machine, and each has to be named exactly, with what to do about it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, unreachable_pub)]

mod bench;
mod credentials;
#[path = "../kit/folder.rs"]
mod folder;
mod machine;
mod portal;
#[path = "../kit/ports.rs"]
mod ports;
mod provider;
mod report;
mod store;

use bench::{Bench, Plan};

/// What is found where nothing is wrong, with a real token, is as it should be to the last line.
#[test]
fn where_nothing_is_wrong_nothing_is_said_to_be() {
    let bench = Bench::start(Plan::default());
    let token = bench.write("token.json", bench::TOKEN);
    let report = bench.doctor(&["--token", &token]);
    let odd: Vec<_> = report.findings.iter().filter(|found| found["status"] != "ok").collect();
    // Nothing runs here that could say what was.
    assert_eq!((odd.len(), &odd[0]["check"]), (1, &serde_json::json!("last-logins")), "{odd:#?}");
    assert_eq!((report.code, report.status.as_str()), (0, "skipped"));
    let seen = |name: &str| report.findings.iter().any(|found| found["check"] == name);
    for name in [
        "configuration",
        "configuration-file",
        "listener-certificate",
        "listener",
        "admin-listener",
        "descriptors",
        "provider-name",
        "provider-connection",
        "provider-metadata",
        "provider-issuer",
        "provider-keys",
        "clock",
        "credential",
        "credential-expiry",
        "redirect-uri",
        "portal-reachable",
        "portal-answer",
        "portal-headers",
        "login-form",
        "password-routes",
        "portal-around",
        "token",
        "mapped-claims",
        "last-logins",
        "snapshot",
    ] {
        assert!(seen(name), "{name} is not there: {:#?}", report.findings);
    }
    // It was asked for pages, and nothing was posted or told.
    let asked = bench.portal.asked();
    assert!(asked.len() >= 2, "{asked:?}");
    for head in &asked {
        assert!(head.starts_with("GET "), "{head}");
        for name in ["cookie:", "authorization:", "x-auth-", "x-anteport-"] {
            assert!(!head.to_ascii_lowercase().contains(name), "{head}");
        }
    }
}

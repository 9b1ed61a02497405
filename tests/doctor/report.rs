//! How findings are told, to people and to programs.

use std::io::Write as _;
use std::process::Stdio;

use anteport::doctor::{Check, Group};

use super::bench::{Bench, Plan, TOKEN};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");

/// The rows of the guide's table of checks.
fn rows() -> String {
    let row = |check: &Check| {
        format!("| `{}` | {} | {} |\n", check.name(), check.group().name(), check.asks())
    };
    Check::ALL.iter().map(row).collect()
}

#[test]
fn the_guide_has_every_check() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let table = guide.split("|---|---|---|\n").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(format!("{}\n", table.trim_end()), rows(), "docs/doctor.md wants these rows");
    let names: std::collections::BTreeSet<_> =
        Check::ALL.iter().map(|check| check.name()).collect();
    assert_eq!(names.len(), Check::ALL.len());
    for group in Group::ALL {
        assert!(guide.contains(&format!("`{}`", group.name())), "{}", group.name());
    }
}

fn told(bench: &Bench, words: &[&str], locale: &str) -> (i32, String) {
    let words = [&["doctor", "--config", "config.yaml"], words].concat();
    let output = bench.command(&words).env("LC_ALL", locale).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!told.contains("canary"), "LOG-01: {told}");
    (output.status.code().unwrap(), told)
}

#[test]
fn people_are_told_with_marks_and_without() {
    let bench = Bench::start(Plan::default());
    bench.write("secret", "canary-of-another-secret");
    let (code, said) = told(&bench, &[], "C.UTF-8");
    assert_eq!(code, 3);
    let line = said.lines().find(|line| line.contains("AADSTS7000215")).unwrap();
    assert!(line.starts_with("✗ credential  "), "{said}");
    assert!(said.contains("\n✓ clock  ") && said.contains("\n- token  "), "{said}");
    let uri = format!("https://localhost:{}/.auth/login/corporate/callback", bench.listen);
    let last = said.split("Redirect URIs to register, platform \"Web\":").nth(1).unwrap();
    assert!(last.contains(&uri) && last.trim_end().ends_with("One thing is wrong."), "{said}");
    let (_, said) = told(&bench, &[], "C");
    assert!(said.is_ascii(), "{said}");
    assert!(said.contains("\nFAIL credential") && said.contains("\nok   clock"), "{said}");
}

#[test]
fn one_group_says_nothing_of_the_others() {
    let bench = Bench::start(Plan::default());
    let report = bench.doctor(&["--only", "machine,store"]);
    for found in &report.findings {
        let name = found["check"].as_str().unwrap();
        let check = Check::ALL.iter().find(|check| check.name() == name).unwrap();
        assert!(matches!(check.group(), Group::Machine | Group::Store), "{name}");
    }
    assert!(bench.portal.asked().is_empty());
    assert_eq!(bench.microsoft.counts().discovery, 0);
}

#[test]
fn a_configuration_that_is_refused_is_all_there_is() {
    let bench = Bench::start(Plan::default());
    let text = std::fs::read_to_string(bench.folder.at("config.yaml")).unwrap();
    bench.write("config.yaml", &text.replace("mode: azure_only", "mode: canary_only"));
    let words = ["doctor", "--config", "config.yaml", "--format", "json"];
    let output = bench.command(&words).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = &report["findings"][0];
    assert_eq!(
        (found["check"].as_str(), found["status"].as_str()),
        (Some("configuration"), Some("error"))
    );
    assert!(found["subject"].as_str().unwrap().contains("config.yaml:"), "{found}");
    assert!(bench.portal.asked().is_empty());
}

#[test]
fn a_token_is_read_from_standard_input() {
    let bench = Bench::start(Plan::default());
    let words = ["doctor", "--config", "config.yaml", "--only", "claims", "--token", "-"];
    let mut child = bench.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("has what its 2 mapped headers are made of"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let (code, _) = told(&bench, &["--token", "not-there"], "C");
    assert_eq!(code, 1);
    bench.write("no-token", "canary");
    let (code, _) = told(&bench, &["--token", "no-token"], "C");
    assert_eq!(code, 1);
}

//! Every reason code has words for the member and a series for the operator, and those that the
//! README explains exist.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use anteport::config::{self, SCIM_ATTRIBUTES};
use anteport::gate::Timestamp;
use anteport::members::Refused;
use anteport::pages::explain;
use anteport::relying_party::CredentialFault;
use anteport::telemetry::admin::Objection;
use anteport::telemetry::reasons::{LOGIN_FAILURES, REASONS};

/// The codes in the bodies of all functions named `code`.
fn codes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut |text| {
        for body in text.split("fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap();
            for literal in body.split('"').skip(1).step_by(2) {
                found.insert(literal.to_owned());
            }
        }
    });
    // Why a key is left out, or groups are not known: in the log, where the set as a whole has a
    // code of its own, as what is closed then has.
    let is_of_log = |code: &str| code.starts_with("key-") || code.starts_with("graph-");
    found.retain(|code| code.contains('-') && !is_of_log(code));
    found
}

fn visit(folder: &Path, each: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("demo") {
            continue;
        } else if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn gen_07_every_code_has_words_and_a_series() {
    let codes = codes();
    assert!(codes.len() > 50, "{codes:?}");
    let general = explain("");
    for code in &codes {
        assert_ne!(explain(code), general, "{code} has no words");
        let is_known = REASONS.iter().chain(LOGIN_FAILURES).any(|known| known == code);
        assert!(is_known, "{code} has no series");
    }
}

/// What a page, the log or a metric can say: the codes, those of our own endpoints, and the names of
/// pages that refuse nothing.
fn shown() -> BTreeSet<String> {
    let mut all = codes();
    let series = REASONS.iter().chain(LOGIN_FAILURES).filter(|reason| **reason != "other");
    all.extend(series.map(|reason| (*reason).to_owned()));
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages/templates/own");
    for entry in std::fs::read_dir(pages).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = page
            .split("{% block code %}<code>")
            .skip(1)
            .map(|rest| rest.split("</code>").next().unwrap());
        all.extend(names.filter(|name| !name.contains(['{', ' '])).map(str::to_owned));
    }
    all
}

#[test]
fn gen_07_the_readme_explains_every_code_and_no_other() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = readme.split("## Troubleshooting by code").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let explained: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    let known = shown();
    for code in &explained {
        let exists = match code.strip_suffix('…') {
            Some(family) => known.iter().any(|known| known.starts_with(family)),
            None => known.contains(*code),
        };
        assert!(exists, "{code}");
    }
    let is_explained = |code: &String| {
        explained.iter().any(|row| match row.strip_suffix('…') {
            Some(family) => code.starts_with(family),
            None => row == code,
        })
    };
    let left_out: Vec<&String> = known.iter().filter(|code| !is_explained(code)).collect();
    assert!(left_out.is_empty(), "README.md does not explain {left_out:?}");
}

#[test]
fn every_fault_of_a_credential_is_explained() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/credentials.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("| reason |").nth(1).unwrap().lines().skip(2);
    let rows = rows.take_while(|line| line.starts_with("| `"));
    let explained: Vec<&str> = rows.map(|line| line.split('`').nth(1).unwrap()).collect();
    let known = CredentialFault::ALL.map(CredentialFault::name);
    assert_eq!(explained, known);
}

#[test]
fn every_objection_of_the_admin_listener_is_explained() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sessions.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("| `error` |").nth(1).unwrap().lines().skip(2);
    let rows = rows.take_while(|line| line.starts_with("| `"));
    let explained: Vec<&str> = rows.map(|line| line.split('`').nth(1).unwrap()).collect();
    assert_eq!(explained, Objection::ALL.map(Objection::name));
}

#[test]
fn every_reason_of_members_is_explained() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/members.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("## What can be seen").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<&str> = rows
        .flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    let all = codes();
    let is_of_members =
        |code: &&String| code.starts_with("member-") || code.starts_with("directory-");
    let known: BTreeSet<&str> = all.iter().filter(is_of_members).map(String::as_str).collect();
    assert_eq!(explained, known);
    for why in Refused::ALL {
        assert!(known.contains(why.code()), "{}", why.code());
    }
    let told = page.split("Attributes that can be told:").nth(1).unwrap();
    for attribute in SCIM_ATTRIBUTES {
        let name = attribute.strip_prefix("enterprise.").unwrap_or(attribute);
        assert!(told.contains(&format!("{name}`")), "{attribute}");
    }
}

/// What the page begins with can be written as it stands there.
#[test]
fn the_example_of_members_can_be_written() {
    let page = include_str!("../docs/members.md");
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let minimal = include_str!("fixtures/config/minimal.yaml");
    let text = format!("{}{block}", minimal.split("portals:").next().unwrap());
    let noon = Timestamp::from_unix_seconds(1_795_262_400);
    let secret = |_: &str| Some("secret".to_owned());
    let said = config::parse("docs.yaml", &text, &secret, noon).unwrap_err().to_string();
    for problem in said.lines().filter(|line| line.starts_with("error")) {
        assert!(problem.contains("cannot read the secret"), "{problem}");
    }
}

/// The examples hold no key that is not known.
#[test]
fn the_examples_of_credentials_can_be_written() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/credentials.md");
    let page = std::fs::read_to_string(page).unwrap();
    let minimal = include_str!("fixtures/config/minimal.yaml");
    let line = minimal.lines().find(|line| line.contains("credentials:")).unwrap();
    let mut tried = 0;
    for block in page.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap().trim_end();
        if !block.starts_with("    credentials:") {
            continue;
        }
        tried += 1;
        let text = minimal.replace(line, block);
        let noon = Timestamp::from_unix_seconds(1_795_262_400);
        let said = match config::parse("docs.yaml", &text, &|_| None, noon) {
            Ok(_) => String::new(),
            Err(problems) => problems.to_string(),
        };
        for problem in said.lines().filter(|line| line.starts_with("error")) {
            let is_about_a_file = problem.contains("cannot read") || problem.contains("TOKEN_FILE");
            assert!(is_about_a_file, "{problem}");
        }
    }
    assert_eq!(tried, 4);
}

#[test]
fn every_code_of_break_glass_is_explained() {
    let page = include_str!("../docs/break-glass.md");
    let table = page.split("| code | what happened |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let explained: BTreeSet<&str> = rows.map(|line| line.split('`').nth(1).unwrap()).collect();
    let all = codes();
    let known = all.iter().map(String::as_str).filter(|code| code.starts_with("break-glass-"));
    assert_eq!(explained, known.collect());
}

/// Beside what the smallest file has, and a proxy in front where an address is listed.
#[test]
fn the_examples_of_a_switch_can_be_written() {
    let pages =
        [include_str!("../docs/break-glass.md"), include_str!("../docs/progressive-switch.md")];
    let minimal = include_str!("fixtures/config/minimal.yaml");
    let listen = "listen: { address: \"0.0.0.0:8443\", trusted_proxies: [10.0.0.9] }";
    let minimal = minimal.replace("listen: { address: \"0.0.0.0:8443\" }", listen);
    let noon = Timestamp::from_unix_seconds(1_795_262_400);
    let secret = |_: &str| Some("secret".to_owned());
    let mut tried = 0;
    for block in pages.iter().flat_map(|page| page.split("```yaml\n").skip(1)) {
        let block = block.split("```").next().unwrap();
        tried += 1;
        let read = config::parse("docs.yaml", &format!("{minimal}{block}"), &secret, noon);
        assert!(read.is_ok(), "{block}{}", read.unwrap_err());
    }
    assert_eq!(tried, 3);
}

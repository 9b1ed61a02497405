//! The catalogue of provider errors: whole, in our own words, and its reference current.

#![allow(clippy::unwrap_used, missing_docs)]

use anteport::catalogue::{self, Class, all, explain, faults, find};

/// Every code of which Microsoft tells what it means and a portal can meet; those in between are
/// left out on purpose.
const KNOWN: &str = include_str!("fixtures/provider_codes.txt");

#[test]
fn every_known_code_has_an_entry() {
    assert_eq!(faults(), []);
    let mut count = 0;
    for code in KNOWN.lines().filter(|line| !line.starts_with('#')) {
        assert!(find(code).is_some(), "{code}");
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn every_entry_says_what_happened_and_what_to_do_where() {
    for entry in all() {
        for text in [&entry.what, &entry.member, &entry.operator] {
            assert!(text.ends_with('.'), "{}: {text}", entry.code);
            assert!(text.len() > 6 && !text.contains("  "), "{}: {text}", entry.code);
            assert!(!text.contains('|') && !text.contains('<'), "{}: {text}", entry.code);
        }
        assert!(entry.menu.contains('→'), "{}: {}", entry.code, entry.menu);
        assert!(!entry.places.is_empty(), "{}", entry.code);
        // A member is told what to do, and not what is in whose configuration.
        for word in ["AADSTS", "AADB2C", "client_id", "token", "tenant", "redirect URI", "`"] {
            assert!(!entry.member.contains(word), "{}: {}", entry.code, entry.member);
        }
    }
}

#[test]
fn an_error_is_told_by_its_code_then_by_its_standard_name_then_in_general() {
    let expired = find("AADSTS7000222").unwrap();
    assert_eq!(expired.class, Class::Operator);
    assert!(expired.menu.contains("Certificates & secrets"), "{}", expired.menu);
    assert_eq!(explain(Some("AADSTS7000222"), "access_denied"), expired);
    assert_eq!(explain(Some("AADSTS1"), "invalid_scope").code, "invalid_scope");
    assert_eq!(explain(None, "server_error").class, Class::Temporary);
    assert_eq!(explain(None, "no_such_error").code, "unknown");
    assert_eq!(find("AADSTS"), None);
    assert_eq!(find("unknown"), None);
}

#[test]
fn the_reference_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let page = catalogue::reference();
    if std::env::var_os("WRITE_REFERENCES").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "run: WRITE_REFERENCES=1 cargo test --test catalogue");
}

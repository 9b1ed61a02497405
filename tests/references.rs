//! The pages that are made of what the program knows of itself: current, and true.
//! `WRITE_REFERENCES=1 cargo test --test references` writes them anew.

#![allow(clippy::unwrap_used, missing_docs)]

use anteport::cli;
use anteport::config::{self, Explained};
use anteport::gate::Timestamp;

/// 2026-11-21, noon.
const NOON: Timestamp = Timestamp::from_unix_seconds(1_795_262_400);

fn is_current(page: &str, made: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os("WRITE_REFERENCES").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == made, "{page}: run: WRITE_REFERENCES=1 cargo test --test references");
}

#[test]
fn the_page_of_keys_is_current() {
    is_current("docs/configuration.md", &config::key_reference());
}

#[test]
fn the_page_of_the_command_line_is_current() {
    is_current("docs/command-line.md", &cli::reference());
}

/// Every path of the tree, with the word that its section has at `kind` if that matters.
fn paths() -> Vec<(String, Option<String>)> {
    let mut above: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in config::key_tree().lines() {
        let name = line.trim_start();
        let depth = (line.len() - name.len()) / 2;
        let end = name.find([' ', ':']).unwrap();
        let kind = name.split_once(" (kind: ").map(|(_, rest)| rest);
        let kind = kind.and_then(|rest| rest.split([',', ')']).next()).map(str::to_owned);
        above.truncate(depth);
        while above.len() < depth {
            above.push("<name>".to_owned());
        }
        above.push(name.get(..end).unwrap().to_owned());
        found.push((above.join("."), kind));
    }
    found
}

/// A configuration with this and nothing else.
fn nested(path: &str, kind: Option<&str>, example: &str) -> String {
    let inside = |path: &str| {
        let (mut begin, mut end) = (String::new(), String::new());
        let mut segments = path.split('.').peekable();
        while let Some(segment) = segments.next() {
            let is_list = segment.ends_with("[]") && segments.peek().is_some();
            let name = segment.trim_end_matches("[]").replace("<name>", "corporate");
            begin.push_str(&format!("{name}: {}", if is_list { "[ " } else { "" }));
            end.insert_str(0, if is_list { " ]" } else { "" });
            if segments.peek().is_some() {
                begin.push_str("{ ");
                end.insert_str(0, " }");
            }
        }
        format!("{begin}{example}{end}")
    };
    match path.strip_prefix("providers.<name>.") {
        Some("kind") | None => format!("{{ {} }}", inside(path)),
        Some(below) => {
            let kind = kind.unwrap_or("entra_id");
            format!("{{ providers: {{ corporate: {{ kind: {kind}, {} }} }} }}", inside(below))
        }
    }
}

/// What `config explain` gives as an example, the reader has nothing to say against.
#[test]
fn every_key_has_an_example_that_can_be_read() {
    let mut tried = 0;
    for (path, kind) in paths() {
        let Explained::Key(text) = config::explain_key(&path) else { panic!("{path}") };
        let parts = text.split("\n\nproviders.");
        let part = match &kind {
            Some(kind) => parts.into_iter().find(|part| {
                part.lines().next().unwrap().contains(&format!(": {kind}"))
                    || part.lines().next().unwrap().contains(&format!(", {kind}"))
            }),
            None => parts.into_iter().next(),
        };
        let example = part.unwrap().lines().find_map(|line| line.strip_prefix("example  "));
        let Some(example) = example else {
            assert!(path.ends_with(".value"), "{path} has no example");
            continue;
        };
        let (_, value) = example.split_once(": ").unwrap();
        if value.contains('…') {
            continue;
        }
        tried += 1;
        let whole = nested(&path, kind.as_deref(), value);
        let secret = |_: &str| Some("secret".to_owned());
        let Err(problems) = config::parse("config.yaml", &whole, &secret, NOON) else { continue };
        let at = path.replace("[]", "[0]").replace("<name>", "corporate");
        for problem in problems.iter().filter(|problem| problem.key().starts_with(&at)) {
            let is_wrong = ["expected", "unknown key", "must be", "there is no value", "the list"];
            let is_wrong = is_wrong.iter().any(|begin| problem.message().starts_with(begin));
            assert!(!is_wrong, "{whole}\n{problem}");
        }
        assert!(!problems.to_string().contains("this is not YAML"), "{whole}\n{problems}");
        let is_read = problems.iter().all(|problem| !problem.message().contains("unknown key"));
        assert!(is_read, "{whole}\n{problems}");
    }
    assert!(tried > 250, "{tried}");
}

#[test]
fn a_key_is_found_by_its_path_by_its_end_and_by_what_was_meant() {
    let first = |asked: &str| match config::explain_key(asked) {
        Explained::Key(text) => text.lines().next().unwrap().to_owned(),
        other => panic!("{asked}: {other:?}"),
    };
    for asked in [
        "portals[].local_login.profile",
        "portals[3].local_login.profile",
        "portals.local_login.profile",
        "local_login.profile",
    ] {
        assert!(first(asked).starts_with("portals[].local_login.profile: the product"), "{asked}");
    }
    assert!(first("local_login").starts_with("portals[].local_login: where the portal itself"));
    assert!(first("providers.corporate.issuer").starts_with("providers.<name>.issuer (kind: "));
    let Explained::Several(lines) = config::explain_key("address") else { panic!() };
    assert_eq!(lines.lines().count(), 3, "{lines}");
    for (asked, meant) in [
        ("local_logn", Some("local_login")),
        ("portals[0].local_logn.profile", Some("portals[].local_login.profile")),
        ("", None),
        (".", None),
        ("no such thing at all", None),
    ] {
        let expected = Explained::Unknown(meant.map(str::to_owned));
        assert_eq!(config::explain_key(asked), expected, "{asked}");
    }
    assert_eq!(config::explain_key(&"x".repeat(100_000)), Explained::Unknown(None));
}

/// What cannot change while the program runs is marked, and docs/reloading.md names the same.
#[test]
fn keys_that_need_a_restart_are_said() {
    let page = include_str!("../docs/reloading.md");
    let list = page.split("These stay as they are until a restart").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap();
    // Of the keys only whether there are any, which one by one count at once.
    let named = list.split('`').skip(1).step_by(2).filter(|key| *key != "sessions.keys");
    let named: Vec<&str> = named.collect();
    assert!(named.contains(&"listen.address") && named.len() > 5, "{named:?}");
    // These belong to the store.
    let of_store = ["sessions.snapshot", "sessions.redis"];
    for (path, kind) in paths() {
        let Explained::Key(text) = config::explain_key(&path) else { panic!("{path}") };
        let needs = text.contains("changes  need a restart");
        let belongs = of_store.iter().any(|store| path.starts_with(store));
        assert_eq!(needs, named.contains(&path.as_str()) || belongs, "{path} {kind:?}");
    }
}

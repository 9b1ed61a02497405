//! The page docs/configuration.md: a table for each section.

use std::fmt::Write as _;

use super::super::keys;
use super::super::kind::{Change, Key, Kind, Need};
use super::{Entry, entries, in_words, section_of, with};

const BEGIN: &str = "\
# Every key of the configuration
Made from the tables that the program reads by (`src/config/keys.rs`); a test keeps it current, and
`WRITE_REFERENCES=1 cargo test --test references` writes it anew. `anteport config explain KEY` says the same of one key,
`anteport config show` what holds with a file and where each value is from, [`config.example.yaml`](../config.example.yaml)
shows all of them, and [`config.schema.json`](../config.schema.json) makes editors know them.

- A key that is **required** has to be there; `–` is one that may be left out, and what that means stands beside it.
- In every value `${VAR}` is an environment variable, `${VAR:-default}` has a default, and `$${` stands for the characters.
- Where there is a list, one value alone is a list of it; a section is not.
- Secrets are `{ file: … }` or `{ env: … }`; `{ value: … }` works, and is warned of.
- Every change counts when the configuration is read anew ([when that is](reloading.md)), except where *restart* stands.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = BEGIN.to_owned();
    let all = entries();
    let mut known: Vec<(&'static [Key], String)> = Vec::new();
    section(&mut text, "", &all);
    known.push((keys::FILE, String::new()));
    for entry in &all {
        let (above, keys) = match variants(&entry.key.kind) {
            true => (format!("{}.<name>", entry.path), None),
            false => match section_of(&entry.key.kind) {
                None => continue,
                Some(keys) => {
                    let is_named = matches!(entry.key.kind, Kind::Named { .. });
                    let name = if is_named { ".<name>" } else { "" };
                    (format!("{}{name}", entry.path), Some(keys))
                }
            },
        };
        let twin = keys.and_then(|keys| known.iter().find(|(known, _)| *known == keys));
        let _ = writeln!(text, "\n## `{above}`{}", with(entry));
        if let Some((_, twin)) = twin {
            let _ = writeln!(text, "As [`{twin}`](#{}).", anchor(twin));
            continue;
        }
        known.extend(keys.map(|keys| (keys, format!("{above}{}", with(entry)))));
        section(&mut text, &above, &all);
    }
    text
}

fn variants(kind: &Kind) -> bool {
    matches!(kind, Kind::Named { of: Kind::Variants { .. }, .. })
}

/// As GitHub names a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept =
        kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn section(text: &mut String, above: &str, all: &[Entry]) {
    text.push_str(
        "\n| key | what it is for | what stands there | without it |\n|---|---|---|---|\n",
    );
    for entry in all {
        let (parent, _) = entry.path.rsplit_once('.').unwrap_or(("", &entry.path));
        if parent != above {
            continue;
        }
        let key = entry.key;
        let restart = match entry.change {
            Change::Live => "",
            Change::Restart => " *restart*",
        };
        let left_out = match key.need {
            Need::Required => "**required**".to_owned(),
            Need::Optional => "–".to_owned(),
            Need::OneOf(which) => (*which).to_owned(),
            Need::Default(default) => format!("`{default}`"),
            Need::Defaults => "defaults".to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}`{}{restart} | {} | {} | {left_out} |",
            key.name,
            with(entry),
            cell(key.says),
            cell(&there(&key.kind)),
        );
    }
}

/// A section has a table of its own.
fn there(kind: &Kind) -> String {
    match kind {
        Kind::Section(_) => "a section".to_owned(),
        Kind::SectionOr { word, .. } => format!("a section, or `{word}`"),
        Kind::Short { key, .. } => format!("a section, or its `{key}` alone"),
        Kind::Variants { key, .. } => format!("a section, by its `{key}`"),
        Kind::List(of) if section_of(of).is_some() => format!("a list, each {}", there(of)),
        Kind::Named { name, of } if section_of(of).is_some() || variants(kind) => {
            format!("{name}: {}", there(of))
        }
        other => in_words(other),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

//! Every key in words, from the tables that the reader judges by: one key for `config explain`, all
//! of them as a tree and as the page docs/configuration.md. What a configuration says is not here.

mod example;
mod page;

use std::fmt::Write as _;

use self::example::example;
pub use self::page::page;
use super::keys;
use super::kind::{Change, Key, Kind, Need};
use super::wording::{listed_or, nearest};

/// How the name that an operator chooses is written in a path.
const NAME: &str = "<name>";

/// What is known of a key that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explained {
    /// All there is to say of it.
    Key(String),
    /// Several have this name: their paths, each with what it is for.
    Several(String),
    /// There is none; perhaps this one was meant.
    Unknown(Option<String>),
}

/// One key, wherever it stands.
struct Entry {
    /// Such as `portals[].routes[].path`.
    path: String,
    key: &'static Key,
    /// Of a section of which there are several, the words with which it has this key; empty if it
    /// has it always.
    only_with: Vec<(&'static str, &'static str)>,
    /// When a change of it counts, by its own table or by what it is in.
    change: Change,
}

/// Explains a key by its path, as problems name it (`portals[0].routes[2].path`), or by its end.
#[must_use]
pub fn explain(asked: &str) -> Explained {
    let all = entries();
    let wanted: Vec<&str> = asked.split('.').map(without_index).collect();
    let matches =
        |entry: &Entry, is_whole: bool| {
            let path: Vec<&str> = entry.path.split('.').map(without_index).collect();
            let from = path.len().checked_sub(wanted.len());
            from.is_some_and(|from| {
                (from == 0 || !is_whole)
                    && path.iter().skip(from).zip(&wanted).all(|(known, asked)| {
                        known == asked || (*known == NAME && !asked.is_empty())
                    })
            })
        };
    for is_whole in [true, false] {
        let found: Vec<&Entry> = all.iter().filter(|entry| matches(entry, is_whole)).collect();
        let Some(first) = found.first() else { continue };
        if found.iter().all(|entry| entry.path == first.path) {
            let texts: Vec<String> = found.iter().map(|entry| in_full(entry)).collect();
            return Explained::Key(texts.join("\n\n"));
        }
        let lines = found.iter().map(|entry| format!("{}: {}", shown_path(entry), entry.key.says));
        return Explained::Several(lines.collect::<Vec<_>>().join("\n"));
    }
    Explained::Unknown(match asked.contains('.') {
        true => nearest(asked, all.iter().map(|entry| entry.path.as_str())).map(str::to_owned),
        false => nearest(asked, all.iter().map(|entry| entry.key.name)).map(str::to_owned),
    })
}

/// Every key, a line each, below the section that it is in.
#[must_use]
pub fn tree() -> String {
    let mut text = String::new();
    for entry in entries() {
        let depth = entry.path.matches('.').count();
        let name = entry.path.rsplit('.').next().unwrap_or_default();
        let only = with(&entry);
        let _ = writeln!(text, "{:1$}{name}{only}: {2}", "", 2 * depth, entry.key.says);
    }
    text
}

fn without_index(segment: &str) -> &str {
    segment.split('[').next().unwrap_or_default()
}

/// All keys, in the order of the tables.
fn entries() -> Vec<Entry> {
    let mut found = Vec::new();
    add_keys("", keys::FILE, Change::Live, &mut found);
    found
}

fn add_keys(above: &str, keys: &'static [Key], change: Change, found: &mut Vec<Entry>) {
    for key in keys {
        let path = match above {
            "" => key.name.to_owned(),
            above => format!("{above}.{}", key.name),
        };
        let path = format!("{path}{}", brackets(&key.kind));
        let change = match change {
            Change::Live => key.change,
            Change::Restart => Change::Restart,
        };
        found.push(Entry { path: path.clone(), key, only_with: Vec::new(), change });
        add_below(&path, &key.kind, change, found);
    }
}

/// What a path has behind a key at which there are several sections.
fn brackets(kind: &Kind) -> &'static str {
    match kind {
        Kind::List(of) if section_of(of).is_some() => "[]",
        _ => "",
    }
}

fn add_below(path: &str, kind: &'static Kind, change: Change, found: &mut Vec<Entry>) {
    match kind {
        Kind::Section(keys) | Kind::SectionOr { keys, .. } | Kind::Short { keys, .. } => {
            add_keys(path, keys, change, found);
        }
        Kind::Variants { key, of } => add_variants(path, (key, of), change, found),
        Kind::List(of) => add_below(path, of, change, found),
        Kind::Named { of, .. } => add_below(&format!("{path}.{NAME}"), of, change, found),
        Kind::Value(_) | Kind::Formed { .. } | Kind::Number(..) | Kind::Word(_) => {}
        Kind::Private(_) | Kind::Secret(_) => {}
    }
}

/// A key that several variants have alike is there once.
fn add_variants(
    path: &str,
    (key, of): (&'static str, &'static [(&'static str, &'static [Key])]),
    change: Change,
    found: &mut Vec<Entry>,
) {
    let mut together: Vec<Entry> = Vec::new();
    for (word, keys) in of {
        let mut here = Vec::new();
        add_keys(path, keys, change, &mut here);
        for mut entry in here {
            let twin = together
                .iter_mut()
                .find(|known| known.path == entry.path && *known.key == *entry.key);
            match twin {
                Some(known) => known.only_with.push((key, word)),
                None => {
                    entry.only_with.push((key, word));
                    together.push(entry);
                }
            }
        }
    }
    for entry in &mut together {
        if entry.only_with.len() == of.len() {
            entry.only_with.clear();
        }
    }
    found.extend(together);
}

/// The section that stands at a kind, itself or in a list.
fn section_of(kind: &Kind) -> Option<&'static [Key]> {
    match kind {
        Kind::Section(keys) | Kind::SectionOr { keys, .. } | Kind::Short { keys, .. } => Some(keys),
        Kind::List(of) | Kind::Named { of, .. } => section_of(of),
        Kind::Value(_) | Kind::Formed { .. } | Kind::Number(..) | Kind::Word(_) => None,
        Kind::Private(_) | Kind::Secret(_) | Kind::Variants { .. } => None,
    }
}

/// With which words a section has the key, such as ` (kind: oidc)`.
fn with(entry: &Entry) -> String {
    let Some((key, _)) = entry.only_with.first() else {
        return String::new();
    };
    let words: Vec<&str> = entry.only_with.iter().map(|(_, word)| *word).collect();
    format!(" ({key}: {})", words.join(", "))
}

fn shown_path(entry: &Entry) -> String {
    format!("{}{}", entry.path, with(entry))
}

fn in_full(entry: &Entry) -> String {
    let key = entry.key;
    let mut lines = vec![format!("{}: {}", shown_path(entry), key.says), String::new()];
    let mut line = |name: &str, text: &str| lines.push(format!("{name:<9}{text}"));
    line("is", &in_words(&key.kind));
    line("default", &left_out(key));
    if let Some(example) = example(key) {
        line("example", &format!("{}: {example}", key.name));
    }
    line(
        "changes",
        match entry.change {
            Change::Live => "count when the configuration is read anew",
            Change::Restart => "need a restart",
        },
    );
    lines.join("\n")
}

/// What holds where the key is not there.
fn left_out(key: &Key) -> String {
    match key.need {
        Need::Required => "none: it has to be there".to_owned(),
        Need::Optional => "none: it may be left out".to_owned(),
        Need::OneOf(which) => format!("none: {which} has to be there"),
        Need::Default(text) => text.to_owned(),
        Need::Defaults => "the defaults of its keys".to_owned(),
    }
}

/// What may stand at a key.
fn in_words(kind: &Kind) -> String {
    match kind {
        Kind::Value(what) | Kind::Private(what) | Kind::Secret(what) => (*what).to_owned(),
        Kind::Formed { what, .. } => (*what).to_owned(),
        Kind::Number(least, most) => format!("a number from {least} to {most}"),
        Kind::Word(words) => listed_or(words),
        Kind::Section(keys) => format!("a section with {}", names(keys)),
        Kind::SectionOr { word, keys } => {
            format!("a section with {}; or `{word}`", names(keys))
        }
        Kind::Short { keys, key } => {
            format!("a section with {}; or `{key}` of it alone", names(keys))
        }
        Kind::Variants { key, of } => {
            let words: Vec<&str> = of.iter().map(|(word, _)| *word).collect();
            format!("a section with other keys for each `{key}`: {}", listed_or(&words))
        }
        Kind::List(of) => match of {
            Kind::Section(_) | Kind::SectionOr { .. } | Kind::Variants { .. } => {
                format!("a list, each of it {}", in_words(of))
            }
            _ => format!("a list, or one alone, each of it {}", in_words(of)),
        },
        Kind::Named { name, of } => format!("a section of {name}: {}", in_words(of)),
    }
}

fn names(keys: &[Key]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    names.join(", ")
}

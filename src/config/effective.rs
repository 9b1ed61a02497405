//! What holds with a configuration: the value of every key, and where it is from. Secrets are not
//! in it, whatever they stand at (LOG-01, CFG-04). Deliberately not here: what a value means, which
//! `resolve` says, and what holds where neither file nor table says one.

mod json;
mod yaml;

use std::path::Path;

pub(crate) use self::yaml::plain_or_quoted;
use super::context::Context;
use super::interpolate::{fill, variables};
use super::kind::{Key, Kind, Need};
use super::value::is_guid;
use super::yaml::{Entry, Node, Value};
use super::{Loaded, Problem, Problems, environment, keys, parse, read, written};
use crate::gate::Timestamp;

/// What stands where something is not shown.
const MASK: &str = "***";

/// The value of every key.
#[derive(Debug)]
pub struct Effective {
    /// The path of the file, as it was named.
    file: String,
    keys: Vec<(String, Shown)>,
    /// What may not mean what was meant.
    pub warnings: Vec<Problem>,
}

/// What is at a key.
#[derive(Debug)]
enum Shown {
    Section(Vec<(String, Shown)>),
    List(Vec<Shown>),
    Value(Single),
    /// Nothing, and what the key is for.
    Nothing(&'static str),
}

/// One value.
#[derive(Debug)]
struct Single {
    text: String,
    form: Form,
    origin: Origin,
    /// Whether some of it is not shown.
    is_masked: bool,
}

/// How JSON has a value.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Number,
    Truth,
}

/// Where a value is from.
#[derive(Debug)]
enum Origin {
    Default,
    File {
        line: usize,
        column: usize,
    },
    /// Of these variables, which are named there. One that is not set has its default there.
    Variables {
        names: Vec<String>,
        line: usize,
        column: usize,
    },
}

/// What holds with the configuration at `path`, with the variables of the process's environment.
///
/// # Errors
/// All problems, if it cannot be used.
pub fn effective(path: &Path, now: Timestamp) -> Result<Effective, Problems> {
    let (name, text) = read(path)?;
    effective_of(&name, &text, &environment, now)
}

/// The same of a text; see [`parse`].
///
/// # Errors
/// All problems, if it cannot be used.
pub fn effective_of(
    name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<Effective, Problems> {
    let Loaded { warnings, .. } = parse(name, text, environment, now)?;
    let context = Context::new(name, environment);
    let reader = Reader { environment };
    let keys = match written(&context, text) {
        Some(Node { value: Value::Map(entries), .. }) => reader.section(keys::FILE, &entries),
        // It was accepted above.
        Some(_) | None => Vec::new(),
    };
    Ok(Effective { file: name.to_owned(), keys, warnings })
}

struct Reader<'e> {
    environment: &'e dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn section(&self, keys: &'static [Key], entries: &[Entry]) -> Vec<(String, Shown)> {
        let shown = |key: &'static Key| {
            let entry = entries.iter().find(|entry| entry.key == key.name);
            match entry {
                Some(entry) => self.kind(&key.kind, &entry.node),
                None => self.left_out(key),
            }
        };
        keys.iter().map(|key| (key.name.to_owned(), shown(key))).collect()
    }

    fn left_out(&self, key: &'static Key) -> Shown {
        match (&key.need, &key.kind) {
            (Need::Default(text), kind) => default(kind, text),
            (Need::Defaults, Kind::Section(keys) | Kind::SectionOr { keys, .. }) => {
                Shown::Section(self.section(keys, &[]))
            }
            (Need::Required | Need::Optional | Need::OneOf(_) | Need::Defaults, _) => {
                Shown::Nothing(key.says)
            }
        }
    }

    fn kind(&self, kind: &'static Kind, node: &Node) -> Shown {
        match (kind, &node.value) {
            (
                Kind::Section(keys) | Kind::SectionOr { keys, .. } | Kind::Short { keys, .. },
                Value::Map(entries),
            ) => Shown::Section(self.section(keys, entries)),
            (Kind::Short { keys, key }, _) => {
                let keys = keys.iter().map(|known| {
                    let shown = match known.name == *key {
                        true => self.kind(&known.kind, node),
                        false => self.left_out(known),
                    };
                    (known.name.to_owned(), shown)
                });
                Shown::Section(keys.collect())
            }
            (Kind::Variants { key, of }, Value::Map(entries)) => {
                let word = entries.iter().find(|entry| entry.key == *key);
                let word = word.and_then(|entry| self.filled(&entry.node));
                let keys = of.iter().find(|(name, _)| Some(*name) == word.as_deref());
                Shown::Section(keys.map_or_else(Vec::new, |(_, keys)| self.section(keys, entries)))
            }
            (Kind::List(of), Value::List(items)) => {
                Shown::List(items.iter().map(|item| self.kind(of, item)).collect())
            }
            (Kind::List(of), _) => Shown::List(vec![self.kind(of, node)]),
            (Kind::Named { of, .. }, Value::Map(entries)) => {
                let keys =
                    entries.iter().map(|entry| (entry.key.clone(), self.kind(of, &entry.node)));
                Shown::Section(keys.collect())
            }
            (kind, _) => self.single(kind, node),
        }
    }

    fn filled(&self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(written) => Some(fill(written, self.environment).ok()?.text),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Refused => None,
        }
    }

    fn single(&self, kind: &Kind, node: &Node) -> Shown {
        let names = match &node.value {
            Value::Scalar(written) => variables(written),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Refused => Vec::new(),
        };
        let is_secret = |text: &str| match kind {
            Kind::Secret(_) => true,
            // Something else may have come instead of what belongs there; an id is one.
            Kind::Private(_) => !names.is_empty() && !is_guid(text),
            _ => names.iter().any(|name| is_of_secrets(name)),
        };
        let (text, is_masked) = match self.filled(node) {
            Some(text) if !is_secret(&text) => without_query(text),
            Some(_) | None => (MASK.to_owned(), true),
        };
        let (line, column) = (node.place.line, node.place.column);
        let origin = match names.is_empty() {
            true => Origin::File { line, column },
            false => {
                let names = names.into_iter().map(str::to_owned).collect();
                Origin::Variables { names, line, column }
            }
        };
        let form = if is_masked { Form::Text } else { form(kind) };
        Shown::Value(Single { text, form, origin, is_masked })
    }
}

/// Whether a variable is named like one that holds a secret: somebody may have put it where none
/// belongs.
fn is_of_secrets(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "PASSWORD", "PASSWD", "TOKEN", "KEY", "CREDENTIAL"]
        .iter()
        .any(|word| name.contains(word))
}

/// A URL may have a secret in its query.
fn without_query(text: String) -> (String, bool) {
    match text.split_once('?') {
        Some((url, _)) if url.contains("://") => (format!("{url}?{MASK}"), true),
        Some(_) | None => (text, false),
    }
}

fn form(kind: &Kind) -> Form {
    match kind {
        Kind::Number(..) => Form::Number,
        Kind::Word(["true", "false"]) => Form::Truth,
        _ => Form::Text,
    }
}

fn default(kind: &Kind, text: &str) -> Shown {
    let single = |kind: &Kind, text: &str| {
        let (text, origin) = (text.to_owned(), Origin::Default);
        Shown::Value(Single { text, form: form(kind), origin, is_masked: false })
    };
    match kind {
        Kind::List(of) => {
            let items = text.trim_matches(['[', ']']).split(", ");
            Shown::List(items.map(|item| single(of, item)).collect())
        }
        kind => single(kind, text),
    }
}

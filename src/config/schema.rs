//! The JSON Schema of a configuration (draft-07, which editors know), made of the tables that the
//! reader judges by. It accepts whatever the reader accepts. Deliberately not here: what one key
//! means for another, which a schema says badly and `check` says with its reason.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::keys;
use super::kind::{Change, Key, Kind, Need};

/// A text in which a variable is filled in: what it holds then, only the reader knows.
const VARIABLE: &str = r"\$\{";

/// The schema, as `config.schema.json` has it.
#[must_use]
pub fn schema() -> String {
    let mut top = section(keys::FILE);
    let mut times = BTreeMap::new();
    count(&top, &mut times);
    let mut shared = Shared { times, definitions: BTreeMap::new() };
    shared.replace(&mut top, "");
    if let Value::Object(top) = &mut top {
        top.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        top.insert("title".to_owned(), json!("The configuration of Anteport"));
        let definitions = shared.definitions.into_values().collect();
        top.insert("definitions".to_owned(), Value::Object(definitions));
    }
    format!("{top:#}\n")
}

/// Sections that stand in several places are written once.
struct Shared {
    /// How often each section stands somewhere.
    times: BTreeMap<String, usize>,
    /// Those that do so more than once, by what they are, each with its name.
    definitions: BTreeMap<String, (String, Value)>,
}

/// A section without what is said of the key that it stands at; `None` if it is none.
fn bare(value: &Value) -> Option<Value> {
    let mut section = value.as_object().filter(|made| made.contains_key("properties"))?.clone();
    section.remove("description");
    Some(Value::Object(section))
}

fn count(value: &Value, times: &mut BTreeMap<String, usize>) {
    if let Some(section) = bare(value) {
        *times.entry(section.to_string()).or_default() += 1;
    }
    match value {
        Value::Object(entries) => entries.values().for_each(|value| count(value, times)),
        Value::Array(items) => items.iter().for_each(|value| count(value, times)),
        _ => {}
    }
}

impl Shared {
    /// Replaces what is shared by a reference. `name` is the key that is nearest above.
    fn replace(&mut self, value: &mut Value, name: &str) {
        let section = bare(value).map(|section| (section.to_string(), section));
        let section = section.filter(|(text, _)| self.times.get(text).is_some_and(|n| *n > 1));
        if let Some((text, mut section)) = section {
            let name = match self.definitions.get(&text) {
                Some((name, _)) => name.clone(),
                None => {
                    let name = self.free(name);
                    self.definitions.insert(text.clone(), (name.clone(), Value::Null));
                    self.below(&mut section, &name);
                    self.definitions.insert(text, (name.clone(), section));
                    name
                }
            };
            let reference = json!({ "$ref": format!("#/definitions/{name}") });
            // What stands beside a reference is not read.
            *value = match value.get("description") {
                Some(says) => json!({ "allOf": [reference], "description": says }),
                None => reference,
            };
            return;
        }
        self.below(value, name);
    }

    fn below(&mut self, value: &mut Value, name: &str) {
        match value {
            Value::Object(entries) => {
                for (word, value) in entries {
                    match (word.as_str(), &mut *value) {
                        ("properties", Value::Object(keys)) => {
                            keys.iter_mut().for_each(|(key, value)| self.replace(value, key));
                        }
                        _ => self.replace(value, name),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item, name)),
            _ => {}
        }
    }

    /// A name that nothing else has.
    fn free(&self, wanted: &str) -> String {
        let is_taken = |name: &str| self.definitions.values().any(|(known, _)| known == name);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }
}

fn section(keys: &[Key]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), described(key))).collect();
    let required: Vec<&str> =
        keys.iter().filter(|key| matches!(key.need, Need::Required)).map(|key| key.name).collect();
    let mut made = Map::new();
    made.insert("type".to_owned(), json!("object"));
    made.insert("properties".to_owned(), Value::Object(properties));
    made.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        made.insert("required".to_owned(), json!(required));
    }
    Value::Object(made)
}

/// What stands at a key, with what it is for.
fn described(key: &Key) -> Value {
    let mut made = match kind(&key.kind) {
        Value::Object(made) => made,
        _ => Map::new(),
    };
    let restart = match key.change {
        Change::Live => "",
        Change::Restart => " (a change needs a restart)",
    };
    made.insert("description".to_owned(), json!(format!("{}{restart}", key.says)));
    if let Need::Default(text) = key.need {
        made.insert("default".to_owned(), default(&key.kind, text));
    }
    Value::Object(made)
}

fn default(kind: &Kind, text: &str) -> Value {
    match kind {
        Kind::List(of) => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(items) => items.split(", ").map(|item| default(of, item)).collect(),
            None => default(of, text),
        },
        Kind::Number(..) => {
            text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        Kind::Word(_) => word(text),
        _ => json!(text),
    }
}

/// A word as YAML understands it.
fn word(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        _ => json!(text),
    }
}

fn kind(kind: &Kind) -> Value {
    match kind {
        // YAML takes `42` and `true` for something else than text, and the reader does not.
        Kind::Value(_) | Kind::Private(_) | Kind::Secret(_) => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        Kind::Formed { pattern, .. } => {
            json!({ "type": "string", "pattern": format!("{VARIABLE}|{pattern}") })
        }
        Kind::Number(least, most) => json!({
            "type": ["integer", "string"],
            "minimum": least,
            "maximum": most,
            "pattern": format!("{VARIABLE}|^[0-9]+$"),
        }),
        Kind::Word(words) => one_of(words),
        Kind::Section(keys) => section(keys),
        Kind::SectionOr { word, keys } => json!({ "anyOf": [{ "const": word }, section(keys)] }),
        Kind::Short { keys, key } => match keys.iter().find(|known| known.name == *key) {
            Some(short) => json!({ "anyOf": [self::kind(&short.kind), section(keys)] }),
            None => section(keys),
        },
        Kind::Variants { key, of } => variants(key, of),
        Kind::List(of) => list(of),
        Kind::Named { of, .. } => {
            json!({ "type": "object", "additionalProperties": self::kind(of) })
        }
    }
}

/// One of these words, as YAML understands it or in quotes.
fn one_of(words: &[&str]) -> Value {
    let mut values: Vec<Value> = words.iter().map(|text| word(text)).collect();
    let quoted = words.iter().filter(|text| word(text).is_boolean());
    values.extend(quoted.map(|text| json!(text)));
    json!({ "anyOf": [{ "enum": values }, { "type": "string", "pattern": VARIABLE }] })
}

/// A list, or one value alone that stands for a list of it; a section does not.
fn list(of: &Kind) -> Value {
    let items = kind(of);
    let alone = match of {
        Kind::Short { keys, key } => {
            keys.iter().find(|known| known.name == *key).map(|short| kind(&short.kind))
        }
        Kind::Section(_) | Kind::SectionOr { .. } | Kind::Variants { .. } => None,
        Kind::List(_) | Kind::Named { .. } => None,
        Kind::Value(_) | Kind::Formed { .. } | Kind::Number(..) => Some(items.clone()),
        Kind::Private(_) | Kind::Secret(_) | Kind::Word(_) => Some(items.clone()),
    };
    let list = json!({ "type": "array", "items": items, "minItems": 1 });
    match alone {
        Some(alone) => json!({ "anyOf": [list, alone] }),
        None => list,
    }
}

/// A section whose keys depend on the word at one of them. By `if`, so that what is wrong is said
/// of the keys that are meant; where a variable gives the word, any of them may be.
fn variants(key: &str, of: &[(&str, &[Key])]) -> Value {
    let words: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    let cases = of.iter().map(|(name, keys)| {
        json!({
            "if": { "required": [key], "properties": { key: { "const": name } } },
            "then": section(keys),
        })
    });
    let of_variable = json!({
        "if": { "required": [key], "properties": { key: { "pattern": VARIABLE } } },
        "then": { "anyOf": of.iter().map(|(_, keys)| section(keys)).collect::<Vec<_>>() },
    });
    json!({
        "type": "object",
        "required": [key],
        "properties": { key: one_of(&words) },
        "allOf": cases.chain([of_variable]).collect::<Vec<_>>(),
    })
}

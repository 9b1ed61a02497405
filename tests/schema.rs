//! The JSON Schema of a configuration, as a validator that nobody here wrote understands it: it
//! accepts what the program accepts, and refuses keys that there are not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use anteport::config;
use anteport::gate::Timestamp;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Map, Value, json};

/// 2026-11-21, noon.
const NOON: Timestamp = Timestamp::from_unix_seconds(1_795_262_400);
const MINIMAL: &str = include_str!("fixtures/config/minimal.yaml");

/// The schema that is committed.
struct Schema(Schemas, SchemaIndex);

impl Schema {
    fn committed() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_str(include_str!("../config.schema.json")).unwrap();
        compiler.add_resource("config.schema.json", schema).unwrap();
        let index = compiler.compile("config.schema.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn judge(&self, config: &Value) -> Result<(), String> {
        self.0.validate(config, self.1).map_err(|error| format!("{error:#}"))
    }

    fn accepts(&self, config: &Value) -> bool {
        self.judge(config).is_ok()
    }
}

/// A configuration as YAML 1.2 has it, which editors read: `off` is a word.
fn read(text: &str) -> Option<Value> {
    let options = serde_yaml::options! { strict_booleans: true };
    serde_yaml::from_str_with_options(text, options).ok()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

/// What the program says of a configuration, secrets and files apart, which are not there.
fn said(config: &Value) -> Vec<String> {
    let secret = |_: &str| Some("secret".to_owned());
    match config::parse("config.yaml", &config.to_string(), &secret, NOON) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .to_string()
            .lines()
            .filter(|line| line.starts_with("error"))
            .map(str::to_owned)
            .collect(),
    }
}

#[test]
fn the_committed_schema_is_current() {
    let path = root().join("config.schema.json");
    let schema = config::schema();
    if std::env::var_os("WRITE_REFERENCES").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == schema, "run: WRITE_REFERENCES=1 cargo test --test schema");
}

#[test]
fn configurations_that_we_give_away_are_accepted() {
    let schema = Schema::committed();
    let mut files = vec![root().join("config.example.yaml"), root().join("tests/msal/config.yaml")];
    yaml_below(&root().join("deploy"), &mut files);
    let mut tried = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.lines().any(|line| line == "portals:") {
            continue;
        }
        tried += 1;
        schema.judge(&read(&text).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    assert!(tried >= 7, "{tried}");
}

/// What a page leaves out, the smallest configuration has.
#[test]
fn examples_of_the_documentation_are_accepted() {
    let schema = Schema::committed();
    let minimal = read(MINIMAL).unwrap();
    let mut pages = vec![root().join("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        pages.push(entry.unwrap().path());
    }
    let mut tried = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let Some(Value::Object(written)) = read(block) else { continue };
            let is_of = |keys: &[&str]| written.keys().all(|key| keys.contains(&key.as_str()));
            let mut written = Value::Object(written.clone());
            if is_of(&["identity", "local_login", "members", "mode", "routes", "sign_in"]) {
                written = json!({ "portals": [written] });
            } else if !is_of(&["listen", "admin", "providers", "portals", "sessions", "signing"]) {
                continue;
            }
            tried += 1;
            fill(&mut written, &minimal);
            let of_minimal = &minimal["providers"]["corporate"];
            for provider in written["providers"].as_object_mut().unwrap().values_mut() {
                if provider.get("kind").is_none() {
                    fill(provider, of_minimal);
                }
            }
            for portal in written["portals"].as_array_mut().unwrap() {
                fill(portal, &minimal["portals"][0]);
            }
            let judged = schema.judge(&written);
            judged.unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.display()));
        }
    }
    assert!(tried > 10, "{tried}");
}

fn fill(section: &mut Value, from: &Value) {
    for (key, value) in from.as_object().unwrap() {
        section.as_object_mut().unwrap().entry(key).or_insert_with(|| value.clone());
    }
}

/// CFG-01: what the program accepts is accepted, and what it says is no key is none here.
#[test]
fn cfg_01_fixtures_are_judged_as_the_program_judges_them() {
    let schema = Schema::committed();
    let mut files = Vec::new();
    yaml_below(&root().join("tests/fixtures/config"), &mut files);
    let (mut accepted, mut refused) = (0, 0);
    for path in files {
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(config) = read(&text) else { continue };
        let name = path.display();
        if !expected.contains("error: ") {
            accepted += 1;
            schema.judge(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else if expected.contains(": unknown key") || path.ends_with("missing.yaml") {
            refused += 1;
            assert!(!schema.accepts(&config), "{name} is accepted");
        }
    }
    assert!(accepted > 15 && refused > 10, "{accepted} {refused}");
}

/// Every place of a configuration, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Configurations with much in them: those that are accepted but for their secrets.
fn large() -> Vec<Value> {
    let mut files = vec![root().join("config.example.yaml")];
    yaml_below(&root().join("tests/fixtures/config"), &mut files);
    let texts = files.into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let read: Vec<Value> = texts.filter_map(|text| read(&text)).collect();
    read.into_iter().filter(|config| said(config).is_empty()).collect()
}

/// Each value in turn becomes something else. Whatever the program takes all the same, the schema
/// takes; a variable always.
#[test]
fn what_the_program_accepts_is_accepted() {
    let schema = Schema::committed();
    let (mut tried, mut accepted) = (0, 0);
    for config in large() {
        let mut all = Vec::new();
        places(&config, "", &mut all);
        for place in all {
            let original = config.pointer(&place).unwrap().clone();
            let mut others = vec![
                json!(1),
                json!(true),
                json!("x"),
                json!(""),
                json!([]),
                json!({}),
                json!(null),
            ];
            others.push(json!([original]));
            if let Value::Array(items) = &original {
                others.extend(items.first().cloned());
            }
            let text = match &original {
                Value::String(text) if !text.contains("${") => Some(text.clone()),
                Value::Number(_) | Value::Bool(_) => Some(original.to_string()),
                _ => None,
            };
            others.extend(text.map(|text| json!(format!("${{NOT_SET_X:-{text}}}"))));
            for other in others {
                let mut changed = config.clone();
                *changed.pointer_mut(&place).unwrap() = other.clone();
                tried += 1;
                if said(&changed).is_empty() {
                    accepted += 1;
                    let judged = schema.judge(&changed);
                    judged.unwrap_or_else(|error| panic!("{place} = {other}: {error}"));
                }
            }
        }
    }
    assert!(tried > 2000 && accepted > 250, "{tried} {accepted}");
}

/// Each key in turn is misspelled. Where the program says that there is no such key, so does the
/// schema.
#[test]
fn cfg_01_misspelled_keys_are_refused() {
    let schema = Schema::committed();
    let mut refused = 0;
    for config in large() {
        let mut all = Vec::new();
        places(&config, "", &mut all);
        for place in all {
            let Some(keys) = config.pointer(&place).unwrap().as_object() else { continue };
            for key in keys.keys() {
                let misspelled: Map<String, Value> = keys
                    .iter()
                    .map(|(name, value)| {
                        let name = if name == key { format!("{name}x") } else { name.clone() };
                        (name, value.clone())
                    })
                    .collect();
                let mut changed = config.clone();
                *changed.pointer_mut(&place).unwrap() = Value::Object(misspelled);
                let is_unknown = said(&changed).iter().any(|line| line.contains("unknown key"));
                if is_unknown {
                    refused += 1;
                    assert!(!schema.accepts(&changed), "{place}/{key}x is accepted");
                }
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

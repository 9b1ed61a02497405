//! What holds, as YAML; behind each value a comment that says where it is from.

use std::fmt::Write as _;
use std::path::Path;

use super::{Effective, Origin, Shown, Single};

impl Effective {
    /// As YAML, with comments.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let name = Path::new(&self.file).file_name();
        let file = name.map_or_else(|| self.file.clone(), |name| name.to_string_lossy().into());
        let mut writer = Writer { text: String::new(), file: one_line(&file) };
        let _ = writeln!(writer.text, "# What holds with {}", one_line(&self.file));
        writer.section(&self.keys, 0);
        writer.text
    }
}

struct Writer {
    text: String,
    file: String,
}

impl Writer {
    fn section(&mut self, keys: &[(String, Shown)], depth: usize) {
        for (name, shown) in keys {
            let indent = " ".repeat(2 * depth);
            let name = plain_or_quoted(name);
            match shown {
                Shown::Nothing(says) => {
                    let _ = writeln!(self.text, "{indent}# {name}: not set: {says}");
                }
                Shown::Value(single) => {
                    let _ = writeln!(self.text, "{indent}{name}: {}", self.single(single));
                }
                Shown::Section(keys) if is_empty(keys) => {
                    let _ = writeln!(self.text, "{indent}{name}: {{}}");
                    self.section(keys, depth + 1);
                }
                Shown::Section(keys) => {
                    let _ = writeln!(self.text, "{indent}{name}:");
                    self.section(keys, depth + 1);
                }
                Shown::List(items) => {
                    let _ = writeln!(self.text, "{indent}{name}:");
                    items.iter().for_each(|item| self.item(item, depth + 1));
                }
            }
        }
    }

    fn item(&mut self, item: &Shown, depth: usize) {
        let indent = " ".repeat(2 * depth);
        match item {
            Shown::Value(single) => {
                let _ = writeln!(self.text, "{indent}- {}", self.single(single));
            }
            Shown::Section(keys) if is_empty(keys) => {
                let _ = writeln!(self.text, "{indent}- {{}}");
            }
            Shown::Section(keys) => {
                let _ = writeln!(self.text, "{indent}-");
                self.section(keys, depth + 1);
            }
            // No table has one.
            Shown::List(_) | Shown::Nothing(_) => {}
        }
    }

    fn single(&self, single: &Single) -> String {
        let from = match &single.origin {
            Origin::Default => "default".to_owned(),
            Origin::File { line, column } => format!("{}:{line}:{column}", self.file),
            Origin::Variables { names, line, column } => {
                let names = names.join(" and ");
                format!("variable {} at {}:{line}:{column}", one_line(&names), self.file)
            }
        };
        let masked = if single.is_masked { ", not shown" } else { "" };
        format!("{}  # {from}{masked}", plain_or_quoted(&single.text))
    }
}

/// Whether nothing in a section is set.
fn is_empty(keys: &[(String, Shown)]) -> bool {
    keys.iter().all(|(_, shown)| matches!(shown, Shown::Nothing(_)))
}

/// A text as YAML has it: without quotes where nothing in it means something.
pub(crate) fn plain_or_quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@+".contains(letter);
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '/');
    let is_null = matches!(text, "null" | "Null" | "NULL");
    match begins && !is_null && !text.ends_with(':') && text.chars().all(is_plain) {
        true => text.to_owned(),
        // What JSON has in quotes, YAML reads alike.
        false => serde_json::Value::from(text).to_string(),
    }
}

/// Nothing in a comment ends it.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

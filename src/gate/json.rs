//! The fields of JSON (RFC 8259), where a rule looks at them: every name at every depth, repeated
//! ones too, because readers disagree about which of two counts.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;

use super::form::MOST_FIELDS;
use super::parameters::Field;

/// The longest path of names: every field below it has all of it.
const LONGEST_PATH: usize = 1024;
/// The most names of which, beyond [`MOST_FIELDS`], it is known that they are there.
const MOST_NAMES: usize = 2048;

/// Why there are no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// It is not JSON.
    Not,
    /// It is too much of it: too deep, too many fields, names that are too long.
    TooMuch,
}

/// Reads a text. Of what is beyond [`MOST_FIELDS`] only the names are kept, which then could have
/// any value.
pub(super) fn read(text: &[u8]) -> Result<Vec<Field>, JsonError> {
    let mut found = Found::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let walked = Walk { path: "", found: &mut found }.deserialize(&mut reader);
    match walked.and_then(|()| reader.end()) {
        Ok(()) => Ok(found.fields),
        Err(error) if error.classify() == Category::Data || is_a_limit(&error) => {
            Err(JsonError::TooMuch)
        }
        Err(_) => Err(JsonError::Not),
    }
}

/// Whether other readers may go further: deeper, and with larger numbers. The library has no better
/// name for it.
fn is_a_limit(error: &serde_json::Error) -> bool {
    let said = error.to_string();
    ["recursion limit exceeded", "number out of range"].iter().any(|limit| said.starts_with(limit))
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    /// Paths of which only the name was kept.
    names: HashSet<String>,
}

impl Found {
    fn add(&mut self, path: &str, value: Option<&str>) {
        let last = path.rsplit('\0').next().unwrap_or_default();
        let joined = path.replace('\0', ".");
        let names: &[&str] = if last == joined { &[last] } else { &[last, &joined] };
        if self.fields.len() < MOST_FIELDS {
            self.fields.push(Field::literal(names, value));
        } else if !self.names.contains(path) {
            self.names.insert(path.to_owned());
            self.fields.push(Field::literal(names, None));
        }
    }
}

/// Walks through JSON and writes down every name at every depth, repeated ones too.
struct Walk<'a> {
    path: &'a str,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn add(&mut self, value: Option<&str>) {
        self.found.add(self.path, value);
    }

    fn deserialize<'de, D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.add(Some(text));
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.add(Some(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<(), E> {
        self.add(Some(&number.to_string()));
        Ok(())
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<(), E> {
        self.add(Some(&number.to_string()));
        Ok(())
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<(), E> {
        self.add(Some(&number.to_string()));
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.add(Some(""));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.add(None);
        while let Some(()) = items.next_element_seed(Walk { path: self.path, found: self.found })? {
            self.check()?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.add(None);
        while let Some(name) = entries.next_key::<Name>()? {
            let path = match self.path {
                "" => name.0,
                path => format!("{path}\0{}", name.0),
            };
            if path.len() > LONGEST_PATH {
                return Err(A::Error::custom("names too long"));
            }
            entries.next_value_seed(Walk { path: &path, found: self.found })?;
            self.check()?;
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn check<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.found.names.len() > MOST_NAMES {
            true => Err(E::custom("too many names")),
            false => Ok(()),
        }
    }
}

struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        String::deserialize(reader).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_12_what_is_too_much_is_told_from_what_is_no_json() {
        let fields = |text: &str| read(text.as_bytes()).map(|fields| fields.len());
        assert_eq!(fields("{\"a\":[1,{\"b\":2}]}"), Ok(5));
        assert_eq!(fields("[1"), Err(JsonError::Not));
        assert_eq!(fields("{} x"), Err(JsonError::Not));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(fields(&deep), Err(JsonError::TooMuch));
        let named = |length: usize| format!("{{\"{}\":1}}", "k".repeat(length));
        assert_eq!(fields(&named(LONGEST_PATH)), Ok(2));
        assert_eq!(fields(&named(LONGEST_PATH + 1)), Err(JsonError::TooMuch));
        assert_eq!(fields("[1e999]"), Err(JsonError::TooMuch));
        // Beyond the limit there are names, each once, and they have an end too.
        let many = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
        assert_eq!(fields(&many(MOST_FIELDS - 2)), Ok(MOST_FIELDS));
        assert_eq!(fields(&many(MOST_FIELDS + 500)), Ok(MOST_FIELDS + 1));
        let name = |number: usize| format!("\"n{number}\":1");
        let names =
            |count: usize| format!("{{{}}}", (0..count).map(name).collect::<Vec<_>>().join(","));
        assert_eq!(fields(&names(MOST_FIELDS - 1 + MOST_NAMES)), Ok(MOST_FIELDS + MOST_NAMES));
        assert_eq!(fields(&names(MOST_FIELDS + MOST_NAMES)), Err(JsonError::TooMuch));
    }
}

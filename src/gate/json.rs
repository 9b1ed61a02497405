//! The fields of JSON (RFC 8259), where a rule looks at them: every name at every depth, repeated ones
//! too, because readers disagree about which of two counts.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;

use super::form::MOST_FIELDS;
use super::parameters::Field;

/// The longest path of names: every field below it has all of it.
const LONGEST_PATH: usize = 1024;

/// Why there are no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// It is not JSON.
    Not,
    /// It is too much of it: too deep, too many fields, names that are too long.
    TooMuch,
}

/// Reads a text.
pub(super) fn read(text: &[u8]) -> Result<Vec<Field>, JsonError> {
    let mut fields = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let walked = Walk { path: "", fields: &mut fields }.deserialize(&mut reader);
    match walked.and_then(|()| reader.end()) {
        Ok(()) => Ok(fields),
        Err(error) if error.classify() == Category::Data || is_about_depth(&error) => {
            Err(JsonError::TooMuch)
        }
        Err(_) => Err(JsonError::Not),
    }
}

/// The library has no better name for it.
fn is_about_depth(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

/// Walks through JSON and writes down every name at every depth, repeated ones too.
struct Walk<'a> {
    path: &'a str,
    fields: &'a mut Vec<Field>,
}

impl Walk<'_> {
    fn add(&mut self, value: Option<&str>) {
        let last = self.path.rsplit('\0').next().unwrap_or_default();
        let joined = self.path.replace('\0', ".");
        let names: &[&str] = if last == joined { &[last] } else { &[last, &joined] };
        self.fields.push(Field::literal(names, value));
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
        while let Some(()) =
            items.next_element_seed(Walk { path: self.path, fields: self.fields })?
        {
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
            entries.next_value_seed(Walk { path: &path, fields: self.fields })?;
            self.check()?;
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn check<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.fields.len() > MOST_FIELDS {
            true => Err(E::custom("too many fields")),
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
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(fields(&many(MOST_FIELDS - 1)), Ok(MOST_FIELDS));
        assert_eq!(fields(&many(MOST_FIELDS)), Err(JsonError::TooMuch));
    }
}

//! Where in the claims a value stands: `email`, `emails[0]`, `address.locality`,
//! `"https://example.org/claims/id"`. A path is read once, with the configuration, and means one
//! place; deliberately not here is what becomes of the value.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::VerifiedClaims;

/// The most characters of a path as it is written.
const LONGEST: usize = 512;
/// The most steps behind the claim's own name.
const DEEPEST: usize = 8;
/// The last element that can be named.
const LAST: usize = 9999;

/// The place of a value: a claim by its name, and the steps to what is inside of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    name: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// A member of an object.
    Member(String),
    /// An element of a list, from 0.
    Element(usize),
}

/// Why a text is no path. None of them quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimPathError {
    /// Nothing where a name was expected.
    #[error("a claim is missing: write its name, such as `email`")]
    Empty,
    /// An empty name between two dots, or behind the last.
    #[error("a name is missing beside a `.`, as in `address.locality`")]
    EmptyName,
    /// A character that a name without quotes cannot have.
    #[error(
        "a name with a space, a bracket, a brace or another odd character stands in quotes, as in \
         `\"member id\"` or `address.\"street number\"`"
    )]
    Odd,
    /// A quotation mark without its other.
    #[error(
        "a quotation mark is not closed; inside of quotes `\\\"` and `\\\\` stand for themselves"
    )]
    Unclosed,
    /// Something between a closing quote or bracket and the next step.
    #[error("behind `\"` or `]` comes a `.`, a `[` or the end, as in `\"a.b\".c[0]`")]
    Behind,
    /// Brackets without a number.
    #[error(
        "in brackets stands the number of an element, from 0 to {LAST}, as in `emails[0]`; the name \
         alone is the whole list"
    )]
    Index,
    /// Longer than any that makes sense.
    #[error("a path has at most {LONGEST} characters and {DEEPEST} steps behind the claim's name")]
    TooLong,
}

/// A path leads into a value that has nothing inside: its claim has another form than the operator
/// expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherForm;

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    /// The only way to make one. A name that is a URL may stand without quotes, with its dots.
    fn from_str(text: &str) -> Result<Self, ClaimPathError> {
        if text.chars().nth(LONGEST).is_some() {
            return Err(ClaimPathError::TooLong);
        }
        if text.contains("://") && !text.contains('"') {
            let (name, steps) = text.split_at(text.find('[').unwrap_or(text.len()));
            let mut rest = Reader { rest: steps };
            let name = bare(name, |byte| byte == b'.')?;
            let steps = rest.steps()?;
            let is_list = steps.iter().all(|step| matches!(step, Step::Element(_)));
            return match is_list {
                true => Ok(Self { name, steps }),
                false => Err(ClaimPathError::Odd),
            };
        }
        let mut reader = Reader { rest: text };
        if text.is_empty() {
            return Err(ClaimPathError::Empty);
        }
        Ok(Self { name: reader.name()?, steps: reader.steps()? })
    }
}

/// What is left of a path that is being read.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn name(&mut self) -> Result<String, ClaimPathError> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (name, rest) = unquoted(quoted)?;
            self.rest = rest;
            return Ok(name);
        }
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        bare(name, |_| false)
    }

    fn steps(&mut self) -> Result<Vec<Step>, ClaimPathError> {
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                steps.push(Step::Member(self.name()?));
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let (number, rest) = rest.split_once(']').ok_or(ClaimPathError::Index)?;
                self.rest = rest;
                steps.push(Step::Element(index(number)?));
            } else {
                return Err(ClaimPathError::Behind);
            }
            if steps.len() > DEEPEST {
                return Err(ClaimPathError::TooLong);
            }
        }
        Ok(steps)
    }
}

/// One spelling of a number each.
fn index(text: &str) -> Result<usize, ClaimPathError> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|number| is_plain && *number <= LAST);
    number.ok_or(ClaimPathError::Index)
}

fn bare(name: &str, may_have: impl Fn(u8) -> bool) -> Result<String, ClaimPathError> {
    let is_plain = |byte: u8| is_bare(byte) || may_have(byte);
    match name.bytes().all(is_plain) {
        _ if name.is_empty() => Err(ClaimPathError::EmptyName),
        true => Ok(name.to_owned()),
        false => Err(ClaimPathError::Odd),
    }
}

/// What a name may have without quotes. The rest has a meaning here, in a template, or in a
/// language that somebody could take this for.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'.' | b'[' | b']' | b'{' | b'}' | b'"' | b'\\' | b'*' | b'$')
}

/// The name up to its closing quote, and what is behind that.
fn unquoted(text: &str) -> Result<(String, &str), ClaimPathError> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = text.get(at + 1..).unwrap_or_default();
                return match name.is_empty() {
                    true => Err(ClaimPathError::EmptyName),
                    false => Ok((name, rest)),
                };
            }
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => name.push(escaped),
                Some(_) | None => return Err(ClaimPathError::Unclosed),
            },
            character if character.is_control() => return Err(ClaimPathError::Odd),
            character => name.push(character),
        }
    }
    Err(ClaimPathError::Unclosed)
}

impl ClaimPath {
    /// The name of the claim that it is in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a whole claim.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it is one element of a list.
    #[must_use]
    pub fn is_element(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Element(_)))
    }
}

/// As it can be read again: two paths are shown alike only if they are the same.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In a name without quotes `://` makes a URL of all that follows.
        let is_plain = |name: &str| name.bytes().all(is_bare) && !name.contains("://");
        let name = |f: &mut fmt::Formatter<'_>, name: &str| match is_plain(name) {
            true => f.write_str(name),
            false => write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        name(f, &self.name)?;
        for step in &self.steps {
            match step {
                Step::Member(member) => {
                    f.write_str(".")?;
                    name(f, member)?;
                }
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl VerifiedClaims {
    /// What stands at a path; `None` where nothing does, or null, which says as much.
    ///
    /// # Errors
    /// If the path leads into something that has nothing inside, or that is a list and not an
    /// object, or the other way round.
    pub fn at(&self, path: &ClaimPath) -> Result<Option<&Value>, OtherForm> {
        let mut found = self.get(&path.name);
        for step in &path.steps {
            found = match (step, found) {
                (_, None | Some(Value::Null)) => return Ok(None),
                (Step::Member(name), Some(Value::Object(members))) => members.get(name),
                (Step::Element(index), Some(Value::Array(elements))) => elements.get(*index),
                (Step::Member(_) | Step::Element(_), Some(_)) => return Err(OtherForm),
            };
        }
        Ok(found.filter(|value| !value.is_null()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Subject;
    use proptest::prelude::*;
    use serde_json::json;

    fn claims(value: Value) -> VerifiedClaims {
        let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
        VerifiedClaims::assertion(subject, value.as_object().unwrap().clone())
    }

    #[test]
    fn a_path_names_one_place() {
        let claims = claims(json!({
            "email": "a@b.example",
            "emails": ["x", "y"],
            "emails[0]": "trap",
            "address": { "locality": "Lisbon", "street number": 7, "gone": null },
            "address.locality": "trap",
            "https://example.org/claims/id": "10442",
            "https://example.org/lists": ["p"],
            "https://intranet/claims": { "groups": ["g"] },
            "urn:oid:2.5.4.42": "Ines",
            "cognito:groups": ["g"],
            "a\"b\\c": 1,
            "ö": 2,
            "deep": [{ "x": [[3]] }],
        }));
        for (path, found) in [
            ("email", json!("a@b.example")),
            ("emails", json!(["x", "y"])),
            ("emails[1]", json!("y")),
            ("emails[0]", json!("x")),
            ("\"emails[0]\"", json!("trap")),
            ("address.locality", json!("Lisbon")),
            ("\"address.locality\"", json!("trap")),
            ("address.\"street number\"", json!(7)),
            ("https://example.org/claims/id", json!("10442")),
            ("\"https://example.org/claims/id\"", json!("10442")),
            ("https://example.org/lists[0]", json!("p")),
            ("\"https://intranet/claims\".groups", json!(["g"])),
            ("\"urn:oid:2.5.4.42\"", json!("Ines")),
            ("cognito:groups[0]", json!("g")),
            ("\"a\\\"b\\\\c\"", json!(1)),
            ("\"ö\"", json!(2)),
            ("deep[0].x[0][0]", json!(3)),
        ] {
            let read: ClaimPath = path.parse().unwrap();
            assert_eq!(claims.at(&read), Ok(Some(&found)), "{path}");
            assert_eq!(read.to_string().parse(), Ok(read), "{path}");
        }
        for absent in ["none", "emails[2]", "address.none", "address.gone", "address.gone.x", "x.y"]
        {
            assert_eq!(claims.at(&absent.parse().unwrap()), Ok(None), "{absent}");
        }
        for other in ["email.x", "email[0]", "emails.x", "address[0]", "deep[0].x[0][0].y"] {
            assert_eq!(claims.at(&other.parse().unwrap()), Err(OtherForm), "{other}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_and_not_guessed_at() {
        use ClaimPathError::{Behind, Empty, EmptyName, Index, Odd, TooLong, Unclosed};
        for (path, error) in [
            ("", Empty),
            (".", EmptyName),
            ("a.", EmptyName),
            ("a..b", EmptyName),
            ("[0]", EmptyName),
            ("\"\"", EmptyName),
            ("two words", Odd),
            ("ö", Odd),
            ("a*", Odd),
            ("$.a", Odd),
            ("a]", Odd),
            ("a\"b\"", Odd),
            ("https://a b/", Odd),
            ("https://a/b[0].c", Odd),
            ("\"a\nb\"", Odd),
            ("\"a", Unclosed),
            ("\"a\\n\"", Unclosed),
            ("\"a\"b", Behind),
            ("a[0]b", Behind),
            ("a[", Index),
            ("a[]", Index),
            ("a[*]", Index),
            ("a[-1]", Index),
            ("a[+1]", Index),
            ("a[01]", Index),
            ("a[10000]", Index),
            ("a[99999999999999999999999]", Index),
            ("a.b.c.d.e.f.g.h.i.j", TooLong),
            (&"a".repeat(513), TooLong),
        ] {
            assert_eq!(path.parse::<ClaimPath>(), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_shown_as_it_can_be_read(text in "[a-c.\\[\\]\"\\\\0-2:/ö ]{0,12}") {
            if let Ok(path) = text.parse::<ClaimPath>() {
                prop_assert_eq!(path.to_string().parse(), Ok(path));
            }
        }

        #[test]
        fn any_name_can_be_quoted(name in "[^\\p{Cc}]{1,40}") {
            let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
            let path: ClaimPath = quoted.parse().unwrap();
            prop_assert_eq!(path.name(), &name);
            let claims = claims(Value::Object([(name.clone(), json!(1))].into_iter().collect()));
            prop_assert_eq!(claims.at(&path), Ok(Some(&json!(1))));
        }
    }
}

//! What is done to a claim's text before it is sent. The list is closed: each of these either
//! applies to a text or does not, and then there is no value. Doing it is `identity`'s.

use std::fmt;

/// One step from what a claim says to what the portal expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Letters in lower case.
    Lower,
    /// Letters in upper case.
    Upper,
    /// Without white space at both ends.
    Trim,
    /// What is behind the `@` of an address, in lower case.
    Domain,
    /// What is before the one place where this text stands.
    Before(String),
    /// What is behind it.
    After(String),
    /// What follows this text, with which it begins.
    StripPrefix(String),
}

impl Transform {
    /// Those that are one word.
    pub(in crate::config) const WORDS: &'static [&'static str] =
        &["lower", "upper", "trim", "domain"];

    /// One that is a word; `None` for another word.
    pub(in crate::config) fn named(word: &str) -> Option<Self> {
        match word {
            "lower" => Some(Self::Lower),
            "upper" => Some(Self::Upper),
            "trim" => Some(Self::Trim),
            "domain" => Some(Self::Domain),
            _ => None,
        }
    }
}

/// As it is written.
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lower => f.write_str("lower"),
            Self::Upper => f.write_str("upper"),
            Self::Trim => f.write_str("trim"),
            Self::Domain => f.write_str("domain"),
            Self::Before(text) => write!(f, "before: {text:?}"),
            Self::After(text) => write!(f, "after: {text:?}"),
            Self::StripPrefix(text) => write!(f, "strip_prefix: {text:?}"),
        }
    }
}

//! How a key is described: what stands at it, and whether it has to. These are data, so that what
//! is checked and what a schema or a reference says come from the same lines.

use super::wording::{listed, listed_or};

/// What an operator may write at a key.
#[derive(PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) kind: Kind,
    /// What it is for, as it follows "`key`:".
    pub(super) says: &'static str,
    /// When a change of it counts.
    pub(super) change: Change,
}

/// When a change of a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// When the configuration is read anew.
    Live,
    /// When the program is started anew.
    Restart,
}

/// Whether a key has to be there.
#[derive(PartialEq, Eq)]
pub(super) enum Need {
    /// It has to.
    Required,
    /// What it means to leave it out is for its reader to say.
    Optional,
    /// This, or another in its place, as these words say; whether it is so is for its reader to see.
    OneOf(&'static str),
    /// Left out, this holds.
    Default(&'static str),
    /// A section; left out, the defaults of its keys hold.
    Defaults,
}

/// What kind of value stands at a key.
#[derive(PartialEq, Eq)]
pub(super) enum Kind {
    /// One value, described as it follows "expected".
    Value(&'static str),
    /// The same, and its text has the form that `pattern` says, as JSON Schema has it.
    Formed { what: &'static str, pattern: &'static str },
    /// A whole number, from the first to the second.
    Number(u64, u64),
    /// One value that is never quoted in a message.
    Private(&'static str),
    /// One that is never shown at all.
    Secret(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A section.
    Section(&'static [Key]),
    /// A section, or a word instead of it.
    SectionOr { word: &'static str, keys: &'static [Key] },
    /// A section, or one value alone, which stands for its key of this name.
    Short { keys: &'static [Key], key: &'static str },
    /// A section that has other keys for each word at one of them.
    Variants { key: &'static str, of: &'static [(&'static str, &'static [Key])] },
    /// A list.
    List(&'static Kind),
    /// A section whose keys are names that the operator chooses.
    Named { name: &'static str, of: &'static Kind },
}

/// Why a value does not fit its key.
pub(super) enum Unfit {
    /// It is not of the kind that the table describes.
    Kind,
    /// Nor is it; what it looks like, in words that hold nothing of it.
    Found(&'static str),
    /// A sentence, which does not quote the value.
    Because(String),
}

impl From<&str> for Unfit {
    fn from(message: &str) -> Self {
        Self::Because(message.to_owned())
    }
}

/// The names of the keys.
pub(super) fn present(keys: &'static [Key]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name)
}

impl Kind {
    /// As a message begins that something else was found.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Value(what) | Self::Private(what) | Self::Secret(what) => {
                format!("expected {what}")
            }
            Self::Formed { what, .. } => format!("expected {what}"),
            Self::Number(least, most) => format!("expected a number from {least} to {most}"),
            Self::Word(words) => format!("expected {}", listed_or(words)),
            Self::Section(keys) | Self::Short { keys, .. } | Self::SectionOr { keys, .. } => {
                format!("expected a section with {}", listed(present(keys)))
            }
            Self::Variants { key, .. } => format!("expected a section that begins with `{key}`"),
            Self::List(_) => "expected a list".to_owned(),
            Self::Named { name, .. } => format!("expected a section of {name}"),
        }
    }

    /// Whether its values are comments where they are not in quotes.
    pub(super) fn begins_as_a_comment(&self) -> bool {
        matches!(self, Self::Formed { pattern, .. } if pattern.starts_with("^#"))
    }

    /// Whether nothing of the value may be in a message.
    pub(super) const fn is_private(&self) -> bool {
        matches!(self, Self::Private(_) | Self::Secret(_))
    }
}

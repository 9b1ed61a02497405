//! Path patterns: which paths a route or a rule names. Deliberately not here: what a rule covers
//! besides (`rule`), and whether patterns have a path in common (`config::patterns`).

use std::fmt;
use std::str::FromStr;

use super::fold::deny_key;
use super::path::{CanonicalPath, PathError};

/// A path with `*` for one segment and a last `**` for whatever follows: `/assets/**`, `/`,
/// `/members/*/photo`. `/assets/**` covers `/assets` too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    folded: String,
    shape: Shape,
}

/// How a pattern is compared. Most are text, or text and `/**`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Below,
    Segments,
}

impl Shape {
    fn of(pattern: &str) -> Self {
        match pattern.strip_suffix("/**") {
            _ if !pattern.contains('*') => Self::Text,
            Some(text) if !text.contains('*') => Self::Below,
            _ => Self::Segments,
        }
    }

    fn covers(self, pattern: &str, path: &str) -> bool {
        match self {
            Self::Text => pattern == path,
            Self::Below => {
                let above = pattern.strip_suffix("/**").unwrap_or(pattern);
                let rest = path.strip_prefix(above);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Segments => covers_segments(pattern, path),
        }
    }
}

/// Why a pattern cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Its plain part is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `*` beside other characters, or `**` before the end.
    #[error("`*` stands for one whole segment, and `**` only at the end for all that follow")]
    Wildcard,
    /// An escape or capital in the wrong spelling.
    #[error("the path is not in its canonical spelling")]
    NotCanonical,
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if CanonicalPath::parse(text)?.as_str() != text {
            return Err(PatternError::NotCanonical);
        }
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            let well_placed = match segment {
                "*" => true,
                "**" => segments.peek().is_none(),
                plain => !plain.contains('*'),
            };
            if !well_placed {
                return Err(PatternError::Wildcard);
            }
        }
        let folded = deny_key(text).into_owned();
        Ok(Self { text: text.to_owned(), folded, shape: Shape::of(text) })
    }
}

impl PathPattern {
    /// Whether this is the path, to the letter: what a rule that lets in must ask.
    #[must_use]
    pub fn is_exactly(&self, path: &str) -> bool {
        self.shape.covers(&self.text, path)
    }

    /// Whether a portal could take a path with this deny key for this one, whatever its spelling:
    /// what a rule that keeps out must ask (PATH-09).
    #[must_use]
    pub fn could_be(&self, deny_key: &str) -> bool {
        self.shape.covers(&self.folded, deny_key)
    }

    /// What it names, as deny keys are written.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// As the operator wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether everything that the pattern `narrow` covers, the pattern `wide` covers too.
pub(crate) fn includes(wide: &str, narrow: &str) -> bool {
    let mut wide = wide.split('/');
    let mut narrow = narrow.split('/');
    loop {
        match (wide.next(), narrow.next()) {
            (Some("**"), _) | (None, None) => return true,
            (_, Some("**")) => return false,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

fn covers_segments(pattern: &str, path: &str) -> bool {
    let mut pattern = pattern.split('/');
    let mut path = path.split('/');
    loop {
        match (pattern.next(), path.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

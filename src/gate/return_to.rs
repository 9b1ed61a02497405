//! Where a visitor lands after a login: a path and a query on our own origin, so that nothing
//! else can be written down (RET-01).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::path::CanonicalPath;
use super::route::Policy;

/// A place to return to. It has no scheme and no host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReturnTo(String);

impl ReturnTo {
    /// The longest that is carried through a login, in bytes; beyond it the visitor lands on `/`.
    pub const LONGEST: usize = 2048;

    /// The front page.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The page that the sign-in for a kept form leads to: it begins nothing, and is the one
    /// endpoint of ours that a login may return to (RET-02).
    #[must_use]
    pub fn to_kept_form(policy: &Policy) -> Self {
        Self(format!("{}/resend/signed-in", policy.own))
    }

    /// Reads a target such as `/reports?year=2026`; `None` for everything that is not a canonical
    /// path and a query on our own origin, or is an endpoint of ours (RET-02).
    #[must_use]
    pub fn parse(target: &str, policy: &Policy) -> Option<Self> {
        let parsed = Self::read(target)?;
        let path = parsed.0.split('?').next().unwrap_or_default();
        (!policy.is_own(path)).then_some(parsed)
    }

    /// The value of a `Location` header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(target: &str) -> Option<Self> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        if target.len() > Self::LONGEST {
            return None;
        }
        let mut text = CanonicalPath::parse(path).ok()?.into_string();
        if let Some(query) = query {
            if !query.bytes().all(is_query) {
                return None;
            }
            text.push('?');
            text.push_str(query);
        }
        Some(Self(text))
    }
}

/// Visible ASCII without what a URL parser could take for something else: a backslash, a fragment.
const fn is_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>')
}

impl TryFrom<String> for ReturnTo {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::read(&text).ok_or("not a path and query on our own origin")
    }
}

impl From<ReturnTo> for String {
    fn from(place: ReturnTo) -> Self {
        place.0
    }
}

/// The query may be personal, so only the shape is shown (LOG-01).
impl fmt::Debug for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReturnTo(…)")
    }
}

//! Request paths in their one spelling: what is judged is what is sent (GEN-01).
//!
//! A portal's server may decode, fold or split a path in ways that we cannot know, so a spelling
//! that two servers could read differently is refused rather than guessed at. Deliberately not
//! here: which route covers a path (`route`), and the query, which nobody rewrites (PATH-19).

use std::borrow::Cow;
use std::fmt;

/// A request path in the one spelling that we judge, log and forward. Starts with `/`; no empty,
/// `.` or `..` segment, no encoded separator, no parameter, no control byte, no query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// Why a path has no canonical spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not in origin form (RFC 9112, section 3.2.1).
    #[error("a path starts with `/`")]
    NotAbsolute,
    /// A byte that no browser sends raw (PATH-02).
    #[error("the path has a character that must be percent-encoded or cannot be used")]
    Character,
    /// A `%` without two hex digits (PATH-03).
    #[error("the path has a `%` that is not followed by two hex digits")]
    Escape,
    /// An escape that stands for a separator, a control or another byte of meaning (PATH-05).
    #[error("the path has an encoded separator or control character")]
    EncodedSeparator,
    /// Escapes that do not decode to UTF-8 (PATH-06).
    #[error("the path does not decode to UTF-8")]
    Utf8,
    /// `//`, `/./` or `/../`, plain or encoded (PATH-07).
    #[error("the path has an empty, `.` or `..` segment")]
    Segment,
    /// A `;` parameter (PATH-08).
    #[error("the path has a `;` parameter")]
    Parameter,
    /// Over [`CanonicalPath::LONGEST`].
    #[error("the path is longer than {} bytes", CanonicalPath::LONGEST)]
    TooLong,
}

impl PathError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path-not-absolute",
            Self::Character => "path-character",
            Self::Escape => "path-escape",
            Self::EncodedSeparator => "path-encoded-separator",
            Self::Utf8 => "path-utf8",
            Self::Segment => "path-segment",
            Self::Parameter => "path-parameter",
            Self::TooLong => "path-too-long",
        }
    }
}

impl CanonicalPath {
    /// The longest path that is read, in bytes (LIM-01).
    pub const LONGEST: usize = 8192;

    /// The only way to make one.
    ///
    /// # Errors
    /// Says which rule of `security.md` section 3 the spelling breaks.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        Self::parse_with_room(raw, 0)
    }

    /// [`CanonicalPath::parse`], with room for so many bytes more.
    pub(super) fn parse_with_room(raw: &str, room: usize) -> Result<Self, PathError> {
        if raw.len() > Self::LONGEST {
            return Err(PathError::TooLong);
        }
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let mut path = String::with_capacity(raw.len() + room);
        let mut has_escapes = false;
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => {
                    let decoded = escape(rest.next(), rest.next()).ok_or(PathError::Escape)?;
                    has_escapes |= push_escape(&mut path, decoded)?;
                }
                b';' => return Err(PathError::Parameter),
                _ if is_plain(byte) => path.push(char::from(byte)),
                _ => return Err(PathError::Character),
            }
        }
        if has_escapes && !decodes_to_utf8(&path) {
            return Err(PathError::Utf8);
        }
        if has_odd_segment(&path) {
            return Err(PathError::Segment);
        }
        Ok(Self(path))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the text out.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key under which a deny rule compares paths: ASCII case folded, trailing dots, spaces and
/// slashes dropped from every segment, as Windows and many frameworks do (PATH-09). Borrows when
/// the path is its own key, as nearly all are.
pub(super) fn deny_key(path: &str) -> Cow<'_, str> {
    let is_own_key = !path.bytes().any(|byte| byte.is_ascii_uppercase())
        && path
            .split('/')
            .skip(1)
            .all(|segment| !segment.is_empty() && trimmed(segment) == segment);
    if is_own_key {
        return Cow::Borrowed(path);
    }
    let mut key = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        key.push('/');
        key.push_str(&trimmed(segment).to_ascii_lowercase());
    }
    Cow::Owned(key)
}

fn trimmed(segment: &str) -> &str {
    let mut kept = segment;
    loop {
        let shorter = kept.trim_end_matches('.');
        let shorter = shorter.strip_suffix("%20").unwrap_or(shorter);
        if shorter.len() == kept.len() {
            return kept;
        }
        kept = shorter;
    }
}

/// What RFC 3986 allows raw in a path, less `;`, which is a parameter.
const fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
        )
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn escape(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let high = char::from(high?).to_digit(16)?;
    let low = char::from(low?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Appends one decoded byte in its canonical spelling; true if an escape remains (PATH-04).
fn push_escape(path: &mut String, decoded: u8) -> Result<bool, PathError> {
    match decoded {
        _ if is_unreserved(decoded) => {
            path.push(char::from(decoded));
            Ok(false)
        }
        b'/' | b'\\' | b'%' | b';' | b'?' | b'#' | 0..=0x1f | 0x7f => {
            Err(PathError::EncodedSeparator)
        }
        _ => {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            path.push('%');
            for digit in [decoded >> 4, decoded & 15] {
                path.push(HEX.get(usize::from(digit)).copied().unwrap_or('0'));
            }
            Ok(true)
        }
    }
}

fn decodes_to_utf8(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

fn has_odd_segment(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    if inner.is_empty() {
        return false;
    }
    // A trailing slash ends the last segment; it does not begin an empty one.
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    inner.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

//! Request paths in their one spelling: what is judged is what is sent (GEN-01).
//!
//! A portal's server may decode, fold or split a path in ways that we cannot know, so a spelling
//! that two servers could read differently is refused rather than guessed at, unless the operator
//! has allowed it below a prefix ([`Oddities`]). Deliberately not here: which route covers a path
//! (`route`), what a path is compared as where a rule keeps out (`deny_key`), and the query, which
//! nobody rewrites (PATH-19).

use std::fmt;

use super::fold::MOST_DECODINGS;
use super::letters;
use super::oddities::{Oddities, Oddity};

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
    /// Letters that a server could take for ASCII (PATH-06).
    #[error("the path has a character that could be taken for another one")]
    LookAlike,
    /// `//`, `/./` or `/../`, plain or encoded (PATH-07).
    #[error("the path has an empty, `.` or `..` segment")]
    Segment,
    /// A `;` parameter (PATH-08).
    #[error("the path has a `;` parameter")]
    Parameter,
    /// A stream, a short name or a session segment of Windows servers (PATH-11).
    #[error("the path has a segment that Windows servers read as something else")]
    Windows,
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
            Self::LookAlike => "path-look-alike",
            Self::Segment => "path-segment",
            Self::Parameter => "path-parameter",
            Self::Windows => "path-windows",
            Self::TooLong => "path-too-long",
        }
    }
}

impl CanonicalPath {
    /// The longest path that is read, in bytes (LIM-01).
    pub const LONGEST: usize = 8192;

    /// Reads a path without any oddity.
    ///
    /// # Errors
    /// Says which rule of `security.md` section 3 the spelling breaks.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        Self::parse_with(raw, Oddities::NONE, 0).map(|(path, _)| path)
    }

    /// Reads a path in which these oddities may be, with room for so many bytes more, and tells
    /// which of them are there.
    pub(super) fn parse_with(
        raw: &str,
        allowed: Oddities,
        room: usize,
    ) -> Result<(Self, Oddities), PathError> {
        if raw.len() > Self::LONGEST {
            return Err(PathError::TooLong);
        }
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let mut reading = Reading {
            path: String::with_capacity(raw.len() + room),
            allowed,
            found: Oddities::NONE,
            has_escapes: false,
        };
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => {
                    let decoded = escape(rest.next(), rest.next()).ok_or(PathError::Escape)?;
                    reading.push_escape(decoded)?;
                }
                b';' => {
                    reading.meet(Oddity::Parameters, PathError::Parameter)?;
                    reading.path.push(';');
                }
                _ if is_plain(byte) => reading.path.push(char::from(byte)),
                _ => return Err(PathError::Character),
            }
        }
        reading.check_segments()?;
        Ok((Self(reading.path), reading.found))
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

/// A path being read.
struct Reading {
    path: String,
    allowed: Oddities,
    found: Oddities,
    /// Whether escapes are left in `path`.
    has_escapes: bool,
}

impl Reading {
    /// Notes an oddity; an error unless it is allowed.
    fn meet(&mut self, oddity: Oddity, error: PathError) -> Result<(), PathError> {
        self.found.add(oddity);
        if self.allowed.has(oddity) { Ok(()) } else { Err(error) }
    }

    /// Appends one decoded byte in its canonical spelling (PATH-04).
    fn push_escape(&mut self, decoded: u8) -> Result<(), PathError> {
        const HEX: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
        let oddity = match decoded {
            _ if is_unreserved(decoded) => {
                self.path.push(char::from(decoded));
                return Ok(());
            }
            b'/' => Some(Oddity::EncodedSlash),
            b'%' => Some(Oddity::EncodedPercent),
            b';' | b'?' | b'#' => Some(Oddity::EncodedPunctuation),
            b'\\' | 0..=0x1f | 0x7f => return Err(PathError::EncodedSeparator),
            _ => None,
        };
        if let Some(oddity) = oddity {
            self.meet(oddity, PathError::EncodedSeparator)?;
        }
        self.path.push('%');
        for digit in [decoded >> 4, decoded & 15] {
            self.path.push(HEX.get(usize::from(digit)).copied().unwrap_or('0'));
        }
        self.has_escapes = true;
        Ok(())
    }

    fn check_segments(&mut self) -> Result<(), PathError> {
        if self.path == "/" {
            return Ok(());
        }
        let path = std::mem::take(&mut self.path);
        // A trailing slash ends the last segment; it does not begin an empty one.
        let inner = path.strip_prefix('/').unwrap_or(&path);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        for segment in inner.split('/') {
            match segment {
                "" => self.meet(Oddity::EmptySegments, PathError::Segment)?,
                "." | ".." => return Err(PathError::Segment),
                _ => {}
            }
        }
        if self.has_escapes {
            self.check_decoded(inner)?;
        } else if inner.contains([':', '~', '(']) {
            self.check_windows(inner)?;
        }
        if self.found.any() {
            check_parts(inner)?;
        }
        self.path = path;
        Ok(())
    }

    fn check_decoded(&mut self, inner: &str) -> Result<(), PathError> {
        let decoded = percent_encoding::percent_decode_str(inner).decode_utf8();
        let decoded = decoded.map_err(|_| PathError::Utf8)?;
        if !decoded.is_ascii() && !decoded.split('/').all(letters::is_what_it_looks_like) {
            self.meet(Oddity::LookAlikes, PathError::LookAlike)?;
        }
        self.check_windows(&decoded)
    }

    fn check_windows(&mut self, decoded: &str) -> Result<(), PathError> {
        match decoded.split('/').any(is_windows) {
            true => self.meet(Oddity::WindowsNames, PathError::Windows),
            false => Ok(()),
        }
    }
}

/// No oddity hides a way upwards: however often a server decodes, and whether it takes parameters
/// away before or after, no part is `.` or `..`.
fn check_parts(inner: &str) -> Result<(), PathError> {
    let mut text = inner.to_owned();
    for _ in 0..MOST_DECODINGS {
        // As a server could squeeze it into ASCII, where look-alikes are allowed.
        let squeezed = letters::in_ascii(&text);
        let parts = squeezed.split(['/', '\\']);
        let is_dots = |part: &str| {
            let name = part.split([';', '?', '#']).next().unwrap_or_default();
            matches!(name, "." | "..") || matches!(part, "." | "..")
        };
        if squeezed.bytes().any(|byte| byte.is_ascii_control()) || squeezed.contains('\\') {
            return Err(PathError::EncodedSeparator);
        }
        if parts.clone().any(is_dots) {
            return Err(PathError::Segment);
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
        let decoded = decoded.map_err(|_| PathError::Utf8)?;
        if *decoded == *text {
            return Ok(());
        }
        text = decoded.into_owned();
    }
    Err(PathError::EncodedSeparator)
}

/// A stream (`x::$DATA`), a short name (`LOGIN~1.ASP`) or a segment that ASP.NET takes for a
/// session (`(S(…))`), for which it looks everywhere in the path.
fn is_windows(segment: &str) -> bool {
    segment.contains(":$") || is_short_name(segment) || has_session(segment)
}

/// Up to six characters, `~`, digits, and perhaps an extension of up to three.
fn is_short_name(segment: &str) -> bool {
    // With or without the name of a stream.
    let segment = segment.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    let (name, extension) = segment.rsplit_once('.').unwrap_or((segment, ""));
    let Some((base, number)) = name.rsplit_once('~') else {
        return false;
    };
    let is_number = (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    is_number && (1..=6).contains(&base.chars().count()) && extension.chars().count() <= 3
}

/// `(`, a letter and `(` again: how cookieless sessions, anonymous ids and tickets begin. Any
/// letter: a code page could make one of theirs of it.
fn has_session(segment: &str) -> bool {
    let mut letters = segment.chars();
    let (mut first, mut second) = ('\0', '\0');
    letters.any(|third| {
        let found = first == '(' && second.is_alphabetic() && third == '(';
        (first, second) = (second, third);
        found
    })
}

/// What RFC 3986 allows raw in a path, less `;`, which is a parameter, and with what browsers leave
/// raw all the same.
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
                | b'['
                | b']'
                | b'|'
                | b'^'
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

/// The canonical spelling that a path with empty or dot segments stands for, or one with the
/// session parameter of servlet containers: where a visitor is sent, never what is forwarded
/// (PATH-07, PATH-08).
pub(super) fn mended(raw: &str, segments: bool, session_parameter: bool) -> Option<CanonicalPath> {
    let without;
    let mut raw = raw;
    if session_parameter {
        without = without_session_parameters(raw);
        raw = &without;
    }
    if segments {
        let tidy = without_odd_segments(raw)?;
        return CanonicalPath::parse(&tidy).ok();
    }
    CanonicalPath::parse(raw).ok()
}

/// `;jsessionid=…` at the end of a segment, in any case.
fn without_session_parameters(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len());
    for (at, segment) in raw.split('/').enumerate() {
        if at > 0 {
            kept.push('/');
        }
        let name = segment.split_once(';').and_then(|(name, parameter)| {
            let (key, value) = parameter.split_once('=')?;
            let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b".-_!".contains(&byte);
            (key.eq_ignore_ascii_case("jsessionid") && value.bytes().all(is_id)).then_some(name)
        });
        kept.push_str(name.unwrap_or(segment));
    }
    kept
}

/// RFC 3986, section 5.2.4, with dots as escapes taken for dots, and empty segments left out. A
/// path that leads above the root has no canonical spelling.
fn without_odd_segments(raw: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in raw.split('/').skip(1) {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        ends_in_folder = matches!(&*plain, "" | "." | "..");
        match &*plain {
            "" | "." => {}
            ".." => {
                kept.pop()?;
            }
            _ => kept.push(segment),
        }
    }
    let mut path = format!("/{}", kept.join("/"));
    if ends_in_folder && !kept.is_empty() {
        path.push('/');
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(raw: &str, oddity: Oddity) -> Result<String, PathError> {
        CanonicalPath::parse_with(raw, Oddities::of(&[oddity]), 0).map(|(path, _)| path.0)
    }

    #[test]
    fn lim_01_a_path_has_an_end() {
        let path = |length: usize| CanonicalPath::parse(&format!("/{}", "a".repeat(length - 1)));
        assert!(path(CanonicalPath::LONGEST).is_ok());
        for length in [CanonicalPath::LONGEST + 1, CanonicalPath::LONGEST + 100] {
            assert_eq!(path(length), Err(PathError::TooLong));
        }
    }

    #[test]
    fn path_17_an_oddity_passes_where_it_is_allowed_and_hides_nothing() {
        for (raw, oddity) in [
            ("/a%2Fb", Oddity::EncodedSlash),
            ("/100%25", Oddity::EncodedPercent),
            ("/a%3Fb%23c%3B", Oddity::EncodedPunctuation),
            ("/a//b", Oddity::EmptySegments),
            ("/a;x=1/b", Oddity::Parameters),
            ("/m%C2%B2", Oddity::LookAlikes),
            ("/LOGIN~1", Oddity::WindowsNames),
        ] {
            assert!(CanonicalPath::parse(raw).is_err(), "{raw}");
            assert_eq!(with(raw, oddity).as_deref(), Ok(raw));
        }
        for (raw, oddity, error) in [
            ("/a%2F..%2Fb", Oddity::EncodedSlash, PathError::Segment),
            ("/a%2f%2e%2e", Oddity::EncodedSlash, PathError::Segment),
            ("/a/%252e%252e/b", Oddity::EncodedPercent, PathError::Segment),
            ("/a%255cb", Oddity::EncodedPercent, PathError::EncodedSeparator),
            ("/a%2500", Oddity::EncodedPercent, PathError::EncodedSeparator),
            ("/a/..;/b", Oddity::Parameters, PathError::Segment),
            ("/a//../b", Oddity::EmptySegments, PathError::Segment),
            ("/a%5C", Oddity::EncodedSlash, PathError::EncodedSeparator),
            ("/a%25", Oddity::EncodedSlash, PathError::EncodedSeparator),
            ("/a/%EF%BC%8E%EF%BC%8E/b", Oddity::LookAlikes, PathError::Segment),
            ("/a/%E2%80%A4%E2%80%A4/b", Oddity::LookAlikes, PathError::Segment),
            ("/a%EF%BC%BCb", Oddity::LookAlikes, PathError::EncodedSeparator),
        ] {
            assert_eq!(with(raw, oddity), Err(error), "{raw}");
        }
    }

    #[test]
    fn path_07_and_08_a_mended_path_is_canonical() {
        let tidy = |raw| mended(raw, true, false).map(CanonicalPath::into_string);
        for (raw, path) in [
            ("//a", "/a"),
            ("/a//b/./c", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b/", "/b/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("///", "/"),
        ] {
            assert_eq!(tidy(raw).as_deref(), Some(path), "{raw}");
        }
        for none in ["/..", "/a/../..", "/a;x//b", "//a%2fb", "/a//\\b"] {
            assert_eq!(tidy(none), None, "{none}");
        }
        let bare = |raw| mended(raw, false, true).map(CanonicalPath::into_string);
        assert_eq!(bare("/a;jsessionid=A1.b/c").as_deref(), Some("/a/c"));
        assert_eq!(bare("/a;JSESSIONID=1").as_deref(), Some("/a"));
        for none in ["/a;x=1", "/a;jsessionid=1;x", "/a;jsessionid=1?", "/..;jsessionid=1/b"] {
            assert_eq!(bare(none), None, "{none}");
        }
    }
}

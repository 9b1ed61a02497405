//! The fields of a request's body, where a rule looks at them: urlencoded (WHATWG URL, section 5),
//! multipart (RFC 7578) and JSON (RFC 8259). What cannot be read in exactly one way is unreadable,
//! and a rule that wants to look at it takes it for what it keeps out (PATH-12).

use std::fmt;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::json;
use super::parameters::{self, Field};

/// What a request's body says.
#[derive(Debug)]
pub enum Form {
    /// Nothing: there is none.
    Absent,
    /// Fields.
    Fields(Fields),
    /// Nobody knows: it is too long, encoded, of another type, or not what it says it is.
    Unreadable,
}

/// The fields of a form.
pub struct Fields(Vec<Field>);

/// What members type is nobody's business (LOG-01).
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} of them)", self.0.len())
    }
}

/// The most fields that are read; more are unreadable.
pub(super) const MOST_FIELDS: usize = 4096;

impl Form {
    /// Reads a whole body by the headers that came with it.
    #[must_use]
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if body.is_empty() {
            return Self::Absent;
        }
        read(headers, body).map_or(Self::Unreadable, |fields| Self::Fields(Fields(fields)))
    }

    /// Whether there is something that cannot be read.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable)
    }

    pub(super) fn fields(&self) -> &[Field] {
        match self {
            Self::Fields(fields) => &fields.0,
            Self::Absent | Self::Unreadable => &[],
        }
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Option<Vec<Field>> {
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (kind, None) = (kinds.next()?, kinds.next()) else {
        return None;
    };
    let kind = MediaType::read(kind.to_str().ok()?)?;
    if !kind.charset.is_none_or(is_ascii_like) {
        return None;
    }
    match kind.essence.as_str() {
        "application/x-www-form-urlencoded" => {
            // Counted before they are taken apart: each takes far more room than its bytes.
            let pieces = body.split(|byte| matches!(byte, b'&' | b';'));
            let count = pieces.filter(|piece| !piece.is_empty()).count();
            let text = std::str::from_utf8(body).ok().filter(|_| count <= MOST_FIELDS)?;
            // Some scripts take a body for JSON, whatever its type says.
            let is_json = text.trim_start().starts_with(['[', '{', '\u{feff}']);
            (!is_json).then(|| parameters::read(text)).filter(|fields| are_in_ascii(fields))
        }
        "multipart/form-data" => {
            multipart(body, kind.boundary?).filter(|fields| are_in_ascii(fields))
        }
        json if is_json(json) => json::read(body).ok(),
        _ => None,
    }
}

/// What begins like the type of another form is one to servers that look no further.
fn is_json(essence: &str) -> bool {
    let is_form = essence.starts_with("application/x-www-form-urlencoded")
        || essence.starts_with("multipart/");
    !is_form && (essence == "application/json" || essence.ends_with("+json"))
}

/// Charsets in which ASCII is ASCII; in others a password field has another name.
const ASCII_LIKE: [&str; 6] =
    ["utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"];

fn is_ascii_like(charset: &str) -> bool {
    ASCII_LIKE.iter().any(|known| charset.eq_ignore_ascii_case(known))
}

/// Whether no field says that the form is in another charset: `_charset_` (HTML, section 4.10.18).
fn are_in_ascii(fields: &[Field]) -> bool {
    let mut named = fields.iter().filter(|field| field.first_name() == Some("charset"));
    named.all(|field| field.is_one_of(&ASCII_LIKE))
}

/// Whether the type of a body says that the request is in a charset where ASCII may be something
/// else: ASP.NET reads the query in it, too.
pub(super) fn has_foreign_charset(headers: &HeaderMap) -> bool {
    let is_foreign = |kind: &HeaderValue| {
        let Ok(text) = kind.to_str() else {
            return true;
        };
        let is_known =
            || MediaType::read(text).is_some_and(|kind| kind.charset.is_none_or(is_ascii_like));
        text.to_ascii_lowercase().contains("charset") && !is_known()
    };
    headers.get_all(CONTENT_TYPE).iter().any(is_foreign)
}

/// A `Content-Type` (RFC 9110, section 8.3.1), as far as forms need it.
struct MediaType<'a> {
    essence: String,
    charset: Option<&'a str>,
    boundary: Option<&'a str>,
}

impl<'a> MediaType<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let is_essence = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte);
        if !essence.bytes().all(is_essence) {
            return None;
        }
        let mut media = Self { essence, charset: None, boundary: None };
        for parameter in parts {
            let parameter = parameter.trim();
            if parameter.is_empty() {
                continue;
            }
            let (name, value) = parameter.split_once('=')?;
            let place = match name.to_ascii_lowercase().as_str() {
                "charset" => &mut media.charset,
                "boundary" => &mut media.boundary,
                // `boundary*0=` and the like (RFC 2231), which some servers read and some do not.
                odd if odd.contains(['*', '"', ' ', '\t']) => return None,
                _ => continue,
            };
            let value = unquoted(value)?;
            if place.replace(value).is_some() {
                return None;
            }
        }
        let text = text.to_ascii_lowercase();
        let is_whole = is_plainly_named(&text, "charset", media.charset.is_some())
            && is_plainly_named(&text, "boundary", media.boundary.is_some());
        is_whole.then_some(media)
    }
}

/// Whether a search for this name finds the parameter and nothing else, from either end: PHP and
/// Rack take the first or the last place where it stands, in whatever other parameter that is.
fn is_plainly_named(text: &str, name: &str, is_there: bool) -> bool {
    let named = format!("{name}=");
    match is_there {
        true => text.matches(&named).count() == 1 && text.find(name) == text.find(&named),
        false => !text.contains(name),
    }
}

/// A token, or one in quotes without anything that needs escaping. No comma: to many servers a
/// value ends there.
fn unquoted(value: &str) -> Option<&str> {
    let bare = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=? ".contains(&byte);
    let fits = (1..=70).contains(&bare.len()) && bare.bytes().all(is_plain) && !bare.ends_with(' ');
    (fits && (value.starts_with('"') || !bare.contains(' '))).then_some(bare)
}

/// RFC 2046, section 5.1.1, without preamble, epilogue, folding or nesting.
fn multipart(body: &[u8], boundary: &str) -> Option<Vec<Field>> {
    let dashes = format!("--{boundary}");
    let between = format!("\r\n{dashes}");
    let mut fields = Vec::new();
    let mut parts = 0;
    let mut rest = body.strip_prefix(dashes.as_bytes())?;
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return matches!(end, b"" | b"\r\n").then_some(fields);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = memchr::memmem::find(rest, b"\r\n\r\n")?;
        let (head, after) = rest.split_at_checked(head_end + 4)?;
        let part_end = memchr::memmem::find(after, between.as_bytes())?;
        let (content, after) = after.split_at_checked(part_end)?;
        rest = after.get(between.len()..)?;
        let (field, value) = part(std::str::from_utf8(head).ok()?, content)?;
        fields.push(field);
        if let Some(value) = value {
            parameters::add_nested(&mut fields, value);
        }
        parts += 1;
        // A server that takes a bare line feed for a line's end sees other parts than we do.
        if bare_boundary(content, dashes.as_bytes()) || parts > MOST_FIELDS {
            return None;
        }
    }
}

fn bare_boundary(content: &[u8], dashes: &[u8]) -> bool {
    memchr::memmem::find_iter(content, dashes).any(|at| {
        at == 0
            || at
                .checked_sub(1)
                .and_then(|before| content.get(before))
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    })
}

/// A part's field, and its value if that is text.
fn part<'c>(head: &str, content: &'c [u8]) -> Option<(Field, Option<&'c str>)> {
    let mut disposition = None;
    for line in head.trim_end_matches("\r\n").split("\r\n") {
        if line.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) {
            return None;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.is_none() => disposition = Some(value.trim()),
            "content-length" => {}
            "content-type" => {
                let has_charset = value.to_ascii_lowercase().contains("charset");
                let kind = MediaType::read(value.trim()).filter(|_| has_charset);
                if has_charset && !kind?.charset.is_none_or(is_ascii_like) {
                    return None;
                }
            }
            // A coded part says something else than it seems to (RFC 7578, section 4.7).
            _ => return None,
        }
    }
    let (name, is_file) = named(disposition?)?;
    let value = std::str::from_utf8(content).ok().filter(|_| !is_file);
    Some((Field::literal(&[name], value), value))
}

/// `form-data; name="…"`, perhaps with a file name, which says nothing to us.
fn named(disposition: &str) -> Option<(&str, bool)> {
    let rest = disposition.strip_prefix("form-data")?.trim_start();
    let rest = rest.strip_prefix(';')?.trim_start();
    // Tomcat and ASP.NET Core decode `=?…?=`, Rack and System.Web take the first or the last
    // `name=`, wherever it stands.
    let names = rest.to_ascii_lowercase().matches("name=").count();
    let has_file = rest.to_ascii_lowercase().contains("filename=");
    if rest.contains("=?") || names > 1 + usize::from(has_file) {
        return None;
    }
    let rest = rest.strip_prefix("name=\"")?;
    let (name, rest) = rest.split_once('"')?;
    if name.contains('\\') || name.to_ascii_lowercase().contains("name=") {
        return None;
    }
    let rest = rest.trim();
    if rest.is_empty() {
        return Some((name, false));
    }
    let file = rest.strip_prefix(';')?.trim_start();
    let file = file.strip_prefix("filename=\"")?.strip_suffix('"')?;
    (!file.contains(['"', '\\'])).then_some((name, true))
}

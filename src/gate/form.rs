//! The fields of a request's body, where a rule looks at them: urlencoded (WHATWG URL, section 5),
//! multipart (RFC 7578) and JSON (RFC 8259). What cannot be read in exactly one way is unreadable,
//! and a rule that wants to look at it takes it for what it keeps out (PATH-12).

use std::fmt;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

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
const MOST_FIELDS: usize = 4096;
/// The longest path of names in JSON: every field below it has all of it.
const LONGEST_PATH: usize = 1024;

impl Form {
    /// Reads a whole body by the headers that came with it.
    #[must_use]
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if body.is_empty() {
            return Self::Absent;
        }
        match read(headers, body) {
            Some(fields) if fields.len() <= MOST_FIELDS => Self::Fields(Fields(fields)),
            Some(_) | None => Self::Unreadable,
        }
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
            let separators = body.iter().filter(|byte| matches!(byte, b'&' | b';')).count();
            let text = std::str::from_utf8(body).ok().filter(|_| separators <= MOST_FIELDS)?;
            Some(parameters::read(text))
        }
        "multipart/form-data" => multipart(body, kind.boundary?),
        json if json == "application/json" || json.ends_with("+json") => {
            let mut fields = Fields(Vec::new());
            let mut reader = serde_json::Deserializer::from_slice(body);
            let walk = Walk { path: "", fields: &mut fields };
            walk.deserialize(&mut reader).ok()?;
            reader.end().ok()?;
            Some(fields.0)
        }
        _ => None,
    }
}

/// Charsets in which ASCII is ASCII; in others a password field has another name.
fn is_ascii_like(charset: &str) -> bool {
    let known = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"];
    known.iter().any(|known| charset.eq_ignore_ascii_case(known))
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
        Some(media)
    }
}

/// A token, or one in quotes without anything that needs escaping.
fn unquoted(value: &str) -> Option<&str> {
    let bare = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=70).contains(&bare.len()) && bare.bytes().all(is_plain) && !bare.ends_with(' ');
    (fits && (value.starts_with('"') || !bare.contains(' '))).then_some(bare)
}

/// RFC 2046, section 5.1.1, without preamble, epilogue, folding or nesting.
fn multipart(body: &[u8], boundary: &str) -> Option<Vec<Field>> {
    let dashes = format!("--{boundary}");
    let between = format!("\r\n{dashes}");
    let mut fields = Vec::new();
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
        fields.push(part(std::str::from_utf8(head).ok()?, content)?);
        // A server that takes a bare line feed for a line's end sees other parts than we do.
        if bare_boundary(content, dashes.as_bytes()) || fields.len() > MOST_FIELDS {
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

fn part(head: &str, content: &[u8]) -> Option<Field> {
    let mut disposition = None;
    for line in head.trim_end_matches("\r\n").split("\r\n") {
        if line.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) {
            return None;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.is_none() => disposition = Some(value.trim()),
            "content-type" | "content-length" => {}
            // A coded part says something else than it seems to (RFC 7578, section 4.7).
            _ => return None,
        }
    }
    let (name, is_file) = named(disposition?)?;
    let value = std::str::from_utf8(content).ok().filter(|_| !is_file);
    Some(Field::literal(&[name], value))
}

/// `form-data; name="…"`, perhaps with a file name, which says nothing to us.
fn named(disposition: &str) -> Option<(&str, bool)> {
    let rest = disposition.strip_prefix("form-data")?.trim_start();
    let rest = rest.strip_prefix(';')?.trim_start();
    let rest = rest.strip_prefix("name=\"")?;
    let (name, rest) = rest.split_once('"')?;
    if name.contains('\\') {
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

/// Walks through JSON and writes down every name at every depth, repeated ones too.
struct Walk<'a> {
    path: &'a str,
    fields: &'a mut Fields,
}

impl Walk<'_> {
    fn add(&mut self, value: Option<&str>) {
        let last = self.path.rsplit('\0').next().unwrap_or_default();
        let joined = self.path.replace('\0', ".");
        let names: &[&str] = if last == joined { &[last] } else { &[last, &joined] };
        self.fields.0.push(Field::literal(names, value));
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
        match self.fields.0.len() > MOST_FIELDS {
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

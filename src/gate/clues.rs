//! Where passwords come along: what a request in `report_only` shows of the portal's own doors, so
//! that rules can be proposed. Names are kept, never a value (LOG-01).

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::form::Form;
use super::parameters::Field;

/// A sign that a request carried a password.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clue {
    /// `Authorization: Basic` or `Digest`.
    Credentials,
    /// A field whose name is one for passwords: letters and digits in lower case.
    Field(String),
}

/// What the names of password fields have in them, as keys (letters and digits in lower case).
const WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "kennwort",
    "pwd",
    "motdepasse",
    "contrasena",
    "senha",
    "wachtwoord",
    "haslo",
];

/// The longest name that is kept.
const LONGEST: usize = 64;

/// What a request shows by its headers, query and form.
pub(super) fn of<'f>(
    headers: &HeaderMap,
    query: impl Iterator<Item = &'f Field>,
    form: &'f Form,
) -> Vec<Clue> {
    let mut clues = Vec::new();
    let has_credentials = headers.get_all(AUTHORIZATION).iter().any(|value| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"basic") || scheme.eq_ignore_ascii_case(b"digest")
    });
    if has_credentials {
        clues.push(Clue::Credentials);
    }
    for name in query.chain(form.fields()).filter_map(Field::first_name) {
        let is_for_passwords =
            name == "pass" || name == "pw" || WORDS.iter().any(|word| name.contains(word));
        if is_for_passwords && name.len() <= LONGEST && name.is_ascii() {
            clues.push(Clue::Field(name.to_owned()));
        }
    }
    clues.sort();
    clues.dedup();
    clues
}

/// Whether a body of this type is a form, and so worth reading for clues.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"application/x-www-form-urlencoded"[..], b"multipart/form-data", b"application/json"]
        .iter()
        .any(|form| kind.eq_ignore_ascii_case(form))
}

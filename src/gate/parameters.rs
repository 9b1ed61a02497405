//! Named values in queries and forms, with everything that a portal's server could take them for.
//!
//! Servers disagree about separators, arrays, repeated names, `+` and escapes that are none. A rule
//! that keeps out counts each of these readings; one that makes an exception counts only a value
//! that is there once and is written plainly (PATH-12).

use super::fold::{decoded_to_the_end, name_key, pattern_key, value_key, value_keys};
use super::form::MOST_FIELDS;
use super::json::{self, JsonError};

/// One named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// The keys of all names that it could have; see [`name_key`].
    names: Vec<String>,
    /// Its name cannot be read, so it could have any.
    has_any_name: bool,
    /// The keys of all values that it could have; `None` if it could have any.
    values: Option<Vec<String>>,
    /// Name and value, where both are written plainly.
    plain: Option<(String, String)>,
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePattern {
    /// Anything, as long as the name is there: `*`.
    Any,
    /// This.
    Exactly(String),
    /// Something that begins so: `text*`.
    Begins(String),
    /// Something that ends so: `*text`.
    Ends(String),
}

impl ValuePattern {
    /// Reads `*`, `text*`, `*text` or `text`; `None` for a `*` elsewhere.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if text == "*" => return Some(Self::Any),
            (Some(rest), None) => Self::Ends(rest.to_owned()),
            (None, Some(rest)) => Self::Begins(rest.to_owned()),
            (None, None) => Self::Exactly(text.to_owned()),
            (Some(_), Some(_)) => return None,
        };
        let (Self::Exactly(plain) | Self::Begins(plain) | Self::Ends(plain)) = &pattern else {
            return Some(pattern);
        };
        (!plain.contains('*')).then_some(pattern)
    }

    /// Whether a value fits, to the letter.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => value == wanted,
            Self::Begins(wanted) => value.starts_with(wanted.as_str()),
            Self::Ends(wanted) => value.ends_with(wanted.as_str()),
        }
    }

    /// The same pattern for values that are keys. What stands at an end that is open stays there.
    fn folded(&self) -> Self {
        // What a key loses at its ends counts where more is to come; a space is a hyphen.
        let begins = |text: &str| {
            let key = pattern_key(text.trim_start_matches([' ', '/']));
            match text.chars().next_back() {
                Some(' ') => key + "-",
                Some('_') => key + "_",
                _ => key,
            }
        };
        let ends = |text: &str| {
            let key = pattern_key(text.trim_end_matches([' ', '/']));
            if text.starts_with('_') { format!("_{key}") } else { key }
        };
        match self {
            Self::Any => Self::Any,
            Self::Exactly(text) => Self::Exactly(value_key(text)),
            Self::Begins(text) => Self::Begins(begins(text)),
            Self::Ends(text) => Self::Ends(ends(text)),
        }
    }

    /// The same pattern with another text.
    pub(super) fn mapped(&self, map: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Exactly(text) => Self::Exactly(map(text)),
            Self::Begins(text) => Self::Begins(map(text)),
            Self::Ends(text) => Self::Ends(map(text)),
        }
    }
}

/// A name, and values of which it has to have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    name: String,
    key: String,
    values: Vec<ValuePattern>,
    folded: Vec<ValuePattern>,
}

impl Pair {
    /// As an operator writes it.
    #[must_use]
    pub fn new(name: &str, values: Vec<ValuePattern>) -> Self {
        let folded = values.iter().map(ValuePattern::folded).collect();
        Self { name: name.to_owned(), key: name_key(name), values, folded }
    }

    /// The name, as the operator wrote it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A value that it has: what a request would say that it is there for.
    #[must_use]
    pub fn example(&self) -> String {
        match self.values.first() {
            None | Some(ValuePattern::Any) => "x".to_owned(),
            Some(ValuePattern::Exactly(text)) => text.clone(),
            Some(ValuePattern::Begins(text)) => format!("{text}x"),
            Some(ValuePattern::Ends(text)) => format!("x{text}"),
        }
    }

    /// Whether a name of letters, digits and marks could be taken for this one.
    pub(super) fn could_be_named(&self, name: &str) -> bool {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        letters.map(|byte| byte.to_ascii_lowercase()).eq(self.key.bytes())
    }

    /// Whether a value in any spelling could be one of these.
    pub(super) fn could_have(&self, value: &str) -> bool {
        let words: Vec<&str> = value.split_whitespace().collect();
        let could = |value: &str| {
            value_keys(value).is_none_or(|keys| keys.iter().any(|key| self.has_key(key)))
        };
        could(&words.join(" ")) || could(value)
    }

    /// Whether this value, to the letter, is one of these.
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.iter().any(|pattern| pattern.is(value))
    }

    fn has_key(&self, key: &str) -> bool {
        self.folded.iter().any(|pattern| pattern.is(key))
    }

    fn copies<'f>(&self, fields: impl Iterator<Item = &'f Field>) -> Copies<'f> {
        let mut copies = fields.filter(|field| field.could_be(&self.key));
        match (copies.next(), copies.next()) {
            (None, _) => Copies::None,
            (Some(field), None) => Copies::One(field),
            (Some(_), Some(_)) => Copies::Several,
        }
    }

    /// Whether a server could find this among the fields (deny).
    pub(super) fn could_be_in<'f>(&self, fields: impl Iterator<Item = &'f Field>) -> bool {
        match self.copies(fields) {
            Copies::None => false,
            Copies::Several => true,
            Copies::One(field) => {
                field.values.as_ref().is_none_or(|values| values.iter().any(|v| self.has_key(v)))
            }
        }
    }

    /// Whether every server finds exactly this among the fields (exceptions).
    pub(super) fn is_plainly_in<'f>(&self, fields: impl Iterator<Item = &'f Field>) -> bool {
        match self.copies(fields) {
            Copies::One(Field { plain: Some((name, value)), .. }) => {
                *name == self.name && self.has(value)
            }
            Copies::One(_) | Copies::None | Copies::Several => false,
        }
    }
}

/// How often a name is there.
enum Copies<'f> {
    None,
    One(&'f Field),
    Several,
}

impl Field {
    /// The key of its name as it was written.
    pub(super) fn first_name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }

    /// What nobody can read: it could have any name and any value.
    pub(super) fn anything() -> Self {
        Self { names: Vec::new(), has_any_name: true, values: None, plain: None }
    }

    /// Whether its value is one of these keys for certain.
    pub(super) fn is_one_of(&self, keys: &[&str]) -> bool {
        let is_known = |value: &String| keys.contains(&value.as_str());
        self.values.as_ref().is_some_and(|values| values.iter().all(is_known))
    }

    fn could_be(&self, key: &str) -> bool {
        self.has_any_name || self.names.iter().any(|name| name == key)
    }

    /// A field whose name and value are text as it is: of a multipart form, of JSON. Without a
    /// value it could have any.
    pub(super) fn literal(names: &[&str], value: Option<&str>) -> Self {
        let mut field = Self {
            names: Vec::new(),
            has_any_name: false,
            values: value.and_then(value_keys),
            plain: None,
        };
        for name in names {
            field.add_names(name);
        }
        if let ([name], Some(value)) = (names, value)
            && field.names.len() == 1
        {
            field.plain = Some(((*name).to_owned(), value.to_owned()));
        }
        field
    }

    /// A piece of a query or a form, such as `a=b`.
    pub(super) fn encoded(piece: &str) -> Self {
        let (raw_name, raw_value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (decoded(raw_name), decoded(raw_value));
        let mut field = Self {
            names: Vec::new(),
            has_any_name: name.is_none(),
            values: value.and_then(|value| {
                let again = decoded_to_the_end(&value)?;
                Some([value_keys(&value)?, value_keys(&again)?].concat())
            }),
            plain: None,
        };
        if let Some(name) = name {
            field.add_names(&name);
        }
        let is_plain = |text: &str| !text.contains(['%', '+']) && text.is_ascii();
        if is_plain(piece) && field.names.len() == 1 {
            field.plain = Some((raw_name.to_owned(), raw_value.to_owned()));
        }
        field
    }

    /// Everything that a server could make of a name; what is an array's could have any value.
    fn add_names(&mut self, name: &str) {
        let Some(again) = decoded_to_the_end(name) else {
            self.has_any_name = true;
            return;
        };
        let cut = |text: &str| text.split(['[', '\0']).next().unwrap_or_default().to_owned();
        if name.contains(['[', '\0']) || again.contains(['[', '\0']) {
            self.values = None;
        }
        for name in [name.to_owned(), cut(name), cut(&again), again] {
            // With a bracket that nobody closes, PHP takes what is in it for a part of the name.
            for key in [without_indexes(&name), name_key(&name)] {
                if !self.names.contains(&key) {
                    self.names.push(key);
                }
            }
        }
    }
}

/// The key of a name, without the numbers that make `a[0]` of `a`.
fn without_indexes(name: &str) -> String {
    let parts = name.split(['[', ']']);
    let kept = parts
        .enumerate()
        .filter(|(at, part)| *at == 0 || !part.bytes().all(|byte| byte.is_ascii_digit()));
    name_key(&kept.map(|(_, part)| part).collect::<String>())
}

/// `+` is a space, and every escape is one and leads to UTF-8; else nobody knows what is meant.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !memchr::memchr_iter(b'%', bytes).all(is_escape) {
        return None;
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The fields of a query or of a urlencoded form. Most servers part them at `&` alone, some at `;`
/// too: what a `;` could part is there in both readings.
pub(super) fn read(text: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    for piece in text.split('&').filter(|piece| !piece.is_empty()) {
        let mut field = Field::encoded(piece);
        let mut parts = piece.split(';');
        let first = parts.next().unwrap_or_default();
        if first.len() < piece.len() {
            let shorter = Field::encoded(first);
            field.plain = None;
            for name in shorter.names {
                if !field.names.contains(&name) {
                    field.names.push(name);
                }
            }
            field.values = match (field.values, shorter.values) {
                (Some(whole), Some(part)) => Some([whole, part].concat()),
                (None, _) | (_, None) => None,
            };
        }
        fields.push(field);
        // To most servers there is no such field: it counts for what keeps out alone.
        let hidden = parts.filter(|part| !part.is_empty()).map(Field::encoded);
        fields.extend(hidden.map(|field| Field { plain: None, ..field }));
        let value = piece.split_once('=').map(|(_, value)| leniently_decoded(value));
        if let Some(value) = value {
            add_nested(&mut fields, &value);
        }
    }
    fields
}

/// What a value says that is JSON: some scripts take whole calls from one parameter. Where there
/// are many fields already it is not taken apart, and could say anything: each takes far more room
/// than its bytes (LIM-07).
pub(super) fn add_nested(fields: &mut Vec<Field>, value: &str) {
    if !value.trim_start().starts_with(['[', '{']) {
        return;
    }
    if fields.len() > MOST_FIELDS {
        fields.push(Field::anything());
        return;
    }
    match json::read(value.as_bytes()) {
        Ok(nested) => fields.extend(nested),
        Err(JsonError::TooMuch) => fields.push(Field::anything()),
        Err(JsonError::Not) => {}
    }
}

/// As servers do it who leave an escape alone that is none.
fn leniently_decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Pair {
        Pair::new(name, vec![ValuePattern::parse(value).unwrap()])
    }

    #[test]
    fn path_12_whatever_could_be_the_pair_counts_for_a_deny() {
        let login = pair("route", "login");
        for query in [
            "route=login",
            "route=LOGIN",
            "ROUTE=login",
            "r%6Fute=l%6fgin",
            "route=login&route=x",
            "route[]=x",
            "route[0]=x",
            "route%5B%5D=x",
            "a=b;route=login",
            "a=1&route=login;b=2",
            "&&route=login",
            "route=%u006cogin",
            "ro%zzute=login",
            "route%00=login",
            "route%00x=login",
            "+route=login",
            "route=+login",
            "route=login%00",
            "r%256fute=login",
            "route=%256cogin",
            "%72oute=x%",
            "amp;route=login",
            "route=%ff",
            "Rouτe=x&ro.ute=login",
            "route=l%C3%B3gin",
            "route=%EF%BD%8Cogin",
            "x&route=login&y",
        ] {
            assert!(login.could_be_in(read(query).iter()), "{query}");
        }
        for query in
            ["", "a=route&b=login", "route=home", "routes=login", "route", "q=100%", "x[route]=a"]
        {
            assert!(!login.could_be_in(read(query).iter()), "{query}");
        }
        // What stands at an end that is open counts.
        for (pattern, found, other) in
            [("user_*", "user_x", "userx"), ("*_user", "x_user", "xuser")]
        {
            let pair = pair("a", pattern);
            assert!(pair.could_be_in(read(&format!("a={found}")).iter()), "{pattern}");
            assert!(!pair.could_be_in(read(&format!("a={other}")).iter()), "{pattern}");
        }
        // However much JSON there is, it is taken apart up to a limit and could say anything
        // beyond.
        let calls = vec!["1"; 4000].join(",");
        let many = vec![format!("a=[{calls}]"); 60].join("&");
        let fields = read(&many);
        assert!(fields.len() < 3 * MOST_FIELDS, "{}", fields.len());
        assert!(login.could_be_in(fields.iter()));
        let any = pair("j_password", "*");
        for query in ["j_password", "j.password=1", "j%20password=", "j_password[a]=1"] {
            assert!(any.could_be_in(read(query).iter()), "{query}");
        }
    }

    #[test]
    fn path_12_only_what_is_plain_counts_for_an_exception() {
        let logout = pair("action", "logout");
        for query in ["action=logout", "a=1&action=logout&_wpnonce=ab", "action=logout&q=100%25"] {
            assert!(logout.is_plainly_in(read(query).iter()), "{query}");
        }
        for query in [
            "",
            "action=Logout",
            "Action=logout",
            "action=logout&action=login",
            "action=log%6fut",
            "action=logout;action=login",
            "action=logout&act.ion=x",
            "action[]=logout",
            "action=logout&action[]=x",
            "%zz=1&action=logout",
            "action=logout&x;action=login",
            "action=logout&ac%74ion=login",
        ] {
            assert!(!logout.is_plainly_in(read(query).iter()), "{query}");
        }
    }

    #[test]
    fn a_value_pattern_is_text_with_a_star_at_one_end() {
        assert_eq!(ValuePattern::parse("*"), Some(ValuePattern::Any));
        assert_eq!(ValuePattern::parse("a*"), Some(ValuePattern::Begins("a".into())));
        assert_eq!(ValuePattern::parse("*a"), Some(ValuePattern::Ends("a".into())));
        assert_eq!(ValuePattern::parse("a"), Some(ValuePattern::Exactly("a".into())));
        for none in ["a*b", "*a*", "**"] {
            assert_eq!(ValuePattern::parse(none), None, "{none}");
        }
        let basic = pair("authorization", "Basic *");
        for value in ["Basic abc", "basic  abc", "BASIC\tabc"] {
            assert!(basic.could_have(value), "{value}");
        }
        assert!(!basic.could_have("Bearer abc"));
        assert!(!basic.could_have("Basically abc"));
    }
}

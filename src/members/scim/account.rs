//! What a SCIM server answers: accounts, lists of them, and errors. Names of attributes are read in
//! any case (RFC 7643, section 2.1).

use serde_json::{Map, Value};

use crate::strict_json;

/// The longest id, and the longest text that becomes a claim.
const LONGEST_ID: usize = 256;
const LONGEST_TEXT: usize = 1024;
/// RFC 7644, section 3.12.
const KINDS: [&str; 10] = [
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
];

/// Somebody's account.
#[derive(Clone)]
pub(in crate::members) struct Account {
    pub(super) id: String,
    /// Whose it is, if it is anybody's.
    pub(super) external_id: Option<String>,
    /// What stands in `If-Match`.
    pub(super) version: Option<String>,
    pub(super) is_active: bool,
    attributes: Map<String, Value>,
}

/// A list of them.
pub(super) struct Accounts {
    /// How many there are, perhaps more than are here.
    total: u64,
    pub(super) accounts: Vec<Account>,
}

/// How many there are, as far as that matters.
pub(super) enum Counted {
    Nobody,
    One(Account),
    Several,
}

impl Account {
    /// Reads one; `None` if it is none.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        Self::of(strict_json::object(body).ok()?)
    }

    fn of(attributes: Map<String, Value>) -> Option<Self> {
        // It becomes a segment of a path, where these lead elsewhere.
        let is_id = |id: &&str| {
            (1..=LONGEST_ID).contains(&id.len())
                && !matches!(*id, "." | "..")
                && !id.chars().any(char::is_control)
        };
        let id = get(&attributes, "id")?.as_str().filter(is_id)?.to_owned();
        let external_id = match get(&attributes, "externalId") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if key.is_empty() => None,
            Some(Value::String(key)) => Some(key.clone()),
            Some(_) => return None,
        };
        let is_active = match get(&attributes, "active") {
            // Servers that know no other state need not say it.
            None | Some(Value::Null) => true,
            Some(Value::Bool(is_active)) => *is_active,
            // Some write it like this.
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return None,
        };
        let meta = get(&attributes, "meta").and_then(Value::as_object);
        let version = meta.and_then(|meta| get(meta, "version")?.as_str()).map(str::to_owned);
        let version = version.filter(|version| !version.is_empty());
        Some(Self { id, external_id, version, is_active, attributes })
    }

    /// Whether it is the account of this member key, to the letter.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.external_id.as_deref() == Some(key)
    }

    /// Whether this is one of its addresses, or its name; GEN-08.
    pub(super) fn has_address(&self, address: &str) -> bool {
        let is =
            |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(address));
        let emails = get(&self.attributes, "emails").and_then(Value::as_array);
        let mut values = emails.into_iter().flatten().filter_map(|email| match email {
            Value::Object(email) => get(email, "value"),
            other => Some(other),
        });
        values.any(is) || get(&self.attributes, "userName").is_some_and(is)
    }

    /// An attribute by its name, such as `title` or `name.givenName`.
    pub(super) fn attribute(&self, name: &str) -> Option<&Value> {
        match name.split_once('.') {
            Some((outer, inner)) => get(get(&self.attributes, outer)?.as_object()?, inner),
            None => get(&self.attributes, name),
        }
    }

    /// One that a schema of its own has.
    pub(super) fn extended(&self, schema: &str, name: &str) -> Option<&Value> {
        get(get(&self.attributes, schema)?.as_object()?, name)
    }

    /// What it says of its member, as claims.
    pub(super) fn said(&self) -> Map<String, Value> {
        let mut said = Map::new();
        said.insert("id".to_owned(), self.id.clone().into());
        for name in ["userName", "userType"] {
            if let Some(text) = get(&self.attributes, name).and_then(Value::as_str)
                && (1..=LONGEST_TEXT).contains(&text.len())
            {
                said.insert(name.to_owned(), text.into());
            }
        }
        said
    }
}

/// Nobody's account is shown (LOG-01).
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account(…)")
    }
}

impl Accounts {
    /// Reads a list (RFC 7644, section 3.4.2).
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let list =
            strict_json::object(body).map_err(|_| "is not a JSON object with each member once")?;
        let total = get(&list, "totalResults").and_then(Value::as_u64);
        let total = total.ok_or("is no list with `totalResults`")?;
        let accounts = match get(&list, "Resources") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(resources)) => resources
                .iter()
                .map(|resource| Account::of(resource.as_object()?.clone()))
                .collect::<Option<_>>()
                .ok_or("has an account that cannot be read")?,
            Some(_) => return Err("has `Resources` that are no list"),
        };
        Ok(Self { total, accounts })
    }

    /// How many there are: a total of none or one is believed only if there are as many.
    pub(super) fn counted(self) -> Result<Counted, &'static str> {
        let mut accounts = self.accounts.into_iter();
        match (self.total, accounts.next(), accounts.next()) {
            (0, None, _) => Ok(Counted::Nobody),
            (1, Some(account), None) => Ok(Counted::One(account)),
            (0 | 1, _, _) => Err("counts other accounts than it has"),
            (_, _, _) => Ok(Counted::Several),
        }
    }
}

/// `scimType` of an error, if the standard has it. Its `detail` may be about somebody.
pub(super) fn error_kind(body: &[u8]) -> Option<&'static str> {
    let error = strict_json::object(body).ok()?;
    let kind = get(&error, "scimType")?.as_str()?;
    KINDS.into_iter().find(|known| known.eq_ignore_ascii_case(kind))
}

fn get<'m>(map: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    map.get(name).or_else(|| {
        map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn account(value: &Value) -> Option<Account> {
        Account::read(value.to_string().as_bytes())
    }

    #[test]
    fn an_account_is_read_in_any_case_of_its_names() {
        let read = account(&json!({
            "ID": "7", "externalid": "t.o", "Active": "False", "META": { "version": "W/\"1\"" },
            "Emails": [{ "VALUE": "A@b.example" }], "name": { "givenName": "I" },
        }));
        let read = read.unwrap();
        assert_eq!((read.id.as_str(), read.external_id.as_deref()), ("7", Some("t.o")));
        assert!(!read.is_active && read.is_of("t.o") && !read.is_of("T.o"));
        assert_eq!(read.version.as_deref(), Some("W/\"1\""));
        assert!(read.has_address("a@B.example") && !read.has_address("a@b.exampl"));
        assert_eq!(read.attribute("NAME.givenname"), Some(&json!("I")));
        assert_eq!(read.attribute("name.familyName"), None);
    }

    #[test]
    fn what_is_no_account_is_none() {
        for value in [
            json!({}),
            json!({ "id": "" }),
            json!({ "id": ".." }),
            json!({ "id": "." }),
            json!({ "id": 7 }),
            json!({ "id": "a\nb" }),
            json!({ "id": "x".repeat(257) }),
            json!({ "id": "7", "externalId": 7 }),
            json!({ "id": "7", "active": "perhaps" }),
            json!({ "id": "7", "active": 1 }),
        ] {
            assert!(account(&value).is_none(), "{value}");
        }
        assert!(account(&json!({ "id": "7" })).unwrap().is_active);
        for list in [
            json!([]),
            json!({ "Resources": [] }),
            json!({ "totalResults": "1" }),
            json!({ "totalResults": 1, "Resources": {} }),
            json!({ "totalResults": 1, "Resources": [7] }),
            json!({ "totalResults": 1, "Resources": [{}] }),
        ] {
            assert!(Accounts::read(list.to_string().as_bytes()).is_err(), "{list}");
        }
        let empty = Accounts::read(br#"{"totalResults":0}"#).unwrap();
        assert!(empty.total == 0 && empty.accounts.is_empty());
    }

    #[test]
    fn log_01_an_error_is_named_and_not_quoted() {
        let error = json!({ "scimType": "uniqueness", "detail": "ines@mail.example is taken" });
        assert_eq!(error_kind(error.to_string().as_bytes()), Some("uniqueness"));
        assert_eq!(error_kind(br#"{"scimType":"ines@mail.example"}"#), None);
        assert_eq!(error_kind(b"<html>"), None);
        assert_eq!(format!("{:?}", account(&json!({ "id": "7" })).unwrap()), "Account(…)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Account::read(&bytes), Accounts::read(&bytes), error_kind(&bytes));
        }
    }
}

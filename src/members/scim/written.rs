//! What is written into a SCIM server: a new account, a key into one that waits, and what has
//! changed about one (RFC 7643, sections 4.1 and 4.3; RFC 7644, sections 3.3 and 3.5.2).

use serde_json::{Map, Value, json};

use super::account::Account;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A new account. Its `userName` is the member's key unless they are told to have another: a server
/// has each name once, so that nobody is there twice even where two were as fast.
pub(super) fn created(key: &str, told: &Map<String, Value>) -> Value {
    let mut user = Map::new();
    let mut schemas = vec![Value::from(USER)];
    user.insert("userName".to_owned(), key.into());
    for (name, value) in told.iter().filter_map(|(name, value)| Some((name, text(value)?))) {
        match Place::of(name) {
            Place::Plain(name) => {
                user.insert(name.to_owned(), value.into());
            }
            Place::Listed(name) => {
                user.insert(name.to_owned(), listed(&value, true));
            }
            Place::Within(outer, name) => insert_within(&mut user, outer, name, value),
            Place::Enterprise(name) => {
                if schemas.len() == 1 {
                    schemas.push(ENTERPRISE.into());
                }
                insert_within(&mut user, ENTERPRISE, name, value);
            }
        }
    }
    user.insert("schemas".to_owned(), schemas.into());
    user.insert("externalId".to_owned(), key.into());
    user.insert("active".to_owned(), true.into());
    user.into()
}

/// A member's key into an account that is nobody's, and what is told of them.
pub(super) fn linked(key: &str, account: &Account, told: &Map<String, Value>) -> Value {
    let mut operations = vec![json!({ "op": "add", "path": "externalId", "value": key })];
    // The name that they are known by there stays.
    let others = told.iter().filter(|(name, _)| *name != "userName");
    operations.extend(others.filter_map(|(name, value)| replaced(account, name, value)));
    patch(operations)
}

/// What has changed about a member; `None` if nothing has.
pub(super) fn changed(account: &Account, told: &Map<String, Value>) -> Option<Value> {
    let operations: Vec<Value> =
        told.iter().filter_map(|(name, value)| replaced(account, name, value)).collect();
    (!operations.is_empty()).then(|| patch(operations))
}

fn patch(operations: Vec<Value>) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// An operation that has an attribute say this, or a list have it among others; `None` if it does already.
fn replaced(account: &Account, name: &str, value: &Value) -> Option<Value> {
    let value = text(value)?;
    let is = |known: Option<&Value>| known.and_then(Value::as_str) == Some(&*value);
    let mut op = "replace";
    let (is_so, path, value) = match Place::of(name) {
        Place::Plain(name) => (is(account.attribute(name)), name.to_owned(), Value::from(value)),
        Place::Within(..) => (is(account.attribute(name)), name.to_owned(), Value::from(value)),
        Place::Enterprise(name) => {
            let is_so = is(account.extended(ENTERPRISE, name));
            (is_so, format!("{ENTERPRISE}:{name}"), Value::from(value))
        }
        Place::Listed(name) => {
            let known = account.attribute(name).and_then(Value::as_array);
            let known = known.into_iter().flatten().filter_map(|one| one.get("value")?.as_str());
            // The others that are there stay, and the first among them stays that.
            let mut known = known.peekable();
            let is_first = known.peek().is_none();
            op = "add";
            // GEN-08
            let is_so = known.any(|one| one.eq_ignore_ascii_case(&value));
            (is_so, name.to_owned(), listed(&value, is_first))
        }
    };
    (!is_so).then(|| json!({ "op": op, "path": path, "value": value }))
}

/// Where an attribute of the configuration is.
enum Place<'n> {
    Plain(&'n str),
    /// A list of values with a type.
    Listed(&'n str),
    Within(&'n str, &'n str),
    Enterprise(&'n str),
}

impl<'n> Place<'n> {
    fn of(name: &'n str) -> Self {
        match (name, name.split_once('.')) {
            ("emails" | "phoneNumbers", _) => Self::Listed(name),
            (_, Some(("enterprise", name))) => Self::Enterprise(name),
            (_, Some((outer, inner))) => Self::Within(outer, inner),
            (_, None) => Self::Plain(name),
        }
    }
}

fn insert_within(user: &mut Map<String, Value>, outer: &str, name: &str, value: String) {
    let inner = user.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        inner.insert(name.to_owned(), value.into());
    }
}

/// A list of one, which is the first choice if there is no other.
fn listed(value: &str, is_primary: bool) -> Value {
    match is_primary {
        true => json!([{ "value": value, "type": "work", "primary": true }]),
        false => json!([{ "value": value, "type": "work" }]),
    }
}

/// All of these attributes are texts; of a list, its first.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(values) => values.first().filter(|first| !first.is_array()).and_then(text),
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SCIM_ATTRIBUTES;

    fn told(pairs: &[(&str, Value)]) -> Map<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn account(value: &Value) -> Account {
        Account::read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_new_account_is_a_user_of_the_standard() {
        let user = created(
            "t.o",
            &told(&[
                ("userName", json!("ines@mail.example")),
                ("name.givenName", json!("Ines")),
                ("emails", json!(["ines@mail.example", "other@mail.example"])),
                ("enterprise.employeeNumber", json!(10442)),
            ]),
        );
        assert_eq!(
            user,
            json!({
                "schemas": [USER, ENTERPRISE],
                "externalId": "t.o",
                "userName": "ines@mail.example",
                "active": true,
                "name": { "givenName": "Ines" },
                "emails": [{ "value": "ines@mail.example", "type": "work", "primary": true }],
                ENTERPRISE: { "employeeNumber": "10442" },
            })
        );
        assert_eq!(created("t.o", &Map::new())["userName"], json!("t.o"));
    }

    #[test]
    fn what_is_told_changes_nothing_about_who_somebody_is() {
        for name in SCIM_ATTRIBUTES {
            let user = created("t.o", &told(&[(name, json!("x"))]));
            assert_eq!((&user["externalId"], &user["active"]), (&json!("t.o"), &json!(true)));
            assert_eq!(user.get("id"), None);
            assert_ne!(user, created("t.o", &Map::new()), "{name} is written");
        }
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let there = account(&json!({
            "id": "7", "title": "Treasurer", "name": { "givenName": "Ines" },
            "emails": [{ "value": "a@b.example", "type": "home" }],
        }));
        let same = told(&[
            ("title", json!("Treasurer")),
            ("name.givenName", json!("Ines")),
            ("emails", json!("a@b.example")),
        ]);
        assert_eq!(changed(&there, &same), None);
        let other = told(&[
            ("name.givenName", json!("Inês")),
            ("enterprise.department", json!("Board")),
            ("title", json!("Treasurer")),
        ]);
        let body = changed(&there, &other).unwrap();
        assert_eq!(
            body["Operations"],
            json!([
                {
                    "op": "replace",
                    "path": format!("{ENTERPRISE}:department"),
                    "value": "Board",
                },
                { "op": "replace", "path": "name.givenName", "value": "Inês" },
            ])
        );
        assert_eq!(body["schemas"], json!([PATCH]));
    }

    #[test]
    fn an_address_joins_those_that_are_there_in_whatever_case() {
        let there = account(&json!({
            "id": "7",
            "emails": [{ "value": "a@b.example", "primary": true }, { "value": "C@d.example" }],
        }));
        for known in ["A@B.example", "c@d.EXAMPLE"] {
            assert_eq!(changed(&there, &told(&[("emails", json!(known))])), None, "{known}");
        }
        let body = changed(&there, &told(&[("emails", json!("e@f.example"))])).unwrap();
        let added = json!([{ "value": "e@f.example", "type": "work" }]);
        assert_eq!(body["Operations"], json!([{ "op": "add", "path": "emails", "value": added }]));
        let without = account(&json!({ "id": "7" }));
        let body = changed(&without, &told(&[("phoneNumbers", json!("1"))])).unwrap();
        assert_eq!(body["Operations"][0]["value"][0]["primary"], json!(true));
    }

    #[test]
    fn a_link_leaves_the_name_that_somebody_is_known_by() {
        let there = account(&json!({ "id": "7", "userName": "ines" }));
        let body = linked("t.o", &there, &told(&[("userName", json!("x")), ("title", json!("y"))]));
        assert_eq!(
            body["Operations"],
            json!([
                { "op": "add", "path": "externalId", "value": "t.o" },
                { "op": "replace", "path": "title", "value": "y" },
            ])
        );
    }
}

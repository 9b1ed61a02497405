//! Who is in which groups, and how an ID token says so: by a list, or, where that would be too
//! long, by saying that there is one elsewhere.

use serde_json::{Map, Value, json};

use crate::demo::microsoft::accounts::Account;
use crate::demo::microsoft::personas::Persona;
use crate::demo::microsoft::tenants::CLUB;

/// The most groups that a token lists (azure.md, section 4.4).
const LISTED: usize = 200;
/// The same for one that comes without a code, as part of an address.
const LISTED_IN_FRONT: usize = 5;

/// People of the club who are in groups: in the first so many, so that the first is everybody's.
pub static PEOPLE: &[Account] = &[
    person("groups199@harborclub.example", "5a0d7c31-8e24-4f96-b1c7-0199e3a4d5f2", 199),
    person("groups201@harborclub.example", "6b1e8d42-9f35-4a07-82d8-0201f4b5e6a3", 201),
    person("groups2000@harborclub.example", "7c2f9e53-a046-4b18-93e9-2000a5c6f7b4", 2000),
];

const fn person(username: &'static str, oid: &'static str, groups: usize) -> Account {
    let persona = Persona::InGroups(groups);
    Account { username, name: persona.name(), oid, roles: &["Member"], tenant: &CLUB, persona }
}

/// In how many groups somebody is.
pub(super) const fn count(account: &Account) -> usize {
    match account.persona {
        Persona::InGroups(count) => count,
        _ => 0,
    }
}

/// The object id of a group, by its number.
#[must_use]
pub fn group_id(number: usize) -> String {
    format!("0b6d4a12-9e3f-4c75-8d21-{number:012}")
}

/// Its name.
#[must_use]
pub fn group_name(number: usize) -> String {
    format!("Crew {number}")
}

/// Says in an ID token which groups somebody is in. `in_front` is for one that comes without a
/// code.
pub(in crate::demo::microsoft) fn tell(
    claims: &mut Map<String, Value>,
    account: &Account,
    in_front: bool,
) {
    let count = count(account);
    if count == 0 {
        return;
    }
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if in_front && count > LISTED_IN_FRONT {
        set("hasgroups", true.into());
    } else if count <= LISTED {
        set("groups", (1..=count).map(|number| Value::from(group_id(number))).collect());
    } else {
        // The host is a retired service's, which nobody must call.
        let (tenant, oid) = (account.tenant.id, account.oid);
        let endpoint = format!("https://graph.windows.net/{tenant}/users/{oid}/getMemberObjects");
        set("_claim_names", json!({ "groups": "src1" }));
        set("_claim_sources", json!({ "src1": { "endpoint": endpoint } }));
    }
}

//! What a directory is told of a member: attributes, each from a claim.

use serde_json::{Map, Value};

use crate::config::Attribute;
use crate::gate::VerifiedClaims;

/// The longest text that is told.
const LONGEST: usize = 1024;

/// The attributes whose claims there are; of one that is there twice, the first.
pub(super) fn profile(attributes: &[Attribute], claims: &VerifiedClaims) -> Map<String, Value> {
    let mut told = Map::new();
    for Attribute { name, claim } in attributes {
        let value = claims.at(claim).ok().flatten().filter(|value| is_told(value));
        if let (Some(value), false) = (value, told.contains_key(name)) {
            told.insert(name.clone(), value.clone());
        }
    }
    told
}

/// Texts, numbers, truth values and lists of these.
fn is_told(value: &Value) -> bool {
    let is_plain = |value: &Value| match value {
        Value::String(text) => (1..=LONGEST).contains(&text.len()),
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match value {
        Value::Array(values) => !values.is_empty() && values.iter().all(is_plain),
        value => is_plain(value),
    }
}

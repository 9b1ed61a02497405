//! What a directory is told of a member: attributes, each from a claim, or the verified address.

use serde_json::{Map, Value};

use super::Arrival;
use crate::config::{Attribute, Source};

/// The longest text that is told.
const LONGEST: usize = 1024;

/// The attributes that there is something to tell of.
pub(super) fn profile(attributes: &[Attribute], arrival: Arrival<'_>) -> Map<String, Value> {
    let told = attributes.iter().filter_map(|Attribute { name, from }| {
        let value = match from {
            Source::Claim(claim) => arrival.claims.at(claim).ok().flatten().cloned(),
            Source::VerifiedAddress => arrival.address.map(Value::from),
        };
        Some((name.clone(), value.filter(is_told)?))
    });
    told.collect()
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

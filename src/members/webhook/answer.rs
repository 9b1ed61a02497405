//! What a webhook answers: a decision, a text for the member, and claims; each within bounds. What
//! is not one of these, or more than there may be, is no answer, and nobody comes in by it.

use serde_json::{Map, Value};

use crate::members::text;
use crate::strict_json;

/// The largest answer.
const LARGEST: usize = 64 * 1024;
/// The most claims, the longest name, and the longest text of one.
const MOST_CLAIMS: usize = 32;
const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 1024;
/// The most elements of a claim that is a list.
const MOST_ELEMENTS: usize = 64;
/// All claims together, as JSON: they are in the session.
const LARGEST_CLAIMS: usize = 8 * 1024;

/// An answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) decision: Decision,
    /// For the member.
    pub(super) message: Option<String>,
    /// Whether this very request has created or linked them.
    pub(super) is_created: bool,
    pub(super) said: Map<String, Value>,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Admit,
    Refuse,
    Unknown { is_invited: bool, is_unlinked: bool },
}

/// Reads an answer. Members that are not known are for a later version.
pub(super) fn read(body: &[u8]) -> Result<Answered, &'static str> {
    if body.len() > LARGEST {
        return Err("is larger than 64 KiB");
    }
    let mut answer =
        strict_json::object(body).map_err(|_| "is not a JSON object with each member once")?;
    let flag = |name: &str| match answer.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err("has something else than `true` or `false` where one of these belongs"),
    };
    let (is_created, is_invited, is_unlinked) =
        (flag("created")?, flag("invited")?, flag("unlinked")?);
    let decision = match answer.get("decision").and_then(Value::as_str) {
        Some("admit") => Decision::Admit,
        Some("refuse") => Decision::Refuse,
        Some("unknown") => Decision::Unknown { is_invited, is_unlinked },
        Some(_) | None => return Err("has no `decision` that is `admit`, `refuse` or `unknown`"),
    };
    let message = match answer.get("message") {
        None | Some(Value::Null) => None,
        Some(Value::String(message)) => text::for_member(message),
        Some(_) => return Err("has a `message` that is no text"),
    };
    let said = match answer.remove("claims") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(said)) => claims(said)?,
        Some(_) => return Err("has `claims` that are no object"),
    };
    Ok(Answered { decision, message, is_created, said })
}

fn claims(mut said: Map<String, Value>) -> Result<Map<String, Value>, &'static str> {
    said.retain(|_, value| !value.is_null());
    if said.len() > MOST_CLAIMS {
        return Err("has more than 32 claims");
    }
    if !said.keys().all(|name| is_name(name)) {
        return Err("has a claim whose name is not 1 to 64 letters, digits, `_` and `-`");
    }
    if !said.values().all(is_claim) {
        return Err("has a claim that is no text of 1024 bytes at most, number, truth value, or \
                    list of 64 of these at most");
    }
    let size = serde_json::to_vec(&said).map_or(usize::MAX, |text| text.len());
    match size > LARGEST_CLAIMS {
        true => Err("has claims of more than 8 KiB"),
        false => Ok(said),
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

fn is_claim(value: &Value) -> bool {
    let is_plain = |value: &Value| match value {
        Value::String(text) => text.len() <= LONGEST_TEXT,
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match value {
        Value::Array(values) => values.len() <= MOST_ELEMENTS && values.iter().all(is_plain),
        value => is_plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(answer: &Value) -> Result<Answered, &'static str> {
        read(answer.to_string().as_bytes())
    }

    #[test]
    fn an_answer_is_read_as_it_is_meant() {
        let answered = said(&json!({
            "decision": "admit", "created": true, "later": { "on": [1] },
            "claims": { "member_number": 10442, "clubs": ["a", "b"], "paid": true, "none": null },
        }));
        let answered = answered.unwrap();
        assert_eq!((answered.decision, answered.is_created), (Decision::Admit, true));
        assert_eq!(
            Value::Object(answered.said),
            json!({ "member_number": 10442, "clubs": ["a", "b"], "paid": true })
        );
        let answered = said(&json!({ "decision": "refuse", "message": "Not\u{7} paid" })).unwrap();
        assert_eq!(answered.message.as_deref(), Some("Not paid"));
        let answered = said(&json!({ "decision": "unknown", "invited": true })).unwrap();
        assert_eq!(answered.decision, Decision::Unknown { is_invited: true, is_unlinked: false });
    }

    #[test]
    fn gen_02_what_is_no_answer_lets_nobody_in() {
        let many: Map<String, Value> =
            (0..33).map(|number| (format!("c{number}"), json!(1))).collect();
        let wide: Map<String, Value> =
            (0..9).map(|number| (format!("c{number}"), json!("x".repeat(1000)))).collect();
        for answer in [
            json!({}),
            json!([]),
            json!("admit"),
            json!({ "decision": true }),
            json!({ "decision": "ADMIT" }),
            json!({ "decision": "admit", "created": "yes" }),
            json!({ "decision": "unknown", "invited": 1 }),
            json!({ "decision": "refuse", "message": ["no"] }),
            json!({ "decision": "admit", "claims": [] }),
            json!({ "decision": "admit", "claims": { "a.b": 1 } }),
            json!({ "decision": "admit", "claims": { "": 1 } }),
            json!({ "decision": "admit", "claims": { "é": 1 } }),
            json!({ "decision": "admit", "claims": { "a": { "b": 1 } } }),
            json!({ "decision": "admit", "claims": { "a": [[1]] } }),
            json!({ "decision": "admit", "claims": { "a": [null] } }),
            json!({ "decision": "admit", "claims": { "a": "x".repeat(1025) } }),
            json!({ "decision": "admit", "claims": { "a": vec![1; 65] } }),
            json!({ "decision": "admit", "claims": many }),
            json!({ "decision": "admit", "claims": wide }),
            json!({ "decision": "admit", "padding": "x".repeat(64 * 1024) }),
        ] {
            assert!(said(&answer).is_err(), "{answer}");
        }
        let deep =
            format!("{{\"decision\":\"admit\",\"x\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        for answer in [
            "",
            "{",
            "null",
            "{\"decision\":\"admit\"} x",
            "{\"decision\":\"refuse\",\"decision\":\"admit\"}",
            "{\"decision\":\"admit\",\"claims\":{\"a\":1,\"a\":2}}",
            "\u{feff}{\"decision\":\"admit\"}",
            &deep,
        ] {
            assert!(read(answer.as_bytes()).is_err(), "{answer}");
        }
        assert!(read(b"{\"decision\":\"admit\"\xff}").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_message_is_one_line_of_bounded_length(message in ".{0,2000}") {
            let answered = said(&json!({ "decision": "refuse", "message": message })).unwrap();
            if let Some(message) = answered.message {
                prop_assert!(message.chars().count() <= text::LONGEST);
                prop_assert!(!message.chars().any(char::is_control));
            }
        }
    }
}

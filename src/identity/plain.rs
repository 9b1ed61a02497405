//! Claims as header values, ASCII on the wire (HDR-09): text is percent-encoded where a header
//! could not carry it, and decodes with what every language has (`decodeURIComponent`,
//! `rawurldecode`, `urllib.parse.unquote`). A list is its elements joined by commas; a comma
//! within an element is encoded, so splitting first and decoding then is exact.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// Not sent raw: controls, everything beyond ASCII, and the escape itself.
const TEXT: &AsciiSet = &CONTROLS.add(b'%');
const ELEMENT: &AsciiSet = &TEXT.add(b',');

/// A claim as a header value; `None` if it has a form that no header carries (an object, or a
/// list within a list).
#[must_use]
pub fn encode(value: &Value) -> Option<String> {
    match value {
        Value::Array(elements) => {
            let encoded: Option<Vec<String>> =
                elements.iter().map(|element| scalar(element, ELEMENT)).collect();
            encoded.map(|elements| elements.join(","))
        }
        _ => scalar(value, TEXT),
    }
}

fn scalar(value: &Value, set: &'static AsciiSet) -> Option<String> {
    match value {
        Value::String(text) => Some(encode_text(text, set)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Spaces at the ends are encoded too: HTTP drops them (RFC 9110, section 5.5).
fn encode_text(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let (before, after) = match text.find(inner) {
        Some(at) if !inner.is_empty() => (at, text.len() - at - inner.len()),
        _ => (text.len(), 0),
    };
    let mut encoded = "%20".repeat(before);
    encoded.extend(utf8_percent_encode(inner, set));
    encoded.push_str(&"%20".repeat(after));
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn claims_are_readable_where_they_can_be() {
        assert_eq!(encode(&json!("Ines Caldera")).unwrap(), "Ines Caldera");
        assert_eq!(encode(&json!("Łukasz 100%")).unwrap(), "%C5%81ukasz 100%25");
        assert_eq!(encode(&json!(["Member", "Treasurer"])).unwrap(), "Member,Treasurer");
        assert_eq!(encode(&json!(["a,b", "c"])).unwrap(), "a%2Cb,c");
        assert_eq!(encode(&json!(true)).unwrap(), "true");
        assert_eq!(encode(&json!({"a": 1})), None);
    }

    proptest! {
        #[test]
        fn hdr_09_any_text_is_ascii_on_the_wire_and_decodes_to_itself(text in any::<String>()) {
            let encoded = encode(&Value::String(text.clone())).unwrap();
            prop_assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(encoded.trim(), encoded.as_str());
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded, text);
        }

        #[test]
        fn hdr_09_lists_split_into_their_elements(list in prop::collection::vec(any::<String>(), 1..5)) {
            let encoded = encode(&json!(list)).unwrap();
            let decoded: Vec<String> = encoded
                .split(',')
                .map(|part| percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(decoded, list);
        }
    }
}

//! Filters (RFC 7644, section 3.4.2.2): a value is a JSON text, so it is written as one, and there
//! is nothing that it could end.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What a query has as it is: not even a plus is, which some take for a blank.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `attribute eq "value"`.
pub(super) fn equals(attribute: &'static str, value: &str) -> String {
    format!("{attribute} eq {}", Value::from(value))
}

/// A filter as it stands in a query.
pub(super) fn in_query(filter: &str) -> String {
    utf8_percent_encode(filter, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_quoted() {
        assert_eq!(equals("externalId", "t.o"), r#"externalId eq "t.o""#);
        assert_eq!(
            equals("externalId", "x\" or userName pr or \"\\\n"),
            "externalId eq \"x\\\" or userName pr or \\\"\\\\\\n\""
        );
        assert_eq!(in_query("a eq \"b+c d&e\""), "a%20eq%20%22b%2Bc%20d%26e%22");
    }

    proptest! {
        #[test]
        fn what_is_read_from_a_filter_is_the_value(value in any::<String>()) {
            let filter = equals("externalId", &value);
            let quoted = filter.strip_prefix("externalId eq ").unwrap();
            let read: String = serde_json::from_str(quoted).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn a_filter_stays_in_its_parameter(value in any::<String>()) {
            let filter = equals("externalId", &value);
            let query = format!("filter={}&count=1", in_query(&filter));
            let pairs: Vec<(String, String)> =
                url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            prop_assert_eq!(pairs.len(), 2);
            prop_assert_eq!(&pairs[0].1, &filter);
        }
    }
}

//! By what a provider's own support finds an error again: read out of the text that the error came
//! with, and reduced to what may be shown and logged (OIDC-16, LOG-02).

/// The ids and the time of an error at the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Finds everything that belongs to one sign-in.
    pub correlation_id: Option<String>,
    /// Finds one request.
    pub trace_id: Option<String>,
    /// When it was there, `2026-03-02 08:15:30Z`.
    pub timestamp: Option<String>,
}

/// The longest id that is kept.
const LONGEST_ID: usize = 64;
/// What a time looks like, a digit for each `0`.
const TIME: &str = "0000-00-00 00:00:00Z";

impl Trail {
    /// Reads what Microsoft writes behind its sentences, whether on lines of its own or separated
    /// by blanks (azure.md, section 3.6).
    #[must_use]
    pub fn of(description: &str) -> Self {
        let behind = |label: &str| Some(description.split_once(label)?.1.trim_start());
        Self {
            correlation_id: behind("Correlation ID:").and_then(Self::id),
            trace_id: behind("Trace ID:").and_then(Self::id),
            timestamp: behind("Timestamp:").and_then(Self::time),
        }
    }

    /// An id at the beginning of a text.
    #[must_use]
    pub fn id(text: &str) -> Option<String> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let length = text.bytes().take_while(is_plain).count();
        let id = text.get(..length)?;
        (1..=LONGEST_ID).contains(&length).then(|| id.to_owned())
    }

    /// A time at the beginning of a text.
    #[must_use]
    pub fn time(text: &str) -> Option<String> {
        let time = text.get(..TIME.len())?;
        let fits = |(byte, form): (u8, u8)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        time.bytes().zip(TIME.bytes()).all(fits).then(|| time.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_time_are_found_in_both_forms() {
        let lines =
            "AADB2C90091: x.\r\nCorrelation ID: 41c7-a\r\nTimestamp: 2026-03-02 08:15:30Z\r\n";
        let blanks = "AADSTS50105: x. Trace ID: 0d1f Correlation ID: 41c7-a Timestamp: \
                      2026-03-02 08:15:30Z";
        for (text, trace) in [(lines, None), (blanks, Some("0d1f".to_owned()))] {
            let trail = Trail::of(text);
            assert_eq!(trail.correlation_id.as_deref(), Some("41c7-a"));
            assert_eq!(trail.timestamp.as_deref(), Some("2026-03-02 08:15:30Z"));
            assert_eq!(trail.trace_id, trace);
        }
    }

    #[test]
    fn oidc_16_nothing_else_comes_along() {
        let long = format!("Correlation ID: {}", "a".repeat(65));
        for text in [
            "Correlation ID: <script>",
            "Correlation ID:",
            "Trace ID: \u{202e}x",
            "Timestamp: yesterday",
            "Timestamp: 2026-03-02T08:15:30Z",
            "Timestamp: 2026-03-02 08:15:3",
            &long,
        ] {
            assert_eq!(Trail::of(text), Trail::default(), "{text}");
        }
        assert_eq!(Trail::of("Correlation ID: a<b>").correlation_id.as_deref(), Some("a"));
    }
}

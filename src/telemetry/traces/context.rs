//! The trace that a request belongs to, as W3C Trace Context writes it in `traceparent`. What cannot
//! be read is as if it were not there (section 4.3). Deliberately not here: `tracestate`, which we
//! hand on as it stands and have nothing to add to.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header by which it is handed on.
pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What goes along with it, for those whose it is.
pub(super) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` and 32 digits, `-` and 16, `-` and 2.
const LENGTH: usize = 55;

/// A trace and the span in it that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether whoever sent it keeps its own part.
    pub(super) is_sampled: bool,
}

impl TraceContext {
    /// Reads the one `traceparent`; of several nobody knows which is meant.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// Version 00, or a later one that begins like it.
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = head.split(|byte| *byte == b'-');
        let [version] = digits::<1>(parts.next()?)?;
        let trace = digits::<16>(parts.next()?)?;
        let span = digits::<8>(parts.next()?)?;
        let [flags] = digits::<1>(parts.next()?)?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let is_somebody = trace != [0; 16] && span != [0; 8];
        let known = Self { trace, span, is_sampled: flags & 1 == 1 };
        (is_whole && is_somebody && parts.next().is_none()).then_some(known)
    }

    /// As it is handed on.
    pub(super) fn header(&self) -> HeaderValue {
        let flags = if self.is_sampled { "01" } else { "00" };
        let text = format!("00-{}-{}-{flags}", hex(&self.trace), hex(&self.span));
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// As lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Exactly so many bytes, in lower-case digits.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | nibble;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_standard_shows_is_read_and_written_again() {
        let known = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert!(known.is_sampled);
        assert_eq!(known.header(), GOOD);
        assert_eq!(hex(&known.span), "b7ad6b7169203331");
        let later = format!("{}-what-is-to-come", GOOD.replacen("00", "cc", 1));
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(known));
        let quiet = TraceContext::parse(GOOD.replace("-01", "-00").as_bytes()).unwrap();
        assert!(!quiet.is_sampled && quiet.header().as_bytes().ends_with(b"-00"));
    }

    #[test]
    fn what_is_no_traceparent_is_as_if_it_were_not_there() {
        for odd in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333--01",
            "00-0af7651916cd43dd8448eb211c80319cb7ad6b7169203331--01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(odd.as_bytes()), None, "{odd}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::read(&headers), None);
        headers.append(&TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceContext::read(&headers).is_some());
        headers.append(&TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceContext::read(&headers), None, "nobody knows which is meant");
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = TraceContext::parse(&text);
        }
    }
}

//! Text as a header value, ASCII on the wire (HDR-09): what a header could not carry is
//! percent-encoded, and decodes with what every language has (`decodeURIComponent`,
//! `rawurldecode`, `urllib.parse.unquote`). `docs/identity-headers.md` has more of them.

use percent_encoding::percent_encode_byte;

/// The characters that are encoded besides those that no header carries: what stands between
/// values is none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u128);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);

    /// These. A character beyond ASCII is always encoded.
    #[must_use]
    pub fn of(characters: impl IntoIterator<Item = char>) -> Self {
        let bit = |character| u32::from(character) & 127;
        let ascii = characters.into_iter().filter(char::is_ascii);
        Self(ascii.fold(0, |marks, character| marks | 1 << bit(character)))
    }

    const fn has(self, byte: u8) -> bool {
        byte < 128 && self.0 & (1 << byte) != 0
    }
}

/// A text as it is sent: controls, everything beyond ASCII, the escape itself and the marks are
/// encoded, and so are spaces at the ends, because HTTP drops them (RFC 9110, section 5.5). Two
/// texts are never encoded alike.
#[must_use]
pub fn encode(text: &str, marks: Marks) -> String {
    let inner = text.trim_matches(' ');
    let begin = text.len() - text.trim_start_matches(' ').len();
    let end = begin + inner.len();
    let mut encoded = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let is_at_an_end = at < begin || at >= end;
        match byte {
            b'%' => encoded.push_str("%25"),
            b' ' if is_at_an_end => encoded.push_str("%20"),
            b' '..=b'~' if !marks.has(byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(percent_encode_byte(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> String {
        percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn claims_are_readable_where_they_can_be() {
        for (text, marks, sent) in [
            ("Ines Caldera", "", "Ines Caldera"),
            ("Łukasz 100%", "", "%C5%81ukasz 100%25"),
            ("a,b", ",", "a%2Cb"),
            ("a,b", ";", "a,b"),
            ("a b", " ", "a%20b"),
            ("  ", "", "%20%20"),
            (" a\r\nb ", "", "%20a%0D%0Ab%20"),
            ("", ",", ""),
            ("\u{7f}\u{0}", "", "%7F%00"),
            (
                "\u{202e}مدير👩🏽‍🚒",
                "",
                &"\u{202e}مدير👩🏽‍🚒".bytes().map(|b| format!("%{b:02X}")).collect::<String>(),
            ),
        ] {
            let encoded = encode(text, Marks::of(marks.chars()));
            assert_eq!(encoded, sent);
            assert_eq!(decoded(&encoded), text);
        }
    }

    proptest! {
        #[test]
        fn hdr_09_any_text_is_ascii_on_the_wire_and_decodes_to_itself(
            text in any::<String>(),
            marks in "[ ,;|a%]{0,3}",
        ) {
            let encoded = encode(&text, Marks::of(marks.chars()));
            prop_assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(encoded.trim(), encoded.as_str());
            prop_assert_eq!(decoded(&encoded), text);
            let without_escapes = encoded.replace('%', "");
            for mark in marks.chars().filter(|mark| !"a%".contains(*mark)) {
                prop_assert!(!without_escapes.contains(mark), "{}", encoded);
            }
        }
    }
}

//! What is signed: the signature base of RFC 9421, section 2.5, and the parameters that say how it
//! was made. It is unambiguous because nothing gets in that could end a line or a name early
//! (ENV-03): a value without line breaks stands behind a quoted name, and the last line names all
//! the others. Deliberately not here: what of a request is covered, which is `mod.rs`.

use memchr::memchr2;

use crate::gate::identity::{Covered, Lines};

/// Something that a signature base cannot carry; there is none then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

/// Room for a request without identity headers.
const LINES: usize = 512;
/// Room for the names of what is covered, and the parameters.
const INPUT: usize = 512;

/// A signature base that is being written.
pub(super) struct Base {
    lines: Vec<u8>,
    /// `label=(…` as `Signature-Input` has it: the list that the last line of the base repeats.
    input: Vec<u8>,
    /// Where the list begins in it.
    list: usize,
}

impl Base {
    /// Nothing is covered yet. `label` is a key (RFC 8941, section 3.2).
    pub(super) fn new(label: &str, room: usize) -> Self {
        let mut input = Vec::with_capacity(INPUT + room / 4);
        input.extend_from_slice(label.as_bytes());
        input.push(b'=');
        let list = input.len();
        input.push(b'(');
        Self { lines: Vec::with_capacity(LINES + INPUT + room + room / 4), input, list }
    }

    /// Covers a component by its identifier: the name in quotes, perhaps with parameters, such as
    /// `"@query-param";name="Pet"`.
    pub(super) fn cover(&mut self, identifier: &str, value: &[u8]) -> Result<(), Unfit> {
        if memchr2(b'\n', b'\r', value).is_some() {
            return Err(Unfit);
        }
        self.separate();
        self.input.extend_from_slice(identifier.as_bytes());
        self.lines.extend_from_slice(identifier.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.push(b'\n');
        Ok(())
    }

    /// Covers what was written down before. Where a code was begun with its lines, the base has
    /// only what follows them; so it is asked for first.
    pub(super) fn cover_all(&mut self, covered: &Covered) {
        if covered.names.is_empty() {
            return;
        }
        self.separate();
        self.input.extend_from_slice(&covered.names);
        if let Lines::Written(lines) = &covered.lines {
            self.lines.extend_from_slice(lines);
        }
    }

    fn separate(&mut self) {
        if self.input.len() > self.list + 1 {
            self.input.push(b' ');
        }
    }

    /// All is covered that is to be; parameters follow.
    pub(super) fn close(mut self) -> Parameters {
        self.input.push(b')');
        Parameters(self)
    }
}

/// A signature base of which all components are known.
pub(super) struct Parameters(Base);

impl Parameters {
    /// A time in seconds, or another number. `name` has its `;` and `=` with it.
    pub(super) fn number(mut self, name: &str, value: i64) -> Self {
        self.0.input.extend_from_slice(name.as_bytes());
        let mut digits = [0; 20];
        self.0.input.extend_from_slice(decimal(value, &mut digits));
        self
    }

    /// A text of printable ASCII (RFC 8941, section 3.3.3).
    pub(super) fn text(mut self, name: &str, value: &[u8]) -> Result<Self, Unfit> {
        // All of it is looked at, which is quicker than to stop at the first.
        if !value.iter().fold(true, |fits, byte| fits & (0x20..0x7f).contains(byte)) {
            return Err(Unfit);
        }
        let input = &mut self.0.input;
        input.extend_from_slice(name.as_bytes());
        input.push(b'"');
        match memchr2(b'"', b'\\', value) {
            None => input.extend_from_slice(value),
            Some(_) => {
                for byte in value {
                    if matches!(byte, b'"' | b'\\') {
                        input.push(b'\\');
                    }
                    input.push(*byte);
                }
            }
        }
        input.push(b'"');
        Ok(self)
    }

    /// The base, and the value of `Signature-Input`.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let Base { mut lines, input, list } = self.0;
        lines.extend_from_slice(b"\"@signature-params\": ");
        lines.extend_from_slice(input.get(list..).unwrap_or_default());
        (lines, input)
    }
}

fn decimal(value: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut left = value.unsigned_abs();
    let mut begin = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        begin -= 1;
        if left == 0 {
            break;
        }
    }
    if value < 0
        && let Some(place) = begin.checked_sub(1).and_then(|at| digits.get_mut(at))
    {
        *place = b'-';
        begin -= 1;
    }
    digits.get(begin..).unwrap_or_default()
}

/// Headers that many requests will have, written down: a line for each, and their names. Each is
/// there once: a doubled name could be read as one header by one reader and as the other by another.
pub(super) fn written_down<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
) -> Result<(Vec<u8>, Box<[u8]>), Unfit> {
    let mut base = Base::new("", 0);
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in headers {
        if seen.contains(&name) {
            return Err(Unfit);
        }
        seen.push(name);
        base.cover(&format!("\"{name}\""), value.trim_ascii())?;
    }
    let names = base.input.get(base.list + 1..).unwrap_or_default().to_vec();
    Ok((base.lines, names.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for value in [0, 7, -7, 10, 1_618_884_473, i64::MAX, i64::MIN] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string().as_bytes());
        }
    }

    #[test]
    fn env_03_nothing_gets_in_that_could_end_a_line_or_a_name_early() {
        let mut base = Base::new("a", 0);
        for value in ["a\nb", "\r", "\n\"@path\": /"] {
            assert_eq!(base.cover("\"x\"", value.as_bytes()), Err(Unfit), "{value:?}");
        }
        let text = |value: &[u8]| {
            let written = Base::new("a", 0).close().text(";nonce=", value)?.finish().1;
            Ok(String::from_utf8(written).unwrap())
        };
        assert_eq!(text(br#"a"b\"#), Ok(r#"a=();nonce="a\"b\\""#.to_owned()));
        for odd in ["\n", "\u{7f}", "é", "\t"] {
            assert_eq!(text(odd.as_bytes()), Err(Unfit), "{odd:?}");
        }
        let twice = [("x-a", &b"1"[..]), ("x-b", b"2"), ("x-a", b"3")];
        assert_eq!(written_down(twice.into_iter()), Err(Unfit));
    }
}

//! Bodies of HTTP/1.1, of requests and of answers (RFC 9112, sections 6 and 7): how much is left of
//! one, and its chunks taken apart and put together.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderName;

/// The longest line of a chunk's size with its extensions, or of a trailer.
const LONGEST_LINE: usize = 4096;
/// The most bytes of trailers, dropped or not.
const LONGEST_TRAILERS: usize = 16 * 1024;

/// What ends a chunked body that has no trailers.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What goes before a chunk of so many bytes; `\r\n` goes after it.
pub(crate) fn chunk_head(length: usize) -> Bytes {
    Bytes::from(format!("{length:x}\r\n"))
}

/// A chunk whose size or end is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk that is none")]
pub(crate) struct ChunkError;

/// What is left of a body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks, at this point.
    Chunks(Chunks),
    /// Everything until the other side closes the connection: of answers alone.
    UntilClose,
}

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before the size of a chunk.
    Size,
    /// With so many bytes of a chunk to come.
    Data(u64),
    /// After a chunk, before its line break.
    DataEnd,
    /// After the last chunk, within trailers of which so many bytes were read.
    Trailers(usize),
    /// At the end.
    Done,
}

/// What reading on brought.
#[derive(PartialEq, Eq)]
pub(crate) enum Piece {
    /// Some of the body.
    Data(Bytes),
    /// The line of a trailer, which nobody has judged.
    Trailer(Bytes),
    /// Nothing yet: more has to be read from the connection.
    NeedsMore,
    /// The end of the body.
    End,
}

/// What a body says is nobody's business (LOG-01).
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Trailer(line) => write!(f, "Trailer({} bytes)", line.len()),
            Self::NeedsMore => f.write_str("NeedsMore"),
            Self::End => f.write_str("End"),
        }
    }
}

impl Content {
    /// Whether nothing is left.
    pub(crate) const fn is_at_end(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunks(Chunks::Done))
    }

    /// The next piece of the body out of what was read.
    pub(crate) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, ChunkError> {
        match self {
            Self::Length(left) => Ok(take_data(read, left)),
            Self::UntilClose if read.is_empty() => Ok(Piece::NeedsMore),
            Self::UntilClose => Ok(Piece::Data(read.split().freeze())),
            Self::Chunks(chunks) => chunks.next(read),
        }
    }
}

impl Chunks {
    fn next(&mut self, read: &mut BytesMut) -> Result<Piece, ChunkError> {
        loop {
            match *self {
                Self::Size => {
                    let Some(line) = take_line(read)? else { return Ok(Piece::NeedsMore) };
                    *self = match chunk_size(&line).ok_or(ChunkError)? {
                        0 => Self::Trailers(0),
                        size => Self::Data(size),
                    };
                }
                Self::Data(mut left) => {
                    let piece = take_data(read, &mut left);
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok(piece);
                }
                Self::DataEnd => {
                    if read.len() < 2 {
                        return Ok(Piece::NeedsMore);
                    }
                    if !read.starts_with(b"\r\n") {
                        return Err(ChunkError);
                    }
                    read.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers(so_far) => {
                    let Some(line) = take_line(read)? else { return Ok(Piece::NeedsMore) };
                    let so_far = so_far + line.len();
                    if so_far > LONGEST_TRAILERS || !is_trailer(&line) {
                        return Err(ChunkError);
                    }
                    if line.is_empty() {
                        *self = Self::Done;
                    } else {
                        *self = Self::Trailers(so_far);
                        return Ok(Piece::Trailer(line.freeze()));
                    }
                }
                Self::Done => return Ok(Piece::End),
            }
        }
    }
}

/// As much of `left` bytes as was read.
fn take_data(read: &mut BytesMut, left: &mut u64) -> Piece {
    if *left == 0 {
        return Piece::End;
    }
    if read.is_empty() {
        return Piece::NeedsMore;
    }
    let size = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left -= size as u64;
    Piece::Data(read.split_to(size).freeze())
}

/// A line without its `\r\n`; a bare line feed is none (RFC 9112, section 2.2).
fn take_line(read: &mut BytesMut) -> Result<Option<BytesMut>, ChunkError> {
    let Some(at) = read.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if read.len() >= LONGEST_LINE { Err(ChunkError) } else { Ok(None) };
    };
    let mut line = read.split_to(at + 1);
    if !line.ends_with(b"\r\n") {
        return Err(ChunkError);
    }
    line.truncate(at - 1);
    Ok(Some(line))
}

/// A field without control characters, or the empty line at the end (HTTP-03).
fn is_trailer(line: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let is_token = |name: &[u8]| HeaderName::from_bytes(name).is_ok();
    let colon = line.iter().position(|byte| *byte == b':');
    let name = colon.and_then(|colon| line.get(..colon));
    line.is_empty() || (name.is_some_and(is_token) && !line.iter().any(is_control))
}

/// The size of a chunk: hex digits, then perhaps an extension, which is ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let is_size = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let is_plain = line.iter().all(|byte| *byte == b'\t' || (0x20..0x7f).contains(byte));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_size && is_plain)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Digits alone: no sign, no space, no list.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes a chunked body that arrives in these portions.
    fn decode(portions: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), ChunkError> {
        let mut content = Content::Chunks(Chunks::Size);
        let (mut read, mut body) = (BytesMut::new(), Vec::new());
        for portion in portions {
            read.extend_from_slice(portion);
            loop {
                match content.next(&mut read)? {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::Trailer(_) => {}
                    Piece::NeedsMore => break,
                    Piece::End => return Ok((body, read.to_vec())),
                }
            }
        }
        Err(ChunkError)
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            " 1\r\na\r\n",
            "1\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "1;\0\r\na\r\n",
            "fffffffffffffffff\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
        ] {
            assert_eq!(decode(&[bad.as_bytes()]), Err(ChunkError), "{bad:?}");
        }
        for odd in [": x", "X y: 1", " folded: x", "X\u{e9}: 1", "no colon"] {
            let trailers = format!("0\r\n{odd}\r\n\r\n");
            assert_eq!(decode(&[trailers.as_bytes()]), Err(ChunkError), "{odd}");
        }
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(10_000));
        assert_eq!(decode(&[trailers.as_bytes()]), Err(ChunkError));
        let endless = "1".repeat(LONGEST_LINE + 1);
        assert_eq!(decode(&[endless.as_bytes()]), Err(ChunkError));
    }

    proptest! {
        #[test]
        fn chunks_decode_to_what_was_encoded_however_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in prop_oneof![Just(""), Just(";a=b"), Just(" ;x")],
            trailers in prop_oneof![Just(""), Just("X-After: 1\r\n")],
            surplus in prop::collection::vec(any::<u8>(), 0..10),
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            wire.extend_from_slice(&surplus);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (wire.len() + 1)).collect();
            cuts.sort_unstable();
            let mut portions = Vec::new();
            let mut from = 0;
            for cut in cuts {
                portions.push(&wire[from..cut]);
                from = cut;
            }
            portions.push(&wire[from..]);
            let (body, left) = decode(&portions).unwrap();
            prop_assert_eq!(body, chunks.concat());
            // As far as it has arrived, what is beyond the body was not taken for it.
            prop_assert!(surplus.starts_with(&left));
        }

        #[test]
        fn arbitrary_chunks_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&bytes]);
        }
    }
}

//! HTTP/1.1 as it is written to a portal and read from it (RFC 9112): heads, framing and chunks,
//! from bytes to values and back. No sockets.
//!
//! It is strict where two readers could disagree about where an answer ends: such an answer is an
//! error, and its connection is not used again (HTTP-05).

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http::{header, response};
use httparse::ParserConfig;

/// The most bytes that the head of an answer may have: portals send long cookies.
const LONGEST_HEAD: usize = 64 * 1024;
/// The most fields that it may have.
const MOST_FIELDS: usize = 100;
/// The longest line of a chunk's size with its extensions, or of a trailer.
const LONGEST_LINE: usize = 4096;
/// The most bytes of trailers, dropped or not.
const LONGEST_TRAILERS: usize = 16 * 1024;

/// What is wrong with what a portal sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the head of an HTTP/1 answer.
    #[error("the portal's answer does not begin as HTTP/1.1 does")]
    Head,
    /// A head over the limit.
    #[error("the head of the portal's answer has more than {LONGEST_HEAD} bytes")]
    HeadTooLong,
    /// More than one length, or a coding other than `chunked` alone.
    #[error("the portal's answer does not say in one way where it ends")]
    Framing,
    /// A chunk whose size or end is not one.
    #[error("the portal's answer has a chunk that is none")]
    Chunk,
    /// The connection ended first.
    #[error("the portal ended the connection within an answer")]
    Short,
    /// `101`, and not to what was asked for (HTTP-08).
    #[error("the portal switched to something else than the WebSocket that was asked for")]
    Upgrade,
    /// `101` without being asked.
    #[error("the portal switched protocols without being asked")]
    Switched,
}

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, and nothing is said about it.
    Absent,
    /// So many bytes.
    Length(u64),
    /// In chunks, because nobody knows.
    Chunked,
}

/// Writes the head of a request: the target that was judged, what we say ourselves, what is left of
/// the visitor's headers, and framing, which is ours (HTTP-01). That no name comes twice is because
/// all of ours were taken from the visitor's before.
pub(super) fn write_head<'h>(
    method: &Method,
    target: &str,
    ours: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
    visitors: &'h HeaderMap,
    framing: Framing,
) -> Bytes {
    let mut head = Vec::with_capacity(1536.max(target.len() + 1024));
    for piece in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in ours.chain(visitors) {
        head.reserve(name.as_str().len() + value.len() + 4);
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match framing {
        Framing::Absent => {}
        Framing::Length(length) => {
            head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}

/// What goes before a chunk of so many bytes; `\r\n` goes after it.
pub(super) fn chunk_head(length: usize) -> Bytes {
    Bytes::from(format!("{length:x}\r\n"))
}

/// The head of an answer, and what follows it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) content: Content,
    /// The length that an answer to HEAD says a GET would have (RFC 9110, section 9.3.2).
    pub(super) announced: Option<u64>,
    /// Whether the portal keeps the connection open afterwards.
    pub(super) keeps_open: bool,
}

/// Takes the head of an answer off the front of what was read; `None` while it is not complete.
/// `101` is an answer only where it `may_switch`. Interim answers are passed over: they belong to nobody (RFC 9110, section 15.2).
pub(super) fn read_head(
    read: &mut BytesMut,
    method: &Method,
    may_switch: bool,
) -> Result<Option<Head>, WireError> {
    loop {
        let Some((parts, version)) = parse_head(read)? else {
            return match read.len() > LONGEST_HEAD {
                true => Err(WireError::HeadTooLong),
                false => Ok(None),
            };
        };
        match parts.status {
            // What follows is no content of this answer.
            StatusCode::SWITCHING_PROTOCOLS if may_switch => {
                let (content, announced, keeps_open) = (Content::Length(0), None, false);
                return Ok(Some(Head { parts, content, announced, keeps_open }));
            }
            StatusCode::SWITCHING_PROTOCOLS => return Err(WireError::Switched),
            status if status.is_informational() => {}
            _ => {
                let (content, length) = Content::of(&parts, version, method)?;
                let announced = length.filter(|_| method == Method::HEAD);
                let keeps_open =
                    keeps_open(&parts.headers, version) && !matches!(content, Content::UntilClose);
                return Ok(Some(Head { parts, content, announced, keeps_open }));
            }
        }
    }
}

fn parse_head(read: &mut BytesMut) -> Result<Option<(response::Parts, Version)>, WireError> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = memchr::memmem::find(read, END) else {
        // What cannot become a head need not be waited for.
        let could_be = read.iter().zip(b"HTTP/1.").all(|(one, other)| one == other);
        return if could_be { Ok(None) } else { Err(WireError::Head) };
    };
    if end > LONGEST_HEAD {
        return Err(WireError::HeadTooLong);
    }
    let head = read.split_to(end + END.len()).freeze();
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, &head, &mut fields);
    // A line feed alone could end the head earlier, for a reader that takes it for a line's end.
    if status != Ok(httparse::Status::Complete(head.len())) {
        return Err(WireError::Head);
    }
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        _ => return Err(WireError::Head),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(());
    *response.status_mut() = status.ok_or(WireError::Head)?;
    // Room for what is added on the way to the visitor.
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 4);
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| WireError::Head)?;
        // Values share the memory of the head.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        headers.append(name, value.map_err(|_| WireError::Head)?);
    }
    *response.headers_mut() = headers;
    Ok(Some((response.into_parts().0, version)))
}

fn keeps_open(headers: &HeaderMap, version: Version) -> bool {
    let says = |wanted: &str| {
        headers.get_all(header::CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        })
    };
    match version {
        Version::HTTP_11 => !says("close"),
        _ => says("keep-alive") && !says("close"),
    }
}

/// What is left of an answer's body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks, at this point.
    Chunks(Chunks),
    /// Everything until the portal closes the connection.
    UntilClose,
}

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
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
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Some of the body.
    Data(Bytes),
    /// The line of a trailer, which nobody has judged.
    Trailer(Bytes),
    /// Nothing yet: more has to be read from the connection.
    NeedsMore,
    /// The end of the body.
    End,
}

impl Content {
    /// With the length that the head says.
    fn of(
        parts: &response::Parts,
        version: Version,
        method: &Method,
    ) -> Result<(Self, Option<u64>), WireError> {
        let headers = &parts.headers;
        let codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let (length, second) = (lengths.next(), lengths.next());
        let length = length.map(|length| decimal(length.as_bytes()).ok_or(WireError::Framing));
        let length = length.transpose()?;
        let mut codings = codings.map(HeaderValue::as_bytes);
        let coding = (codings.next(), codings.next());
        if second.is_some() {
            return Err(WireError::Framing);
        }
        let without_content = method == Method::HEAD
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let content = match (coding, length) {
            _ if without_content => Self::Length(0),
            ((None, _), Some(length)) => Self::Length(length),
            ((None, _), None) => Self::UntilClose,
            ((Some(coding), None), None)
                if version == Version::HTTP_11 && coding.eq_ignore_ascii_case(b"chunked") =>
            {
                Self::Chunks(Chunks::Size)
            }
            _ => return Err(WireError::Framing),
        };
        Ok((content, length))
    }

    /// Whether nothing is left.
    pub(super) const fn is_at_end(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunks(Chunks::Done))
    }

    /// The next piece of the body out of what was read.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, WireError> {
        match self {
            Self::Length(left) => Ok(take_data(read, left)),
            Self::UntilClose if read.is_empty() => Ok(Piece::NeedsMore),
            Self::UntilClose => Ok(Piece::Data(read.split().freeze())),
            Self::Chunks(chunks) => chunks.next(read),
        }
    }
}

impl Chunks {
    fn next(&mut self, read: &mut BytesMut) -> Result<Piece, WireError> {
        loop {
            match *self {
                Self::Size => {
                    let Some(line) = take_line(read)? else { return Ok(Piece::NeedsMore) };
                    *self = match chunk_size(&line).ok_or(WireError::Chunk)? {
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
                        return Err(WireError::Chunk);
                    }
                    read.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers(read_so_far) => {
                    let Some(line) = take_line(read)? else { return Ok(Piece::NeedsMore) };
                    let read_so_far = read_so_far + line.len();
                    if read_so_far > LONGEST_TRAILERS {
                        return Err(WireError::Chunk);
                    }
                    if line.is_empty() {
                        *self = Self::Done;
                    } else {
                        *self = Self::Trailers(read_so_far);
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
fn take_line(read: &mut BytesMut) -> Result<Option<BytesMut>, WireError> {
    let Some(at) = read.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if read.len() >= LONGEST_LINE { Err(WireError::Chunk) } else { Ok(None) };
    };
    let mut line = read.split_to(at + 1);
    if !line.ends_with(b"\r\n") {
        return Err(WireError::Chunk);
    }
    line.truncate(at - 1);
    Ok(Some(line))
}

/// The name and value in the line of a trailer.
pub(super) fn trailer(line: &Bytes) -> Result<(HeaderName, HeaderValue), WireError> {
    let colon = memchr::memchr(b':', line).ok_or(WireError::Chunk)?;
    let (name, value) = (line.slice(..colon), line.slice(colon + 1..));
    let name = HeaderName::from_bytes(&name).map_err(|_| WireError::Chunk)?;
    let value = HeaderValue::from_maybe_shared(value.slice_ref(value.trim_ascii()));
    Ok((name, value.map_err(|_| WireError::Chunk)?))
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
fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Option<Head>, WireError> {
        read_head(&mut BytesMut::from(text), &Method::GET, false)
    }

    fn content(fields: &str) -> Result<Content, WireError> {
        head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|head| head.unwrap().content)
    }

    #[test]
    fn http_05_an_answer_says_in_one_way_where_it_ends() {
        assert_eq!(content("Content-Length: 12\r\n"), Ok(Content::Length(12)));
        assert_eq!(content(""), Ok(Content::UntilClose));
        let chunked = Ok(Content::Chunks(Chunks::Size));
        assert_eq!(content("Transfer-Encoding: chunked\r\n"), chunked);
        for ambiguous in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            assert_eq!(content(ambiguous), Err(WireError::Framing), "{ambiguous}");
        }
    }

    #[test]
    fn heads_that_are_none_are_refused() {
        for bad in [
            "HTTP/2.0 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 99 X\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            "\0\0",
        ] {
            assert_eq!(head(bad).err(), Some(WireError::Head), "{bad:?}");
        }
        assert_eq!(head("HTTP/1.1 101 X\r\n\r\n").err(), Some(WireError::Switched));
        let many = "A: b\r\n".repeat(MOST_FIELDS + 1);
        assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).err(), Some(WireError::Head));
        let long = "a".repeat(LONGEST_HEAD);
        assert_eq!(
            head(&format!("HTTP/1.1 200 OK\r\nA: {long}")).err(),
            Some(WireError::HeadTooLong)
        );
        assert!(head("HTTP/1.1 200 OK\r\nA: ").unwrap().is_none());
    }

    #[test]
    fn http_09_interim_answers_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                    HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n";
        let head = head(text).unwrap().unwrap();
        assert_eq!(head.parts.status, StatusCode::NO_CONTENT);
        assert_eq!(head.parts.headers.len(), 1);
        assert!(head.content.is_at_end() && head.keeps_open);
    }

    #[test]
    fn connections_are_kept_as_the_portal_says() {
        let keeps = |text: &str| head(text).unwrap().unwrap().keeps_open;
        assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n"));
        assert!(!keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\n\r\n"));
    }

    /// Decodes a chunked body that arrives in these portions.
    fn decode(portions: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), WireError> {
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
        Err(WireError::Short)
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
        ] {
            assert_eq!(decode(&[bad.as_bytes()]), Err(WireError::Chunk), "{bad:?}");
        }
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(10_000));
        assert_eq!(decode(&[trailers.as_bytes()]), Err(WireError::Chunk));
        let endless = "1".repeat(LONGEST_LINE + 1);
        assert_eq!(decode(&[endless.as_bytes()]), Err(WireError::Chunk));
    }

    #[test]
    fn hdr_07_a_trailer_is_a_name_and_a_value() {
        let read = |line: &str| trailer(&Bytes::from(line.to_owned()));
        let (name, value) = read("Grpc-Status:  0 ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("grpc-status", "0"));
        for bad in ["x", ": y", "a b: c", " a: b", "a : b", "a: \u{1}", "a\r: b"] {
            assert_eq!(read(bad).err(), Some(WireError::Chunk), "{bad:?}");
        }
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
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_head(&mut BytesMut::from(&*bytes), &Method::GET, false);
            let answer = [b"HTTP/1.1 200 OK\r\n", &*bytes].concat();
            let _ = read_head(&mut BytesMut::from(&*answer), &Method::GET, false);
            let _ = decode(&[&bytes]);
        }
    }
}

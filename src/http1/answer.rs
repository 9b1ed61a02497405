//! HTTP/1.1 as it is written to a portal and read from it (RFC 9112): the head of a request out,
//! the head of an answer in.
//!
//! It is strict where two readers could disagree about where an answer ends: such an answer is an
//! error, and its connection is not used again (HTTP-05).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http::{header, response};
use httparse::ParserConfig;

use super::content::{ChunkError, Chunks, decimal};
pub(crate) use super::content::{Content, Piece, chunk_head};

/// The most bytes that the head of an answer may have: portals send long cookies.
const LONGEST_HEAD: usize = 64 * 1024;
/// The most fields that it may have.
const MOST_FIELDS: usize = 100;
/// The most interim answers before the answer itself.
const MOST_INTERIM: u32 = 32;

/// What is wrong with what a portal sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the head of an HTTP/1 answer.
    #[error("the portal's answer does not begin as HTTP/1.1 does")]
    Head,
    /// A head over the limit.
    #[error("the head of the portal's answer has more than {LONGEST_HEAD} bytes")]
    HeadTooLong,
    /// Interim answers without end (LIM-05).
    #[error("the portal gave more than {MOST_INTERIM} interim answers")]
    Interim,
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
pub(crate) enum Framing {
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
pub(crate) fn write_head<'h>(
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

/// The head of an answer, and what follows it.
pub(crate) struct Head {
    pub(crate) parts: response::Parts,
    pub(crate) content: Content,
    /// The length that a GET would have, in an answer to HEAD or one that says that nothing has
    /// changed (RFC 9110, sections 9.3.2 and 15.4.5).
    pub(crate) announced: Option<u64>,
    /// Whether the portal keeps the connection open afterwards.
    pub(crate) keeps_open: bool,
}

/// Takes the head of an answer off the front of what was read; `None` while it is not complete.
/// `101` is an answer only where it `may_switch`. Interim answers are passed over: they belong to
/// nobody (RFC 9110, section 15.2), and `interim` counts them.
pub(crate) fn read_head(
    read: &mut BytesMut,
    method: &Method,
    may_switch: bool,
    interim: &mut u32,
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
            status if status.is_informational() => {
                *interim = interim.saturating_add(1);
                if *interim > MOST_INTERIM {
                    return Err(WireError::Interim);
                }
            }
            _ => {
                let (content, length) = Content::of(&parts, version, method)?;
                let announced = length.filter(|_| says_length_only(method, parts.status));
                let keeps_open = keeps_open(&parts.headers, version)
                    && !matches!(content, Content::UntilClose)
                    && !may_bring_a_body(&parts, content);
                return Ok(Some(Head { parts, content, announced, keeps_open }));
            }
        }
    }
}

/// Whether an answer that has no body announces one. A portal that sends it all the same may do so
/// a moment later, and it would be the answer to somebody else's request (HTTP-05).
fn may_bring_a_body(parts: &response::Parts, content: Content) -> bool {
    let length = parts.headers.get(header::CONTENT_LENGTH);
    content == Content::Length(0)
        && (length.is_some_and(|length| decimal(length.as_bytes()) != Some(0))
            || parts.headers.contains_key(header::TRANSFER_ENCODING))
}

/// Whether a length is that of another answer, and none of this one's body.
fn says_length_only(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || status == StatusCode::NOT_MODIFIED
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

impl From<ChunkError> for WireError {
    fn from(ChunkError: ChunkError) -> Self {
        Self::Chunk
    }
}

impl Content {
    /// How an answer's body is framed, and the length that its head says.
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
            ((None, _), Some(length)) => Self::Length(length),
            ((None, _), None) => Self::UntilClose,
            ((Some(coding), None), None)
                if version == Version::HTTP_11 && coding.eq_ignore_ascii_case(b"chunked") =>
            {
                Self::Chunks(Chunks::Size)
            }
            _ => return Err(WireError::Framing),
        };
        Ok((if without_content { Self::Length(0) } else { content }, length))
    }
}

/// The name and value in the line of a trailer.
pub(crate) fn trailer(line: &Bytes) -> Result<(HeaderName, HeaderValue), WireError> {
    let colon = memchr::memchr(b':', line).ok_or(WireError::Chunk)?;
    let (name, value) = (line.slice(..colon), line.slice(colon + 1..));
    let name = HeaderName::from_bytes(&name).map_err(|_| WireError::Chunk)?;
    let value = HeaderValue::from_maybe_shared(value.slice_ref(value.trim_ascii()));
    Ok((name, value.map_err(|_| WireError::Chunk)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Option<Head>, WireError> {
        read_head(&mut BytesMut::from(text), &Method::GET, false, &mut 0)
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
    fn lim_05_interim_answers_have_an_end() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MOST_INTERIM as usize);
        assert!(head(&interim).unwrap().is_none());
        let one_more = format!("{interim}HTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(head(&one_more).err(), Some(WireError::Interim));
        // In pieces, too.
        let (mut read, mut count) = (BytesMut::new(), 0);
        let mut next = || {
            read.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            read_head(&mut read, &Method::GET, false, &mut count)
        };
        assert!((0..MOST_INTERIM).all(|_| next().unwrap().is_none()));
        assert_eq!(next().err(), Some(WireError::Interim));
    }

    #[test]
    fn http_05_an_answer_that_announces_a_body_it_cannot_have_is_the_last() {
        let keeps = |method: &Method, text: &str| {
            let text = format!("HTTP/1.1 {text}\r\n\r\n");
            read_head(&mut BytesMut::from(&*text), method, false, &mut 0)
                .map(|head| head.unwrap().keeps_open)
        };
        assert_eq!(keeps(&Method::HEAD, "200 OK"), Ok(true));
        assert_eq!(keeps(&Method::HEAD, "200 OK\r\nContent-Length: 0"), Ok(true));
        assert_eq!(keeps(&Method::HEAD, "200 OK\r\nContent-Length: 5"), Ok(false));
        assert_eq!(keeps(&Method::HEAD, "200 OK\r\nTransfer-Encoding: chunked"), Ok(false));
        assert_eq!(keeps(&Method::GET, "304 Not Modified\r\nContent-Length: 5"), Ok(false));
        assert_eq!(keeps(&Method::GET, "204 No Content\r\nContent-Length: 5"), Ok(false));
        assert_eq!(keeps(&Method::GET, "204 No Content"), Ok(true));
        for ambiguous in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: x",
            "Content-Length: x",
        ] {
            let text = format!("200 OK\r\n{ambiguous}");
            assert_eq!(keeps(&Method::HEAD, &text), Err(WireError::Framing), "{ambiguous}");
        }
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
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_head(&mut BytesMut::from(&*bytes), &Method::GET, false, &mut 0);
            let answer = [b"HTTP/1.1 200 OK\r\n", &*bytes].concat();
            let _ = read_head(&mut BytesMut::from(&*answer), &Method::GET, false, &mut 0);
        }
    }
}

//! The head of a request, off the front of what a visitor has sent (RFC 9112, sections 2 to 6).
//!
//! Nothing is forgiven: what two readers could read differently is no request at all (HTTP-02,
//! HTTP-03). Deliberately not here: hosts, paths and what the fields mean, which the gate judges.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use memchr::memchr;

use super::content::{Chunks, Content, decimal};

/// The longest target, in bytes (LIM-01).
const LONGEST_TARGET: usize = crate::gate::RawTarget::LONGEST;
/// The longest request line: a target, and the words around it.
const LONGEST_LINE: usize = LONGEST_TARGET + 64;
/// The most bytes of a head: a request line, and fields as the gate takes them with their line
/// ends and spaces (LIM-01).
pub(crate) const LONGEST_HEAD: usize = LONGEST_LINE + crate::gate::Asked::LARGEST_HEAD + 1024;
/// The most fields (LIM-01).
const MOST_FIELDS: usize = crate::gate::Asked::MOST_FIELDS;

/// A request without its body.
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    /// As it stood on the line.
    pub(crate) target: Bytes,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// How its body is framed; never until the connection is closed.
    pub(crate) content: Content,
    /// Whether the visitor keeps the connection open for another request.
    pub(crate) keeps_open: bool,
    /// Whether the visitor waits to be asked for the body (RFC 9110, section 10.1.1).
    pub(crate) awaits_continue: bool,
}

/// Nothing of what a visitor sends is shown but how it is framed (LOG-01).
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Why there is no request. The connection is closed after each of them: nobody can tell where
/// the next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// Not a request line and fields as HTTP/1.1 has them (HTTP-03).
    #[error("the request is not HTTP/1.1")]
    Malformed,
    /// More than one way to read where the body ends (HTTP-02).
    #[error("the request does not say in one way where it ends")]
    Framing,
    /// An expectation other than `100-continue` (HTTP-09).
    #[error("the request expects something that is not known")]
    Expectation,
    /// A target over the limit (LIM-01).
    #[error("the target has more than {LONGEST_TARGET} bytes")]
    TargetTooLong,
    /// Fields over the limits (LIM-01).
    #[error("the header fields are too many or too long")]
    TooLarge,
}

impl HeadError {
    /// The stable name of this reason.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed | Self::Framing => "request-malformed",
            Self::Expectation => "expectation-unknown",
            Self::TargetTooLong => "path-too-long",
            Self::TooLarge => "head-too-large",
        }
    }
}

/// How far a head has been looked through, so that a byte is looked at once however slowly the
/// head arrives.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Everything before has no line end that was not seen.
    searched: usize,
    /// Where the current line begins.
    line: usize,
    /// An empty line came before the request (RFC 9112, section 2.2); a second one is too much.
    has_skipped: bool,
}

impl Search {
    /// Takes the head of a request off the front of what was read; `None` while it is not complete.
    /// `spare` is an empty map whose memory the fields take.
    pub(crate) fn take_head(
        &mut self,
        read: &mut BytesMut,
        spare: &mut HeaderMap,
    ) -> Result<Option<RequestHead>, HeadError> {
        let Some(end) = self.find_end(read)? else { return Ok(None) };
        *self = Self::default();
        let head = read.split_to(end).freeze();
        parse(&head, std::mem::take(spare)).map(Some)
    }

    /// Where the head ends: behind the first empty line after a request line.
    fn find_end(&mut self, read: &mut BytesMut) -> Result<Option<usize>, HeadError> {
        if read.first().is_some_and(|first| *first != b'\r' && !is_letter(*first)) {
            return Err(HeadError::Malformed);
        }
        while let Some(offset) = read.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let at = self.searched + offset;
            let line = read.get(self.line..at).unwrap_or_default();
            // A line feed alone could end a line, or the head, for another reader.
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(HeadError::Malformed);
            };
            let (is_empty, length, is_first) = (line.is_empty(), line.len(), self.line == 0);
            self.searched = at + 1;
            self.line = at + 1;
            match (is_empty, is_first) {
                (true, true) if self.has_skipped => return Err(HeadError::Malformed),
                (true, true) => {
                    read.advance(at + 1);
                    *self = Self { has_skipped: true, ..Self::default() };
                    if read.first().is_some_and(|first| !is_letter(*first) && *first != b'\r') {
                        return Err(HeadError::Malformed);
                    }
                }
                (true, false) if at >= LONGEST_HEAD => return Err(HeadError::TooLarge),
                (true, false) => return Ok(Some(at + 1)),
                (false, true) if length > LONGEST_LINE => return Err(HeadError::TargetTooLong),
                (false, _) => {}
            }
        }
        self.searched = read.len();
        match (self.line, read.len()) {
            (0, length) if length > LONGEST_LINE + 1 => Err(HeadError::TargetTooLong),
            (_, length) if length > LONGEST_HEAD => Err(HeadError::TooLarge),
            _ => Ok(None),
        }
    }

    /// Whether nothing of a request has arrived.
    pub(crate) fn has_begun(&self, read: &BytesMut) -> bool {
        self.has_skipped || !read.is_empty()
    }
}

/// What every method begins with that is worth waiting for.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

/// A whole head: lines that each end with `\r\n`, the last of them empty.
fn parse(head: &Bytes, mut headers: HeaderMap) -> Result<RequestHead, HeadError> {
    let (line, mut rest) = split_line(head).ok_or(HeadError::Malformed)?;
    let (method, target, version) = request_line(head, line)?;
    let mut framing = Fields { version, ..Fields::default() };
    let mut count = 0;
    // Room for what is added on the way to the portal.
    headers.reserve(16);
    while let Some((line, after)) = split_line(rest) {
        rest = after;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > MOST_FIELDS {
            return Err(HeadError::TooLarge);
        }
        let (name, value) = field(head, line).ok_or(HeadError::Malformed)?;
        framing.note(&name, &value)?;
        headers.append(name, value);
    }
    if target.len() > LONGEST_TARGET {
        return Err(HeadError::TargetTooLong);
    }
    let content = framing.content()?;
    Ok(RequestHead {
        method,
        target,
        version,
        headers,
        content,
        keeps_open: !framing.closes && (version == Version::HTTP_11 || framing.keeps_alive),
        // Who speaks HTTP/1.0 cannot wait for an interim answer (RFC 9110, section 10.1.1).
        awaits_continue: framing.awaits_continue
            && version == Version::HTTP_11
            && !content.is_at_end(),
    })
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(memchr(b'\n', text)? + 1)?;
    Some((line.strip_suffix(b"\r\n")?, rest))
}

/// `METHOD SP target SP HTTP/1.x`, to the letter (RFC 9112, section 3).
fn request_line(head: &Bytes, line: &[u8]) -> Result<(Method, Bytes, Version), HeadError> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(HeadError::Malformed);
    };
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => return Err(HeadError::Malformed),
    };
    // Other odd characters are the gate's: a page can say more about them.
    if target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Err(HeadError::Malformed);
    }
    let method = Method::from_bytes(method).map_err(|_| HeadError::Malformed)?;
    Ok((method, head.slice_ref(target), version))
}

/// A name that is a token, directly before its colon, and a value without control characters. A
/// line that goes on with the one before has a space where its name would be (RFC 9112, section 5).
fn field(head: &Bytes, line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
    let name = HeaderName::from_bytes(name).ok()?;
    let value = trim(value.get(1..)?);
    // The value shares the memory of the head.
    Some((name, HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?))
}

/// Without the spaces and tabs around it, and nothing else.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What the fields say about the connection and the body.
#[derive(Debug, Default)]
struct Fields {
    version: Version,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps_alive: bool,
    awaits_continue: bool,
}

impl Fields {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeadError> {
        if *name == header::CONTENT_LENGTH {
            let length = decimal(value.as_bytes()).ok_or(HeadError::Framing)?;
            if self.length.replace(length).is_some() {
                return Err(HeadError::Framing);
            }
        } else if *name == header::TRANSFER_ENCODING {
            let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
            if !is_chunked || self.is_chunked || self.version != Version::HTTP_11 {
                return Err(HeadError::Framing);
            }
            self.is_chunked = true;
        } else if *name == header::CONNECTION {
            for option in value.as_bytes().split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                self.closes |= option.eq_ignore_ascii_case(b"close");
                self.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == header::EXPECT {
            if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
                return Err(HeadError::Expectation);
            }
            self.awaits_continue = true;
        }
        Ok(())
    }

    /// How the body is framed: by exactly one of the two, or there is none (HTTP-02).
    fn content(&self) -> Result<Content, HeadError> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(HeadError::Framing),
            (None, true) => Ok(Content::Chunks(Chunks::Size)),
            (length, false) => Ok(Content::Length(length.unwrap_or(0))),
        }
    }
}

#[cfg(test)]
mod tests;

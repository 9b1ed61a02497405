//! A question of Envoy's, and its answer: the messages of `envoy.service.auth.v3`, as far as we read
//! and write them, and what a request and an answer of ours are in them. What a message describes is
//! there once and in one way, or nothing is believed (VER-01). Deliberately not here: how messages
//! travel (`grpc`), and what becomes of the request (`verify`).

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use prost::Message;

use super::described::{self, Undescribed};
use super::request::Head;
use super::verify::{Passing, Shown};
use crate::gate::RawTarget;

/// A request as a message described it.
pub(super) struct Described {
    pub(super) head: Head,
    /// Path and query, as they were said.
    pub(super) target: String,
    /// What of its body came along.
    pub(super) body: Bytes,
    pub(super) shown: Shown,
    /// Whose it is, if that was said.
    pub(super) source: Option<IpAddr>,
}

/// By which Envoy says whether a body is whole.
static PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// Reads a question.
///
/// # Errors
/// Where something is missing, doubled or no such thing.
pub(super) fn read(message: Bytes) -> Result<Described, Undescribed> {
    let question = CheckRequest::decode(message).map_err(|_| Undescribed::Description)?;
    let attributes = question.attributes.ok_or(Undescribed::Description)?;
    let source = source(attributes.source)?;
    let http = attributes.request.and_then(|request| request.http);
    let http = http.ok_or(Undescribed::Description)?;
    // The path has the query; a fragment is nobody's business.
    if !http.query.is_empty() || !http.fragment.is_empty() {
        return Err(Undescribed::Description);
    }
    let mut headers = headers(&http)?;
    let partial = partial(&mut headers)?;
    let (shown, body) = body(&http, &headers, partial.as_ref())?;
    let (target, version) = (RawTarget::Line(Bytes::new()), Version::HTTP_11);
    let mut head = Head { method: Method::GET, target, version, headers };
    let [method, scheme, host, path] =
        [http.method, http.scheme, http.host, http.path].map(HeaderValue::from_maybe_shared);
    let unreadable = |_| Undescribed::Description;
    let (method, scheme) = (method.map_err(unreadable)?, scheme.map_err(unreadable)?);
    let host = described::host(host.map_err(unreadable)?)?;
    let path = path.map_err(unreadable)?;
    let target = described::part_by_part(&mut head, &method, &scheme, host, &path)?;
    Ok(Described { head, target, body, shown, source })
}

fn source(source: Option<Peer>) -> Result<Option<IpAddr>, Undescribed> {
    let socket = source.and_then(|peer| peer.address).and_then(|address| address.socket_address);
    let said = socket.map(|socket| socket.address).filter(|address| !address.is_empty());
    let Some(said) = said else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&said).map_err(|_| Undescribed::Description)?;
    text.parse().map(Some).map_err(|_| Undescribed::Description)
}

/// More than any request may have, and fewer than a map may hold.
const MOST_FIELDS: usize = 4096;

/// The headers, which come in one of two ways: together where they are of one name and tidied up, or
/// as they are.
fn headers(http: &HttpRequest) -> Result<HeaderMap, Undescribed> {
    let raw = http.header_map.as_ref().map_or(&[][..], |map| &map.headers);
    if !raw.is_empty() && !http.headers.is_empty() {
        return Err(Undescribed::Description);
    }
    // A map has a bound of its own, and what meets that is no answer.
    if raw.len().saturating_add(http.headers.len()) > MOST_FIELDS {
        return Err(Undescribed::Description);
    }
    let mut seen = HashSet::new();
    let mut headers = HeaderMap::with_capacity(raw.len() + http.headers.len());
    let mut is_path_confirmed = false;
    let tidy = http.headers.iter().map(|field| (&field.key, &field.value, &NOTHING));
    let all = raw.iter().map(|field| (&field.key, &field.value, &field.raw_value)).chain(tidy);
    for (key, value, raw_value) in all {
        let value = match (value.is_empty(), raw_value.is_empty()) {
            (false, false) => return Err(Undescribed::Description),
            (false, true) => value,
            (true, _) => raw_value,
        };
        // A name that HTTP/2 would not have, another reader may fold to one that it has.
        if key.iter().any(u8::is_ascii_uppercase) {
            return Err(Undescribed::Description);
        }
        let is_first = seen.insert(key);
        let said = match &**key {
            b":method" => Some(&http.method),
            b":scheme" => Some(&http.scheme),
            b":authority" | b"host" => Some(&http.host),
            b":path" => Some(&http.path),
            _ => None,
        };
        if let Some(said) = said {
            if said != value || !is_first {
                return Err(Undescribed::Description);
            }
            is_path_confirmed |= &**key == b":path" && !raw.is_empty();
            continue;
        }
        if raw.is_empty() && !is_first {
            return Err(Undescribed::Description);
        }
        let name = HeaderName::from_bytes(key).map_err(|_| Undescribed::Description)?;
        let value = HeaderValue::from_maybe_shared(value.clone());
        headers.append(name, value.map_err(|_| Undescribed::Description)?);
    }
    // What is no UTF-8 comes as `!` unless it comes as it is, and would be sent on as it is.
    let path = http.path.split(|byte| *byte == b'?').next().unwrap_or_default();
    if path.contains(&b'!') && !is_path_confirmed {
        return Err(Undescribed::Description);
    }
    Ok(headers)
}

/// An empty value.
static NOTHING: Bytes = Bytes::new();

/// What Envoy says of the body, which is in nobody's request.
fn partial(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, Undescribed> {
    if headers.get_all(&PARTIAL_BODY).iter().nth(1).is_some() {
        return Err(Undescribed::Description);
    }
    Ok(headers.remove(&PARTIAL_BODY))
}

/// What is there of the body. A visitor can say that it is whole where nothing of it was sent along;
/// so that counts only where something was, for then Envoy says it.
fn body(
    http: &HttpRequest,
    headers: &HeaderMap,
    partial: Option<&HeaderValue>,
) -> Result<(Shown, Bytes), Undescribed> {
    let body = match (http.body.is_empty(), http.raw_body.is_empty()) {
        (false, false) => return Err(Undescribed::Description),
        (false, true) => http.body.clone(),
        (true, _) => http.raw_body.clone(),
    };
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let announced = headers.get(header::CONTENT_LENGTH).filter(|_| !is_chunked);
    let announced = announced.map(|length| {
        let digits = length.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse::<u64>().ok());
        length.ok_or(Undescribed::Description)
    });
    let shown = match (body.len() as u64, announced.transpose()?) {
        (0, Some(0)) => Shown::Absent,
        (0, _) => Shown::Nothing,
        _ if partial.is_some_and(|partial| partial != "false") => Shown::Part,
        (here, Some(announced)) if here == announced => Shown::Whole,
        // Of a body whose length nobody announced Envoy says that it is whole when as much is there as
        // it may send, though more may come.
        _ => Shown::Part,
    };
    Ok((shown, body))
}

/// The answer: a yes is what a permit made, and all else a no, whatever its status.
///
/// A message in which nothing is said would be a yes, so none is made but here.
pub(super) fn answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
    passing: Option<Passing>,
) -> CheckResponse {
    let passing = passing.filter(|_| status == StatusCode::OK);
    match passing.map(|passing| passes(passing, headers)) {
        Some(Ok(passes)) => CheckResponse {
            status: Some(Status { code: OK }),
            denied_response: None,
            ok_response: Some(passes),
        },
        // A text of its messages cannot carry it, and would be lost with the whole answer.
        Some(Err(NoText)) => denied(StatusCode::FORBIDDEN, &HeaderMap::new(), Bytes::new()),
        None => denied(status, headers, body),
    }
}

/// It cannot be said in UTF-8.
struct NoText;

fn passes(passing: Passing, headers: &HeaderMap) -> Result<OkHttpResponse, NoText> {
    let set = passing.set.iter();
    let set = set.map(|(name, value)| option(name, value, OVERWRITE)).collect::<Result<_, _>>()?;
    let cookies = headers.get_all(header::SET_COOKIE).iter();
    let cookies = cookies.map(|value| option(&header::SET_COOKIE, value, APPEND));
    Ok(OkHttpResponse {
        headers: set,
        headers_to_remove: passing.remove.iter().map(|name| name.as_str().to_owned()).collect(),
        response_headers_to_add: cookies.collect::<Result<_, _>>()?,
    })
}

fn denied(status: StatusCode, headers: &HeaderMap, body: Bytes) -> CheckResponse {
    // Whatever was to be said: no success is a no.
    let status = if status.is_success() { StatusCode::FORBIDDEN } else { status };
    let headers = headers.iter().filter_map(|(name, value)| option(name, value, APPEND).ok());
    CheckResponse {
        status: Some(Status { code: PERMISSION_DENIED }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
            headers: headers.collect(),
            body,
        }),
        ok_response: None,
    }
}

fn option(name: &HeaderName, value: &HeaderValue, action: i32) -> Result<HeaderOption, NoText> {
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| NoText)?.to_owned();
    let header = Some(HeaderText { key: name.as_str().to_owned(), value });
    Ok(HeaderOption { header, action })
}

/// `google.rpc.Code`.
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;

/// `HeaderAppendAction`: beside what is there, or in its place.
const APPEND: i32 = 0;
const OVERWRITE: i32 = 2;

/// There are cookies and forms in these (LOG-01).
macro_rules! hidden {
    ($($message:ident)*) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(…)"))
            }
        })*
    };
}

hidden! {
    CheckRequest AttributeContext Peer Address SocketAddress Request HttpRequest HeaderField
    RawHeaders RawHeader CheckResponse Status HttpStatus DeniedHttpResponse OkHttpResponse
    HeaderOption HeaderText
}

// Texts are bytes here: what is no UTF-8 in them is for us to judge, and no reason to read nothing.

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Peer {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct SocketAddress {
    #[prost(bytes = "bytes", tag = "2")]
    address: Bytes,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HttpRequest {
    #[prost(bytes = "bytes", tag = "2")]
    method: Bytes,
    /// A map, whose doubled keys a list shows.
    #[prost(message, repeated, tag = "3")]
    headers: Vec<HeaderField>,
    #[prost(bytes = "bytes", tag = "4")]
    path: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    host: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    scheme: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    query: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    fragment: Bytes,
    #[prost(bytes = "bytes", tag = "11")]
    body: Bytes,
    #[prost(bytes = "bytes", tag = "12")]
    raw_body: Bytes,
    #[prost(message, optional, tag = "13")]
    header_map: Option<RawHeaders>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HeaderField {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct RawHeaders {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<RawHeader>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct RawHeader {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
}

/// What Envoy is told.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied_response: Option<DeniedHttpResponse>,
    #[prost(message, optional, tag = "3")]
    ok_response: Option<OkHttpResponse>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(bytes = "bytes", tag = "3")]
    body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    response_headers_to_add: Vec<HeaderOption>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<HeaderText>,
    #[prost(int32, tag = "3")]
    action: i32,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HeaderText {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(address: &'static str) -> Bytes {
        let socket_address =
            Some(SocketAddress { address: Bytes::from_static(address.as_bytes()) });
        let http = HttpRequest {
            method: Bytes::from_static(b"GET"),
            scheme: Bytes::from_static(b"https"),
            host: Bytes::from_static(b"members.example.org"),
            path: Bytes::from_static(b"/reports?a=b"),
            ..HttpRequest::default()
        };
        let attributes = AttributeContext {
            source: Some(Peer { address: Some(Address { socket_address }) }),
            request: Some(Request { http: Some(http) }),
        };
        Bytes::from(CheckRequest { attributes: Some(attributes) }.encode_to_vec())
    }

    #[test]
    fn fwd_02_whose_a_request_is_the_server_in_front_says() {
        let described = read(question("2001:db8::1")).unwrap();
        assert_eq!(described.source, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(described.target, "/reports?a=b");
        assert_eq!(read(question("")).unwrap().source, None);
        assert!(read(question("192.0.2.1:80")).is_err());
    }

    #[test]
    fn gen_02_a_yes_is_made_of_a_permit_alone() {
        let headers = HeaderMap::new();
        let passing = || Some(Passing { set: Vec::new(), remove: Vec::new() });
        for status in [200, 204, 303, 403, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            for passing in [None, passing()] {
                let is_yes = passing.is_some() && status == StatusCode::OK;
                let answer = answer(status, &headers, Bytes::new(), passing);
                assert_eq!(answer.ok_response.is_some(), is_yes);
                assert_eq!(answer.denied_response.is_none(), is_yes);
                assert_eq!(answer.status.map(|status| status.code == OK), Some(is_yes));
                let told = answer.denied_response.and_then(|denied| denied.status);
                assert!(told.is_none_or(|told| told.code >= 300), "{status}");
            }
        }
        let latin = HeaderValue::from_bytes(b"\xe9").unwrap();
        let passing = Passing { set: vec![(header::COOKIE, latin)], remove: Vec::new() };
        let answer = answer(StatusCode::OK, &headers, Bytes::new(), Some(passing));
        assert_eq!(answer.status, Some(Status { code: PERMISSION_DENIED }));
    }

    #[test]
    fn log_01_nothing_of_a_message_is_shown() {
        let message = CheckRequest::decode(question("192.0.2.1")).unwrap();
        assert_eq!(format!("{message:?}"), "CheckRequest(…)");
    }

    proptest::proptest! {
        #[test]
        fn ver_01_no_bytes_are_read_without_a_host_and_a_path(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            if let Ok(described) = read(Bytes::from(bytes)) {
                proptest::prop_assert!(described.target.starts_with('/'));
                proptest::prop_assert!(described.head.headers.contains_key(header::HOST));
            }
        }
    }
}

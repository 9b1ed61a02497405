//! How another server says which request it asks about: by headers, by the path of its question, or
//! in a message (`check`).
//! Each part is there once and whole, or nothing is believed (VER-01). What is read takes the place
//! of the question in its head, so that everything after this judges the request that was meant.
//! Deliberately not here: who may ask, and what becomes of it, which is `verify`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::request::Head;
use crate::gate::RawTarget;

/// Where the other server asks, whatever host it names.
pub(super) const PATH: &str = "/.auth/verify";

/// Why a request that another server asks about was not judged, or may not pass whatever the gate
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undescribed {
    /// It is not listed.
    #[error("who asks is not among `verify.peers`")]
    Peer,
    /// Something is missing, doubled, or no such thing.
    #[error("the description is not there once and whole: see `verify.description`")]
    Description,
    /// A visitor must not send it, and it cannot be taken out here.
    #[error(
        "the request has an identity header, one that names another address, a cookie of another \
         gate's, credentials or an upgrade that it would bring to the portal: have the server in \
         front take them out"
    )]
    Header,
    /// A rule looks at a body that was not sent along.
    #[error("a rule looks at the form, which forward-auth does not see")]
    Form,
    /// It is for us.
    #[error("this is an address of Anteport's own: have the server in front send it here")]
    Own,
}

impl Undescribed {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Peer => "verify-peer",
            Self::Description => "verify-description",
            Self::Header => "verify-header",
            Self::Form => "verify-form",
            Self::Own => "verify-own",
        }
    }
}

static X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
static X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// `X-Forwarded-…`: the target, and the rest in its place.
pub(super) fn forwarded(head: &mut Head) -> Result<String, Undescribed> {
    let host = host(take(&mut head.headers, &X_FORWARDED_HOST)?)?;
    let uri = take(&mut head.headers, &X_FORWARDED_URI)?;
    let scheme = take(&mut head.headers, &X_FORWARDED_PROTO)?;
    let method = take(&mut head.headers, &X_FORWARDED_METHOD)?;
    // Some say so of a WebSocket.
    let (scheme, is_websocket) = match scheme.as_bytes() {
        b"ws" => (HeaderValue::from_static("http"), true),
        b"wss" => (HeaderValue::from_static("https"), true),
        _ => (scheme, false),
    };
    // Traefik keeps `Upgrade` to itself, which is of one connection, and shows the rest.
    let is_websocket = is_websocket || head.headers.contains_key(header::SEC_WEBSOCKET_KEY);
    if is_websocket && !head.headers.contains_key(header::UPGRADE) {
        head.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    part_by_part(head, &method, &scheme, host, &uri)
}

/// What is said part by part: the target, and the rest in its place.
pub(super) fn part_by_part(
    head: &mut Head,
    method: &HeaderValue,
    scheme: &HeaderValue,
    host: HeaderValue,
    uri: &HeaderValue,
) -> Result<String, Undescribed> {
    if !matches!(scheme.as_bytes(), b"http" | b"https") {
        return Err(Undescribed::Description);
    }
    let target = uri.to_str().ok().filter(|uri| uri.starts_with('/'));
    let target = target.ok_or(Undescribed::Description)?.to_owned();
    let url = [scheme.as_bytes(), b"://", host.as_bytes(), target.as_bytes()].concat();
    put(head, method, url, host)?;
    Ok(target)
}

/// `X-Original-…`.
pub(super) fn original(head: &mut Head) -> Result<String, Undescribed> {
    let url = take(&mut head.headers, &X_ORIGINAL_URL)?;
    let method = take(&mut head.headers, &X_ORIGINAL_METHOD)?;
    let text = url.to_str().map_err(|_| Undescribed::Description)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or(Undescribed::Description)?;
    let (authority, target) = match rest.find(['/', '?']).and_then(|at| rest.split_at_checked(at)) {
        Some((authority, target)) if target.starts_with('/') => (authority, target.to_owned()),
        Some((authority, query)) => (authority, format!("/{query}")),
        None => (rest, "/".to_owned()),
    };
    let authority = HeaderValue::from_str(authority).map_err(|_| Undescribed::Description)?;
    put(head, &method, text.as_bytes().to_vec(), host(authority)?)?;
    Ok(target)
}

/// The question itself, less its beginning. One for a whole URL would name a host beside `Host`.
pub(super) fn by_path(head: &mut Head) -> Result<String, Undescribed> {
    if matches!(&head.target, RawTarget::Line(line) if !line.starts_with(b"/")) {
        return Err(Undescribed::Description);
    }
    let path = head.target.path().and_then(|path| path.strip_prefix(PATH));
    let path = path.filter(|path| path.starts_with('/'));
    let mut target = path.ok_or(Undescribed::Description)?.to_owned();
    if let Some(query) = head.target.query() {
        target.push('?');
        target.push_str(query);
    }
    if let RawTarget::Pseudo(uri) = &head.target
        && let Some(authority) = uri.authority()
    {
        let authority = HeaderValue::from_str(authority.as_str());
        let authority = authority.map_err(|_| Undescribed::Description)?;
        head.headers.insert(header::HOST, authority);
    }
    head.target = RawTarget::Line(Bytes::copy_from_slice(target.as_bytes()));
    Ok(target)
}

fn put(
    head: &mut Head,
    method: &HeaderValue,
    url: Vec<u8>,
    host: HeaderValue,
) -> Result<(), Undescribed> {
    head.method = Method::from_bytes(method.as_bytes()).map_err(|_| Undescribed::Description)?;
    head.target = RawTarget::Line(Bytes::from(url));
    head.headers.insert(header::HOST, host);
    Ok(())
}

/// The one value of a header, which is no visitor's then.
fn take(headers: &mut HeaderMap, name: &HeaderName) -> Result<HeaderValue, Undescribed> {
    let is_once = headers.get_all(name).iter().nth(1).is_none();
    let value = headers.remove(name).ok_or(Undescribed::Description)?;
    is_once.then_some(value).ok_or(Undescribed::Description)
}

/// A host that says nothing else beside.
pub(super) fn host(value: HeaderValue) -> Result<HeaderValue, Undescribed> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"/?#@,\\".contains(byte);
    let fits = !value.is_empty() && value.as_bytes().iter().all(is_plain);
    fits.then_some(value).ok_or(Undescribed::Description)
}

//! A request reduced to what we judge, read once. Deliberately not here: its other headers, which
//! decide nothing, and its body.

use std::borrow::Cow;

use http::header::{ACCEPT, COOKIE, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::cookies::{self, CookieReading};
use super::identity::check_single;
use super::path::{CanonicalPath, deny_key};
use super::route::{Policy, lies_under};
use super::target::{Aim, RawTarget};
use super::{Endpoint, Refusal, SessionId};

/// A request as the gate sees it.
#[derive(Debug)]
pub struct Asked<'h> {
    portal: usize,
    for_server: bool,
    method: Method,
    target: String,
    path_end: usize,
    folded: Option<String>,
    headers: &'h HeaderMap,
    cookies: CookieReading,
}

/// What the visitor's browser will do with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Show it as a page.
    Page,
    /// Hand it to a script, an image, a socket: a sign-in page would be lost on it.
    Background,
}

impl<'h> Asked<'h> {
    /// The most bytes of all header fields together (LIM-01).
    pub const LARGEST_HEAD: usize = 32 * 1024;
    /// The most header fields, HTTP/2's cookie crumbs counted one by one (LIM-01).
    pub const MOST_FIELDS: usize = 100;

    /// Reads a request for one of `portals`.
    ///
    /// # Errors
    /// A refusal, where the request cannot be read in exactly one way or names no portal of ours.
    pub fn read(
        portals: &[Policy],
        method: &Method,
        target: &RawTarget,
        headers: &'h HeaderMap,
    ) -> Result<Self, Refusal> {
        if !is_known(method) {
            return Err(Refusal::Method);
        }
        let aim = target.aim(method)?;
        let portal = portal(portals, &aim, headers)?;
        check_size(headers)?;
        check_single(headers)?;
        let room = aim.query.map_or(0, |query| query.len() + 1);
        let for_server = aim.path == "*";
        let path = if for_server { "/" } else { aim.path };
        let path = CanonicalPath::parse_with_room(path, room).map_err(Refusal::Path)?;
        let mut target = path.into_string();
        let path_end = target.len();
        let folded = match deny_key(&target) {
            Cow::Borrowed(_) => None,
            Cow::Owned(key) => Some(key),
        };
        if let Some(query) = aim.query {
            target.push('?');
            target.push_str(query);
        }
        Ok(Self {
            portal,
            for_server,
            method: method.clone(),
            target,
            path_end,
            folded,
            headers,
            cookies: cookies::read(headers.get_all(COOKIE)),
        })
    }

    /// Which of the portals it was read for.
    #[must_use]
    pub const fn portal(&self) -> usize {
        self.portal
    }

    /// The request's method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The canonical path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.get(..self.path_end).unwrap_or("/")
    }

    /// The query, without its `?`, as it was sent (PATH-19).
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.get(self.path_end + 1..)
    }

    /// Canonical path and query: what a permit sends.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What the visitor's browser will do with the answer.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        purpose(&self.method, self.headers)
    }

    /// The session that the visitor claims, if its cookie is there exactly once (COOK-03).
    #[must_use]
    pub const fn session_id(&self) -> Option<&SessionId> {
        self.cookies.session.as_ref()
    }

    /// Whether any cookie of ours came along, and so has to be taken out (COOK-01).
    #[must_use]
    pub const fn has_own_cookies(&self) -> bool {
        self.cookies.any_own
    }

    pub(super) fn deny_key(&self) -> &str {
        self.folded.as_deref().unwrap_or_else(|| self.path())
    }

    /// The endpoint of ours that it asks for, or that a sloppy reader could take it for.
    pub(super) fn own_endpoint(&self, own: &CanonicalPath) -> Option<Endpoint> {
        if self.for_server {
            return Some(Endpoint::Server);
        }
        lies_under(self.path(), own.as_str()).then(|| {
            let rest = self.path().strip_prefix(own.as_str());
            rest.map_or(Endpoint::Unknown, Endpoint::named)
        })
    }

    pub(super) fn into_target(self) -> String {
        self.target
    }
}

/// HOST-01: exactly one host, known to us; `Host`, `:authority` and an absolute target agree, and
/// the scheme is the one that visitors know (PATH-01).
fn portal(portals: &[Policy], aim: &Aim<'_>, headers: &HeaderMap) -> Result<usize, Refusal> {
    let mut named = headers.get_all(HOST).iter();
    let header = match (named.next(), named.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| Refusal::Host)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Refusal::Host),
    };
    let find = |host: &str| portals.iter().position(|portal| portal.is_at(host));
    let portal = match (header, aim.authority) {
        (Some(host), None) | (None, Some(host)) if is_plain_host(host) => {
            find(host).ok_or(Refusal::UnknownHost)
        }
        (Some(host), Some(authority)) if is_plain_host(host) && is_plain_host(authority) => {
            match (find(host), find(authority)) {
                (Some(one), Some(other)) if one == other => Ok(one),
                (None, None) => Err(Refusal::UnknownHost),
                _ => Err(Refusal::Host),
            }
        }
        _ => Err(Refusal::Host),
    }?;
    let secure = portals.get(portal).is_some_and(|portal| portal.secure);
    let own_scheme = if secure { "https" } else { "http" };
    match aim.scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(own_scheme)) {
        true => Ok(portal),
        false => Err(Refusal::Target),
    }
}

/// Name or address, and perhaps a port: no user name, no list, no escape (HOST-01).
fn is_plain_host(host: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
    };
    !host.is_empty() && host.len() <= 260 && host.bytes().all(is_plain)
}

fn check_size(headers: &HeaderMap) -> Result<(), Refusal> {
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    match headers.len() > Asked::MOST_FIELDS || bytes > Asked::LARGEST_HEAD {
        true => Err(Refusal::HeadTooLarge),
        false => Ok(()),
    }
}

/// The methods of RFC 9110 and RFC 5789 that ask something of a portal (PATH-13).
fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::PATCH
            | Method::OPTIONS
    )
}

static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Fetch metadata where the browser sends it; else what `Accept` and a well-known header show.
fn purpose(method: &Method, headers: &HeaderMap) -> Purpose {
    let is = |name: &HeaderName, wanted: &[u8]| {
        headers.get(name).is_none_or(|value| value.as_bytes() == wanted)
    };
    let is_page = method == Method::GET
        && is(&SEC_FETCH_MODE, b"navigate")
        && is(&SEC_FETCH_DEST, b"document")
        && !headers.contains_key(&X_REQUESTED_WITH)
        && !headers.contains_key(UPGRADE)
        && !headers.contains_key(&SEC_PURPOSE)
        && headers.get(ACCEPT).is_none_or(accepts_a_page);
    if is_page { Purpose::Page } else { Purpose::Background }
}

fn accepts_a_page(accept: &HeaderValue) -> bool {
    let accept = accept.to_str().unwrap_or_default();
    ["text/html", "application/xhtml+xml", "*/*"].iter().any(|page| accept.contains(page))
}

//! A request reduced to what we judge, read once. Deliberately not here: its other headers, which
//! decide nothing, and its body.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use http::header::{ACCEPT, COOKIE, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::clues::{self, Clue};
use super::cookies::{self, CookieReading};
use super::fold::deny_key;
use super::form::{self, Form};
use super::identity::check_single;
use super::oddities::{Oddities, Oddity};
use super::parameters::{self, Field};
use super::path::{CanonicalPath, PathError, mended};
use super::route::{Mode, Policy, Spelling};
use super::standing::Standing;
use super::target::{Aim, RawTarget};
use super::{Endpoint, PresetEndpoint, Refusal, Ticket};

/// A request as the gate sees it.
pub struct Asked<'h> {
    portal: usize,
    kind: Kind,
    method: Method,
    target: String,
    path_end: usize,
    deny_key: DenyKey,
    query_fields: OnceCell<Vec<Field>>,
    cookie_fields: OnceCell<Vec<Field>>,
    /// `None` before the body has been read.
    form: Option<Form>,
    standing: Standing,
    headers: &'h HeaderMap,
    cookies: CookieReading,
}

/// Neither its query nor its headers are shown: there are codes and cookies in them (LOG-01).
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("method", &self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A path, in its one spelling.
    Path,
    /// A path that had to be mended: the visitor is sent to it.
    Mended,
    /// The server as a whole (`OPTIONS *`).
    Server,
}

/// Most paths, less a slash at their end, are their own key.
#[derive(Debug)]
enum DenyKey {
    Begins(usize),
    Folded(String),
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
        if matches!(target, RawTarget::Line(_)) && !headers.contains_key(HOST) {
            return Err(Refusal::Host);
        }
        let portal = portal(portals, &aim, headers)?;
        check_size(headers)?;
        check_single(headers)?;
        let room = aim.query.map_or(0, |query| query.len() + 1);
        let (path, kind) = match aim.path {
            "*" => (CanonicalPath::parse("/").map_err(Refusal::Path)?, Kind::Server),
            raw => {
                let spelling = portals.get(portal).map(|policy| &policy.spelling);
                read_path(raw, room, method, spelling).map_err(Refusal::Path)?
            }
        };
        let mut target = path.into_string();
        let path_end = target.len();
        let deny_key = match deny_key(target.strip_suffix('/').unwrap_or(&target)) {
            Cow::Borrowed(key) => DenyKey::Begins(key.len()),
            Cow::Owned(key) => DenyKey::Folded(key),
        };
        if let Some(query) = aim.query {
            target.push('?');
            target.push_str(query);
        }
        Ok(Self {
            portal,
            kind,
            method: method.clone(),
            target,
            path_end,
            deny_key,
            query_fields: OnceCell::new(),
            cookie_fields: OnceCell::new(),
            form: None,
            standing: Standing::default(),
            headers,
            cookies: cookies::read(headers.get_all(COOKIE)),
        })
    }

    /// The same, with what its body says. A request whose body was not read could say anything.
    #[must_use]
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    /// The same, of a visitor of whom this is known besides.
    #[must_use]
    pub fn of_visitor(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Which of the portals a request names that cannot be read: for how its refusal looks, and for
    /// nothing else.
    #[must_use]
    pub fn named(
        portals: &[Policy],
        method: &Method,
        target: &RawTarget,
        headers: &HeaderMap,
    ) -> Option<usize> {
        let aim = target.aim(method).ok()?;
        portal(portals, &aim, headers).ok()
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
    pub const fn ticket(&self) -> Option<&Ticket> {
        self.cookies.session.as_ref()
    }

    /// Whether any cookie of ours came along, and so has to be taken out (COOK-01).
    #[must_use]
    pub const fn has_own_cookies(&self) -> bool {
        self.cookies.any_own
    }

    /// Whether it has to be sent to the canonical spelling first.
    pub(super) fn is_mended(&self) -> bool {
        self.kind == Kind::Mended
    }

    pub(super) fn deny_key(&self) -> &str {
        match &self.deny_key {
            DenyKey::Begins(end) => self.target.get(..*end).unwrap_or_default(),
            DenyKey::Folded(key) => key,
        }
    }

    pub(super) const fn headers(&self) -> &'h HeaderMap {
        self.headers
    }

    pub(super) const fn form(&self) -> Option<&Form> {
        self.form.as_ref()
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether its body may tell where the portal takes passwords, and has not been read.
    pub(super) fn may_tell_of_passwords(&self) -> bool {
        self.form.is_none() && clues::is_form(self.headers)
    }

    /// What it shows of where the portal takes passwords.
    pub(super) fn clues(&self) -> Vec<Clue> {
        let form = self.form.as_ref().unwrap_or(&Form::Absent);
        clues::of(self.headers, self.query_fields().iter(), form)
    }

    /// What the query says. It is taken apart for the rules that look at it, and never written
    /// anew.
    pub(super) fn query_fields(&self) -> &[Field] {
        self.query_fields.get_or_init(|| match self.query() {
            Some(query) if form::has_foreign_charset(self.headers) => {
                let mut fields = parameters::read(query);
                fields.push(Field::anything());
                fields
            }
            Some(query) => parameters::read(query),
            None => Vec::new(),
        })
    }

    /// What the cookies say, as a framework reads them that does not tell them from parameters.
    pub(super) fn cookie_fields(&self) -> &[Field] {
        let read = || {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let pairs = cookies::readings(self.headers.get_all(COOKIE));
            let pieces = pairs.map(|(name, value)| format!("{}={}", text(name), text(value)));
            pieces.map(|piece| Field::encoded(&piece)).collect()
        };
        self.cookie_fields.get_or_init(read)
    }

    /// The endpoint of ours that it asks for, or that a sloppy reader could take it for.
    pub(super) fn own_endpoint(&self, policy: &Policy) -> Option<Endpoint> {
        match self.kind {
            Kind::Server => Some(Endpoint::Server),
            Kind::Path | Kind::Mended => policy.endpoint(self.path()),
        }
    }

    /// Whether what its member may do matters for the answer. Our own endpoints judge nothing by
    /// it, and nobody waits there for what a provider says; `me` and its like alone tell of it.
    #[must_use]
    pub fn depends_on_claims(&self, policy: &Policy) -> bool {
        policy.mode != Mode::Off
            && matches!(
                self.own_endpoint(policy),
                None | Some(Endpoint::Me | Endpoint::Preset(PresetEndpoint::CloudflareIdentity))
            )
    }

    pub(super) fn into_target(self) -> String {
        self.target
    }
}

/// The path in its one spelling; or, where the operator says so, with an oddity that is allowed
/// there (PATH-17), or mended, for a GET (PATH-07, PATH-08).
fn read_path(
    raw: &str,
    room: usize,
    method: &Method,
    spelling: Option<&Spelling>,
) -> Result<(CanonicalPath, Kind), PathError> {
    let error = match CanonicalPath::parse_with(raw, Oddities::NONE, room) {
        Ok((path, _)) => return Ok((path, Kind::Path)),
        Err(error) => error,
    };
    let Some(spelling) = spelling else {
        return Err(error);
    };
    if !spelling.allowed.is_empty() {
        let all = Oddities::of(&Oddity::NAMED.map(|(_, oddity)| oddity));
        if let Ok((path, found)) = CanonicalPath::parse_with(raw, all, room)
            && spelling.allows(path.as_str(), found)
        {
            return Ok((path, Kind::Path));
        }
    }
    let may_be_mended = matches!(*method, Method::GET | Method::HEAD)
        && (spelling.mends_segments || spelling.mends_session_parameter);
    let mended = may_be_mended
        .then(|| mended(raw, spelling.mends_segments, spelling.mends_session_parameter))
        .flatten();
    mended.map(|path| (path, Kind::Mended)).ok_or(error)
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
static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// What a visitor's browser will do with the answer: fetch metadata where the browser sends it,
/// else what `Accept` and a well-known header show.
#[must_use]
pub fn purpose(method: &Method, headers: &HeaderMap) -> Purpose {
    let is_page = method == Method::GET
        && shows_a_page(headers)
        && headers.get(ACCEPT).is_none_or(accepts_a_page);
    if is_page { Purpose::Page } else { Purpose::Background }
}

/// Whether what is read is a page, in a window or a frame, or something that a browser fetches by
/// itself for one. What a script asks for in the name of whoever is there is not.
#[must_use]
pub fn is_of_a_page(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    match headers.get(&SEC_FETCH_DEST).map(HeaderValue::as_bytes) {
        Some(
            b"frame" | b"iframe" | b"style" | b"script" | b"image" | b"font" | b"audio" | b"video"
            | b"track" | b"manifest",
        ) => !headers.contains_key(UPGRADE),
        Some(_) | None => purpose(&Method::GET, headers) == Purpose::Page,
    }
}

/// Whether nothing says that the answer is for something else than a window of the browser's.
pub(super) fn shows_a_page(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, wanted: &[u8]| {
        headers.get(name).is_none_or(|value| value.as_bytes() == wanted)
    };
    is(&SEC_FETCH_MODE, b"navigate")
        && is(&SEC_FETCH_DEST, b"document")
        && !headers.contains_key(&X_REQUESTED_WITH)
        && !headers.contains_key(UPGRADE)
        && !is_fetched_early(headers)
}

/// Whether a browser fetches something that nobody has asked for yet, in the words of today's or of
/// yesterday's: nothing may be used up by it.
#[must_use]
pub fn is_fetched_early(headers: &HeaderMap) -> bool {
    EARLY.iter().any(|name| headers.contains_key(name))
}

static EARLY: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

fn accepts_a_page(accept: &HeaderValue) -> bool {
    let accept = accept.to_str().unwrap_or_default();
    ["text/html", "application/xhtml+xml", "*/*"].iter().any(|page| accept.contains(page))
}

//! A form that met an expired session: which requests are kept for their members, and what is kept
//! of them. It travels sealed in a page of ours, and comes back through the whole gate.
//! Deliberately not here: sealing it, and whether it was sent already.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, ORIGIN, REFERER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use super::asked::{Asked, shows_a_page};
use super::form::Form;
use super::route::Policy;
use super::{Timestamp, cookies};

/// Who was signed in, as a digest of the member's key: good for telling whether it is the same one.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberMark([u8; 32]);

impl MemberMark {
    /// From the digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// What came out of the seal; `None` if we did not write it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// What goes into the seal.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MemberMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberMark(…)")
    }
}

/// A request that its member may send once more.
#[derive(Clone)]
pub struct KeptForm {
    head: Head,
    body: Bytes,
}

#[derive(Clone, Serialize, Deserialize)]
struct Head {
    id: [u8; 16],
    member: MemberMark,
    expires: Timestamp,
    method: String,
    target: String,
    content_type: Option<String>,
    origin: Option<String>,
    referer: Option<String>,
}

impl KeptForm {
    /// How long it can be sent after it was kept.
    pub const LIMIT: Duration = Duration::from_secs(30 * 60);

    /// The most bytes of a record beside its body: a target, three header fields, and their names.
    const LONGEST_HEAD: usize = 64 * 1024;

    /// The most bytes of a record of a body with so many.
    #[must_use]
    pub const fn longest(body: usize) -> usize {
        body.saturating_add(Self::LONGEST_HEAD)
    }

    /// Keeps what is to be sent again: the target that was judged, and what a portal reads a form
    /// by. `None` for headers that are not text, which no browser sends. The id is random.
    #[must_use]
    pub fn keep(
        (method, target): (&Method, String),
        headers: &HeaderMap,
        body: Bytes,
        member: MemberMark,
        id: [u8; 16],
        now: Timestamp,
    ) -> Option<Self> {
        let text = |name: HeaderName| match headers.get(name).map(HeaderValue::to_str) {
            None => Some(None),
            Some(Ok(text)) => Some(Some(text.to_owned())),
            Some(Err(_)) => None,
        };
        let head = Head {
            id,
            member,
            expires: now.after(Self::LIMIT),
            method: method.as_str().to_owned(),
            target,
            content_type: text(CONTENT_TYPE)?,
            origin: text(ORIGIN)?,
            referer: text(REFERER)?,
        };
        Some(Self { head, body })
    }

    /// What goes into the seal: how long the head is, the head, the body. `None` if the head is
    /// longer than any that we take.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let head = serde_json::to_vec(&self.head).ok()?;
        let length = u32::try_from(head.len()).ok()?.to_be_bytes();
        let fits = head.len().saturating_add(length.len()) <= Self::LONGEST_HEAD;
        fits.then(|| [&length[..], &head, &self.body].concat())
    }

    /// What came out of the seal; `None` if we did not write it.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Bytes::from(bytes);
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (head, body) =
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let head = serde_json::from_slice(head).ok()?;
        Some(Self { head, body: bytes.slice_ref(body) })
    }

    /// Its name, by which it is spent.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.head.id
    }

    /// The path and query that it is for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.head.target
    }

    /// Whose it is.
    #[must_use]
    pub const fn member(&self) -> MemberMark {
        self.head.member
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.head.expires
    }

    /// Makes the request again: gives method, target and body, and puts the headers that it came
    /// with in the place of those that this one came with. What they say of another body goes.
    #[must_use]
    pub fn restore(self, headers: &mut HeaderMap) -> Option<(Method, String, Bytes)> {
        let Head { method, target, content_type, origin, referer, .. } = self.head;
        let is_of_body = |name: &&HeaderName| name.as_str().starts_with("content-");
        let of_body: Vec<HeaderName> = headers.keys().filter(is_of_body).cloned().collect();
        for name in &of_body {
            headers.remove(name);
        }
        for (name, text) in [(CONTENT_TYPE, content_type), (ORIGIN, origin), (REFERER, referer)] {
            headers.remove(&name);
            if let Some(text) = text {
                headers.insert(name, HeaderValue::try_from(text).ok()?);
            }
        }
        headers.insert(http::header::CONTENT_LENGTH, self.body.len().into());
        Some((method.parse().ok()?, target, self.body))
    }
}

/// What members type is nobody's business (LOG-01).
impl fmt::Debug for KeptForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptForm({} bytes)", self.body.len())
    }
}

/// Whether a request without a session is kept for whoever was signed in: a form that somebody sent
/// from a page of this very portal, in a browser where somebody was. A script, another site, a body
/// that is no form are told that a sign-in is wanted, as ever (OIDC-17).
pub(super) fn is_kept(policy: &Policy, asked: &Asked<'_>) -> bool {
    let headers = asked.headers();
    policy.resend_forms.is_some()
        && matches!(*asked.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
        && shows_a_page(headers)
        && headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(is_html)
        && is_form(asked)
        && is_from_own_page(policy, headers)
        && cookies::member(headers.get_all(COOKIE)).is_some()
}

fn is_html(accept: &str) -> bool {
    accept.contains("text/html")
}

/// The types of HTML's forms (HTML, section 4.10.18.6), or nothing at all. What is coded is of no
/// form.
fn is_form(asked: &Asked<'_>) -> bool {
    const TYPES: [&str; 3] =
        ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let headers = asked.headers();
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    match headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
        None => matches!(asked.form(), Some(Form::Absent)),
        Some(Err(_)) => false,
        Some(Ok(kind)) => {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
        }
    }
}

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether fetch metadata, or else `Origin`, says that a page of this portal sent it. A page that
/// sends no referrer sends the origin `null` (Fetch, section 3.2.5), which alone shows nothing.
fn is_from_own_page(policy: &Policy, headers: &HeaderMap) -> bool {
    match (single(headers, &SEC_FETCH_SITE), single(headers, &ORIGIN)) {
        (Some(Some(b"same-origin")), Some(origin)) => {
            origin.is_none_or(|origin| origin == b"null" || is_own_origin(policy, origin))
        }
        (Some(None), Some(Some(origin))) => is_own_origin(policy, origin),
        _ => false,
    }
}

/// Whether a form could come from a page of ours, as far as headers say. They need not prove it: it
/// has what only such a page has. Ours send no referrer, and so the origin `null`.
#[must_use]
pub fn may_be_from_own_page(policy: &Policy, headers: &HeaderMap) -> bool {
    let is_near = match single(headers, &SEC_FETCH_SITE) {
        Some(site) => matches!(site, None | Some(b"same-origin" | b"none")),
        None => false,
    };
    let origin = single(headers, &ORIGIN);
    is_near
        && origin.is_some_and(|origin| {
            origin.is_none_or(|origin| origin == b"null" || is_own_origin(policy, origin))
        })
}

/// A header that is there once, or not at all; `None` if it is there twice.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Option<&'h [u8]>> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = values.next();
    values.next().is_none().then_some(first)
}

fn is_own_origin(policy: &Policy, origin: &[u8]) -> bool {
    let scheme: &[u8] = if policy.secure { b"https://" } else { b"http://" };
    origin.strip_prefix(scheme) == Some(policy.host.as_bytes())
}

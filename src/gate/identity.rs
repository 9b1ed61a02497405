//! Identity headers: which we set, and every spelling that we strip.
//!
//! The order is the control: validate → remove hop-by-hop → remove ours and forbidden ones → set
//! ours. `Asked::read` does the first and [`OwnedNames::cleanse`] the next two, on every request in
//! every mode; only a permit sets. Deliberately not here: what the headers say (`crate::identity`).

mod names;

use std::fmt;

use aws_lc_rs::hmac;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName,
    HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, header};

#[cfg(test)]
pub(crate) use self::names::known_names;
pub use self::names::{Meaning, OwnedNames};
pub use super::answer::{cleanse_answer, cleanse_challenges, cleanse_trailers};
use super::{Mode, Passes, Refusal, Timestamp, cookies};

/// The signed statement of who is asking.
pub const ASSERTION: &str = "x-anteport-assertion";

/// A member's identity as it goes to the portal: headers rendered once and sent many times.
pub struct Envelope {
    /// Name and value, in the order in which they are set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// From then on a new one is made, early enough for the old to be valid on arrival (ENV-02).
    pub renew: Timestamp,
    /// What it is of: what was made for another configuration, or signed before an exchange of keys,
    /// is not sent after it.
    pub version: u64,
    /// The same headers as a message signature covers them, for a portal that gets one.
    pub covered: Option<Covered>,
    /// What goes along on routes that do not send all of it, by their [`Told`].
    pub parts: Vec<Envelope>,
}

/// Headers as a message signature covers them (RFC 9421, section 2.1), written once and signed many
/// times.
pub struct Covered {
    /// Their names in quotes, with a space between.
    pub names: Box<[u8]>,
    /// What is signed of them, which every signature base begins with.
    pub lines: Lines,
}

/// A line for each header: its name in quotes, and its value.
pub enum Lines {
    /// As they are.
    Written(Box<[u8]>),
    /// A code that a shared secret makes, begun with them: their bytes are hashed once, however many
    /// requests follow.
    Begun(Box<hmac::Context>),
}

/// What it says of a member stays out of logs, and so do tokens (LOG-01).
impl fmt::Debug for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Covered(…)")
    }
}

/// The names alone: the values are what is said of a member, and tokens (LOG-01).
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

/// Which part of a portal's identity headers goes along on a route: an index that is known with the
/// configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// All of them.
    #[default]
    All,
    /// The part at this place.
    Part(u16),
}

impl Envelope {
    /// What goes along on a route; never more than there is.
    #[must_use]
    pub fn told(&self, told: Told) -> &Self {
        static NOTHING: Envelope = Envelope {
            headers: Vec::new(),
            renew: Timestamp::from_unix_seconds(0),
            version: 0,
            covered: None,
            parts: Vec::new(),
        };
        match told {
            Told::All => self,
            Told::Part(index) => self.parts.get(usize::from(index)).unwrap_or(&NOTHING),
        }
    }
}

/// Whether a sign-in of the portal's own may take place on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalCredentials {
    /// `Authorization` goes to the portal and `WWW-Authenticate` to the visitor.
    Pass,
    /// Neither does.
    Stop,
}

impl LocalCredentials {
    /// In `azure_only` they pass where the route's line says so, else everywhere (PATH-15).
    #[must_use]
    pub fn of(mode: Mode, passes: Passes) -> Self {
        match mode {
            Mode::AzureOnly if !passes.credentials => Self::Stop,
            Mode::AzureOnly | Mode::Optional | Mode::ReportOnly | Mode::Off => Self::Pass,
        }
    }
}

/// Headers of which a second copy would let two readers see two requests (HDR-06).
static SINGLE: [HeaderName; 17] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    AUTHORIZATION,
    TRANSFER_ENCODING,
    EXPECT,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
    header::RANGE,
    header::MAX_FORWARDS,
    header::FROM,
];

/// Those of RFC 9110 section 7.6.1, and framing, which is ours on both sides (HTTP-01).
pub(super) const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "proxy-authenticate",
    "proxy-authorization",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

impl OwnedNames {
    /// Makes a visitor's headers safe to send on: removes what is hop-by-hop, what is owned,
    /// `Host`, our cookies, and credentials: all that a portal could take for a local sign-in,
    /// unless they pass here (PATH-15); those that sign a whole connection in never do, because
    /// several visitors share it (HTTP-12). Sets nothing.
    pub fn cleanse(
        &self,
        headers: &mut HeaderMap,
        has_own_cookies: bool,
        credentials: LocalCredentials,
    ) {
        remove_named_by_connection(headers);
        remove_all(headers, |name| self.takes(name.as_str()));
        headers.remove(HOST);
        if headers
            .get(AUTHORIZATION)
            .is_some_and(|sent| credentials == LocalCredentials::Stop || sign_a_connection_in(sent))
        {
            headers.remove(AUTHORIZATION);
        }
        if has_own_cookies || headers.get_all(COOKIE).iter().nth(1).is_some() {
            join_cookies_without_ours(headers);
        }
    }
}

pub(crate) fn sign_a_connection_in(credentials: &HeaderValue) -> bool {
    signs_a_connection_in(credentials.as_bytes())
}

/// Whether credentials or a challenge are of a scheme that signs a whole connection in.
pub(super) fn signs_a_connection_in(text: &[u8]) -> bool {
    let scheme = text.trim_ascii_start().split(|byte| matches!(byte, b' ' | b'\t')).next();
    let scheme = scheme.unwrap_or_default();
    [&b"ntlm"[..], b"negotiate", b"nego2", b"kerberos"]
        .iter()
        .any(|bound| scheme.eq_ignore_ascii_case(bound))
}

/// HDR-06: no header that must be there once is there twice.
pub(super) fn check_single(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    match SINGLE.iter().any(|name| headers.get_all(name).iter().nth(1).is_some()) {
        true => Err(Refusal::RepeatedHeader),
        false => Ok(()),
    }
}

/// HDR-01: what `Connection` names is of that connection only. It goes before anything is judged,
/// so that what a rule has seen is what the portal gets. The headers of an upgrade stay until it is
/// clear whether there is one.
pub fn remove_named_by_connection(headers: &mut HeaderMap) {
    for name in &named_by_connection(headers) {
        headers.remove(name);
    }
}

/// Whether `Connection` names a header that is there: whoever hands both on has a request that
/// nobody has judged (VER-01).
#[must_use]
pub fn hides_by_connection(headers: &HeaderMap) -> bool {
    named_by_connection(headers).iter().any(|name| headers.contains_key(name))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let tokens = headers.get_all(CONNECTION).iter();
    tokens
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !OF_CONNECTION.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

/// What is about the connection, or goes with all that is of one connection only; and what no
/// request is without.
const OF_CONNECTION: [&[u8]; 5] = [b"keep-alive", b"close", b"upgrade", b"te", b"host"];

/// One look at each name; nothing is allocated where nothing is removed.
pub(super) fn remove_all(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in &unwanted {
        headers.remove(name);
    }
}

/// HTTP/2 may bring cookies in crumbs, which HTTP/1.1 has in one field (RFC 9113, section 8.2.3).
fn join_cookies_without_ours(headers: &mut HeaderMap) {
    let kept: Vec<HeaderValue> =
        headers.get_all(COOKIE).iter().filter_map(cookies::without_own).collect();
    let joined = kept.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    match HeaderValue::from_bytes(&joined) {
        Ok(joined) if !joined.is_empty() => {
            headers.insert(COOKIE, joined);
        }
        _ => {
            headers.remove(COOKIE);
        }
    }
}

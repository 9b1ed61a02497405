//! Identity headers: which we set, and every spelling that we strip.
//!
//! The order is the control: validate → remove hop-by-hop → remove ours and forbidden ones → set
//! ours. `Asked::read` does the first and [`OwnedNames::cleanse`] the next two, on every request in
//! every mode; only a permit sets. Deliberately not here: what the headers say (`crate::identity`).

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::hmac;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName,
    HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, header};

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
    /// How often the signing keys had been exchanged; what was signed before the next time is not
    /// sent after it.
    pub exchanges: u64,
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
            exchanges: 0,
            covered: None,
            parts: Vec::new(),
        };
        match told {
            Told::All => self,
            Told::Part(index) => self.parts.get(usize::from(index)).unwrap_or(&NOTHING),
        }
    }
}

/// The header names that a visitor's request must not have, whatever their spelling.
#[derive(Clone, Debug)]
pub struct OwnedNames {
    folded: HashSet<Folded, BuildHasherDefault<Known>>,
    /// By first character: bit `n` is set if a name of `n` folded characters is owned. Most names
    /// of ordinary requests end here.
    lengths: [u64; 256],
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

/// How many folded characters of a name are compared.
const LONGEST: usize = 64;

/// What no visitor may send, by what it means to whoever reads it: see the heads of the files.
const BUILT_IN: [(Meaning, &str); 4] = [
    (Meaning::Identity, include_str!("identity_names.txt")),
    (Meaning::Token, include_str!("token_names.txt")),
    (Meaning::Foreign, include_str!("foreign_names.txt")),
    (Meaning::Foreign, FORWARDING),
];

const FORWARDING: &str = include_str!("forwarding_names.txt");

/// What a header's name means to web servers, frameworks and other gates' portals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing that we know of.
    None,
    /// Who is asking.
    Identity,
    /// A token of the provider's.
    Token,
    /// Where a request comes from, what it asks for, or something of another gate's own.
    Foreign,
}

impl Meaning {
    /// By case and separators folded away, as [`OwnedNames::takes`] compares.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let Some(folded) = Folded::of(name) else {
            return Self::Foreign;
        };
        let listed = BUILT_IN
            .iter()
            .find(|(_, list)| names(list).filter_map(Folded::of).any(|known| known == folded));
        let is_of =
            |families: &[&[u8]]| families.iter().any(|family| folded.text().starts_with(family));
        match listed {
            Some((meaning, _)) => *meaning,
            None if is_of(&FOREIGN_FAMILIES) => Self::Foreign,
            None if is_of(&[b"xmstoken"]) => Self::Token,
            None if folded.is_of_a_family() => Self::Identity,
            None => Self::None,
        }
    }
}

/// Whether servers in front of a portal have this among a request's headers by themselves.
fn is_added_in_front(name: &str) -> bool {
    // A question of ingress-nginx has it, beside the description.
    const OF_QUESTIONS: [&str; 1] = ["x-auth-request-redirect"];
    let Some(folded) = Folded::of(name) else {
        return false;
    };
    let is = |known: &str| Folded::of(known).is_some_and(|known| known == folded);
    if names(FORWARDING).chain(HOP_BY_HOP).chain(OF_QUESTIONS).any(is) {
        return true;
    }
    let families: [&[u8]; 2] = [b"xforwarded", b"xenvoy"];
    families.iter().any(|family| folded.text().starts_with(family)) && !built_in().any(is)
}

/// Families of names that say where a request comes from or what it asks for; of their other names
/// a few are of identity all the same, which `identity_names.txt` has.
const FOREIGN_FAMILIES: [&[u8]; 12] = [
    b"xanteport",
    b"xaccel",
    b"xarr",
    b"xwaws",
    b"xmiddleware",
    b"xhttpmethod",
    b"xforwarded",
    b"xoriginal",
    b"xenvoy",
    b"xvercel",
    b"xappengine",
    b"xakamai",
];

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
    /// The built-in names and those that this portal's configuration maps.
    #[must_use]
    pub fn with<'a>(mapped: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mapped = mapped.into_iter().map(|name| name.as_str().to_owned());
        let own = built_in().chain(HOP_BY_HOP.iter().copied()).map(str::to_owned);
        let folded: HashSet<_, _> =
            own.chain(mapped).filter_map(|name| Folded::of(&name)).collect();
        let mut lengths = [0; 256];
        for name in &folded {
            let first = name.text().first().copied().unwrap_or(0);
            if let Some(bits) = lengths.get_mut(usize::from(first)) {
                *bits |= length_bit(name.length);
            }
        }
        Self { folded, lengths }
    }

    /// Whether a request that another server asks about must not have a header of this name, for
    /// nobody takes it out there (VER-01): what is taken from visitors, less what such a server adds
    /// by itself or keeps for the one connection.
    #[must_use]
    pub fn forbids(&self, name: &str) -> bool {
        self.takes(name) && !is_added_in_front(name)
    }

    /// Whether a header of this name is taken from visitors: it is ours or another gate's once
    /// case and separators are folded away (HDR-03), it is of one connection only (HDR-01), or it
    /// has odd characters (HDR-04).
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let Some((first, length)) = plain(name) else {
            return true;
        };
        let bits = self.lengths.get(usize::from(first)).copied().unwrap_or(0);
        let may_be_owned = bits & length_bit(length) != 0;
        let may_be_of_a_family = matches!(first, b'x' | b'o' | b'c');
        if !may_be_owned && !may_be_of_a_family {
            return false;
        }
        let Some(folded) = Folded::of(name) else {
            return true;
        };
        (may_be_owned && self.folded.contains(&folded)) || folded.is_of_a_family()
    }

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

/// The first character, folded, and the number of characters that are not separators; `None` for
/// a name with characters outside letters, digits and `-` (HDR-04), or with none.
fn plain(name: &str) -> Option<(u8, usize)> {
    let mut first = 0;
    let mut length = 0;
    for byte in name.bytes() {
        match FOLDED.get(usize::from(byte)).copied().unwrap_or(ODD) {
            ODD => return None,
            SEPARATOR => {}
            folded => {
                if length == 0 {
                    first = folded;
                }
                length += 1;
            }
        }
    }
    (length > 0).then_some((first, length))
}

/// Each byte folded, or what it is instead.
#[expect(clippy::indexing_slicing, reason = "a mistake here would fail the build")]
const FOLDED: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table[b'-' as usize] = SEPARATOR;
    table
};
const ODD: u8 = 0;
const SEPARATOR: u8 = 1;

const fn length_bit(length: usize) -> u64 {
    1 << (if length > 63 { 63 } else { length })
}

/// A header name with case and separators folded away, cut at [`LONGEST`] characters: what begins
/// alike is owned alike.
#[derive(Clone, Debug)]
struct Folded {
    text: [u8; LONGEST],
    length: usize,
    hash: u64,
}

impl Folded {
    /// `None` if the name has characters outside letters, digits and `-`.
    fn of(name: &str) -> Option<Self> {
        let mut folded = Self { text: [0; LONGEST], length: 0, hash: 0xcbf2_9ce4_8422_2325 };
        for byte in name.bytes() {
            let byte = match FOLDED.get(usize::from(byte)).copied().unwrap_or(ODD) {
                ODD => return None,
                SEPARATOR => continue,
                folded => folded,
            };
            if let Some(place) = folded.text.get_mut(folded.length) {
                *place = byte;
                folded.length += 1;
                // FNV-1a. The set is ours alone, so nobody can fill it with collisions.
                folded.hash = (folded.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Some(folded)
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }

    /// Everything whose name begins like these belongs to us or to another gate.
    fn is_of_a_family(&self) -> bool {
        let families: &[&[u8]] = match self.text.first() {
            Some(b'x') => &[
                b"xanteport",
                b"xaccel",
                b"xarr",
                b"xwaws",
                b"xmiddleware",
                b"xhttpmethod",
                b"xssl",
                b"xremote",
                b"xauthenticated",
                b"xwebauth",
                b"xtailscale",
                b"xteleport",
                b"xjwt",
                b"xmsadfs",
                b"xappengine",
                b"xakamai",
                b"xamznmtls",
                b"xforwarded",
                b"xoriginal",
                b"xenvoy",
                b"xvercel",
                b"xmsclientprincipal",
                b"xmstoken",
                b"xauthrequest",
                b"xauthentik",
                b"xpomerium",
                b"xvouchidp",
                b"xgoogauthenticated",
                b"xgoogiap",
                b"xauthelia",
                b"xamznoidc",
            ],
            Some(b'o') => &[b"oidc"],
            Some(b'c') => &[b"cfaccess", b"cfclient", b"cfcert"],
            _ => &[],
        };
        families.iter().any(|family| self.text().starts_with(family))
    }
}

impl PartialEq for Folded {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Folded {}

impl Hash for Folded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hands on a hash that is known already.
#[derive(Clone, Copy, Debug, Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
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

fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().flat_map(|(_, list)| names(list))
}

/// The built-in names, each with what it means.
#[cfg(test)]
pub(crate) fn known_names() -> impl Iterator<Item = (Meaning, &'static str)> {
    BUILT_IN.into_iter().flat_map(|(meaning, list)| names(list).map(move |name| (meaning, name)))
}

fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn hdr_05_a_built_in_name_has_one_meaning_and_no_visitor_sends_it() {
        let owned = OwnedNames::with([]);
        let mut known = BTreeMap::new();
        for (meaning, list) in BUILT_IN {
            assert!(names(list).count() > 10, "{meaning:?}");
            for name in names(list) {
                let spellings = [
                    name.to_owned(),
                    name.to_uppercase(),
                    name.replace('-', ""),
                    format!("{name}-"),
                ];
                for spelling in spellings {
                    assert!(owned.takes(&spelling), "{spelling}");
                    assert_eq!(Meaning::of(&spelling), meaning, "{spelling}");
                }
                let folded = name.replace('-', "");
                let earlier = known.insert(folded, meaning);
                assert!(earlier.is_none_or(|earlier| earlier == meaning), "{name} is in two lists");
            }
        }
        assert_eq!(Meaning::of("x-forwarded-of-tomorrow"), Meaning::Foreign);
        assert_eq!(Meaning::of("x-ms-token-github-access-token"), Meaning::Token);
        assert_eq!(Meaning::of("x-pomerium-claim-anything"), Meaning::Identity);
        assert_eq!(Meaning::of("x-portal-member"), Meaning::None);
        assert_eq!(Meaning::of("x_portal"), Meaning::Foreign);
        // FWD-01: though others that begin so say who is asking.
        for name in ["X-Remote-Address", "x-true-client-ip", "XFastlyClientIP"] {
            assert_eq!(Meaning::of(name), Meaning::Foreign, "{name}");
        }
        // What makes a family foreign is taken from visitors, too.
        for family in FOREIGN_FAMILIES {
            let name = format!("{}-anything", std::str::from_utf8(family).unwrap());
            assert!(owned.takes(&name), "{name}");
        }
    }
}

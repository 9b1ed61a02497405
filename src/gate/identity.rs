//! Identity headers: which we set, and every spelling that we strip.
//!
//! The order is the control: validate → remove hop-by-hop → remove ours and forbidden ones → set
//! ours. [`OwnedNames::cleanse`] does the first three on every request in every mode; only a
//! permit sets. Deliberately not here: what the headers say (`crate::identity`).

use std::collections::HashSet;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, header};

use super::{Mode, Refusal, Timestamp, cookies};

/// The signed statement of who is asking.
pub const ASSERTION: &str = "x-anteport-assertion";

/// A member's identity as it goes to the portal: headers rendered once and sent many times.
#[derive(Debug)]
pub struct Envelope {
    /// Name and value, in the order in which they are set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// From then on a new one is made, early enough for the old to be valid on arrival (ENV-02).
    pub renew: Timestamp,
}

/// The header names that a visitor's request must not have, whatever their spelling.
#[derive(Clone, Debug)]
pub struct OwnedNames {
    folded: HashSet<Box<[u8]>>,
    /// Bit `n` is set if a name of `n` folded characters is owned: most names end here.
    lengths: u64,
}

/// How many folded characters of a name are compared.
const LONGEST: usize = 64;

/// See the head of the file.
const BUILT_IN: &str = include_str!("foreign_names.txt");

/// Families of names: everything that begins so belongs to one of those gates.
const BUILT_IN_PREFIXES: &[&[u8]] = &[
    b"xanteport",
    b"xmsclientprincipal",
    b"xmstoken",
    b"xauthrequest",
    b"xauthentik",
    b"oidcclaim",
    b"xpomeriumclaim",
    b"xvouchidp",
    b"cfaccess",
    b"xgoogauthenticated",
    b"xamznoidc",
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
static HOP_BY_HOP: [HeaderName; 12] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
    EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

impl OwnedNames {
    /// The built-in names and those that this portal's configuration maps.
    #[must_use]
    pub fn with<'a>(mapped: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mapped = mapped.into_iter().map(|name| fold(name.as_str()));
        let folded: HashSet<Box<[u8]>> = built_in()
            .map(|name| fold(name).take(LONGEST).collect())
            .chain(mapped.map(|name| name.take(LONGEST).collect()))
            .collect();

        let lengths = folded
            .iter()
            .fold(0, |bits, name| bits | length_bit(name.len()));
        Self { folded, lengths }
    }

    /// Whether a header of this name is taken from visitors: it is ours or another gate's once
    /// case and separators are folded away (HDR-03), or has odd characters (HDR-04).
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let mut buffer = [0; LONGEST];
        let mut length = 0;
        for byte in name.bytes() {
            match byte {
                b'-' => continue,
                _ if byte.is_ascii_alphanumeric() => {}
                _ => return true,
            }
            match buffer.get_mut(length) {
                Some(place) => *place = byte.to_ascii_lowercase(),
                // Owned names are cut at the same length: what begins alike is taken.
                None => break,
            }
            length += 1;
        }
        let folded = buffer.get(..length).unwrap_or_default();
        (self.lengths & length_bit(length) != 0 && self.folded.contains(folded))
            || BUILT_IN_PREFIXES
                .iter()
                .any(|family| folded.starts_with(family))
    }

    /// Makes a visitor's headers safe to send on: refuses ambiguous ones, then removes what is
    /// hop-by-hop, what is owned, our cookies, and in `azure_only` the credentials that a portal
    /// could take for a local sign-in (PATH-15). Sets nothing.
    ///
    /// # Errors
    /// [`Refusal::RepeatedHeader`], before anything was removed.
    pub fn cleanse(
        &self,
        headers: &mut HeaderMap,
        has_own_cookies: bool,
        mode: Mode,
    ) -> Result<(), Refusal> {
        check_single(headers)?;
        remove_hop_by_hop(headers);
        let taken: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.takes(name.as_str()))
            .cloned()
            .collect();
        for name in &taken {
            headers.remove(name);
        }
        if mode == Mode::AzureOnly {
            headers.remove(AUTHORIZATION);
        }
        if has_own_cookies {
            remove_own_cookies(headers);
        }
        Ok(())
    }
}

fn check_single(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    match SINGLE
        .iter()
        .any(|name| headers.get_all(name).iter().nth(1).is_some())
    {
        true => Err(Refusal::RepeatedHeader),
        false => Ok(()),
    }
}

/// Removes what belongs to one connection, with everything that `Connection` names (HDR-01). It
/// serves both directions.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn remove_own_cookies(headers: &mut HeaderMap) {
    let kept: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(cookies::without_own)
        .collect();
    headers.remove(COOKIE);
    for field in kept {
        headers.append(COOKIE, field);
    }
}

fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn fold(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
}

const fn length_bit(length: usize) -> u64 {
    1 << (if length > 63 { 63 } else { length })
}

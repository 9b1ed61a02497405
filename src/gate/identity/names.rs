//! The names of headers that no visitor may send, and what each means to whoever reads it. Two names
//! are one if a sloppy reader takes them for one: case and separators do not count (HDR-03).
//! Deliberately not here: what is done with a request that has one, which is the parent's.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use http::header::HeaderName;

use super::HOP_BY_HOP;

/// The header names that a visitor's request must not have, whatever their spelling.
#[derive(Clone, Debug)]
pub struct OwnedNames {
    folded: HashSet<Folded, BuildHasherDefault<Known>>,
    /// By first character: bit `n` is set if a name of `n` folded characters is owned. Most names
    /// of ordinary requests end here.
    lengths: [u64; 256],
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
        let listed = listed.map(|(meaning, _)| *meaning);
        listed.or_else(|| folded.family()).unwrap_or(Self::None)
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

/// The beginnings of names, with what all mean that begin so; of those that say where a request comes
/// from or what it asks for a few are of identity all the same, which `identity_names.txt` has.
type Family = (Meaning, &'static [u8]);

const FAMILIES_OF_X: [Family; 31] = [
    (Meaning::Foreign, b"xanteport"),
    (Meaning::Foreign, b"xaccel"),
    (Meaning::Foreign, b"xarr"),
    (Meaning::Foreign, b"xwaws"),
    (Meaning::Foreign, b"xmiddleware"),
    (Meaning::Foreign, b"xhttpmethod"),
    (Meaning::Foreign, b"xappengine"),
    (Meaning::Foreign, b"xakamai"),
    (Meaning::Foreign, b"xforwarded"),
    (Meaning::Foreign, b"xoriginal"),
    (Meaning::Foreign, b"xenvoy"),
    (Meaning::Foreign, b"xvercel"),
    (Meaning::Token, b"xmstoken"),
    (Meaning::Identity, b"xssl"),
    (Meaning::Identity, b"xremote"),
    (Meaning::Identity, b"xauthenticated"),
    (Meaning::Identity, b"xwebauth"),
    (Meaning::Identity, b"xtailscale"),
    (Meaning::Identity, b"xteleport"),
    (Meaning::Identity, b"xjwt"),
    (Meaning::Identity, b"xmsadfs"),
    (Meaning::Identity, b"xamznmtls"),
    (Meaning::Identity, b"xmsclientprincipal"),
    (Meaning::Identity, b"xauthrequest"),
    (Meaning::Identity, b"xauthentik"),
    (Meaning::Identity, b"xpomerium"),
    (Meaning::Identity, b"xvouchidp"),
    (Meaning::Identity, b"xgoogauthenticated"),
    (Meaning::Identity, b"xgoogiap"),
    (Meaning::Identity, b"xauthelia"),
    (Meaning::Identity, b"xamznoidc"),
];

const FAMILIES_OF_C: [Family; 3] = [
    (Meaning::Identity, b"cfaccess"),
    (Meaning::Identity, b"cfclient"),
    (Meaning::Identity, b"cfcert"),
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
        (may_be_owned && self.folded.contains(&folded)) || folded.family().is_some()
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

    /// What a name means that begins as all of ours, or of another gate, do.
    fn family(&self) -> Option<Meaning> {
        let families: &[Family] = match self.text.first() {
            Some(b'x') => &FAMILIES_OF_X,
            Some(b'o') => &[(Meaning::Identity, b"oidc")],
            Some(b'c') => &FAMILIES_OF_C,
            _ => &[],
        };
        let known = families.iter().find(|(_, family)| self.text().starts_with(family));
        known.map(|(meaning, _)| *meaning)
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
        // Whatever a family means, it is taken from visitors.
        for (meaning, family) in FAMILIES_OF_X.into_iter().chain(FAMILIES_OF_C) {
            let name = format!("{}-anything", std::str::from_utf8(family).unwrap());
            assert!(owned.takes(&name), "{name}");
            assert_eq!(Meaning::of(&name), meaning, "{name}");
        }
    }
}

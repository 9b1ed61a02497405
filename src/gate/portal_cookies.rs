//! The portal's own session cookies. One that was made before the switch must not live on as a
//! local sign-in, so such a cookie reaches the portal only if the portal set it during a session of
//! ours (PATH-18). Deliberately not here: which those are, which the session remembers.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::cookies;
use super::fold::{decoded_to_the_end, name_key};
use super::parameters::ValuePattern;

/// Which cookies are the portal's sessions, by their names.
#[derive(Clone, Debug, Default)]
pub struct PortalCookies(Vec<ValuePattern>);

impl PortalCookies {
    /// By patterns as an operator writes them. Servers read names in several ways, so they are
    /// compared as deny rules compare them.
    #[must_use]
    pub fn new(names: &[ValuePattern]) -> Self {
        Self(names.iter().map(|name| name.mapped(name_key)).collect())
    }

    /// Whether there are any to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn include(&self, name: &[u8]) -> bool {
        // A name that nobody can read could be one of them.
        decoded_to_the_end(&String::from_utf8_lossy(name)).is_none_or(|name| {
            let key = name_key(&name);
            self.0.iter().any(|pattern| pattern.is(&key))
        })
    }

    /// Whether any of them is among a visitor's headers.
    #[must_use]
    pub fn are_among(&self, headers: &HeaderMap) -> bool {
        let mut read = cookies::readings(headers.get_all(COOKIE));
        !self.is_empty() && read.any(|(name, _)| self.include(name))
    }

    /// Takes them out of a visitor's headers, less those to `keep`, by name and value.
    pub fn take_out(&self, headers: &mut HeaderMap, keep: impl Fn(&[u8], &[u8]) -> bool) {
        let goes = |name: &[u8], value: &[u8]| self.include(name) && !keep(name, value);
        if !cookies::readings(headers.get_all(COOKIE)).any(|(name, value)| goes(name, value)) {
            return;
        }
        let hides = |name: &[u8]| self.include(name);
        let fields = headers.get_all(COOKIE).iter();
        let kept = fields.filter_map(|field| cookies::without(field, goes, hides));
        let kept: Vec<HeaderValue> = kept.collect();
        headers.remove(COOKIE);
        for field in kept {
            headers.append(COOKIE, field);
        }
    }

    /// Those that an answer of the portal's sets, by name and value.
    pub fn set_by<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
        let set = headers.get_all(SET_COOKIE).iter().map(cookies::first);
        set.filter(|(name, _)| self.include(name))
    }
}

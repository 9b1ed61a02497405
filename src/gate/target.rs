//! Where a request says that it wants to go, as it stood on the wire. It is taken apart here and
//! not by `http::Uri`, which forgives: a fragment disappears in it, and a user name before the
//! host. Deliberately not here: the path's one spelling (`path`), and whose the host is (`asked`).

use std::fmt;

use bytes::Bytes;
use http::{Method, Uri};

use super::{PathError, Refusal};

/// A request's target as it was sent (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
#[derive(Clone)]
pub enum RawTarget {
    /// The second word of an HTTP/1 request line.
    Line(Bytes),
    /// HTTP/2's `:scheme`, `:authority` and `:path`, as the library hands them over: what it has
    /// dropped is neither judged nor sent.
    Pseudo(Uri),
}

/// A code may be in it (LOG-01).
impl fmt::Debug for RawTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawTarget(…)")
    }
}

/// A target taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aim<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) authority: Option<&'a str>,
    /// Not canonical yet; `*` for the server as a whole.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl RawTarget {
    /// The longest target that is read, in bytes (LIM-01).
    pub const LONGEST: usize = 8192;

    /// Its path, as it stands there; `None` where there is none.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Line(line) => Some(taken_apart(std::str::from_utf8(line).ok()?)?.path),
            Self::Pseudo(uri) => Some(uri.path()),
        }
    }

    /// What follows the first `?`, whatever stands before it.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        match self {
            Self::Line(line) => {
                std::str::from_utf8(line).ok()?.split_once('?').map(|(_, query)| query)
            }
            Self::Pseudo(uri) => uri.query(),
        }
    }

    /// Only origin-form is judged; absolute-form is reduced to it, `*` goes with OPTIONS, and
    /// everything else is refused (PATH-01).
    pub(super) fn aim(&self, method: &Method) -> Result<Aim<'_>, Refusal> {
        let aim = match self {
            Self::Line(line) => {
                check(line)?;
                let line = std::str::from_utf8(line).map_err(|_| Refusal::Target)?;
                taken_apart(line).ok_or(Refusal::Target)?
            }
            Self::Pseudo(uri) => {
                check(uri.path().as_bytes())?;
                check(uri.query().unwrap_or_default().as_bytes())?;
                Aim {
                    scheme: uri.scheme_str(),
                    authority: uri.authority().map(http::uri::Authority::as_str),
                    path: uri.path(),
                    query: uri.query(),
                }
            }
        };
        let length = aim.path.len() + aim.query.map_or(0, |query| query.len() + 1);
        if length > Self::LONGEST {
            return Err(Refusal::Path(PathError::TooLong));
        }
        if aim.path == "*" && (method != Method::OPTIONS || aim.query.is_some()) {
            return Err(Refusal::Target);
        }
        Ok(aim)
    }
}

/// PATH-02: what no browser sends raw, in a path or a query. A `#` begins a fragment, which is
/// nobody's business but the browser's.
fn check(target: &[u8]) -> Result<(), Refusal> {
    if target.contains(&b'#') {
        return Err(Refusal::Target);
    }
    match target.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => Err(Refusal::Path(PathError::Character)),
    }
}

fn taken_apart(line: &str) -> Option<Aim<'_>> {
    if line.starts_with('/') || line == "*" {
        let (path, query) = split_query(line);
        return Some(Aim { path, query, ..Aim::default() });
    }
    let (scheme, rest) = line.split_once("://")?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(at)?;
    let (path, query) = split_query(rest);
    let path = if path.is_empty() { "/" } else { path };
    Some(Aim { scheme: Some(scheme), authority: Some(authority), path, query })
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim(line: &'static str) -> Result<Aim<'static>, Refusal> {
        let target = Box::leak(Box::new(RawTarget::Line(Bytes::from_static(line.as_bytes()))));
        target.aim(&Method::GET)
    }

    #[test]
    fn path_01_a_target_is_a_path_or_a_whole_url() {
        let path = |path, query| Aim { path, query, ..Aim::default() };
        assert_eq!(aim("/a/b"), Ok(path("/a/b", None)));
        assert_eq!(aim("/a?"), Ok(path("/a", Some(""))));
        assert_eq!(aim("/a?b?c=http://d"), Ok(path("/a", Some("b?c=http://d"))));
        assert_eq!(aim("//a"), Ok(path("//a", None)));
        let whole = |authority, path, query| Aim {
            scheme: Some("http"),
            authority: Some(authority),
            path,
            query,
        };
        assert_eq!(aim("http://a/b?c"), Ok(whole("a", "/b", Some("c"))));
        assert_eq!(aim("http://a"), Ok(whole("a", "/", None)));
        assert_eq!(aim("http://a?b/c"), Ok(whole("a", "/", Some("b/c"))));
        assert_eq!(aim("http:///b"), Ok(whole("", "/b", None)));
        for none in ["*", "", "a", "a:80", "a/b", "http:/a", "http:a", "?a", "/a#b", "/#", "*?a"] {
            assert_eq!(aim(none), Err(Refusal::Target), "{none}");
        }
        let all = RawTarget::Line(Bytes::from_static(b"*"));
        assert_eq!(all.aim(&Method::OPTIONS).unwrap().path, "*");
        for odd in ["/a b", "/\u{7f}", "/ä", "/a?\u{1}"] {
            assert_eq!(aim(odd), Err(Refusal::Path(PathError::Character)), "{odd}");
        }
    }

    #[test]
    fn path_19_a_query_keeps_what_browsers_send_raw() {
        let query = "a={b}|c\\d^e`f&g[]=\"h\"<i>";
        let line = Bytes::from(format!("/a?{query}"));
        assert_eq!(RawTarget::Line(line).aim(&Method::GET).unwrap().query, Some(query));
    }

    #[test]
    fn lim_01_a_target_has_an_end() {
        let line = |count: usize| RawTarget::Line(Bytes::from(format!("/?{}", "a".repeat(count))));
        assert!(line(RawTarget::LONGEST - 2).aim(&Method::GET).is_ok());
        let refusal = line(RawTarget::LONGEST - 1).aim(&Method::GET).unwrap_err();
        assert_eq!(refusal, Refusal::Path(PathError::TooLong));
    }
}

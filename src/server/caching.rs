//! What browsers and caches may keep of a portal's answers to a member (UI-02). Caching is never
//! relaxed.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Makes an answer at least private. A page that the portal says nothing about is not kept at all:
/// going back after signing out must ask again.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    let targeted: Vec<HeaderName> = headers.keys().filter(|n| is_targeted(n)).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
    let kept = match headers.get_all(CACHE_CONTROL).iter().next() {
        Some(_) => private(headers),
        None if is_page(headers) => Some(HeaderValue::from_static("no-store")),
        None => Some(HeaderValue::from_static("private")),
    };
    if let Some(kept) = kept {
        headers.insert(CACHE_CONTROL, kept);
    }
}

/// Caches of one network have header names of their own (RFC 9213).
fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control") || matches!(name, "surrogate-control" | "edge-control")
}

/// What the portal said, less what is for shared caches; `None` if it is private already. What
/// cannot be read keeps nothing.
fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    let no_store = HeaderValue::from_static("no-store");
    let mut said = Vec::new();
    for value in headers.get_all(CACHE_CONTROL) {
        match value.to_str() {
            Ok(text) => said.extend(directives(text)),
            Err(_) => return Some(no_store),
        }
    }
    // By `must-understand` a cache may overlook `no-store` (RFC 9111, section 5.2.2.3).
    let shares = |directive: &str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        ["public", "s-maxage", "must-understand"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    // `private="field"` is about one field only (RFC 9111, section 5.2.2.7).
    let keeps = |directive: &&str| {
        directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("private")
    };
    let is_private = said.iter().any(keeps);
    if is_private && !said.iter().any(|directive| shares(directive)) {
        return None;
    }
    said.retain(|directive| !shares(directive));
    if !is_private {
        said.push("private");
    }
    Some(HeaderValue::try_from(said.join(", ")).unwrap_or(no_store))
}

/// The items of a list, in which a comma within quotes is none (RFC 9110, section 5.6.4).
fn directives(text: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let items = text.split(move |letter| {
        let ends = letter == ',' && !is_quoted;
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        ends
    });
    items.map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(said: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_static(value));
        }
        keep_private(&mut headers);
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        headers.iter().map(text).collect()
    }

    #[test]
    fn ui_02_no_cache_is_told_to_keep_what_is_a_members() {
        let shared = ("cdn-cache-control", "max-age=99");
        let edge = ("surrogate-control", "max-age=99");
        let other = ("akamai-cache-control", "public");
        assert_eq!(kept(&[shared, edge, other]), ["cache-control: private"]);
        let mut headers = HeaderMap::new();
        let odd = HeaderValue::from_bytes(b"public, max-age=99, x=\"\xe9\"").unwrap();
        headers.insert(CACHE_CONTROL, odd);
        keep_private(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        for (said, expected) in [
            ("no-store", "no-store"),
            ("private, max-age=5", "private, max-age=5"),
            ("public, max-age=5", "max-age=5, private"),
            ("s-maxage=5", "private"),
            // No cache knows these.
            ("no-store=0, public", "no-store=0, private"),
            ("private=\"x\", public", "private=\"x\", private"),
            ("public, ext=\"a, private, b\"", "ext=\"a, private, b\", private"),
            ("public, ext=\"a\\\", private, b\"", "ext=\"a\\\", private, b\", private"),
            ("public, no-cache=\"a,no-store,b\", s-maxage=9", "no-cache=\"a,no-store,b\", private"),
            ("must-understand, no-store, public", "no-store"),
            (",, public", "private"),
        ] {
            let expected = format!("cache-control: {expected}");
            assert_eq!(kept(&[("cache-control", said)]), [expected], "{said}");
        }
    }
}

//! What browsers and caches may keep of a portal's answers to a member (UI-02). Caching is never
//! relaxed.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Makes an answer at least private. A page that the portal says nothing about is not kept at all:
/// going back after signing out must ask again.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    // What speaks to caches of one network alone goes before `Cache-Control` there (RFC 9213).
    for name in &TARGETED {
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

static TARGETED: [HeaderName; 6] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("vercel-cdn-cache-control"),
    HeaderName::from_static("netlify-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("edge-control"),
];

/// What the portal said, less what is for shared caches; `None` if it is private already.
fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    let said: Vec<&str> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("no-store").split(','))
        .map(str::trim)
        .collect();
    let is = |directive: &str, name: &str| {
        directive.split('=').next().is_some_and(|known| known.trim().eq_ignore_ascii_case(name))
    };
    // `private="field"` is about one field only (RFC 9111, section 5.2.2.7).
    let private = |directive: &&str| {
        directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("private")
    };
    if said.iter().any(private) {
        return None;
    }
    let mut kept = said;
    kept.retain(|directive| !is(directive, "public") && !is(directive, "s-maxage"));
    kept.push("private");
    Some(HeaderValue::try_from(kept.join(", ")).unwrap_or(HeaderValue::from_static("no-store")))
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
        assert_eq!(kept(&[shared, edge]), ["cache-control: private"]);
        for (said, expected) in [
            ("no-store", "no-store"),
            ("private, max-age=5", "private, max-age=5"),
            ("public, max-age=5", "max-age=5, private"),
            ("s-maxage=5", "private"),
            // No cache knows these.
            ("no-store=0, public", "no-store=0, private"),
            ("private=\"x\", public", "private=\"x\", private"),
        ] {
            let expected = format!("cache-control: {expected}");
            assert_eq!(kept(&[("cache-control", said)]), [expected], "{said}");
        }
    }
}

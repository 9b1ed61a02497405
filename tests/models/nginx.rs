//! nginx before another server: what it hands on. It is a step before a model, not a site.

use super::forwarded::{decode, segments};

/// `proxy_pass http://portal/;` and `try_files`: the path is decoded, slashes are merged, dots
/// resolved, and the rest is encoded again where it must be (the documentation of `proxy_pass`:
/// a URI in it replaces the normalised part of the request's).
pub fn with_uri(target: &str) -> String {
    let (path, query) =
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = decode(path);
    let mut normal = String::new();
    for segment in segments(&path) {
        normal.push('/');
        normal.push_str(&encode(&segment));
    }
    if path.ends_with('/') || normal.is_empty() {
        normal.push('/');
    }
    match query {
        Some(query) => format!("{normal}?{query}"),
        None => normal,
    }
}

/// What `ngx_escape_uri` escapes for a URI: space, `#`, `%`, `?`, controls and bytes over 126.
fn encode(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b' ' | b'#' | b'%' | b'?' | 0..=0x1f | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// Which `location` of a list takes a path: the documentation's order, with regular expressions
/// reduced to «ends with, without case» (`~* \.php$`).
pub fn location<'a>(path: &str, prefixes: &[&'a str], endings: &[&'a str]) -> Option<&'a str> {
    let path = with_uri(path);
    let path = path.split('?').next().unwrap_or_default();
    let path = decode(path);
    let ending = endings.iter().find(|ending| path.to_ascii_lowercase().ends_with(**ending));
    let longest = prefixes
        .iter()
        .filter(|prefix| path.starts_with(**prefix))
        .max_by_key(|prefix| prefix.len());
    ending.or(longest).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_normalises_what_it_hands_on() {
        assert_eq!(with_uri("/a//b/./c/../%64?x=%2F"), "/a/b/d?x=%2F");
        assert_eq!(with_uri("/a%2f..%2flogin"), "/login");
        assert_eq!(with_uri("/%C3%A9/a%20b/"), "/%C3%A9/a%20b/");
        assert_eq!(with_uri("/"), "/");
        assert_eq!(with_uri("/%252e"), "/%252e");
        assert_eq!(
            location("/public/..%2flogin", &["/", "/public/", "/login"], &[]),
            Some("/login")
        );
        assert_eq!(location("/x.PHP", &["/"], &[".php"]), Some(".php"));
    }
}

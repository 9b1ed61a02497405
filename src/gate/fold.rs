//! What paths, names and values are compared as where a rule keeps out: everything that a portal's
//! server could fold onto the same thing has the same key (PATH-09). Where a rule lets in, text is
//! compared to the letter, and nothing here is used.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::letters;

/// The deny key of a canonical path: decoded, in lower case, marked letters by their bases, without
/// the dots, spaces and slashes that Windows and many frameworks drop at the ends of segments.
/// Borrows when the path is its own key, as nearly all are.
pub(super) fn deny_key(path: &str) -> Cow<'_, str> {
    let is_own_key = !path
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'%' | b';') || !byte.is_ascii())
        && path.split('/').skip(1).all(|segment| {
            !segment.is_empty() && !segment.ends_with(['.', ' ']) && !segment.starts_with(' ')
        });
    if is_own_key {
        return Cow::Borrowed(path);
    }
    let decoded = decoded_to_the_end(path);
    let mut key = String::with_capacity(decoded.len());
    for segment in decoded.split(['/', '\\']) {
        // Only where parameters are allowed there are any: a container takes them away.
        let name = segment.split(';').next().unwrap_or_default();
        let name = name.trim_start_matches(' ').trim_end_matches(['.', ' ']);
        if !name.is_empty() {
            key.push('/');
            letters::push_folded(name, &mut key);
        }
    }
    Cow::Owned(key)
}

/// Decoded as often as it can be: where `%25` is allowed, a server may do it twice.
pub(super) fn decoded_to_the_end(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        if *decoded == *text {
            return text;
        }
        text = decoded.into_owned();
    }
}

/// The key of a parameter's, header's or cookie's name: letters and digits alone. PHP makes `_` of
/// dots and spaces, Rails and Java read `a[b]` and `a.b` alike, CGI knows no `-`.
pub(super) fn name_key(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    letters::push_folded(name, &mut folded);
    folded.retain(char::is_alphanumeric);
    folded
}

/// The key of a value: in lower case, composed, without white space or controls at its ends.
pub(super) fn value_key(value: &str) -> String {
    let is_blank = |letter: char| letter.is_whitespace() || letter.is_control();
    let composed: String = value.nfkc().collect();
    let mut folded = String::with_capacity(composed.len());
    letters::push_folded(composed.trim_matches(is_blank), &mut folded);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_09_a_deny_key_is_the_same_for_all_that_servers_fold() {
        for path in [
            "/login",
            "/LOGIN",
            "/login/",
            "/login.",
            "/login..%20.",
            "/%20login",
            "/Lógin",
            "/log%C4%B1n",
            "/login;x",
            "/login%3Bx",
            "/%256Cogin",
            "/l%C3%B3gin",
            "/login//",
        ] {
            assert_eq!(deny_key(path), "/login", "{path}");
        }
        assert_eq!(deny_key("/a%2Fb"), "/a/b");
        assert_eq!(deny_key("/%28S%28x%29%29"), "/(s(x))");
        assert!(matches!(deny_key("/reports/2026-01"), Cow::Borrowed(_)));
        assert_eq!(deny_key("/"), "");
    }

    #[test]
    fn names_and_values_fold() {
        for name in ["j_password", "J.Password", "j password", "j[password]", "jpassword"] {
            assert_eq!(name_key(name), "jpassword", "{name}");
        }
        assert_eq!(value_key(" Login\u{0}"), "login");
        assert_eq!(value_key("ｌｏｇｉｎ"), "login");
    }
}

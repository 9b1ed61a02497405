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
    let is_own_key = path.bytes().all(is_kept)
        && !path.contains("--")
        && !path.contains(':')
        && path.split('/').skip(1).all(|segment| {
            let is_kept_whole =
                !segment.ends_with(['.', '-', '_']) && !segment.starts_with(['-', '_']);
            !segment.is_empty() && is_kept_whole
        });
    if is_own_key {
        return Cow::Borrowed(path);
    }
    // One without an end was refused when the path was read.
    let decoded = decoded_to_the_end(path).unwrap_or_else(|| path.to_owned());
    let mut key = String::with_capacity(decoded.len());
    for segment in decoded.split(['/', '\\']) {
        // Only where parameters are allowed there are any: a container takes them away.
        let name = segment.split(';').next().unwrap_or_default();
        let name = name.trim_start_matches(' ').trim_end_matches(['.', ' ']);
        if !name.is_empty() {
            key.push('/');
            match name {
                // Of a pattern: what has a meaning in it stands alone.
                "*" | "**" => key.push_str(name),
                _ => push_slug(name, &mut key),
            }
        }
    }
    Cow::Owned(key)
}

/// What a key is made of: the rest is folded or left out.
const fn is_kept(byte: u8) -> bool {
    byte.is_ascii_lowercase()
        || byte.is_ascii_digit()
        || matches!(byte, b'/' | b'-' | b'_' | b'.' | b':')
}

/// A folded text as systems make names of pages from it: spaces are hyphens, one at a time; neither
/// these nor underscores nor dots stand at the ends or before a colon; and punctuation that means
/// nothing in a name is gone. What would be left with nothing stays as it is.
fn push_slug(text: &str, key: &mut String) {
    let mut folded = String::with_capacity(text.len());
    letters::push_folded(text, &mut folded);
    let mut slug = String::with_capacity(folded.len());
    for letter in folded.chars() {
        let letter = if letter == ' ' { '-' } else { letter };
        let is_left_out = letter.is_control()
            || (letter.is_ascii_punctuation() && !u8::try_from(letter).is_ok_and(is_kept));
        let is_again = letter == '-' && slug.ends_with('-');
        let is_after_colon = matches!(letter, '-' | '_') && slug.ends_with(':');
        if is_left_out || is_again || is_after_colon {
            continue;
        }
        if letter == ':' {
            slug.truncate(slug.trim_end_matches(['-', '_', '.']).len());
        }
        slug.push(letter);
    }
    let name = slug.trim_start_matches(['-', '_']).trim_end_matches(['-', '.', '_']);
    key.push_str(if name.is_empty() { &folded } else { name });
}

/// A deny key without what Windows takes for the name of a stream: `/login.aspx` for
/// `/login.aspx:x`. `None` if there is nothing to leave out.
pub(super) fn without_streams(key: &str) -> Option<String> {
    if !key.contains(':') {
        return None;
    }
    let names = key.split('/').map(|segment| segment.split(':').next().unwrap_or_default());
    let names = names.map(|name| name.trim_end_matches(['.', '-', '_']));
    Some(names.filter(|name| !name.is_empty()).flat_map(|name| ["/", name]).collect())
}

/// A deny key without colons at the beginning of segments, where a wiki leaves them out. `None` if
/// there are none.
pub(super) fn without_first_colons(key: &str) -> Option<String> {
    if !key.contains("/:") {
        return None;
    }
    let names = key.split('/').skip(1).map(|segment| segment.trim_start_matches(':'));
    Some(names.filter(|name| !name.is_empty()).flat_map(|name| ["/", name]).collect())
}

/// How often something is decoded: no server does it so often, and a visitor could make it as often
/// as the text is long.
pub(super) const MOST_DECODINGS: usize = 8;

/// Decoded as often as it can be, because a server may do it twice; `None` if that has no end.
pub(super) fn decoded_to_the_end(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MOST_DECODINGS {
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        if *decoded == *text {
            return Some(text);
        }
        text = decoded.into_owned();
    }
    None
}

/// The key of a parameter's, header's or cookie's name: letters and digits alone. PHP makes `_` of
/// dots and spaces, Rails and Java read `a[b]` and `a.b` alike, CGI knows no `-`.
pub(super) fn name_key(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    letters::push_folded(name, &mut folded);
    folded.retain(char::is_alphanumeric);
    folded
}

/// The key of a value: in lower case, composed, without white space, controls or slashes at its
/// ends, and without punctuation that names of pages lose.
pub(super) fn value_key(value: &str) -> String {
    let is_blank = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '/';
    let key = pattern_key(value.trim_matches(is_blank));
    key.trim_matches('/').trim_start_matches(':').to_owned()
}

/// The same with its ends as they are: what begins or ends a value.
pub(super) fn pattern_key(value: &str) -> String {
    let composed: String = value.nfkc().collect();
    let mut slug = String::with_capacity(composed.len());
    push_slug(&composed, &mut slug);
    let mut key = String::with_capacity(slug.len());
    for letter in slug.chars() {
        if !(letter == '/' && key.ends_with('/')) {
            key.push(letter);
        }
    }
    key
}

/// Whether some system could take two texts for one word: by case, marks on letters, look-alikes or
/// white space.
#[must_use]
pub fn is_one_word(one: &str, other: &str) -> bool {
    one == other || value_key(one) == value_key(other)
}

/// The longest value that is compared: a longer one could be anything.
const LONGEST_VALUE: usize = 1024;

/// The keys of everything that a value could be taken for: itself, each item of a list with commas
/// (ASP joins repeated names so), and the number that it begins with; `None` if that is anything.
pub(super) fn value_keys(value: &str) -> Option<Vec<String>> {
    if value.len() > LONGEST_VALUE {
        return None;
    }
    let mut keys = vec![value_key(value)];
    if value.contains(',') {
        keys.extend(value.split(',').map(value_key));
    }
    // Filters that leave nothing but the characters of a command, with dots or without.
    let is_command = |letter: &char| letter.is_ascii_alphanumeric() || "._-".contains(*letter);
    if value.starts_with('.') || !value.chars().all(|letter| is_command(&letter)) {
        let command: String = value.chars().filter(is_command).collect();
        let without_dots = command.replace('.', "");
        for command in [&without_dots, command.trim_start_matches('.')] {
            let key = value_key(command);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let number =
        value.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '+');
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(digits) = number.get(..digits).filter(|digits| !digits.is_empty()) {
        let short = digits.trim_start_matches('0');
        keys.push(if short.is_empty() { "0".to_owned() } else { short.to_owned() });
    }
    Some(keys)
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
        for slug in ["/my%20account~!", "/my-account.~", "/-my--account*"] {
            assert_eq!(deny_key(slug), "/my-account", "{slug}");
        }
        assert_eq!(without_streams("/login.aspx:x/a").as_deref(), Some("/login.aspx/a"));
        assert_eq!(without_first_colons("/a/::b:c/:").as_deref(), Some("/a/b:c"));
        assert_eq!(without_first_colons("/a:b"), None);
        assert!(matches!(deny_key("/reports/2026-01"), Cow::Borrowed(_)));
        assert_eq!(deny_key("/"), "");
        for title in ["/_Special%20:_Password", "/Special:Password_", "/special_:-password"] {
            assert_eq!(deny_key(title), "/special:password", "{title}");
        }
        // What is nothing but punctuation is a name all the same.
        assert_eq!(deny_key("/~/admin"), "/~/admin");
        assert_eq!(deny_key("/_/-/x"), "/_/-/x");
    }

    #[test]
    fn lim_07_decoding_has_an_end() {
        let deep = |times: usize| format!("%{}41", "25".repeat(times));
        assert_eq!(decoded_to_the_end(&deep(3)).as_deref(), Some("A"));
        assert_eq!(decoded_to_the_end(&deep(500_000)), None);
    }

    #[test]
    fn names_and_values_fold() {
        for name in ["j_password", "J.Password", "j password", "j[password]", "jpassword"] {
            assert_eq!(name_key(name), "jpassword", "{name}");
        }
        assert_eq!(value_key(" Login\u{0}"), "login");
        assert_eq!(value_key("ｌｏｇｉｎ"), "login");
        assert_eq!(value_key("//jwt-auth//v1/"), "jwt-auth/v1");
        assert_eq!(value_keys("login,x").unwrap(), ["loginx", "login", "x"]);
        assert_eq!(value_keys(" 007x").unwrap(), ["007x", "7"]);
        assert_eq!(
            value_keys("usé/er.login").unwrap(),
            ["use/er.login", "userlogin", "user.login"]
        );
        assert_eq!(value_key(" / login / "), "login");
        assert_eq!(value_key("\u{1}/\u{1}login"), "login");
        for word in ["Treasurer", " treasurer", "TREASURER\u{200b}", "tréasurer", "ｔreasurer"] {
            assert!(is_one_word(word, "treasurer"), "{word}");
        }
        assert!(!is_one_word("treasurers", "treasurer") && !is_one_word("", "treasurer"));
        for number in ["+7x", "\u{1}7", " + 7", "\u{2}+07 "] {
            assert!(value_keys(number).unwrap().contains(&"7".to_owned()), "{number}");
        }
        assert!(value_keys(&"x".repeat(LONGEST_VALUE)).is_some());
        assert_eq!(value_keys(&"x".repeat(LONGEST_VALUE + 1)), None);
    }
}

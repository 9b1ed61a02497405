//! How path patterns relate to each other, for warnings about rules that cannot mean what they
//! seem to. Deliberately not here: which pattern covers a path, which is `gate`'s.

/// Whether there is a path that both cover, in spellings that a portal may take for one.
pub(super) fn meet(one: &str, other: &str) -> bool {
    let mut one = one.split('/');
    let mut other = other.split('/');
    loop {
        match (one.next(), other.next()) {
            (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
            (Some("*"), Some(segment)) | (Some(segment), Some("*")) if !segment.is_empty() => {}
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
            _ => return false,
        }
    }
}

/// Whether a pattern names something at or below `prefix`, rather than reaching it by a `*`.
pub(super) fn is_below(pattern: &str, prefix: &str) -> bool {
    let mut pattern = pattern.split('/');
    prefix
        .split('/')
        .all(|segment| pattern.next().is_some_and(|written| written.eq_ignore_ascii_case(segment)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::includes;

    #[test]
    fn a_wider_pattern_includes_a_narrower_one() {
        for (wide, narrow) in [
            ("/**", "/"),
            ("/**", "/a/*/b"),
            ("/a/**", "/a"),
            ("/a/**", "/a/**"),
            ("/a/*", "/a/b"),
            ("/a/*", "/a/*"),
            ("/a/**", "/a/*/**"),
        ] {
            assert!(includes(wide, narrow), "{wide} includes {narrow}");
        }
        for (wide, narrow) in [
            ("/a/*", "/a/**"),
            ("/a/*/**", "/a/**"),
            ("/a/b", "/a/*"),
            ("/a", "/A"),
            ("/a/*", "/a"),
            ("/a/*", "/a/"),
            ("/a/**", "/**"),
        ] {
            assert!(!includes(wide, narrow), "{wide} does not include {narrow}");
        }
    }

    #[test]
    fn patterns_meet_where_both_cover_a_path() {
        assert!(meet("/*/edit", "/members/*"));
        assert!(meet("/**", "/login"));
        assert!(meet("/Login", "/login"));
        assert!(meet("/login/**", "/login"));
        assert!(!meet("/assets/**", "/login"));
        assert!(!meet("/login", "/login/reset"));
    }

    #[test]
    fn a_star_is_not_below_a_prefix() {
        assert!(is_below("/.auth", "/.auth"));
        assert!(is_below("/.AUTH/login", "/.auth"));
        assert!(!is_below("/**", "/.auth"));
        assert!(!is_below("/.authentic", "/.auth"));
        assert!(!is_below("/", "/.auth"));
    }
}

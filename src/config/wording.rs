//! Words in messages: values as they may be quoted, lists of names, and what was probably meant.

pub(super) fn listed(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

pub(super) fn listed_or(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [all @ .., last] => format!("`{}` or `{last}`", all.join("`, `")),
    }
}

/// A value in a message: on one line, and not the whole of a long one.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", cropped(text))
}

pub(super) fn cropped(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|character| match character {
            // Neither a line break nor a terminal's escape sequence gets into a log.
            _ if character.is_control() => '\u{fffd}',
            _ => character,
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The name that was probably meant, if one is close.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 64;
    let folded = |text: &str| -> Vec<char> {
        text.chars()
            .filter(|character| !matches!(character, '_' | '-'))
            .map(|character| character.to_ascii_lowercase())
            .collect()
    };
    let written = folded(written);
    if written.len() > LONGEST {
        return None;
    }
    names
        .map(|name| (distance(&written, &folded(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters have to be put in, left out, changed or swapped with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (down, a) in one.iter().enumerate() {
        let mut next = vec![down + 1];
        for (across, b) in other.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let mut least = (at(&row, across) + usize::from(a != b))
                .min(at(&row, across + 1) + 1)
                .min(at(&next, across) + 1);
            let is_swap = down > 0
                && across > 0
                && one.get(down - 1) == Some(b)
                && other.get(across - 1) == Some(a);
            if is_swap {
                least = least.min(at(&before, across - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let names = ["path", "access", "public_url", "listen"];
        for (written, meant) in [
            ("acess", Some("access")),
            ("acecss", Some("access")),
            ("publicUrl", Some("public_url")),
            ("public-url", Some("public_url")),
            ("lisen", Some("listen")),
            ("upstream", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names.into_iter()), meant, "{written}");
        }
    }

    #[test]
    fn a_quoted_value_is_one_line_and_not_long() {
        assert_eq!(quoted("a\u{1b}[31m\nb"), "`a\u{fffd}[31m\u{fffd}b`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 63);
    }
}

//! What is done to a claim's text. Each step gives a text that is not empty, or none: what it was
//! made for is not there, and nothing half is sent.

use crate::config::Transform;

/// A text after all steps, or the step that did not apply.
pub(super) fn apply<'t>(steps: &'t [Transform], text: &str) -> Result<String, &'t Transform> {
    let mut text = text.to_owned();
    for step in steps {
        text = applied(step, &text).filter(|text| !text.is_empty()).ok_or(step)?;
    }
    Ok(text)
}

fn applied(step: &Transform, text: &str) -> Option<String> {
    match step {
        Transform::Lower => in_case(text, char::to_lowercase),
        Transform::Upper => in_case(text, char::to_uppercase),
        Transform::Trim => Some(text.trim().to_owned()),
        Transform::Domain => in_case(parts(text, "@")?.1, char::to_lowercase),
        Transform::Before(mark) => Some(parts(text, mark)?.0.to_owned()),
        Transform::After(mark) => Some(parts(text, mark)?.1.to_owned()),
        Transform::StripPrefix(prefix) => Some(text.strip_prefix(prefix.as_str())?.to_owned()),
    }
}

/// Both sides of a mark that is there once: of two, nobody could say which was meant.
fn parts<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let (before, after) = text.split_once(mark)?;
    let is_there_again = text.rfind(mark) != text.find(mark);
    (!is_there_again).then_some((before, after))
}

/// Letter by letter. One beyond ASCII that becomes one of ASCII (a Kelvin sign in lower case is a
/// `k`) would turn somebody's name into somebody else's (GEN-08).
fn in_case<I: Iterator<Item = char>>(text: &str, case: fn(char) -> I) -> Option<String> {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        let start = folded.len();
        folded.extend(case(character));
        let made = folded.get(start..).unwrap_or_default();
        if !character.is_ascii() && made.bytes().any(|byte| byte.is_ascii()) {
            return None;
        }
    }
    Some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(steps: &[Transform], text: &str) -> Option<String> {
        apply(steps, text).ok()
    }

    #[test]
    fn each_step_does_what_it_says_or_nothing() {
        use Transform::{After, Before, Domain, Lower, StripPrefix, Trim, Upper};
        let at = || Before("@".to_owned());
        for (steps, text, made) in [
            (vec![], "", Some("")),
            (vec![Lower], "Ines.CALDERA", Some("ines.caldera")),
            (vec![Lower], "ŁUKASZ", Some("łukasz")),
            (vec![Lower], "\u{212a}elvin", None),
            (vec![Lower], "İnes", None),
            (vec![Upper], "straße", None),
            (vec![Upper], "ſ", None),
            (vec![Upper], "émile", Some("ÉMILE")),
            (vec![Trim], " a b\t", Some("a b")),
            (vec![Trim], " \u{a0}", None),
            (vec![Lower], "", None),
            (vec![at()], "ines@harborclub.example", Some("ines")),
            (vec![at()], "ines", None),
            (vec![at()], "@harborclub.example", None),
            (vec![at()], "\"a@b\"@harborclub.example", None),
            (vec![Domain], "Ines@HarborClub.example", Some("harborclub.example")),
            (vec![Domain], "Ines@", None),
            (vec![Domain], "a@b@c", None),
            (vec![After("\\".to_owned())], "CORP\\ines", Some("ines")),
            (vec![After("\\".to_owned())], "ines", None),
            (vec![After("aa".to_owned())], "xaaay", None),
            (vec![StripPrefix("/".to_owned())], "/staff/board", Some("staff/board")),
            (vec![StripPrefix("/".to_owned())], "staff", None),
            (vec![StripPrefix("/".to_owned())], "/", None),
            (vec![Trim, at(), Upper], " ines@x ", Some("INES")),
        ] {
            assert_eq!(after(&steps, text).as_deref(), made, "{steps:?} {text}");
        }
        let steps = [Transform::Trim, Transform::Domain];
        assert_eq!(
            apply(&steps, "ines"),
            Err(&Transform::Domain),
            "it is said which did not apply"
        );
    }

    proptest! {
        #[test]
        fn nothing_becomes_an_ascii_letter_that_was_none(text in any::<String>()) {
            for step in [Transform::Lower, Transform::Upper] {
                if let Some(made) = after(&[step], &text) {
                    let ascii = |text: &str| text.chars().filter(char::is_ascii).count();
                    prop_assert_eq!(ascii(&made), ascii(&text));
                }
            }
        }

        #[test]
        fn no_step_gives_an_empty_text(text in any::<String>(), mark in "[@.a]{1,2}") {
            for step in [
                Transform::Lower, Transform::Trim, Transform::Domain, Transform::Before(mark.clone()),
                Transform::After(mark.clone()), Transform::StripPrefix(mark.clone()),
            ] {
                prop_assert_ne!(after(&[step], &text), Some(String::new()));
            }
        }
    }
}

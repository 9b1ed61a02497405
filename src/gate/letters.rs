//! What letters beyond ASCII could become: which a portal's server could turn into ASCII, and what
//! they are folded to where a rule keeps out. The data are Unicode's, by its own crates:
//! normalisation (UAX #15), confusables (UTS #39), general categories (UAX #44).

use std::borrow::Cow;

use any_ascii::any_ascii_char;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
use unicode_security::confusable_detection::skeleton;

/// Whether a decoded segment is what it looks like: in its composed form, and without characters
/// that a compatibility mapping, a change of case or a careless eye turns into ASCII (PATH-06).
///
/// Accented letters are what they look like: é is never e, though the deny key takes it for one. A
/// look-alike is refused where it stands in a word with ASCII letters, or where the whole segment
/// could be read as ASCII; so words of other scripts pass.
pub(super) fn is_what_it_looks_like(segment: &str) -> bool {
    if segment.is_ascii() {
        return true;
    }
    unicode_normalization::is_nfc(segment)
        && segment.chars().all(|letter| letter.is_ascii() || stays_itself(letter))
        && joiners_join(segment)
        && !has_look_alikes(segment)
}

/// Whether no mapping of one character alone leads to ASCII.
fn stays_itself(letter: char) -> bool {
    let is_mark = is_combining_mark(letter) || is_joiner(letter);
    let is_shown = !matches!(
        letter.general_category_group(),
        GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator
    );
    (is_mark || is_shown)
        && !letter.nfkc().any(|mapped| mapped.is_ascii())
        && (is_european(letter)
            || !letter.to_lowercase().chain(letter.to_uppercase()).any(|mapped| mapped.is_ascii()))
}

/// Zero-width joiner and non-joiner, and what chooses between text and picture: Persian, Hindi and
/// emoji are written with them.
const fn is_joiner(letter: char) -> bool {
    matches!(letter, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Between letters that are not ASCII a joiner means something; elsewhere it only hides.
fn joiners_join(segment: &str) -> bool {
    let mut before = 'a';
    let mut letters = segment.chars().peekable();
    while let Some(letter) = letters.next() {
        let after = letters.peek();
        if is_joiner(letter)
            && (before.is_ascii() || after.is_some_and(char::is_ascii_alphanumeric))
        {
            return false;
        }
        before = letter;
    }
    true
}

fn has_look_alikes(segment: &str) -> bool {
    let separators = |letter: char| {
        !letter.is_ascii()
            && skeleton(letter.encode_utf8(&mut [0; 4])).any(|shown| "/\\.%;:?#".contains(shown))
    };
    if segment.chars().any(separators) {
        return true;
    }
    let mut whole = true;
    let mut any = false;
    for word in segment.split(|letter: char| !letter.is_alphanumeric()) {
        let ascii = word.bytes().any(|byte| byte.is_ascii_alphabetic());
        for letter in word.chars().filter(|letter| !letter.is_ascii()) {
            let looks = could_be_ascii(letter);
            if looks && ascii {
                return true;
            }
            any |= looks;
            whole &= looks;
        }
    }
    any && whole
}

/// Whether it looks like a letter or digit of ASCII, or is mapped to one where text is squeezed
/// into Windows code page 1252.
fn could_be_ascii(letter: char) -> bool {
    if is_european(letter) {
        return false;
    }
    let is_squeezed = "ΓΘΣΦΩαδεπστφ".contains(letter);
    let mut buffer = [0; 4];
    let mut shown = skeleton(letter.encode_utf8(&mut buffer)).peekable();
    is_squeezed || (shown.peek().is_some() && shown.all(|shown| shown.is_ascii_alphanumeric()))
}

/// Appends a decoded segment as a rule that keeps out compares it: in lower case, and every letter
/// beyond ASCII as what slugs, collations and old code pages make of it (PATH-09).
pub(super) fn push_folded(segment: &str, key: &mut String) {
    if segment.is_ascii() {
        key.extend(segment.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        return;
    }
    for letter in segment.nfkd() {
        let is_unseen =
            matches!(letter.general_category(), GeneralCategory::Format | GeneralCategory::Control);
        if is_combining_mark(letter) || is_joiner(letter) || (is_unseen && !letter.is_ascii()) {
            continue;
        }
        let plain = any_ascii_char(letter);
        match plain.is_empty() {
            true => key.push(letter),
            false => key.extend(plain.bytes().map(|byte| char::from(byte.to_ascii_lowercase()))),
        }
    }
}

/// A text with every letter beyond ASCII as what some mapping makes of it.
pub(super) fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |letter: char| match letter.is_ascii() {
        true => letter.to_string(),
        false => any_ascii_char(letter).to_owned(),
    };
    Cow::Owned(text.nfkc().map(plain).collect())
}

/// Letters of European languages that a change of case or a careless eye turns into ASCII, and that
/// are ordinary all the same.
const fn is_european(letter: char) -> bool {
    matches!(
        letter,
        'ß' | 'ẞ'
            | 'ı'
            | 'İ'
            | 'ø'
            | 'Ø'
            | 'ł'
            | 'Ł'
            | 'đ'
            | 'Đ'
            | 'ð'
            | 'Ð'
            | 'ħ'
            | 'Ħ'
            | 'ŧ'
            | 'Ŧ'
            | 'æ'
            | 'Æ'
            | 'œ'
            | 'Œ'
            | 'þ'
            | 'Þ'
            | 'ŋ'
            | 'Ŋ'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_06_words_of_the_worlds_languages_pass() {
        for word in [
            "Müller",
            "Straße",
            "GROẞE",
            "café",
            "Łódź",
            "Kızılay",
            "İstanbul",
            "đường",
            "Ærø",
            "Þingvellir",
            "о-нас",
            "Wi-Fi-роутер",
            "Россия",
            "ελληνικά",
            "Ωμέγα",
            "עברית",
            "العربية",
            "فارسی\u{200c}ها",
            "हिन्दी",
            "中文",
            "日本語",
            "ひらがな",
            "한국어",
            "❤\u{fe0f}",
            "👩\u{200d}💻",
            "a–b",
            "l’été",
            "100€",
            "naïve(1)",
        ] {
            assert!(is_what_it_looks_like(word), "{word}");
        }
    }

    #[test]
    fn path_06_what_could_turn_into_ascii_does_not() {
        for trick in [
            "ｌｏｇｉｎ",
            "lоgin",
            "lοgin",
            "ӏogin",
            "log\u{200d}in",
            "log\u{200b}in",
            "login\u{feff}",
            "login\u{200c}",
            "\u{202e}nigol",
            "login\u{ad}",
            "ﬁle",
            "m²",
            "№1",
            "ſecure",
            "\u{212a}ey",
            "login\u{a0}",
            "cafe\u{301}",
            "a∕b",
            "a․․b",
            "a\u{ff0f}b",
            "ⅼogin",
            "𝐥ogin",
            "сор",
            "logın\u{200d}",
            "a\u{37e}b",
            "a\u{2028}b",
            "a\u{e000}b",
            "l\u{fe0f}ogin",
        ] {
            assert!(!is_what_it_looks_like(trick), "{trick:?}");
        }
    }

    #[test]
    fn path_09_folding_takes_marks_and_case_away() {
        let folded = |text: &str| {
            let mut key = String::new();
            push_folded(text, &mut key);
            key
        };
        for (text, key) in [
            ("LOGIN", "login"),
            ("Lógìn", "login"),
            ("logın", "login"),
            ("LOGİN", "login"),
            ("paßword", "password"),
            ("ŁØGIN", "login"),
            ("Müller", "muller"),
            ("Aƈć", "acc"),
            ("Россия", "rossiya"),
            // What nobody sees is left out; what is not text at all is for others to judge.
            ("lo\u{200e}g\u{ad}in", "login"),
            ("é\u{1}x", "e\u{1}x"),
        ] {
            assert_eq!(folded(text), key, "{text}");
        }
    }
}

//! A text of the directory's for a member: what a person can read, on one line, of a bounded
//! length. That it is no markup is the page's to see to, by type.

/// The longest, in characters.
pub(super) const LONGEST: usize = 300;

/// A text without what is not read: control characters, and those that turn, hide or join others.
/// `None` if nothing is left.
pub(super) fn for_member(text: &str) -> Option<String> {
    let visible = text.chars().take(LONGEST * 8).filter(|character| !is_unseen(*character));
    let visible: String = visible
        .map(|character| match character.is_control() || character.is_whitespace() {
            true => ' ',
            false => character,
        })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(LONGEST).collect();
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_that_can_be_read() {
        assert_eq!(
            for_member("Your fee\r\n is\tdue.\u{202e}\u{200b} \u{0}").unwrap(),
            "Your fee is due."
        );
        assert_eq!(for_member(" \u{feff}\n\u{1b} "), None);
        assert_eq!(for_member(""), None);
        assert_eq!(for_member("<b>").unwrap(), "<b>", "markup is text");
        let long = for_member(&"ß ".repeat(100_000)).unwrap();
        assert_eq!(long.chars().count(), LONGEST - 1);
    }
}

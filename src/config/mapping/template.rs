//! Texts with claims in them: `{given_name} {family_name}`. A template is read so that what comes
//! of it can be taken apart again: between two claims stands a text that begins with a character
//! which is encoded inside of values (HDR-09). Filling it in is `identity`'s.

use std::str::FromStr;

use crate::gate::{ClaimPath, ClaimPathError};

/// The most characters of a template.
const LONGEST: usize = 1024;
/// The most claims in one.
const MOST: usize = 16;

/// A text with claims in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// What a template is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A text, which is the same for every member.
    Text(String),
    /// A claim.
    Claim(ClaimPath),
}

/// Why a text is no template. None of them quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No claim in it.
    #[error(
        "a template has claims in braces, as in `{{given_name}} {{family_name}}`; a text alone is `value`"
    )]
    NoClaim,
    /// A brace without its other.
    #[error(
        "a brace is not closed, or not opened; `{{{{` and `}}}}` stand for the characters themselves"
    )]
    Brace,
    /// What stands in braces is no path.
    #[error("in braces: {0}")]
    Claim(#[from] ClaimPathError),
    /// Two claims beside each other.
    #[error(
        "between two claims stands a text that neither can have, or nobody could tell where the \
         first one ends: `{{a}}-{{b}}` instead of `{{a}}{{b}}`"
    )]
    Adjacent,
    /// A text between two claims that begins with what cannot be encoded inside of values.
    #[error(
        "the text between two claims begins with a space or one of `!\"#$&'()*+,-./:;<=>?@[\\]^_`|~`, \
         which is then encoded inside of values, so that nobody can move the border between them"
    )]
    Border,
    /// A space at one of the ends, where HTTP drops it.
    #[error("a header's value neither begins nor ends with a space")]
    Space,
    /// A character that stands in no header.
    #[error("a template is one line, without control characters")]
    Control,
    /// Longer than any that makes sense.
    #[error("a template has at most {LONGEST} characters and {MOST} claims")]
    TooLong,
}

impl FromStr for Template {
    type Err = TemplateError;

    /// The only way to make one.
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.chars().nth(LONGEST).is_some() {
            return Err(TemplateError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(TemplateError::Control);
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(TemplateError::Space);
        }
        let pieces = pieces(text)?;
        let claims = pieces.iter().filter(|piece| matches!(piece, Piece::Claim(_))).count();
        match claims {
            0 => return Err(TemplateError::NoClaim),
            1..=MOST => {}
            _ => return Err(TemplateError::TooLong),
        }
        let template = Self { pieces };
        match template.has_borders() {
            true => Ok(template),
            false => Err(TemplateError::Border),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = literal(rest)?;
        if !piece.is_empty() {
            pieces.push(Piece::Text(piece));
        }
        rest = behind;
        if let Some(inside) = rest.strip_prefix('{') {
            let end = closing(inside).ok_or(TemplateError::Brace)?;
            let (path, behind) = inside.split_at_checked(end).unwrap_or((inside, ""));
            if matches!(pieces.last(), Some(Piece::Claim(_))) {
                return Err(TemplateError::Adjacent);
            }
            pieces.push(Piece::Claim(path.parse()?));
            rest = behind.strip_prefix('}').unwrap_or_default();
        }
    }
    Ok(pieces)
}

/// The text up to the next claim, with its doubled braces read, and what follows.
fn literal(text: &str) -> Result<(String, &str), TemplateError> {
    let mut read = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let behind = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '{' | '}' if behind.starts_with(character) => {
                read.push(character);
                rest = behind.get(1..).unwrap_or_default();
            }
            '{' => break,
            '}' => return Err(TemplateError::Brace),
            _ => {
                read.push(character);
                rest = behind;
            }
        }
    }
    Ok((read, rest))
}

/// Where the brace that ends a path is: a name in quotes may have braces of its own.
fn closing(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

impl Template {
    /// What it is made of, in its order; no two claims are beside each other.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The claims in it.
    pub fn claims(&self) -> impl Iterator<Item = &ClaimPath> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Claim(path) => Some(path),
            Piece::Text(_) => None,
        })
    }

    /// The first character of each text between two claims. None of them stands in a value as it
    /// is sent, so the first one behind a value's beginning is that value's end.
    pub fn borders(&self) -> impl Iterator<Item = char> {
        self.pieces.windows(3).filter_map(|three| match three {
            [Piece::Claim(_), Piece::Text(text), Piece::Claim(_)] => text.chars().next(),
            _ => None,
        })
    }

    /// A letter or digit may be a part of an escape, and `%` begins one.
    fn has_borders(&self) -> bool {
        self.borders().all(|first| {
            let is_mark = first == ' ' || first.is_ascii_punctuation();
            is_mark && !matches!(first, '%')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn claim(path: &str) -> Piece {
        Piece::Claim(path.parse().unwrap())
    }

    #[test]
    fn a_template_is_texts_and_claims() {
        for (written, pieces) in [
            ("{a}", vec![claim("a")]),
            ("{a} {b}", vec![claim("a"), text(" "), claim("b")]),
            ("CORP\\{upn}", vec![text("CORP\\"), claim("upn")]),
            ("{emails[0]}", vec![claim("emails[0]")]),
            ("{{{a}}}", vec![text("{"), claim("a"), text("}")]),
            ("{{a}}: {b}", vec![text("{a}: "), claim("b")]),
            ("{\"a}b\"}/{\"c\\\"}\"}", vec![claim("\"a}b\""), text("/"), claim("\"c\\\"}\"")]),
            ("é{a}é", vec![text("é"), claim("a"), text("é")]),
            ("{a}}}{b}", vec![claim("a"), text("}"), claim("b")]),
        ] {
            let read: Template =
                written.parse().unwrap_or_else(|error| panic!("{written} {error}"));
            assert_eq!(read.pieces(), pieces, "{written}");
        }
    }

    #[test]
    fn a_template_that_could_be_read_in_two_ways_is_refused() {
        use TemplateError::{Adjacent, Border, Brace, Control, NoClaim, Space, TooLong};
        for (written, error) in [
            ("", NoClaim),
            ("a", NoClaim),
            ("{{a}}", NoClaim),
            ("{a}{b}", Adjacent),
            ("{a", Brace),
            ("a}", Brace),
            ("{a}}", Brace),
            ("{\"a}", Brace),
            ("{}", TemplateError::Claim(ClaimPathError::Empty)),
            ("{a b}", TemplateError::Claim(ClaimPathError::Odd)),
            ("{a}x{b}", Border),
            ("{a}2{b}", Border),
            ("{a}%{b}", Border),
            ("{a}é{b}", Border),
            (" {a}", Space),
            ("{a} ", Space),
            ("{a}\n{b}", Control),
            (&format!("{{a}}{}", "-".repeat(1030)), TooLong),
            (&["{a}"; 17].join("-"), TooLong),
        ] {
            assert_eq!(written.parse::<Template>(), Err(error), "{written}");
        }
    }
}

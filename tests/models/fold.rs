//! Characters that some reader takes for others: code page conversion, compatibility mapping, case,
//! and the comparison of a database. Small tables of what matters for ASCII names.

/// Letters and their relatives: what Unicode decomposes to the base letter, and what collations and
/// slug makers treat as it.
const RELATIVES: [(&str, &str); 26] = [
    ("a", "àáâãäåāăąǎǟǡǻȁȃạảấầẩẫậắằẳẵặÀÁÂÃÄÅĀĂĄǍẠẢẤẦẨẪẬẮẰẲẴẶ"),
    ("b", "ḃḅḇƀɓḂḄḆ"),
    ("c", "çćĉċčƈÇĆĈĊČ"),
    ("d", "ďđḋḍḏḑḓðĎĐḊḌÐ"),
    ("e", "èéêëēĕėęěȅȇẹẻẽếềểễệÈÉÊËĒĔĖĘĚẸẺẼẾỀỂỄỆ"),
    ("f", "ḟƒḞ"),
    ("g", "ĝğġģǧǵḡĜĞĠĢǦǴḠ"),
    ("h", "ĥħḣḥḧḩḫẖĤĦḢḤ"),
    ("i", "ìíîïĩīĭįıǐȉȋịỉÌÍÎÏĨĪĬĮİǏỊỈ"),
    ("j", "ĵǰĴ"),
    ("k", "ķǩḱḳḵĶǨḰ"),
    ("l", "ĺļľŀłḷḹḻḽĹĻĽĿŁḶ"),
    ("m", "ḿṁṃḾṀṂ"),
    ("n", "ñńņňǹṅṇṉṋÑŃŅŇǸṄ"),
    ("o", "òóôõöøōŏőơǒǫǭȍȏọỏốồổỗộớờởỡợÒÓÔÕÖØŌŎŐƠǑỌỎỐỒỔỖỘỚỜỞỠỢ"),
    ("p", "ṕṗṔṖ"),
    ("q", "ʠ"),
    ("r", "ŕŗřȑȓṙṛṝṟŔŖŘṘ"),
    ("s", "śŝşšșṡṣſŚŜŞŠȘṠṢ"),
    ("t", "ţťŧțṫṭṯŢŤŦȚṪ"),
    ("u", "ùúûüũūŭůűųưǔǖǘǚǜụủứừửữựÙÚÛÜŨŪŬŮŰŲƯǓỤỦỨỪỬỮỰ"),
    ("v", "ṽṿṼ"),
    ("w", "ŵẁẃẅẇẉŴẀẂẄ"),
    ("x", "ẋẍẊẌ"),
    ("y", "ýÿŷȳẏỳỵỷỹÝŶŸỲỴỶỸ"),
    ("z", "źżžẑẓẕŹŻŽẐ"),
];

/// A relative of an ASCII letter, for those who make hostile spellings.
pub fn relative(letter: char, pick: usize) -> Option<char> {
    let lower = letter.to_ascii_lowercase().to_string();
    let (_, all) = RELATIVES.iter().find(|(base, _)| *base == lower)?;
    let count = all.chars().count();
    all.chars().nth(pick % count)
}

fn base(letter: char) -> Option<&'static str> {
    match letter {
        'ß' | 'ẞ' => return Some("ss"),
        'æ' | 'Æ' | 'ǽ' => return Some("ae"),
        'œ' | 'Œ' => return Some("oe"),
        _ => {}
    }
    RELATIVES.iter().find(|(_, all)| all.contains(letter)).map(|(base, _)| *base)
}

/// What compatibility decomposition (NFKC, UAX 15) makes of a character, where that has ASCII in
/// it.
pub fn compatible(letter: char) -> Option<String> {
    let code = u32::from(letter);
    let from = |code: u32| char::from_u32(code).map(String::from);
    let letters = |offset: u32| from(if offset < 26 { 65 + offset } else { 97 + offset - 26 });
    match code {
        0xff01..=0xff5e => from(code - 0xfee0),
        0x1d400..=0x1d6a3 => letters((code - 0x1d400) % 52),
        0x1d7ce..=0x1d7ff => from(48 + (code - 0x1d7ce) % 10),
        0x24b6..=0x24cf => from(65 + code - 0x24b6),
        0x24d0..=0x24e9 => from(97 + code - 0x24d0),
        0x249c..=0x24b5 => Some(format!("({})", from(97 + code - 0x249c)?)),
        0x2170 => from(105),
        0x2070 | 0x2074..=0x2079 => from(48 + code - 0x2070),
        0x2080..=0x2089 => from(48 + code - 0x2080),
        _ => {
            let plain = match letter {
                'ª' | 'ᵃ' | 'ₐ' => "a",
                'º' | 'ᵒ' | 'ₒ' | 'ℴ' => "o",
                'ⁱ' | 'ᵢ' | 'ℹ' | 'ⅰ' => "i",
                'ⁿ' | 'ₙ' => "n",
                'ˡ' | 'ₗ' | 'ℓ' | 'ⅼ' => "l",
                'ᵍ' | 'ℊ' => "g",
                'ᵖ' | 'ₚ' => "p",
                'ˢ' | 'ₛ' | 'ſ' => "s",
                'ʷ' => "w",
                'K' => "K",
                'Å' => "Å",
                '²' => "2",
                '³' => "3",
                '¹' => "1",
                'ﬀ' => "ff",
                'ﬁ' => "fi",
                'ﬂ' => "fl",
                'ﬆ' | 'ﬅ' => "st",
                '․' => ".",
                '‥' => "..",
                '…' => "...",
                '\u{a0}' | '\u{3000}' | '\u{2003}' => " ",
                _ => return None,
            };
            Some(plain.to_owned())
        }
    }
}

/// A compatibility relative of an ASCII character, for those who make hostile spellings.
pub fn compatibility_relative(letter: char, pick: usize) -> char {
    let code = u32::from(letter);
    let (upper, lower) = (letter.is_ascii_uppercase(), letter.is_ascii_lowercase());
    let special = match letter {
        'k' | 'K' => 'K',
        's' => 'ſ',
        'l' => 'ⅼ',
        'i' => 'ⁱ',
        'o' => 'º',
        '.' => '․',
        _ => char::from_u32(code + 0xfee0).unwrap_or(letter),
    };
    let other = match pick % 4 {
        0 if (0x21..0x7f).contains(&code) => char::from_u32(code + 0xfee0),
        1 if lower => char::from_u32(0x24d0 + code - 97),
        1 if upper => char::from_u32(0x24b6 + code - 65),
        2 if lower => char::from_u32(0x1d400 + 26 + code - 97),
        2 if upper => char::from_u32(0x1d400 + code - 65),
        _ => Some(special),
    };
    other.unwrap_or(special)
}

/// Windows' best-fit conversion to code page 1252 (the vendor's table `bestfit1252`): what an ANSI
/// call makes of a character that the code page lacks.
pub fn best_fit_1252(text: &str) -> String {
    map(text, |letter| {
        let code = u32::from(letter);
        if code < 0x100 {
            return None;
        }
        if (0xff01..=0xff5e).contains(&code) {
            return compatible(letter);
        }
        if (0x100..=0x24f).contains(&code) {
            // The table keeps the case of these letters; the servers that use it do not.
            return base(letter).map(str::to_owned);
        }
        let plain = match letter {
            'Γ' => "G",
            'Θ' => "T",
            'Σ' | 'Ʃ' => "S",
            'Φ' => "F",
            'Ω' => "O",
            'α' => "a",
            'δ' => "d",
            'ε' | 'ℯ' | '℮' => "e",
            'π' => "p",
            'σ' => "s",
            'τ' => "t",
            'φ' => "f",
            'ɡ' | 'ℊ' => "g",
            'һ' => "h",
            'ℓ' => "l",
            'ℴ' => "o",
            'ⁿ' => "n",
            'K' => "K",
            'Å' => "A",
            '‐' | '‑' | '−' => "-",
            '⁄' | '∕' => "/",
            '∖' => "\\",
            '∶' => ":",
            '∼' => "~",
            '\u{3000}' | '\u{2003}' => " ",
            _ => return None,
        };
        Some(plain.to_owned())
    })
}

/// Simple case mapping up and down again, letter by letter, as `equalsIgnoreCase` in Java and the
/// ignore-case flag of Python's `re` compare.
pub fn simple_case(text: &str) -> String {
    map(text, |letter| {
        let mut upper = letter.to_uppercase();
        let upper = match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => letter,
        };
        let lower = if upper == 'İ' { 'i' } else { upper.to_lowercase().next().unwrap_or(upper) };
        Some(lower.to_string())
    })
}

/// NFKC and full case mapping, as a careful program normalises names.
pub fn compatibility_case(text: &str) -> String {
    map(text, compatible).to_uppercase().to_lowercase()
}

/// Equality of a database's accent- and case-insensitive collation, and of slug makers: accents,
/// marks and ignorable characters do not count.
pub fn collation(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let compatible = map(text, compatible);
    let bare = map(&compatible, |letter| match u32::from(letter) {
        0x300..=0x36f | 0x1ab0..=0x1aff | 0x20d0..=0x20f0 | 0xfe20..=0xfe2f => Some(String::new()),
        0xad | 0x61c | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e => Some(String::new()),
        0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe0fff => Some(String::new()),
        _ => base(letter).map(str::to_owned),
    });
    bare.to_lowercase()
}

fn map(text: &str, to: impl Fn(char) -> Option<String>) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_owned();
    }
    text.chars().map(|letter| to(letter).unwrap_or_else(|| letter.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_knows_the_well_known_cases() {
        assert_eq!(best_fit_1252("ｌōｇın∕"), "login/");
        assert_eq!(best_fit_1252("é"), "é", "the code page has it");
        assert_eq!(simple_case("LOGıN ſKİ"), "login ski");
        assert_eq!(compatibility_case("ⓁＯ𝐆ⁱn ﬁ ß"), "login fi ss");
        assert_eq!(collation("lóg\u{ad}i\u{308}N"), "login");
        assert_eq!(collation("paßword"), "password");
        assert_eq!(collation("łogin"), "login");
        for letter in ('a'..='z').chain('A'..='Z') {
            for pick in 0..4 {
                let relative = compatibility_relative(letter, pick);
                let folded = compatibility_case(&relative.to_string());
                assert!(
                    relative == 'º' || folded == letter.to_ascii_lowercase().to_string(),
                    "{letter} {relative}"
                );
            }
            assert_eq!(
                collation(&relative(letter, 3).unwrap().to_string()),
                letter.to_ascii_lowercase().to_string()
            );
        }
    }
}

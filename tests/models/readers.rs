//! Readers of forms as simple servers have them, to hold the gate's own to account. They take what
//! a body says it is for granted, and find whatever could be found.

use super::forwarded::pairs;

/// One reading: names and values.
pub type Pairs = Vec<(String, String)>;

/// What a query says to servers that part at `&` alone, and to those that part at `;` too.
pub fn query(text: &str) -> [Pairs; 2] {
    [pairs(text, &['&']), pairs(text, &['&', ';'])]
}

/// What cookies say, one field of them.
pub fn cookie(field: &str) -> Pairs {
    let pairs = field.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What a body says, by the beginning of its type.
pub fn body(kind: &str, body: &str) -> Vec<Pairs> {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.starts_with("multipart/") {
        // Lenient ones take either end of a line for one.
        vec![multipart(kind, body, "\r\n"), multipart(kind, &body.replace("\r\n", "\n"), "\n")]
    } else if essence.ends_with("json") {
        vec![json(body)]
    } else {
        query(body).to_vec()
    }
}

/// Parts between lines that begin with the boundary, with the line ends that a server expects.
fn multipart(kind: &str, body: &str, line_end: &str) -> Pairs {
    let boundary = kind.split("boundary=").nth(1).unwrap_or_default();
    let boundary = boundary.split(';').next().unwrap_or_default().trim().trim_matches('"');
    let mark = format!("{line_end}--{boundary}");
    let body = format!("{line_end}{body}");
    let mut fields = Pairs::new();
    for part in body.split(&mark).skip(1) {
        let Some((head, value)) = part.split_once(&line_end.repeat(2)) else { continue };
        for line in head.split(line_end) {
            let lower = line.to_ascii_lowercase();
            if !lower.trim_start().starts_with("content-disposition") {
                continue;
            }
            let Some(at) = lower.find("name=") else { continue };
            let name = line[at + "name=".len()..].trim_start_matches('"');
            let name = name.split(['"', ';']).next().unwrap_or_default();
            fields.push((name.to_owned(), value.trim_end_matches(['\r', '\n']).to_owned()));
        }
    }
    fields
}

/// Every name with text for its value, at every depth: a name's quotes are written plainly, because
/// inside of text they would be escaped.
fn json(body: &str) -> Pairs {
    let mut fields = Pairs::new();
    for (at, _) in body.match_indices('"') {
        let before = body[..at].chars().next_back();
        let text = |from: usize| -> Option<(&str, usize)> {
            let rest = body[from..].strip_prefix('"')?;
            let end = rest.find('"')?;
            (!rest[..end].contains('\\')).then_some((&rest[..end], from + end + 2))
        };
        let spaces = |from: usize| from + body[from..].len() - body[from..].trim_start().len();
        let pair = || -> Option<(String, String)> {
            let (name, end) = text(at)?;
            let colon = spaces(end);
            body[colon..].starts_with(':').then_some(())?;
            let (value, _) = text(spaces(colon + 1))?;
            Some((name.to_owned(), value.to_owned()))
        };
        if before.is_some_and(|before| "{, \t\r\n".contains(before)) {
            fields.extend(pair());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_readers_find_what_is_there() {
        let is = |pairs: &Pairs, expected: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(pairs, expected);
        };
        let [whole, parted] = query("a=1;b=%32&c");
        is(&whole, &[("a", "1;b=2"), ("c", "")]);
        is(&parted, &[("a", "1"), ("b", "2"), ("c", "")]);
        is(&cookie("a=1; b=c=d;x"), &[("a", "1"), ("b", "c=d")]);
        is(
            &json(r#"{"a": "1", "b": ["x", {"c" :"2"}], "d\"e":"3", "f":4}"#),
            &[("a", "1"), ("c", "2")],
        );
        let part = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\n\
                    content-disposition: form-data; name=b\r\n\r\n2\r\n--x--\r\n";
        let kind = "multipart/form-data; boundary=\"x\"";
        is(&body(kind, part)[0], &[("a", "1"), ("b", "2")]);
        is(&body(kind, &part.replace("\r\n", "\n"))[1], &[("a", "1"), ("b", "2")]);
    }
}

//! What reaches a server, and the small readers that all models share. Nothing here is the gate's:
//! a mistake in its reading must not be repeated by what checks it.

use std::borrow::Cow;

use http::HeaderMap;

/// A request as the portal's server receives it.
#[derive(Clone, Debug)]
pub struct Forwarded<'a> {
    pub method: Cow<'a, str>,
    pub target: Cow<'a, str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Forwarded<'_> {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same with another target.
    pub fn at(&self, target: String) -> Forwarded<'_> {
        Forwarded {
            method: Cow::Borrowed(&self.method),
            target: Cow::Owned(target),
            headers: self.headers,
            body: self.body,
        }
    }

    /// A form's fields, decoded. Servers compare the type without case and parameters; some read
    /// a body without a type as a form too.
    pub fn form(&self, separators: &[char]) -> Vec<(String, String)> {
        let content_type = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let body = String::from_utf8_lossy(self.body);
        if content_type.contains("multipart/") {
            multipart(&content_type, &body)
        } else if content_type.contains("json") {
            json(&body)
        } else {
            pairs(&body, separators)
        }
    }

    /// A cookie's pairs, as they stand.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let fields = self.headers.get_all("cookie").iter().filter_map(|field| field.to_str().ok());
        let pairs = fields.flat_map(|field| field.split([';', ',']));
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .map(|(k, v)| (plus(k), plus(v)))
            .collect()
    }
}

/// The handlers that a request may reach: all of them where versions of a server differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handlers(pub Vec<&'static str>);

impl Handlers {
    pub fn add(&mut self, handler: &'static str) {
        if !self.0.contains(&handler) {
            self.0.push(handler);
        }
    }

    pub fn has(&self, handler: &str) -> bool {
        self.0.contains(&handler)
    }

    pub fn any_of(&self, handlers: &[&'static str]) -> Option<&'static str> {
        self.0.iter().copied().find(|handler| handlers.contains(handler))
    }
}

/// One server in one configuration.
pub struct Model {
    pub name: &'static str,
    pub resolve: fn(&Forwarded<'_>) -> Handlers,
}

/// Percent-decodes once. A broken escape stays as it is, which is what lenient readers do.
pub fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// As [`decode`], and `%uXXXX` too, as IIS and ASP.NET have read it since their beginnings.
pub fn decode_with_u(text: &str) -> String {
    if !text.contains("%u") && !text.contains("%U") {
        return decode(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("%u").or_else(|| rest.find("%U")) {
        out.push_str(&decode(&rest[..at]));
        let hex = rest.get(at + 2..at + 6);
        match hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(letter) => {
                out.push(letter);
                rest = &rest[at + 6..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(&decode(rest));
    out
}

/// Decodes a query's word, in which `+` is a space.
pub fn plus(text: &str) -> String {
    decode_with_u(&text.replace('+', " "))
}

/// A query's pairs, decoded.
pub fn pairs(query: &str, separators: &[char]) -> Vec<(String, String)> {
    let parts = query.split(separators).filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(k, v)| (plus(k), plus(v)))
        .collect()
}

fn multipart(content_type: &str, body: &str) -> Vec<(String, String)> {
    let boundary = content_type.split("boundary=").nth(1).unwrap_or_default();
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
    let mut fields = Vec::new();
    for part in body.split(&format!("--{boundary}")) {
        let part = part.replace("\r\n", "\n");
        let Some((head, value)) = part.split_once("\n\n") else { continue };
        let Some(name) = head.split("name=").nth(1) else { continue };
        let name = name.trim_start_matches('"').split(['"', '\n', ';']).next().unwrap_or_default();
        fields.push((name.to_owned(), value.trim_end_matches('\n').to_owned()));
    }
    fields
}

fn json(body: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(body) else {
        return Vec::new();
    };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    fields.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// Segments with `//` collapsed and dot segments resolved.
pub fn segments(path: &str) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other.to_owned()),
        }
    }
    kept
}

/// `de`, `de-DE`, `zh_Hant`: what frameworks take for a language at the head of a path.
pub fn is_language(segment: &str) -> bool {
    let mut parts = segment.split(['-', '_']);
    let is = |part: Option<&str>, from: usize, to: usize| {
        part.is_none_or(|part| {
            (from..=to).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
    };
    is(parts.next(), 2, 2) && is(parts.next(), 2, 4) && parts.next().is_none()
}

/// Whether a Windows short name could stand for a long one: six characters at most, `~`, a digit,
/// three characters of the ending. NTFS makes them where it is not told otherwise.
pub fn is_short_name_of(short: &str, long: &str) -> bool {
    let (stem, ending) = short.rsplit_once('.').unwrap_or((short, ""));
    let (long_stem, long_ending) = long.rsplit_once('.').unwrap_or((long, ""));
    let Some((head, number)) = stem.split_once('~') else { return false };
    let long_stem: String = long_stem.chars().filter(|c| !" .".contains(*c)).collect();
    let head_of = |text: &str, count: usize| text.chars().take(count).collect::<String>();
    !head.is_empty()
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && head.eq_ignore_ascii_case(&head_of(&long_stem, head.len().min(6)))
        && (head.len() == 6 || head.len() == long_stem.len())
        && ending.eq_ignore_ascii_case(&head_of(long_ending, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_readers_read_what_they_say() {
        assert_eq!(decode_with_u("/%u006cogin%2f%zz"), "/login/%zz");
        assert_eq!(segments("//a/./b/../c/"), ["a", "c"]);
        assert!(is_language("de") && is_language("pt-BR") && !is_language("assets"));
        assert!(is_short_name_of("LOGIN~1.ASP", "login.aspx"));
        assert!(is_short_name_of("ACCOUN~1.PHP", "account-login.php"));
        assert!(!is_short_name_of("LOG~1.ASP", "login.aspx"));
        assert_eq!(pairs("a=1&b;c=%31+2", &['&', ';']).len(), 3);
        let part = "--x\r\nContent-Disposition: form-data; name=\"route\"\r\n\r\nlogin\r\n--x--";
        assert_eq!(
            multipart("multipart/form-data; boundary=x", part),
            [("route".into(), "login".into())]
        );
    }
}

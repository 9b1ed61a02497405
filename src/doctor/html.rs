//! The forms of a page, as far as it takes to see where a password goes. It reads tags the way
//! browsers are known to and believes nothing; a page that is no HTML has no forms. What is typed
//! into a form is never known here.

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FormTag {
    /// Where it goes, as written; nowhere else than the page itself if there is nothing.
    pub(super) action: Option<String>,
    /// How, in capitals.
    pub(super) method: String,
    /// Its fields: name, and the value that stands there already.
    pub(super) fields: Vec<(String, String)>,
    /// The names of those that take passwords.
    pub(super) passwords: Vec<String>,
}

/// The most forms of a page that are read, and fields of a form.
const MOST: usize = 256;

/// The forms of a page that take passwords. Password fields outside of any form are one form that
/// a script sends somewhere: it has no action and no method.
pub(super) fn password_forms(page: &str) -> Vec<FormTag> {
    let mut forms: Vec<FormTag> = Vec::new();
    let mut open: Option<FormTag> = None;
    let mut loose = FormTag::default();
    let mut rest = page;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        match &*tag.name {
            "form" if forms.len() < MOST => {
                forms.extend(open.take());
                let method = tag.attribute("method").unwrap_or_default().to_ascii_uppercase();
                open = Some(FormTag {
                    action: tag.attribute("action").map(str::to_owned),
                    method: if method == "POST" { method } else { "GET".to_owned() },
                    ..FormTag::default()
                });
            }
            "/form" => forms.extend(open.take()),
            "input" => {
                let form = open.as_mut().unwrap_or(&mut loose);
                let kind = tag.attribute("type").unwrap_or_default();
                let name = tag.attribute("name").or_else(|| tag.attribute("id"));
                let name = name.unwrap_or_default().to_owned();
                if kind.eq_ignore_ascii_case("password") {
                    form.passwords.push(name.clone());
                }
                if !name.is_empty() && form.fields.len() < MOST {
                    let value = tag.attribute("value").unwrap_or_default().to_owned();
                    form.fields.push((name, value));
                }
            }
            "script" | "style" | "textarea" | "title" => rest = after_raw(rest, &tag.name),
            _ => {}
        }
    }
    forms.extend(open);
    forms.push(loose);
    forms.into_iter().filter(|form| !form.passwords.is_empty()).collect()
}

/// Where the links of a page lead, as written.
pub(super) fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        match &*tag.name {
            "a" if found.len() < MOST => found.extend(tag.attribute("href").map(str::to_owned)),
            "script" | "style" | "textarea" | "title" => rest = after_raw(rest, &tag.name),
            _ => {}
        }
    }
    found
}

/// A tag with its attributes; names are in lower case.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The first of this name, as browsers have it.
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The next tag and what stands behind it; comments are passed over.
fn next_tag(text: &str) -> Option<(Tag, &str)> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-');
        let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
        let (name, behind) = after.split_at_checked(end)?;
        let begins = name.trim_start_matches('/').starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins {
            rest = after;
            continue;
        }
        let (attributes, behind) = attributes(behind);
        let name = match name.strip_prefix('/') {
            Some(name) => format!("/{}", name.trim_end_matches('/')),
            None => name.trim_end_matches('/').to_owned(),
        };
        return Some((Tag { name: name.to_ascii_lowercase(), attributes }, behind));
    }
}

/// The attributes up to the end of a tag, and what stands behind it.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(behind) = rest.strip_prefix('>') {
            return (found, behind);
        }
        if rest.is_empty() {
            return (found, rest);
        }
        let is_end = |c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/');
        // A lone `=` is a letter of a name.
        let end = rest.char_indices().skip(1).find(|(_, c)| is_end(*c));
        let end = end.map_or(rest.len(), |(at, _)| at);
        let Some((name, behind)) = rest.split_at_checked(end) else {
            return (found, "");
        };
        rest = behind.trim_start();
        let mut value = String::new();
        if let Some(behind) = rest.strip_prefix('=') {
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (written, behind) = match quote {
                Some(quote) => {
                    let inner = behind.get(1..).unwrap_or_default();
                    inner.split_once(quote).unwrap_or((inner, ""))
                }
                None => {
                    let is_end = |c: char| c.is_whitespace() || c == '>';
                    let end = behind.find(is_end).unwrap_or(behind.len());
                    behind.split_at_checked(end).unwrap_or((behind, ""))
                }
            };
            value = unescaped(written);
            rest = behind;
        }
        if found.len() < MOST {
            found.push((name.to_ascii_lowercase(), value));
        }
    }
}

/// What stands behind an element whose content is text.
fn after_raw<'t>(text: &'t str, name: &str) -> &'t str {
    let ends = text.match_indices("</");
    let mut ends = ends.filter_map(|(at, _)| text.get(at..));
    let is_it = |end: &&str| {
        let found = end.get(2..).and_then(|end| end.get(..name.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    ends.find(is_it).unwrap_or_default()
}

/// The references that stand in addresses.
fn unescaped(value: &str) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    let plain =
        [("&#x2F;", "/"), ("&#47;", "/"), ("&quot;", "\""), ("&#39;", "'"), ("&#x3D;", "=")];
    let mut text = value.to_owned();
    for (written, meant) in plain {
        text = text.replace(written, meant);
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&#38;", "&").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<(Option<String>, String, Vec<String>)> {
        let forms = password_forms(page).into_iter();
        forms.map(|form| (form.action, form.method, form.passwords)).collect()
    }

    #[test]
    fn a_password_form_is_found_however_it_is_written() {
        for page in [
            r#"<form action="/session" method="post"><input name=u><input type="password" name="p"></form>"#,
            "<FORM METHOD=POST ACTION='/session'><INPUT NAME='u'><INPUT TYPE=Password NAME=p /></FORM>",
            "<form\n method = \"post\"\n action=/session>\n<p><input\n type='password' name=p>",
            "<!-- <form action=/old> --><form action=\"/session\" method=post><br/><input type=password name=p>",
            "<script>'<form action=/js>'</script><form action=/session method=post><input type=password name=p>",
            "a < b <form action=&#x2F;session method=post><input type=password name=p></form>",
        ] {
            let expected = (Some("/session".to_owned()), "POST".to_owned(), vec!["p".to_owned()]);
            assert_eq!(found(page), [expected], "{page}");
        }
    }

    #[test]
    fn other_forms_and_loose_fields_are_told_apart() {
        assert_eq!(found("<form action=/search><input name=q></form>"), []);
        assert_eq!(found("no page at all"), []);
        let loose = found("<div><input type=password id=secret></div>");
        assert_eq!(loose, [(None, String::new(), vec!["secret".to_owned()])]);
        let get = found("<form><input type=password name=p></form>");
        assert_eq!(get, [(None, "GET".to_owned(), vec!["p".to_owned()])]);
        let two = "<form action=/a method=post><input type=password name=a></form>\
                   <form action=/b method=post><input type=password name=b></form>";
        assert_eq!(found(two).len(), 2);
    }

    #[test]
    fn broken_pages_come_to_an_end() {
        for page in ["<", "<form", "<form action=\"", "<input type=password", "<!--", "<a b=", "<é"]
        {
            let _ = password_forms(page);
        }
        let many = "<form action=/x><input type=password name=p>".repeat(10_000);
        assert!(password_forms(&many).len() <= MOST + 1);
        let many = "<input type=password name=p>".repeat(100_000);
        assert_eq!(password_forms(&many).len(), 1);
        let scripts = "<script>".repeat(20_000);
        let _ = password_forms(&scripts);
    }
}

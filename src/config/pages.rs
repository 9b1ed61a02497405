//! `pages`: what our own pages call a portal, their colour, and where its members find help.
//! Deliberately not here: what becomes of a colour on a page, which is `pages/look.rs`.

use url::Url;

use super::context::{Context, Located};
use super::file::bare;
use super::kind::Unfit;
use super::section::Section;
use super::value;
use crate::colour::{Colour, LIGHT, OF_OUTLINES, OF_TEXT};

/// How our own pages look at a portal.
#[derive(Debug)]
pub struct Pages {
    /// What members call the portal.
    pub name: Option<String>,
    /// Of buttons, links and focus marks.
    pub colour: Option<Colour>,
    /// Where members find help.
    pub help: Option<Help>,
}

/// Where members find help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// What the link says.
    pub label: String,
    /// An `https` URL or a `mailto` one.
    pub href: String,
}

pub(super) struct PagesFile {
    // Outside `None` if it was reported, inside if the key is not there.
    name: Option<Option<String>>,
    colour: Option<Option<Located<Colour>>>,
    help: Option<Option<Help>>,
    help_label: Option<Option<Located<String>>>,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> PagesFile {
    PagesFile {
        name: section.if_there("name", |key| bare(section.value(key, value::label))),
        colour: section.if_there("colour", |key| {
            section.value(key, |text| text.parse().map_err(|_| Unfit::Kind))
        }),
        help: section.if_there("help", |key| bare(section.value(key, help))),
        help_label: section.if_there("help_label", |key| section.value(key, value::label)),
    }
}

/// What the pages are made with; `None` if something was reported.
pub(super) fn resolve(context: &Context<'_>, file: &PagesFile) -> Option<Pages> {
    if let Some(Some(colour)) = &file.colour {
        warn_of_contrast(context, colour);
    }
    if let (Some(None), Some(Some(label))) = (&file.help, &file.help_label) {
        let message = "there is no `help` that this could be the label of; write where it leads, or \
                       remove this key";
        context.error(&label.spot, message);
        return None;
    }
    let (help, label) = (file.help.clone()?, file.help_label.clone()?);
    let help = help.map(|help| match label {
        Some(label) => Help { label: label.value, ..help },
        None => help,
    });
    let colour = file.colour.as_ref()?.as_ref().map(|colour| colour.value);
    Some(Pages { name: file.name.clone()?, colour, help })
}

/// What stands on the white of the pages is another shade than the operator's then. Of the dark
/// scheme nothing is said: there is no colour that can be read as text on both.
fn warn_of_contrast(context: &Context<'_>, colour: &Located<Colour>) {
    let (written, shown) = (colour.value, &colour.shown);
    let ratio = written.contrast(LIGHT);
    if ratio >= OF_TEXT {
        return;
    }
    if colour.is_private {
        let message = "the colour that the environment gives has too little contrast to the white \
                       of the pages (WCAG 2.2, 1.4.3): links have a darker shade of it";
        context.warn(&colour.spot, message);
        return;
    }
    // Rounded down, so that what fails never looks like what is needed.
    let ratio = (ratio * 100.0).floor() / 100.0;
    let link = written.readable_on(LIGHT, OF_TEXT);
    let mut message = format!(
        "{shown} has a contrast of {ratio} to the white of the pages, where links need {OF_TEXT} \
         (WCAG 2.2, 1.4.3): they have the nearest darker shade that passes, `{link}`"
    );
    let outline = written.readable_on(LIGHT, OF_OUTLINES);
    if outline != written {
        message.push_str(&format!(
            ", and focus marks and the edges of buttons, which need {OF_OUTLINES} (1.4.11), \
             `{outline}`"
        ));
    }
    message.push_str(". Buttons keep the colour");
    context.warn(&colour.spot, message);
}

/// Where a link on our pages may lead. Nothing else can be written, and so no script (UI-01).
fn help(text: &str) -> Result<Help, Unfit> {
    if let Some(mail) = text.strip_prefix("mailto:") {
        let address = mail.split('?').next().unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
        let is_one = text.len() <= 1024 && mail.bytes().all(is_plain) && is_address(address);
        let label = address.to_owned();
        return is_one.then(|| Help { label, href: text.to_owned() }).ok_or_else(|| {
            "after `mailto:` stands one address, such as `help@example.org`, and what a mail begins \
             with follows as `?subject=…`, with `%20` for a space"
                .into()
        });
    }
    if text.starts_with("http://") {
        return Err(
            "members are led there from a page over `https`: it begins with `https://`, too".into(),
        );
    }
    if !text.starts_with("https://") {
        return Err(Unfit::Kind);
    }
    let (page, place) = text.split_once('#').unwrap_or((text, ""));
    let url = value::document(page)?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    if text.len() > 1024 || !place.bytes().all(is_plain) {
        return Err(Unfit::Kind);
    }
    Ok(Help { label: without_scheme(&url), href: text.to_owned() })
}

/// As people write an address.
fn without_scheme(url: &Url) -> String {
    let shown =
        format!("{}{}", &url[url::Position::BeforeHost..url::Position::AfterPort], url.path());
    shown.trim_end_matches('/').to_owned()
}

/// What every mail service takes (RFC 5321, section 4.1.2, without quotes), less what has a meaning
/// of its own in a URL (RFC 6068, section 2).
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".!$'*+-=_~".contains(&byte);
    let is_local = (1..=64).contains(&local.len())
        && local.bytes().all(is_plain)
        && local.split('.').all(|part| !part.is_empty());
    is_local && value::is_domain(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_by_https_or_by_mail_and_by_nothing_else() {
        for (written, label) in [
            ("https://help.example.org", "help.example.org"),
            ("https://help.example.org/", "help.example.org"),
            ("https://example.org:8443/sign-in?from=portal#forgotten", "example.org:8443/sign-in"),
            ("mailto:help@example.org", "help@example.org"),
            (
                "mailto:it.desk+portal@example.org?subject=Sign%20in&cc=x@y.example",
                "it.desk+portal@example.org",
            ),
        ] {
            let made = help(written).ok();
            let expected = Help { label: label.to_owned(), href: written.to_owned() };
            assert_eq!(made, Some(expected), "{written}");
        }
        for written in [
            "",
            "help.example.org",
            "http://help.example.org",
            "HTTPS://help.example.org",
            "//help.example.org",
            "/help",
            "javascript:alert(1)",
            "data:text/html,x",
            "tel:+123",
            " https://help.example.org",
            "https://",
            "https://user:word@help.example.org",
            "https://help.example.org/a b",
            "https://help.example.org/\"><script>",
            "https://help.example.org/#\"><script>",
            "https://help.example.org/#a#b",
            "https://help.example.org\\@evil.example",
            "mailto:",
            "mailto:help",
            "mailto:help@",
            "mailto:help@localhost",
            "mailto:@example.org",
            "mailto:.help@example.org",
            "mailto:a@example.org,b@example.org",
            "mailto:help@example.org?subject=a b",
            "mailto:help@example.org?subject=a\r\nBcc: x",
            "mailto:\"help\"@example.org",
        ] {
            assert!(help(written).is_err(), "{written}");
        }
    }
}

//! What a visitor sees of us: functions from plain values to a page.
//!
//! Every page is one answer: one inline style, no script, no picture, nothing fetched from
//! anywhere (UI-01). Templates escape by type. Deliberately not here: statuses and headers, which
//! `server::respond` chooses, and the demo's own pages.

mod look;
mod words;

use askama::Template;

pub use look::{Help, Look, PLAIN};
pub use words::{Words, explain};

/// The one style of all pages. A portal with a colour of its own has that behind it.
pub const STYLE: &str = include_str!("templates/own/style.css");

/// A page, and what it may do.
#[derive(Debug)]
pub struct Page {
    html: String,
    policy: String,
}

impl Page {
    /// The page itself.
    #[must_use]
    pub fn into_html(self) -> String {
        self.html
    }

    /// Its `Content-Security-Policy`, which allows exactly the style that is in it.
    ///
    /// `form_targets` are origins that a form of ours may end at after redirects, such as the
    /// provider's at a federated sign-out: Chromium applies `form-action` to each of them. One that
    /// could end the directive is left out.
    #[must_use]
    pub fn csp(&self, form_targets: &[String]) -> String {
        let mut policy = self.policy.clone();
        let is_source = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'\'');
        for target in form_targets {
            if !target.is_empty() && target.bytes().all(is_source) {
                policy.push(' ');
                policy.push_str(target);
            }
        }
        policy
    }
}

/// Somewhere to go next.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// What it says.
    pub label: &'a str,
    /// Where it leads: a path of ours, or an address that the configuration names.
    pub href: &'a str,
}

/// The sign-in page.
#[derive(Debug)]
pub struct SignIn<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// A button for each provider.
    pub buttons: &'a [Link<'a>],
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// A request that went nowhere, or a login that failed.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// What happened, in a few words.
    pub title: &'a str,
    /// What a member can make of it and do about it.
    pub sentence: &'a str,
    /// The stable reason code.
    pub code: &'a str,
    /// What leads on, if anything does.
    pub action: Option<Link<'a>>,
    /// What often causes it.
    pub hints: &'a [&'a str],
    /// The provider's own code of a failed login.
    pub provider_code: Option<&'a str>,
    /// The provider's own id of a failed login, for its support.
    pub correlation: Option<&'a str>,
    /// What the operator has to say about it.
    pub hint: Option<&'a str>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// After a sign-out.
#[derive(Debug)]
pub struct SignedOut<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Whether the provider's session ended too.
    pub everywhere: bool,
    /// Back in.
    pub sign_in: Link<'a>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// Somebody who is signed in asked for the portal's own login page.
#[derive(Debug)]
pub struct SignedIn<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Who is signed in, as the provider calls them.
    pub name: Option<&'a str>,
    /// On to the portal.
    pub home: Link<'a>,
    /// Out; its address is posted to.
    pub sign_out: Link<'a>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// Another site asked for a sign-out: does the visitor want it (UI-03)?
#[derive(Debug)]
pub struct ConfirmSignOut<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Where the form is posted to.
    pub action: &'a str,
    /// Not signing out.
    pub stay: Link<'a>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// A form that met an expired session, or would go out in another member's name.
#[derive(Debug)]
pub struct KeptForm<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// What happened, in a few words.
    pub title: &'a str,
    /// What a member can make of it.
    pub sentence: &'a str,
    /// The stable reason code.
    pub code: &'a str,
    /// Back in, in another tab.
    pub sign_in: Link<'a>,
    /// What the page keeps; nothing, if it was too large.
    pub form: Option<SealedForm<'a>>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// A form as a page keeps it: nothing that can be read.
#[derive(Clone, Copy)]
pub struct SealedForm<'a> {
    /// Where it is posted to.
    pub action: &'a str,
    /// The field's name.
    pub name: &'a str,
    /// The field's value.
    pub sealed: &'a str,
}

impl std::fmt::Debug for SealedForm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedForm(…)")
    }
}

/// The sign-in beside a kept form is done.
#[derive(Debug)]
pub struct FormReady<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Who is signed in, as the provider calls them.
    pub name: Option<&'a str>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// A break-glass link was opened: is the way to the portal's own sign-in wanted?
pub struct BreakGlass<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Where the form is posted to.
    pub action: &'a str,
    /// The name of the field with the code.
    pub field: &'a str,
    /// The code of the link; who comes without one types it in.
    pub code: Option<&'a str>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// The code opens something (LOG-01).
impl std::fmt::Debug for BreakGlass<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BreakGlass(…)")
    }
}

/// The way to the portal's own sign-in is open.
#[derive(Debug)]
pub struct GlassBroken<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Until when, in UTC.
    pub until: &'a str,
    /// On to the portal.
    pub home: Link<'a>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// What a login can be tried with, of which no session comes.
#[derive(Debug)]
pub struct Test<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// A button for each provider.
    pub buttons: &'a [Link<'a>],
    /// Whether the portal's directory of members is asked.
    pub asks_members: bool,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// What would have come of a login.
#[derive(Debug)]
pub struct Tested<'a> {
    /// The portal's host.
    pub portal: &'a str,
    /// Who it was.
    pub who: &'a [Fact],
    /// Whether no session would have come of it.
    pub is_refused: bool,
    /// What the provider said.
    pub claims: &'a [Fact],
    /// What the portal would be told in plain headers, or why it cannot be.
    pub headers: &'a [Fact],
    /// What it would be told in the assertion.
    pub assertion: &'a [Fact],
    /// Whether the portal's directory of members was asked.
    pub asked_members: bool,
    /// What would become of the member besides: by the directory, and by what a browser keeps.
    pub becomes: &'a [Fact],
    /// Where the member could go; `None` for whom the portal does not let in.
    pub routes: Option<&'a [Fact]>,
    /// Once more.
    pub again: Link<'a>,
    /// The request, for the operator's log.
    pub request_id: &'a str,
}

/// A line of a table: what it is, and what is said of it.
#[derive(Debug)]
pub struct Fact {
    name: String,
    value: String,
    reading: Option<String>,
    source: Option<String>,
    tone: Tone,
}

/// What a line means for whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    Plain,
    /// It works.
    Good,
    /// It does not.
    Bad,
}

impl Fact {
    /// A line that means neither good nor bad.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self { name, value, reading: None, source: None, tone: Tone::Plain }
    }

    /// The same, of that meaning.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The same, with what becomes of the value when it is decoded.
    #[must_use]
    pub fn reading(self, reading: &str) -> Self {
        Self { reading: Some(reading.to_owned()), ..self }
    }

    /// The same, with what it was made of.
    #[must_use]
    pub fn made_of(self, source: &str) -> Self {
        Self { source: Some(source.to_owned()), ..self }
    }

    fn mark(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "",
            Tone::Good => "\u{2713} ",
            Tone::Bad => "\u{2717} ",
        }
    }

    fn class(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
        }
    }
}

macro_rules! page {
    ($(#[$doc:meta])* $function:ident, $values:ident, $template:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $template<'a> {
            page: &'a $values<'a>,
            look: &'a Look,
            request_id: &'a str,
        }

        $(#[$doc])*
        #[must_use]
        pub fn $function(page: &$values<'_>, look: &Look) -> Page {
            let request_id = page.request_id;
            let html = written(&$template { page, look, request_id });
            Page { html, policy: look.policy().to_owned() }
        }
    };
}

page!(
    /// Lets the visitor choose how to sign in.
    sign_in, SignIn, SignInPage, "own/sign_in.html"
);
page!(
    /// Says why a request went nowhere.
    refusal, Refusal, RefusalPage, "own/refusal.html"
);
page!(
    /// Says that the visitor is signed out.
    signed_out, SignedOut, SignedOutPage, "own/signed_out.html"
);
page!(
    /// Says that the visitor is signed in already.
    signed_in, SignedIn, SignedInPage, "own/signed_in.html"
);
page!(
    /// Asks whether to sign out.
    confirm_sign_out, ConfirmSignOut, ConfirmSignOutPage, "own/confirm_sign_out.html"
);

page!(
    /// Keeps a form for its member.
    kept_form, KeptForm, KeptFormPage, "own/kept_form.html"
);
page!(
    /// Sends the visitor back to the form that waits.
    form_ready, FormReady, FormReadyPage, "own/form_ready.html"
);

page!(
    /// Asks whether the way to the portal's own sign-in is wanted.
    break_glass, BreakGlass, BreakGlassPage, "own/break_glass.html"
);
page!(
    /// Says that it is open, and for how long.
    glass_broken, GlassBroken, GlassBrokenPage, "own/glass_broken.html"
);

page!(
    /// Offers a login of which no session comes.
    test, Test, TestPage, "own/test.html"
);
page!(
    /// Shows what would have come of a login.
    tested, Tested, TestedPage, "own/tested.html"
);

/// Writing into a `String` cannot fail, and no template of ours calls anything that could.
fn written(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::colour::Colour;

    const HOSTILE: &str = "\"'><script>alert(1)</script>";

    /// Every page with `text` in each of its fields.
    fn all(text: &str, look: &Look) -> Vec<(&'static str, Page)> {
        let link = Link { label: text, href: text };
        let refused = Refusal {
            title: text,
            sentence: text,
            code: text,
            action: Some(link),
            hints: &[text, text],
            provider_code: Some(text),
            correlation: Some(text),
            hint: Some(text),
            request_id: text,
        };
        let kept = KeptForm {
            portal: text,
            title: text,
            sentence: text,
            code: text,
            sign_in: link,
            form: Some(SealedForm { action: text, name: text, sealed: text }),
            request_id: text,
        };
        vec![
            (
                "sign_in",
                sign_in(&SignIn { portal: text, buttons: &[link, link], request_id: text }, look),
            ),
            ("refusal", refusal(&refused, look)),
            (
                "refusal without more",
                refusal(
                    &Refusal {
                        action: None,
                        hints: &[],
                        provider_code: None,
                        correlation: None,
                        ..refused
                    },
                    look,
                ),
            ),
            (
                "signed_out",
                signed_out(
                    &SignedOut { portal: text, everywhere: false, sign_in: link, request_id: text },
                    look,
                ),
            ),
            (
                "signed_in",
                signed_in(
                    &SignedIn {
                        portal: text,
                        name: Some(text),
                        home: link,
                        sign_out: link,
                        request_id: text,
                    },
                    look,
                ),
            ),
            ("kept_form", kept_form(&kept, look)),
            ("kept_form without one", kept_form(&KeptForm { form: None, ..kept }, look)),
            (
                "form_ready",
                form_ready(&FormReady { portal: text, name: Some(text), request_id: text }, look),
            ),
            ("break_glass", {
                let code = Some(text);
                let (portal, action, field, request_id) = (text, text, text, text);
                break_glass(&BreakGlass { portal, action, field, code, request_id }, look)
            }),
            ("break_glass without a link", {
                let (portal, action, field, request_id) = (text, text, text, text);
                break_glass(&BreakGlass { portal, action, field, code: None, request_id }, look)
            }),
            (
                "glass_broken",
                glass_broken(
                    &GlassBroken { portal: text, until: text, home: link, request_id: text },
                    look,
                ),
            ),
            ("test", {
                let buttons = &[link, link];
                test(&Test { portal: text, buttons, asks_members: true, request_id: text }, look)
            }),
            ("tested", {
                let facts = [
                    Fact::new(text, text),
                    Fact::new(text, text).reading(text).made_of(text).toned(Tone::Good),
                    Fact::new(text, text).toned(Tone::Bad),
                ];
                tested(
                    &Tested {
                        portal: text,
                        who: &facts,
                        claims: &facts,
                        headers: &facts,
                        assertion: &facts,
                        is_refused: true,
                        asked_members: true,
                        becomes: &facts,
                        routes: Some(&facts),
                        again: link,
                        request_id: text,
                    },
                    look,
                )
            }),
            (
                "confirm_sign_out",
                confirm_sign_out(
                    &ConfirmSignOut { portal: text, action: text, stay: link, request_id: text },
                    look,
                ),
            ),
        ]
    }

    /// What an operator has said, in all that can be said.
    fn branded(text: &str) -> Look {
        let help = Help { label: text.to_owned(), href: text.to_owned() };
        Look::new(Some(text.to_owned()), "#fc0".parse().ok(), Some(help))
    }

    fn both(text: &str) -> Vec<(&'static str, String)> {
        let all = [all(text, &PLAIN), all(text, &branded(text))].into_iter().flatten();
        all.map(|(name, page)| (name, page.into_html())).collect()
    }

    #[test]
    fn no_field_can_write_markup() {
        for (name, page) in both(HOSTILE) {
            assert!(page.contains("alert(1)"), "{name} shows its fields");
            assert!(!page.to_lowercase().contains("<script"), "{name}: {page}");
            assert!(!page.contains("\"'>"), "{name} leaves an attribute");
        }
    }

    #[test]
    fn a_page_has_one_heading_a_language_and_its_landmarks() {
        for (name, page) in both("text") {
            assert!(page.starts_with("<!doctype html>"), "{name}");
            for part in ["<h1>", "<main", "<footer>", "<title>", "lang=\"en\"", "name=\"viewport\""]
            {
                assert_eq!(page.matches(part).count(), 1, "{part} in {name}");
            }
        }
    }

    #[test]
    fn a_page_asks_for_nothing_from_elsewhere() {
        for (name, page) in both("text") {
            for part in ["<script", "<link", "<img", "url(", "@import", " style=", "http"] {
                assert!(!page.contains(part), "{part} in {name}");
            }
        }
    }

    #[test]
    fn the_policy_allows_exactly_the_style_of_the_page() {
        for look in [&*PLAIN, &branded("text"), &Look::new(None, Some(Colour::BLACK), None)] {
            for (name, page) in all("text", look) {
                let policy = page.csp(&[]);
                let html = page.into_html();
                let (_, rest) = html.split_once("<style>").unwrap();
                let (style, rest) = rest.split_once("</style>").unwrap();
                assert!(!rest.contains("<style"), "{name} has one style");
                let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
                assert!(policy.contains(&format!("style-src 'sha256-{hash}'")));
            }
        }
    }

    #[test]
    fn a_name_stands_where_the_host_stood_and_beside_it_where_something_is_asked() {
        let look = Look::new(Some("Harbour <b>".to_owned()), None, None);
        for (name, page) in all("members.example.org", &look) {
            let html = page.into_html();
            let (_, rest) = html.split_once("<title>").unwrap();
            let (title, _) = rest.split_once("</title>").unwrap();
            assert!(title.ends_with("Harbour &#60;b&#62;"), "{title}");
            if matches!(name, "sign_in" | "break_glass" | "confirm_sign_out" | "test") {
                assert!(html.contains("</strong> (members.example.org)"), "{name}");
            }
        }
    }

    #[test]
    fn help_is_where_something_is_refused() {
        let help = Help { label: "the desk".to_owned(), href: "mailto:a@b.example".to_owned() };
        let look = Look::new(None, None, Some(help));
        let link = "Ask for help: <a href=\"mailto:a@b.example\" rel=\"noreferrer\">the desk</a>";
        for (name, page) in all("text", &look) {
            let is_refusal = name.starts_with("refusal") || name.starts_with("kept_form");
            assert_eq!(page.into_html().contains(link), is_refusal, "{name}");
        }
    }

    #[test]
    fn a_form_target_cannot_add_a_directive() {
        let targets =
            ["https://login.example", "https://a.example; script-src *", "'unsafe-inline'", ""];
        for (_, page) in all("text", &PLAIN) {
            let policy = page.csp(&targets.map(str::to_owned));
            assert!(policy.ends_with("form-action 'self' https://login.example"));
        }
    }
}

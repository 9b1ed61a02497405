//! What a visitor sees of us: functions from plain values to a page.
//!
//! Every page is one answer: one inline style, no script, no picture, nothing fetched from
//! anywhere (UI-01). Templates escape by type. Deliberately not here: statuses and headers, which
//! `server::respond` chooses, and the demo's own pages.

mod look;
mod words;

use askama::Template;

pub use look::{Look, PLAIN};
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
mod tests;

//! What a provider's error means: what happened, what the member should do, what the operator
//! should do and where in the portals' menus. The texts are data (`*.txt` beside this file) and our
//! own words; used by the pages, the log and the reference (`docs/errors.md`).
//!
//! Deliberately not here: statuses (`server::respond`), and anything that a provider wrote itself,
//! which nobody is shown (OIDC-16).

mod read;
mod reference;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use read::Fault;
pub use reference::reference;

/// Who can do something about an error, and so what kind of page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The member stopped it.
    Cancelled,
    /// The account, its rights or its device: the member's, or of whoever runs the accounts.
    Account,
    /// Over, through nobody's fault: another sign-in, by hand, will do.
    Again,
    /// The provider wants a step of the member that only its own pages can show.
    Interaction,
    /// How the application, the tenant or Anteport is set up.
    Operator,
    /// It passes.
    Temporary,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Cancelled,
        Self::Account,
        Self::Again,
        Self::Interaction,
        Self::Operator,
        Self::Temporary,
    ];

    /// Its name in the data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Account => "account",
            Self::Again => "again",
            Self::Interaction => "interaction",
            Self::Operator => "operator",
            Self::Temporary => "temporary",
        }
    }

    /// What happened, for the member, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cancelled => "Sign-in cancelled",
            Self::Account => "Your account could not be signed in",
            Self::Again => "Please start the sign-in again",
            Self::Interaction => "The sign-in needs one more step",
            Self::Operator => "Sign-in is not set up correctly",
            Self::Temporary => "Sign-in is not available right now",
        }
    }

    /// What the member should do, where an entry does not say it better.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Cancelled => {
                "You stopped the sign-in before it was finished. Nothing has changed; you can \
                 start again whenever you like."
            }
            Self::Account => {
                "The sign-in service did not let this account through. Try another account; if \
                 you should have access, send the details below to whoever runs the portal."
            }
            Self::Again => {
                "This sign-in cannot be finished any more. Nothing is lost: start it again from \
                 here."
            }
            Self::Interaction => {
                "The sign-in service wants something more of you. Sign in again and follow its \
                 steps to the end."
            }
            Self::Operator => {
                "You cannot change that yourself. Send the details below to whoever runs the \
                 portal; members who are signed in can go on."
            }
            Self::Temporary => {
                "The sign-in service has trouble just now. Wait a minute and try again; members \
                 who are signed in can go on."
            }
        }
    }
}

/// Where an error comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a page of the provider's: we never hear of it.
    Page,
    /// At the redirect URI.
    Redirect,
    /// At the token endpoint.
    Token,
    /// While signing out.
    Logout,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Page, Self::Redirect, Self::Token, Self::Logout];

    /// Its name in the data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Redirect => "redirect",
            Self::Token => "token",
            Self::Logout => "logout",
        }
    }
}

/// What is known of one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `AADSTS…`, `AADB2C…`, or a standard `error`.
    pub code: &'static str,
    /// Who can do something.
    pub class: Class,
    /// Where it comes up.
    pub places: Vec<Place>,
    /// What happened.
    pub what: String,
    /// What the member should do.
    pub member: String,
    /// What the operator should do.
    pub operator: String,
    /// Where the operator does it, as a way through menus.
    pub menu: String,
}

impl Entry {
    /// What the operator should do, and where: as a log or a terminal can show it, which has
    /// neither arrows nor bold letters.
    #[must_use]
    pub fn to_do(&self) -> String {
        let menu = self.menu.replace('→', ">");
        format!("{} ({menu})", self.operator.replace("**", ""))
    }
}

/// The entry of a code of Microsoft's, `AADSTS…` or `AADB2C…`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    let (list, index) = &*BY_CODE;
    index.get(code).and_then(|at| list.get(*at)).filter(|entry| entry.code != UNKNOWN)
}

/// What is known of an error answer: by its code; else by its standard `error`; else in general.
#[must_use]
pub fn explain(code: Option<&str>, error: &str) -> &'static Entry {
    code.and_then(find).or_else(|| find(error)).unwrap_or(&*GENERAL)
}

/// All entries, in the order of the reference: Entra ID, B2C, standard.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    BY_CODE.0.iter()
}

/// What in the data cannot be read; a test expects nothing.
#[must_use]
pub fn faults() -> &'static [Fault] {
    &CATALOGUE.1
}

/// The entry for every other error.
const UNKNOWN: &str = "unknown";

const ENTRIES: [&str; 3] =
    [include_str!("aadsts.txt"), include_str!("aadb2c.txt"), include_str!("standard.txt")];

static CATALOGUE: LazyLock<(Vec<Entry>, Vec<Fault>)> =
    LazyLock::new(|| read::read(&ENTRIES, include_str!("places.txt")));

static BY_CODE: LazyLock<(&'static [Entry], HashMap<&'static str, usize>)> = LazyLock::new(|| {
    let entries = CATALOGUE.0.as_slice();
    (entries, entries.iter().enumerate().map(|(at, entry)| (entry.code, at)).collect())
});

/// There whatever the data says.
static GENERAL: LazyLock<Entry> = LazyLock::new(|| {
    let written = CATALOGUE.0.iter().find(|entry| entry.code == UNKNOWN);
    written.cloned().unwrap_or_else(|| Entry {
        code: UNKNOWN,
        class: Class::Account,
        places: Vec::new(),
        what: "The provider refused.".to_owned(),
        member: Class::Account.sentence().to_owned(),
        operator: "Look into the provider's own log.".to_owned(),
        menu: String::new(),
    })
});

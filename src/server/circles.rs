//! When signing in goes round in circles (OIDC-16): a page asks for a sign-in, the provider signs
//! in without a word, and back at the page nobody is signed in, for ever.
//!
//! **The rule.** Every login leaves a mark in the browser that began it: its own cookie, whose name
//! has the time; when the login became a session, the cookie stays for a minute as a mark without a
//! secret. (One that failed leaves none: it ended at a page.) A login that the browser asks for is
//! not begun, and a page says why, when of those of the last minute
//!
//! - three are still under way for the very same page, those apart that a session came after, or
//! - three became sessions, and yet the browser comes without one, or for the very same page again.
//!
//! So ten tabs that open ten pages at once all begin, whereas a loop ends whether it asks for one
//! page again and again or for another one each time. There is a cookie a login and none that
//! counts, so that losing one of them (a portal clears some, a browser drops the oldest) puts the
//! end off by one round. A browser without any cookies comes to no loop: its first callback ends at
//! a page. Nobody is locked out: the page's button begins a login whatever was before, and so does
//! waiting for a minute; signing out forgets the marks.
//!
//! Deliberately not here: reading and setting the cookies (`gate::cookies`, `sessions::cookie`).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::gate::cookies::LOGIN_PREFIX;
use crate::gate::{ReturnTo, Timestamp};

/// How long a login is remembered.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// How many of them begin within that time.
pub(super) const MOST: usize = 3;

/// What often is the reason, for the page.
pub(super) const REASONS: [&str; 3] = [
    "This browser does not keep cookies of this site, or an extension deletes them.",
    "The portal is open under two addresses, and the sign-in comes back to the other one. Start \
     from the address that you were given.",
    "The portal, or a server before it, forgets who signed in. Whoever runs it finds more in the \
     log.",
];

/// What a login that is over leaves behind.
const OVER: &str = "over.";

/// A login that this browser began within the last minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// How many seconds ago.
    ago: u32,
    /// The page that it was for, if that can be told.
    page: Option<Page>,
    is_over: bool,
}

/// A page that somebody was to come back to: short, and nothing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn of(return_to: &ReturnTo) -> Self {
        let hash = digest(&SHA256, return_to.as_str().as_bytes());
        let mut text = URL_SAFE_NO_PAD.encode(hash);
        text.truncate(12);
        Self(text)
    }

    /// The value of the mark that a login for this page leaves behind.
    pub(super) fn mark(&self) -> String {
        format!("{OVER}{}", self.0)
    }
}

/// Whether a login's cookie is the mark of one that is over.
pub(super) fn is_mark(value: &str) -> bool {
    value.starts_with(OVER)
}

impl Begun {
    /// Reads a login's cookie; `open` tells the page of one that is under way. `None` if it is not
    /// of the last minute.
    pub(super) fn read(
        name: &str,
        value: &str,
        now: Timestamp,
        open: impl FnOnce(&str) -> Option<ReturnTo>,
    ) -> Option<Self> {
        let time = name.strip_prefix(LOGIN_PREFIX)?.get(..8)?;
        let begun = u32::from_str_radix(time, 16).ok()?;
        let now = u32::try_from(now.unix_seconds() & 0xffff_ffff).ok()?;
        let ago = now.wrapping_sub(begun);
        if u64::from(ago) >= WINDOW.as_secs() {
            return None;
        }
        Some(match value.strip_prefix(OVER) {
            Some(page) => Self { ago, page: Some(Page(page.to_owned())), is_over: true },
            None => Self { ago, page: open(value).as_ref().map(Page::of), is_over: false },
        })
    }
}

/// Whether another login for this page would go round in circles.
pub(super) fn is_one(begun: &[Begun], page: &Page, has_session: bool) -> bool {
    let is_for_it = |login: &&Begun| login.page.as_ref() == Some(page);
    let over = || begun.iter().filter(|login| login.is_over);
    let last_session = over().map(|login| login.ago).min();
    let under_way = begun
        .iter()
        .filter(|login| !login.is_over && last_session.is_none_or(|session| login.ago <= session));
    under_way.filter(is_for_it).count() >= MOST
        || over().filter(is_for_it).count() >= MOST
        || (!has_session && over().count() >= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn page(name: &str) -> Page {
        Page(name.to_owned())
    }

    fn begun(name: &str, is_over: bool) -> Begun {
        Begun { ago: 0, page: Some(page(name)), is_over }
    }

    #[test]
    fn oidc_16_three_for_one_page_or_three_in_vain_are_a_circle() {
        let (pending, over) = (begun("a", false), begun("a", true));
        let others: Vec<_> = (0..10).map(|tab| begun(&tab.to_string(), false)).collect();
        assert!(!is_one(&others, &page("a"), false), "ten tabs");
        assert!(!is_one(&[pending.clone(), pending.clone()], &page("a"), false));
        assert!(is_one(&[pending.clone(), pending.clone(), pending.clone()], &page("a"), true));
        let earlier = || Begun { ago: 9, ..pending.clone() };
        let cleared = [earlier(), earlier(), earlier(), over.clone()];
        assert!(!is_one(&cleared, &page("a"), false), "a session came after them");
        assert!(is_one(&[over.clone(), over.clone(), over.clone()], &page("b"), false));
        assert!(is_one(&[over.clone(), over.clone(), over.clone()], &page("a"), true));
        assert!(!is_one(&[over.clone(), over.clone(), over], &page("b"), true), "with a session");
    }

    #[test]
    fn a_login_counts_for_a_minute_by_the_time_in_its_name() {
        let seconds = 1_800_000_000_i64;
        let name = |at: i64| format!("{LOGIN_PREFIX}{at:08x}abcd");
        let read = |at: i64| Begun::read(&name(at), "over.x", NOON, |_| None);
        assert_eq!(read(seconds), Some(begun("x", true)));
        assert!(read(seconds - 59).is_some());
        assert_eq!(read(seconds - 60), None);
        assert_eq!(read(seconds + 1), None, "of the future");
        assert_eq!(Begun::read(LOGIN_PREFIX, "over.x", NOON, |_| None), None);
        assert_eq!(Begun::read("other", "over.x", NOON, |_| None), None);
    }
}

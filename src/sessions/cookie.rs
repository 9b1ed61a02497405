//! The `Set-Cookie` headers of our cookies: names and attributes in one place (COOK-04).
//! Deliberately not here: reading what a visitor sends (`gate::cookies`).

use std::time::Duration;

use cookie::{Cookie, SameSite, time};
use http::HeaderValue;

use crate::gate::Lot;
use crate::gate::cookies::{self, BREAK_GLASS, LOGIN_PREFIX, LOT, MEMBER, PART_PREFIX, SESSION};
use crate::gate::login::PendingLogin;

/// How many logins one browser may have under way; the oldest goes first (COOK-05).
pub const MOST_LOGINS: usize = 12;
/// And how many bytes they may have together, well within what a request may carry.
pub const MOST_LOGIN_BYTES: usize = 12 * 1024;

/// Sets the session cookie, and a further one for each further part; of `earlier` parts, by their
/// whole names, it takes back what is left. They have no expiry of their own: we enforce the
/// session's (SESS-03).
pub fn session<'a>(
    parts: &[String],
    earlier: impl IntoIterator<Item = &'a str>,
) -> Vec<HeaderValue> {
    let names: Vec<String> = (1..=parts.len()).map(part_name).collect();
    let left = earlier.into_iter().filter(|name| !names.iter().any(|known| known == name));
    let left: Vec<_> = left.filter_map(|name| header(deleted(name.to_owned()))).collect();
    let parts = names.iter().zip(parts);
    let set = parts.filter_map(|(name, part)| header(ours(name.clone(), part.clone())));
    set.chain(left).collect()
}

/// Takes the session cookie back, and the further parts that came with a request.
pub fn no_session<'a>(
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = HeaderValue> {
    let parts = cookies::parts(fields).into_iter().map(str::to_owned);
    let names: Vec<String> = std::iter::once(SESSION.to_owned()).chain(parts).collect();
    names.into_iter().filter_map(|name| header(deleted(name)))
}

fn part_name(number: usize) -> String {
    match number {
        1 => SESSION.to_owned(),
        number => format!("{PART_PREFIX}{number}"),
    }
}

/// Sets the cookie of who was signed in last. It goes with the browser, as the session's does;
/// what is in it lets nobody in.
#[must_use]
pub fn member(sealed: String) -> Option<HeaderValue> {
    header(ours(MEMBER.to_owned(), sealed))
}

/// Takes that cookie back.
#[must_use]
pub fn no_member() -> Option<HeaderValue> {
    header(deleted(MEMBER.to_owned()))
}

/// For how long a browser keeps its lot: longer than a switch takes.
const LOT_KEPT: time::Duration = time::Duration::days(90);

/// Sets the pass of whoever has broken the glass, for as long as it is good. We enforce its time
/// ourselves.
#[must_use]
pub fn break_glass(sealed: String, kept: Duration) -> Option<HeaderValue> {
    let mut cookie = ours(BREAK_GLASS.to_owned(), sealed);
    cookie.set_max_age(time::Duration::try_from(kept).ok());
    header(cookie)
}

/// Takes the pass back.
#[must_use]
pub fn no_break_glass() -> Option<HeaderValue> {
    header(deleted(BREAK_GLASS.to_owned()))
}

/// Sets a visitor's lot in a progressive switch. It names nobody: a hundred lots are for all.
#[must_use]
pub fn lot(lot: Lot) -> Option<HeaderValue> {
    let mut cookie = ours(LOT.to_owned(), lot.to_string());
    cookie.set_max_age(LOT_KEPT);
    header(cookie)
}

/// Sets the cookie of a login under way to its sealed record. Where the provider's page posts the
/// callback, it has to come along from another site; no other cookie of ours does.
#[must_use]
pub fn login(number: &str, sealed: String, is_posted: bool) -> Option<HeaderValue> {
    let mut cookie = ours(format!("{LOGIN_PREFIX}{number}"), sealed);
    if is_posted {
        cookie.set_same_site(SameSite::None);
    }
    cookie.set_max_age(time::Duration::try_from(PendingLogin::LIMIT).ok());
    header(cookie)
}

/// Leaves a mark in place of the cookie of a login that is over, by its whole name.
#[must_use]
pub fn login_over(name: &str, mark: String, kept: Duration) -> Option<HeaderValue> {
    let mut cookie = ours(name.to_owned(), mark);
    cookie.set_max_age(time::Duration::try_from(kept).ok());
    header(cookie)
}

/// Takes the cookie of a login back, by its whole name.
#[must_use]
pub fn no_login(name: &str) -> Option<HeaderValue> {
    header(deleted(name.to_owned()))
}

/// Sets the proof that the portal set a cookie, by its whole name.
#[must_use]
pub(super) fn proof(name: &str, value: String) -> Option<HeaderValue> {
    header(ours(name.to_owned(), value))
}

/// Takes such a proof back.
#[must_use]
pub(super) fn no_proof(name: &str) -> Option<HeaderValue> {
    header(deleted(name.to_owned()))
}

fn ours(name: String, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .build()
}

/// Deletion repeats the attributes: without them a browser refuses it for a `__Host-` name.
fn deleted(name: String) -> Cookie<'static> {
    let mut cookie = ours(name, String::new());
    cookie.set_max_age(time::Duration::ZERO);
    cookie
}

/// `None` cannot come up for the names and alphabets above.
fn header(cookie: Cookie<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(cookie.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cook_04_our_cookies_carry_every_attribute_and_no_domain() {
        let headers = [
            session(&["one".to_owned(), "two".to_owned()], []).pop(),
            no_session([]).next(),
            member("x".to_owned()),
            no_member(),
            break_glass("x".to_owned(), Duration::from_secs(60)),
            no_break_glass(),
            lot(Lot::of(7)),
            login("abc", "x".to_owned(), false),
            login_over("y", "x".to_owned(), Duration::from_secs(60)),
            no_login("y"),
        ];
        for header in headers.map(Option::unwrap) {
            let text = header.to_str().unwrap();
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(text.split("; ").any(|part| part == attribute), "{text}");
            }
            assert!(!text.contains("Domain"), "{text}");
        }
        let posted = login("abc", "x".to_owned(), true).unwrap();
        let posted = posted.to_str().unwrap();
        assert!(posted.contains("SameSite=None") && posted.contains("Secure"), "{posted}");
    }
}

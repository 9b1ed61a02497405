//! A portal's answer without what it must not say to a visitor (HDR-11). Deliberately not here:
//! what is kept from caches, which depends on who asked (`server::caching`).

use http::header::{self, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE};

use super::cookies;
use super::identity::{
    HOP_BY_HOP, LocalCredentials, remove_all, remove_named_by_connection, signs_a_connection_in,
};

/// Takes out of a portal's answer what belongs to one connection (HDR-01), and what a portal must
/// not say: our own assertion and request id, our cookies, other servers' instructions (HDR-11).
///
/// `Clear-Site-Data` keeps all but cookies: at its own sign-out a portal may clear what it stored,
/// and cannot know that it would end our session, or a login under way, with it. Its own cookies it
/// can delete by name.
pub fn cleanse_answer(headers: &mut HeaderMap) {
    // What keeps an answer out of caches is not for a portal's `Connection` to take away.
    let caching = headers.get_all(header::CACHE_CONTROL).iter().cloned().collect();
    remove_named_by_connection(headers);
    replace_all(headers, &header::CACHE_CONTROL, caching);
    remove_all(headers, |name| {
        let name = name.as_str();
        HOP_BY_HOP.contains(&name)
            || NOT_IN_ANSWERS.contains(&name)
            || INSTRUCTIONS.iter().any(|family| name.starts_with(family))
    });
    if headers.get_all(SET_COOKIE).iter().any(cookies::sets_own) {
        let kept = headers.get_all(SET_COOKIE).iter().filter(|value| !cookies::sets_own(value));
        let kept: Vec<HeaderValue> = kept.cloned().collect();
        replace_all(headers, &SET_COOKIE, kept);
    }
    if headers.contains_key(&CLEAR_SITE_DATA) {
        let kept = headers.get_all(&CLEAR_SITE_DATA).iter().filter_map(without_cookies).collect();
        replace_all(headers, &CLEAR_SITE_DATA, kept);
    }
}

/// The same for what comes after an answer's body, where nothing may be said that has to be known
/// before it: framing, routing, caching, credentials, cookies, what the body is (RFC 9110, section
/// 6.5.1).
pub fn cleanse_trailers(trailers: &mut HeaderMap) {
    cleanse_answer(trailers);
    remove_all(trailers, |name| NOT_IN_TRAILERS.contains(name));
}

static NOT_IN_TRAILERS: [HeaderName; 24] = [
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    SET_COOKIE,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_SECURITY_POLICY,
    header::STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
    header::AGE,
    header::CACHE_CONTROL,
    header::DATE,
    header::EXPIRES,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::RANGE,
    header::RETRY_AFTER,
    header::VARY,
    header::WARNING,
    header::REFRESH,
];

/// The challenges that a browser may see: those for a sign-in of a whole connection lead nowhere,
/// because what it would answer is removed (HTTP-12).
pub fn cleanse_challenges(headers: &mut HeaderMap, credentials: LocalCredentials) {
    if !headers.contains_key(WWW_AUTHENTICATE) {
        return;
    }
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let kept = match credentials {
        LocalCredentials::Stop => Vec::new(),
        LocalCredentials::Pass => {
            let names_one = |value: &&HeaderValue| {
                value.as_bytes().split(|byte| *byte == b',').any(signs_a_connection_in)
            };
            challenges.filter(|value| !names_one(value)).cloned().collect()
        }
    };
    replace_all(headers, &WWW_AUTHENTICATE, kept);
}

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What is left to be cleared. `"*"` is all that there is, and all but cookies is this.
fn without_cookies(value: &HeaderValue) -> Option<HeaderValue> {
    let kinds = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = kinds
        .filter(|kind| !kind.eq_ignore_ascii_case(b"\"cookies\""))
        .map(|kind| if kind == b"\"*\"" { &br#""cache", "storage""#[..] } else { kind })
        .collect();
    HeaderValue::from_bytes(&kept.join(&b", "[..])).ok().filter(|value| !value.is_empty())
}

const NOT_IN_ANSWERS: [&str; 6] = [
    "x-request-id",
    "alt-svc",
    "x-reproxy-url",
    "x-litespeed-location",
    "set-cookie2",
    "x-rewrite-url",
];

/// What begins so is ours, in our own words or in those of another gate, or tells a server in front
/// to fetch or rewrite something.
const INSTRUCTIONS: [&str; 11] = [
    "x-anteport",
    "x-accel-",
    "x-sendfile",
    "x-lighttpd-",
    "x-middleware-",
    "x-ms-client-principal",
    "x-ms-token-",
    "cf-access-",
    "x-goog-iap-",
    "x-amzn-oidc-",
    "x-pomerium-",
];

fn replace_all(headers: &mut HeaderMap, name: &HeaderName, values: Vec<HeaderValue>) {
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}

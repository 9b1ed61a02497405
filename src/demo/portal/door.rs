//! The password door: the portal's own sign-in, from a time before Anteport. It is really there,
//! and really opens, for whoever reaches it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{HeaderMap, SET_COOKIE};
use http::{HeaderName, StatusCode};

use super::{Call, Portal, pages};
use crate::demo::answer::{self, Answer};
use crate::demo::parameters::{self, Parameters};
use crate::demo::random;
use crate::gate::Secret;

/// The password of everybody.
pub(super) const PASSWORD: &str = "letmein";
const COOKIE_NAME: &str = "PORTALSESSION";
const KEPT: usize = 1000;

/// Who is signed in by password.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<VecDeque<(Secret<String>, String)>>);

impl Door {
    fn sessions(&self) -> MutexGuard<'_, VecDeque<(Secret<String>, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, name: &str) -> String {
        let cookie = random::token(24);
        let mut sessions = self.sessions();
        if sessions.len() >= KEPT {
            sessions.pop_front();
        }
        sessions.push_back((Secret::new(cookie.clone()), name.to_owned()));
        cookie
    }

    /// Whose session the cookie of a request is.
    pub(super) fn who(&self, headers: &HeaderMap) -> Option<String> {
        let cookie = parameters::cookie(headers, COOKIE_NAME)?;
        let sessions = self.sessions();
        let found = sessions.iter().find(|(known, _)| known.matches(cookie));
        found.map(|(_, name)| name.clone())
    }

    fn close(&self, headers: &HeaderMap) {
        if let Some(cookie) = parameters::cookie(headers, COOKIE_NAME) {
            self.sessions().retain(|(known, _)| !known.matches(cookie));
        }
    }
}

/// Answers the password form.
pub(super) fn knock(portal: &Portal, call: &Call, form: &Parameters) -> Answer {
    let name = form.get("name").unwrap_or("member");
    if form.get("password") != Some(PASSWORD) {
        return pages::login(portal, call, true);
    }
    let name: String = name.chars().take(60).collect();
    let cookie = portal.door.open(&name);
    let cookie = format!("{COOKIE_NAME}={cookie}; Path=/; HttpOnly; SameSite=Lax");
    answer::with(answer::redirect("/"), SET_COOKIE, &cookie)
}

/// Ends the portal's own session.
pub(super) fn leave(portal: &Portal, call: &Call) -> Answer {
    portal.door.close(&call.headers);
    let cookie = format!("{COOKIE_NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    answer::with(answer::redirect("/"), SET_COOKIE, &cookie)
}

/// Sets a cookie of the portal's, and tries to set one of the proxy's.
pub(super) fn plant_cookies() -> Answer {
    let text = "one cookie of the portal's, one of the proxy's\n";
    let answer = answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", text);
    let answer = answer::and(answer, SET_COOKIE, "portal_view=compact; Path=/");
    let planted = "__Host-anteport=planted; Path=/; Secure; HttpOnly";
    let answer = answer::and(answer, SET_COOKIE, planted);
    answer::with(answer, HeaderName::from_static("x-portal"), "legacy")
}

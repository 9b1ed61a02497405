//! The password door: the old login that a portal like this has, with a cookie of its own. Anybody
//! gets in with one password, which is the point: the proxy has to keep this door shut.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie::Cookie;
use http::HeaderMap;
use http::header::COOKIE;

use crate::demo::random;

const NAME: &str = "PORTALSESSION";
const PASSWORD: &str = "letmein";
/// How many are signed in at most; then the first one is signed out.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 100;

/// The `Set-Cookie` that takes the cookie away.
pub(super) const NO_COOKIE: &str = "PORTALSESSION=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";

/// Who came in by password: the cookie's value and the name.
#[derive(Default)]
pub(super) struct Door(Mutex<VecDeque<(String, String)>>);

impl Door {
    /// The `Set-Cookie` for a visitor who has the password.
    pub(super) fn open(&self, name: &str, password: &str) -> Option<String> {
        if name.trim().is_empty() || password != PASSWORD {
            return None;
        }
        let token = random::token(18);
        let name = name.trim().chars().take(LONGEST_NAME).collect();
        let mut inside = self.inside();
        if inside.len() == MOST {
            inside.pop_front();
        }
        inside.push_back((token.clone(), name));
        Some(format!("{NAME}={token}; Path=/; HttpOnly; SameSite=Lax"))
    }

    /// The name of who sent this cookie.
    pub(super) fn member(&self, headers: &HeaderMap) -> Option<String> {
        let token = token(headers)?;
        let inside = self.inside();
        let member = inside.iter().find(|(known, _)| *known == token);
        member.map(|(_, name)| name.clone())
    }

    /// Signs out who sent this cookie.
    pub(super) fn close(&self, headers: &HeaderMap) {
        if let Some(token) = token(headers) {
            self.inside().retain(|(known, _)| *known != token);
        }
    }

    fn inside(&self) -> MutexGuard<'_, VecDeque<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == NAME)
        .map(|cookie| cookie.value().to_owned())
}

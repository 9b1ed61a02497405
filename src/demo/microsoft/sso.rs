//! The cookie by which Microsoft knows a browser again. It is not `Secure` and carries no prefix,
//! because the emulator is plain `http` on loopback.

use http::header::{COOKIE, HeaderMap, SET_COOKIE};

use super::Microsoft;
use super::accounts::Account;
use super::state::Sso;
use crate::demo::answer::{self, Answer};
use crate::demo::random;
use crate::gate::Secret;

const NAME: &str = "ESTSAUTH";

impl Microsoft {
    /// Who is signed in at Microsoft in this browser.
    pub(super) fn sso(&self, headers: &HeaderMap) -> Option<Sso> {
        let state = self.state();
        cookies(headers)
            .find_map(|value| state.sso.iter().find(|sso| sso.cookie.matches(value)))
            .cloned()
    }

    /// Signs `account` in, in place of whoever was signed in before.
    pub(super) fn start_sso(&self, headers: &HeaderMap, account: &'static Account) -> Sso {
        self.end_sso(headers);
        let sso = Sso { cookie: Secret::new(random::token(48)), account, sid: random::guid() };
        self.state().keep_sso(sso.clone());
        sso
    }

    pub(super) fn end_sso(&self, headers: &HeaderMap) {
        let mut state = self.state();
        for value in cookies(headers) {
            state.sso.retain(|sso| !sso.cookie.matches(value));
        }
    }
}

pub(super) fn set_cookie(answer: Answer, sso: &Sso) -> Answer {
    let value = sso.cookie.expose();
    let cookie = format!("{NAME}={value}; Path=/; HttpOnly; SameSite=Lax");
    answer::and(answer, SET_COOKIE, &cookie)
}

pub(super) fn clear_cookie(answer: Answer) -> Answer {
    let cookie = format!("{NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    answer::and(answer, SET_COOKIE, &cookie)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == NAME)
        .map(|(_, value)| value)
}

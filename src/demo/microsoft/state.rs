//! What the emulator remembers, all of it bounded and in memory.

use std::collections::VecDeque;

use super::accounts::Account;
use super::faults::{AuthorizeError, Fault, TokenAnswer};
use super::log::Entry;
use super::tenants::Place;
use crate::gate::{Secret, Timestamp};

/// How many codes, refresh tokens and sign-on sessions are kept.
const KEPT: usize = 4096;
/// How many requests are.
const LOGGED: usize = 100;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) codes: VecDeque<IssuedCode>,
    pub(super) refresh_tokens: VecDeque<IssuedRefresh>,
    pub(super) sso: VecDeque<Sso>,
    pub(super) token_faults: VecDeque<Fault>,
    pub(super) token_answers: VecDeque<TokenAnswer>,
    pub(super) authorize_errors: VecDeque<AuthorizeError>,
    pub(super) outage: bool,
    pub(super) log: VecDeque<Entry>,
}

/// A browser in which somebody is signed in at Microsoft.
#[derive(Clone, Debug)]
pub(super) struct Sso {
    pub(super) cookie: Secret<String>,
    pub(super) account: &'static Account,
    pub(super) sid: String,
}

/// For whom and for what a token is.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) account: &'static Account,
    pub(super) place: Place,
    pub(super) sid: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
}

/// An authorization code and what it is bound to.
#[derive(Clone, Debug)]
pub(super) struct IssuedCode {
    pub(super) code: Secret<String>,
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<PkceChallenge>,
    pub(super) issued: Timestamp,
    pub(super) redeemed: bool,
}

/// What a refresh token is for.
#[derive(Clone, Debug)]
pub(super) struct IssuedRefresh {
    pub(super) token: Secret<String>,
    pub(super) grant: Grant,
}

/// The challenge of an authorization request (RFC 7636).
#[derive(Clone, Debug)]
pub(super) struct PkceChallenge {
    pub(super) value: String,
    pub(super) hashed: bool,
}

impl State {
    pub(super) fn keep_code(&mut self, code: IssuedCode) {
        push(&mut self.codes, code, KEPT);
    }

    pub(super) fn keep_refresh(&mut self, token: IssuedRefresh) {
        push(&mut self.refresh_tokens, token, KEPT);
    }

    pub(super) fn keep_sso(&mut self, sso: Sso) {
        push(&mut self.sso, sso, KEPT);
    }

    pub(super) fn note(&mut self, entry: Entry) {
        push(&mut self.log, entry, LOGGED);
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}

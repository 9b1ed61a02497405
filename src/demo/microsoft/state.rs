//! What the emulator remembers, all of it bounded and in memory.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::accounts::Account;
use super::faults::{AuthorizeError, Fault, Switches, TokenAnswer, Trouble};
use super::log::Entry;
use super::tenants::Place;
use crate::gate::{Secret, Timestamp};

/// How many codes, refresh tokens and sign-on sessions are kept.
const KEPT: usize = 4096;
/// How many requests are.
const LOGGED: usize = 100;

#[derive(Debug)]
pub(super) struct State {
    pub(super) switches: Switches,
    pub(super) codes: VecDeque<IssuedCode>,
    pub(super) refresh_tokens: VecDeque<IssuedRefresh>,
    pub(super) sso: VecDeque<Sso>,
    pub(super) token_faults: VecDeque<Fault>,
    pub(super) token_answers: VecDeque<TokenAnswer>,
    pub(super) authorize_errors: VecDeque<AuthorizeError>,
    pub(super) refused_contexts: Vec<String>,
    /// What the next ID tokens say besides; `null` takes a claim away.
    pub(super) token_claims: VecDeque<Map<String, Value>>,
    pub(super) document_troubles: VecDeque<Trouble>,
    /// Errors that stay on a page, by their AADSTS numbers.
    pub(super) page_errors: VecDeque<u32>,
    /// Who cannot sign in any more, by object id.
    pub(super) disabled: HashSet<&'static str>,
    /// Since when nothing counts that somebody was given before.
    pub(super) revoked: HashMap<&'static str, Timestamp>,
    /// Display names that their members have changed, by object id.
    pub(super) names: HashMap<&'static str, String>,
    pub(super) log: VecDeque<Entry>,
    /// `jti` of assertions that were used.
    assertions: VecDeque<String>,
    /// Access tokens in the application's own name.
    app_tokens: VecDeque<Secret<String>>,
}

/// A browser in which somebody is signed in at Microsoft.
#[derive(Clone, Debug)]
pub(super) struct Sso {
    pub(super) cookie: Secret<String>,
    pub(super) account: &'static Account,
    pub(super) sid: String,
    pub(super) authenticated: Timestamp,
}

/// For whom and for what a token is.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) account: &'static Account,
    pub(super) place: Place,
    pub(super) sid: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) authenticated: Timestamp,
    /// Authentication contexts that were asked for and are satisfied.
    pub(super) contexts: Vec<String>,
    /// Whether a new password was chosen on the way.
    pub(super) forgot: bool,
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
    pub(super) issued: Timestamp,
}

/// The challenge of an authorization request (RFC 7636).
#[derive(Clone, Debug)]
pub(super) struct PkceChallenge {
    pub(super) value: String,
    pub(super) hashed: bool,
}

impl State {
    pub(super) fn new(switches: Switches) -> Self {
        Self {
            switches,
            codes: VecDeque::new(),
            refresh_tokens: VecDeque::new(),
            sso: VecDeque::new(),
            token_faults: VecDeque::new(),
            token_answers: VecDeque::new(),
            refused_contexts: Vec::new(),
            token_claims: VecDeque::new(),
            document_troubles: VecDeque::new(),
            authorize_errors: VecDeque::new(),
            page_errors: VecDeque::new(),
            disabled: HashSet::new(),
            revoked: HashMap::new(),
            names: HashMap::new(),
            log: VecDeque::new(),
            assertions: VecDeque::new(),
            app_tokens: VecDeque::new(),
        }
    }

    pub(super) fn keep_code(&mut self, code: IssuedCode) {
        push(&mut self.codes, code, KEPT);
    }

    pub(super) fn keep_refresh(&mut self, token: IssuedRefresh) {
        push(&mut self.refresh_tokens, token, KEPT);
    }

    pub(super) fn keep_sso(&mut self, sso: Sso) {
        push(&mut self.sso, sso, KEPT);
    }

    pub(super) fn keep_app_token(&mut self, token: Secret<String>) {
        push(&mut self.app_tokens, token, KEPT);
    }

    pub(super) fn knows_app_token(&self, token: &str) -> bool {
        self.app_tokens.iter().any(|known| known.matches(token))
    }

    /// Whether this id was unused until now.
    pub(super) fn use_assertion(&mut self, id: &str) -> bool {
        let is_new = !id.is_empty() && !self.assertions.iter().any(|used| used == id);
        if is_new {
            push(&mut self.assertions, id.to_owned(), KEPT);
        }
        is_new
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

//! Signing out: by the member, or by the provider, which names the sessions that it means. Sign-out
//! wins: what was under way when somebody signed out becomes no session (OIDC-14).

use std::sync::Arc;

use super::index::{self, Meant};
use super::{Digest, Sessions, SignedIn};
use crate::gate::{Secret, Session, SessionId, Timestamp};

impl Sessions {
    /// Ends a session because its member wants it to: logins that this browser has under way become no
    /// session either.
    #[must_use]
    pub fn sign_out(&self, id: &SessionId, now: Timestamp) -> Option<Arc<SignedIn>> {
        let key = Digest::of(id.bytes());
        // First, so that a session which starts meanwhile sees it.
        if self.table.contains_key(&key) {
            self.signed_out.insert(key, now);
        }
        self.end(id)
    }

    /// Ends the sessions that a provider says are over, and only those of this provider. `issuer` is
    /// whose word it is, if that was said: then only the sessions that this issuer vouched for.
    #[must_use]
    pub fn sign_out_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Vec<Arc<SignedIn>> {
        // First, so that a session which starts meanwhile sees it.
        self.signed_out_there.insert(meant.key(provider), now);
        self.end_meant(provider, meant, issuer)
    }

    /// The same without remembering it: logins under way are left alone.
    #[must_use]
    pub fn end_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
    ) -> Vec<Arc<SignedIn>> {
        let is_of = |session: &Session| {
            issuer.is_none_or(|issuer| session.claims().text("iss") == Some(issuer))
        };
        let ids = self.index.find(&meant.key(provider)).into_iter();
        ids.filter(|id| self.table.get(id).is_some_and(|found| is_of(found.session())))
            .filter_map(|id| self.take(&id))
            .collect()
    }

    /// A login under way comes to nothing: the member has signed out in the browser that it is of.
    pub fn forget_login(&self, state: &Secret<String>, now: Timestamp) {
        self.signed_out.insert(Digest::of(state.expose().as_bytes()), now);
    }

    /// Whether that has happened to a login, also while its callback was under way.
    #[must_use]
    pub fn is_forgotten(&self, state: &Secret<String>) -> bool {
        self.signed_out.contains_key(&Digest::of(state.expose().as_bytes()))
    }

    /// Whether somebody has signed out since a login began: from the session that the browser had
    /// then, which nobody has any more, or, at the provider, from the one that this has become.
    /// Sign-out wins.
    #[must_use]
    pub fn signed_out_since(
        &self,
        begun: Timestamp,
        before: Option<&SessionId>,
        now: Option<&SessionId>,
    ) -> bool {
        let is_later = |at: Option<Timestamp>| at.is_some_and(|at| begun < at);
        let now = now.and_then(|id| self.table.get(&Digest::of(id.bytes())));
        before.is_some_and(|id| self.signed_out.contains_key(&Digest::of(id.bytes())))
            || now.is_some_and(|found| {
                index::names(found.session()).any(|key| is_later(self.signed_out_there.get(&key)))
            })
    }

    /// Spends a logout token of a provider by its `jti`: true once (OIDC-15).
    #[must_use]
    pub fn spend_logout_token(&self, provider: &str, id: &str) -> bool {
        let key = Digest::of(format!("{}\n{provider}\n{id}", provider.len()).as_bytes());
        self.spent_logout_tokens.entry(key).or_insert(()).is_fresh()
    }
}

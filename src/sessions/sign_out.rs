//! Signing out: by the member, or by the provider, which names the sessions that it means. Sign-out
//! wins: what was under way when somebody signed out becomes no session (OIDC-14).

use std::sync::Arc;

use super::index::{self, Meant};
use super::marks::{Once, SignOut};
use super::{Digest, Sessions, SignedIn, StoreError};
use crate::gate::{Secret, Session, SessionId, Timestamp};

impl Sessions {
    /// Ends a session because its member wants it to: logins that this browser has under way become no
    /// session either.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn sign_out(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let key = Digest::of_id(id);
        // First, so that a session which starts meanwhile sees it.
        if self.table.contains(&key) {
            self.marks.sign_out(SignOut::Here, key, now);
        }
        self.end(id).await
    }

    /// Ends the sessions that a provider says are over, and only those of this provider. `issuer` is
    /// whose word it is, if that was said: then only the sessions that this issuer vouched for.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn sign_out_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Arc<SignedIn>>, StoreError> {
        // First, so that a session which starts meanwhile sees it.
        self.marks.sign_out(SignOut::There, meant.key(provider), now);
        self.end_meant(provider, meant, issuer).await
    }

    /// The same without remembering it: logins under way are left alone.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn end_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
    ) -> Result<Vec<Arc<SignedIn>>, StoreError> {
        let name = meant.key(provider);
        let is_meant = |session: &Session| {
            index::names(session).any(|known| known == name)
                && issuer.is_none_or(|issuer| session.claims().text("iss") == Some(issuer))
        };
        let keys = self.index.find(&name).into_iter();
        let keys = keys.flat_map(|begins| self.table.beginning_with(begins));
        let meant = keys.filter(|key| {
            self.table.find(key).is_some_and(|found| is_meant(found.signed_in.session()))
        });
        Ok(meant.filter_map(|key| self.remove(&key)).collect())
    }

    /// A login under way comes to nothing: the member has signed out in the browser that it is of.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn forget_login(
        &self,
        state: &Secret<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.marks.sign_out(SignOut::Here, Digest::of(state.expose().as_bytes()), now);
        Ok(())
    }

    /// Whether a login has come to nothing: its member has signed out in the browser that it is of, or
    /// from the session that the browser had when it began, which nobody has any more.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn is_forgotten(
        &self,
        state: &Secret<String>,
        before: Option<&SessionId>,
    ) -> Result<bool, StoreError> {
        let state = Digest::of(state.expose().as_bytes());
        let mut keys = std::iter::once(state).chain(before.map(Digest::of_id));
        Ok(keys.any(|key| self.marks.signed_out(SignOut::Here, &key).is_some()))
    }

    /// Whether the person of a session has signed out at the provider since its login began.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn signed_out_since(
        &self,
        begun: Timestamp,
        session: &Session,
    ) -> Result<bool, StoreError> {
        let is_later = |at: Option<Timestamp>| at.is_some_and(|at| begun < at);
        Ok(index::names(session).any(|key| is_later(self.marks.signed_out(SignOut::There, &key))))
    }

    /// Spends a login's `state`: true once, also when two callbacks come at the same moment
    /// (OIDC-02).
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn spend_login(&self, state: &Secret<String>) -> Result<bool, StoreError> {
        self.spend(Once::Login, Digest::of(state.expose().as_bytes())).await
    }

    /// Spends a logout token of a provider by its `jti`: true once (OIDC-15).
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn spend_logout_token(&self, provider: &str, id: &str) -> Result<bool, StoreError> {
        let key = Digest::of(format!("{}\n{provider}\n{id}", provider.len()).as_bytes());
        self.spend(Once::LogoutToken, key).await
    }

    async fn spend(&self, what: Once, key: Digest) -> Result<bool, StoreError> {
        Ok(self.marks.spend(what, key))
    }
}

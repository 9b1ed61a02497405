//! Signing out: by the member, or by the provider, which names the sessions that it means. Sign-out
//! wins: what was under way when somebody signed out becomes no session (OIDC-14).

use std::sync::Arc;

use super::index::{self, Meant};
use super::marks::{Once, SignOut};
use super::{Digest, EndedHere, Sessions, SignedIn, Store, StoreError, Word};
use crate::gate::{Secret, Session, SessionId, Timestamp};

impl Sessions {
    /// Ends a session because its member wants it to: logins that this browser has under way become
    /// no session either. For the rest as [`Sessions::end`].
    pub async fn sign_out(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> EndedHere<Option<Arc<SignedIn>>> {
        let key = Digest::of_id(id);
        if let Err(error) = self.settled().await {
            return (None, Err(error));
        }
        // First, so that a session which starts meanwhile sees it.
        let noted = match &self.store {
            Store::Memory { .. } if !self.table.contains(&key) => Ok(()),
            Store::Memory { .. } | Store::Remote(..) => {
                self.note_sign_out(SignOut::Here, &key, now).await
            }
        };
        let (ended, told) = self.end_key(&key, now).await;
        (ended, noted.and(told))
    }

    /// Ends the sessions that a provider says are over, and only those of this provider. `issuer`
    /// is who says so, if that was said: then only the sessions that this issuer vouched for.
    pub async fn sign_out_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
        word: Word,
        now: Timestamp,
    ) -> EndedHere<Vec<Arc<SignedIn>>> {
        // First, so that a session which starts meanwhile sees it.
        let name = meant.key(provider);
        let noted = match word {
            Word::Claimed if !self.claimed.admit_sign_out(&name, now) => Ok(()),
            Word::Claimed | Word::Proven => self.note_sign_out(SignOut::There, &name, now).await,
        };
        let noted = noted.and(self.note_ending(&index::said_by(&name, issuer), word, now).await);
        // What is known here ends, whether the rest could be noted or not.
        let (ended, told) = self.end_meant(provider, meant, issuer, now).await;
        (ended, noted.and(told))
    }

    /// Notes that the sessions of a name are over which are only in their browsers.
    pub(super) async fn note_ending(
        &self,
        name: &Digest,
        word: Word,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.carrier.is_none() {
            return Ok(());
        }
        if word == Word::Claimed && !self.claimed.admit_ending(name, now, self.longest) {
            return Ok(());
        }
        match &self.store {
            Store::Remote(remote, _) => remote.note_ending(name, now).await,
            Store::Memory { revoked: Some(revoked), .. } => {
                revoked.add_name(*name, now, self.longest)
            }
            Store::Memory { revoked: None, .. } => Ok(()),
        }
    }

    /// The same without remembering it: logins under way are left alone.
    pub async fn end_meant(
        &self,
        provider: &str,
        meant: Meant<'_>,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> EndedHere<Vec<Arc<SignedIn>>> {
        let name = meant.key(provider);
        if let Err(error) = self.settled().await {
            return (Vec::new(), Err(error));
        }
        let is_meant = |session: &Session| {
            index::names(session).any(|known| known == name)
                && issuer.is_none_or(|issuer| session.claims().text("iss") == Some(issuer))
        };
        match &self.store {
            Store::Remote(remote, _) => remote.end_named(&name, is_meant, now).await,
            Store::Memory { index, .. } => {
                let keys = index.find(&name).into_iter();
                let keys = keys.flat_map(|begins| self.table.beginning_with(begins));
                let (mut ended, mut told) = (Vec::new(), Ok(()));
                for key in keys {
                    let found = self.table.peek(&key);
                    if found.is_some_and(|found| is_meant(found.session())) {
                        let (one, is_told) = self.end_key(&key, now).await;
                        ended.extend(one);
                        told = told.and(is_told);
                    }
                }
                (ended, told)
            }
        }
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
        let state = Digest::of(state.expose().as_bytes());
        self.note_sign_out(SignOut::Here, &state, now).await
    }

    /// Whether a login has come to nothing: its member has signed out in the browser that it is of,
    /// or from the session that the browser had when it began, which nobody has any more.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn is_forgotten(
        &self,
        state: &Secret<String>,
        before: Option<&SessionId>,
    ) -> Result<bool, StoreError> {
        let state = Digest::of(state.expose().as_bytes());
        for key in std::iter::once(state).chain(before.map(Digest::of_id)) {
            if self.signed_out(SignOut::Here, &key).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the person of a session has signed out at the provider since its login began, or has
    /// been signed out by whoever runs this.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn signed_out_since(
        &self,
        begun: Timestamp,
        session: &Session,
    ) -> Result<bool, StoreError> {
        if begun <= self.everybody().await? {
            return Ok(true);
        }
        let names: Vec<Digest> = index::names_of_person(session).collect();
        for name in names {
            if self.signed_out(SignOut::There, &name).await?.is_some_and(|at| begun < at) {
                return Ok(true);
            }
        }
        Ok(false)
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
        self.spend(Once::LogoutToken, Self::logout_token(provider, id)).await
    }

    /// Takes the word of a logout token again that has just been spent and was not obeyed
    /// everywhere: its provider may send it once more.
    pub async fn give_back_logout_token(&self, provider: &str, id: &str) {
        self.give_back_spent(Once::LogoutToken, &Self::logout_token(provider, id)).await;
    }

    fn logout_token(provider: &str, id: &str) -> Digest {
        Digest::of(format!("{}\n{provider}\n{id}", provider.len()).as_bytes())
    }

    pub(super) async fn spend(&self, what: Once, key: Digest) -> Result<bool, StoreError> {
        self.settled().await?;
        match &self.store {
            Store::Memory { marks, .. } => Ok(marks.spend(what, key)),
            Store::Remote(remote, _) => remote.spend(what, &key).await,
        }
    }

    pub(super) async fn give_back_spent(&self, what: Once, key: &Digest) {
        match &self.store {
            Store::Memory { marks, .. } => marks.give_back(what, key),
            Store::Remote(remote, _) => remote.give_back_spent(key).await,
        }
    }

    pub(super) async fn note_sign_out(
        &self,
        who: SignOut,
        key: &Digest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory { marks, .. } => {
                marks.sign_out(who, *key, now);
                Ok(())
            }
            Store::Remote(remote, _) => remote.note_sign_out(who, key, now).await,
        }
    }

    async fn signed_out(
        &self,
        who: SignOut,
        key: &Digest,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.settled().await?;
        match &self.store {
            Store::Memory { marks, .. } => Ok(marks.signed_out(who, key)),
            Store::Remote(remote, _) => remote.signed_out(who, key).await,
        }
    }
}

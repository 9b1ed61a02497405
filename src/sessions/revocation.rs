//! Revocation, by whoever runs this: one session, all those of a member, those that came of one
//! session at a provider, everybody's. As with a sign-out, what was under way for those who are
//! meant becomes no session (OIDC-14), and what is open ends (SESS-10). Deliberately not here:
//! who may ask for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::index::{self, Index, Meant};
use super::marks::SignOut;
use super::{Digest, Sessions, SignedIn, Store, StoreError, Word, forgotten};
use crate::gate::{Session, Timestamp};

/// Whose sessions are to end.
#[derive(Clone, Copy, Debug)]
pub enum Revocation<'a> {
    /// The one that is known by this handle.
    Session(&'a str),
    /// All those of one member, by the key that the portal knows.
    Member(&'a str),
    /// Those that came of one session at a provider.
    Sid {
        /// Its name in the configuration.
        provider: &'a str,
        /// What it calls that session.
        sid: &'a str,
    },
    /// All those that began until then.
    Everybody {
        /// The last moment that counts; not in the future.
        until: Timestamp,
    },
}

/// Why nothing was revoked, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// Whoever signs in until then would be signed out again.
    #[error("the moment is in the future")]
    Future,
    /// The store could not be told of all. What was found is over here all the same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Between two pauses in which others have their turn.
const AT_ONCE: usize = 64;

impl Sessions {
    /// Ends sessions, on every node, and tells `ended` of each. How many there were is not known
    /// where another store forgets everybody at one stroke.
    ///
    /// Whoever calls this lets it come to its end: with very many sessions it takes a while.
    ///
    /// # Errors
    /// When the moment is in the future, or the store could not be told.
    pub async fn revoke(
        &self,
        what: Revocation<'_>,
        now: Timestamp,
        ended: impl Fn(&Session),
    ) -> Result<Option<usize>, RevokeError> {
        if !matches!(what, Revocation::Everybody { .. }) {
            // Whoever is on the way is meant, too.
            self.settled().await?;
        }
        // Where sessions are in their browsers, there may be more than are known here.
        let counted = |count| self.carrier.is_none().then_some(count);
        let count = match what {
            Revocation::Session(handle) => counted(self.revoke_handle(handle, now, ended).await?),
            Revocation::Member(key) => {
                let name = Meant::Member(key).key("");
                counted(self.revoke_person(&name, now, ended).await?)
            }
            Revocation::Sid { provider, sid } => {
                let name = Meant::Sid(sid).key(provider);
                counted(self.revoke_person(&name, now, ended).await?)
            }
            Revocation::Everybody { until } if until > now => return Err(RevokeError::Future),
            Revocation::Everybody { until } => match &self.store {
                Store::Memory { index, revoked, .. } => {
                    if let Some(revoked) = revoked {
                        revoked.add_everybody(until);
                    }
                    counted(self.end_everybody_here(index, until, ended).await)
                }
                Store::Remote(remote, _) => {
                    remote.end_everybody(until).await?;
                    None
                }
            },
        };
        Ok(count)
    }

    /// Until when whoever signed in has to do it anew.
    pub(super) async fn everybody(&self) -> Result<Timestamp, StoreError> {
        match &self.store {
            Store::Memory { .. } => {
                Ok(Timestamp::from_unix_millis(self.everybody.load(Ordering::Acquire)))
            }
            Store::Remote(remote, _) => remote.everybody_as_told().await,
        }
    }

    /// The keys of the sessions that may be called so, in order.
    pub(super) async fn keys_named(&self, name: &Digest) -> Result<Vec<Digest>, StoreError> {
        let mut keys: Vec<Digest> = match &self.store {
            Store::Memory { index, .. } => {
                let keys = index.find(name).into_iter();
                keys.flat_map(|begins| self.table.beginning_with(begins)).collect()
            }
            Store::Remote(remote, _) => remote.named(name).await?,
        };
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Some sessions as they are, without those that are over, for whoever only looks. Of sessions
    /// that are in their browsers, those that have been seen here.
    pub(super) async fn peek(
        &self,
        keys: &[Digest],
        now: Timestamp,
    ) -> Result<Vec<(Digest, Arc<SignedIn>)>, StoreError> {
        match &self.store {
            Store::Memory { revoked, .. } => {
                let peek = |key: &Digest| {
                    let found = self.table.peek(key);
                    let found = found.filter(|member| {
                        self.is_valid(member.session(), now)
                            && revoked.as_ref().is_none_or(|all| all.spare(key, member))
                    });
                    found.map(|member| (*key, member))
                };
                Ok(keys.iter().filter_map(peek).collect())
            }
            Store::Remote(remote, _) => remote.peek(keys, now).await,
        }
    }

    async fn revoke_handle(
        &self,
        handle: &str,
        now: Timestamp,
        ended: impl Fn(&Session),
    ) -> Result<usize, StoreError> {
        let name = Meant::Handle(handle).key("");
        let keys = self.keys_named(&name).await?;
        let mut noted = Ok(());
        for key in &keys {
            // First, so that a session which starts meanwhile in that browser sees it.
            noted = noted.and(self.note_sign_out(SignOut::Here, key, now).await);
        }
        let count = self.end_named(&name, &keys, now, ended).await;
        noted.and(count)
    }

    async fn revoke_person(
        &self,
        name: &Digest,
        now: Timestamp,
        ended: impl Fn(&Session),
    ) -> Result<usize, StoreError> {
        // First, so that a session which starts meanwhile sees it.
        let noted = self.note_sign_out(SignOut::There, name, now).await;
        let keys = self.keys_named(name).await?;
        let count = self.end_named(name, &keys, now, ended).await;
        noted.and(count)
    }

    /// Ends those of these sessions that are called so, all of them that can be found.
    async fn end_named(
        &self,
        name: &Digest,
        keys: &[Digest],
        now: Timestamp,
        ended: impl Fn(&Session),
    ) -> Result<usize, StoreError> {
        let is_meant = |session: &Session| index::names(session).any(|known| known == *name);
        let note = async || self.note_ending(name, Word::Proven, now).await;
        if let (Store::Remote(remote, _), Some(_)) = (&self.store, &self.carrier) {
            let noted = note().await;
            let (known, told) = remote.end_named(name, is_meant, now).await;
            known.iter().for_each(|member| ended(member.session()));
            return noted.and(told).map(|()| known.len());
        }
        let found = self.peek(keys, now).await?;
        let noted = note().await;
        let mut count = 0_usize;
        let mut told = Ok(());
        for (key, member) in found.iter().filter(|(_, member)| is_meant(member.session())) {
            let (known, is_told) = self.end_key(key, now).await;
            // Over it is, and if another store was not told yet, it will be.
            let will_be = is_told.is_err() && matches!(self.store, Store::Remote(..));
            if known.is_some() || will_be {
                count = count.saturating_add(1);
                ended(member.session());
            }
            told = told.and(is_told);
        }
        noted.and(told).map(|()| count)
    }

    /// Nobody is let in any more from the first moment on; what follows frees the room and tells of
    /// each, those first in whose name something is open.
    async fn end_everybody_here(
        &self,
        index: &Index,
        until: Timestamp,
        ended: impl Fn(&Session),
    ) -> usize {
        self.everybody.fetch_max(until.unix_millis(), Ordering::AcqRel);
        let end = |key: &Digest| {
            let began = self.table.peek(key).map(|member| member.session().started());
            // An id has one session, which does not begin anew.
            let is_meant = began.is_some_and(|began| began <= until);
            let gone = is_meant.then(|| forgotten(index, self.table.remove(key)?)).flatten();
            gone.map(|member| ended(member.session())).is_some()
        };
        let mut count = self.watched.all().iter().filter(|key| end(key)).count();
        for part in self.table.parts() {
            let keys = self.table.keys(part);
            for some in keys.chunks(AT_ONCE) {
                count = count.saturating_add(some.iter().filter(|key| end(key)).count());
                tokio::task::yield_now().await;
            }
        }
        count
    }
}

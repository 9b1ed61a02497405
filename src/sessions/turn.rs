//! A session becomes another state of itself, when the provider has said something else of its
//! member: by one at a time, on all nodes (OIDC-13). Deliberately not here: asking the provider.

use std::sync::Arc;

use super::{Digest, Here, Lease, Sessions, SignedIn, Store, StoreError};
use crate::gate::{Session, SessionId, Timestamp};

/// Whose turn it is to ask the provider about a member (OIDC-13).
#[derive(Debug)]
pub enum Turn {
    /// Ours, with what is known now.
    Ours(Lease, Arc<SignedIn>),
    /// Another node has just done it.
    Done(Arc<SignedIn>),
    /// The session is over.
    Over,
}

impl Sessions {
    /// Waits until it is our turn to ask the provider about a member, among all nodes.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn turn(
        &self,
        id: &SessionId,
        is_done: impl Fn(&SignedIn) -> bool,
        now: Timestamp,
    ) -> Result<Turn, StoreError> {
        self.still_here()?;
        match &self.store {
            Store::Remote(remote, _) => remote.turn(&Digest::of_id(id), is_done, now).await,
            Store::Memory { .. } => Ok(match self.here(id, now) {
                Here::Member(member) if is_done(&member) => Turn::Done(member),
                Here::Member(member) => Turn::Ours(Lease::new(&self.leases)?, member),
                Here::Nobody | Here::Ask => Turn::Over,
            }),
        }
    }

    /// Keeps the turn while something is done.
    pub async fn during<T>(
        &self,
        id: &SessionId,
        lease: &Lease,
        doing: impl Future<Output = T>,
    ) -> T {
        match &self.store {
            Store::Remote(remote, _) => remote.during(&Digest::of_id(id), lease, doing).await,
            Store::Memory { .. } => doing.await,
        }
    }

    /// Gives the turn back.
    pub async fn give_back(&self, id: &SessionId, lease: &Lease) {
        match &self.store {
            Store::Remote(remote, _) => remote.give_back(&Digest::of_id(id), lease).await,
            Store::Memory { .. } => {}
        }
    }

    /// Puts a session in the place of an earlier state of it, whose turn is ours; `None` if that is
    /// not there any more: a sign-out wins over a refresh under way (OIDC-14).
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn renew(
        &self,
        id: &SessionId,
        lease: &Lease,
        earlier: &Arc<SignedIn>,
        session: Session,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let key = Digest::of_id(id);
        match &self.store {
            Store::Remote(remote, _) => remote.renew(&key, lease, earlier, session, now).await,
            Store::Memory { .. } => {
                if let Some(carrier) = &self.carrier {
                    carrier.seal(id, &session)?;
                }
                let record = session.to_record();
                let next = Arc::new(earlier.renewed(session));
                let is_done = self.table.replace(&key, earlier, &next, record.expose());
                Ok(is_done.then_some(next))
            }
        }
    }
}

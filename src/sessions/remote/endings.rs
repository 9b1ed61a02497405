//! Where sessions are in their browsers and the store has what was ended: a session that is shown
//! is one as long as no ending is found for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::Remote;
use crate::gate::{Session, Timestamp};
use crate::sessions::copies::CHANGED;
use crate::sessions::{Digest, SignedIn, StoreError, index};

impl Remote {
    /// What the store says of a session that its browser has shown.
    pub(super) async fn look_for_endings(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let Some(found) = self.known.table.find(key) else {
            return Ok(None);
        };
        let session = found.signed_in.session();
        let said = self.heard.endings.load(Ordering::Acquire);
        let reader = self.heard.copies.read(*key);
        let is_over = !self.is_valid(session, now) || self.is_owed(key);
        if is_over || self.is_ended(key, session).await? {
            reader.keep(|_| self.known.forget(key));
            return Ok(None);
        }
        reader.keep(|epoch| {
            let is_quiet = self.heard.endings.load(Ordering::Acquire) == said;
            self.known.table.trust(key, if is_quiet { epoch } else { CHANGED });
        });
        Ok(Some(found.signed_in))
    }

    /// Whether it was ended, by itself or by any of its names. All are asked for at once.
    pub(super) async fn is_ended(
        &self,
        key: &Digest,
        session: &Session,
    ) -> Result<bool, StoreError> {
        let mut asked = JoinSet::new();
        for name in index::endings(session).into_iter().chain([*key]) {
            let redis = self.redis.clone();
            asked.spawn(async move { (name, redis.ended(&name).await) });
        }
        let mut is_ended = false;
        while let Some(answered) = asked.join_next().await {
            let (name, until) = answered.map_err(|_| StoreError::Unavailable)?;
            // The one whose key it is may be younger than its ending by another clock.
            is_ended |= until?.is_some_and(|until| name == *key || session.started() <= until);
        }
        Ok(is_ended)
    }
}

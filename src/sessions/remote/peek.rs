//! A look at the sessions of others, for whoever lists them: it keeps nothing, and makes nothing
//! certain.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Remote;
use crate::gate::{Session, Timestamp};
use crate::sessions::{Digest, SignedIn, StoreError};

/// How many sessions are asked for together by whoever lists them.
const AT_ONCE: usize = 50;

impl Remote {
    /// What one of the store's nodes is called; `None` if there are fewer.
    pub(in crate::sessions) fn node(&self, number: usize) -> Result<Option<String>, StoreError> {
        self.redis.link().node(number)
    }

    /// About `count` names of one node, for whoever lists sessions, and where to go on, which is
    /// zero at the end; `None` if there is no such node.
    pub(in crate::sessions) async fn scan(
        &self,
        node: usize,
        cursor: u64,
        count: usize,
    ) -> Result<Option<(u64, Vec<Digest>)>, StoreError> {
        self.redis.scan(node, cursor, count).await
    }

    /// What the store says of some sessions, for whoever only looks: no copy is kept, which would
    /// push out those in use. Without those that are over.
    pub(in crate::sessions) async fn peek(
        &self,
        keys: &[Digest],
        now: Timestamp,
    ) -> Result<Vec<(Digest, Arc<SignedIn>)>, StoreError> {
        self.learn_everybody().await?;
        let mut found = Vec::new();
        if self.known.endings.is_some() {
            for key in keys {
                found.extend(self.peek_carried(key, now).await?.map(|member| (*key, member)));
            }
            return Ok(found);
        }
        for some in keys.chunks(AT_ONCE) {
            let mut asking = JoinSet::new();
            for key in some {
                let (redis, key) = (self.redis.clone(), *key);
                asking.spawn(async move { (key, redis.peek(&key).await) });
            }
            while let Some(asked) = asking.join_next().await {
                let (key, peeked) = asked.map_err(|_| StoreError::Unavailable)?;
                let peeked =
                    peeked?.and_then(|(record, used)| self.peeked(&key, &record, used, now));
                found.extend(peeked.map(|member| (key, member)));
            }
        }
        Ok(found)
    }

    fn peeked(
        &self,
        key: &Digest,
        record: &[u8],
        used: Timestamp,
        now: Timestamp,
    ) -> Option<Arc<SignedIn>> {
        let session = Session::from_record(record)?;
        session.touch(used);
        if let Some(known) = self.known.table.peek(key) {
            session.touch(known.session().last_used());
        }
        let is_live = self.is_valid(&session, now) && self.is_ours.include(&session);
        (is_live && !self.is_owed(key)).then(|| Arc::new(SignedIn::new(session)))
    }

    /// Of sessions that are in their browsers, what has been seen here.
    async fn peek_carried(
        &self,
        key: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedIn>>, StoreError> {
        if let Some(member) = self.certain(key, now) {
            return Ok(Some(member));
        }
        let known = self.known.table.peek(key);
        let Some(member) = known.filter(|known| self.is_valid(known.session(), now)) else {
            return Ok(None);
        };
        let is_over = self.is_owed(key) || self.is_ended(key, member.session()).await?;
        Ok((!is_over).then_some(member))
    }

    /// The sessions of a name, some of which may be over.
    pub(in crate::sessions) async fn named(
        &self,
        name: &Digest,
    ) -> Result<Vec<Digest>, StoreError> {
        match &self.known.endings {
            Some(index) => {
                let named = index.find(name).into_iter();
                Ok(named.flat_map(|begins| self.known.table.beginning_with(begins)).collect())
            }
            None => self.redis.named(name).await,
        }
    }
}

//! The sessions that this process knows, by the digests of their ids: the one table that every
//! request touches.
//!
//! Many small tables, each behind a lock of its own that is held for a look or a change and never
//! while something is read, decoded or dropped. A session that somebody uses is *warm*: read,
//! with its headers rendered, and finding it is a look and a count of references. One that nobody
//! has used for a while is *cold*: its record alone, some hundred bytes beside its claims
//! (`entry`). Housekeeping goes round beside the requests: it looks for what is old while others
//! look, and changes a few at a time.
//!
//! Measured (`cargo bench --bench sessions`) against `moka`, which does its housekeeping in
//! whoever calls it: among a million a look takes a third of the time, and nobody is held up by
//! what expires. Deliberately not here: names of sessions other than their id (`index`).

mod entry;
mod shard;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::hash_table::Entry as Place;

pub(super) use self::entry::Gone;
use self::entry::{Entry, Kept};
use self::shard::Shard;
use super::copies::CHANGED;
use super::{Digest, SignedIn};
use crate::gate::{Session, Timestamp};

/// How many small tables there are.
const SHARDS: usize = 1024;
/// How many sessions are changed at a time.
const FEW: usize = 32;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<RwLock<Shard>>,
    count: AtomicU64,
    /// What is in use stays: another store says whether it is over.
    has_copies: bool,
}

/// A session that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) signed_in: Arc<SignedIn>,
    /// Which time of the store it was read at.
    pub(super) epoch: u32,
}

/// How a session was found.
enum Look {
    Warm(Found),
    Cold(Kept, u32),
}

impl Table {
    /// An empty one, of sessions or of copies.
    pub(super) fn new(has_copies: bool) -> Self {
        let shards = std::iter::repeat_with(RwLock::default).take(SHARDS).collect();
        Self { shards, count: AtomicU64::new(0), has_copies }
    }

    /// The session of this key, over or not; it is warm from now on.
    pub(super) fn find(&self, key: &Digest) -> Option<Found> {
        loop {
            match self.look(key)? {
                Look::Warm(found) => return Some(found),
                Look::Cold(kept, _) => self.warm_up(key, &kept)?,
            }
        }
    }

    /// The session of this key, over or not, for whoever only looks: a cold one stays cold.
    pub(super) fn peek(&self, key: &Digest) -> Option<Arc<SignedIn>> {
        self.peek_found(key).map(|found| found.signed_in)
    }

    /// The same, and which time of the store it was read at.
    pub(super) fn peek_found(&self, key: &Digest) -> Option<Found> {
        match self.look(key)? {
            Look::Warm(found) => Some(found),
            Look::Cold(kept, epoch) => {
                Some(Found { signed_in: Arc::new(SignedIn::new(kept.read()?)), epoch })
            }
        }
    }

    fn look(&self, key: &Digest) -> Option<Look> {
        let shard = self.read(key);
        let entry = shard.find(key)?;
        Some(match &entry.warm {
            Some(warm) => Look::Warm(Found { signed_in: Arc::clone(warm), epoch: entry.epoch }),
            None => Look::Cold(entry.kept.clone(), entry.epoch),
        })
    }

    /// Reads what was found cold, unless another was quicker, or has put something else there.
    fn warm_up(&self, key: &Digest, kept: &Kept) -> Option<()> {
        let signed_in = Arc::new(SignedIn::new(kept.read()?));
        let mut shard = self.write(key);
        let entry = shard.find_mut(key)?;
        if entry.warm.is_none() && entry.kept == *kept {
            entry.warm = Some(signed_in);
        }
        Some(())
    }

    /// Whether there is a session of this key, over or not.
    pub(super) fn contains(&self, key: &Digest) -> bool {
        self.read(key).find(key).is_some()
    }

    /// Puts a session there, in the place of any other.
    pub(super) fn put(&self, key: Digest, signed_in: Arc<SignedIn>, record: &[u8], epoch: u32) {
        self.insert(Entry::warm(key, signed_in, record, epoch));
    }

    fn insert(&self, entry: Entry) {
        let key = entry.key;
        let earlier = match self.write(&key).place(&key) {
            Place::Occupied(mut known) => Some(std::mem::replace(known.get_mut(), entry)),
            Place::Vacant(free) => {
                free.insert(entry);
                None
            }
        };
        if earlier.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Puts a session there that nobody uses yet, as its record.
    pub(super) fn put_cold(&self, key: Digest, session: &Session, record: &[u8]) {
        self.insert(Entry::cold(key, session, record));
    }

    /// What a store says of a session, as of an epoch: what is known here already stays as it is
    /// read.
    pub(super) fn confirm(
        &self,
        key: &Digest,
        session: Session,
        record: &[u8],
        epoch: u32,
    ) -> Arc<SignedIn> {
        let known = self.find(key);
        {
            let mut shard = self.write(key);
            if let Some(entry) = shard.find_mut(key).filter(|entry| entry.kept.record() == record)
                && let Some(warm) = &entry.warm
            {
                entry.epoch = epoch;
                warm.session().touch(session.last_used());
                return Arc::clone(warm);
            }
        }
        let next = match known {
            Some(Found { signed_in, .. }) => {
                session.touch(signed_in.session().last_used());
                signed_in.renewed(session)
            }
            None => SignedIn::new(session),
        };
        let next = Arc::new(next);
        self.put(*key, Arc::clone(&next), record, epoch);
        next
    }

    /// Whether somebody has used a session lately.
    pub(super) fn is_warm(&self, key: &Digest) -> bool {
        let shard = self.read(key);
        shard.find(key).is_some_and(|entry| entry.warm.is_some())
    }

    /// Those that somebody has used lately.
    pub(super) fn warm(&self) -> impl Iterator<Item = Digest> {
        self.parts().flat_map(|part| {
            let part = self.read_part(part);
            let warm = part.iter().filter(|entry| entry.warm.is_some());
            warm.map(|entry| entry.key).collect::<Vec<_>>()
        })
    }

    /// What is known here of a session is certain in this epoch.
    pub(super) fn trust(&self, key: &Digest, epoch: u32) {
        if let Some(entry) = self.write(key).find_mut(key) {
            entry.epoch = epoch;
        }
    }

    /// What is known here of a session is not certain any more.
    pub(super) fn doubt(&self, key: &Digest) {
        self.trust(key, CHANGED);
    }

    /// Puts `next` in the place of `earlier`; `false` if that is not what is there.
    pub(super) fn replace(
        &self,
        key: &Digest,
        earlier: &Arc<SignedIn>,
        next: &Arc<SignedIn>,
        record: &[u8],
    ) -> bool {
        self.put_if(key, Some(earlier), next, record, None)
    }

    /// Puts `next` there, certain in no epoch, if what is there is still `earlier`, or nothing as
    /// before. Of two who bring the same session at one moment, the other looks again and finds the
    /// first one's.
    pub(super) fn admit(
        &self,
        key: &Digest,
        earlier: Option<&Arc<SignedIn>>,
        next: &Arc<SignedIn>,
        record: &[u8],
    ) -> bool {
        self.put_if(key, earlier, next, record, Some(CHANGED))
    }

    /// In one step; without an epoch it stays what it was.
    fn put_if(
        &self,
        key: &Digest,
        earlier: Option<&Arc<SignedIn>>,
        next: &Arc<SignedIn>,
        record: &[u8],
        epoch: Option<u32>,
    ) -> bool {
        let mut entry = Entry::warm(*key, Arc::clone(next), record, epoch.unwrap_or(CHANGED));
        let mut shard = self.write(key);
        let replaced = match shard.place(key) {
            Place::Occupied(mut known) => {
                let known = known.get_mut();
                let is_earlier = match (&known.warm, earlier) {
                    (Some(warm), Some(earlier)) => Arc::ptr_eq(warm, earlier),
                    // A record that cannot be read is found by nobody.
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                if !is_earlier {
                    return false;
                }
                entry.epoch = epoch.unwrap_or(known.epoch);
                Some(std::mem::replace(known, entry))
            }
            Place::Vacant(free) if earlier.is_none() => {
                free.insert(entry);
                None
            }
            Place::Vacant(_) => return false,
        };
        drop(shard);
        // It is dropped now that nobody is kept out.
        if replaced.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Takes a session out.
    pub(super) fn remove(&self, key: &Digest) -> Option<Gone> {
        let taken = self.write(key).taken(key).map(|entry| entry.remove().0)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(taken.gone())
    }

    /// The keys that begin like this; mostly one.
    pub(super) fn beginning_with(&self, first_eight: u64) -> Vec<Digest> {
        let shard = self.shard(first_eight).read().unwrap_or_else(PoisonError::into_inner);
        shard.beginning_with(first_eight).map(|entry| entry.key).collect()
    }

    /// How many sessions there are, over or not.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Takes out what is over, and cools what nobody uses, in one of the [`Table::parts`]. It looks
    /// while others look, and changes a few at a time.
    pub(super) fn tidy(&self, part: usize, now: Timestamp) -> Vec<Gone> {
        let old: Vec<Digest> = {
            let shard = self.read_part(part);
            let old = shard.iter().filter(|entry| entry.is_over(now) || entry.is_unused(now));
            old.map(|entry| entry.key).collect()
        };
        let mut gone = Vec::with_capacity(old.len());
        // Their room is there before anybody is kept out.
        let mut over = Vec::with_capacity(FEW);
        let mut cooled = Vec::with_capacity(FEW);
        for few in old.chunks(FEW) {
            let mut shard = self.write_part(part);
            for key in few {
                let Some(mut found) = shard.taken(key) else {
                    continue;
                };
                let entry = found.get_mut();
                if entry.is_over(now) && !(self.has_copies && entry.is_in_hand()) {
                    over.push(found.remove().0);
                } else {
                    cooled.extend(entry.cool(now));
                }
            }
            drop(shard);
            cooled.clear();
            gone.extend(over.drain(..).map(Entry::gone));
        }
        self.count.fetch_sub(gone.len() as u64, Ordering::Relaxed);
        gone
    }

    /// Takes out the least recently used, until there are no more than `most`.
    pub(super) fn shrink(&self, most: u64) -> Vec<Gone> {
        let Ok(beyond) = usize::try_from(self.count().saturating_sub(most)) else {
            return Vec::new();
        };
        if beyond == 0 {
            return Vec::new();
        }
        let mut used = Vec::new();
        for part in self.parts() {
            let part = self.read_part(part);
            let goes = part.iter().filter(|entry| !self.has_copies || !entry.is_in_hand());
            used.extend(goes.map(|entry| (entry.last_used(), entry.key)));
        }
        if used.is_empty() {
            return Vec::new();
        }
        let last = beyond.min(used.len()).saturating_sub(1);
        let (oldest, at, _) = used.select_nth_unstable(last);
        let keys = oldest.iter().chain([&*at]).map(|(_, key)| *key);
        keys.filter_map(|key| self.remove(&key)).collect()
    }

    /// All parts, for whoever goes through the table.
    pub(super) fn parts(&self) -> std::ops::Range<usize> {
        0..self.shards.len()
    }

    /// The keys of one part, in order.
    pub(super) fn keys(&self, part: usize) -> Vec<Digest> {
        let mut keys: Vec<Digest> = self.read_part(part).iter().map(|entry| entry.key).collect();
        keys.sort_unstable();
        keys
    }

    /// The records of one part, as they are now.
    pub(super) fn records(&self, part: usize) -> Vec<(Digest, Box<[u8]>, Timestamp)> {
        let shard = self.read_part(part);
        let record = |entry: &Entry| (entry.key, entry.kept.record().into(), entry.last_used());
        shard.iter().map(record).collect()
    }

    fn shard(&self, first_eight: u64) -> &RwLock<Shard> {
        // The table inside looks at both ends of the number, so this one looks at its middle.
        let index = (first_eight >> 24) as usize & (SHARDS - 1);
        self.part(index)
    }

    fn part(&self, index: usize) -> &RwLock<Shard> {
        self.shards.get(index).expect("there are as many as an index can name")
    }

    fn read_part(&self, part: usize) -> RwLockReadGuard<'_, Shard> {
        self.part(part).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_part(&self, part: usize) -> RwLockWriteGuard<'_, Shard> {
        self.part(part).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, key: &Digest) -> RwLockReadGuard<'_, Shard> {
        self.shard(key.first_eight()).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &Digest) -> RwLockWriteGuard<'_, Shard> {
        self.shard(key.first_eight()).write().unwrap_or_else(PoisonError::into_inner)
    }
}

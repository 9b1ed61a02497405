//! Which of the sessions that this process knows are certain, where a store has the truth
//! (SESS-08).
//!
//! A copy is certain as long as the connection that it was read over lives and has said nothing
//! of it. Time is counted in *epochs*, an odd one while the store is heard and an even one while
//! it is not: a copy is certain in the epoch that it was read in, and when the connection is lost
//! all of them cease to be at once, by one number. What is known to have changed is not even used
//! for want of better; what was certain until the loss is, within a bounded grace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Digest, Hearing};
use crate::gate::Timestamp;

/// Of a copy that is known to have changed. No time is this one.
pub(super) const CHANGED: u32 = 0;

/// What is certain.
#[derive(Debug, Default)]
pub(super) struct Copies {
    epoch: AtomicU32,
    /// The last epoch in which the store was heard.
    before: AtomicU32,
    /// Unix milliseconds.
    lost: AtomicI64,
    reading: Mutex<HashMap<Digest, Reading>>,
}

/// A key that is being read: what is said of it meanwhile counts for what will be read.
#[derive(Debug, Default)]
struct Reading {
    by: usize,
    has_changed: bool,
}

/// One who reads a key.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    copies: &'a Copies,
    key: Digest,
    epoch: u32,
}

impl Copies {
    /// Whether a copy of this epoch is certain.
    pub(super) fn are_certain(&self, epoch: u32) -> bool {
        self.epoch.load(Ordering::Acquire) == epoch
    }

    /// Whether a copy of this epoch may be used while the store cannot be asked.
    pub(super) fn may_do(&self, epoch: u32, grace: Duration, now: Timestamp) -> bool {
        if epoch == CHANGED || grace.is_zero() {
            return false;
        }
        let current = self.epoch.load(Ordering::Acquire);
        // A store that gives no answer and has not been given up yet.
        if current == epoch {
            return true;
        }
        let is_lost = current.is_multiple_of(2);
        let lost = Timestamp::from_unix_millis(self.lost.load(Ordering::Acquire));
        is_lost && self.before.load(Ordering::Acquire) == epoch && now < lost.after(grace)
    }

    /// Whether the store is heard.
    pub(super) fn hearing(&self, grace: Duration, now: Timestamp) -> Hearing {
        match self.epoch.load(Ordering::Acquire) {
            0 => Hearing::Never,
            epoch if !epoch.is_multiple_of(2) => Hearing::Heard,
            _ => {
                let since = Timestamp::from_unix_millis(self.lost.load(Ordering::Acquire));
                Hearing::Lost { since, left: grace.saturating_sub(now.since(since)) }
            }
        }
    }

    /// The store is heard from now on.
    pub(super) fn up(&self) {
        let next = |epoch: u32| Some(if epoch.is_multiple_of(2) { epoch + 1 } else { epoch + 2 });
        let _ = self.epoch.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// It is not heard any more.
    pub(super) fn down(&self, now: Timestamp) {
        let epoch = self.epoch.load(Ordering::Acquire);
        if epoch % 2 == 1 {
            self.lost.store(now.unix_millis(), Ordering::Release);
            self.before.store(epoch, Ordering::Release);
            let _ =
                self.epoch.compare_exchange(epoch, epoch + 1, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// All has changed, and it is heard.
    pub(super) fn all_changed(&self) {
        let next = |epoch: u32| (epoch % 2 == 1).then_some(epoch + 2);
        let _ = self.epoch.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Something is said of a key: what is being read of it may be older. `note` runs before
    /// anything of what is being read is kept.
    pub(super) fn changed(&self, key: &Digest, note: impl FnOnce()) {
        let mut reading = self.lock();
        if let Some(reading) = reading.get_mut(key) {
            reading.has_changed = true;
        }
        note();
    }

    /// Begins to read a key.
    pub(super) fn read(&self, key: Digest) -> Reader<'_> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let mut reading = self.lock();
        let reading = reading.entry(key).or_default();
        reading.by += 1;
        Reader { copies: self, key, epoch }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// What was read may be kept: `keep` is told the epoch in which it is certain, [`CHANGED`] if
    /// in none.
    pub(super) fn keep<T>(&self, keep: impl FnOnce(u32) -> T) -> T {
        let reading = self.copies.lock();
        let has_changed = reading.get(&self.key).is_none_or(|reading| reading.has_changed);
        let is_heard = self.epoch % 2 == 1 && self.copies.are_certain(self.epoch);
        keep(if is_heard && !has_changed { self.epoch } else { CHANGED })
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut reading) = self.copies.lock().entry(self.key) {
            reading.get_mut().by -= 1;
            if reading.get().by == 0 {
                reading.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const GRACE: Duration = Duration::from_secs(30);

    fn read(copies: &Copies) -> u32 {
        copies.read(Digest::of(b"k")).keep(|epoch| epoch)
    }

    #[test]
    fn sess_08_copies_are_certain_until_the_connection_is_lost() {
        let copies = Copies::default();
        assert_eq!(read(&copies), CHANGED, "before it was ever heard");
        copies.up();
        let epoch = read(&copies);
        assert!(copies.are_certain(epoch) && epoch != CHANGED);
        copies.down(NOON);
        assert!(!copies.are_certain(epoch));
        assert!(copies.may_do(epoch, GRACE, NOON), "for want of better");
        assert!(!copies.may_do(epoch, GRACE, NOON.after(GRACE)), "and within a bound");
        assert!(!copies.may_do(epoch, Duration::ZERO, NOON));
        assert!(!copies.may_do(CHANGED, GRACE, NOON));
        assert_eq!(read(&copies), CHANGED);
        copies.down(NOON.after(GRACE));
        assert!(!copies.may_do(epoch, GRACE, NOON.after(GRACE)), "a loss is lost once");
        copies.up();
        assert!(!copies.are_certain(epoch));
        assert!(!copies.may_do(epoch, GRACE, NOON), "now it can be asked");
        copies.down(NOON);
        assert!(!copies.may_do(epoch, GRACE, NOON), "it was not heard of until this loss");
    }

    #[test]
    fn sess_08_what_is_said_while_a_key_is_read_counts() {
        let copies = Copies::default();
        copies.up();
        let key = Digest::of(b"k");
        let (one, other) = (copies.read(key), copies.read(key));
        copies.changed(&Digest::of(b"other"), || {});
        assert_ne!(one.keep(|epoch| epoch), CHANGED);
        copies.changed(&key, || {});
        assert_eq!((one.keep(|epoch| epoch), other.keep(|epoch| epoch)), (CHANGED, CHANGED));
        drop((one, other));
        assert_ne!(read(&copies), CHANGED);
        let lost = copies.read(key);
        copies.down(NOON);
        copies.up();
        assert_eq!(lost.keep(|epoch| epoch), CHANGED, "it was read over another connection");
        let flushed = copies.read(key);
        copies.all_changed();
        assert_eq!(flushed.keep(|epoch| epoch), CHANGED);
        assert!(copies.lock().len() <= 2);
    }
}

//! Sessions that are over here of which the store could not be told yet: it is told when it is
//! back.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::Remote;
use crate::sessions::Digest;

/// How many sessions may be over here of which the store has not been told.
const MOST_OWED: usize = 100_000;
/// How often a store that is back is told of them.
const SETTLE: Duration = Duration::from_millis(200);

impl Remote {
    pub(super) fn is_owed(&self, key: &Digest) -> bool {
        self.owes.load(Ordering::Acquire) > 0 && self.owing().contains(key)
    }

    pub(super) fn owe(&self, key: &Digest) {
        let mut owed = self.owing();
        if owed.len() < MOST_OWED {
            owed.insert(*key);
            self.owes.store(owed.len(), Ordering::Release);
        }
    }

    pub(super) fn paid(&self, key: &Digest) {
        let mut owed = self.owing();
        owed.remove(key);
        self.owes.store(owed.len(), Ordering::Release);
    }

    pub(super) fn owing(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn settle(&self) {
        loop {
            sleep(SETTLE).await;
            if self.owed() == 0 || !self.is_up() {
                continue;
            }
            let owed: Vec<Digest> = self.owing().iter().copied().collect();
            for key in owed {
                if self.take_away(&key, self.clock.now()).await.is_err() {
                    break;
                }
                self.paid(&key);
            }
        }
    }
}

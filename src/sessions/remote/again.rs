//! What somebody has used a moment ago and is not certain any more is read again, beside the
//! requests: so the next request finds it certain, and a store that is lost just then finds who
//! is there known.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::Remote;
use crate::sessions::Digest;
use crate::sessions::together::together;

/// How many sessions wait to be read again; who is beyond is read when they come.
const MOST: usize = 10_000;

/// The sessions that wait.
#[derive(Debug, Default)]
pub(super) struct Again {
    keys: Mutex<HashSet<Digest>>,
    told: Notify,
}

impl Again {
    /// These are to be read again.
    pub(super) fn add(&self, keys: impl IntoIterator<Item = Digest>) {
        let mut waiting = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(waiting.len());
        waiting.extend(keys.into_iter().take(room));
        drop(waiting);
        self.told.notify_one();
    }

    async fn next(&self) -> HashSet<Digest> {
        self.told.notified().await;
        std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Remote {
    /// Reads them, several at once.
    pub(super) async fn read_again(&self) {
        loop {
            let keys = self.heard.again.next().await;
            let has_failed = &AtomicBool::new(self.learn_everybody().await.is_err());
            // When it is back, all are told again.
            let keys = keys.into_iter().take_while(|_| !has_failed.load(Ordering::Relaxed));
            let read = |key| async move {
                if self.look(&key, self.clock.now()).await.is_err() {
                    has_failed.store(true, Ordering::Relaxed);
                }
            };
            together(keys, read).await;
        }
    }
}

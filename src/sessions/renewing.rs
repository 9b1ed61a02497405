//! Asking the provider again about a member: by one at a time, and not at once after a failure
//! (OIDC-13). Deliberately not here: asking, which `server` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::gate::Timestamp;

/// For how long a failure keeps everybody from asking again.
const PAUSE: Duration = Duration::from_secs(30);

/// Who asks the provider again, and when.
#[derive(Debug, Default)]
pub struct Renewing {
    turn: Arc<Mutex<()>>,
    /// Unix milliseconds; before then nobody asks.
    not_before: AtomicI64,
}

impl Renewing {
    /// Whether it is too soon after a failure.
    #[must_use]
    pub fn is_pausing(&self, now: Timestamp) -> bool {
        now.unix_millis() < self.not_before.load(Ordering::Relaxed)
    }

    /// The provider could not be asked, or said nothing of use.
    pub fn pause(&self, now: Timestamp) {
        self.not_before.store(now.after(PAUSE).unix_millis(), Ordering::Relaxed);
    }

    /// Waits until nobody else asks. Whoever leaves meanwhile makes way for the next.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}

//! Sessions that are on their way: from a snapshot that is being read, or in a store that has not
//! been reached yet. Who asks for one meanwhile waits for a moment and is never told that it is
//! nobody's (GEN-03).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::StoreError;

/// For how long a request waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether what there is of sessions has come.
#[derive(Debug)]
pub(super) struct Arriving {
    is_over: AtomicBool,
    /// The same, for those who wait.
    told: watch::Sender<bool>,
    patience: Duration,
}

impl Arriving {
    /// Nothing has come yet; or there is nothing to wait for.
    pub(super) fn new(is_over: bool) -> Self {
        Self {
            is_over: AtomicBool::new(is_over),
            told: watch::Sender::new(is_over),
            patience: PATIENCE,
        }
    }

    /// The same, for those who have no time to wait.
    #[cfg(test)]
    pub(super) fn impatient(self) -> Self {
        Self { patience: Duration::from_millis(1), ..self }
    }

    /// Whether it has come. Reading it writes nothing.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// It has come.
    pub(super) fn tell(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.told.send_replace(true);
        }
    }

    /// Waits until it has.
    pub(super) async fn wait(&self) {
        if !self.is_over() {
            // Who tells is here as long as this is.
            let _ = self.told.subscribe().wait_for(|is_over| *is_over).await;
        }
    }

    /// Waits for a moment.
    ///
    /// # Errors
    /// When it has not come by then.
    pub(super) async fn wait_a_moment(&self) -> Result<(), StoreError> {
        if self.is_over() {
            return Ok(());
        }
        timeout(self.patience, self.wait()).await.map_err(|_| StoreError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gen_03_who_waits_is_told_in_time_or_that_nobody_knows() {
        let impatient = Arriving::new(false).impatient();
        assert_eq!(impatient.wait_a_moment().await, Err(StoreError::Unavailable));
        let arriving = Arriving::new(false);
        let (waited, ()) = tokio::join!(arriving.wait_a_moment(), async { arriving.tell() });
        assert_eq!(waited, Ok(()));
        assert_eq!(arriving.wait_a_moment().await, Ok(()), "and from then on nobody waits");
        Arriving::new(true).wait().await;
    }
}

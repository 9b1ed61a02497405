//! One sign-in of a member at a time in this process: of two that come at once, the second finds
//! what the first has made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout_at;

use super::error::DirectoryError;
use super::patience::Patience;

/// How many turns are kept before those are forgotten that nobody waits for.
const TIDY_AT: usize = 256;

/// Whose turn it is, by member key.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits until nobody else of this key is at it. It is given back by dropping it, and so also
    /// when a visitor leaves.
    pub(super) async fn take(
        &self,
        key: &str,
        patience: &Patience,
    ) -> Result<OwnedMutexGuard<()>, DirectoryError> {
        let taken = timeout_at(patience.deadline(), self.turn(key).lock_owned()).await;
        taken.map_err(|_| DirectoryError::Turn(patience.total()))
    }

    fn turn(&self, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= TIDY_AT {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn one_of_a_key_is_at_it_and_others_of_other_keys() {
        let turns = Turns::default();
        let patience = Patience::new(Duration::from_millis(20));
        let first = turns.take("a", &patience).await.unwrap();
        let other = turns.take("b", &patience).await.unwrap();
        let late = turns.take("a", &patience).await.unwrap_err();
        assert_eq!(late.code(), "directory-unavailable");
        drop((first, other));
        assert!(turns.take("a", &Patience::new(Duration::from_secs(5))).await.is_ok());
    }

    #[tokio::test]
    async fn turns_that_nobody_waits_for_are_forgotten() {
        let turns = Turns::default();
        let patience = Patience::new(Duration::from_secs(20));
        for number in 0..TIDY_AT * 4 {
            drop(turns.take(&number.to_string(), &patience).await.unwrap());
        }
        assert!(turns.0.lock().unwrap().len() <= TIDY_AT);
    }
}

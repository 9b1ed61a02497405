//! How long one sign-in waits for a directory: one deadline for everything, a share of it for each
//! try, and pauses between tries that grow and are never quite the same.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause before the first other try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest, where the directory does not ask for another.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often one sign-in calls at most.
const MOST_PAUSES: u32 = 8;
/// Which part of all time one try may take: one that hangs leaves room for others.
const SHARE: u32 = 3;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Patience {
    total: Duration,
    deadline: Instant,
    pause: Duration,
    pauses: u32,
}

impl Patience {
    pub(super) fn new(total: Duration) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(total).unwrap_or(now);
        Self { total, deadline, pause: FIRST_PAUSE, pauses: 0 }
    }

    pub(super) const fn total(&self) -> Duration {
        self.total
    }

    /// When everything has to be over.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When a try that begins now has to be over, if it may be made again.
    pub(super) fn end_of_try(&self) -> Instant {
        let share = Instant::now().checked_add(self.total / SHARE);
        share.map_or(self.deadline, |share| share.min(self.deadline))
    }

    /// Waits before another try: as long as the directory `asked` for, or for a pause that grows.
    /// False if there is no time left for that, at once.
    pub(super) async fn again(&mut self, asked: Option<Duration>) -> bool {
        self.pauses = self.pauses.saturating_add(1);
        let pause = asked.unwrap_or_else(|| jittered(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        let then = Instant::now().checked_add(pause).filter(|then| *then < self.deadline);
        match then {
            Some(then) if self.pauses <= MOST_PAUSES => {
                sleep_until(then).await;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Half of a pause, and a random part of the other half: sign-ins that failed together do not come
/// back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 1];
    // Without randomness a pause is a whole one.
    let part = match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => u32::from(random[0]),
        Err(_) => 255,
    };
    let half = pause / 2;
    half.saturating_add(half * part / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_at_least_half_of_itself_and_never_more() {
        for _ in 0..1000 {
            let pause = jittered(FIRST_PAUSE);
            assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause), "{pause:?}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_there_is_time() {
        let mut patience = Patience::new(Duration::from_secs(5));
        assert!(!patience.again(Some(Duration::from_secs(5))).await, "at once");
        assert!(patience.again(Some(Duration::ZERO)).await);
        let mut patience = Patience::new(Duration::from_secs(3600));
        let mut tries = 0;
        while patience.again(Some(Duration::ZERO)).await {
            tries += 1;
        }
        assert_eq!(tries, MOST_PAUSES);
    }
}

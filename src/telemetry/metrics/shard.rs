//! What every request writes, once for each thread that serves visitors. Deliberately not here:
//! what is counted seldom (`portal`).

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::labels::Lookup;
use super::series::{Count, Histogram, Level, MS, US};

/// How many copies there are of what every request writes.
pub const SHARDS: usize = 8;

/// The hundreds of a status; anything else is `other`.
pub(super) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// What every request writes. Aligned so that no two threads write to one cache line, with the
/// line that the processor fetches beside it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) forwarded: Count,
    /// Requests that began here less those that ended here.
    pub(super) in_flight: Level,
    pub(super) lookups: [Count; Lookup::ALL.len()],
    pub(super) classes: [Count; STATUS_CLASSES.len()],
    pub(super) duration: Histogram<14>,
    pub(super) overhead: Histogram<12>,
}

impl Shard {
    pub(super) fn answered(&self, status: u16, duration: Duration) {
        let class = match status {
            100..=599 => usize::from(status / 100 - 1),
            _ => STATUS_CLASSES.len() - 1,
        };
        if let Some(count) = self.classes.get(class) {
            count.add();
        }
        self.duration.observe(&DURATION_BOUNDS, duration);
    }

    pub(super) fn sum(shards: &[Self]) -> Self {
        let sum = Self::default();
        for shard in shards {
            sum.forwarded.add_all(&shard.forwarded);
            sum.in_flight.add_all(&shard.in_flight);
            for (sum, count) in sum.lookups.iter().zip(&shard.lookups) {
                sum.add_all(count);
            }
            for (sum, count) in sum.classes.iter().zip(&shard.classes) {
                sum.add_all(count);
            }
            sum.duration.add(&shard.duration);
            sum.overhead.add(&shard.overhead);
        }
        sum
    }
}

thread_local! {
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Threads take turns as they first come, so that the few that serve visitors get one each.
pub(super) fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.get().unwrap_or_else(|| {
        let shard = NEXT.fetch_add(1, Relaxed) % SHARDS;
        SHARD.set(Some(shard));
        shard
    })
}

/// Upper bounds in nanoseconds.
pub(super) const DURATION_BOUNDS: [u64; 13] = [
    MS / 2,
    MS,
    5 * MS / 2,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    5_000 * MS,
    30_000 * MS,
];
pub(super) const OVERHEAD_BOUNDS: [u64; 11] = [
    10 * US,
    20 * US,
    35 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    5 * MS,
    25 * MS,
    100 * MS,
];

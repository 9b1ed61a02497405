//! A line that strangers can cause as often as they like is written now and then, and says how
//! often it was not (LOG-02).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often such a line is written at most, unless somebody says otherwise.
const EVERY: Duration = Duration::from_secs(10);

/// When a line was last written, and how often it was left out since.
#[derive(Debug)]
pub struct Seldom {
    begun: Instant,
    every: Duration,
    /// Milliseconds since `begun`.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Seldom {
    /// The first line is written at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self::with(EVERY, now)
    }

    /// The same, written so often at most.
    #[must_use]
    pub fn with(every: Duration, now: Instant) -> Self {
        Self { begun: now, every, next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// `Some` if the line is to be written now, with how often it was left out before.
    pub fn is_due(&self, now: Instant) -> Option<u64> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let now = millis(now.saturating_duration_since(self.begun));
        let next = self.next.load(Relaxed);
        let after = now.saturating_add(millis(self.every));
        if now >= next && self.next.compare_exchange(next, after, Relaxed, Relaxed).is_ok() {
            return Some(self.left_out.swap(0, Relaxed));
        }
        self.left_out.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_02_a_line_that_strangers_cause_is_written_seldom() {
        let begun = Instant::now();
        let seldom = Seldom::new(begun);
        let mut written = Vec::new();
        for tenth in 0..=200 {
            if let Some(left_out) = seldom.is_due(begun + Duration::from_millis(100 * tenth)) {
                written.push((tenth, left_out));
            }
        }
        assert_eq!(written, [(0, 0), (100, 99), (200, 99)]);
    }
}

//! How one server is: by whether it can be reached, and by what its health page says if there is
//! one. A server that cannot be reached is left out for a while, each time for twice as long, and
//! then one request tries it. Moments are milliseconds that the caller counts, from 1. Deliberately
//! not here: whose turn it is (`servers.rs`).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::UpstreamError;
use super::limits::{BACK_OFF, LONGEST_BACK_OFF};
use crate::config::ServerAddress;
use crate::telemetry::causes;

/// How one server is.
#[derive(Debug)]
pub(super) struct Health {
    server: ServerAddress,
    /// When it may be tried again; 0 while it can be reached.
    down_until: AtomicU64,
    /// How often in a row it could not be reached.
    failures: AtomicU32,
    /// The health page says no.
    is_ill: AtomicBool,
}

/// How willing we are to ask a server, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Well,
    Ill,
    Down,
}

impl Health {
    pub(super) fn new(server: &ServerAddress) -> Self {
        Self {
            server: server.clone(),
            down_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            is_ill: AtomicBool::new(false),
        }
    }

    /// Whether nothing is known against it.
    pub(super) fn is_well(&self) -> bool {
        self.down_until.load(Ordering::Relaxed) == 0 && !self.is_ill.load(Ordering::Relaxed)
    }

    /// Asks for the time only where there is trouble.
    pub(super) fn rank(&self, now: impl Fn() -> u64) -> Rank {
        let down_until = self.down_until.load(Ordering::Relaxed);
        if down_until != 0 && now() < down_until {
            return Rank::Down;
        }
        match self.is_ill.load(Ordering::Relaxed) {
            true => Rank::Ill,
            false => Rank::Well,
        }
    }

    /// It is about to be asked. If it was left out until now, others do not follow before it is
    /// known how that went: the failure is booked in advance, and struck out if it can be reached.
    pub(super) fn claim(&self, now: impl Fn() -> u64) {
        let down_until = self.down_until.load(Ordering::Relaxed);
        if down_until != 0 && now() >= down_until {
            self.book(down_until, now());
        }
    }

    /// A connection could be made.
    pub(super) fn reached(&self) {
        if self.down_until.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            if self.down_until.swap(0, Ordering::Relaxed) != 0 {
                tracing::info!(server = %self.server, "a portal's server can be reached again");
            }
        }
    }

    /// A connection could not be made.
    pub(super) fn unreached(&self, error: &UpstreamError, now: u64) {
        let down_until = self.down_until.load(Ordering::Relaxed);
        // Many may find out at the same time; that is one failure.
        if now >= down_until && self.book(down_until, now) && down_until == 0 {
            tracing::warn!(
                server = %self.server,
                code = error.code(),
                cause = %causes(error),
                "a portal's server cannot be reached, and is left out for a while"
            );
        }
    }

    /// The health page has come to another opinion.
    pub(super) fn judged(&self, is_well: bool, found: &str) {
        if self.is_ill.swap(!is_well, Ordering::Relaxed) != is_well {
            return;
        }
        match is_well {
            true => tracing::info!(server = %self.server, found, "a portal's server is well again"),
            false => tracing::warn!(server = %self.server, found, "a portal's server is ill"),
        }
    }

    /// Left out for longer than the last time; `false` if somebody else has booked that already.
    fn book(&self, down_until: u64, now: u64) -> bool {
        let failures = self.failures.load(Ordering::Relaxed);
        let doubled = BACK_OFF.saturating_mul(2_u32.saturating_pow(failures));
        let until = now.saturating_add(millis(doubled.min(LONGEST_BACK_OFF)));
        let order = Ordering::Relaxed;
        let is_ours = self.down_until.compare_exchange(down_until, until, order, order).is_ok();
        if is_ours {
            self.failures.store(failures.saturating_add(1), Ordering::Relaxed);
        }
        is_ours
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_be_reached_is_left_out_for_longer_each_time() {
        let server = ServerAddress { host: "10.0.0.1".to_owned(), port: 80 };
        let health = Health::new(&server);
        let error = UpstreamError::ConnectTimeout(Duration::from_secs(2));
        let mut now = 1;
        health.unreached(&error, now);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!health.is_well());
            // Others find out as well: that does not count.
            health.unreached(&error, now + 10);
            now += seconds * 1000;
            assert_eq!(health.rank(|| now - 1), Rank::Down, "{seconds}");
            assert_eq!(health.rank(|| now), Rank::Well, "{seconds}");
            // One tries it, and nobody else does meanwhile.
            health.claim(|| now);
            assert_eq!(health.rank(|| now), Rank::Down, "{seconds}");
        }
        health.reached();
        assert!(health.is_well());
        health.judged(false, "500");
        assert_eq!((health.rank(|| now), health.is_well()), (Rank::Ill, false));
        health.judged(true, "200");
        assert_eq!((health.rank(|| now), health.is_well()), (Rank::Well, true));
    }
}

//! Idle connections to one portal, of one worker: last in, first out, so that the warmest is used
//! and the others grow old and go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::Connection;

/// How many idle connections a worker keeps to a portal.
const MOST: usize = 256;
/// For how long; shorter than the keep-alive time of common servers would be safer still, and the
/// one retry of an unsent request covers the rest.
const LONGEST: Duration = Duration::from_secs(55);

/// The lock is one worker's own: it is never waited for.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    /// A connection that ended its last connection exactly, and has not been closed since (HTTP-05).
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        loop {
            let idle = self.lock().pop()?;
            if idle.connection.is_still_good() {
                return Some(idle.connection);
            }
        }
    }

    pub(super) fn put(&self, connection: Box<Connection>, now: Instant) {
        let mut idle = self.lock();
        if idle.len() < MOST {
            idle.push(Idle { connection, since: now });
        }
    }

    pub(super) fn tidy(&self) {
        let now = Instant::now();
        self.lock().retain(|idle| now.duration_since(idle.since) < LONGEST);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Idle connections to one server, of one worker: last in, first out, so that the warmest is used
//! and the others grow old and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::UpstreamError;
use super::exchange::Connection;
use super::limits::{IDLE, LONGEST_IDLE};
use super::servers::Servers;

/// The lock is one worker's own: it is never waited for.
#[derive(Debug)]
pub(super) struct Pool {
    servers: Arc<Servers>,
    /// Nobody gives connections back to a pool that is retired.
    idle: Mutex<Option<Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(servers: &Arc<Servers>) -> Self {
        Self { servers: Arc::clone(servers), idle: Mutex::new(Some(Vec::new())) }
    }

    /// A connection that ended its last exchange exactly, and has not been closed since (HTTP-05).
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        loop {
            let mut idle = self.lock().as_mut()?.pop()?;
            if idle.connection.is_still_good() {
                return Some(idle.connection);
            }
        }
    }

    pub(super) fn put(&self, connection: Box<Connection>, now: Instant) {
        if let Some(idle) = self.lock().as_mut().filter(|idle| idle.len() < IDLE) {
            idle.push(Idle { connection, since: now });
        }
    }

    pub(super) fn tidy(&self) {
        let now = Instant::now();
        if let Some(idle) = self.lock().as_mut() {
            idle.retain(|idle| now.duration_since(idle.since) < LONGEST_IDLE);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, Vec::len)
    }

    /// Closes what is idle, and keeps nothing from here on.
    pub(super) fn retire(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request's place among those that the portal may have at a time (LIM-05), and the pool that
/// its connection goes back to. It is given up when the answer has ended.
#[derive(Debug)]
pub(super) struct Place(Arc<Pool>);

impl Place {
    pub(super) fn take(pool: &Arc<Pool>) -> Result<Self, UpstreamError> {
        pool.servers.enter()?;
        Ok(Self(Arc::clone(pool)))
    }

    /// The same place, at another of the portal's servers.
    pub(super) fn move_to(&mut self, pool: &Arc<Pool>) {
        self.0 = Arc::clone(pool);
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0
    }

    pub(super) fn servers(&self) -> &Arc<Servers> {
        &self.0.servers
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.servers.leave();
    }
}

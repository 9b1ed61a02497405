//! How often each endpoint was asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often each endpoint was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Metadata documents.
    pub discovery: u64,
    /// Key sets.
    pub keys: u64,
    /// Authorization requests.
    pub authorize: u64,
    /// Token requests.
    pub token: u64,
    /// Sign-outs.
    pub logout: u64,
    /// Requests for tokens of managed identities.
    pub identity: u64,
    /// Questions about the app registration in Graph.
    pub applications: u64,
    /// Calls of Graph.
    pub graph: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) discovery: Counter,
    pub(super) keys: Counter,
    pub(super) authorize: Counter,
    pub(super) token: Counter,
    pub(super) logout: Counter,
    pub(super) identity: Counter,
    pub(super) applications: Counter,
    pub(super) graph: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn read(&self) -> Counts {
        Counts {
            discovery: self.discovery.read(),
            keys: self.keys.read(),
            authorize: self.authorize.read(),
            token: self.token.read(),
            logout: self.logout.read(),
            identity: self.identity.read(),
            applications: self.applications.read(),
            graph: self.graph.read(),
        }
    }
}

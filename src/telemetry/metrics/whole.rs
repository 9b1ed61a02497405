//! What is counted of the whole process. Deliberately not here: what the kernel says of it
//! (`process`).

use std::time::Duration;

use super::cut::Cut;
use super::labels::{CallOutcome, ConnectionRefusal, Handshake, SessionCall, SessionEnd, SpanLoss};
use super::process::Start;
use super::series::{Count, Histogram, KeyMetrics, Level, MS, US};
use super::service::ServiceMetrics;
use crate::telemetry::log::DroppedLines;

/// What is counted of the whole process, whatever its configuration.
#[derive(Debug)]
pub struct ProcessMetrics {
    pub(super) dropped_lines: DroppedLines,
    /// Sessions that there are now.
    pub sessions: Level,
    /// Sessions that began.
    pub sessions_created: Count,
    /// How the store of sessions is.
    pub session_store: SessionStoreMetrics,
    /// Keys that seal or open.
    pub sealing_keys: KeyMetrics,
    /// Keys that sign, or are published.
    pub signing_keys: KeyMetrics,
    /// Sessions that go on from an earlier process.
    pub sessions_restored: Count,
    pub(super) sessions_ended: [Count; SessionEnd::ALL.len()],
    /// Connections of visitors that are open.
    pub connections: Level,
    pub(super) connections_refused: [Count; ConnectionRefusal::ALL.len()],
    pub(super) tls_handshakes: [Count; Handshake::ALL.len()],
    /// Requests that ended in a panic (REL-14).
    pub panics: Count,
    /// Spans that the collector has.
    pub spans_sent: Count,
    pub(super) spans_dropped: [Count; SpanLoss::ALL.len()],
    /// What this process runs on.
    pub service: ServiceMetrics,
    /// What the end of the process cuts.
    pub cut: Cut,
    pub(super) start: Start,
}

impl ProcessMetrics {
    pub(super) fn new(dropped_lines: DroppedLines) -> Self {
        Self {
            dropped_lines,
            sessions: Level::default(),
            sessions_created: Count::default(),
            session_store: SessionStoreMetrics::default(),
            sealing_keys: KeyMetrics::default(),
            signing_keys: KeyMetrics::default(),
            sessions_restored: Count::default(),
            sessions_ended: Default::default(),
            connections: Level::default(),
            connections_refused: Default::default(),
            tls_handshakes: Default::default(),
            panics: Count::default(),
            spans_sent: Count::default(),
            spans_dropped: Default::default(),
            service: ServiceMetrics::default(),
            cut: Cut::default(),
            start: Start::now(),
        }
    }

    /// The store of sessions was called.
    pub fn session_store_called(&self, call: SessionCall, how: CallOutcome, took: Duration) {
        let store = &self.session_store;
        let outcomes = store.calls.get(call as usize);
        if let Some(count) = outcomes.and_then(|outcomes| outcomes.get(how as usize)) {
            count.add();
        }
        if let Some(histogram) = store.durations.get(call as usize) {
            histogram.observe(&STORE_BOUNDS, took);
        }
    }

    /// A session ended.
    pub fn session_ended(&self, how: SessionEnd) {
        if let Some(count) = self.sessions_ended.get(how as usize) {
            count.add();
        }
    }

    /// A visitor's connection was closed by us.
    pub fn connection_refused(&self, why: ConnectionRefusal) {
        if let Some(count) = self.connections_refused.get(why as usize) {
            count.add();
        }
    }

    /// Spans were made that the collector does not have.
    pub fn spans_dropped(&self, why: SpanLoss, how_many: u64) {
        if let Some(count) = self.spans_dropped.get(why as usize) {
            count.add_many(how_many);
        }
    }

    /// A TLS handshake with a visitor ended.
    pub fn tls_handshake(&self, how: Handshake) {
        if let Some(count) = self.tls_handshakes.get(how as usize) {
            count.add();
        }
    }
}

/// How the store of sessions is.
#[derive(Debug, Default)]
pub struct SessionStoreMetrics {
    /// 1 if it can be asked.
    pub up: Level,
    /// For how many milliseconds nothing has been heard of it.
    pub unheard: Level,
    /// Sessions of it that are known here.
    pub copies: Level,
    /// Sessions that are over here, of which it has yet to be told.
    pub owed: Level,
    pub(super) reconnects: Count,
    pub(super) calls: [[Count; CallOutcome::ALL.len()]; SessionCall::ALL.len()],
    pub(super) durations: [Histogram<12>; SessionCall::ALL.len()],
}

impl SessionStoreMetrics {
    /// It has been reached again so often after it had been lost.
    pub fn reconnected(&self, total: u64) {
        self.reconnects.set(total);
    }
}

/// Upper bounds in nanoseconds.
pub(super) const STORE_BOUNDS: [u64; 11] = [
    100 * US,
    250 * US,
    500 * US,
    MS,
    5 * MS / 2,
    5 * MS,
    10 * MS,
    25 * MS,
    100 * MS,
    250 * MS,
    1_000 * MS,
];

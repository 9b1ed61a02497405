//! What is counted for one portal. Deliberately not here: what every request writes (`shard`).

use std::time::Duration;

use super::labels::{CallOutcome, DirectoryCall, Lookup, MemberResult, Stream, UpstreamFailure};
use super::series::{Count, Histogram, Level, counts};
use super::shard::{OVERHEAD_BOUNDS, SHARDS, Shard, shard_of_this_thread};
use super::{CALL_BOUNDS, SwitchMetrics, Verdict};
use crate::telemetry::reasons::{LOGIN_FAILURES, REASONS};

/// What is counted for one portal.
#[derive(Debug)]
pub struct PortalMetrics {
    pub(super) name: String,
    pub(super) shards: [Shard; SHARDS],
    /// By [`Verdict`], then by reason: [`REASONS`], `none`, `other`. A forwarded request that was
    /// answered is not here but in its shard.
    pub(super) decisions: [Vec<Count>; Verdict::ALL.len()],
    pub(super) upstream_failures: [Count; UpstreamFailure::ALL.len()],
    pub(super) streams_ended: [Count; Stream::ALL.len()],
    pub(super) members: [Count; MemberResult::ALL.len()],
    pub(super) directory_calls: [[Histogram<8>; CallOutcome::ALL.len()]; DirectoryCall::ALL.len()],
    /// Requests that `report_only` let pass and `azure_only` would refuse.
    pub would_be_refused: Count,
    /// Forms that had met an expired session, and were sent again.
    pub forms_resent: Count,
    /// The switch to `azure_only`, and what undoes it.
    pub switch: SwitchMetrics,
    /// Connections to the portal that wait for one.
    pub upstream_idle: Level,
}

impl PortalMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shards: Default::default(),
            decisions: std::array::from_fn(|_| counts(reasons().count() + 2)),
            upstream_failures: Default::default(),
            streams_ended: Default::default(),
            members: Default::default(),
            directory_calls: Default::default(),
            would_be_refused: Count::default(),
            forms_resent: Count::default(),
            switch: SwitchMetrics::default(),
            upstream_idle: Level::default(),
        }
    }

    /// The hot path: a request that the portal answered. `duration` is all of it, `overhead` what
    /// is left when the portal's share is taken away.
    pub fn forwarded(&self, status: u16, duration: Duration, overhead: Duration) {
        if let Some(shard) = self.shards.get(shard_of_this_thread()) {
            shard.forwarded.add();
            shard.answered(status, duration);
            shard.overhead.observe(&OVERHEAD_BOUNDS, overhead);
        }
    }

    /// The hot path, too: a session was looked up.
    pub fn looked_up(&self, how: Lookup) {
        let shard = self.shards.get(shard_of_this_thread());
        if let Some(count) = shard.and_then(|shard| shard.lookups.get(how as usize)) {
            count.add();
        }
    }

    /// A request that we answered ourselves: everything that was not [`PortalMetrics::forwarded`].
    pub fn answered(&self, verdict: Verdict, code: Option<&str>, status: u16, duration: Duration) {
        if let Some(shard) = self.shards.get(shard_of_this_thread()) {
            shard.answered(status, duration);
        }
        let by_reason = self.decisions.get(verdict as usize);
        if let Some(count) = by_reason.and_then(|counts| counts.get(reason_index(code))) {
            count.add();
        }
    }

    /// A request that was sent to the portal and brought no answer. Its visitor's answer is
    /// [`PortalMetrics::answered`] with [`Verdict::Forward`] and a code.
    pub fn upstream_failed(&self, how: UpstreamFailure) {
        if let Some(count) = self.upstream_failures.get(how as usize) {
            count.add();
        }
    }

    /// A sign-in met the portal's members.
    pub fn member(&self, result: MemberResult) {
        if let Some(count) = self.members.get(result as usize) {
            count.add();
        }
    }

    /// The portal's directory of members was called.
    pub fn directory_called(&self, call: DirectoryCall, how: CallOutcome, took: Duration) {
        let outcomes = self.directory_calls.get(call as usize);
        if let Some(histogram) = outcomes.and_then(|outcomes| outcomes.get(how as usize)) {
            histogram.observe(&CALL_BOUNDS, took);
        }
    }

    /// Something was closed because the session that it was for had ended.
    pub fn stream_ended(&self, what: Stream) {
        if let Some(count) = self.streams_ended.get(what as usize) {
            count.add();
        }
    }
}

/// The labels of [`PortalMetrics::decisions`], in its order.
pub(super) fn reason_labels() -> impl Iterator<Item = &'static str> {
    reasons().chain(["none", "other"])
}

fn reasons() -> impl Iterator<Item = &'static str> {
    REASONS.iter().chain(LOGIN_FAILURES).copied()
}

fn reason_index(code: Option<&str>) -> usize {
    match code {
        None => reasons().count(),
        Some(code) => {
            reasons().position(|known| known == code).unwrap_or_else(|| reasons().count() + 1)
        }
    }
}

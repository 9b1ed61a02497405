//! The metrics: what is counted. `render.rs` is the one home of `prometheus`, which only writes
//! text.
//!
//! Everything has its place before the first request. Recording a request is a handful of relaxed
//! atomic adds: no hashing, no allocation, no lock. What every request writes is kept per thread
//! (in [`SHARDS`] copies on cache lines of their own) and added up when somebody asks.

mod cut;
mod labels;
mod portal;
mod process;
mod provider;
mod render;
mod series;
mod service;
mod shard;
mod switch;
#[cfg(test)]
mod tests;
mod whole;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

pub use cut::{Cut, WasCut};
pub use labels::{
    CallOutcome, ConnectionRefusal, CredentialFailure, DirectoryCall, GlassEvent, GlassWay,
    Handshake, Lookup, MemberResult, Part, ProviderCall, RefreshOutcome, SessionCall, SessionEnd,
    SpanLoss, Stream, UpstreamFailure,
};
pub use portal::PortalMetrics;
pub use series::{Count, KeyMetrics, Level};
pub use service::ServiceMetrics;
pub use shard::SHARDS;
pub use switch::SwitchMetrics;
pub use whole::{ProcessMetrics, SessionStoreMetrics};

use provider::{CredentialMetrics, NEVER, ProviderMetrics};
use series::MS;

use super::Verdict;
use super::log::DroppedLines;
use super::reasons::{LOGIN_FAILURES, REASONS};
use crate::gate::Timestamp;

/// The type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of the process, as one configuration names portals and providers. What is counted
/// outlives a configuration: the metrics of the next one count on ([`Metrics::next`]).
#[derive(Debug)]
pub struct Metrics {
    portals: Vec<Arc<PortalMetrics>>,
    /// For what never reached a portal.
    unrouted: Arc<PortalMetrics>,
    providers: Vec<Arc<ProviderMetrics>>,
    /// By portal: each of its servers, and 1 if it is well.
    upstreams: Vec<Vec<(String, Level)>>,
    /// By provider.
    credentials: Vec<Vec<CredentialMetrics>>,
    whole: Arc<ProcessMetrics>,
}

impl Deref for Metrics {
    type Target = ProcessMetrics;

    fn deref(&self) -> &ProcessMetrics {
        &self.whole
    }
}

impl Metrics {
    /// Metrics for these portals and providers; the functions below take their indexes in these
    /// lists.
    #[must_use]
    pub fn new(portals: &[&str], providers: &[&str], dropped_lines: DroppedLines) -> Self {
        let nobody = Self {
            portals: Vec::new(),
            unrouted: Arc::new(PortalMetrics::new("none")),
            providers: Vec::new(),
            upstreams: Vec::new(),
            credentials: Vec::new(),
            whole: Arc::new(ProcessMetrics::new(dropped_lines)),
        };
        nobody.next(portals, providers)
    }

    /// The same for these portals and providers: those that were here count on, others are no
    /// longer shown.
    #[must_use]
    pub fn next(&self, portals: &[&str], providers: &[&str]) -> Self {
        let portal = |name: &&str| {
            let known = self.portals.iter().find(|known| known.name == *name);
            known.map_or_else(|| Arc::new(PortalMetrics::new(name)), Arc::clone)
        };
        let provider = |name: &&str| {
            let known = self.providers.iter().find(|known| known.name == *name);
            known.map_or_else(|| Arc::new(ProviderMetrics::new(name)), Arc::clone)
        };
        Self {
            portals: portals.iter().map(portal).collect(),
            unrouted: Arc::clone(&self.unrouted),
            providers: providers.iter().map(provider).collect(),
            upstreams: portals.iter().map(|_| Vec::new()).collect(),
            credentials: providers.iter().map(|_| Vec::new()).collect(),
            whole: Arc::clone(&self.whole),
        }
    }

    /// Adds the servers of a portal, all taken for well.
    pub fn add_upstreams(&mut self, portal: usize, names: impl Iterator<Item = String>) {
        if let Some(servers) = self.upstreams.get_mut(portal) {
            servers.extend(names.map(|name| {
                let level = Level::default();
                level.set(1);
                (name, level)
            }));
        }
    }

    /// The servers of a portal, in the order in which they were added, and 1 if one is well.
    #[must_use]
    pub fn upstreams(&self, portal: usize) -> &[(String, Level)] {
        self.upstreams.get(portal).map_or(&[], Vec::as_slice)
    }

    /// Adds the client credentials of a provider, by how many there are.
    pub fn add_credentials(&mut self, provider: usize, length: usize) {
        if let Some(credentials) = self.credentials.get_mut(provider) {
            credentials.resize_with(length, CredentialMetrics::default);
        }
    }

    /// How a client credential is, as somebody else keeps it: when it ends, and how often it came
    /// to be passed over for this reason.
    pub fn credential(
        &self,
        provider: usize,
        index: usize,
        ends: Option<Timestamp>,
        passed_over: impl Iterator<Item = (CredentialFailure, u64)>,
    ) {
        let credentials = self.credentials.get(provider);
        if let Some(credential) = credentials.and_then(|credentials| credentials.get(index)) {
            credential.ends.store(ends.map_or(NEVER, Timestamp::unix_millis), Relaxed);
            for (why, total) in passed_over {
                if let Some(count) = credential.passed_over.get(why as usize) {
                    count.set(total);
                }
            }
        }
    }

    /// Those of a portal; beyond the list, those of no portal.
    #[must_use]
    pub fn portal(&self, index: usize) -> &PortalMetrics {
        self.portals.get(index).unwrap_or(&self.unrouted)
    }

    /// For requests that are for no portal of ours.
    #[must_use]
    pub fn unrouted(&self) -> &PortalMetrics {
        &self.unrouted
    }

    /// A login began.
    pub fn login_started(&self, provider: usize) {
        if let Some(provider) = self.providers.get(provider) {
            provider.started.add();
        }
    }

    /// A login became a session.
    pub fn login_succeeded(&self, provider: usize) {
        if let Some(provider) = self.providers.get(provider) {
            provider.succeeded.add();
        }
    }

    /// A login was only tried: it came to what would have come of it, or failed.
    pub fn login_tested(&self, provider: usize, is_failure: bool) {
        if let Some(provider) = self.providers.get(provider) {
            match is_failure {
                true => provider.test_failed.add(),
                false => provider.tested.add(),
            }
        }
    }

    /// A provider was asked again about a member.
    pub fn refreshed(&self, provider: usize, outcome: RefreshOutcome) {
        if let Some(provider) = self.providers.get(provider)
            && let Some(count) = provider.refreshes.get(outcome as usize)
        {
            count.add();
        }
    }

    /// A login failed, for this reason.
    pub fn login_failed(&self, provider: usize, code: &str) {
        let known = LOGIN_FAILURES.iter().position(|known| *known == code);
        if let Some(provider) = self.providers.get(provider)
            && let Some(count) = provider.failed.get(known.unwrap_or(LOGIN_FAILURES.len()))
        {
            count.add();
        }
    }

    /// The provider was called.
    pub fn provider_called(
        &self,
        provider: usize,
        call: ProviderCall,
        outcome: CallOutcome,
        took: Duration,
    ) {
        if let Some(provider) = self.providers.get(provider)
            && let Some(calls) = provider.calls.get(call as usize)
            && let Some(histogram) = calls.get(outcome as usize)
        {
            histogram.observe(&CALL_BOUNDS, took);
        }
    }

    /// The provider's signing keys were fetched, or found to be the same, at this moment.
    pub fn provider_keys_fetched(&self, provider: usize, at: Timestamp) {
        if let Some(provider) = self.providers.get(provider) {
            provider.keys_fetched.store(at.unix_millis(), Relaxed);
        }
    }
}

const EPOCH: Timestamp = Timestamp::from_unix_millis(0);
/// Upper bounds in nanoseconds.
const CALL_BOUNDS: [u64; 7] =
    [25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1_000 * MS, 5_000 * MS];

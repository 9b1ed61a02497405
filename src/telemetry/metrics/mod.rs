//! The metrics: what is counted. `render.rs` is the one home of `prometheus`, which only writes
//! text.
//!
//! Everything has its place before the first request. Recording a request is a handful of relaxed
//! atomic adds: no hashing, no allocation, no lock. What every request writes is kept per thread
//! (in [`SHARDS`] copies on cache lines of their own) and added up when somebody asks.

mod labels;
mod render;
mod series;

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use labels::{
    CallOutcome, ConnectionRefusal, CredentialFailure, Handshake, Lookup, ProviderCall,
    RefreshOutcome, SessionCall, SessionEnd, Stream, UpstreamFailure,
};
pub use series::{Count, Level};

use series::Histogram;

use super::Verdict;
use super::log::DroppedLines;
use super::reasons::{LOGIN_FAILURES, REASONS};
use crate::gate::Timestamp;

/// How many copies there are of what every request writes.
pub const SHARDS: usize = 8;

/// The type of [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    portals: Vec<PortalMetrics>,
    /// For what never reached a portal.
    unrouted: PortalMetrics,
    providers: Vec<ProviderMetrics>,
    dropped_lines: DroppedLines,
    /// Sessions that there are now.
    pub sessions: Level,
    /// Sessions that began.
    pub sessions_created: Count,
    /// How the store of sessions is.
    pub session_store: SessionStoreMetrics,
    /// Keys that seal or open.
    pub sealing_keys: Level,
    /// When they were read last without a fault, in Unix seconds.
    pub sealing_keys_read: Level,
    /// Sessions that go on from an earlier process.
    pub sessions_restored: Count,
    sessions_ended: [Count; SessionEnd::ALL.len()],
    /// Connections of visitors that are open.
    pub connections: Level,
    connections_refused: [Count; ConnectionRefusal::ALL.len()],
    tls_handshakes: [Count; Handshake::ALL.len()],
    /// Requests that ended in a panic (REL-14).
    pub panics: Count,
}

impl Metrics {
    /// Metrics for these portals and providers; the functions below take their indexes in these
    /// lists.
    #[must_use]
    pub fn new(portals: &[&str], providers: &[&str], dropped_lines: DroppedLines) -> Self {
        Self {
            portals: portals.iter().map(|name| PortalMetrics::new(name)).collect(),
            unrouted: PortalMetrics::new("none"),
            providers: providers.iter().map(|name| ProviderMetrics::new(name)).collect(),
            dropped_lines,
            sessions: Level::default(),
            sessions_created: Count::default(),
            session_store: SessionStoreMetrics::default(),
            sealing_keys: Level::default(),
            sealing_keys_read: Level::default(),
            sessions_restored: Count::default(),
            sessions_ended: Default::default(),
            connections: Level::default(),
            connections_refused: Default::default(),
            tls_handshakes: Default::default(),
            panics: Count::default(),
        }
    }

    /// Adds the servers of a portal, all taken for well.
    pub fn add_upstreams(&mut self, portal: usize, names: impl Iterator<Item = String>) {
        if let Some(portal) = self.portals.get_mut(portal) {
            portal.upstream_healthy.extend(names.map(|name| {
                let level = Level::default();
                level.set(1);
                (name, level)
            }));
        }
    }

    /// Adds the client credentials of a provider, by how many there are.
    pub fn add_credentials(&mut self, provider: usize, length: usize) {
        if let Some(provider) = self.providers.get_mut(provider) {
            provider.credentials.resize_with(length, CredentialMetrics::default);
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
        let provider = self.providers.get(provider);
        if let Some(credential) = provider.and_then(|provider| provider.credentials.get(index)) {
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
    reconnects: Count,
    calls: [[Count; CallOutcome::ALL.len()]; SessionCall::ALL.len()],
    durations: [Histogram<12>; SessionCall::ALL.len()],
}

impl SessionStoreMetrics {
    /// It has been reached again so often after it had been lost.
    pub fn reconnected(&self, total: u64) {
        self.reconnects.set(total);
    }
}

/// What is counted for one portal.
#[derive(Debug)]
pub struct PortalMetrics {
    name: String,
    shards: [Shard; SHARDS],
    /// By [`Verdict`], then by reason: [`REASONS`], `none`, `other`. A forwarded request that was
    /// answered is not here but in its shard.
    decisions: [Vec<Count>; Verdict::ALL.len()],
    upstream_failures: [Count; UpstreamFailure::ALL.len()],
    streams_ended: [Count; Stream::ALL.len()],
    /// Requests that `report_only` let pass and `azure_only` would refuse.
    pub would_be_refused: Count,
    /// Forms that had met an expired session, and were sent again.
    pub forms_resent: Count,
    /// Connections to the portal that wait for one.
    pub upstream_idle: Level,
    /// Each of the portal's servers, and 1 if it is well.
    pub upstream_healthy: Vec<(String, Level)>,
}

impl PortalMetrics {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shards: Default::default(),
            decisions: std::array::from_fn(|_| counts(reasons().count() + 2)),
            upstream_failures: Default::default(),
            streams_ended: Default::default(),
            would_be_refused: Count::default(),
            forms_resent: Count::default(),
            upstream_idle: Level::default(),
            upstream_healthy: Vec::new(),
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

    /// Something was closed because the session that it was for had ended.
    pub fn stream_ended(&self, what: Stream) {
        if let Some(count) = self.streams_ended.get(what as usize) {
            count.add();
        }
    }
}

#[derive(Debug)]
struct ProviderMetrics {
    name: String,
    started: Count,
    succeeded: Count,
    /// By failure code, `other` last.
    failed: Vec<Count>,
    calls: [[Histogram<8>; CallOutcome::ALL.len()]; ProviderCall::ALL.len()],
    refreshes: [Count; RefreshOutcome::ALL.len()],
    keys_fetched: AtomicI64,
    credentials: Vec<CredentialMetrics>,
}

/// What is known of one client credential.
#[derive(Debug)]
struct CredentialMetrics {
    ends: AtomicI64,
    passed_over: [Count; CredentialFailure::ALL.len()],
}

impl Default for CredentialMetrics {
    fn default() -> Self {
        Self { ends: AtomicI64::new(NEVER), passed_over: Default::default() }
    }
}

const NEVER: i64 = i64::MIN;

impl ProviderMetrics {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            started: Count::default(),
            succeeded: Count::default(),
            failed: counts(LOGIN_FAILURES.len() + 1),
            calls: Default::default(),
            refreshes: Default::default(),
            keys_fetched: AtomicI64::new(NEVER),
            credentials: Vec::new(),
        }
    }
}

/// The hundreds of a status; anything else is `other`.
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// What every request writes. Aligned so that no two threads write to one cache line, with the
/// line that the processor fetches beside it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    forwarded: Count,
    lookups: [Count; Lookup::ALL.len()],
    classes: [Count; STATUS_CLASSES.len()],
    duration: Histogram<14>,
    overhead: Histogram<12>,
}

impl Shard {
    fn answered(&self, status: u16, duration: Duration) {
        let class = match status {
            100..=599 => usize::from(status / 100 - 1),
            _ => STATUS_CLASSES.len() - 1,
        };
        if let Some(count) = self.classes.get(class) {
            count.add();
        }
        self.duration.observe(&DURATION_BOUNDS, duration);
    }

    fn sum(shards: &[Self]) -> Self {
        let sum = Self::default();
        for shard in shards {
            sum.forwarded.add_all(&shard.forwarded);
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
fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.get().unwrap_or_else(|| {
        let shard = NEXT.fetch_add(1, Relaxed) % SHARDS;
        SHARD.set(Some(shard));
        shard
    })
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// Upper bounds in nanoseconds.
const DURATION_BOUNDS: [u64; 13] = [
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
const OVERHEAD_BOUNDS: [u64; 11] = [
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
const STORE_BOUNDS: [u64; 11] = [
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
const CALL_BOUNDS: [u64; 7] =
    [25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1_000 * MS, 5_000 * MS];

fn counts(length: usize) -> Vec<Count> {
    std::iter::repeat_with(Count::default).take(length).collect()
}

/// The labels of [`PortalMetrics::decisions`], in its order.
fn reason_labels() -> impl Iterator<Item = &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn metrics() -> Metrics {
        Metrics::new(&["members.example"], &["corporate"], DroppedLines::default())
    }

    fn line(metrics: &Metrics, series: &str) -> Option<String> {
        let text = metrics.render(NOON);
        text.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.to_owned())
        })
    }

    #[test]
    fn a_forwarded_request_shows_in_every_series_about_it() {
        let metrics = metrics();
        let portal = metrics.portal(0);
        portal.forwarded(200, Duration::from_millis(7), Duration::from_micros(30));
        for series in [
            "anteport_requests_total{portal=\"members.example\",status_class=\"2xx\"}",
            "anteport_decisions_total{portal=\"members.example\",decision=\"forward\",reason=\"none\"}",
            "anteport_upstream_requests_total{portal=\"members.example\",outcome=\"ok\"}",
            "anteport_request_duration_seconds_bucket{portal=\"members.example\",le=\"0.01\"}",
            "anteport_request_duration_seconds_count{portal=\"members.example\"}",
            "anteport_request_overhead_seconds_bucket{portal=\"members.example\",le=\"0.000035\"}",
        ] {
            assert_eq!(line(&metrics, series).as_deref(), Some("1"), "{series}");
        }
        let below =
            "anteport_request_duration_seconds_bucket{portal=\"members.example\",le=\"0.005\"}";
        assert_eq!(line(&metrics, below).as_deref(), Some("0"));
        let sum = "anteport_request_duration_seconds_sum{portal=\"members.example\"}";
        assert_eq!(line(&metrics, sum).as_deref(), Some("0.007"));
    }

    #[test]
    fn a_code_that_is_not_listed_is_counted_as_other() {
        let metrics = metrics();
        let portal = metrics.portal(0);
        portal.answered(Verdict::Refuse, Some("no-route"), 403, Duration::ZERO);
        portal.answered(Verdict::Refuse, Some("made-up"), 403, Duration::ZERO);
        metrics.login_failed(0, "token-expired");
        metrics.login_failed(0, "made-up");
        for series in [
            "anteport_decisions_total{portal=\"members.example\",decision=\"refuse\",reason=\"no-route\"}",
            "anteport_decisions_total{portal=\"members.example\",decision=\"refuse\",reason=\"other\"}",
            "anteport_logins_total{provider=\"corporate\",result=\"token-expired\"}",
            "anteport_logins_total{provider=\"corporate\",result=\"other\"}",
        ] {
            assert_eq!(line(&metrics, series).as_deref(), Some("1"), "{series}");
        }
        assert!(!metrics.render(NOON).contains("made-up"));
    }

    #[test]
    fn requests_of_many_threads_are_added_up() {
        let metrics = metrics();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    for _ in 0..100 {
                        metrics.portal(0).forwarded(304, Duration::ZERO, Duration::ZERO);
                    }
                });
            }
        });
        let series = "anteport_requests_total{portal=\"members.example\",status_class=\"3xx\"}";
        assert_eq!(line(&metrics, series), Some((200 * SHARDS).to_string()));
    }

    #[test]
    fn keys_have_an_age_once_they_were_fetched() {
        let metrics = metrics();
        let series = "anteport_provider_keys_age_seconds{provider=\"corporate\"}";
        assert_eq!(line(&metrics, series), None);
        metrics.provider_keys_fetched(0, NOON.before(Duration::from_secs(90)));
        assert_eq!(line(&metrics, series).as_deref(), Some("90"));
    }

    #[test]
    fn every_code_of_the_gate_is_listed() {
        use crate::gate::{PathError, Refusal};
        let paths = [
            PathError::NotAbsolute,
            PathError::Character,
            PathError::Escape,
            PathError::EncodedSeparator,
            PathError::Utf8,
            PathError::Segment,
            PathError::Parameter,
            PathError::TooLong,
        ];
        let refusals = [
            Refusal::Host,
            Refusal::UnknownHost,
            Refusal::Method,
            Refusal::RepeatedHeader,
            Refusal::NoRoute,
            Refusal::PasswordRoute { rule: 0 },
            Refusal::SignInRequired,
        ];
        for refusal in paths.map(Refusal::Path).into_iter().chain(refusals) {
            assert!(REASONS.contains(&refusal.code()), "{}", refusal.code());
        }
    }
}

//! The metrics: what is counted. `render.rs` is the one home of `prometheus`, which only writes
//! text.
//!
//! Everything has its place before the first request. Recording a request is a handful of relaxed
//! atomic adds: no hashing, no allocation, no lock. What every request writes is kept per thread
//! (in [`SHARDS`] copies on cache lines of their own) and added up when somebody asks.

mod labels;
mod portal;
mod process;
mod render;
mod series;
mod shard;
mod switch;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

pub use labels::{
    CallOutcome, ConnectionRefusal, CredentialFailure, DirectoryCall, GlassEvent, GlassWay,
    Handshake, Lookup, MemberResult, Part, ProviderCall, RefreshOutcome, SessionCall, SessionEnd,
    Stream, UpstreamFailure,
};
pub use portal::PortalMetrics;
pub use series::{Count, KeyMetrics, Level};
pub use shard::SHARDS;
pub use switch::SwitchMetrics;

use process::Start;
use series::{Histogram, MS, US, counts};

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

/// What is counted of the whole process, whatever its configuration.
#[derive(Debug)]
pub struct ProcessMetrics {
    dropped_lines: DroppedLines,
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
    sessions_ended: [Count; SessionEnd::ALL.len()],
    /// Connections of visitors that are open.
    pub connections: Level,
    connections_refused: [Count; ConnectionRefusal::ALL.len()],
    tls_handshakes: [Count; Handshake::ALL.len()],
    /// Requests that ended in a panic (REL-14).
    pub panics: Count,
    start: Start,
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
        let whole = Arc::new(ProcessMetrics {
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
            start: Start::now(),
        });
        let nobody = Self {
            portals: Vec::new(),
            unrouted: Arc::new(PortalMetrics::new("none")),
            providers: Vec::new(),
            upstreams: Vec::new(),
            credentials: Vec::new(),
            whole,
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

impl ProcessMetrics {
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

#[derive(Debug)]
struct ProviderMetrics {
    name: String,
    started: Count,
    succeeded: Count,
    /// Those of which no session was to come: they are neither begun, nor successes, nor failures.
    tested: Count,
    test_failed: Count,
    /// By failure code, `other` last.
    failed: Vec<Count>,
    calls: [[Histogram<8>; CallOutcome::ALL.len()]; ProviderCall::ALL.len()],
    refreshes: [Count; RefreshOutcome::ALL.len()],
    keys_fetched: AtomicI64,
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
const EPOCH: Timestamp = Timestamp::from_unix_millis(0);

impl ProviderMetrics {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            started: Count::default(),
            succeeded: Count::default(),
            tested: Count::default(),
            test_failed: Count::default(),
            failed: counts(LOGIN_FAILURES.len() + 1),
            calls: Default::default(),
            refreshes: Default::default(),
            keys_fetched: AtomicI64::new(NEVER),
        }
    }
}

/// Upper bounds in nanoseconds.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::KeyState;

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
    fn what_was_counted_outlives_a_configuration() {
        let before = metrics();
        before.portal(0).forwarded(200, Duration::ZERO, Duration::ZERO);
        before.login_started(0);
        before.panics.add();
        let mut next = before.next(&["new.example", "members.example"], &["other", "corporate"]);
        next.add_upstreams(1, ["10.0.0.1:80".to_owned()].into_iter());
        // A request that began before, and a new one.
        before.portal(0).forwarded(200, Duration::ZERO, Duration::ZERO);
        next.portal(1).forwarded(200, Duration::ZERO, Duration::ZERO);
        next.login_started(1);
        let requests = |portal: &str| {
            format!("anteport_requests_total{{portal=\"{portal}\",status_class=\"2xx\"}}")
        };
        assert_eq!(line(&next, &requests("members.example")).as_deref(), Some("3"));
        assert_eq!(line(&next, &requests("new.example")).as_deref(), Some("0"));
        let started = "anteport_logins_total{provider=\"corporate\",result=\"started\"}";
        assert_eq!(line(&next, started).as_deref(), Some("2"));
        assert_eq!(line(&next, "anteport_panics_total").as_deref(), Some("1"));
        let server =
            "anteport_upstream_healthy{portal=\"members.example\",upstream=\"10.0.0.1:80\"}";
        assert_eq!(line(&next, server).as_deref(), Some("1"));
        // Nobody is shown who is not there any more.
        let last = next.next(&["new.example"], &[]);
        assert_eq!(line(&last, &requests("members.example")), None);
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
    fn keys_that_cannot_be_used_show_until_they_can() {
        let metrics = metrics();
        let series = "anteport_signing_keys_faulty";
        let mut state = KeyState { count: 2, read: NOON, fault: None };
        metrics.signing_keys.set(&state);
        assert_eq!(line(&metrics, series).as_deref(), Some("0"));
        state.fault = Some(("no key in it".to_owned(), NOON));
        metrics.signing_keys.set(&state);
        assert_eq!(line(&metrics, series).as_deref(), Some("1"));
        assert_eq!(line(&metrics, "anteport_sealing_keys_faulty").as_deref(), Some("0"));
        state.fault = None;
        metrics.signing_keys.set(&state);
        assert_eq!(line(&metrics, series).as_deref(), Some("0"));
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

//! Metrics as Prometheus reads them: every family with its help, put together when somebody asks.
//! Deliberately not here: what is counted, and when.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::portal::reason_labels;
use super::process;
use super::series::{Family, counter, counters, gauge, gauges, histograms, labels};
use super::shard::{DURATION_BOUNDS, OVERHEAD_BOUNDS, STATUS_CLASSES, Shard};
use super::whole::STORE_BOUNDS;
use super::{
    CALL_BOUNDS, CallOutcome, ConnectionRefusal, CredentialFailure, DirectoryCall, EPOCH,
    Handshake, LOGIN_FAILURES, Lookup, MemberResult, Metrics, NEVER, PortalMetrics, ProviderCall,
    REASONS, RefreshOutcome, SessionCall, SessionEnd, SpanLoss, Stream, Timestamp, UpstreamFailure,
    Verdict,
};

impl Metrics {
    /// Everything in the text format 0.0.4.
    #[must_use]
    pub fn render(&self, now: Timestamp) -> String {
        let mut families = Vec::new();
        self.collect_requests(&mut families);
        self.collect_switch(&mut families);
        self.collect_upstreams(&mut families);
        self.collect_members(&mut families);
        self.collect_logins(&mut families, now);
        self.collect_credentials(&mut families);
        self.collect_session_store(&mut families);
        self.collect_process(&mut families);
        self.collect_service(&mut families);
        process::collect(&mut families, &self.start, now);
        families.retain(|family| !family.get_metric().is_empty());
        // Fails only for a family without metrics, and there is none any more.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    fn all_portals(&self) -> impl Iterator<Item = &PortalMetrics> {
        self.portals.iter().chain([&self.unrouted]).map(Arc::as_ref)
    }

    fn collect_requests(&self, families: &mut Vec<MetricFamily>) {
        let mut requests = counters("anteport_requests_total", "Requests answered.");
        let mut decisions =
            counters("anteport_decisions_total", "What was decided about requests.");
        let mut duration = histograms(
            "anteport_request_duration_seconds",
            "From a request's head to the head of its answer.",
        );
        let mut overhead = histograms(
            "anteport_request_overhead_seconds",
            "What we ourselves add to a forwarded request.",
        );
        for portal in self.all_portals() {
            let of_portal = |more: &[(&str, &str)]| labels(&[&[("portal", &portal.name)], more]);
            let summed = Shard::sum(&portal.shards);
            for (class, count) in STATUS_CLASSES.iter().zip(&summed.classes) {
                requests.push(counter(of_portal(&[("status_class", class)]), count.value()));
            }
            for (verdict, by_reason) in Verdict::ALL.iter().zip(&portal.decisions) {
                let passed = match verdict {
                    Verdict::Forward => summed.forwarded.value(),
                    Verdict::Login | Verdict::Own | Verdict::Refuse => 0,
                };
                for (reason, count) in reason_labels().zip(by_reason) {
                    let count = count.value() + if reason == "none" { passed } else { 0 };
                    // What the gate can refuse for is there from the start, to be alerted on.
                    let is_expected = match verdict {
                        Verdict::Refuse => REASONS.contains(&reason),
                        Verdict::Forward | Verdict::Login | Verdict::Own => reason == "none",
                    };
                    if count > 0 || is_expected {
                        let labels =
                            of_portal(&[("decision", verdict.as_str()), ("reason", reason)]);
                        decisions.push(counter(labels, count));
                    }
                }
            }
            duration.push(summed.duration.metric(&DURATION_BOUNDS, of_portal(&[])));
            overhead.push(summed.overhead.metric(&OVERHEAD_BOUNDS, of_portal(&[])));
        }
        let mut noted = counters(
            "anteport_would_be_refused_total",
            "Requests that passed in `report_only` and would be refused in `azure_only`.",
        );
        let mut ended = counters(
            "anteport_streams_ended_total",
            "WebSockets and answers without a length that were closed because their session, or the \
             break-glass pass that they needed, was over.",
        );
        let mut resent = counters(
            "anteport_forms_resent_total",
            "Forms that had met an expired session and were sent again by their members.",
        );
        for portal in &self.portals {
            let of_portal = |more: &[(&str, &str)]| labels(&[&[("portal", &portal.name)], more]);
            noted.push(counter(of_portal(&[]), portal.would_be_refused.value()));
            for (kind, count) in Stream::ALL.iter().zip(&portal.streams_ended) {
                ended.push(counter(of_portal(&[("kind", kind.as_str())]), count.value()));
            }
            resent.push(counter(of_portal(&[]), portal.forms_resent.value()));
        }
        families.extend([
            noted.done(),
            ended.done(),
            resent.done(),
            requests.done(),
            decisions.done(),
            duration.done(),
            overhead.done(),
        ]);
    }

    fn collect_members(&self, families: &mut Vec<MetricFamily>) {
        let mut members = counters(
            "anteport_members_total",
            "Sign-ins at portals with `members`, by what became of them there.",
        );
        let mut calls = histograms(
            "anteport_directory_call_duration_seconds",
            "Calls to portals' directories of members.",
        );
        for portal in &self.portals {
            let of_portal = |more: &[(&str, &str)]| labels(&[&[("portal", &portal.name)], more]);
            for (result, count) in MemberResult::ALL.iter().zip(&portal.members) {
                members.push(counter(of_portal(&[("result", result.as_str())]), count.value()));
            }
            for (call, outcomes) in DirectoryCall::ALL.iter().zip(&portal.directory_calls) {
                for (outcome, histogram) in CallOutcome::ALL.iter().zip(outcomes) {
                    let labels =
                        of_portal(&[("call", call.as_str()), ("outcome", outcome.as_str())]);
                    calls.push(histogram.metric(&CALL_BOUNDS, labels));
                }
            }
        }
        families.extend([members.done(), calls.done()]);
    }

    fn collect_upstreams(&self, families: &mut Vec<MetricFamily>) {
        let mut requests =
            counters("anteport_upstream_requests_total", "Requests sent to portals.");
        let mut connections = gauges(
            "anteport_upstream_connections",
            "Connections to portals that wait for a request.",
        );
        let mut healthy = gauges(
            "anteport_upstream_healthy",
            "Whether a portal's server can be reached and says that it is well.",
        );
        for (index, portal) in self.portals.iter().enumerate() {
            let of_portal = |more: &[(&str, &str)]| labels(&[&[("portal", &portal.name)], more]);
            let answered = Shard::sum(&portal.shards).forwarded.value();
            requests.push(counter(of_portal(&[("outcome", "ok")]), answered));
            for (outcome, count) in UpstreamFailure::ALL.iter().zip(&portal.upstream_failures) {
                let labels = of_portal(&[("outcome", outcome.as_str())]);
                requests.push(counter(labels, count.value()));
            }
            let idle = portal.upstream_idle.value();
            connections.push(gauge(of_portal(&[("state", "idle")]), idle));
            for (name, level) in self.upstreams(index) {
                healthy.push(gauge(of_portal(&[("upstream", name)]), level.value()));
            }
        }
        families.extend([requests.done(), connections.done(), healthy.done()]);
    }

    fn collect_logins(&self, families: &mut Vec<MetricFamily>, now: Timestamp) {
        let mut logins = counters("anteport_logins_total", "Logins, by how they went.");
        let mut calls =
            histograms("anteport_provider_call_duration_seconds", "Calls to identity providers.");
        let mut keys = gauges(
            "anteport_provider_keys_age_seconds",
            "How long ago the provider's signing keys were fetched.",
        );
        let mut refreshes = counters(
            "anteport_session_refreshes_total",
            "Times that a provider was asked again about a member who is signed in.",
        );
        for provider in &self.providers {
            let of_provider =
                |more: &[(&str, &str)]| labels(&[&[("provider", &provider.name)], more]);
            let results = [
                ("started", &provider.started),
                ("success", &provider.succeeded),
                ("tested", &provider.tested),
                ("test-failed", &provider.test_failed),
            ];
            let failures = LOGIN_FAILURES.iter().copied().chain(["other"]);
            for (result, count) in results.into_iter().chain(failures.zip(&provider.failed)) {
                logins.push(counter(of_provider(&[("result", result)]), count.value()));
            }
            for (call, outcomes) in ProviderCall::ALL.iter().zip(&provider.calls) {
                for (outcome, histogram) in CallOutcome::ALL.iter().zip(outcomes) {
                    let labels =
                        of_provider(&[("call", call.as_str()), ("outcome", outcome.as_str())]);
                    calls.push(histogram.metric(&CALL_BOUNDS, labels));
                }
            }
            for (outcome, count) in RefreshOutcome::ALL.iter().zip(&provider.refreshes) {
                let labels = of_provider(&[("outcome", outcome.as_str())]);
                refreshes.push(counter(labels, count.value()));
            }
            let fetched = provider.keys_fetched.load(Relaxed);
            if fetched != NEVER {
                let age = now.since(Timestamp::from_unix_millis(fetched));
                keys.push(gauge(of_provider(&[]), age.as_secs_f64()));
            }
        }
        families.extend([logins.done(), calls.done(), refreshes.done(), keys.done()]);
    }

    fn collect_credentials(&self, families: &mut Vec<MetricFamily>) {
        let mut ends = gauges(
            "anteport_client_credential_expiry_timestamp_seconds",
            "When a client credential ends, where that is known; by its place in the configuration.",
        );
        let mut passed_over = counters(
            "anteport_client_credential_refusals_total",
            "How often a client credential came to be refused, or could not be sent.",
        );
        for (provider, credentials) in self.providers.iter().zip(&self.credentials) {
            for (index, credential) in credentials.iter().enumerate() {
                let number = index.saturating_add(1).to_string();
                let of_credential = |more: &[(&str, &str)]| {
                    labels(&[&[("provider", &provider.name), ("credential", &number)], more])
                };
                let end = credential.ends.load(Relaxed);
                if end != NEVER {
                    let end = Timestamp::from_unix_millis(end).since(EPOCH);
                    ends.push(gauge(of_credential(&[]), end.as_secs_f64()));
                }
                for (why, count) in CredentialFailure::ALL.iter().zip(&credential.passed_over) {
                    let labels = of_credential(&[("reason", why.as_str())]);
                    passed_over.push(counter(labels, count.value()));
                }
            }
        }
        families.extend([ends.done(), passed_over.done()]);
    }

    fn collect_session_store(&self, families: &mut Vec<MetricFamily>) {
        let store = &self.session_store;
        let mut calls = counters(
            "anteport_session_store_calls_total",
            "Calls to a store of sessions that others share.",
        );
        let mut durations = histograms(
            "anteport_session_store_call_duration_seconds",
            "How long calls to such a store took.",
        );
        for ((call, outcomes), duration) in
            SessionCall::ALL.iter().zip(&store.calls).zip(&store.durations)
        {
            for (outcome, count) in CallOutcome::ALL.iter().zip(outcomes) {
                let labels = labels(&[&[("call", call.as_str()), ("outcome", outcome.as_str())]]);
                calls.push(counter(labels, count.value()));
            }
            let labels = labels(&[&[("call", call.as_str())]]);
            durations.push(duration.metric(&STORE_BOUNDS, labels));
        }
        let mut lookups = counters(
            "anteport_session_lookups_total",
            "Sessions that requests asked for, by whether they were certain here.",
        );
        for lookup in Lookup::ALL {
            let of_portal = |portal: &PortalMetrics| {
                let count = Shard::sum(&portal.shards);
                count.lookups.get(lookup as usize).map_or(0, super::Count::value)
            };
            let total = self.all_portals().map(of_portal).sum();
            lookups.push(counter(labels(&[&[("where", lookup.as_str())]]), total));
        }
        let mut reconnects = counters(
            "anteport_session_store_reconnects_total",
            "How often the store of sessions was reached again after it had been lost.",
        );
        reconnects.push(counter(Vec::new(), store.reconnects.value()));
        families.extend([calls.done(), durations.done(), lookups.done(), reconnects.done()]);
        for (name, help, value) in [
            (
                "anteport_session_store_up",
                "Whether the store of sessions can be asked; memory always can.",
                store.up.value(),
            ),
            (
                "anteport_session_store_unheard_seconds",
                "For how long nothing has been heard of the store of sessions; 0 while it is.",
                store.unheard.value() / 1000.0,
            ),
            (
                "anteport_session_copies",
                "Sessions of a store that others share which are known here.",
                store.copies.value(),
            ),
            (
                "anteport_session_revocations_owed",
                "Sessions that are over here, of which the store has yet to be told.",
                store.owed.value(),
            ),
        ] {
            let mut family = gauges(name, help);
            family.push(gauge(Vec::new(), value));
            families.push(family.done());
        }
    }

    fn collect_process(&self, families: &mut Vec<MetricFamily>) {
        let mut ended = counters("anteport_sessions_ended_total", "Sessions that ended.");
        for (reason, count) in SessionEnd::ALL.iter().zip(&self.sessions_ended) {
            ended.push(counter(labels(&[&[("reason", reason.as_str())]]), count.value()));
        }
        let mut handshakes =
            counters("anteport_tls_handshakes_total", "TLS handshakes with visitors.");
        for (result, count) in Handshake::ALL.iter().zip(&self.tls_handshakes) {
            handshakes.push(counter(labels(&[&[("result", result.as_str())]]), count.value()));
        }
        let mut refused = counters(
            "anteport_connections_refused_total",
            "Connections of visitors that we did not take, or gave up.",
        );
        for (reason, count) in ConnectionRefusal::ALL.iter().zip(&self.connections_refused) {
            refused.push(counter(labels(&[&[("reason", reason.as_str())]]), count.value()));
        }
        let mut lost = counters(
            "anteport_trace_spans_dropped_total",
            "Spans that the collector of traces does not have.",
        );
        for (reason, count) in SpanLoss::ALL.iter().zip(&self.spans_dropped) {
            lost.push(counter(labels(&[&[("reason", reason.as_str())]]), count.value()));
        }
        let single = |mut family: Family, metric| {
            family.push(metric);
            family.done()
        };
        let version = env!("CARGO_PKG_VERSION");
        families.extend([
            single(
                gauges("anteport_sessions", "Sessions that there are."),
                gauge(Vec::new(), self.sessions.value()),
            ),
            single(
                counters("anteport_sessions_created_total", "Sessions that began."),
                counter(Vec::new(), self.sessions_created.value()),
            ),
            single(
                gauges("anteport_sealing_keys", "Sealing keys that are in force."),
                gauge(Vec::new(), self.sealing_keys.count.value()),
            ),
            single(
                gauges(
                    "anteport_sealing_keys_read_timestamp_seconds",
                    "When the sealing keys were read last without a fault.",
                ),
                gauge(Vec::new(), self.sealing_keys.read.value()),
            ),
            single(
                gauges(
                    "anteport_sealing_keys_faulty",
                    "Whether the sealing keys cannot be read as they stand; those before stay in force.",
                ),
                gauge(Vec::new(), self.sealing_keys.faulty.value()),
            ),
            single(
                gauges("anteport_signing_keys", "Keys that sign for portals, or are published."),
                gauge(Vec::new(), self.signing_keys.count.value()),
            ),
            single(
                gauges(
                    "anteport_signing_keys_read_timestamp_seconds",
                    "When the signing keys were read last without a fault.",
                ),
                gauge(Vec::new(), self.signing_keys.read.value()),
            ),
            single(
                gauges(
                    "anteport_signing_keys_faulty",
                    "Whether the signing keys cannot be read as they stand; those before stay in force.",
                ),
                gauge(Vec::new(), self.signing_keys.faulty.value()),
            ),
            single(
                counters(
                    "anteport_sessions_restored_total",
                    "Sessions that go on from the snapshot of an earlier process.",
                ),
                counter(Vec::new(), self.sessions_restored.value()),
            ),
            ended.done(),
            single(
                gauges("anteport_connections", "Connections of visitors that are open."),
                gauge(Vec::new(), self.connections.value()),
            ),
            refused.done(),
            handshakes.done(),
            single(
                counters(
                    "anteport_log_lines_dropped_total",
                    "Log lines that the sink did not take.",
                ),
                counter(Vec::new(), self.whole.dropped_lines.total()),
            ),
            single(
                counters(
                    "anteport_trace_spans_sent_total",
                    "Spans that the collector of traces has taken.",
                ),
                counter(Vec::new(), self.spans_sent.value()),
            ),
            lost.done(),
            single(
                counters("anteport_panics_total", "Requests that ended in a panic."),
                counter(Vec::new(), self.panics.value()),
            ),
            single(
                gauges("anteport_build_info", "The version that runs; always 1."),
                gauge(labels(&[&[("version", version)]]), 1.0),
            ),
        ]);
    }
}

//! What this process runs on: its configuration, its certificate, how far its levels may go, and
//! what its audit log has been told. Deliberately not here: what its requests do.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use prometheus::proto::MetricFamily;

use super::series::{Count, Level, counter, counters, gauge, gauges, labels};
use super::shard::Shard;
use super::{EPOCH, Metrics, NEVER, Timestamp};
use crate::telemetry::audit;

/// What this process runs on.
#[derive(Debug)]
pub struct ServiceMetrics {
    /// How many connections there may be.
    pub connections_max: Level,
    /// How many sessions this process keeps at most.
    pub sessions_max: Level,
    /// Bytes of forms that are held.
    pub form_bytes: Level,
    /// How many there may be.
    pub form_bytes_max: Level,
    certificate_ends: AtomicI64,
    fingerprint: Mutex<String>,
    /// When the configuration in force was read.
    read: AtomicI64,
    /// 0 if another one was asked for since then, and refused.
    is_latest: Level,
    reloads: Count,
    refused: Count,
}

impl Default for ServiceMetrics {
    fn default() -> Self {
        Self {
            connections_max: Level::default(),
            sessions_max: Level::default(),
            form_bytes: Level::default(),
            form_bytes_max: Level::default(),
            certificate_ends: AtomicI64::new(NEVER),
            fingerprint: Mutex::default(),
            read: AtomicI64::new(NEVER),
            is_latest: Level::default(),
            reloads: Count::default(),
            refused: Count::default(),
        }
    }
}

impl ServiceMetrics {
    /// This configuration is in force from now on: the first, or another.
    pub fn configured(&self, fingerprint: &str, now: Timestamp) {
        fingerprint
            .clone_into(&mut self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner));
        self.read.store(now.unix_millis(), Relaxed);
        self.is_latest.set(1);
    }

    /// The same, in place of one that was in force before.
    pub fn reloaded(&self, fingerprint: &str, now: Timestamp) {
        self.configured(fingerprint, now);
        self.reloads.add();
    }

    /// Another configuration was asked for, and that before stays in force.
    pub fn reload_refused(&self) {
        self.is_latest.set(0);
        self.refused.add();
    }

    /// The certificate that visitors are shown ends then; `None` if there is none.
    pub fn certificate_ends(&self, ends: Option<Timestamp>) {
        self.certificate_ends.store(ends.map_or(NEVER, Timestamp::unix_millis), Relaxed);
    }
}

impl Metrics {
    pub(super) fn collect_service(&self, families: &mut Vec<MetricFamily>) {
        let service = &self.service;
        let mut in_flight = gauges(
            "anteport_requests_in_flight",
            "Requests that are not answered to their end, open tunnels among them.",
        );
        let mut most =
            gauges("anteport_upstream_requests_max", "How many requests a portal may have.");
        for portal in &self.portals {
            let of_portal = || labels(&[&[("portal", &portal.name)]]);
            in_flight.push(gauge(of_portal(), Shard::sum(&portal.shards).in_flight.value()));
            most.push(gauge(of_portal(), portal.requests_max.value()));
        }
        families.extend([in_flight.done(), most.done()]);
        let moment = |millis: &AtomicI64| {
            let millis = millis.load(Relaxed);
            let since = (millis != NEVER).then(|| Timestamp::from_unix_millis(millis).since(EPOCH));
            since.map(|since| since.as_secs_f64())
        };
        for (name, help, value) in [
            (
                "anteport_connections_max",
                "How many connections of visitors there may be.",
                Some(service.connections_max.value()),
            ),
            (
                "anteport_sessions_max",
                "How many sessions this process keeps at most.",
                Some(service.sessions_max.value()),
            ),
            (
                "anteport_form_room_bytes",
                "Bytes of forms that are held while they are looked at or sent again.",
                Some(service.form_bytes.value()),
            ),
            (
                "anteport_form_room_max_bytes",
                "How many there may be.",
                Some(service.form_bytes_max.value()),
            ),
            (
                "anteport_tls_certificate_expiry_timestamp_seconds",
                "When the certificate that visitors are shown ends.",
                moment(&service.certificate_ends),
            ),
            (
                "anteport_config_last_reload_timestamp_seconds",
                "When the configuration in force was read.",
                moment(&service.read),
            ),
            (
                "anteport_config_last_reload_successful",
                "Whether the configuration that was asked for last is the one in force.",
                Some(service.is_latest.value()),
            ),
        ] {
            let mut family = gauges(name, help);
            if let Some(value) = value {
                family.push(gauge(Vec::new(), value));
            }
            families.push(family.done());
        }
        let mut reloads = counters(
            "anteport_config_reloads_total",
            "Times that another configuration was asked for.",
        );
        for (outcome, count) in [("ok", &service.reloads), ("refused", &service.refused)] {
            reloads.push(counter(labels(&[&[("outcome", outcome)]]), count.value()));
        }
        let mut info = gauges(
            "anteport_config_info",
            "Which configuration is in force, by a fingerprint of its text; always 1.",
        );
        let fingerprint = service.fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        if !fingerprint.is_empty() {
            info.push(gauge(labels(&[&[("fingerprint", &fingerprint)]]), 1.0));
        }
        let mut events = counters("anteport_audit_events_total", "Events of the audit log.");
        for event in audit::Event::ALL {
            let labels = labels(&[&[("event", event.as_str())]]);
            events.push(counter(labels, audit::written(event)));
        }
        families.extend([reloads.done(), info.done(), events.done()]);
    }
}

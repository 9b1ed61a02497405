//! What is counted of a switch to `azure_only`: for whom it holds, and who has broken the glass.

use prometheus::proto::MetricFamily;

use super::Metrics;
use super::labels::{GlassEvent, GlassWay, Part};
use super::series::{Count, Level, counter, counters, gauge, gauges, labels};

/// What is counted of a portal's switch.
#[derive(Debug, Default)]
pub struct SwitchMetrics {
    links: [Count; GlassEvent::ALL.len()],
    requests: [Count; GlassWay::ALL.len()],
    parts: [Count; Part::ALL.len()],
    /// Passes that were opened here, and are good still.
    pub passes: Level,
}

impl SwitchMetrics {
    /// Something became of a link that breaks the glass.
    pub fn link(&self, event: GlassEvent) {
        if let Some(count) = self.links.get(event as usize) {
            count.add();
        }
    }

    /// A request went on that would not have without.
    pub fn broken(&self, way: GlassWay) {
        if let Some(count) = self.requests.get(way as usize) {
            count.add();
        }
    }

    /// A request was judged in a part of a progressive switch.
    pub fn judged(&self, part: Part) {
        if let Some(count) = self.parts.get(part as usize) {
            count.add();
        }
    }
}

impl Metrics {
    pub(super) fn collect_switch(&self, families: &mut Vec<MetricFamily>) {
        let mut links = counters(
            "anteport_break_glass_links_total",
            "Break-glass links, by what became of them.",
        );
        let mut requests = counters(
            "anteport_break_glass_requests_total",
            "Requests that went on as nobody because the glass was broken.",
        );
        let mut passes = gauges(
            "anteport_break_glass_passes",
            "Break-glass passes that were opened here and are good still.",
        );
        let mut parts = counters(
            "anteport_rollout_requests_total",
            "Requests at a portal with `rollout`, by the mode that they were judged in.",
        );
        for portal in &self.portals {
            let of_portal = |more: &[(&str, &str)]| labels(&[&[("portal", &portal.name)], more]);
            for (event, count) in GlassEvent::ALL.iter().zip(&portal.switch.links) {
                links.push(counter(of_portal(&[("event", event.as_str())]), count.value()));
            }
            for (way, count) in GlassWay::ALL.iter().zip(&portal.switch.requests) {
                requests.push(counter(of_portal(&[("by", way.as_str())]), count.value()));
            }
            passes.push(gauge(of_portal(&[]), portal.switch.passes.value()));
            for (part, count) in Part::ALL.iter().zip(&portal.switch.parts) {
                parts.push(counter(of_portal(&[("mode", part.as_str())]), count.value()));
            }
        }
        families.extend([links.done(), requests.done(), passes.done(), parts.done()]);
    }
}

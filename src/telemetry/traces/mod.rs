//! Traces: of some requests, what took how long, for a collector that speaks OTLP.
//!
//! Whether a request is traced is decided when it begins, and a request that is not traced costs
//! one look at a flag: nothing is allocated and nothing is locked for it, and its `traceparent`
//! goes on to the portal as it came. What visitors say of traces is believed of proxies of ours
//! alone: else anybody could have each of their requests traced, or put it among somebody else's.
//!
//! OTLP as JSON over our own client, and not by the crates of OpenTelemetry: these bring an SDK with
//! its own queues, threads and another HTTP client, some sixty crates, to write what is one object
//! here; and every collector takes JSON at the same address.

mod context;
mod export;
mod otlp;
mod span;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::error::Unspecified;
use http::HeaderValue;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

pub use self::context::TraceContext;
pub use self::export::Exporter;
use self::otlp::Resource;
use self::span::Finished;
pub use self::span::{Ended, Trace, What, called, within};
use super::metrics::{Metrics, SpanLoss};
use super::seldom::Seldom;
use crate::config;
use crate::gate::Timestamp;
use crate::outgoing::Http;

/// How long a stop waits for spans to be sent.
const FLUSH: Duration = Duration::from_secs(2);

/// Which requests are traced, and where their spans go.
pub struct Traces {
    settings: config::Traces,
    seed: u64,
    queue: mpsc::Sender<Finished>,
    closing: Arc<Notify>,
    exporter: Mutex<Option<Exporter>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("sample", &self.settings.sample).finish_non_exhaustive()
    }
}

impl Traces {
    /// Sends nothing before its exporter is run.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new(settings: config::Traces, metrics: &Arc<Metrics>) -> Result<Self, Unspecified> {
        let (mut seed, mut instance) = ([0; 8], [0; 8]);
        aws_lc_rs::rand::fill(&mut seed)?;
        aws_lc_rs::rand::fill(&mut instance)?;
        let (queue, waiting) = mpsc::channel(export::WAITING);
        let closing = Arc::new(Notify::new());
        let (ending, ended) = oneshot::channel();
        let exporter = Exporter {
            queue: waiting,
            closing: Arc::clone(&closing),
            http: Http::new(export::BOUNDS, settings.trusted.clone()),
            endpoint: settings.endpoint.clone(),
            headers: export::headers(&settings.headers),
            resource: Resource {
                service: settings.service.clone(),
                instance: context::hex(&instance),
            },
            metrics: Arc::clone(metrics),
            said: Seldom::with(export::SAID_EVERY, Instant::now()),
            _ended: ending,
        };
        Ok(Self {
            settings,
            seed: u64::from_le_bytes(seed),
            queue,
            closing,
            exporter: Mutex::new(Some(exporter)),
            ended: Mutex::new(Some(ended)),
            metrics: Arc::clone(metrics),
        })
    }

    /// What sends spans, to be run beside the requests; once.
    pub fn exporter(&self) -> Option<Exporter> {
        self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether they are made by these settings.
    #[must_use]
    pub fn are_as(&self, settings: &config::Traces) -> bool {
        self.settings == *settings
    }

    /// Has the exporter send what waits and end; waits for that as long as is sensible.
    pub async fn close(&self) {
        self.closing.notify_one();
        // One that nobody runs is over at once.
        drop(self.exporter());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // What is sent is that it is gone.
            let _ = timeout(FLUSH, ended).await;
        }
    }

    /// A request begins; `parent` is what somebody whom we believe says of it. `None` for those that
    /// are not traced.
    #[must_use]
    pub fn begin(
        &self,
        request_id: &HeaderValue,
        parent: Option<TraceContext>,
        now: Timestamp,
    ) -> Option<Arc<Trace>> {
        let is_traced = match &parent {
            Some(parent) => parent.is_sampled,
            None => self.settings.sample.takes(self.dice(request_id.as_bytes())),
        };
        if !is_traced {
            return None;
        }
        Trace::begin(parent, now).map(Arc::new)
    }

    /// A request that is traced is over.
    pub fn end(&self, trace: &Trace, ended: &Ended<'_>) {
        let finished = trace.end(ended);
        let spans = finished.spans();
        if self.queue.try_send(finished).is_err() {
            self.metrics.spans_dropped(SpanLoss::Full, spans);
        }
    }

    /// A number that nobody outside can foresee, made of the request's own: no two threads write to
    /// one place for it.
    fn dice(&self, request_id: &[u8]) -> u64 {
        let last = request_id.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
        // The finaliser of SplitMix64, twice, with what is secret between.
        mixed(mixed(last) ^ self.seed)
    }
}

const fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::telemetry::Verdict;
    use crate::telemetry::log::DroppedLines;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn traces(sample: config::Share) -> (Traces, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(&[], &[], DroppedLines::default()));
        let settings = config::Traces {
            endpoint: Url::parse("http://127.0.0.1:1/v1/traces").unwrap(),
            headers: Vec::new(),
            trusted: None,
            sample,
            service: "tests".to_owned(),
        };
        (Traces::new(settings, &metrics).unwrap(), metrics)
    }

    fn end(traces: &Traces, trace: &Trace) {
        let ended = Ended {
            request_id: "1",
            portal: None,
            scheme: None,
            method: None,
            path: None,
            verdict: Verdict::Own,
            code: None,
            status: 200,
        };
        traces.end(trace, &ended);
    }

    #[test]
    fn rel_09_spans_that_cannot_wait_are_counted_and_nobody_waits_for_them() {
        let (traces, metrics) = traces(config::Share::ALL);
        let id = HeaderValue::from_static("0");
        for _ in 0..export::WAITING + 10 {
            let trace = traces.begin(&id, None, NOON).unwrap();
            trace.waited(What::Portal, Duration::ZERO, None);
            end(&traces, &trace);
        }
        let text = metrics.render(NOON);
        let line = "anteport_trace_spans_dropped_total{reason=\"full\"} 20\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn what_is_asked_for_a_request_is_bounded() {
        let (traces, _) = traces(config::Share::ALL);
        let trace = traces.begin(&HeaderValue::from_static("0"), None, NOON).unwrap();
        for _ in 0..10_000 {
            trace.waited(What::SessionStore("find"), Duration::MAX, None);
        }
        end(&traces, &trace);
        let finished = traces.exporter().unwrap().queue.try_recv().unwrap();
        assert!(finished.spans() < 100, "{}", finished.spans());
    }

    #[test]
    fn a_part_of_the_requests_is_traced_and_neighbours_are_apart() {
        let id = |number: u64| HeaderValue::try_from(format!("{number:032x}")).unwrap();
        let (all, none) = (traces(config::Share::ALL).0, traces(config::Share::NONE).0);
        assert!(all.begin(&id(1), None, NOON).is_some());
        assert!(none.begin(&id(1), None, NOON).is_none());
        let dice: Vec<u64> = (0..10_000).map(|number| all.dice(id(number).as_bytes())).collect();
        let low = dice.iter().filter(|number| **number < u64::MAX / 10).count();
        assert!((800..1200).contains(&low), "{low}");
        let told = |context: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("traceparent", context.parse().unwrap());
            TraceContext::read(&headers)
        };
        let yes = told("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let no = told("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        assert_eq!(
            none.begin(&id(1), yes, NOON).unwrap().id(),
            "0af7651916cd43dd8448eb211c80319c",
            "whom we believe decides"
        );
        assert!(all.begin(&id(1), no, NOON).is_none(), "and not only for it");
    }
}

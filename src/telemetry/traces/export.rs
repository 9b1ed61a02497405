//! Spans on their way to the collector: gathered, and sent by a task of their own. A collector that
//! is down, slow or that lies costs spans, which are counted, and never a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use url::Url;

use super::otlp::Resource;
use super::span::Finished;
use crate::outgoing::{Answer, Bounds, Http, HttpError};
use crate::telemetry::causes;
use crate::telemetry::metrics::{Metrics, SpanLoss};
use crate::telemetry::seldom::Seldom;

/// How many requests may wait to be sent; at some 2 KiB each, 4 MiB.
pub(super) const WAITING: usize = 2048;
/// How many go at once.
const BATCH: usize = 256;
/// How long the first of them waits for more.
const GATHER: Duration = Duration::from_secs(1);
/// How often a batch is sent before it is given up.
const TRIES: u32 = 3;
/// Before it is sent again; twice as long each time, and as long as the collector asks for, up to
/// [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is said that spans cannot be sent.
pub(super) const SAID_EVERY: Duration = Duration::from_secs(60);

pub(super) const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(2),
    total: Duration::from_secs(10),
    answer_bytes: 64 * 1024,
    posts: 1,
};

/// Sends what is put into its queue.
pub struct Exporter {
    pub(super) queue: mpsc::Receiver<Finished>,
    pub(super) closing: Arc<Notify>,
    pub(super) http: Http,
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    pub(super) resource: Resource,
    pub(super) metrics: Arc<Metrics>,
    pub(super) said: Seldom,
    /// Gone when this is.
    pub(super) _ended: oneshot::Sender<()>,
}

/// Its headers are secrets (LOG-01).
impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

/// What became of a batch.
enum Sent {
    /// The collector has it, without so many spans.
    Taken { refused: u64 },
    /// Not now; perhaps after so long.
    Later(Option<Duration>, Why),
    /// It does not want it.
    Refused(Why),
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the collector answered with status {0}")]
    Status(StatusCode),
}

/// What a collector says of spans that it does not keep.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "partialSuccess")]
    partial: Option<Partial>,
}

#[derive(Deserialize)]
struct Partial {
    /// A number or, as JSON has those of 64 bits, a string.
    #[serde(rename = "rejectedSpans")]
    rejected: Option<serde_json::Value>,
}

impl Exporter {
    /// Sends spans until it is closed, and then what waits.
    pub async fn run(mut self) {
        let closing = Arc::clone(&self.closing);
        let mut batch = Vec::with_capacity(BATCH);
        let mut is_closing = false;
        while !is_closing {
            tokio::select! {
                () = closing.notified() => is_closing = true,
                first = self.queue.recv() => match first {
                    Some(first) => batch.push(first),
                    None => return,
                },
            }
            if !is_closing {
                tokio::select! {
                    () = closing.notified() => is_closing = true,
                    () = gather(&mut self.queue, &mut batch) => {}
                }
            }
            if !is_closing && !batch.is_empty() {
                tokio::select! {
                    () = closing.notified() => is_closing = true,
                    () = self.deliver(&batch) => batch.clear(),
                }
            }
        }
        // Once each, since whoever stops waits for it.
        loop {
            while batch.len() < BATCH
                && let Ok(more) = self.queue.try_recv()
            {
                batch.push(more);
            }
            if batch.is_empty() {
                return;
            }
            match self.send(&batch).await {
                Sent::Taken { refused } => self.count(&batch, refused),
                Sent::Later(_, why) => return self.give_up(&batch, SpanLoss::Unreachable, &why),
                Sent::Refused(why) => self.give_up(&batch, SpanLoss::Refused, &why),
            }
            batch.clear();
        }
    }

    /// Sends a batch, a few times if need be.
    async fn deliver(&self, batch: &[Finished]) {
        let mut pause = PAUSE;
        for tries in 1.. {
            match self.send(batch).await {
                Sent::Taken { refused } => return self.count(batch, refused),
                Sent::Refused(why) => return self.give_up(batch, SpanLoss::Refused, &why),
                Sent::Later(_, why) if tries == TRIES => {
                    return self.give_up(batch, SpanLoss::Unreachable, &why);
                }
                Sent::Later(asked, _) => {
                    sleep(asked.unwrap_or_default().clamp(pause, LONGEST_PAUSE)).await;
                    pause = pause.saturating_mul(2);
                }
            }
        }
    }

    async fn send(&self, batch: &[Finished]) -> Sent {
        let body = Bytes::from(self.resource.request(batch).to_string());
        let to = (Method::POST, &self.endpoint);
        let answer = self.http.send(to, &self.headers, body, self.http.deadline()).await;
        match answer {
            Ok(answer) => judged(&answer),
            Err(error) if error.is_unreachable() => Sent::Later(None, error.into()),
            // It has them, and talks more than is listened to.
            Err(HttpError::TooLarge { .. }) => Sent::Taken { refused: 0 },
            Err(error) => Sent::Refused(error.into()),
        }
    }

    fn count(&self, batch: &[Finished], refused: u64) {
        let all = total(batch);
        let refused = refused.min(all);
        self.metrics.spans_sent.add_many(all - refused);
        self.metrics.spans_dropped(SpanLoss::Refused, refused);
    }

    fn give_up(&self, batch: &[Finished], how: SpanLoss, why: &Why) {
        let spans = total(batch);
        self.metrics.spans_dropped(how, spans);
        if self.said.is_due(Instant::now()).is_some() {
            tracing::warn!(spans, cause = %causes(why), "spans could not be sent to the collector");
        }
    }
}

/// More of them, until there are enough or time is up.
async fn gather(queue: &mut mpsc::Receiver<Finished>, batch: &mut Vec<Finished>) {
    let _ = timeout(GATHER, async {
        while batch.len() < BATCH {
            match queue.recv().await {
                Some(more) => batch.push(more),
                None => return,
            }
        }
    })
    .await;
}

fn total(batch: &[Finished]) -> u64 {
    batch.iter().map(|finished| finished.spans()).sum()
}

/// By what OTLP says of statuses.
fn judged(answer: &Answer) -> Sent {
    let why = Why::Status(answer.status);
    match answer.status {
        status if status.is_success() => Sent::Taken { refused: rejected(&answer.body) },
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Sent::Later(answer.retry_after, why),
        _ => Sent::Refused(why),
    }
}

/// An answer that cannot be read says nothing against the spans.
fn rejected(body: &[u8]) -> u64 {
    let said = serde_json::from_slice::<Said>(body).ok();
    let rejected = said.and_then(|said| said.partial?.rejected);
    match rejected {
        Some(serde_json::Value::Number(number)) => number.as_u64().unwrap_or(0),
        Some(serde_json::Value::String(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// What goes with each request.
pub(super) fn headers(asked: &[(http::HeaderName, crate::gate::Secret<HeaderValue>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in asked {
        headers.insert(name, value.expose().clone());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_did_not_keep_is_read_in_both_spellings() {
        for (body, expected) in [
            ("", 0),
            ("{}", 0),
            ("{\"partialSuccess\":{}}", 0),
            ("{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}", 3),
            ("{\"partialSuccess\":{\"rejectedSpans\":4}}", 4),
            ("{\"partialSuccess\":{\"rejectedSpans\":-4}}", 0),
            ("{\"partialSuccess\":{\"rejectedSpans\":[4]}}", 0),
            ("<html>", 0),
        ] {
            assert_eq!(rejected(body.as_bytes()), expected, "{body}");
        }
    }
}

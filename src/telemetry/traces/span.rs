//! A request that is traced, while it is under way: its own span, and those of what was asked for
//! it. There is none of this for other requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::context::{TRACEPARENT, TRACESTATE, TraceContext, hex};
use crate::gate::Timestamp;
use crate::telemetry::Verdict;

/// As many spans as a request has beside its own; a sign-in has some ten.
const MOST_STEPS: usize = 64;

/// A request that is traced.
#[derive(Debug)]
pub struct Trace {
    own: TraceContext,
    /// The span that it comes from, if we believe whoever says so.
    parent: Option<[u8; 8]>,
    /// The span of the wait for the portal, to which the portal's own belong.
    to_portal: [u8; 8],
    began: Timestamp,
    since: Instant,
    steps: Mutex<Vec<Step>>,
}

/// Something that was waited for on the way.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) span: [u8; 8],
    pub(super) what: What,
    /// After the beginning of the request.
    pub(super) after: Duration,
    pub(super) took: Duration,
    pub(super) error: Option<&'static str>,
}

/// What it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The head of the portal's answer.
    Portal,
    /// A call to a provider, by its name in the configuration.
    Provider {
        /// What for, as its metric says.
        call: &'static str,
        /// Which.
        name: Arc<str>,
    },
    /// A call to a portal's directory of members.
    Directory(&'static str),
    /// A call to a store of sessions that others share.
    SessionStore(&'static str),
}

/// What a request came to, as its account knows it.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The request's id, which the visitor's page and the log show too.
    pub request_id: &'a str,
    /// The portal's name, if one was found.
    pub portal: Option<&'a str>,
    /// `https` or `http`, where that is known.
    pub scheme: Option<&'static str>,
    /// The method.
    pub method: Option<&'a http::Method>,
    /// The canonical path, without the query (LOG-01).
    pub path: Option<&'a str>,
    /// What was decided.
    pub verdict: Verdict,
    /// The reason code, if there is one.
    pub code: Option<&'static str>,
    /// The status of the answer.
    pub status: u16,
}

/// A traced request that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) own: TraceContext,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) began: Timestamp,
    pub(super) took: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) request_id: String,
    pub(super) portal: Option<String>,
    pub(super) scheme: Option<&'static str>,
    pub(super) method: Option<http::Method>,
    pub(super) path: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) code: Option<&'static str>,
    pub(super) status: u16,
}

impl Finished {
    /// How many spans it makes.
    pub(super) fn spans(&self) -> u64 {
        u64::try_from(self.steps.len()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Trace {
    /// One that begins now; `None` without randomness.
    pub(super) fn begin(parent: Option<TraceContext>, now: Timestamp) -> Option<Self> {
        let trace = match &parent {
            Some(parent) => parent.trace,
            None => random()?,
        };
        Some(Self {
            own: TraceContext { trace, span: random()?, is_sampled: true },
            parent: parent.map(|parent| parent.span),
            to_portal: random()?,
            began: now,
            since: Instant::now(),
            steps: Mutex::default(),
        })
    }

    /// The trace's id, by which the log's line is found.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.own.trace)
    }

    /// Tells the portal. What a visitor whom we do not believe has said of traces stays behind, as
    /// does what belongs to it.
    pub fn pass_on(&self, headers: &mut HeaderMap) {
        let context = TraceContext { span: self.to_portal, ..self.own };
        let value: HeaderValue = context.header();
        headers.insert(&TRACEPARENT, value);
        if self.parent.is_none() {
            headers.remove(&TRACESTATE);
        }
    }

    /// Something that was waited for is over; it took so long, up to now.
    pub fn waited(&self, what: What, took: Duration, error: Option<&'static str>) {
        let span = match what {
            What::Portal => Some(self.to_portal),
            _ => random(),
        };
        let after = self.since.elapsed().saturating_sub(took);
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(span), true) = (span, steps.len() < MOST_STEPS) {
            steps.push(Step { span, what, after, took, error });
        }
    }

    /// The request is over.
    pub(super) fn end(&self, ended: &Ended<'_>) -> Finished {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        Finished {
            own: self.own,
            parent: self.parent,
            began: self.began,
            took: self.since.elapsed(),
            steps: std::mem::take(&mut *steps),
            request_id: ended.request_id.to_owned(),
            portal: ended.portal.map(str::to_owned),
            scheme: ended.scheme,
            method: ended.method.cloned(),
            path: ended.path.map(str::to_owned),
            verdict: ended.verdict,
            code: ended.code,
            status: ended.status,
        }
    }
}

/// Never zero, which would be nobody's.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    (bytes != [0; N]).then_some(bytes)
}

tokio::task_local! {
    /// The request that the task is at.
    static CURRENT: Arc<Trace>;
}

/// Runs something for a request, so that the calls which it makes are spans of that request.
pub async fn within<F: Future>(trace: Option<Arc<Trace>>, future: F) -> F::Output {
    match trace {
        Some(trace) => CURRENT.scope(trace, future).await,
        None => future.await,
    }
}

/// A call has ended: a span, if it was made for a request that is traced.
pub fn called(what: impl FnOnce() -> What, took: Duration, error: Option<&'static str>) {
    let _ = CURRENT.try_with(|trace| trace.waited(what(), took, error));
}

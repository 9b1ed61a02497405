//! What one request came to: its id, its decision, its times. Written down once, when the answer's
//! body has ended or was given up: one set of metrics and one access event a request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::Proxy;
use super::admission::Seat;
use super::bound::{Bound, CutShort};
use super::http1::Tunnel;
use super::inspect::Share;
use super::peer::Peer;
use super::request::Head;
use crate::gate::{Asked, Note, Refusal, Timestamp};
use crate::pages::{Look, PLAIN};
use crate::sessions::Watch;
use crate::telemetry::access_log::{self, Access};
use crate::telemetry::metrics::{PortalMetrics, UpstreamFailure};
use crate::telemetry::traces::{Ended, Trace, What};
use crate::telemetry::{Verdict, causes};
use crate::upstream::{AnswerBody, UpstreamError};

/// Makes the names of requests: unique within and between processes, and secret to nobody.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn generate() -> Result<Self, Unspecified> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)?;
        Ok(Self { process: u64::from_le_bytes(random), next: AtomicU64::new(1) })
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [b'0'; 32];
        for (half, value) in text.chunks_exact_mut(16).zip([self.process, number]) {
            for (at, digit) in half.iter_mut().enumerate() {
                let nibble = (value >> (60 - 4 * at)) & 15;
                *digit = *b"0123456789abcdef".get(nibble as usize).unwrap_or(&b'0');
            }
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// The account of one request. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Account {
    proxy: Arc<Proxy>,
    request_id: HeaderValue,
    begun: Instant,
    waiting_since: Option<Instant>,
    waited: Duration,
    head_after: Option<Duration>,
    portal: Option<usize>,
    /// Whose pages its refusal looks like, if it could not be read.
    looks_as: Option<usize>,
    verdict: Verdict,
    code: Option<&'static str>,
    status: u16,
    line: Option<Box<Line>>,
    /// Its place among the portal's requests of its address.
    seat: Option<Seat>,
    /// What its form takes of the room for forms.
    share: Option<Box<Share>>,
    /// There is one for the few that are traced.
    trace: Option<Arc<Trace>>,
}

/// What only the access log and traces want.
#[derive(Debug)]
struct Line {
    method: Option<Method>,
    path: String,
}

impl Account {
    pub(super) fn open(proxy: &Arc<Proxy>, head: &Head) -> Self {
        Self::of(proxy, Some(&head.method))
    }

    /// Of a request whose head could not be read.
    pub(super) fn unread(proxy: &Arc<Proxy>) -> Self {
        Self::of(proxy, None)
    }

    fn of(proxy: &Arc<Proxy>, method: Option<&Method>) -> Self {
        let line = proxy
            .logs_access
            .then(|| Box::new(Line { method: method.cloned(), path: String::new() }));
        Self {
            proxy: Arc::clone(proxy),
            request_id: proxy.request_ids.next(),
            begun: Instant::now(),
            waiting_since: None,
            waited: Duration::ZERO,
            head_after: None,
            portal: None,
            looks_as: None,
            verdict: Verdict::Refuse,
            code: None,
            status: 0,
            line,
            seat: None,
            share: None,
            trace: None,
        }
    }

    /// Makes it one of the few that are traced, or not.
    pub(super) fn begin_trace(&mut self, peer: &Peer, head: &Head, now: Timestamp) {
        let Some(traces) = &self.proxy.traces else {
            return;
        };
        let parent = peer.trace_parent(&head.headers, &self.proxy.front.trusted);
        self.trace = traces.begin(&self.request_id, parent, now);
        if self.trace.is_some() && self.line.is_none() {
            let method = Some(head.method.clone());
            self.line = Some(Box::new(Line { method, path: String::new() }));
        }
    }

    /// Its trace, if it has one.
    pub(super) fn trace(&self) -> Option<Arc<Trace>> {
        self.trace.clone()
    }

    /// The portal is told which trace the request belongs to.
    pub(super) fn pass_on_trace(&self, headers: &mut HeaderMap) {
        if let Some(trace) = &self.trace {
            trace.pass_on(headers);
        }
    }

    pub(super) fn request_id(&self) -> HeaderValue {
        self.request_id.clone()
    }

    /// The request could be read: the canonical path is what is logged, never the query.
    pub(super) fn read(&mut self, asked: &Asked<'_>) {
        if self.portal.is_none() {
            self.proxy.metrics.portal(asked.portal()).begun();
            self.portal = Some(asked.portal());
        }
        if let Some(line) = &mut self.line {
            asked.path().clone_into(&mut line.path);
        }
    }

    /// It could not be read. It counts for no portal, and its refusal looks like those of the one
    /// that it names.
    pub(super) fn looks_of(&mut self, head: &Head) {
        let Head { method, target, headers, .. } = head;
        self.looks_as = Asked::named(&self.proxy.policies, method, target, headers);
    }

    pub(super) fn decided(&mut self, verdict: Verdict, code: Option<&'static str>) {
        self.verdict = verdict;
        self.code = code;
    }

    /// In `report_only`: what would be refused is counted and logged, and where passwords come
    /// along is remembered.
    pub(super) fn noted(&self, method: &Method, note: &Note) {
        let Some(portal) = self.portal else {
            return;
        };
        let Some(policy) = self.proxy.policies.get(portal) else {
            return;
        };
        let rule = note.rule.and_then(|rule| policy.password_routes.get(rule));
        let name = rule.map(|rule| &*rule.name);
        self.proxy.discoveries.add(&policy.host, name, method, note);
        if let Some(rule) = rule {
            self.proxy.metrics.portal(portal).would_be_refused.add();
            tracing::info!(
                request.id = self.request_id.to_str().unwrap_or_default(),
                portal = &*policy.host,
                rule = &*rule.name,
                code = Refusal::PasswordRoute { rule: 0 }.code(),
                "would be refused in azure_only"
            );
        }
    }

    /// It keeps this until it is closed.
    pub(super) fn seated(&mut self, seat: Option<Seat>) {
        self.seat = seat;
    }

    /// It keeps this until it is closed: there is as much of its form in the answer, or on its way.
    pub(super) fn holds(&mut self, share: Option<Share>) {
        self.share = share.map(Box::new);
    }

    /// A form that was kept came with it, and is what it is about from here on.
    pub(super) fn is_of(&mut self, method: &Method) {
        if let Some(line) = &mut self.line {
            line.method = Some(method.clone());
        }
    }

    /// The portal's place, once the request has been read.
    pub(super) fn portal(&self) -> Option<usize> {
        self.portal
    }

    /// How the pages of its portal look; of none, until that is known.
    pub(super) fn look(&self) -> &Look {
        let portal =
            self.portal.or(self.looks_as).and_then(|portal| self.proxy.portals.get(portal));
        portal.map_or(&PLAIN, |portal| &portal.look)
    }

    /// What is counted of its portal, once that is known.
    pub(super) fn metrics(&self) -> Option<&PortalMetrics> {
        self.portal.map(|portal| self.proxy.metrics.portal(portal))
    }

    /// Such a form goes to the portal.
    pub(super) fn resent(&self) {
        if let Some(portal) = self.portal {
            self.proxy.metrics.portal(portal).forms_resent.add();
        }
    }

    /// The portal has the request.
    pub(super) fn waiting(&mut self) {
        self.waiting_since = Some(Instant::now());
    }

    /// The portal has answered, or will not.
    pub(super) fn waited(&mut self, error: Option<&UpstreamError>) {
        self.waited = self.waiting_since.map(|since| since.elapsed()).unwrap_or_default();
        if let Some(error) = error {
            self.count(error);
        }
        if let Some(trace) = &self.trace {
            trace.waited(What::Portal, self.waited, error.map(UpstreamError::code));
        }
    }

    /// The portal broke off within its answer, or fell silent: the visitor's ends there too.
    fn broken_off(&mut self, error: &UpstreamError) {
        self.code = Some(error.code());
        self.count(error);
        tracing::warn!(
            request.id = self.request_id.to_str().unwrap_or_default(),
            code = error.code(),
            cause = %causes(error),
            "an answer of the portal was cut short"
        );
    }

    /// What it ends with is over, and it is closed (SESS-10).
    fn closed(&mut self, bound: &Bound) {
        let code = bound.cut_short().code();
        if self.code != Some(code)
            && let Some(portal) = self.portal
        {
            self.proxy.metrics.portal(portal).stream_ended(bound.stream());
        }
        self.code = Some(code);
    }

    fn count(&self, error: &UpstreamError) {
        let failure = match error {
            // A visitor who went away is no fault of the portal's.
            UpstreamError::Visitor(_) => return,
            UpstreamError::Unreachable { .. } | UpstreamError::ConnectTimeout(_) => {
                UpstreamFailure::Unreachable
            }
            UpstreamError::Tls(_) => UpstreamFailure::Tls,
            UpstreamError::Busy(_) => UpstreamFailure::Busy,
            UpstreamError::ResponseTimeout(_) | UpstreamError::Stalled(_) => {
                UpstreamFailure::Timeout
            }
            UpstreamError::Broken(_)
            | UpstreamError::Connection(_)
            | UpstreamError::Exchange(_)
            | UpstreamError::Cut => UpstreamFailure::Broken,
        };
        if let Some(portal) = self.portal {
            self.proxy.metrics.portal(portal).upstream_failed(failure);
        }
    }

    /// The head of the answer is ready.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.head_after = Some(self.begun.elapsed());
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let duration = self.begun.elapsed();
        self.proxy.metrics.cut.ended(self.head_after.map(|_| self.status));
        let metrics = match self.portal {
            Some(portal) => {
                let metrics = self.proxy.metrics.portal(portal);
                metrics.ended();
                metrics
            }
            None => self.proxy.metrics.unrouted(),
        };
        match (self.verdict, self.code, self.head_after) {
            (Verdict::Forward, None, Some(head_after)) => {
                metrics.forwarded(self.status, duration, head_after.saturating_sub(self.waited));
            }
            (verdict, code, _) => metrics.answered(verdict, code, self.status, duration),
        }
        let Some(line) = &self.line else {
            return;
        };
        let portal = self.portal.and_then(|index| self.proxy.policies.get(index));
        let request_id = self.request_id.to_str().unwrap_or_default();
        let path = (!line.path.is_empty()).then_some(line.path.as_str());
        if let (Some(trace), Some(traces)) = (&self.trace, &self.proxy.traces) {
            let ended = Ended {
                request_id,
                portal: portal.map(|policy| &*policy.host),
                scheme: portal.map(|policy| if policy.secure { "https" } else { "http" }),
                method: line.method.as_ref(),
                path,
                verdict: self.verdict,
                code: self.code,
                status: self.status,
            };
            traces.end(trace, &ended);
        }
        if self.proxy.logs_access {
            access_log::write(&Access {
                request_id,
                trace_id: self.trace.as_ref().map(|trace| trace.id()).as_deref(),
                portal: portal.map(|policy| &*policy.host),
                method: line.method.as_ref().map_or("-", Method::as_str),
                path,
                verdict: self.verdict,
                code: self.code,
                status: self.status,
                duration,
            });
        }
    }
}

/// The body of an answer, and the account that it closes.
#[derive(Debug)]
pub(super) struct Body {
    source: Source,
    account: Account,
    /// What it ends with.
    bound: Option<Arc<Bound>>,
    /// There is none before somebody has to wait: most answers are there at once.
    watch: Option<Box<Watch>>,
}

enum Source {
    Portal(AnswerBody),
    Own(Option<Bytes>),
    /// Trailers follow what is told.
    Told(Option<Bytes>, Option<HeaderMap>),
    Tunnel(Option<Box<dyn Tunnel>>),
}

/// A page of ours may say something of its member (LOG-01).
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portal(_) => "Portal(…)",
            Self::Own(_) | Self::Told(..) => "Own(…)",
            Self::Tunnel(_) => "Tunnel(…)",
        })
    }
}

impl Body {
    /// It goes out with another status than it was made with.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.account.answered(status);
    }

    pub(super) fn portal(body: AnswerBody, bound: Option<Arc<Bound>>, account: Account) -> Self {
        Self { source: Source::Portal(body), account, bound, watch: None }
    }

    pub(super) fn own(body: Bytes, account: Account) -> Self {
        let body = (!body.is_empty()).then_some(body);
        Self { source: Source::Own(body), account, bound: None, watch: None }
    }

    /// What it was to say, unless that is the portal's.
    pub(super) fn take_own(&mut self) -> Bytes {
        match &mut self.source {
            Source::Own(body) => body.take().unwrap_or_default(),
            Source::Portal(_) | Source::Told(..) | Source::Tunnel(_) => Bytes::new(),
        }
    }

    /// It says this instead.
    pub(super) fn put_message(&mut self, message: Bytes, trailers: HeaderMap) {
        self.source = Source::Told(Some(message), Some(trailers));
    }

    /// What follows a `101`: the connection becomes a tunnel to `io` (HTTP-08).
    pub(super) fn tunnel(io: Box<dyn Tunnel>, bound: Option<Arc<Bound>>, account: Account) -> Self {
        Self { source: Source::Tunnel(Some(io)), account, bound, watch: None }
    }

    /// The far end of the tunnel, if this is one. The account stays open as long as the body.
    pub(super) fn take_tunnel(&mut self) -> Option<Box<dyn Tunnel>> {
        match &mut self.source {
            Source::Tunnel(io) => io.take(),
            Source::Portal(_) | Source::Own(_) | Source::Told(..) => None,
        }
    }

    /// What this ends with, for whoever runs it.
    pub(super) const fn bound(&self) -> Option<&Arc<Bound>> {
        self.bound.as_ref()
    }

    /// Ready once that is over that this ends with; never, if there is nothing.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(bound) = &self.bound else {
            return Poll::Pending;
        };
        let watch = self.watch.get_or_insert_with(|| bound.watch());
        ready!(Pin::new(watch).poll(cx));
        self.account.closed(bound);
        Poll::Ready(())
    }
}

/// Whoever runs it may drop it in the middle, because that is over.
impl Drop for Body {
    fn drop(&mut self) {
        if let Some(bound) = &self.bound
            && bound.is_over()
            && !self.is_end_stream()
        {
            self.account.closed(bound);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        // A portal that never pauses is no way around it.
        if let Some(over) = self.bound.as_ref().filter(|bound| bound.is_over()) {
            let cut_short = over.cut_short();
            ready!(self.poll_over(cx));
            return Poll::Ready(Some(Err(cut_short)));
        }
        let this = &mut *self;
        match &mut this.source {
            Source::Portal(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => {
                    this.account.broken_off(&error);
                    Poll::Ready(Some(Err(error.into())))
                }
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => {
                    ready!(this.poll_over(cx));
                    Poll::Ready(this.bound.as_ref().map(|bound| Err(bound.cut_short())))
                }
            },
            Source::Own(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Told(message, trailers) => Poll::Ready(match message.take() {
                Some(message) => Some(Ok(Frame::data(message))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            }),
            Source::Tunnel(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Portal(body) => body.is_end_stream(),
            Source::Own(body) => body.is_none(),
            Source::Told(message, trailers) => message.is_none() && trailers.is_none(),
            Source::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Portal(body) => body.size_hint(),
            Source::Own(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Told(message, _) => {
                SizeHint::with_exact(message.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}

//! Where allowed requests go. A [`Permit`] is the only key: what was judged
//! is what is sent. Each worker has its own connections to a portal; one belongs to one request
//! while in use, and is driven by that request's own task. What workers share of a portal's
//! servers is [`Servers`].

mod answer;
mod answer_body;
mod error;
mod exchange;
mod health;
mod http2;
mod limits;
mod look;
mod over_http2;
mod pool;
mod request_body;
mod servers;
mod stream;
mod watch;
mod websocket;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::body::Body as _;

pub use crate::http1::answer::WireError;
pub use answer::{Answer, AnswerBody};
pub use error::UpstreamError;
pub(crate) use look::Page;
pub use request_body::{BodyError, RequestBody};
pub use servers::Servers;
pub use websocket::{AskedWebSocket, Tunnel, Upgrade, Upgraded};

use crate::config::Protocol;
use crate::gate::Permit;
use crate::gate::identity::Envelope;
use crate::http1::answer as wire;
use exchange::{Connection, Failed, Sending, Terms};
use http2::Lines;
use pool::{Place, Pool};
use wire::Framing;

/// A portal's servers, as one worker reaches them.
#[derive(Debug)]
pub struct Upstream {
    servers: Arc<Servers>,
    /// By the index of their server, as are `lines`.
    pools: Vec<Arc<Pool>>,
    /// Empty for HTTP/1.1.
    lines: Vec<Lines>,
    turn: AtomicUsize,
    /// How many idle connections [`Upstream::tidy`] told of last; `None` once they are retired.
    told: Mutex<Option<usize>>,
}

/// What we tell the portal besides the member's identity, on every request.
#[derive(Clone, Copy)]
pub struct Forwarding<'a> {
    /// The portal's public host.
    pub host: &'a HeaderValue,
    /// `https` or `http`, as visitors see it (FWD-03).
    pub scheme: &'a HeaderValue,
    /// The visitor's address.
    pub address: &'a HeaderValue,
    /// The name of this request in the logs.
    pub request_id: &'a HeaderValue,
    /// What signs it, for a portal that gets that.
    pub signature: &'a [(HeaderName, HeaderValue)],
}

/// Where a visitor is, and what signs a request, stay out of logs (LOG-01).
impl fmt::Debug for Forwarding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarding").field("host", self.host).finish_non_exhaustive()
    }
}

impl<'a> Forwarding<'a> {
    /// As headers. The visitor's own were removed with the rest of what is owned (FWD-01).
    fn headers(self) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        let always: [(&'a HeaderName, &'a HeaderValue); 5] = [
            (&header::HOST, self.host),
            (&X_FORWARDED_HOST, self.host),
            (&X_FORWARDED_PROTO, self.scheme),
            (&X_FORWARDED_FOR, self.address),
            (&X_REQUEST_ID, self.request_id),
        ];
        always.into_iter().chain(self.signature.iter().map(|(name, value)| (name, value)))
    }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The name of a request, which the portal may log beside ours.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On routes where trailers pass: that we read them (RFC 9110, section 10.1.4).
static TE: [(HeaderName, HeaderValue); 2] = [
    (header::CONNECTION, HeaderValue::from_static("te")),
    (header::TE, HeaderValue::from_static("trailers")),
];

impl Upstream {
    /// Without any connection yet; nothing is looked up or dialled before the first request.
    #[must_use]
    pub fn new(servers: Arc<Servers>) -> Self {
        let pools = (0..servers.len()).map(|_| Arc::new(Pool::new(&servers))).collect();
        let lines = match servers.settings.protocol {
            Protocol::Http1 => 0,
            Protocol::Http2 => servers.len(),
        };
        let lines = std::iter::repeat_with(Lines::default).take(lines).collect();
        Self { servers, pools, lines, turn: AtomicUsize::new(0), told: Mutex::new(Some(0)) }
    }

    /// Sends a permitted request. `headers` are the visitor's, cleansed; to them comes what we say
    /// ourselves.
    ///
    /// # Errors
    /// Why there is no answer. Nothing was sent twice.
    pub async fn send(
        &self,
        permit: &Permit,
        method: &Method,
        headers: &HeaderMap,
        body: RequestBody,
        envelope: Option<&Envelope>,
        forwarding: Forwarding<'_>,
    ) -> Result<Answer, UpstreamError> {
        if self.servers.settings.protocol == Protocol::Http2 {
            let ours = (envelope, forwarding);
            return Box::pin(self.send_http2(permit, method, headers, body, ours)).await;
        }
        let framing = match body.size_hint().exact() {
            Some(0) if matches!(*method, Method::GET | Method::HEAD) => Framing::Absent,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let passes_trailers = permit.passes().trailers;
        let te = if passes_trailers { &TE[..] } else { &[] };
        let identity = envelope.into_iter().flat_map(|envelope| &envelope.headers);
        let more = identity.chain(te).map(|(name, value)| (name, value));
        let ours = forwarding.headers().chain(more);
        let head = wire::write_head(method, permit.target(), ours, headers, framing);
        let patience = self.servers.settings.response_timeout;
        let terms = Terms { method, patience, passes_trailers, may_switch: false };
        let answer = self.exchange(Sending::new(head, body, framing), terms).await?;
        Ok(answer.cleansed())
    }

    /// On a kept connection if there is one. Where that turns out to have been closed before
    /// anything of the request was sent, once more on a new one (HTTP-07).
    async fn exchange(
        &self,
        mut sending: Sending,
        terms: Terms<'_>,
    ) -> Result<Answer, UpstreamError> {
        let chosen = self.servers.choose(&self.turn, None);
        let pool = self.pool(chosen)?;
        let mut place = Place::take(pool)?;
        let mut is_first = true;
        if let Some(kept) = pool.take() {
            match kept.run(sending, place, terms).await {
                Ok(answer) => {
                    self.servers.answered(chosen);
                    return Ok(answer);
                }
                Err(Failed { unsent: Some(unsent), .. }) => (sending, place) = unsent,
                Err(failed) => return Err(failed.error),
            }
            is_first = false;
        }
        // Boxed because it is rare: the future of every request would have room for it.
        let may_move = is_first && terms.method.is_idempotent();
        let connection = Box::pin(self.connect(chosen, &mut place, may_move)).await?;
        connection.run(sending, place, terms).await.map_err(|failed| failed.error)
    }

    /// A new connection to the chosen server; where there is none, and the request may, one to
    /// another, once (HTTP-07).
    async fn connect(
        &self,
        chosen: usize,
        place: &mut Place,
        may_move: bool,
    ) -> Result<Box<Connection>, UpstreamError> {
        let chosen = match self.servers.connect(chosen).await {
            Ok(stream) => return Ok(Connection::new(stream)),
            Err(error) if !may_move || self.servers.len() < 2 => return Err(error),
            Err(_) => self.servers.choose(&self.turn, Some(chosen)),
        };
        place.move_to(self.pool(chosen)?);
        self.servers.connect(chosen).await.map(Connection::new)
    }

    pub(in crate::upstream) fn pool(&self, index: usize) -> Result<&Arc<Pool>, UpstreamError> {
        self.pools.get(index).ok_or_else(UpstreamError::no_server)
    }

    /// Closes connections that have been idle for a while; by how many there are more or less idle
    /// ones than the last time.
    pub fn tidy(&self) -> i64 {
        self.pools.iter().for_each(|pool| pool.tidy());
        let shared: usize = self.lines.iter().map(Lines::tidy).sum();
        let now = shared + self.pools.iter().map(|pool| pool.len()).sum::<usize>();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_mut().map_or(0, |told| difference(now, std::mem::replace(told, now)))
    }

    /// Nobody new comes here any more: idle connections are closed, and those in use when they are
    /// given back. By how many there are more or less idle ones then.
    pub fn retire(&self) -> i64 {
        self.pools.iter().for_each(|pool| pool.retire());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        difference(0, told.take().unwrap_or(0))
    }

    /// The servers that these connections are to.
    #[must_use]
    pub const fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }
}

fn difference(now: usize, before: usize) -> i64 {
    let count = |number| i64::try_from(number).unwrap_or(0);
    count(now) - count(before)
}

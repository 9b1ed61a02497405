//! Where allowed requests go. A [`Permit`] is the only key: what was judged
//! is what is sent. Each worker has its own connections to a portal; one belongs to one request
//! while in use, and is driven by that request's own task.

mod body;
mod exchange;
mod pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::body::Body as _;
use tokio::net::TcpStream;

pub use crate::http1::answer::WireError;
pub use body::{BodyError, RequestBody};
pub use exchange::{Answer, AnswerBody};

use crate::config;
use crate::gate::Permit;
use crate::gate::identity::Envelope;
use crate::http1::answer as wire;
use exchange::{Connection, Failed, Sending};
use pool::Pool;
use wire::Framing;

/// A portal's server, as one worker reaches it.
#[derive(Debug)]
pub struct Upstream {
    settings: Arc<config::Upstream>,
    pool: Arc<Pool>,
    /// How many idle connections [`Upstream::tidy`] told of last.
    told: AtomicUsize,
}

/// Why there is no answer from the portal.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection.
    #[error("the portal at {host}:{port} cannot be reached")]
    Unreachable {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// The system's reason.
        #[source]
        cause: std::io::Error,
    },
    /// No connection in time.
    #[error("the portal did not accept a connection within {0:?}")]
    ConnectTimeout(Duration),
    /// No answer in time.
    #[error("the portal did not begin to answer within {0:?}")]
    ResponseTimeout(Duration),
    /// Something that is not HTTP/1.1, or nothing.
    #[error("the portal broke off or did not speak HTTP/1.1")]
    Broken(#[from] WireError),
    /// The connection failed.
    #[error("the connection to the portal failed")]
    Connection(#[from] std::io::Error),
    /// The visitor broke the request off, or sends what is not taken.
    #[error("the request is not whole")]
    Visitor(#[source] BodyError),
}

impl UpstreamError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "upstream-unreachable",
            Self::ConnectTimeout(_) => "upstream-connect-timeout",
            Self::ResponseTimeout(_) => "upstream-response-timeout",
            Self::Broken(_) | Self::Connection(_) => "upstream-broken",
            Self::Visitor(error) => error.code(),
        }
    }
}

/// What we tell the portal besides the member's identity, on every request.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// The portal's public host.
    pub host: &'a HeaderValue,
    /// `https` or `http`, as visitors see it (FWD-03).
    pub scheme: &'a HeaderValue,
    /// The visitor's address.
    pub address: &'a HeaderValue,
    /// The name of this request in the logs.
    pub request_id: &'a HeaderValue,
}

impl<'a> Forwarding<'a> {
    /// As headers. The visitor's own were removed with the rest of what is owned (FWD-01).
    fn headers(self) -> [(&'static HeaderName, &'a HeaderValue); 5] {
        [
            (&header::HOST, self.host),
            (&X_FORWARDED_HOST, self.host),
            (&X_FORWARDED_PROTO, self.scheme),
            (&X_FORWARDED_FOR, self.address),
            (&X_REQUEST_ID, self.request_id),
        ]
    }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The name of a request, which the portal may log beside ours.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Upstream {
    /// Without any connection yet; nothing is looked up or dialled before the first request.
    #[must_use]
    pub fn new(settings: Arc<config::Upstream>) -> Self {
        Self { settings, pool: Arc::new(Pool::default()), told: AtomicUsize::new(0) }
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
        let framing = match body.size_hint().exact() {
            Some(0) if matches!(*method, Method::GET | Method::HEAD) => Framing::Absent,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let identity = envelope.into_iter().flat_map(|envelope| &envelope.headers);
        let ours = forwarding.headers().into_iter().chain(identity.map(|(n, v)| (n, v)));
        let head = wire::write_head(method, permit.target(), ours, headers, framing);
        let answer = self.exchange(Sending::new(head, body, framing), method).await?;
        Ok(answer.cleansed())
    }

    /// On a kept connection if there is one. Where that turns out to have been closed before
    /// anything of the request was sent, once more on a new one (HTTP-07).
    async fn exchange(
        &self,
        mut sending: Sending,
        method: &Method,
    ) -> Result<Answer, UpstreamError> {
        let patience = self.settings.response_timeout;
        if let Some(kept) = self.pool.take() {
            match kept.run(sending, method, patience, &self.pool).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { unsent: Some(unsent), .. }) => sending = unsent,
                Err(failed) => return Err(failed.error),
            }
        }
        // Boxed because it is rare: the future of every request would have room for it.
        let fresh = Connection::new(Box::pin(self.connect()).await?);
        fresh.run(sending, method, patience, &self.pool).await.map_err(|failed| failed.error)
    }

    async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let config::Upstream { host, port, connect_timeout, .. } = &*self.settings;
        let dial = async {
            match host.parse() {
                Ok(address) => TcpStream::connect(SocketAddr::new(address, *port)).await,
                Err(_) => TcpStream::connect((host.as_str(), *port)).await,
            }
        };
        let stream = tokio::time::timeout(*connect_timeout, dial)
            .await
            .map_err(|_| UpstreamError::ConnectTimeout(*connect_timeout))?
            .map_err(|cause| UpstreamError::Unreachable {
                host: host.clone(),
                port: *port,
                cause,
            })?;
        // Without it small requests wait for acknowledgements; a socket that refuses still works.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Closes connections that have been idle for a while; by how many there are more or less idle
    /// ones than the last time.
    pub fn tidy(&self) -> i64 {
        self.pool.tidy();
        let now = self.pool.len();
        let told = self.told.swap(now, Ordering::Relaxed);
        i64::try_from(now).unwrap_or(0) - i64::try_from(told).unwrap_or(0)
    }
}

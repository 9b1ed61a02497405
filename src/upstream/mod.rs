//! Where allowed requests go. A [`Permit`](crate::gate::Permit) is the only key: what was judged
//! is what is sent. Each worker has its own connections to a portal; one belongs to one request
//! while in use, and is driven by that request's own task.

mod exchange;
mod pool;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use hyper::body::Incoming;
use tokio::net::TcpStream;

pub use exchange::{Answer, AnswerBody};
pub use wire::WireError;

use crate::config;
use crate::gate::Permit;
use crate::gate::identity::{self, Envelope};
use exchange::{Connection, Failed};
use pool::Pool;

/// A portal's server, as one worker reaches it.
#[derive(Debug)]
pub struct Upstream {
    settings: Arc<config::Upstream>,
    pool: Arc<Pool>,
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
    /// The visitor broke the request off.
    #[error("the visitor broke the request off")]
    Visitor(#[source] hyper::Error),
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
            Self::Visitor(_) => "visitor-broken",
        }
    }
}

/// What we tell the portal besides the member's identity, on every request.
#[derive(Clone, Debug)]
pub struct Forwarding {
    /// The portal's public host.
    pub host: HeaderValue,
    /// `https` or `http`, as visitors see it (FWD-03).
    pub scheme: HeaderValue,
    /// The visitor's address.
    pub address: HeaderValue,
    /// The name of this request in the logs.
    pub request_id: HeaderValue,
}

impl Upstream {
    /// Without any connection yet; nothing is looked up or dialled before the first request.
    #[must_use]
    pub fn new(settings: Arc<config::Upstream>) -> Self {
        Self { settings, pool: Arc::new(Pool::default()) }
    }

    /// Sends a permitted request: `headers` have been cleansed, and get what we say ourselves.
    ///
    /// # Errors
    /// Why there is no answer. Nothing was sent twice.
    pub async fn send(
        &self,
        permit: Permit,
        method: Method,
        mut headers: HeaderMap,
        body: Incoming,
        envelope: Option<&Envelope>,
        forwarding: Forwarding,
    ) -> Result<Answer, UpstreamError> {
        // Room for all of ours at once: a map that grows hashes every name again.
        headers.reserve(FORWARDING + envelope.map_or(0, |envelope| envelope.headers.len()));
        set_forwarding(&mut headers, forwarding);
        for (name, value) in envelope.into_iter().flat_map(|envelope| &envelope.headers) {
            headers.insert(name, value.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let mut answer = self.exchange(request, permit.target()).await?;
        identity::cleanse_answer(answer.head_mut().headers_mut());
        Ok(answer)
    }

    /// On a kept connection if there is one. Where that turns out to have been closed before
    /// anything of the request was sent, once more on a new one (HTTP-07).
    async fn exchange(
        &self,
        mut request: Request<Incoming>,
        target: &str,
    ) -> Result<Answer, UpstreamError> {
        let patience = self.settings.response_timeout;
        if let Some(kept) = self.pool.take() {
            match kept.run(request, target, patience, &self.pool).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { unsent: Some(unsent), .. }) => request = unsent,
                Err(failed) => return Err(failed.error),
            }
        }
        // Boxed because it is rare: the future of every request would have room for it.
        let fresh = Connection::new(Box::pin(self.connect()).await?);
        fresh.run(request, target, patience, &self.pool).await.map_err(|failed| failed.error)
    }

    async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let config::Upstream { host, port, connect_timeout, .. } = &*self.settings;
        let dial = async {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            match bare.parse() {
                Ok(address) => TcpStream::connect(SocketAddr::new(address, *port)).await,
                Err(_) => TcpStream::connect((bare, *port)).await,
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

    /// Closes connections that have been idle for a while.
    pub fn tidy(&self) {
        self.pool.tidy();
    }

    /// How many connections are kept idle.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.pool.len()
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The name of a request, which the portal may log beside ours.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many headers [`set_forwarding`] sets.
const FORWARDING: usize = 5;

/// The visitor's own were removed with the rest of what is owned (FWD-01).
fn set_forwarding(headers: &mut HeaderMap, forwarding: Forwarding) {
    headers.insert(X_FORWARDED_HOST, forwarding.host.clone());
    headers.insert(header::HOST, forwarding.host);
    headers.insert(X_FORWARDED_PROTO, forwarding.scheme);
    headers.insert(X_FORWARDED_FOR, forwarding.address);
    headers.insert(X_REQUEST_ID, forwarding.request_id);
}

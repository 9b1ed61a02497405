//! Our own small HTTP client, for calls to identity providers and to members' directories: one
//! connection a call, since calls are rare, and every bound explicit (LIM-06). Deliberately not
//! here: redirects, cookies, proxies, compression and retries. Cancel-safe: dropping a call closes
//! its connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::trust::{self, TrustError};

/// The most addresses of one host that are tried.
const MOST_ADDRESSES: usize = 8;
/// How long an address has the wire to itself before the next is tried as well: one that leads
/// nowhere then costs a login little (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// For the head of an answer: Microsoft's are around 3 KiB.
const HEAD_BYTES: usize = 64 * 1024;

/// The bounds of the calls to one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For a connection to be made, the name resolved.
    pub(crate) connect: Duration,
    /// For a call from beginning to end.
    pub(crate) total: Duration,
    /// The largest answer that is read.
    pub(crate) answer_bytes: usize,
    /// Forms that are posted at a time, or requests of any kind.
    pub(crate) posts: usize,
}

/// The client of one server.
pub(crate) struct Http {
    bounds: Bounds,
    trusted: Option<Vec<CertificateDer<'static>>>,
    tls: OnceCell<Arc<ClientConfig>>,
    /// Forms that are on their way.
    posts: Semaphore,
}

/// An answer, read to its end. Never a redirect.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Whether it says that it is JSON.
    pub(crate) is_json: bool,
    pub(crate) body: Bytes,
    /// How long the server asks us to wait, if it says so in seconds.
    pub(crate) retry_after: Option<Duration>,
}

/// An answer with all that it says, a redirect among others: for those who look, and follow
/// nothing.
pub(crate) struct Looked {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// None of a redirect.
    pub(crate) body: Bytes,
}

impl Looked {
    /// What the rest of the crate takes for an answer: a redirect would lead to an address that
    /// nobody configured (OIDC-11).
    fn answer(self) -> Result<Answer, HttpError> {
        if self.status.is_redirection() {
            return Err(HttpError::Redirect(self.status));
        }
        let retry_after = self.headers.get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: self.status,
            is_json: self.headers.get(CONTENT_TYPE).is_some_and(is_json),
            body: self.body,
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    /// Whether it sends whoever asked to this address, with whatever query or fragment.
    pub(crate) fn leads_to(&self, url: &str) -> bool {
        let there = self.headers.get(LOCATION).and_then(|there| there.to_str().ok());
        let rest = there.and_then(|there| there.strip_prefix(url));
        self.status.is_redirection() && rest.is_some_and(|rest| rest.starts_with(['?', '#']))
    }
}

impl Http {
    /// Reads nothing yet: certificates of the system are loaded by the first call.
    pub(crate) fn new(bounds: Bounds, trusted: Option<Vec<CertificateDer<'static>>>) -> Self {
        Self { bounds, trusted, tls: OnceCell::new(), posts: Semaphore::new(bounds.posts) }
    }

    /// When a call that begins now has to be over.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.bounds.total).unwrap_or(now)
    }

    /// Fetches a document; any status but 200 is an error.
    pub(crate) async fn get(&self, url: &Url, deadline: Instant) -> Result<Bytes, HttpError> {
        let answer = self.call(request(Method::GET, url, None, &[])?, url, deadline);
        let answer = answer.await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(HttpError::Status(status)),
        }
    }

    /// Asks with header fields of the caller's; the status is the caller's to judge.
    pub(crate) async fn get_with(
        &self,
        url: &Url,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let mut request = request(Method::GET, url, None, &[])?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        self.call(request, url, deadline).await
    }

    /// Posts a form; the status is the caller's to judge. Strangers can make us do that, so there
    /// are only so many at a time, and the others wait their turn (LIM-06).
    pub(crate) async fn post_form(
        &self,
        url: &Url,
        form: String,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, HttpError> {
        let request = request(Method::POST, url, Some(form), headers)?;
        let (deadline, limit) = (self.deadline(), self.bounds.total);
        let turn = timeout_at(deadline, self.posts.acquire()).await;
        let _turn = turn.map_err(|_| HttpError::Slow { limit })?;
        self.call(request, url, deadline).await
    }

    /// Sends any request with header fields of the caller's; the status is the caller's to judge.
    /// There are only so many at a time, as of forms.
    pub(crate) async fn send(
        &self,
        (method, url): (Method, &Url),
        headers: &HeaderMap,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let mut request = request(method, url, None, &[])?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        *request.body_mut() = Full::new(body);
        let limit = self.bounds.total;
        let turn = timeout_at(deadline, self.posts.acquire()).await;
        let _turn = turn.map_err(|_| HttpError::Slow { limit })?;
        self.call(request, url, deadline).await
    }

    /// Fetches whatever is there; the status is the caller's to judge, and so is a redirect.
    pub(crate) async fn look(&self, url: &Url, deadline: Instant) -> Result<Looked, HttpError> {
        self.exchange_by(request(Method::GET, url, None, &[])?, url, deadline).await
    }

    async fn call(
        &self,
        request: Request<Full<Bytes>>,
        url: &Url,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        self.exchange_by(request, url, deadline).await?.answer()
    }

    async fn exchange_by(
        &self,
        request: Request<Full<Bytes>>,
        url: &Url,
        deadline: Instant,
    ) -> Result<Looked, HttpError> {
        let limit = self.bounds.total;
        timeout_at(deadline, self.exchange(url, request))
            .await
            .map_err(|_| HttpError::Slow { limit })?
    }

    async fn exchange(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<Looked, HttpError> {
        let limit = self.bounds.connect;
        let stream =
            timeout(limit, connect(url)).await.map_err(|_| HttpError::Slow { limit })??;
        if url.scheme() != "https" {
            return self.speak(stream, request).await;
        }
        let connector = TlsConnector::from(self.tls().await?);
        let stream = connector.connect(server_name(url)?, stream).await.map_err(HttpError::Tls)?;
        self.speak(stream, request).await
    }

    /// One request and its answer, on a connection that ends with them.
    async fn speak<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Looked, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(HttpError::Exchange)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(HttpError::Exchange)?;
            let (head, body) = response.into_parts();
            let body = match head.status.is_redirection() {
                true => Bytes::new(),
                false => self.read(body).await?,
            };
            Ok(Looked { status: head.status, headers: head.headers, body })
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection may be done while its last bytes wait to be taken.
            _ = &mut connection => exchange.await,
        }
    }

    /// Reads a body up to the limit, announced or not.
    async fn read(&self, mut body: Incoming) -> Result<Bytes, HttpError> {
        let limit = self.bounds.answer_bytes;
        let too_large = || HttpError::TooLarge { limit };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(HttpError::Exchange)?.into_data() else {
                continue; // trailers, which mean nothing to us
            };
            if data.len() > limit.saturating_sub(bytes.len()) {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, HttpError> {
        let made = self.tls.get_or_try_init(|| async {
            trust::client_config(self.trusted.clone(), None, trust::HTTP1).await
        });
        Ok(Arc::clone(made.await?))
    }
}

fn request(
    method: Method,
    url: &Url,
    form: Option<String>,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<Request<Full<Bytes>>, HttpError> {
    let (Some(host), "http" | "https") = (url.host_str(), url.scheme()) else {
        return Err(HttpError::Url);
    };
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("anteport/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some(form) = &form {
        builder = builder
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(CONTENT_LENGTH, form.len());
    }
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(form.unwrap_or_default()))).map_err(|_| HttpError::Url)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, HttpError> {
    match url.host() {
        Some(Host::Domain(name)) => {
            ServerName::try_from(name.to_owned()).map_err(|_| HttpError::Url)
        }
        Some(Host::Ipv4(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Ipv6(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        None => Err(HttpError::Url),
    }
}

/// The first address that answers. Dropping this ends the attempts with it.
async fn connect(url: &Url) -> Result<TcpStream, HttpError> {
    let port = url.port_or_known_default().ok_or(HttpError::Url)?;
    let addresses: Vec<_> = match url.host() {
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(HttpError::Resolve)?
            .take(MOST_ADDRESSES)
            .collect(),
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        None => return Err(HttpError::Url),
    };
    let mut attempts = JoinSet::new();
    let mut pause = Duration::ZERO;
    for address in addresses {
        attempts.spawn(async move {
            sleep(pause).await;
            TcpStream::connect(address).await
        });
        pause = pause.saturating_add(STAGGER);
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(stream)) => {
                // A request is one write: nothing is gained by holding it back.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(ended) => failure = io::Error::other(ended),
        }
    }
    Err(HttpError::Connect(failure))
}

/// Why a call to the provider has no answer that could be read.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an address that can be called.
    #[error("the address is not an http or https URL with a host")]
    Url,
    /// No certificate to trust.
    #[error("no certificate authority could be loaded from this system")]
    NoRoots,
    /// The host's name has no address.
    #[error("the host's name could not be resolved")]
    Resolve(#[source] io::Error),
    /// No address took the connection.
    #[error("no connection could be made")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed; the certificate may be of a CA that is not trusted.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// A deadline has passed.
    #[error("there was no answer within {limit:?}")]
    Slow {
        /// Which.
        limit: Duration,
    },
    /// The exchange broke off, or was not HTTP.
    #[error("the exchange broke off")]
    Exchange(#[source] hyper::Error),
    /// The answer is too large.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read.
        limit: usize,
    },
    /// A redirect, which is not followed (OIDC-11).
    #[error("the answer was a redirect ({0}), which is not followed")]
    Redirect(StatusCode),
    /// Another status than the call needs.
    #[error("the answer had status {0}")]
    Status(StatusCode),
}

impl From<TrustError> for HttpError {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::NoRoots => Self::NoRoots,
            TrustError::Unusable(cause) => Self::Tls(io::Error::other(cause)),
        }
    }
}

impl HttpError {
    /// Whether the provider could not be asked, as opposed to having given an answer that is of
    /// no use.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Url
            | Self::NoRoots
            | Self::Resolve(_)
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Slow { .. }
            | Self::Exchange(_) => true,
            Self::Status(status) => is_busy(*status),
            Self::TooLarge { .. } | Self::Redirect(_) => false,
        }
    }

    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url => "provider-address",
            Self::NoRoots => "provider-no-trusted-roots",
            Self::Resolve(_) => "provider-name-not-resolved",
            Self::Connect(_) => "provider-not-connected",
            Self::Tls(_) => "provider-tls",
            Self::Slow { .. } => "provider-slow",
            Self::Exchange(_) => "provider-exchange",
            Self::TooLarge { .. } => "provider-answer-too-large",
            Self::Redirect(_) => "provider-redirect",
            Self::Status(_) => "provider-status",
        }
    }
}

/// `application/json`, with parameters or without.
fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// A status that says «not now».
pub(crate) fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

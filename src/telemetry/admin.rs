//! Health and metrics, on a listener of their own (CFG-03).
//!
//! It listens on loopback unless the operator says otherwise, and answers only requests that name
//! it by an address or as `localhost`, and that no page of another site has made: a name could be
//! pointed here by somebody else (DNS rebinding). One request a connection, everything bounded.
//! Deliberately not here: what is asked for (`asked`), and what is told of sessions, which is
//! others'.

mod asked;

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::asked::{Asked, Objected, Objection};
use super::metrics::{self, Metrics};
use crate::clock::Clock;

/// How many connections are served at once; others wait to be accepted.
pub const CONNECTIONS: usize = 64;
/// For the head of a request.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// For a connection from beginning to end.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// For answers under way when the listener stops.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// After an accept that failed, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a request's head.
const HEAD_SIZE: usize = 16 * 1024;
/// Fields of a request's head.
const HEAD_FIELDS: usize = 64;

/// Where whoever listens at this address is asked on this machine: who listens everywhere, on
/// loopback.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into());
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    address
}

/// Whether visitors should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet: sessions of an earlier process are being read, or a store of sessions that others
    /// share has never been reached. One that is lost later changes nothing here: members go on.
    Starting,
    /// Yes. An identity provider that is down does not change that: who is signed in goes on.
    Ready,
    /// Not any more: what is under way is being finished.
    Draining,
}

impl Readiness {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// What the admin listener tells.
pub struct AdminState {
    clock: Clock,
    readiness: AtomicU8,
    metrics: Option<Counted>,
    details: Details,
    discoveries: Seen,
    last_logins: Seen,
    sessions: Option<SessionHooks>,
    reload: OnceLock<Reload>,
    break_glass: Option<BreakGlassHooks>,
}

/// Whether another configuration is in force, and what there is to say, as JSON.
pub type Reloading = Pin<Box<dyn Future<Output = (bool, Value)> + Send>>;
type Reload = Box<dyn Fn() -> Reloading + Send + Sync>;

/// What comes of a question about sessions, as JSON.
pub type Telling = Pin<Box<dyn Future<Output = Result<Value, Objected>> + Send>>;

struct SessionHooks {
    list: Box<dyn Fn(Asked) -> Telling + Send + Sync>,
    revoke: Box<dyn Fn(Asked) -> Telling + Send + Sync>,
}

type Counted = Box<dyn Fn() -> Arc<Metrics> + Send + Sync>;
struct BreakGlassHooks {
    make: Box<dyn Fn(Asked) -> Telling + Send + Sync>,
    end: Box<dyn Fn(Asked) -> Telling + Send + Sync>,
}

/// Something that was seen, as JSON.
type Seen = Box<dyn Fn() -> String + Send + Sync>;
type Details = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

impl AdminState {
    /// A process that is starting.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            readiness: AtomicU8::new(Readiness::Starting as u8),
            metrics: None,
            details: Box::new(Vec::new),
            discoveries: Box::new(|| "{}".to_owned()),
            last_logins: Box::new(|| "{}".to_owned()),
            sessions: None,
            reload: OnceLock::new(),
            break_glass: None,
        }
    }

    /// Answers `/metrics` with these, whose levels are as they are now.
    #[must_use]
    pub fn with_metrics(
        mut self,
        counted: impl Fn() -> Arc<Metrics> + Send + Sync + 'static,
    ) -> Self {
        self.metrics = Some(Box::new(counted));
        self
    }

    /// Adds lines to `/readyz?verbose`: a name and how it is. They change nothing about readiness.
    #[must_use]
    pub fn with_details(
        mut self,
        details: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        self.details = Box::new(details);
        self
    }

    /// Answers `/-/discoveries`: where requests carried passwords, as JSON.
    #[must_use]
    pub fn with_discoveries(
        mut self,
        discoveries: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.discoveries = Box::new(discoveries);
        self
    }

    /// Answers `/-/last-logins`: which claims they had, by name, as JSON.
    #[must_use]
    pub fn with_last_logins(
        mut self,
        last_logins: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.last_logins = Box::new(last_logins);
        self
    }

    /// Answers `/-/sessions` with a list, and `/-/sessions/revoke` with what was ended.
    #[must_use]
    pub fn with_sessions(
        mut self,
        list: impl Fn(Asked) -> Telling + Send + Sync + 'static,
        revoke: impl Fn(Asked) -> Telling + Send + Sync + 'static,
    ) -> Self {
        self.sessions = Some(SessionHooks { list: Box::new(list), revoke: Box::new(revoke) });
        self
    }

    /// Answers a POST to `/-/reload` with what comes of it; to be said once.
    pub fn reload_by(&self, reload: impl Fn() -> Reloading + Send + Sync + 'static) {
        let _ = self.reload.set(Box::new(reload));
    }

    /// Answers `/-/break-glass` with a link to a portal's own sign-in, and `/-/break-glass/revoke`
    /// with the end of all of them: to this machine alone.
    #[must_use]
    pub fn with_break_glass(
        mut self,
        make: impl Fn(Asked) -> Telling + Send + Sync + 'static,
        end: impl Fn(Asked) -> Telling + Send + Sync + 'static,
    ) -> Self {
        self.break_glass = Some(BreakGlassHooks { make: Box::new(make), end: Box::new(end) });
        self
    }

    /// From now on.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Release);
    }

    /// At present.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let stored = self.readiness.load(Ordering::Acquire);
        [Readiness::Starting, Readiness::Ready]
            .into_iter()
            .find(|readiness| *readiness as u8 == stored)
            .unwrap_or(Readiness::Draining)
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").field("readiness", &self.readiness()).finish_non_exhaustive()
    }
}

/// Serves until `shutdown`, then gives answers under way a second.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AdminState>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            Some(next) = next => next,
            else => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // An error is the other side's, and so is the time it takes.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection(stream, state)).await;
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
}

async fn connection(stream: TcpStream, state: Arc<AdminState>) -> hyper::Result<()> {
    let is_near = is_near(&stream);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request, is_near).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEAD_SIZE)
        .max_headers(HEAD_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(
    state: &AdminState,
    request: Request<Incoming>,
    is_near: bool,
) -> Response<Full<Bytes>> {
    let uri = request.uri();
    let is_for_us = names_an_address(request.headers())
        && uri.authority().is_none_or(|authority| is_address(authority.as_str()));
    if !is_for_us {
        let text = "ask for this listener by its address or as localhost\n";
        return plain(StatusCode::MISDIRECTED_REQUEST, text);
    }
    if is_from_a_page(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "pages of other sites are not answered\n");
    }
    if let Some(hooks) = &state.sessions {
        match uri.path() {
            "/-/sessions" => return told(list(hooks, &request).await, "GET, HEAD"),
            "/-/sessions/revoke" => return told(revoke(hooks, request).await, "POST"),
            _ => {}
        }
    }
    if let ("/-/reload", Some(reload)) = (uri.path(), state.reload.get()) {
        return reloaded(reload, request).await;
    }
    if let Some(hooks) = &state.break_glass {
        match uri.path() {
            "/-/break-glass" => return told(post(&hooks.make, request, is_near).await, "POST"),
            "/-/break-glass/revoke" => {
                return told(post(&hooks.end, request, is_near).await, "POST");
            }
            _ => {}
        }
    }
    let page: fn(&AdminState, &str) -> Response<Full<Bytes>> = match uri.path() {
        "/livez" => |_, _| plain(StatusCode::OK, "ok\n"),
        "/readyz" => readyz,
        "/metrics" => metrics,
        "/version" => |_, _| version(),
        "/-/discoveries" => |state, _| seen(&state.discoveries),
        "/-/last-logins" => |state, _| seen(&state.last_logins),
        _ => {
            let text = "there is /livez, /readyz, /metrics, /version, /-/discoveries, \
                        /-/last-logins, /-/sessions, /-/sessions/revoke, /-/reload, /-/break-glass, \
                        /-/break-glass/revoke\n";
            return plain(StatusCode::NOT_FOUND, text);
        }
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    page(state, uri.query().unwrap_or_default())
}

/// What was seen, as JSON.
fn seen(all: &Seen) -> Response<Full<Bytes>> {
    typed(StatusCode::OK, "application/json", format!("{}\n", all()))
}

async fn list(hooks: &SessionHooks, request: &Request<Incoming>) -> Result<Value, Objected> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Objection::Method.into());
    }
    let asked = Asked::form(request.uri().query().unwrap_or_default().as_bytes())?;
    (hooks.list)(asked).await
}

async fn revoke(hooks: &SessionHooks, request: Request<Incoming>) -> Result<Value, Objected> {
    if *request.method() != Method::POST {
        return Err(Objection::Method.into());
    }
    let asked = Asked::posted(request).await?;
    (hooks.revoke)(asked).await
}

/// There is nothing to say in a reload; the body is read as another one is, so that no page can ask
/// for it (CFG-03).
async fn reloaded(reload: &Reload, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if *request.method() != Method::POST {
        return told(Err(Objection::Method.into()), "POST");
    }
    let asked = Asked::posted(request).await.and_then(|asked| asked.only(&[]));
    if let Err(objection) = asked {
        return told(Err(objection.into()), "POST");
    }
    let (is_done, body) = reload().await;
    let status = if is_done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    typed(status, "application/json", format!("{body}\n"))
}

/// For who sits at this machine: what is made here opens a portal's own doors.
async fn post(
    hook: &(dyn Fn(Asked) -> Telling + Send + Sync),
    request: Request<Incoming>,
    is_near: bool,
) -> Result<Value, Objected> {
    if *request.method() != Method::POST {
        return Err(Objection::Method.into());
    }
    if !is_near {
        return Err(Objection::NotHere.into());
    }
    hook(Asked::posted(request).await?).await
}

/// Whether somebody on this machine has connected, by loopback. Servers that pass others' connections
/// on come from other addresses of it, or from the one that this is.
fn is_near(stream: &TcpStream) -> bool {
    let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr()) else {
        return false;
    };
    is_same_machine(peer.ip(), own.ip())
}

fn is_same_machine(peer: IpAddr, own: IpAddr) -> bool {
    let (peer, own) = (peer.to_canonical(), own.to_canonical());
    let is_usual = peer == Ipv4Addr::LOCALHOST || peer == Ipv6Addr::LOCALHOST;
    is_usual && own.is_loopback()
}

/// `allowed` are the methods that there are.
fn told(told: Result<Value, Objected>, allowed: &'static str) -> Response<Full<Bytes>> {
    let objected = match told {
        Ok(body) => return typed(StatusCode::OK, "application/json", format!("{body}\n")),
        Err(objected) => objected,
    };
    let objection = objected.objection;
    let body = json!({ "error": objection.name(), "message": objected.message() });
    let mut response = typed(objection.status(), "application/json", format!("{body}\n"));
    let more = match objection {
        Objection::Method => Some((header::ALLOW, allowed)),
        Objection::StoreUnavailable => Some((header::RETRY_AFTER, "5")),
        _ => None,
    };
    if let Some((name, value)) = more {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn readyz(state: &AdminState, query: &str) -> Response<Full<Bytes>> {
    let readiness = state.readiness();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut text = format!("{}\n", readiness.as_str());
    let is_verbose = query.split('&').any(|pair| pair.split('=').next() == Some("verbose"));
    if is_verbose {
        for (name, how) in (state.details)() {
            text.push_str(&format!("{name}: {how}\n"));
        }
    }
    plain(status, text)
}

fn metrics(state: &AdminState, _query: &str) -> Response<Full<Bytes>> {
    let counted = state.metrics.as_ref().map(|counted| counted().render(state.clock.now()));
    let text = counted.unwrap_or_default();
    typed(StatusCode::OK, metrics::CONTENT_TYPE, text)
}

fn version() -> Response<Full<Bytes>> {
    let version = serde_json::json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    });
    typed(StatusCode::OK, "application/json", format!("{version}\n"))
}

/// Whether the one `Host` is an address or `localhost`.
fn names_an_address(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
        (Some(Ok(host)), None) => is_address(host),
        _ => false,
    }
}

fn is_address(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Whether a page of some site made the request, rather than a probe or somebody at the address
/// bar.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || headers
            .get_all("sec-fetch-site")
            .iter()
            .any(|site| site != "none" && site != "same-origin")
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_03_only_this_machine_is_near() {
        for (peer, own, is_near) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.6", "127.0.0.1", false),
            ("127.0.0.1", "10.1.2.3", false),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.1.2.3", "10.1.2.3", false),
            ("::ffff:10.1.2.3", "10.1.2.3", false),
            ("10.1.2.4", "10.1.2.3", false),
            ("192.0.2.1", "10.1.2.3", false),
            ("fe80::1", "fe80::2", false),
        ] {
            let (peer, own) = (peer.parse().unwrap(), own.parse().unwrap());
            assert_eq!(is_same_machine(peer, own), is_near, "{peer} {own}");
        }
    }

    #[test]
    fn only_addresses_and_localhost_name_this_listener() {
        for ours in
            ["127.0.0.1", "127.0.0.1:9090", "localhost:9090", "LOCALHOST", "[::1]:9090", "10.1.2.3"]
        {
            assert!(is_address(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:9090",
            "localhost.evil.example",
            "[::1",
            "::1",
            "127.0.0.1:x",
            "2130706433",
            "a@127.0.0.1",
        ] {
            assert!(!is_address(other), "{other}");
        }
    }
}

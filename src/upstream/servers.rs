//! A portal's servers, as the whole process knows them: whose turn it is, how each is, how many
//! requests there are, and how a connection is made. Workers share it, and a request writes to it
//! twice: when it begins, and when it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::UpstreamError;
use super::health::{Health, millis};
use super::limits::ADDRESSES;
use super::stream::Stream;
use crate::config::{self, Protocol, ServerAddress};
use crate::trust;

/// A portal's servers.
#[derive(Debug)]
pub struct Servers {
    pub(super) settings: config::Upstream,
    servers: Vec<Server>,
    requests: AtomicUsize,
    tls: OnceCell<Arc<ClientConfig>>,
    /// What the moments of their health count from.
    begun: Instant,
    /// Which of a name's addresses is tried first.
    turn: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: ServerAddress,
    pub(super) health: Health,
}

impl Servers {
    /// How many requests there may be at a time.
    #[must_use]
    pub const fn max_requests(&self) -> usize {
        self.settings.max_requests
    }

    /// All of them are taken for well; nothing is looked up, read or dialled yet.
    #[must_use]
    pub fn new(settings: config::Upstream) -> Self {
        let server = |address: &ServerAddress| Server {
            address: address.clone(),
            health: Health::new(address),
        };
        let servers = settings.servers.iter().map(server).collect();
        let (requests, turn) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { settings, servers, requests, tls: OnceCell::new(), begun: Instant::now(), turn }
    }

    /// Whether these are the servers of such settings.
    #[must_use]
    pub fn are_as(&self, settings: &config::Upstream) -> bool {
        self.settings == *settings
    }

    /// Each with whether it is taken for well.
    pub fn health(&self) -> impl Iterator<Item = (&ServerAddress, bool)> {
        self.servers.iter().map(|server| (&server.address, server.health.is_well()))
    }

    /// How many requests there are just now.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Server> {
        self.servers.get(index)
    }

    /// Whose turn it is: the next that is well. Where none is, the one that is least ill, so that
    /// what nobody could reach a moment ago, or a health page that is wrong, cuts nobody off.
    pub(super) fn choose(&self, turn: &AtomicUsize, but_not: Option<usize>) -> usize {
        let count = self.servers.len();
        if count < 2 {
            return 0;
        }
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let now = || self.now();
        let in_turn = (0..count).map(|step| turn.wrapping_add(step) % count);
        let candidates = in_turn.filter(|index| Some(*index) != but_not);
        let ranks = candidates.filter_map(|index| Some((index, self.get(index)?.health.rank(now))));
        // The first of the least.
        let chosen = ranks.min_by_key(|(_, rank)| *rank).map_or(0, |(index, _)| index);
        if let Some(server) = self.get(chosen) {
            server.health.claim(now);
        }
        chosen
    }

    /// Room for one more request (LIM-05).
    pub(super) fn enter(&self) -> Result<(), UpstreamError> {
        let most = self.settings.max_requests;
        if self.requests.fetch_add(1, Ordering::Relaxed) >= most {
            self.leave();
            return Err(UpstreamError::Busy(most));
        }
        Ok(())
    }

    /// It has ended.
    pub(super) fn leave(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// A server has answered on a connection that it had already.
    pub(super) fn answered(&self, index: usize) {
        if let Some(server) = self.get(index) {
            server.health.reached();
        }
    }

    /// Connects to a server, and remembers whether that went well.
    pub(super) async fn connect(&self, index: usize) -> Result<Stream, UpstreamError> {
        let server = self.get(index).ok_or_else(UpstreamError::no_server)?;
        let connected = self.dial(&server.address).await;
        match &connected {
            Ok(_) => server.health.reached(),
            Err(error) => server.health.unreached(error, self.now()),
        }
        connected
    }

    /// In milliseconds, never 0.
    fn now(&self) -> u64 {
        millis(self.begun.elapsed()).saturating_add(1)
    }

    /// A new connection, with TLS if there is TLS, within `connect_timeout`.
    async fn dial(&self, server: &ServerAddress) -> Result<Stream, UpstreamError> {
        let limit = self.settings.connect_timeout;
        let dial = async {
            let stream = self
                .dial_tcp(server)
                .await
                .map_err(|cause| UpstreamError::Unreachable { server: server.clone(), cause })?;
            // Without it small requests wait for acknowledgements; a socket that refuses still
            // works.
            let _ = stream.set_nodelay(true);
            match &self.settings.tls {
                None => Ok(Stream::Plain(stream)),
                Some(tls) => self.secure(server, tls, stream).await,
            }
        };
        timeout(limit, dial).await.map_err(|_| UpstreamError::ConnectTimeout(limit))?
    }

    /// A name's addresses take turns, and each has its share of the time.
    async fn dial_tcp(&self, server: &ServerAddress) -> std::io::Result<TcpStream> {
        if let Ok(address) = server.host.parse::<std::net::IpAddr>() {
            return TcpStream::connect((address, server.port)).await;
        }
        let begun = Instant::now();
        let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await?;
        let mut addresses: Vec<_> = found.take(ADDRESSES).collect();
        let count = addresses.len().max(1);
        addresses.rotate_left(self.turn.fetch_add(1, Ordering::Relaxed) % count);
        let limit = self.settings.connect_timeout;
        let share = limit / u32::try_from(count).unwrap_or(1);
        let mut failure =
            std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
        for (number, address) in (1..).zip(addresses) {
            let until = begun.checked_add(share * number).unwrap_or(begun);
            match timeout_at(until, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(cause)) => failure = cause,
                Err(_) => failure = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    async fn secure(
        &self,
        server: &ServerAddress,
        tls: &config::UpstreamTls,
        stream: TcpStream,
    ) -> Result<Stream, UpstreamError> {
        let failed = |cause| UpstreamError::Tls(std::io::Error::other(cause));
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(server.host.clone())
                .map_err(|error| UpstreamError::Tls(std::io::Error::other(error)))?,
        };
        let alpn = match self.settings.protocol {
            Protocol::Http1 => trust::HTTP1,
            Protocol::Http2 => trust::HTTP2,
        };
        let config = self.tls.get_or_try_init(|| {
            trust::client_config(tls.trusted.clone(), tls.certificate.clone(), alpn)
        });
        let connector = TlsConnector::from(Arc::clone(config.await.map_err(failed)?));
        let stream = connector.connect(name, stream).await.map_err(UpstreamError::Tls)?;
        let spoken = stream.get_ref().1.alpn_protocol();
        // A server may ignore ALPN where HTTP/1.1 is meant, and only there.
        if self.settings.protocol == Protocol::Http2 && spoken != Some(trust::HTTP2) {
            return Err(UpstreamError::Tls(std::io::Error::other(
                "the portal does not speak HTTP/2 over TLS (ALPN)",
            )));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

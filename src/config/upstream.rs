//! Where a portal's allowed requests go: its servers, TLS, times and limits.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use url::Url;

use super::context::{Context, Located};
use super::file::{File, HealthCheckFile, UpstreamFile, UpstreamTlsFile};
use super::tls;
use super::value::bare_host;
use crate::gate::CanonicalPath;

/// Where a portal's allowed requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its servers, which take turns; at least one.
    pub servers: Vec<ServerAddress>,
    /// What is spoken with them.
    pub protocol: Protocol,
    /// `None` is without TLS.
    pub tls: Option<UpstreamTls>,
    /// For a connection to be made, TLS included (LIM-05).
    pub connect_timeout: Duration,
    /// For the head of an answer to begin (LIM-05).
    pub response_timeout: Duration,
    /// For the next bytes of an answer's body.
    pub idle_timeout: Duration,
    /// How many requests there may be at a time, of all workers together (LIM-05).
    pub max_requests: usize,
    /// How the servers are asked how they are.
    pub health_check: Option<HealthCheck>,
}

/// A server's place on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host (a name or an address) as written; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What is spoken with a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte on: by ALPN with TLS, by prior knowledge without.
    Http2,
}

/// TLS towards a portal. That its certificate is verified cannot be turned off.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Certificates to trust instead of the system's.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
    /// Our own certificate and key, which fit each other, if the portal asks for one.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// The name that the portal's certificate is for, if it is not the host.
    pub server_name: Option<ServerName<'static>>,
}

/// A key is the one that fits its certificate.
impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        let shown = |tls: &Self| tls.certificate.as_ref().map(|own| own.cert.clone());
        self.trusted == other.trusted
            && shown(self) == shown(other)
            && self.server_name == other.server_name
    }
}

impl Eq for UpstreamTls {}

/// How servers are asked how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for.
    pub path: CanonicalPath,
    /// How often.
    pub interval: Duration,
    /// For an answer.
    pub timeout: Duration,
    /// After how many good answers in a row a server is well.
    pub healthy_after: u32,
    /// After how many bad ones it is ill.
    pub unhealthy_after: u32,
}

/// Resolves one portal's upstream; `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    file: &UpstreamFile,
    whole: &File,
    folder: &Path,
) -> Option<Upstream> {
    let urls = urls(context, file);
    let is_secure = urls.as_ref().map(|urls| urls.iter().all(|url| url.value.scheme() == "https"));
    let servers = urls.and_then(|urls| servers(context, &urls, whole));
    let tls = match (&file.tls, is_secure) {
        (Some(tls), Some(false)) => {
            let message = "`tls` is for `https`, and the portal's URL begins with `http`";
            context.error(&tls.spot, message);
            return None;
        }
        (Some(tls), _) => Some(self::tls(context, tls, folder)?),
        (None, Some(true)) => {
            Some(UpstreamTls { trusted: None, certificate: None, server_name: None })
        }
        (None, _) => None,
    };
    let health_check = match &file.health_check {
        Some(file) => Some(health_check(file)?),
        None => None,
    };
    Some(Upstream {
        servers: servers?,
        protocol: file.protocol?,
        tls,
        connect_timeout: file.connect_timeout?,
        response_timeout: file.response_timeout?,
        idle_timeout: file.idle_timeout?,
        max_requests: file.max_requests?,
        health_check,
    })
}

/// Of one scheme, under one of the two keys.
fn urls<'a>(context: &Context<'_>, file: &'a UpstreamFile) -> Option<Vec<&'a Located<Url>>> {
    let urls: Vec<_> = match file.names {
        (true, false) => vec![file.url.as_ref()?],
        (false, true) => file.urls.as_ref()?.iter().collect(),
        (true, true) => {
            context.error(&file.spot, "`url` and `urls` say the same; keep one of them");
            return None;
        }
        (false, false) => {
            let message = "`url` is missing: scheme, host and port, such as \
                           `http://127.0.0.1:3000`";
            context.error(&file.spot, message);
            return None;
        }
    };
    let first = urls.first()?.value.scheme();
    if let Some(other) = urls.iter().find(|url| url.value.scheme() != first) {
        let message = format!("the servers of one portal are all asked over `{first}`, or none is");
        context.error(&other.spot, message);
        return None;
    }
    Some(urls)
}

fn servers(
    context: &Context<'_>,
    urls: &[&Located<Url>],
    whole: &File,
) -> Option<Vec<ServerAddress>> {
    let mut servers: Vec<ServerAddress> = Vec::new();
    let mut is_sound = true;
    for url in urls {
        let host = bare_host(&url.value);
        let server = ServerAddress { host, port: url.value.port_or_known_default()? };
        if is_ours(&server, whole) {
            let message = "this is where we listen ourselves; name where the portal listens";
            context.error(&url.spot, message);
            is_sound = false;
        } else if servers.contains(&server) {
            context.error(&url.spot, "this server is in the list already");
            is_sound = false;
        }
        servers.push(server);
    }
    is_sound.then_some(servers)
}

fn is_ours(server: &ServerAddress, whole: &File) -> bool {
    let listen = whole.listen.as_ref().and_then(|file| file.address.as_ref());
    let (Some(listen), Ok(address)) = (listen, server.host.parse::<std::net::IpAddr>()) else {
        return false;
    };
    let is_our_host = listen.value.ip() == address
        || (listen.value.ip().is_unspecified() && address.is_loopback());
    is_our_host && listen.value.port() == server.port
}

fn tls(context: &Context<'_>, file: &UpstreamTlsFile, folder: &Path) -> Option<UpstreamTls> {
    let trusted = match &file.ca {
        Some(files) => Some(tls::trusted(context, folder, files)?),
        None => None,
    };
    let certificate = match (&file.own.certificate, &file.own.key) {
        (Some(_), Some(_)) => Some(tls::certified_key(context, folder, &file.own)?),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            let message = "`certificate` and `key` go together: name both, or none";
            context.error(&one.spot, message);
            return None;
        }
    };
    Some(UpstreamTls { trusted, certificate, server_name: file.server_name.clone() })
}

fn health_check(file: &HealthCheckFile) -> Option<HealthCheck> {
    Some(HealthCheck {
        path: file.path.clone()?,
        interval: file.interval?,
        timeout: file.timeout?,
        healthy_after: file.healthy_after?,
        unhealthy_after: file.unhealthy_after?,
    })
}

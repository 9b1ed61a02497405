//! `healthcheck`: one question to the admin listener, for container images without a shell.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::{FAILED, complain, report};
use crate::config;

/// For the whole of it, from the name of the host to the status.
const LIMIT: Duration = Duration::from_secs(2);

/// Why nobody can be said to be alive.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("`--url` is a URL such as `http://127.0.0.1:9090/livez`")]
    Url,
    #[error("cannot ask {address}")]
    Ask {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{address} did not answer within {LIMIT:?}")]
    Silent { address: String },
    #[error("{address} does not answer as an HTTP server")]
    NotHttp { address: String },
    #[error("{address} answered with status {status}")]
    Status { address: String, status: u16 },
}

/// Asks the Anteport of the configuration at `path`.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    match config::admin_address(path) {
        Ok(address) => told(ask(&reachable(address).to_string(), "/livez")),
        Err(problems) => {
            report(&problems);
            ExitCode::from(FAILED)
        }
    }
}

/// Asks at `url`, for `/livez` unless it names something else.
#[must_use]
pub fn run_at(url: &str) -> ExitCode {
    told(read(url).and_then(|(address, target)| ask(&address, &target)))
}

fn told(answer: Result<(), HealthError>) -> ExitCode {
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            complain(&format!("error: {error}{cause}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Who listens everywhere is asked here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
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

fn read(url: &str) -> Result<(String, String), HealthError> {
    let url = Url::parse(url).map_err(|_| HealthError::Url)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(HealthError::Url);
    };
    if url.scheme() != "http" {
        return Err(HealthError::Url);
    }
    let target = match url.path() {
        "/" => "/livez".to_owned(),
        path => path.to_owned(),
    };
    Ok((format!("{host}:{port}"), target))
}

fn ask(address: &str, target: &str) -> Result<(), HealthError> {
    let failed = |cause| HealthError::Ask { address: address.to_owned(), cause };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let answer = runtime.block_on(async {
        let answer = tokio::time::timeout(LIMIT, first_bytes(address, target)).await;
        answer.map_err(|_| HealthError::Silent { address: address.to_owned() })
    });
    // A name that nobody resolves would be waited for.
    runtime.shutdown_background();
    let answer = answer?;
    let status = status(&answer.map_err(failed)?)
        .ok_or_else(|| HealthError::NotHttp { address: address.to_owned() })?;
    match status {
        200..=299 => Ok(()),
        status => Err(HealthError::Status { address: address.to_owned(), status }),
    }
}

/// What an answer begins with: as much as holds a status.
async fn first_bytes(address: &str, target: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take("HTTP/1.1 200".len() as u64).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

//! One question to the admin listener of a running Anteport.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("cannot ask {address}")]
    Ask {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{address} did not answer within {limit:?}")]
    Silent { address: String, limit: Duration },
    #[error("{address} does not answer as an HTTP server")]
    NotHttp { address: String },
    #[error("{address} answered with status {status}")]
    Status { address: String, status: u16 },
}

/// Who listens everywhere is asked here.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
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

/// Asks for `target`, and gives up to `most` bytes of the answer, its head included, as long as its
/// status says that all is well. All of it has to come within `limit`.
pub(super) fn ask(
    address: &str,
    target: &str,
    most: u64,
    limit: Duration,
) -> Result<Vec<u8>, AskError> {
    let failed = |cause| AskError::Ask { address: address.to_owned(), cause };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let answer = runtime.block_on(async {
        let answer = tokio::time::timeout(limit, exchange(address, target, most)).await;
        answer.map_err(|_| AskError::Silent { address: address.to_owned(), limit })
    });
    // A name that nobody resolves would be waited for.
    runtime.shutdown_background();
    let answer = answer?.map_err(failed)?;
    let status =
        status(&answer).ok_or_else(|| AskError::NotHttp { address: address.to_owned() })?;
    match status {
        200..=299 => Ok(answer),
        status => Err(AskError::Status { address: address.to_owned(), status }),
    }
}

async fn exchange(address: &str, target: &str, most: u64) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(most).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

//! One HTTP request, as a program of a few lines makes it: a connection of its own, no redirects.
//! The portal gets the proxy's keys with it, and plays the attacker with it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its content.
    pub(super) body: Bytes,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is not a plain http URL")]
    Url(String),
    #[error("no connection to {0}")]
    Connect(String, #[source] std::io::Error),
    #[error("the request or its answer broke off")]
    Http(#[from] hyper::Error),
    #[error("the answer is too long or broke off")]
    Body,
    #[error("no answer in time")]
    TimedOut,
}

const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: usize = 256 * 1024;

/// Sends `GET url` with `headers`.
pub(super) async fn get(url: &Url, headers: &[(&str, &str)]) -> Result<Fetched, FetchError> {
    tokio::time::timeout(PATIENCE, exchange(url, headers))
        .await
        .map_err(|_| FetchError::TimedOut)?
}

async fn exchange(url: &Url, headers: &[(&str, &str)]) -> Result<Fetched, FetchError> {
    let not_a_url = || FetchError::Url(url.to_string());
    let (Some(host), Some(port), "http") =
        (url.host_str(), url.port_or_known_default(), url.scheme())
    else {
        return Err(not_a_url());
    };
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut request = Request::get(target).header(HOST, &authority);
    for (name, value) in headers {
        // A value from configuration may be no header value; then there is nothing to send.
        let value = HeaderValue::from_str(value).map_err(|_| not_a_url())?;
        request = request.header(*name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| not_a_url())?;

    let socket = TcpStream::connect((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|error| FetchError::Connect(authority, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST)
        .collect()
        .await
        .map_err(|_| FetchError::Body)?
        .to_bytes();
    driver.abort();
    Ok(Fetched { status, body })
}

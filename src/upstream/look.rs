//! One look at a portal's page, for `doctor`: a GET without anybody's name, beside the requests of
//! visitors. Redirects are not followed. Deliberately not here: what the page says.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::servers::Servers;
use super::stream::Stream;
use super::{Forwarding, UpstreamError, limits};
use crate::certificate::Certificate;
use crate::config::Protocol;
use crate::gate::Timestamp;

/// How much of a page is read; a form for signing in is at its beginning.
const LARGEST: usize = 512 * 1024;

/// What a portal answered.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As much of it as is read.
    pub(crate) body: Bytes,
}

/// What a connection to a server told.
#[derive(Debug)]
pub(crate) struct Connected {
    /// When the certificate that it showed ends, if there is TLS.
    pub(crate) certificate_ends: Option<Timestamp>,
}

impl Servers {
    /// Connects to one server, and leaves again.
    ///
    /// # Errors
    /// Why it cannot be connected to.
    pub(crate) async fn knock(&self, index: usize) -> Result<Connected, UpstreamError> {
        let certificate_ends = match self.connect(index).await? {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let own = shown.and_then(|shown| shown.first());
                own.and_then(|own| Certificate::read(own)).map(|own| own.ends())
            }
        };
        Ok(Connected { certificate_ends })
    }

    /// Asks one server for a page, as we would ask it for a visitor.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn look(
        &self,
        index: usize,
        target: &str,
        forwarding: Forwarding<'_>,
    ) -> Result<Page, UpstreamError> {
        let limit = self.settings.response_timeout;
        let looking = self.ask_for(index, target, forwarding);
        timeout(limit, looking).await.map_err(|_| UpstreamError::ResponseTimeout(limit))?
    }

    async fn ask_for(
        &self,
        index: usize,
        target: &str,
        forwarding: Forwarding<'_>,
    ) -> Result<Page, UpstreamError> {
        let stream = TokioIo::new(self.connect(index).await?);
        let mut request = Request::get(target).body(Empty::<Bytes>::new()).map_err(odd)?;
        for (name, value) in forwarding.headers() {
            request.headers_mut().insert(name, value.clone());
        }
        let headers = request.headers_mut();
        headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("text/html,*/*"));
        let agent = concat!("anteport/", env!("CARGO_PKG_VERSION"), " (doctor)");
        headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static(agent));
        match self.settings.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = http1::Builder::new()
                    .max_buf_size(limits::CHECK_HEAD)
                    .handshake(stream)
                    .await
                    .map_err(UpstreamError::Exchange)?;
                while_driven(sender.send_request(request), connection).await
            }
            Protocol::Http2 => {
                let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
                let uri = Uri::builder().scheme(scheme).authority(forwarding.host.as_bytes());
                *request.uri_mut() = uri.path_and_query(target).build().map_err(odd)?;
                request.headers_mut().remove(http::header::HOST);
                let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .max_header_list_size(limits::HTTP2_HEADERS)
                    .handshake(stream)
                    .await
                    .map_err(UpstreamError::Exchange)?;
                while_driven(sender.send_request(request), connection).await
            }
        }
    }
}

fn odd(error: http::Error) -> UpstreamError {
    UpstreamError::Connection(std::io::Error::other(error))
}

/// The answer, with as much of its body as is read; its connection is driven until then.
async fn while_driven(
    answer: impl Future<Output = hyper::Result<http::Response<Incoming>>>,
    connection: impl Future,
) -> Result<Page, UpstreamError> {
    let reading = async {
        let (head, mut body) = answer.await.map_err(UpstreamError::Exchange)?.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(UpstreamError::Exchange)?.into_data() else {
                continue; // trailers, which mean nothing here
            };
            let room = LARGEST.saturating_sub(read.len());
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if read.len() >= LARGEST {
                break;
            }
        }
        Ok(Page { status: head.status, headers: head.headers, body: read.freeze() })
    };
    let mut reading = std::pin::pin!(reading);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        page = &mut reading => page,
        // The connection may be done while its last bytes wait to be taken.
        _ = &mut connection => reading.await,
    }
}

//! One visitor's connection, from the socket to its requests.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http::HeaderValue;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::request::Head;
use super::worker::{Shutdown, Worker};
use super::{http1, limits};
use crate::gate::RawTarget;
use crate::telemetry::metrics::Handshake;
use crate::upstream::RequestBody;

/// What a request inherits from its connection. Never an identity (GEN-05).
#[derive(Debug)]
pub(super) struct Peer {
    /// The visitor's address, as the portal is told it.
    pub(super) address: HeaderValue,
}

impl Peer {
    fn new(address: IpAddr) -> Self {
        // An address is digits, letters, dots and colons: always a header value.
        let address = HeaderValue::try_from(address.to_canonical().to_string());
        Self { address: address.unwrap_or(HeaderValue::from_static("unknown")) }
    }
}

/// Serves a connection until it ends, or, once a stop is asked for, until what it carries is done.
pub(super) async fn serve(
    worker: Arc<Worker>,
    stream: TcpStream,
    address: IpAddr,
    tls: Option<TlsAcceptor>,
    shutdown: Shutdown,
) {
    // A socket that refuses this still works, with more delay.
    let _ = stream.set_nodelay(true);
    let peer = Arc::new(Peer::new(address));
    let Some(tls) = tls else {
        return http1::serve(worker, stream, &peer, shutdown).await;
    };
    let handshake = tokio::time::timeout(limits::HANDSHAKE_TIME, tls.accept(stream)).await;
    let metrics = Arc::clone(&worker.proxy.metrics);
    match handshake {
        Ok(Ok(stream)) => {
            metrics.tls_handshake(Handshake::Ok);
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(super::tls::H2);
            if is_h2 {
                serve_http2(worker, TokioIo::new(stream), peer, shutdown).await;
            } else {
                http1::serve(worker, stream, &peer, shutdown).await;
            }
        }
        Ok(Err(_)) => metrics.tls_handshake(Handshake::Failed),
        Err(_) => metrics.tls_handshake(Handshake::Timeout),
    }
}

async fn serve_http2<I>(worker: Arc<Worker>, stream: I, peer: Arc<Peer>, shutdown: Shutdown)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (worker, peer) = (Arc::clone(&worker), Arc::clone(&peer));
        let (head, body) = request.into_parts();
        let (method, headers) = (head.method, head.headers);
        let head = Head { method, target: RawTarget::Pseudo(head.uri), headers };
        let body = RequestBody::http2(body);
        async move { Ok::<_, std::convert::Infallible>(worker.handle(&peer, head, body).await) }
    });
    let header_list = u32::try_from(limits::HEAD_BYTES).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_header_list_size(header_list)
        .max_pending_accept_reset_streams(limits::RESETS)
        .max_local_error_reset_streams(limits::RESETS)
        .max_send_buf_size(limits::STREAM_WINDOW as usize)
        .keep_alive_interval(limits::PING_EVERY)
        .keep_alive_timeout(limits::PING_TIME)
        .serve_connection(stream, service);
    let _ = until_stopped(connection, shutdown, |connection| connection.graceful_shutdown()).await;
}

/// Runs a connection to its end; once a stop is asked for, lets it finish what it carries. It is
/// polled for every request, so the stop is listened for once and then only looked at.
async fn until_stopped<C: Future>(
    connection: C,
    shutdown: Shutdown,
    finish: impl Fn(Pin<&mut C>),
) -> C::Output {
    let mut connection = pin!(connection);
    let mut told = pin!(shutdown.clone().told());
    let mut is_listening = false;
    let mut is_finishing = false;
    poll_fn(|cx| {
        if !is_listening {
            is_listening = true;
            // Ready or not: the flag below says so too.
            let _ = told.as_mut().poll(cx);
        }
        if !is_finishing && shutdown.is_asked() {
            is_finishing = true;
            finish(connection.as_mut());
        }
        connection.as_mut().poll(cx)
    })
    .await
}

//! One visitor's connection, from the socket to its requests.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::peer::Peer;
use super::worker::{Shutdown, Worker};
use super::{http2, limits};
use crate::telemetry::metrics::Handshake;

/// Serves a connection until it ends, or, once a stop is asked for, until what it carries is done.
pub(super) async fn serve(
    worker: Arc<Worker>,
    mut stream: TcpStream,
    address: IpAddr,
    tls: Option<TlsAcceptor>,
    shutdown: Shutdown,
) {
    // A socket that refuses this still works, with more delay.
    let _ = stream.set_nodelay(true);
    let Some(peer) = worker.proxy.peer(&mut stream, address).await else {
        return;
    };
    let peer = Arc::new(peer);
    let Some(tls) = tls else {
        return serve_http1(worker, TokioIo::new(stream), peer, shutdown).await;
    };
    let handshake = tokio::time::timeout(limits::HANDSHAKE_TIME, tls.accept(stream)).await;
    let metrics = Arc::clone(&worker.proxy.metrics);
    match handshake {
        Ok(Ok(stream)) => {
            metrics.tls_handshake(Handshake::Ok);
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(super::tls::H2);
            let stream = TokioIo::new(stream);
            if is_h2 {
                http2::serve(worker, stream, peer, shutdown).await;
            } else {
                serve_http1(worker, stream, peer, shutdown).await;
            }
        }
        Ok(Err(_)) => metrics.tls_handshake(Handshake::Failed),
        Err(_) => metrics.tls_handshake(Handshake::Timeout),
    }
}

async fn serve_http1<I>(worker: Arc<Worker>, stream: I, peer: Arc<Peer>, shutdown: Shutdown)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (worker, peer) = (Arc::clone(&worker), Arc::clone(&peer));
        async move { Ok::<_, std::convert::Infallible>(worker.handle(&peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::HEAD_BYTES)
        .half_close(false)
        .keep_alive(true)
        .serve_connection(stream, service);
    // How a visitor's connection ends is theirs to choose; what they asked for has been accounted.
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

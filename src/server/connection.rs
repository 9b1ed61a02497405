//! One visitor's connection, from the socket to its requests.

use std::net::IpAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stop::Shutdown;
use super::worker::{Entrance, Seat};
use super::{http1, http2, limits};
use crate::telemetry::metrics::Handshake;

/// Serves a connection until it ends, or, once a stop is asked for, until what it carries is done.
pub(super) async fn serve(
    seat: Arc<Seat>,
    mut stream: TcpStream,
    address: IpAddr,
    tls: Option<TlsAcceptor>,
    shutdown: Shutdown,
) {
    // A socket that refuses this still works, with more delay.
    let _ = stream.set_nodelay(true);
    let proxy = Arc::clone(&seat.now().proxy);
    let Some(peer) = proxy.peer(&mut stream, address).await else {
        return;
    };
    let metrics = Arc::clone(&proxy.metrics);
    // Of what is in force now nothing is kept: a connection may outlive it by hours.
    drop(proxy);
    let peer = Arc::new(peer);
    let Some(tls) = tls else {
        return http1::serve(seat, stream, &peer, shutdown).await;
    };
    let handshake = tokio::time::timeout(limits::HANDSHAKE_TIME, tls.accept(stream)).await;
    match handshake {
        Ok(Ok(stream)) => {
            metrics.tls_handshake(Handshake::Ok);
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(super::tls::H2);
            if is_h2 {
                let stream = TokioIo::new(stream);
                http2::serve(Entrance::Visitors, seat, stream, peer, shutdown).await;
            } else {
                http1::serve(seat, stream, &peer, shutdown).await;
            }
        }
        Ok(Err(_)) => metrics.tls_handshake(Handshake::Failed),
        Err(_) => metrics.tls_handshake(Handshake::Timeout),
    }
}

//! Connections in, for both partners: HTTP/1.1, over TLS where that is wanted, and on loopback
//! only; and the two ways in which one ends that is not as it should be.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Answer, Body};

/// How long open connections may go on after the end.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Answers requests with `handler` until `shutdown` completes.
///
/// # Errors
/// A listener that is not on loopback (CFG-05).
pub(super) async fn serve<H, F>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    handler: H,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the demo listens on loopback only, and {address} is not"),
        ));
    }
    let mut shutdown = pin!(shutdown);
    let tls = tls.map(TlsAcceptor::from);
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let (tls, handler, stopped) = (tls.clone(), handler.clone(), stopped.clone());
                    connections.spawn(accept(socket, tls, handler, stopped));
                }
                // Out of file descriptors, most likely: some come back.
                Err(_) => time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if time::timeout(DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn accept<H, F>(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: H,
    stopped: watch::Receiver<()>,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    // Small answers must not wait for an acknowledgement of the one before.
    let _ = socket.set_nodelay(true);
    match tls {
        None => connection(socket, handler, stopped).await,
        Some(tls) => {
            // Somebody who does not trust us, or speaks no TLS, is gone: their affair.
            if let Ok(Ok(stream)) = time::timeout(HANDSHAKE, tls.accept(socket)).await {
                connection(stream, handler, stopped).await;
            }
        }
    }
}

async fn connection<S, H, F>(stream: S, handler: H, mut stopped: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move {
            let answer = answer.await;
            match answer.extensions().get::<NoAnswer>() {
                Some(none) => Err(*none),
                None => Ok(answer),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // A connection that breaks is the other side's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// In place of an answer: the connection just ends.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("told to end the connection")]
struct NoAnswer;

/// No answer: the connection ends.
pub(super) fn without_an_answer() -> Answer {
    let mut answer = answer::bytes(StatusCode::OK, "text/plain", "");
    answer.extensions_mut().insert(NoAnswer);
    answer
}

/// A body that does not say how long it is, so that a header can say something else.
pub(super) fn of_unknown_length(content: Bytes) -> Body {
    Full::new(content).map_frame(|frame| frame).boxed_unsync()
}

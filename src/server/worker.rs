//! A worker: one core's event loop with its own listener and its own connections to the portals.
//! What workers share is read by all and written by few.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::admission::Place;
use super::{Proxy, connection, limits, listener};
use crate::telemetry::metrics::ConnectionRefusal;
use crate::upstream::Upstream;

/// One core's share of the work.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    /// By the index of their portal.
    pub(super) upstreams: Vec<Upstream>,
}

impl Worker {
    fn tidy(&self) {
        for (index, upstream) in self.upstreams.iter().enumerate() {
            self.proxy.metrics.portal(index).upstream_idle.shift(upstream.tidy());
        }
    }
}

/// Tells whether a stop has been asked for. Clones are told together.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
    /// The same, for whoever looks at it with every request: reading it writes nothing.
    flag: Arc<AtomicBool>,
}

/// Asks for a stop.
#[derive(Debug)]
pub struct Stop {
    ask: watch::Sender<bool>,
    flag: Arc<AtomicBool>,
}

impl Stop {
    /// A stop that nobody has asked for yet.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (ask, asked) = watch::channel(false);
        let flag = Arc::new(AtomicBool::new(false));
        (Self { ask, flag: Arc::clone(&flag) }, Shutdown { asked, flag })
    }

    /// Asks everybody to finish what they are at. Dropping asks too.
    pub fn ask(&self) {
        self.flag.store(true, Ordering::Release);
        self.ask.send_replace(true);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.ask();
    }
}

impl Shutdown {
    /// Whether a stop has been asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Returns once a stop has been asked for.
    pub(super) async fn told(mut self) {
        self.asked().await;
    }

    /// Returns once a stop has been asked for.
    pub async fn asked(&mut self) {
        // An error means that whoever could ask is gone, which asks as well.
        let _ = self.asked.wait_for(|asked| *asked).await;
    }
}

/// The running workers.
#[derive(Debug)]
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Waits until all have ended, which takes a stop and at most the time to drain.
    pub fn join(self) {
        for worker in self.0 {
            // A worker that panicked has been reported by the panic itself.
            let _ = worker.join();
        }
    }
}

/// Starts one worker for each bound socket.
///
/// # Errors
/// When a thread, a runtime or TLS cannot be set up.
pub fn run(
    listeners: Vec<TcpListener>,
    proxy: &Arc<Proxy>,
    shutdown: &Shutdown,
) -> io::Result<Workers> {
    let mut workers = Vec::with_capacity(listeners.len());
    for (number, listener) in listeners.into_iter().enumerate() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let tls = proxy.tls.as_ref().map(super::tls::acceptor).transpose();
        let tls = tls.map_err(io::Error::other)?;
        let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(thread.spawn(move || {
            runtime.block_on(accept(listener, proxy, tls, shutdown));
        })?);
    }
    Ok(Workers(workers))
}

async fn accept(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
    mut shutdown: Shutdown,
) {
    let upstreams = proxy.portals.iter().map(|portal| Upstream::new(Arc::clone(&portal.servers)));
    let worker = Arc::new(Worker { upstreams: upstreams.collect(), proxy });
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => {
            tracing::error!(%cause, "a worker could not use its listener");
            return;
        }
    };
    let mut open = JoinSet::new();
    let mut tidy = tokio::time::interval(limits::TIDY_EVERY);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => take(&mut open, &worker, (stream, from), &tls, &shutdown),
                Err(cause) => {
                    // Mostly too many descriptors: those in use will be given back.
                    tracing::warn!(%cause, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(ended) = open.join_next() => report(&worker.proxy, ended),
            _ = tidy.tick() => worker.tidy(),
            () = shutdown.asked() => break,
        }
    }
    // Who waits in the kernel's queue was let in, too, and would be cut off with the listener.
    if let Ok(listener) = listener.into_std() {
        listener::keep_out(&listener);
        tokio::time::sleep(limits::LAST_CALL).await;
        while let Ok((stream, from)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                take(&mut open, &worker, (stream, from), &tls, &shutdown);
            }
        }
    }
    let drained = tokio::time::timeout(limits::DRAIN_TIME, async {
        while let Some(ended) = open.join_next().await {
            report(&worker.proxy, ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = open.len(),
            "connections were cut at the end of the drain time"
        );
    }
}

/// Serves a connection that was accepted.
fn take(
    open: &mut JoinSet<()>,
    worker: &Arc<Worker>,
    (stream, from): (TcpStream, SocketAddr),
    tls: &Option<TlsAcceptor>,
    shutdown: &Shutdown,
) {
    // Taken and closed at once: whoever waited in the kernel's queue would not know.
    let Some(counted) = Counted::new(&worker.proxy) else {
        worker.proxy.refuse_connection(ConnectionRefusal::Total, from.ip());
        return;
    };
    let (tls, shutdown) = (tls.clone(), shutdown.clone());
    let serving = connection::serve(Arc::clone(worker), stream, from.ip(), tls, shutdown);
    open.spawn(counted.during(serving));
}

/// A panic ends its own connection and nothing else (REL-14); it is counted.
fn report(proxy: &Proxy, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        proxy.metrics.panics.add();
        tracing::error!("a connection ended in a panic");
    }
}

/// One open connection in the metrics, however it ends.
struct Counted {
    proxy: Arc<Proxy>,
    _place: Place,
}

impl Counted {
    /// `None` if there are as many as there may be (LIM-02).
    fn new(proxy: &Arc<Proxy>) -> Option<Self> {
        let place = proxy.admission.place()?;
        proxy.metrics.connections.up();
        Some(Self { proxy: Arc::clone(proxy), _place: place })
    }

    async fn during(self, serving: impl Future<Output = ()>) {
        serving.await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.proxy.metrics.connections.down();
    }
}

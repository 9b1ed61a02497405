//! A worker: one core's event loop with its own listener and its own connections to the portals.
//! What workers share is read by all and written by few.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::admission::Place;
use super::{Proxy, connection, grpc, limits, listener};
use crate::telemetry::metrics::{ConnectionRefusal, Metrics};
use crate::upstream::{Servers, Upstream};

/// One core's share of the work, under one configuration.
pub(super) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    /// By the index of their portal.
    pub(super) upstreams: Vec<Arc<Upstream>>,
    tls: Option<TlsAcceptor>,
    /// For those who ask over gRPC.
    grpc_tls: Option<TlsAcceptor>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// Requests.
    Visitors,
    /// Questions about requests, over gRPC.
    Questions,
}

impl Worker {
    /// A worker without any connections.
    ///
    /// # Errors
    /// When TLS cannot be set up, which is a fault of the build.
    pub(super) fn new(proxy: &Arc<Proxy>) -> Result<Self, rustls::Error> {
        let portals = proxy.portals.iter();
        let upstreams =
            portals.map(|portal| Arc::new(Upstream::new(Arc::clone(&portal.servers)))).collect();
        let tls = proxy.tls.as_ref().map(super::tls::acceptor).transpose()?;
        let grpc_tls = proxy.grpc_tls().map(super::tls::acceptor_of_http2).transpose()?;
        Ok(Self { proxy: Arc::clone(proxy), upstreams, tls, grpc_tls })
    }

    /// The same under another configuration: connections to servers that are the same are kept, and
    /// so is what visitors resume TLS sessions by, with the same certificate.
    fn next(&self, proxy: &Arc<Proxy>) -> Result<Self, rustls::Error> {
        let mut next = Self::new(proxy)?;
        for upstream in &mut next.upstreams {
            if let Some(kept) = self.to(upstream.servers()) {
                *upstream = Arc::clone(kept);
            }
        }
        if is_same(self.proxy.tls.as_deref(), proxy.tls.as_deref()) {
            next.tls.clone_from(&self.tls);
        }
        let (before, now) = (self.proxy.grpc_tls(), proxy.grpc_tls());
        if is_same(before.map(Arc::as_ref), now.map(Arc::as_ref)) {
            next.grpc_tls.clone_from(&self.grpc_tls);
        }
        Ok(next)
    }

    /// The connections to these servers.
    fn to(&self, servers: &Arc<Servers>) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| Arc::ptr_eq(upstream.servers(), servers))
    }

    fn tidy(&self) {
        for (index, upstream) in self.upstreams.iter().enumerate() {
            self.proxy.metrics.portal(index).upstream_idle.shift(upstream.tidy());
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// A key is the one that fits its certificate.
fn is_same(one: Option<&CertifiedKey>, other: Option<&CertifiedKey>) -> bool {
    one.map(|certified| &certified.cert) == other.map(|certified| &certified.cert)
}

/// Where a worker's connections find what is in force. Exchanging it waits for nobody: a request
/// ends under the configuration under which it began.
#[derive(Debug)]
pub(super) struct Seat(ArcSwap<Worker>);

impl Seat {
    pub(super) fn new(worker: Worker) -> Self {
        Self(ArcSwap::from_pointee(worker))
    }

    /// What is in force.
    pub(super) fn now(&self) -> Arc<Worker> {
        self.0.load_full()
    }

    /// Makes `worker` what is in force. Once for each request: it writes nothing that others read.
    pub(super) fn renew(&self, worker: &mut Arc<Worker>) {
        let now = self.0.load();
        if !Arc::ptr_eq(&now, worker) {
            *worker = Arc::clone(&now);
        }
    }

    /// What will be in force here under another configuration.
    ///
    /// # Errors
    /// As [`Worker::new`].
    pub(super) fn next(&self, proxy: &Arc<Proxy>) -> Result<Worker, rustls::Error> {
        self.0.load().next(proxy)
    }

    /// Puts it in force.
    pub(super) fn put(&self, worker: Worker) {
        let before = self.0.swap(Arc::new(worker));
        let now = self.0.load();
        for (index, upstream) in before.upstreams.iter().enumerate() {
            if now.to(upstream.servers()).is_none() {
                before.proxy.metrics.portal(index).upstream_idle.shift(upstream.retire());
            }
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

/// Starts one worker for each bound socket, on the seat of its place; beside visitors, each serves
/// those who ask over gRPC, if there are sockets for them.
///
/// # Errors
/// When a thread or a runtime cannot be set up.
pub(super) fn run(
    listeners: Vec<TcpListener>,
    questions: Vec<TcpListener>,
    seats: &[Arc<Seat>],
    shutdown: &Shutdown,
) -> io::Result<Workers> {
    let mut workers = Vec::with_capacity(listeners.len());
    let mut questions = questions.into_iter();
    for (number, (listener, seat)) in listeners.into_iter().zip(seats).enumerate() {
        let questions = questions.next();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (seat, shutdown) = (Arc::clone(seat), shutdown.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(thread.spawn(move || {
            let asked = async {
                if let Some(questions) = questions {
                    let (seat, shutdown) = (Arc::clone(&seat), shutdown.clone());
                    accept(Entrance::Questions, questions, seat, shutdown).await;
                }
            };
            let visited = accept(Entrance::Visitors, listener, Arc::clone(&seat), shutdown.clone());
            runtime.block_on(async { tokio::join!(visited, asked) });
        })?);
    }
    Ok(Workers(workers))
}

async fn accept(
    entrance: Entrance,
    listener: TcpListener,
    seat: Arc<Seat>,
    mut shutdown: Shutdown,
) {
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
                Ok((stream, from)) => take(entrance, &mut open, &seat, (stream, from), &shutdown),
                Err(cause) => {
                    // Mostly too many descriptors: those in use will be given back.
                    tracing::warn!(%cause, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(ended) = open.join_next() => report(&seat, ended),
            _ = tidy.tick() => seat.now().tidy(),
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
                take(entrance, &mut open, &seat, (stream, from), &shutdown);
            }
        }
    }
    let drained = tokio::time::timeout(limits::DRAIN_TIME, async {
        while let Some(ended) = open.join_next().await {
            report(&seat, ended);
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
    entrance: Entrance,
    open: &mut JoinSet<()>,
    seat: &Arc<Seat>,
    (stream, from): (TcpStream, SocketAddr),
    shutdown: &Shutdown,
) {
    let worker = seat.now();
    // Taken and closed at once: whoever waited in the kernel's queue would not know.
    let Some(counted) = Counted::new(&worker.proxy) else {
        worker.proxy.refuse_connection(ConnectionRefusal::Total, from.ip());
        return;
    };
    let (seat, shutdown) = (Arc::clone(seat), shutdown.clone());
    match entrance {
        Entrance::Visitors => {
            let tls = worker.tls.clone();
            let serving = connection::serve(seat, stream, from.ip(), tls, shutdown);
            open.spawn(counted.during(serving));
        }
        Entrance::Questions => {
            let tls = worker.grpc_tls.clone();
            let serving = grpc::serve(seat, stream, from.ip(), tls, shutdown);
            open.spawn(counted.during(serving));
        }
    }
}

/// A panic ends its own connection and nothing else (REL-14); it is counted.
fn report(seat: &Seat, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        seat.now().proxy.metrics.panics.add();
        tracing::error!("a connection ended in a panic");
    }
}

/// One open connection in the metrics, however it ends.
struct Counted {
    metrics: Arc<Metrics>,
    _place: Place,
}

impl Counted {
    /// `None` if there are as many as there may be (LIM-02).
    fn new(proxy: &Arc<Proxy>) -> Option<Self> {
        let place = proxy.admission.place()?;
        proxy.metrics.connections.up();
        Some(Self { metrics: Arc::clone(&proxy.metrics), _place: place })
    }

    async fn during(self, serving: impl Future<Output = ()>) {
        serving.await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.connections.down();
    }
}

//! A worker: one core's event loop with its own listener and its own connections to the portals.
//! What workers share is read by all and written by few.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::admission::Place;
use super::sockets::Listeners;
use super::stop::{Shutdown, Stage};
use super::{Proxy, connection, grpc, limits, listener};
use crate::supervisor::Pulse;
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

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<usize>>,
    pulse: Arc<Pulse>,
}

impl Workers {
    /// Waits until all have ended, which takes a stop and at most the time to drain. Says how many
    /// connections were cut.
    pub fn join(self) -> usize {
        // A worker that panicked has been reported by the panic itself.
        self.threads.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    }

    /// Whether their event loops turn.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }
}

/// Starts one worker for each bound socket, on the seat of its place; beside visitors, each serves
/// those who ask over gRPC, if there are sockets for them.
///
/// # Errors
/// When a thread or a runtime cannot be set up.
pub(super) fn run(
    listeners: Listeners,
    seats: &[Arc<Seat>],
    shutdown: &Shutdown,
) -> io::Result<Workers> {
    let Listeners { sockets, are_shared, questions, questions_are_shared } = listeners;
    let mut questions = questions.into_iter();
    let mut threads = Vec::with_capacity(sockets.len());
    let mut pulse = Pulse::default();
    for (number, (listener, seat)) in sockets.into_iter().zip(seats).enumerate() {
        let questions = questions.next();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (seat, shutdown) = (Arc::clone(seat), shutdown.clone());
        let beat = pulse.beat();
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || {
            let left = runtime.block_on(async {
                tokio::spawn(beat.answer());
                let asked = async {
                    let Some(questions) = questions else { return 0 };
                    let (seat, shutdown) = (Arc::clone(&seat), shutdown.clone());
                    let questions = (questions, questions_are_shared);
                    accept(Entrance::Questions, questions, seat, shutdown).await
                };
                let (seat, shutdown) = (Arc::clone(&seat), shutdown.clone());
                let visited = accept(Entrance::Visitors, (listener, are_shared), seat, shutdown);
                let (visitors, askers) = tokio::join!(visited, asked);
                visitors.saturating_add(askers)
            });
            // A name that nobody resolves would be waited for.
            runtime.shutdown_background();
            left
        })?);
    }
    Ok(Workers { threads, pulse: Arc::new(pulse) })
}

/// Lets visitors, or those who ask over gRPC, in until a stop is asked for, and serves them to its
/// end. Says how many connections were cut then.
async fn accept(
    entrance: Entrance,
    (listener, is_shared): (TcpListener, bool),
    seat: Arc<Seat>,
    mut shutdown: Shutdown,
) -> usize {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => {
            tracing::error!(%cause, "a worker could not use its listener");
            return 0;
        }
    };
    let mut open = JoinSet::new();
    let mut tidy = tokio::time::interval(limits::TIDY_EVERY);
    let mut stage = Stage::Open;
    loop {
        tokio::select! {
            accepted = listener.accept(), if stage == Stage::Open => match accepted {
                Ok((stream, from)) => take(entrance, &mut open, &seat, (stream, from), &shutdown),
                Err(cause) => {
                    // Mostly too many descriptors: those in use will be given back.
                    tracing::warn!(%cause, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(ended) = open.join_next() => report(&seat, ended),
            _ = tidy.tick() => seat.now().tidy(),
            next = shutdown.other_than(stage) => match next {
                Stage::Open | Stage::Paused => stage = next,
                Stage::Closing | Stage::Left => { stage = next; break; }
            },
        }
    }
    // Who waits in the kernel's queue was let in, too, and would be cut off with the listener. The
    // queue of one that others listen on as well is theirs from here on.
    if stage == Stage::Closing
        && !is_shared
        && let Ok(listener) = listener.into_std()
    {
        listener::keep_out(&listener);
        tokio::time::sleep(limits::LAST_CALL).await;
        while let Ok((stream, from)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                take(entrance, &mut open, &seat, (stream, from), &shutdown);
            }
        }
    }
    let drained = async {
        while let Some(ended) = open.join_next().await {
            report(&seat, ended);
        }
    };
    tokio::select! {
        () = drained => {}
        () = shutdown.cut() => {}
    }
    let left = open.len();
    open.shutdown().await;
    left
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::gate::Timestamp;
    use crate::server::Limits;
    use crate::telemetry::log::DroppedLines;

    const CONFIG: &str = r#"
listen: { address: "127.0.0.1:1" }
portals:
  - public_url: "http://127.0.0.1:1"
    upstream: { url: "http://127.0.0.1:2" }
    mode: "off"
"#;

    #[tokio::test]
    async fn rel_14_a_panic_is_counted() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let loaded = crate::config::parse("tests.yaml", CONFIG, &|_| None, now);
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
        let (clock, limits) = (Clock::at(now), Limits::default());
        let proxy = Proxy::new(config, clock, DroppedLines::default(), limits).unwrap();
        let seat = Seat::new(Worker::new(&Arc::new(proxy)).unwrap());
        let mut open = JoinSet::new();
        open.spawn(async {});
        open.spawn(async { panic!("as a fault of ours would") });
        while let Some(ended) = open.join_next().await {
            report(&seat, ended);
        }
        let metrics = seat.now().proxy.metrics.render(now);
        assert!(metrics.contains("\nanteport_panics_total 1\n"));
    }
}

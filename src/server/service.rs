//! A proxy that is up: its sockets, its workers, and what runs beside them. `run`, the demo and
//! the tests start it alike.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::current::Current;
use super::reload::{self, Reason, Reloads, Source};
use super::worker::{Stop, Workers};
use super::{Limits, Proxy, SetUpError, limits, listener, worker};
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry::admin::{self, AdminState, Readiness};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::log::DroppedLines;

/// A proxy that is up.
#[derive(Debug)]
pub struct Service {
    current: Arc<Current>,
    workers: Workers,
    stop: Stop,
    admin: TcpListener,
    admin_state: Arc<AdminState>,
    address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    look_again: Arc<Notify>,
    reloads: Option<Arc<Reloads>>,
}

/// Why a proxy is not up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{what} cannot be listened on")]
    Listen {
        /// `listen.address`, `verify.grpc.address` or `admin.address`.
        what: &'static str,
        /// The system's reason, with the address.
        #[source]
        cause: io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("the workers could not be started")]
    Workers(#[source] io::Error),
    /// The proxy could not be put together.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
}

impl Service {
    /// Listens, then serves. Visitors get answers as soon as this returns; that the provider can
    /// be reached is no condition.
    ///
    /// # Errors
    /// What stands in the way; nothing is left listening then.
    pub fn start(
        config: Config,
        clock: Clock,
        dropped_lines: DroppedLines,
    ) -> Result<Self, StartError> {
        Self::start_within(config, clock, dropped_lines, Limits::default())
    }

    /// [`Service::start`], with other limits.
    ///
    /// # Errors
    /// As there.
    pub fn start_within(
        config: Config,
        clock: Clock,
        dropped_lines: DroppedLines,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let listeners = listener::bind(config.listen.address, listener::workers())
            .map_err(|cause| StartError::Listen { what: "listen.address", cause })?;
        let grpc = config.grpc_address().map(|address| listener::bind(address, listeners.len()));
        let grpc = grpc
            .transpose()
            .map_err(|cause| StartError::Listen { what: "verify.grpc.address", cause })?;
        let grpc = grpc.unwrap_or_default();
        let grpc_address = grpc.first().and_then(|listener| listener.local_addr().ok());
        let admin = TcpListener::bind(config.admin)
            .and_then(|admin| admin.set_nonblocking(true).map(|()| admin))
            .map_err(|cause| StartError::Listen { what: "admin.address", cause })?;
        let address = listeners.first().map_or(Ok(config.listen.address), TcpListener::local_addr);
        let address = address.map_err(StartError::Workers)?;
        let proxy = Proxy::new(config, clock.clone(), dropped_lines, limits)?;
        let current = Arc::new(Current::new(proxy, listeners.len())?);
        let admin_state = Arc::new(asked_of(&current, AdminState::new(clock)));
        let (stop, shutdown) = Stop::new();
        let workers = worker::run(listeners, grpc, current.seats(), &shutdown)
            .map_err(StartError::Workers)?;
        // Only now, so that a process that cannot listen leaves it to the one that can.
        let restored = current.now();
        let thread = std::thread::Builder::new().name("snapshot".to_owned());
        thread.spawn(move || restored.restore_sessions()).map_err(StartError::Workers)?;
        let look_again = Arc::default();
        Ok(Self {
            current,
            workers,
            stop,
            admin,
            admin_state,
            address,
            grpc_address,
            look_again,
            reloads: None,
        })
    }

    /// Where visitors connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where servers ask over gRPC, if any may.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// Where health and metrics are.
    ///
    /// # Errors
    /// The system's.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Tell this to have files looked at again at once that may be written anew.
    #[must_use]
    pub fn look_again(&self) -> Arc<Notify> {
        Arc::clone(&self.look_again)
    }

    /// Has the configuration read again from there, when it is asked for or its files change. What is
    /// returned is for whoever has another way to ask.
    #[must_use]
    pub fn reload_from(&mut self, source: Source) -> Arc<Reloads> {
        let reloads = Arc::new(Reloads::new(Arc::clone(&self.current), source));
        let asked = Arc::clone(&reloads);
        self.admin_state.reload_by(move || {
            let asked = Arc::clone(&asked);
            Box::pin(async move { reload::told(&asked.reload_beside(Reason::Asked).await) })
        });
        self.reloads = Some(Arc::clone(&reloads));
        reloads
    }

    /// Looks after everything that is not a visitor's request, until a stop is asked for; then
    /// lets open requests finish and returns.
    pub async fn attend(self, stop_asked: impl Future<Output = ()>) {
        let Self { current, workers, stop, admin, admin_state, look_again, reloads, .. } = self;
        let mut beside = JoinSet::new();
        let attended = Arc::clone(&current);
        beside.spawn(async move { attended.look_after().await });
        let sessions = current.now().sessions();
        let kept = Arc::clone(&sessions);
        beside.spawn(async move { kept.keep().await });
        let (watched, kept) = (Arc::clone(&current), Arc::clone(&current));
        beside.spawn(async move {
            let mut every = tokio::time::interval(limits::TIDY_SESSIONS_EVERY);
            loop {
                every.tick().await;
                watched.now().end_expired().await;
            }
        });
        beside.spawn(async move {
            let mut every = tokio::time::interval(limits::TIDY_SESSIONS_EVERY);
            loop {
                every.tick().await;
                kept.now().tidy_sessions().await;
            }
        });
        beside.spawn(Arc::clone(&current).keep_keys(look_again));
        if let Some(reloads) = reloads {
            beside.spawn(reloads.watch());
        }
        let counted = Arc::clone(&current);
        beside.spawn(async move {
            let mut every = tokio::time::interval(limits::TIDY_EVERY);
            loop {
                every.tick().await;
                counted.now().tidy();
            }
        });
        match tokio::net::TcpListener::from_std(admin) {
            Ok(admin) => {
                beside.spawn(admin::serve(admin, Arc::clone(&admin_state), std::future::pending()));
            }
            Err(cause) => tracing::error!(%cause, "the admin listener could not be used"),
        }
        audit::write(Event::Started, &Audit::default());
        let mut stop_asked = pin!(stop_asked);
        tokio::select! {
            () = &mut stop_asked => {}
            // Before then every member would be told to come again.
            () = sessions.arrived() => {
                admin_state.set_readiness(Readiness::Ready);
                stop_asked.await;
            }
        }
        admin_state.set_readiness(Readiness::Draining);
        stop.ask();
        // A worker's thread ends with its last connection, or at the end of the drain time. Health
        // is told until then.
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        // From here on nothing changes any more, and what is there is what the next process gets.
        beside.shutdown().await;
        sessions.read_to_its_end().await;
        let _ = tokio::task::spawn_blocking(move || current.now().leave_sessions()).await;
        audit::write(Event::Stopped, &Audit::default());
    }
}

/// What the admin listener is asked, which is answered by what is in force then.
fn asked_of(current: &Arc<Current>, state: AdminState) -> AdminState {
    let of = || Arc::clone(current);
    let (counted, told, seen, lists, revokes) = (of(), of(), of(), of(), of());
    state
        .with_metrics(move || {
            let proxy = counted.now();
            proxy.tidy();
            proxy.metrics()
        })
        .with_details(move || {
            let mut details = told.now().details();
            details.push(told.in_words());
            details
        })
        .with_discoveries(move || seen.now().discoveries())
        .with_sessions(
            move |asked| {
                let proxy = lists.now();
                Box::pin(async move { proxy.list_sessions(&asked).await })
            },
            move |asked| Box::pin(revokes.now().revoke_sessions(asked)),
        )
}

//! A proxy that is up: its sockets, its workers, and what runs beside them. `run`, the demo and
//! the tests start it alike.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::current::Current;
use super::draining::Hurry;
use super::reload::{self, Reason, Reloads, Source};
use super::sockets::{self, Opened};
use super::stop::{Shutdown, Stop};
use super::worker::Workers;
use super::{
    HandOverError, Limits, Listeners, Proxy, SetUpError, SocketsError, draining, hand_over, limits,
    worker,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::supervisor::{self, Handed, Notifier, Predecessor};
use crate::telemetry::admin::{self, AdminState, Readiness};
use crate::telemetry::audit::{self, Audit, Event};
use crate::telemetry::causes;
use crate::telemetry::log::DroppedLines;

/// A proxy that is up.
#[derive(Debug)]
pub struct Service {
    current: Arc<Current>,
    serving: Serving,
    stop: Stop,
    shutdown: Shutdown,
    admin: TcpListener,
    /// The sockets once more, for whoever takes our place.
    heirlooms: Vec<Handed>,
    notifier: Notifier,
    admin_state: Arc<AdminState>,
    address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    look_again: Arc<Notify>,
    reloads: Option<Arc<Reloads>>,
}

/// Whether visitors are served.
#[derive(Debug)]
enum Serving {
    /// They are.
    Now(Workers),
    /// They will be, once another process has made room.
    After(Predecessor, Listeners),
}

/// What a process finds when it starts.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Sockets that were opened for it.
    pub sockets: Vec<Handed>,
    /// The process whose place it takes.
    pub predecessor: Option<Predecessor>,
    /// Who wants to know how it is.
    pub notifier: Notifier,
}

/// What a process that is up may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To finish what is under way and end; a second time, to end at once.
    Stop,
    /// To have the program as it is on disk now take its place.
    HandOver,
}

/// Why a proxy is not up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] SocketsError),
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
        Self::start_among(config, clock, dropped_lines, limits, Surroundings::default())
    }

    /// [`Service::start_within`], where there is somebody else already.
    ///
    /// # Errors
    /// As there.
    pub fn start_among(
        config: Config,
        clock: Clock,
        dropped_lines: DroppedLines,
        limits: Limits,
        surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let Surroundings { sockets, predecessor, notifier } = surroundings;
        let addresses = (config.listen.address, config.admin, config.grpc_address());
        let Opened { public: listeners, admin, heirlooms } = sockets::open(sockets, addresses)?;
        let grpc = listeners.questions.first();
        let grpc_address = grpc.and_then(|listener| listener.local_addr().ok());
        let address =
            listeners.sockets.first().map_or(Ok(config.listen.address), TcpListener::local_addr);
        let address = address.map_err(StartError::Workers)?;
        let proxy = Proxy::new(config, clock.clone(), dropped_lines, limits)?;
        let current = Arc::new(Current::new(proxy, listeners.sockets.len())?);
        let admin_state = Arc::new(asked_of(&current, AdminState::new(clock)));
        let (stop, shutdown) = Stop::new();
        let serving = match predecessor {
            Some(predecessor) => Serving::After(predecessor, listeners),
            None => {
                let workers = worker::run(listeners, current.seats(), &shutdown);
                let workers = workers.map_err(StartError::Workers)?;
                // Only now, so that a process that cannot listen leaves it to the one that can.
                let restored = current.now();
                let thread = std::thread::Builder::new().name("snapshot".to_owned());
                thread.spawn(move || restored.restore_sessions()).map_err(StartError::Workers)?;
                Serving::Now(workers)
            }
        };
        let look_again = Arc::default();
        Ok(Self {
            current,
            serving,
            stop,
            shutdown,
            admin,
            heirlooms,
            notifier,
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

    /// Who is told how it is, for whoever has the configuration read anew.
    #[must_use]
    pub fn notifier(&self) -> Notifier {
        self.notifier.clone()
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
            Box::pin(async move {
                let reloaded = Arc::clone(&asked).reload_beside(Reason::Asked).await;
                reload::told(&asked, &reloaded)
            })
        });
        self.reloads = Some(Arc::clone(&reloads));
        reloads
    }

    /// [`Service::attend_to`], until a stop is asked for.
    pub async fn attend(self, stop_asked: impl Future<Output = ()>) {
        let (order, orders) = mpsc::channel(1);
        let asking = async {
            stop_asked.await;
            let _ = order.send(Order::Stop).await;
            std::future::pending().await
        };
        tokio::select! {
            attended = self.attend_to(orders) => if let Err(error) = attended {
                tracing::error!(cause = causes(&error), "nobody was served");
            },
            () = asking => {}
        }
    }

    /// Looks after everything that is not a visitor's request, until it is asked to stop or to hand
    /// over; then lets open requests finish and returns.
    ///
    /// # Errors
    /// When the process whose place is to be taken does not make room.
    pub async fn attend_to(self, mut orders: mpsc::Receiver<Order>) -> Result<(), HandOverError> {
        let Self { current, serving, stop, shutdown, admin, admin_state, look_again, .. } = self;
        let (notifier, heirlooms, reloads) = (self.notifier, self.heirlooms, self.reloads);
        let mut beside = JoinSet::new();
        let attended = Arc::clone(&current);
        beside.spawn(async move { attended.look_after().await });
        let sessions = current.now().sessions();
        let kept = Arc::clone(&sessions);
        beside.spawn(async move { kept.keep().await });
        // Each apart: a store that does not answer takes its time.
        beside.spawn(again(Arc::clone(&current), |proxy| async move { proxy.end_expired().await }));
        beside.spawn(again(Arc::clone(&current), |proxy| async move {
            proxy.look_after_openings().await
        }));
        beside.spawn(again(Arc::clone(&current), |proxy| async move { proxy.close_openings() }));
        beside
            .spawn(again(Arc::clone(&current), |proxy| async move { proxy.tidy_sessions().await }));
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
        let mut predecessor = None;
        let workers = match serving {
            Serving::Now(workers) => workers,
            Serving::After(earlier, listeners) => {
                let taking = hand_over::from_predecessor(earlier, &current, listeners, &shutdown);
                // What is asked for meanwhile waits: until then the old process is the one to ask.
                let (earlier, workers) = taking.await?;
                predecessor = Some(earlier);
                workers
            }
        };
        // Until here the process of before has said how it is.
        let (leave_admin, admin_is_left) = oneshot::channel::<()>();
        match tokio::net::TcpListener::from_std(admin) {
            Ok(admin) => {
                let left = async {
                    let _ = admin_is_left.await;
                };
                beside.spawn(admin::serve(admin, Arc::clone(&admin_state), left));
            }
            Err(cause) => tracing::error!(%cause, "the admin listener could not be used"),
        }
        if let Some(predecessor) = predecessor {
            tracing::info!(address = %self.address, "ready, in the place of another process");
            hand_over::answer(predecessor, current.now());
        }
        let watchdog = beside.spawn(supervisor::watch(notifier.clone(), workers.pulse()));
        audit::write(Event::Started, &Audit::default());
        let heir = {
            let mut arrived = pin!(sessions.arrived());
            let (mut is_ready, mut is_awaited) = (false, false);
            loop {
                let order = tokio::select! {
                    biased;
                    // Before then every member would be told to come again.
                    () = &mut arrived, if !is_ready => {
                        is_ready = true;
                        admin_state.set_readiness(Readiness::Ready);
                        notifier.ready("Serving");
                        match is_awaited {
                            true => Some(Order::HandOver),
                            false => continue,
                        }
                    }
                    order = orders.recv() => order,
                };
                match order {
                    Some(Order::Stop) | None => break None,
                    Some(Order::HandOver) if !is_ready => {
                        tracing::info!("another process takes over once this one has started");
                        is_awaited = true;
                    }
                    Some(Order::HandOver) => {
                        current.hand_over(true);
                        tracing::info!("another process is started to take this one's place");
                        notifier.status("Handing over to a new process");
                        let proxy = current.now();
                        let is_given_up = Arc::default();
                        let handing =
                            hand_over::to_successor(&proxy, &stop, &heirlooms, &is_given_up);
                        let mut handing = pin!(handing);
                        let mut change_of_mind = Hurry::new(&mut orders);
                        let handed = tokio::select! {
                            handed = &mut handing => handed,
                            () = change_of_mind.asked() => {
                                is_given_up.store(true, Ordering::Release);
                                handing.await
                            }
                        };
                        match handed {
                            Ok(heir) => break Some(heir),
                            Err(_) if is_given_up.load(Ordering::Acquire) => break None,
                            Err(error) => {
                                tracing::error!(
                                    cause = causes(&error),
                                    "nobody takes this process's place: it goes on"
                                );
                                current.hand_over(false);
                                notifier.status("Serving; the new process did not start");
                            }
                        }
                    }
                }
            }
        };
        let proxy = current.now();
        let times = proxy.stops();
        let mut hurry = Hurry::new(&mut orders);
        let is_handed_over = heir.is_some();
        match heir {
            Some(heir) => {
                let process = heir.id();
                tracing::info!(process, "another process has taken this one's place");
                notifier.main_process_is(process);
                watchdog.abort();
                heir.is_yours();
                // Whoever asks for health asks the new one from here on, which is ready; those who
                // have just asked here are told so, too.
                drop((heirlooms, leave_admin));
                // What is ended from here on is ended there, and nobody here would know of it.
                proxy.end_links_of_before();
                stop.leave();
                beside.spawn(hand_over::follow(heir, Arc::clone(&proxy)));
            }
            None => {
                admin_state.set_readiness(Readiness::Draining);
                notifier.stopping("Draining: what is under way is being finished");
                draining::delay(times.delay, &mut hurry).await;
                drop(heirlooms);
                stop.ask();
            }
        }
        // Health is told until its end.
        draining::drain(&stop, workers, times, &proxy.metrics.cut, &mut hurry).await;
        if let Some(traces) = current.now().traces() {
            traces.close().await;
        }
        // From here on nothing changes any more, and what is there is what the next process gets.
        beside.shutdown().await;
        sessions.read_to_its_end().await;
        if !is_handed_over {
            let _ = tokio::task::spawn_blocking(move || current.now().leave_sessions()).await;
        }
        audit::write(Event::Stopped, &Audit::default());
        Ok(())
    }
}

/// Has what is in force tidied up about every second, beside the requests and for ever.
async fn again<F: Future<Output = ()> + Send>(
    current: Arc<Current>,
    tidy: impl Fn(Arc<Proxy>) -> F + Send + 'static,
) {
    let mut every = tokio::time::interval(limits::TIDY_SESSIONS_EVERY);
    loop {
        every.tick().await;
        tidy(current.now()).await;
    }
}

/// What the admin listener is asked, which is answered by what is in force then.
fn asked_of(current: &Arc<Current>, state: AdminState) -> AdminState {
    let of = || Arc::clone(current);
    let (counted, told, seen, lists, revokes) = (of(), of(), of(), of(), of());
    let (makes, ends, had) = (of(), of(), of());
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
        .with_last_logins(move || had.now().last_logins())
        .with_sessions(
            move |asked| {
                let proxy = lists.now();
                Box::pin(async move { proxy.list_sessions(&asked).await })
            },
            move |asked| Box::pin(revokes.now().revoke_sessions(asked)),
        )
        .with_break_glass(
            move |asked| {
                let proxy = makes.now();
                Box::pin(async move { proxy.make_link(&asked).await })
            },
            move |asked| {
                let proxy = ends.now();
                Box::pin(async move { proxy.end_links(&asked).await })
            },
        )
}

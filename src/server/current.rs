//! What is in force. A configuration is exchanged as a whole and under way: it is put together
//! beside the one before, which goes on if anything is the matter with it. Requests end under the
//! configuration under which they began; nobody's connection, session or stream is touched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::worker::Seat;
use super::{Proxy, SetUpError};
use crate::config::Config;
use crate::gate::Timestamp;

/// The proxy that is in force, and the workers' seats.
#[derive(Debug)]
pub(super) struct Current {
    proxy: ArcSwap<Proxy>,
    seats: Vec<Arc<Seat>>,
    changed: watch::Sender<()>,
    /// Held by whoever changes what is in force, or what all configurations share.
    turn: Mutex<()>,
    read: Mutex<Read>,
    /// Another process takes our place, on a configuration that it has read already.
    is_handing_over: AtomicBool,
}

/// When a configuration was read.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// The one that is in force.
    in_force: Timestamp,
    /// A later one that is not, and why.
    refused: Option<(Timestamp, &'static str)>,
}

/// Why another configuration is not in force. The one before is.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// These cannot be changed while the process lives.
    #[error("{} cannot be changed while we run; a restart can", .0.join(", "))]
    Fixed(Vec<&'static str>),
    /// It could not be put together.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// Another process would undo it.
    #[error("another process is taking this one's place: ask again in a moment")]
    HandingOver,
    /// A fault of ours, which is logged.
    #[error("a panic kept it from being put together")]
    Panicked,
}

impl Current {
    /// The first, for so many workers.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(proxy: Proxy, workers: usize) -> Result<Self, SetUpError> {
        let proxy = Arc::new(proxy);
        let read = Read { in_force: proxy.clock.now(), refused: None };
        proxy.is_in_force();
        let seats =
            (0..workers).map(|_| Ok(Arc::new(Seat::new(super::worker::Worker::new(&proxy)?))));
        Ok(Self {
            seats: seats.collect::<Result<_, rustls::Error>>()?,
            proxy: ArcSwap::new(proxy),
            changed: watch::Sender::new(()),
            turn: Mutex::new(()),
            read: Mutex::new(read),
            is_handing_over: AtomicBool::new(false),
        })
    }

    /// What is in force.
    pub(super) fn now(&self) -> Arc<Proxy> {
        self.proxy.load_full()
    }

    /// One for each worker.
    pub(super) fn seats(&self) -> &[Arc<Seat>] {
        &self.seats
    }

    /// Whoever has this changes, or looks at files, alone.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is changed, or again: what was put in force here would be undone by the
    /// process that takes our place.
    pub(super) fn hand_over(&self, is_handing_over: bool) {
        // Who is at it has done it before the other process begins.
        let _turn = self.turn();
        self.is_handing_over.store(is_handing_over, Ordering::Release);
    }

    /// Whether it is so.
    pub(super) fn is_handing_over(&self) -> bool {
        self.is_handing_over.load(Ordering::Acquire)
    }

    /// How it went with a configuration that was read.
    pub(super) fn note(&self, outcome: Result<(), &'static str>) {
        let now = self.now().clock.now();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = match outcome {
            Ok(()) => Read { in_force: now, refused: None },
            Err(why) => Read { refused: Some((now, why)), ..*read },
        };
    }

    /// The same for `/readyz?verbose`.
    pub(super) fn in_words(&self) -> (String, String) {
        let now = self.now().clock.now();
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut how = format!("in force for {} s", now.since(read.in_force).as_secs());
        if let Some((at, why)) = read.refused {
            how.push_str(&format!(
                "; another one was refused {} s ago: {why}",
                now.since(at).as_secs()
            ));
        }
        ("configuration".to_owned(), how)
    }

    /// Puts another configuration in force: all of it, for every request that is read from now on,
    /// or nothing of it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn change(&self, config: Config) -> Result<(), ChangeError> {
        let _turn = self.turn();
        if self.is_handing_over() {
            return Err(ChangeError::HandingOver);
        }
        let before = self.now();
        let next = Arc::new(before.next(config)?);
        let fixed = before.fixed.differences(&next.fixed);
        if !fixed.is_empty() {
            return Err(ChangeError::Fixed(fixed));
        }
        let workers = self.seats.iter().map(|seat| seat.next(&next));
        let workers = workers.collect::<Result<Vec<_>, _>>().map_err(SetUpError::from)?;
        next.come_into_force(&before)?;
        for (seat, worker) in self.seats.iter().zip(workers) {
            seat.put(worker);
        }
        next.is_in_force();
        self.proxy.store(next);
        self.changed.send_replace(());
        Ok(())
    }

    /// Looks after what a configuration needs beside the requests, for ever: its providers, its
    /// portals' servers and its spans. What goes on under the next one goes on being looked after.
    pub(super) async fn look_after(&self) {
        let mut changed = self.changed.subscribe();
        let mut tasks = JoinSet::new();
        let (mut parties, mut servers) = (Attended::default(), Attended::default());
        loop {
            changed.mark_unchanged();
            let proxy = self.now();
            let now = proxy.relying_parties().iter().map(|party| (Arc::clone(party), ()));
            parties.replace(now, |party, ()| {
                let ends = Arc::clone(&party);
                vec![tasks.spawn(party.keep_fresh()), tasks.spawn(ends.keep_ends_known())]
            });
            servers
                .replace(proxy.servers(), |servers, host| vec![tasks.spawn(servers.watch(host))]);
            // It ends by itself, with the last request under its configuration.
            if let Some(exporter) = proxy.traces().and_then(|traces| traces.exporter()) {
                tokio::spawn(exporter.run());
            }
            drop(proxy);
            loop {
                tokio::select! {
                    _ = changed.changed() => break,
                    Some(_) = tasks.join_next() => {}
                }
            }
        }
    }
}

/// What is looked after, each by its tasks.
struct Attended<T>(Vec<(Arc<T>, Vec<AbortHandle>)>);

impl<T> Default for Attended<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Attended<T> {
    /// From now on it is these: `start` is for those that are new.
    fn replace<E>(
        &mut self,
        now: impl Iterator<Item = (Arc<T>, E)>,
        mut start: impl FnMut(Arc<T>, E) -> Vec<AbortHandle>,
    ) {
        let mut before = std::mem::take(&mut self.0);
        for (one, more) in now {
            let place = before.iter().position(|(known, _)| Arc::ptr_eq(known, &one));
            self.0.push(match place {
                Some(place) => before.swap_remove(place),
                None => (Arc::clone(&one), start(one, more)),
            });
        }
        before.iter().flat_map(|(_, tasks)| tasks).for_each(AbortHandle::abort);
    }
}

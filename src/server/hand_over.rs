//! One process takes the place of another while visitors come and go: what the old one and the new
//! one do between the words that they exchange (`supervisor/succession.rs`).
//!
//! Sessions that are in memory can only be in one of the two. So the old one first lets nobody in,
//! answers who has been let in, leaves its sessions in the snapshot, and only then lets the new one
//! serve; whoever connects meanwhile waits in the kernel's queue, for about a second at most. With
//! sessions elsewhere both serve for a moment, and nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::current::Current;
use super::stop::{Shutdown, Stop};
use super::worker::{self, Workers};
use super::{Listeners, Proxy, limits};
use crate::supervisor::{Handed, Predecessor, SuccessionError, Successor};

/// Why nobody has taken our place, or we nobody's.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The other process.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// Members would have to sign in again.
    #[error("the sessions could not be left for it")]
    Sessions,
    /// Serving could not begin.
    #[error("the workers could not be started")]
    Workers(#[source] std::io::Error),
    /// Somebody wants a stop instead.
    #[error("a stop was asked for meanwhile")]
    GivenUp,
    /// Something panicked, which has been reported.
    #[error("it was broken off")]
    BrokenOff,
}

/// Has another process take our place. When this returns it serves, and what is left to us is to
/// finish. After an error everything is as before. It is not to be dropped half-way: whoever does not
/// want it any more says so by `is_given_up`, and waits for what comes of that.
pub(super) async fn to_successor(
    proxy: &Arc<Proxy>,
    stop: &Stop,
    sockets: &[Handed],
    is_given_up: &Arc<AtomicBool>,
) -> Result<Successor, HandOverError> {
    let sockets = sockets.iter().map(Handed::try_clone).collect::<Result<Vec<_>, _>>();
    let sockets = sockets.map_err(HandOverError::Workers)?;
    let asked = Arc::clone(is_given_up);
    let successor = blocking(move || {
        let mut successor = Successor::start(&sockets, asked)?;
        successor.prepared()?;
        Ok(successor)
    });
    let successor = successor.await?;
    let are_handed_on = proxy.sessions().are_handed_on();
    if are_handed_on {
        stop.pause();
        until_quiet(proxy).await;
    }
    let handing = Arc::clone(proxy);
    let asked = Arc::clone(is_given_up);
    let handed = blocking(move || Ok(hand(&handing, successor, are_handed_on, &asked))).await;
    let handed = handed.and_then(|handed| handed);
    if handed.is_err() {
        stop.resume();
    }
    handed
}

/// The sessions go over, and then the place. Unless the new process serves, and is wanted, this one has
/// its sessions as before.
fn hand(
    proxy: &Proxy,
    mut successor: Successor,
    are_handed_on: bool,
    is_given_up: &AtomicBool,
) -> Result<Successor, HandOverError> {
    let handed = match are_handed_on && !proxy.hand_sessions_on() {
        true => Err(HandOverError::Sessions),
        false => successor.take_over().map_err(HandOverError::from),
    };
    let handed = handed.and_then(|()| match is_given_up.load(Ordering::Acquire) {
        true => Err(HandOverError::GivenUp),
        false => Ok(()),
    });
    match handed {
        Ok(()) => Ok(successor),
        Err(error) => {
            successor.end();
            proxy.sessions().take_back();
            Err(error)
        }
    }
}

/// Waits until nobody is left who was let in; those with something longer under way are not waited
/// for, and ask for nothing more by then.
async fn until_quiet(proxy: &Proxy) {
    let patience = proxy.limits.drain_time + Duration::from_millis(100);
    let quiet = async {
        let mut every = tokio::time::interval(limits::LOOK_WHETHER_QUIET);
        while !proxy.metrics.connections.is_zero() {
            every.tick().await;
        }
    };
    let _ = tokio::time::timeout(patience, quiet).await;
}

/// Takes another process's place once everything is there that it takes; then visitors are served.
pub(super) async fn from_predecessor(
    predecessor: Predecessor,
    current: &Current,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> Result<(Arc<Predecessor>, Workers), HandOverError> {
    let proxy = current.now();
    let sessions = proxy.sessions();
    let known = async {
        let mut every = tokio::time::interval(limits::LOOK_WHETHER_QUIET);
        let is_known = || {
            let now = proxy.clock.now();
            proxy.relying_parties().iter().all(|party| party.keys_age(now).is_some())
        };
        while !is_known() {
            every.tick().await;
        }
        if !sessions.are_handed_on() {
            sessions.arrived().await;
        }
    };
    // Who cannot be reached now could not be by the old process either.
    let _ = tokio::time::timeout(limits::PROVIDERS_TIME, known).await;
    let restored = Arc::clone(&proxy);
    let predecessor = blocking(move || {
        predecessor.wait()?;
        restored.end_links_of_before();
        restored.restore_sessions();
        Ok(Arc::new(predecessor))
    });
    let predecessor = predecessor.await?;
    let workers =
        worker::run(listeners, current.seats(), shutdown).map_err(HandOverError::Workers)?;
    let ready = Arc::clone(&predecessor);
    blocking(move || {
        ready.ready();
        Ok(())
    })
    .await?;
    Ok((predecessor, workers))
}

/// Says to the process whose place we have taken what it asks for, as long as it lives.
pub(super) fn answer(predecessor: Arc<Predecessor>, proxy: Arc<Proxy>) {
    let answering = move || {
        let sessions = proxy.sessions();
        predecessor.answer(|open| sessions.over_among(open, proxy.clock.now()));
    };
    let thread = std::thread::Builder::new().name("predecessor".to_owned());
    if let Err(cause) = thread.spawn(answering) {
        tracing::error!(%cause, "the process of before is not told of sessions that end");
    }
}

/// Ends what is open here in the name of sessions that are over where they are now (SESS-10); to be
/// run beside what is being finished.
pub(super) async fn follow(successor: Successor, proxy: Arc<Proxy>) {
    let sessions = proxy.sessions();
    if !sessions.are_handed_on() {
        return;
    }
    let successor = Arc::new(successor);
    let mut every = tokio::time::interval(limits::TIDY_SESSIONS_EVERY);
    loop {
        every.tick().await;
        let open = sessions.open_here();
        let asked = Arc::clone(&successor);
        let over = tokio::task::spawn_blocking(move || asked.over(&open)).await;
        match over {
            Ok(Ok(over)) => sessions.end_open(Some(over)),
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the new process does not say whose sessions are over");
                return sessions.end_open(None);
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, SuccessionError> + Send + 'static,
) -> Result<T, HandOverError> {
    let acted = tokio::task::spawn_blocking(act).await;
    Ok(acted.map_err(|_| HandOverError::BrokenOff)??)
}

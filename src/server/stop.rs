//! The end of a process, told to all its workers and connections at once: nobody new is let in,
//! what is under way finishes, WebSockets are told to come again, and the rest is cut. When each of
//! that is due is not known here (`draining`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// WebSockets are told to come again.
    pub(super) tells_websockets: bool,
    /// What is still there is cut.
    pub(super) cuts: bool,
}

/// What becomes of whoever wants in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// They are let in.
    #[default]
    Open,
    /// They wait in the kernel's queue for whoever takes our place. That may still be ourselves.
    Paused,
    /// Nobody listens any more: who was in the queue is let in, and that is the end of it.
    Closing,
    /// The sockets are somebody else's, and so is the queue.
    Left,
}

/// Tells whether a stop has been asked for. Clones are told together.
#[derive(Clone, Debug)]
pub struct Shutdown {
    progress: watch::Receiver<Progress>,
    /// Whether it is open, for whoever looks at it with every request: reading it writes nothing.
    flag: Arc<AtomicBool>,
}

/// Asks for a stop.
#[derive(Debug)]
pub struct Stop {
    progress: watch::Sender<Progress>,
    flag: Arc<AtomicBool>,
}

impl Stop {
    /// A stop that nobody has asked for yet.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (sender, progress) = watch::channel(Progress::default());
        let flag = Arc::new(AtomicBool::new(false));
        (Self { progress: sender, flag: Arc::clone(&flag) }, Shutdown { progress, flag })
    }

    /// Asks everybody to finish what they are at. Dropping asks too.
    pub fn ask(&self) {
        self.enter(Stage::Closing);
    }

    /// Nobody new is let in until [`Self::resume`], and who has been finishes what they are at.
    pub(super) fn pause(&self) {
        self.enter(Stage::Paused);
    }

    /// It was nothing: everybody is let in again.
    pub(super) fn resume(&self) {
        self.enter(Stage::Open);
    }

    /// The same as [`Stop::ask`], for sockets that somebody else goes on listening on.
    pub(super) fn leave(&self) {
        self.enter(Stage::Left);
    }

    /// Tells WebSockets to come again.
    pub(super) fn tell_websockets(&self) {
        self.progress.send_modify(|progress| progress.tells_websockets = true);
    }

    /// Cuts what is still there.
    pub(super) fn cut(&self) {
        self.progress.send_modify(|progress| progress.cuts = true);
    }

    fn enter(&self, stage: Stage) {
        self.flag.store(stage != Stage::Open, Ordering::Release);
        self.progress.send_modify(|progress| progress.stage = stage);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if matches!(self.progress.borrow().stage, Stage::Open | Stage::Paused) {
            self.ask();
        }
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
        self.comes_to(|progress| progress.stage != Stage::Open).await;
    }

    /// Returns once WebSockets are told to come again.
    pub(super) async fn websockets_told(mut self) {
        self.comes_to(|progress| progress.tells_websockets).await;
    }

    /// Returns once what is still there is cut.
    pub(super) async fn cut(&mut self) {
        self.comes_to(|progress| progress.cuts).await;
    }

    /// Returns once what becomes of those who want in is something else than `known`.
    pub(super) async fn other_than(&mut self, known: Stage) -> Stage {
        self.comes_to(|progress| progress.stage != known).await;
        match self.progress.borrow().stage {
            // Whoever could say is gone, which is a stop.
            stage if stage == known => Stage::Closing,
            stage => stage,
        }
    }

    async fn comes_to(&mut self, wanted: impl Fn(&Progress) -> bool) {
        // An error means that whoever could ask is gone, which asks as well.
        let _ = self.progress.wait_for(wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_may_be_over_and_a_stop_may_not() {
        let (stop, mut shutdown) = Stop::new();
        assert!(!shutdown.is_asked());
        stop.pause();
        assert_eq!(shutdown.other_than(Stage::Open).await, Stage::Paused);
        assert!(shutdown.is_asked(), "answers say that they are the last");
        stop.resume();
        assert_eq!(shutdown.other_than(Stage::Paused).await, Stage::Open);
        assert!(!shutdown.is_asked());
        stop.leave();
        drop(stop);
        assert_eq!(shutdown.other_than(Stage::Open).await, Stage::Left, "it is not closed besides");
    }

    #[tokio::test]
    async fn whoever_could_ask_asks_by_going_away() {
        let (stop, mut shutdown) = Stop::new();
        drop(stop);
        assert_eq!(shutdown.other_than(Stage::Open).await, Stage::Closing);
        assert!(shutdown.is_asked());
        shutdown.cut().await;
        shutdown.websockets_told().await;
    }
}

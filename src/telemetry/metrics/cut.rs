//! What was cut at the end of the process. Nobody can ask for it any more by then, so it is no
//! metric: it goes into one line of the log.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What was still under way when there was no more time for it.
#[derive(Debug, Default)]
pub struct Cut {
    is_cutting: AtomicBool,
    requests: AtomicUsize,
    answers: AtomicUsize,
    websockets: AtomicUsize,
}

/// How much of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasCut {
    /// Requests that had no answer yet: uploads, and portals that took their time.
    pub requests: usize,
    /// Answers that had begun: downloads.
    pub answers: usize,
    /// WebSockets.
    pub websockets: usize,
}

impl Cut {
    /// What ends from now on does not do so by itself.
    pub fn begin(&self) {
        self.is_cutting.store(true, Ordering::Release);
    }

    /// A request has ended, with the status of its answer if that had begun.
    pub(crate) fn ended(&self, status: Option<u16>) {
        if !self.is_cutting.load(Ordering::Relaxed) {
            return;
        }
        let kind = match status {
            None => &self.requests,
            Some(101) => &self.websockets,
            Some(_) => &self.answers,
        };
        kind.fetch_add(1, Ordering::AcqRel);
    }

    /// What it was in the end.
    #[must_use]
    pub fn was(&self) -> WasCut {
        let count = |kind: &AtomicUsize| kind.load(Ordering::Acquire);
        WasCut {
            requests: count(&self.requests),
            answers: count(&self.answers),
            websockets: count(&self.websockets),
        }
    }
}

//! Whether every worker's event loop turns. Each is asked now and then, answers as soon as it does
//! anything at all, and the service manager hears of us only as long as all of them do: one that
//! hangs has the process started anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Notifier;

/// Asks all workers.
#[derive(Debug)]
pub struct Pulse {
    asked: watch::Sender<u64>,
    heard: Vec<Arc<AtomicU64>>,
}

/// Answers for one worker.
#[derive(Debug)]
pub struct Beat {
    asked: watch::Receiver<u64>,
    heard: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { asked: watch::Sender::new(0), heard: Vec::new() }
    }
}

impl Pulse {
    /// For one worker more.
    pub fn beat(&mut self) -> Beat {
        // So that one which never begins is not taken for one that has answered.
        let heard = Arc::new(AtomicU64::new(u64::MAX));
        self.heard.push(Arc::clone(&heard));
        Beat { asked: self.asked.subscribe(), heard }
    }

    /// Asks all of them.
    pub fn ask(&self) {
        self.asked.send_modify(|asked| *asked = asked.wrapping_add(1));
    }

    /// How many have not answered the last question.
    #[must_use]
    pub fn silent(&self) -> usize {
        let asked = *self.asked.borrow();
        self.heard.iter().filter(|heard| heard.load(Ordering::Acquire) != asked).count()
    }
}

impl Beat {
    /// Answers for as long as somebody asks; to be run in the worker's own event loop.
    pub async fn answer(mut self) {
        loop {
            let asked = *self.asked.borrow_and_update();
            self.heard.store(asked, Ordering::Release);
            if self.asked.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Tells the service manager that we are alive, as often as it asks for it, while all workers are.
/// To be run beside them, in another event loop, which then turns too.
pub async fn watch(notifier: Notifier, pulse: Arc<Pulse>) {
    let Some(interval) = notifier.watchdog_interval() else {
        return std::future::pending().await;
    };
    tell_every(interval, &notifier, &pulse).await;
}

async fn tell_every(interval: Duration, notifier: &Notifier, pulse: &Pulse) {
    let mut every = tokio::time::interval(interval);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is due at once, and asks whoever has begun by now.
    every.tick().await;
    let mut was_silent = false;
    loop {
        pulse.ask();
        every.tick().await;
        let silent = pulse.silent();
        if silent == 0 {
            notifier.alive();
        } else if !was_silent {
            tracing::error!(
                workers = silent,
                "a worker does not answer: the service manager is not told that we are alive"
            );
        }
        was_silent = silent > 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::notify::tests::Listening;
    use super::*;

    #[test]
    fn a_worker_that_hangs_keeps_the_watchdog_from_being_told_until_it_turns_again() {
        let mut pulse = Pulse::default();
        let beats = [pulse.beat(), pulse.beat()];
        let pulse = Arc::new(pulse);
        let listening = Listening::abstractly("hangs");
        let notifier = listening.notifier(&[("WATCHDOG_USEC", "20000")]);
        // Each runs its loop, in which the first can be made to hang.
        let (hang, go_on) = (Arc::new(tokio::sync::Notify::new()), mpsc::channel::<()>());
        let (hangs, has_hung) = mpsc::channel::<()>();
        let mut go_on_there = Some(go_on.1);
        for beat in beats {
            let (hang, hangs) = (Arc::clone(&hang), hangs.clone());
            let blocked = go_on_there.take();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    tokio::spawn(beat.answer());
                    let Some(blocked) = blocked else {
                        return std::future::pending().await;
                    };
                    hang.notified().await;
                    hangs.send(()).unwrap();
                    blocked.recv().unwrap();
                    std::future::pending::<()>().await
                });
            });
        }
        let watched = Arc::clone(&pulse);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(watch(notifier, watched));
        });
        for _ in 0..3 {
            assert_eq!(listening.hears(), "WATCHDOG=1");
        }
        hang.notify_one();
        has_hung.recv().unwrap();
        // What was asked before may have been answered. From then on nobody is told.
        let patience = Some(Duration::from_millis(300));
        listening.socket.set_read_timeout(patience).unwrap();
        let mut told = 0;
        while listening.socket.recv(&mut [0; 64]).is_ok() {
            told += 1;
            assert!(told < 10, "a process that hangs says that it is alive");
        }
        assert_eq!(pulse.silent(), 1);
        go_on.0.send(()).unwrap();
        assert_eq!(listening.hears(), "WATCHDOG=1");
    }

    #[tokio::test]
    async fn a_worker_that_never_began_or_has_ended_is_not_alive() {
        let mut pulse = Pulse::default();
        let (first, second) = (pulse.beat(), pulse.beat());
        assert_eq!(pulse.silent(), 2);
        let running = tokio::spawn(first.answer());
        let ended = tokio::spawn(second.answer());
        while pulse.silent() > 0 {
            tokio::task::yield_now().await;
        }
        ended.abort();
        let _ = ended.await;
        pulse.ask();
        while pulse.silent() > 1 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(pulse.silent(), 1);
        drop(pulse);
        running.await.unwrap();
    }
}

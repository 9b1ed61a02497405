//! The keys beside the requests, those that seal and those that sign: looked at every few seconds,
//! and when somebody asks for it. Deliberately not here: what is a change, and what is put in force
//! (`kept`).

use std::sync::Arc;

use tokio::sync::Notify;

use super::current::Current;
use super::{Proxy, limits};
use crate::gate::Timestamp;
use crate::kept::{KeyLook, KeyState};
use crate::telemetry::audit::{self, Audit, Event};

impl Current {
    /// Keeps the keys as their files say, for ever; `again` is for whoever does not want to wait.
    pub(super) async fn keep_keys(self: Arc<Self>, again: Arc<Notify>) {
        let mut every = tokio::time::interval(limits::LOOK_AT_KEYS_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = again.notified() => {}
            }
            let current = Arc::clone(&self);
            // A file may be far away.
            let looked = tokio::task::spawn_blocking(move || {
                // Nobody puts other keys in force meanwhile, which these would undo.
                let _turn = current.turn();
                let proxy = current.now();
                let now = proxy.clock.now();
                tell("sealing", Event::SealingKeysChanged, &proxy.keys.look(now));
                tell("signing", Event::SigningKeysChanged, &proxy.signing.look(now));
            });
            let _ = looked.await;
        }
    }
}

impl Proxy {
    /// How the keys are, in words.
    pub(super) fn keys_in_words(&self, now: Timestamp) -> [(String, String); 2] {
        let in_words = |name: &str, state| (format!("{name} keys"), in_words(state, now));
        [in_words("sealing", self.keys.state()), in_words("signing", self.signing.state())]
    }
}

fn in_words(KeyState { count, fault, .. }: KeyState, now: Timestamp) -> String {
    match fault {
        None => format!("{count} in force"),
        Some((cause, since)) => {
            let seconds = now.since(since).as_secs();
            format!("{count} in force, which cannot be read again for {seconds} s: {cause}")
        }
    }
}

fn tell(name: &str, event: Event, look: &KeyLook) {
    match look {
        KeyLook::Nothing => {}
        KeyLook::Changed(count) => {
            tracing::info!(keys = count, "other {name} keys are in force");
            audit::write(event, &Audit::default());
        }
        KeyLook::Mended(count) => {
            tracing::info!(keys = count, "the {name} keys can be read again, and are the same");
        }
        KeyLook::Faulty(cause) => {
            tracing::warn!(
                cause,
                "the {name} keys cannot be used as they are now; those before stay in force"
            );
        }
    }
}

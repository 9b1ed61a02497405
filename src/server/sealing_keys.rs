//! The sealing keys beside the requests: looked at every few seconds, and when somebody asks for
//! it. Deliberately not here: what is a change, and what is put in force (`sessions::KeptKeys`).

use std::sync::Arc;

use tokio::sync::Notify;

use super::{Proxy, limits};
use crate::gate::Timestamp;
use crate::sessions::{KeyLook, KeyState};
use crate::telemetry::audit::{self, Audit, Event};

impl Proxy {
    /// Keeps the keys as their files say, for ever; `again` is for whoever does not want to wait.
    pub(super) async fn keep_keys(self: Arc<Self>, again: Arc<Notify>) {
        let mut every = tokio::time::interval(limits::LOOK_AT_KEYS_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = again.notified() => {}
            }
            let proxy = Arc::clone(&self);
            // A file may be far away.
            let looked = tokio::task::spawn_blocking(move || {
                tell(&proxy.keys.look(proxy.clock.now()));
            });
            let _ = looked.await;
        }
    }

    /// How the keys are, in words.
    pub(super) fn keys_in_words(&self, now: Timestamp) -> String {
        let KeyState { count, fault, .. } = self.keys.state();
        match fault {
            None => format!("{count} in force"),
            Some((cause, since)) => {
                let seconds = now.since(since).as_secs();
                format!("{count} in force, which cannot be read again for {seconds} s: {cause}")
            }
        }
    }
}

fn tell(look: &KeyLook) {
    match look {
        KeyLook::Nothing => {}
        KeyLook::Changed(count) => {
            tracing::info!(keys = count, "other sealing keys are in force");
            audit::write(Event::SealingKeysChanged, &Audit::default());
        }
        KeyLook::Mended(count) => {
            tracing::info!(keys = count, "the sealing keys can be read again, and are the same");
        }
        KeyLook::Faulty(cause) => {
            tracing::warn!(
                cause,
                "the sealing keys cannot be used as they are now; those before stay in force"
            );
        }
    }
}

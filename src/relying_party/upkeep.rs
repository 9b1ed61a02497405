//! The background task: metadata and keys are kept fresh, for each set of endpoints by itself. And
//! when such a task tries again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CredentialState, DiscoveryError, Flow, RelyingParty};
use crate::gate::Timestamp;

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How a task fares that is done again and again, and sooner after a failure.
pub(super) struct Tries {
    pause: Duration,
    is_failing: bool,
}

impl Tries {
    pub(super) const fn new() -> Self {
        Self { pause: FIRST_PAUSE, is_failing: false }
    }

    /// It is done. Whether it failed until now.
    pub(super) const fn done(&mut self) -> bool {
        self.pause = FIRST_PAUSE;
        std::mem::replace(&mut self.is_failing, false)
    }

    /// It failed. Whether that is news.
    pub(super) const fn failed(&mut self) -> bool {
        !std::mem::replace(&mut self.is_failing, true)
    }

    /// How long to wait after a failure that may pass.
    pub(super) fn pause(&mut self, longest: Duration) -> Duration {
        let wait = self.pause.min(longest);
        self.pause = wait.saturating_mul(2);
        wait
    }
}

impl RelyingParty {
    /// Whether logins can begin without asking the provider first.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.main().is_some_and(|main| main.current().is_some())
    }

    /// How old the signing keys are, if there are any.
    #[must_use]
    pub fn keys_age(&self, now: Timestamp) -> Option<Duration> {
        Some(self.main()?.last()?.keys_age(now))
    }

    /// How our credentials are, in the order of the configuration.
    #[must_use]
    pub fn credentials(&self) -> Vec<CredentialState> {
        self.credentials.states(self.clock.now())
    }

    /// Warns of credentials that end soon, 30, 14 and 3 days before and at their end, once each; to
    /// be called now and then.
    pub fn announce_ends(&self) {
        self.credentials.announce_ends(self.clock.now());
    }

    /// Keeps metadata and keys fresh; to be spawned once. Never returns.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut flows = JoinSet::new();
        for index in 0..self.flows.len() {
            flows.spawn(Arc::clone(&self).keep_flow_fresh(index));
        }
        while flows.join_next().await.is_some() {}
    }

    async fn keep_flow_fresh(self: Arc<Self>, index: usize) {
        let Some(flow) = self.flows.get(index) else {
            return;
        };
        let mut tries = Tries::new();
        loop {
            let wait = match flow.discovery.refresh().await {
                Ok(_) => {
                    if tries.done() {
                        tracing::info!(
                            provider = &*self.provider.name,
                            flow = flow.journey.name(),
                            "the provider's metadata and keys can be fetched again"
                        );
                    }
                    self.limits.refresh
                }
                Err(error) => {
                    if tries.failed() {
                        self.report(flow, &error);
                    }
                    tries.pause(match flow.discovery.current() {
                        Some(_) => self.limits.longest_calm_pause,
                        None => self.limits.longest_pause,
                    })
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = flow.discovery.second_look() => {}
            }
        }
    }

    fn report(&self, flow: &Flow, error: &DiscoveryError) {
        let known = flow.discovery.last();
        let now = self.clock.now();
        tracing::warn!(
            provider = &*self.provider.name,
            flow = flow.journey.name(),
            reason = error.code(),
            error = error as &dyn std::error::Error,
            keys_age_seconds = known.map(|known| known.keys_age(now).as_secs()),
            "the provider's metadata and keys cannot be fetched"
        );
    }
}

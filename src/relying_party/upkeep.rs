//! The background task: metadata and keys are kept fresh, for each set of endpoints by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CredentialState, DiscoveryError, Flow, RelyingParty};
use crate::gate::Timestamp;

/// The pause after a first failure; it doubles with each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

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
        let mut pause = FIRST_PAUSE;
        let mut is_failing = false;
        loop {
            let wait = match flow.discovery.refresh().await {
                Ok(_) => {
                    if std::mem::take(&mut is_failing) {
                        tracing::info!(
                            provider = &*self.provider.name,
                            flow = flow.journey.name(),
                            "the provider's metadata and keys can be fetched again"
                        );
                    }
                    pause = FIRST_PAUSE;
                    self.limits.refresh
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        self.report(flow, &error);
                    }
                    let longest = match flow.discovery.current() {
                        Some(_) => self.limits.longest_calm_pause,
                        None => self.limits.longest_pause,
                    };
                    let wait = pause.min(longest);
                    pause = wait.saturating_mul(2);
                    wait
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

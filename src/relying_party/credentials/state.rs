//! How credentials are, for health, metrics and the log.

use super::ends::{Notice, in_words};
use super::{CredentialFault, Credentials};
use crate::gate::Timestamp;

/// How one credential is.
#[derive(Clone, Debug)]
pub struct CredentialState {
    /// What it is, in one word of the configuration.
    pub kind: &'static str,
    /// Whether it is tried first.
    pub is_first: bool,
    /// Why it is passed over, if it is.
    pub fault: Option<CredentialFault>,
    /// When it ends, if that is known.
    pub ends: Option<Timestamp>,
    /// How often it came to be passed over, by [`CredentialFault::ALL`].
    pub passed_over: [u64; CredentialFault::ALL.len()],
}

impl CredentialState {
    /// On one line, for people.
    #[must_use]
    pub fn in_words(&self, now: Timestamp) -> String {
        let how = match self.fault {
            Some(fault) => format!("passed over ({})", fault.name()),
            None if self.is_first => "tried first".to_owned(),
            None => "standing by".to_owned(),
        };
        let end = self.ends.map(|end| format!(", {}", in_words(end, now))).unwrap_or_default();
        format!("{}, {how}{end}", self.kind)
    }
}

impl Credentials {
    /// All of them, in the operator's order.
    pub(in crate::relying_party) fn states(&self, now: Timestamp) -> Vec<CredentialState> {
        let memory = self.memory();
        let first = memory.in_turn(now).order.first().copied();
        let ends = self.ends();
        let all = self.provider.credentials.iter().zip(ends.iter()).enumerate();
        all.map(|(index, (credential, end))| CredentialState {
            kind: credential.kind(),
            is_first: first == Some(index),
            fault: memory.fault(index),
            ends: end.known(),
            passed_over: memory.counts(index),
        })
        .collect()
    }

    /// Says what is to be said of their ends, and has not been.
    pub(in crate::relying_party) fn announce_ends(&self, now: Timestamp) {
        for (index, end) in self.ends().iter_mut().enumerate() {
            let (Some(notice), Some(at)) = (end.news(now), end.known()) else {
                continue;
            };
            let provider = &*self.provider.name;
            let credential = index.saturating_add(1);
            let (kind, how) = (self.kind(index), in_words(at, now));
            match notice {
                Notice::Month | Notice::Fortnight => tracing::warn!(
                    provider,
                    credential,
                    kind,
                    "a client credential {how}; make a new one and put it first"
                ),
                Notice::Days => tracing::error!(
                    provider,
                    credential,
                    kind,
                    "a client credential {how}; make a new one now and put it first"
                ),
                Notice::Ended => tracing::error!(
                    provider,
                    credential,
                    kind,
                    "a client credential {how}; nobody signs in with it any more"
                ),
            }
        }
    }
}

//! What is counted for one provider, and for each of its client credentials.

use std::sync::atomic::AtomicI64;

use super::labels::{CallOutcome, CredentialFailure, ProviderCall, RefreshOutcome};
use super::series::{Count, Histogram, counts};
use crate::telemetry::reasons::LOGIN_FAILURES;

/// What is counted for one provider.
#[derive(Debug)]
pub(super) struct ProviderMetrics {
    pub(super) name: String,
    pub(super) started: Count,
    pub(super) succeeded: Count,
    /// Those of which no session was to come: they are neither begun, nor successes, nor failures.
    pub(super) tested: Count,
    pub(super) test_failed: Count,
    /// By failure code, `other` last.
    pub(super) failed: Vec<Count>,
    pub(super) calls: [[Histogram<8>; CallOutcome::ALL.len()]; ProviderCall::ALL.len()],
    pub(super) refreshes: [Count; RefreshOutcome::ALL.len()],
    pub(super) keys_fetched: AtomicI64,
}

impl ProviderMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            started: Count::default(),
            succeeded: Count::default(),
            tested: Count::default(),
            test_failed: Count::default(),
            failed: counts(LOGIN_FAILURES.len() + 1),
            calls: Default::default(),
            refreshes: Default::default(),
            keys_fetched: AtomicI64::new(NEVER),
        }
    }
}

/// What is known of one client credential.
#[derive(Debug)]
pub(super) struct CredentialMetrics {
    pub(super) ends: AtomicI64,
    pub(super) passed_over: [Count; CredentialFailure::ALL.len()],
}

impl Default for CredentialMetrics {
    fn default() -> Self {
        Self { ends: AtomicI64::new(NEVER), passed_over: Default::default() }
    }
}

/// A moment that has not been.
pub(super) const NEVER: i64 = i64::MIN;

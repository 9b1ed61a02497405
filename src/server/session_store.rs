//! How the store of sessions is, for whoever looks after it: in numbers and in words.

use std::sync::Arc;
use std::time::Duration;

use super::Proxy;
use crate::gate::Timestamp;
use crate::sessions::{Hearing, ObserveStore, StoreCall, StoreOutcome, StoreState};
use crate::telemetry::metrics::{CallOutcome, Metrics, SessionCall};
use crate::telemetry::traces::{self, What};

/// Counts the calls.
pub(super) fn observe(metrics: &Arc<Metrics>) -> ObserveStore {
    let metrics = Arc::clone(metrics);
    Box::new(move |call, outcome, took| {
        let (call, outcome) = (measured_call(call), measured_outcome(outcome));
        metrics.session_store_called(call, outcome, took);
        traces::called(|| What::SessionStore(call.as_str()), took, outcome.error());
    })
}

impl Proxy {
    /// A line of `/readyz?verbose`.
    pub(super) fn session_store_in_words(&self, now: Timestamp) -> (String, String) {
        let (name, how) = in_words(self.sessions.state(now), now);
        (format!("session store {name}"), how)
    }

    /// Keeps its metrics.
    pub(super) fn tidy_session_store(&self) {
        let metrics = &self.metrics.session_store;
        let now = self.clock.now();
        match self.sessions.state(now) {
            StoreState::Memory { .. } => metrics.up.set(1),
            StoreState::Shared { hearing, copies, owed, reconnects } => {
                let unheard = match hearing {
                    Hearing::Heard => Duration::ZERO,
                    Hearing::Never => now.since(self.began),
                    Hearing::Lost { since, .. } => now.since(since),
                };
                metrics.up.set(i64::from(hearing == Hearing::Heard));
                metrics.unheard.set(i64::try_from(unheard.as_millis()).unwrap_or(i64::MAX));
                metrics.copies.set(i64::try_from(copies).unwrap_or(i64::MAX));
                metrics.owed.set(i64::try_from(owed).unwrap_or(i64::MAX));
                metrics.reconnected(reconnects);
            }
        }
    }
}

fn in_words(state: StoreState, now: Timestamp) -> (&'static str, String) {
    match state {
        StoreState::Memory { is_reading: false } => ("memory", "here".to_owned()),
        StoreState::Memory { is_reading: true } => {
            ("memory", "the snapshot of an earlier process is being read".to_owned())
        }
        StoreState::Shared { hearing, owed, .. } => {
            let mut how = match hearing {
                Hearing::Heard => "heard".to_owned(),
                Hearing::Never => "not reached yet; nobody is known, nobody can sign in".to_owned(),
                Hearing::Lost { since, left } => {
                    let lost = now.since(since).as_secs();
                    match left.is_zero() {
                        true => format!("not heard for {lost} s; nobody goes on"),
                        false => format!(
                            "not heard for {lost} s; who is known here goes on for {} s more",
                            left.as_secs()
                        ),
                    }
                }
            };
            if owed > 0 {
                how.push_str(&format!("; has yet to be told of {owed} that ended"));
            }
            ("redis", how)
        }
    }
}

/// `sessions` and `telemetry` do not know each other.
const fn measured_call(call: StoreCall) -> SessionCall {
    match call {
        StoreCall::Find => SessionCall::Find,
        StoreCall::Start => SessionCall::Start,
        StoreCall::Renew => SessionCall::Renew,
        StoreCall::End => SessionCall::End,
        StoreCall::Use => SessionCall::Use,
        StoreCall::Names => SessionCall::Names,
        StoreCall::Turn => SessionCall::Turn,
        StoreCall::Spend => SessionCall::Spend,
        StoreCall::SignOut => SessionCall::SignOut,
        StoreCall::Everybody => SessionCall::Everybody,
        StoreCall::Logins => SessionCall::Logins,
        StoreCall::List => SessionCall::List,
    }
}

const fn measured_outcome(outcome: StoreOutcome) -> CallOutcome {
    match outcome {
        StoreOutcome::Ok => CallOutcome::Ok,
        StoreOutcome::Refused => CallOutcome::Refused,
        StoreOutcome::Unreachable => CallOutcome::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_how_long_members_go_on() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let since = now.before(Duration::from_secs(12));
        let words = |hearing, owed| {
            let state = StoreState::Shared { hearing, copies: 7, owed, reconnects: 0 };
            in_words(state, now).1
        };
        let left = Duration::from_secs(18);
        assert_eq!(
            words(Hearing::Lost { since, left }, 0),
            "not heard for 12 s; who is known here goes on for 18 s more"
        );
        assert_eq!(
            words(Hearing::Lost { since, left: Duration::ZERO }, 3),
            "not heard for 12 s; nobody goes on; has yet to be told of 3 that ended"
        );
        assert_eq!(words(Hearing::Heard, 0), "heard");
        assert!(words(Hearing::Never, 0).contains("nobody can sign in"));
    }
}

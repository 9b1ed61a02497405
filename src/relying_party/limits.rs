//! The bounds of what is asked of a provider. A value, so that tests need not wait as long as a
//! provider may take.

use std::time::Duration;

use crate::outgoing::Bounds;

/// Every bound on what we ask of the provider, and how often (LIM-06).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection to be made, the name resolved.
    pub connect: Duration,
    /// For a call from beginning to end, and for metadata and keys together.
    pub total: Duration,
    /// The largest answer that is read.
    pub answer_bytes: usize,
    /// Forms that are posted to one provider at a time: callbacks of strangers are among them.
    pub posts: usize,
    /// For how long visitors are told of a failed fetch before another tries again.
    pub retry: Duration,
    /// For how long unknown key ids make us fetch nothing, after one that the provider does not
    /// have either (OIDC-08); of ID tokens and of logout tokens each for itself.
    pub missed_key: Duration,
    /// When the background task looks again after such a miss, and how often it does at most.
    pub second_look: Duration,
    /// How often metadata and keys are fetched while all is well.
    pub refresh: Duration,
    /// For how long nobody is asked about again, after the provider was out of order.
    pub refresh_pause: Duration,
    /// For how long the last good copy is used (AZ-06).
    pub outage: Duration,
    /// The longest pause between the background task's tries while nothing is known: with a
    /// fetch, it is back within five seconds of the provider (REL-01).
    pub longest_pause: Duration,
    /// The same while a copy is good, and nobody waits.
    pub longest_calm_pause: Duration,
    /// For everything that is asked of Graph about somebody, pauses included.
    pub graph: Duration,
    /// The most pages of groups that are asked for.
    pub graph_pages: usize,
    /// For how long what Graph said of somebody is used again.
    pub graph_cache: Duration,
    /// Of how many people that is kept.
    pub graph_members: usize,
}

impl Limits {
    /// Those of a single call.
    pub(super) const fn of_calls(&self) -> Bounds {
        Bounds {
            connect: self.connect,
            total: self.total,
            answer_bytes: self.answer_bytes,
            posts: self.posts,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(5),
            answer_bytes: 1024 * 1024,
            posts: 64,
            retry: Duration::from_secs(1),
            missed_key: Duration::from_secs(5 * 60),
            second_look: Duration::from_secs(30),
            refresh: Duration::from_secs(60 * 60),
            refresh_pause: Duration::from_secs(30),
            outage: Duration::from_secs(24 * 60 * 60),
            longest_pause: Duration::from_secs(4),
            longest_calm_pause: Duration::from_secs(60),
            graph: Duration::from_secs(6),
            graph_pages: 20,
            graph_cache: Duration::from_secs(5 * 60),
            graph_members: 10_000,
        }
    }
}

//! The calls to a store that others share, how they end, and who is told of it; and how such a
//! store is.

use std::time::Duration;

use crate::gate::Timestamp;

/// Told of every call to the store: what it was, how it ended, how long it took.
pub type ObserveStore = Box<dyn Fn(StoreCall, StoreOutcome, Duration) + Send + Sync>;

/// The calls that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreCall {
    /// For a session.
    Find,
    /// A session begins.
    Start,
    /// A session has another state.
    Renew,
    /// A session ends.
    End,
    /// A session is used.
    Use,
    /// The sessions of a name.
    Names,
    /// Whose turn it is to ask the provider.
    Turn,
    /// Something is used once.
    Spend,
    /// Who signed out.
    SignOut,
    /// Since when everybody has to sign in anew.
    Everybody,
    /// When a member signed in.
    Logins,
    /// Some sessions, for whoever lists them.
    List,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// With an answer.
    Ok,
    /// With an answer that says no, or that cannot be read.
    Refused,
    /// Without one, or not in time.
    Unreachable,
}

/// Where the truth about sessions is, and how that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// In memory, where everything is known; or where an earlier process's snapshot is being read.
    Memory {
        /// Whether it is.
        is_reading: bool,
    },
    /// In a store that others share.
    Shared {
        /// Whether it is heard.
        hearing: Hearing,
        /// Sessions that are known here.
        copies: u64,
        /// Sessions that are over here, of which it has not been told.
        owed: usize,
        /// How often it was reached again after it had been lost.
        reconnects: u64,
    },
}

/// Whether a store is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It never was.
    Never,
    /// It is.
    Heard,
    /// It was until then. Who was known goes on for so long from now.
    Lost {
        /// When it was noticed.
        since: Timestamp,
        /// What is left of the grace.
        left: Duration,
    },
}

//! How sessions end without anybody's doing, why a store does not answer, and what has ended
//! though it does not.

use aws_lc_rs::error::Unspecified;

/// How a session ended without anybody's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One of its lifetimes was over.
    Expired,
    /// There was no room.
    Evicted,
}

/// What has ended here, and whether the store could be told: what has ended is over either way,
/// so that it is told of before the error is (LOG-03).
pub type EndedHere<T> = (T, Result<(), StoreError>);

/// Why the store does not answer. It is never "no": who asks has not found out (GEN-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No randomness.
    #[error("the system's random generator failed")]
    Random,
    /// It does not answer, or not in time, or with something that it was not told.
    #[error("the store of sessions does not answer")]
    Unavailable,
    /// The session does not fit into a browser (SESS-05).
    #[error("the session is too large for the cookies that a browser keeps")]
    TooLarge,
}

impl StoreError {
    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Random => "session-random",
            Self::Unavailable => "session-store-unavailable",
            Self::TooLarge => "session-too-large",
        }
    }
}

impl From<Unspecified> for StoreError {
    fn from(_: Unspecified) -> Self {
        Self::Random
    }
}

/// What has ended, where the store was told of it.
#[cfg(test)]
pub(super) fn fully<T>((ended, told): EndedHere<T>) -> T {
    told.unwrap();
    ended
}

//! Why somebody who has signed in is not let in.

use std::time::Duration;

use http::StatusCode;

use crate::outgoing::HttpError;

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// They are not to be.
    #[error("{why}")]
    Refused {
        /// Why.
        why: Refused,
        /// What they are told besides: text, of a bounded length, without control characters.
        message: Option<String>,
    },
    /// The directory does not say.
    #[error("the directory of members does not say who this is")]
    Directory(#[from] DirectoryError),
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The directory does not know them, and nobody is created.
    #[error("the directory of members does not know them (`unknown: deny`)")]
    Unknown,
    /// The directory does not know them, and only those who are there may come in.
    #[error("the directory of members does not know them (`registration: existing_only`)")]
    Closed,
    /// They are not invited.
    #[error("the directory of members has no invitation for them (`registration: invite`)")]
    Uninvited,
    /// The directory refuses them.
    #[error("the directory of members refuses them")]
    Vetoed,
    /// Their account is switched off.
    #[error("their account in the directory of members is not active")]
    Inactive,
    /// Another account stands in the way.
    #[error("the directory of members has an account of this name or address that is not theirs")]
    Conflict,
    /// No route would let them in.
    #[error("no route lets them in, so they are not created")]
    NoWayIn,
}

impl MembersError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { why, .. } => why.code(),
            Self::Directory(error) => error.code(),
        }
    }

    /// What they are told besides.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => message.as_deref(),
            Self::Directory(_) => None,
        }
    }
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Closed,
        Self::Uninvited,
        Self::Vetoed,
        Self::Inactive,
        Self::Conflict,
        Self::NoWayIn,
    ];

    /// The stable name of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "member-unknown",
            Self::Closed => "member-registration-closed",
            Self::Uninvited => "member-not-invited",
            Self::Vetoed => "member-vetoed",
            Self::Inactive => "member-inactive",
            Self::Conflict => "member-conflict",
            Self::NoWayIn => "member-without-rights",
        }
    }
}

/// Why the directory does not say. None of it is its own text, which may be about somebody.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No answer in time.
    #[error("the directory gave no answer")]
    Call(#[source] HttpError),
    /// An answer that says «not now», for as long as there was time.
    #[error("the directory answered with status {0} for as long as there was time")]
    Busy(StatusCode),
    /// Another sign-in of the same member took all the time that there was.
    #[error("an earlier sign-in of the same member took longer than {0:?}")]
    Turn(Duration),
    /// No randomness, for an id.
    #[error("the system's random generator failed")]
    Random,
    /// An answer that says no.
    #[error("the directory refused the request: status {status}{}", in_brackets(*.kind))]
    Refused {
        /// Its status.
        status: StatusCode,
        /// `scimType`, if it is one that the standard has.
        kind: Option<&'static str>,
    },
    /// An answer that cannot be read, or is to another question.
    #[error("the directory's answer {0}")]
    Answer(&'static str),
    /// Two accounts with one member key.
    #[error("the directory has several accounts with this member key")]
    Ambiguous,
}

impl DirectoryError {
    /// The stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Call(error) if !error.is_unreachable() => "directory-answer",
            Self::Call(_) | Self::Busy(_) | Self::Turn(_) | Self::Random => "directory-unavailable",
            Self::Refused { .. } => "directory-refused",
            Self::Answer(_) => "directory-answer",
            Self::Ambiguous => "directory-ambiguous",
        }
    }
}

fn in_brackets(kind: Option<&str>) -> String {
    kind.map(|kind| format!(" ({kind})")).unwrap_or_default()
}

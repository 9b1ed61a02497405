//! What was found: which check, about what, how it is, and what to do about it. No finding quotes
//! a secret, a token or a claim (LOG-01).

use std::time::Duration;

use super::Check;
use crate::gate::Timestamp;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    /// It works, and may not do so for long or for everybody.
    Warning,
    /// Somebody cannot sign in, or gets in who should not.
    Error,
}

impl Status {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it is.
    pub status: Status,
    /// Of what: a provider, a portal, a file.
    pub subject: String,
    /// What was found.
    pub told: String,
    /// What to do.
    pub fix: Option<String>,
    /// A code of the provider's, or a reason of ours, to search for.
    pub reason: Option<String>,
}

/// The last whole day before an end, as a date.
pub(super) fn last_day(ends: Timestamp) -> String {
    let last = ends.before(Duration::from_secs(1)).to_utc_date_time();
    last.split('T').next().unwrap_or_default().to_owned()
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: Check, subject: &str, told: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, subject, told.into())
    }

    /// Nothing can be said.
    pub(super) fn skipped(check: Check, subject: &str, told: impl Into<String>) -> Self {
        Self::new(check, Status::Skipped, subject, told.into())
    }

    /// Somebody should look.
    pub(super) fn warning(check: Check, subject: &str, told: impl Into<String>) -> Self {
        Self::new(check, Status::Warning, subject, told.into())
    }

    /// Somebody has to act.
    pub(super) fn error(check: Check, subject: &str, told: impl Into<String>) -> Self {
        Self::new(check, Status::Error, subject, told.into())
    }

    fn new(check: Check, status: Status, subject: &str, told: String) -> Self {
        Self { check, status, subject: subject.to_owned(), told, fix: None, reason: None }
    }

    /// With what to do.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// With what to search for.
    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

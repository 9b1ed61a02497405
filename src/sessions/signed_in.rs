//! A session in use: read, with the identity headers rendered for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::Renewing;
use super::ending::Ending;
use crate::gate::identity::Envelope;
use crate::gate::{Session, Timestamp};

/// A session and the identity headers rendered for it. It is replaced as a whole when the
/// provider says something else of its member; what goes on then is in [`Lasting`]. The session
/// is first, beside the count of who has this in hand: see there.
#[derive(Debug)]
#[repr(C)]
pub struct SignedIn {
    session: Session,
    envelope: ArcSwapOption<Envelope>,
    /// When a store that others share was told last that it is used, in Unix milliseconds.
    told: AtomicI64,
    /// Which endings were looked at that it is not among.
    checked: AtomicU64,
    lasting: Arc<Lasting>,
}

/// What outlives a session's claims.
#[derive(Debug, Default)]
struct Lasting {
    renewing: Renewing,
    ending: Ending,
    /// Whether it was noted that its member goes on as nobody.
    passed_over: AtomicBool,
}

impl SignedIn {
    pub(super) fn new(session: Session) -> Self {
        Self::with(session, Arc::default())
    }

    fn with(session: Session, lasting: Arc<Lasting>) -> Self {
        let told = AtomicI64::new(session.last_used().unix_millis());
        let checked = AtomicU64::new(0);
        Self { session, envelope: ArcSwapOption::empty(), told, checked, lasting }
    }

    /// The same member, of whom the provider says something else now.
    pub(super) fn renewed(&self, session: Session) -> Self {
        Self::with(session, Arc::clone(&self.lasting))
    }

    /// Whether it is known not to be among the endings of this version; `is_among` looks, if not.
    pub(super) fn is_free(&self, version: u64, is_among: impl FnOnce() -> bool) -> bool {
        if self.checked.load(Ordering::Acquire) == version {
            return true;
        }
        if is_among() {
            return false;
        }
        self.checked.store(version, Ordering::Release);
        true
    }

    /// The store knows that it was used then.
    pub(super) fn told(&self, now: Timestamp) {
        self.told.store(now.unix_millis(), Ordering::Relaxed);
    }

    /// Whether the store is to be told that it is used; one of several who ask at once is told so.
    pub(super) fn is_to_be_told(&self, every: Duration, now: Timestamp) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        let now = now.unix_millis();
        now.saturating_sub(told) >= i64::try_from(every.as_millis()).unwrap_or(i64::MAX)
            && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether it is the first time that its member goes on as nobody; of several who ask at once
    /// one is told so.
    pub fn is_first_passed_over(&self) -> bool {
        !self.lasting.passed_over.swap(true, Ordering::Relaxed)
    }

    /// Whether a request, a stream or a refresh has this in hand besides the table.
    pub(super) fn is_in_hand(this: &Arc<Self>) -> bool {
        Arc::strong_count(this) > 1 || Arc::strong_count(&this.lasting) > 1
    }

    /// Who asks the provider again about this member.
    #[must_use]
    pub fn renewing(&self) -> &Renewing {
        &self.lasting.renewing
    }

    /// Whether the session has ended. One whose time is over may not have been told yet: somebody
    /// has to look first.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lasting.ending.is_told()
    }

    /// How often what was open in its name was closed, whether it is over or not.
    #[must_use]
    pub fn closings(&self) -> u32 {
        self.lasting.ending.closings()
    }

    /// The session has ended.
    pub(super) fn ending(&self) -> &Ending {
        &self.lasting.ending
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The rendered identity headers while they are fresh (ENV-02), and of this version.
    #[must_use]
    pub fn envelope(&self, now: Timestamp, version: u64) -> Option<Arc<Envelope>> {
        let is_fresh =
            |envelope: &Arc<Envelope>| now < envelope.renew && envelope.version == version;
        self.envelope.load_full().filter(is_fresh)
    }

    /// Keeps newly rendered headers for the requests to come.
    pub fn keep(&self, envelope: &Arc<Envelope>) {
        self.envelope.store(Some(Arc::clone(envelope)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Lifetimes, Subject, VerifiedClaims};

    #[test]
    fn a_session_is_passed_over_for_the_first_time_once() {
        let session = || {
            let subject = Subject::Directory { tenant: "t".into(), object: "o".into() };
            let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
            let hour = Duration::from_secs(3600);
            let lifetimes = Lifetimes { idle: hour, absolute: hour };
            let noon = Timestamp::from_unix_seconds(1_800_000_000);
            Session::start(claims, "corporate".into(), "h".into(), "s".into(), lifetimes, noon)
        };
        let member = SignedIn::new(session());
        assert!(member.is_first_passed_over() && !member.is_first_passed_over());
        // What the provider says anew makes no other session of it.
        assert!(!member.renewed(session()).is_first_passed_over());
    }
}

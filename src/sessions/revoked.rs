//! What was ended before its time, where sessions are in their browsers and nobody can take them
//! away (SESS-04): remembered until it would have ended anyway. Nothing is pushed out: what is
//! forgotten would come to life again, so a full list takes no more and says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::digest::Hashing;
use super::{Digest, SignedIn, StoreError, claims, index};
use crate::gate::{Session, Timestamp};

/// How many endings are remembered, beside those that strangers say.
const MOST: usize = 1_000_000;
/// How often those that are over are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// The endings that this process knows of.
#[derive(Debug)]
pub(super) struct Revoked {
    most: usize,
    all: RwLock<All>,
    /// Counts what is added, so that whoever has looked knows whether to look again.
    version: AtomicU64,
    everybody: AtomicI64,
    next_tidy: AtomicI64,
}

#[derive(Debug, Default)]
struct All {
    sessions: HashMap<Digest, Timestamp, Hashing>,
    names: HashMap<Digest, Named, Hashing>,
}

/// Everybody of a name who signed in until then.
#[derive(Clone, Copy, Debug)]
struct Named {
    until: Timestamp,
    kept: Timestamp,
}

impl Default for Revoked {
    fn default() -> Self {
        Self {
            most: MOST + claims::MOST,
            all: RwLock::default(),
            version: AtomicU64::new(1),
            everybody: AtomicI64::new(0),
            next_tidy: AtomicI64::new(0),
        }
    }
}

impl Revoked {
    /// Whether a session is not among them. Who was not is looked at again when something was
    /// added.
    pub(super) fn spare(&self, key: &Digest, member: &SignedIn) -> bool {
        let version = self.version.load(Ordering::Acquire);
        member.is_free(version, || self.include(key, member.session()))
    }

    /// Whether a session is among them.
    pub(super) fn include(&self, key: &Digest, session: &Session) -> bool {
        if session.started().unix_millis() <= self.everybody.load(Ordering::Acquire) {
            return true;
        }
        let all = self.read();
        if all.sessions.contains_key(key) {
            return true;
        }
        if all.names.is_empty() {
            return false;
        }
        let names = index::endings(session);
        let mut named = names.iter().filter_map(|name| all.names.get(name));
        named.any(|named| session.started() <= named.until)
    }

    /// Ends a session.
    pub(super) fn add(&self, key: Digest, ends: Timestamp) -> Result<(), StoreError> {
        let mut all = self.write();
        if all.count() >= self.most && !all.sessions.contains_key(&key) {
            return Err(StoreError::Unavailable);
        }
        all.sessions.insert(key, ends);
        drop(all);
        self.changed();
        Ok(())
    }

    /// Ends the sessions of a name that began until now; no session lasts longer than `longest`.
    pub(super) fn add_name(
        &self,
        name: Digest,
        now: Timestamp,
        longest: Duration,
    ) -> Result<(), StoreError> {
        let mut all = self.write();
        if all.count() >= self.most && !all.names.contains_key(&name) {
            return Err(StoreError::Unavailable);
        }
        let new = Named { until: now, kept: now.after(longest) };
        // By a clock that went back nobody comes to life again.
        let named = all.names.entry(name).or_insert(new);
        *named = Named { until: named.until.max(new.until), kept: named.kept.max(new.kept) };
        drop(all);
        self.changed();
        Ok(())
    }

    /// Ends everybody's that began until then.
    pub(super) fn add_everybody(&self, before: Timestamp) {
        self.everybody.fetch_max(before.unix_millis(), Ordering::AcqRel);
        self.changed();
    }

    /// Forgets what is over.
    pub(super) fn tidy(&self, now: Timestamp) {
        if now.unix_millis() < self.next_tidy.load(Ordering::Relaxed) {
            return;
        }
        self.next_tidy.store(now.after(TIDY_EVERY).unix_millis(), Ordering::Relaxed);
        let mut all = self.write();
        all.sessions.retain(|_, ends| now < *ends);
        all.names.retain(|_, named| now < named.kept);
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn read(&self) -> RwLockReadGuard<'_, All> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, All> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn count(&self) -> usize {
        self.sessions.len().saturating_add(self.names.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::config;
    use crate::gate::{Lifetimes, SessionId, Subject, VerifiedClaims};
    use crate::sessions::error::fully;
    use crate::sessions::{Meant, Ours, Revocation, Seal, Sessions, Store, Word};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };

    /// Sessions in their browsers, of which so many endings are remembered.
    async fn signed_in(most: usize) -> (Sessions, [SessionId; 2]) {
        let settings = config::Sessions {
            store: config::Store::Cookie { revocations: None },
            keys: config::SealingKeys::default(),
            lifetimes: LIFETIMES,
            refresh_interval: HOUR,
            capacity: 10,
        };
        let seal = Arc::new(Seal::new(&[]).unwrap());
        let ours = Ours::new(|_| true);
        let mut sessions = Sessions::new(&settings, &seal, &Clock::system(), ours, |_| {});
        let Store::Memory { revoked, .. } = &mut sessions.store else { unreachable!() };
        *revoked = Some(Box::new(Revoked { most, ..Revoked::default() }));
        let start = async |name: &str| {
            let subject = Subject::Issuer { issuer: "i".into(), subject: name.into() };
            let claims = VerifiedClaims::assertion(subject, serde_json::Map::new());
            let (provider, portal) = ("p".into(), "h".into());
            let session =
                Session::start(claims, provider, portal, name.to_owned(), LIFETIMES, NOON);
            sessions.start(session, NOON).await.unwrap().0
        };
        let ids = [start("ada").await, start("grace").await];
        (sessions, ids)
    }

    #[tokio::test]
    async fn lim_07_names_that_strangers_invent_take_no_room_of_members_endings() {
        let (sessions, ids) = signed_in(claims::MOST + 1).await;
        for number in 0..claims::MOST + 500 {
            let name = number.to_string();
            let meant = Meant::Sid(&name);
            fully(sessions.sign_out_meant("p", meant, None, Word::Claimed, NOON).await);
        }
        assert!(fully(sessions.end(&ids[0], NOON).await).is_some());
        let (ended, full) = sessions.end(&ids[1], NOON).await;
        assert_eq!((ended.is_none(), full), (true, Err(StoreError::Unavailable)));
    }

    #[tokio::test]
    async fn sess_04_a_full_list_refuses_an_ending_that_it_could_not_remember() {
        let (sessions, ids) = signed_in(1).await;
        assert!(fully(sessions.end(&ids[0], NOON).await).is_some());
        let (ended, full) = sessions.end(&ids[1], NOON).await;
        assert_eq!((ended.is_none(), full), (true, Err(StoreError::Unavailable)));
        let who = Meant::Member("i#grace");
        let (ended, full) = sessions.sign_out_meant("p", who, None, Word::Proven, NOON).await;
        assert_eq!((ended.len(), full), (0, Err(StoreError::Unavailable)));
        let who = Revocation::Member("i#grace");
        let revoked = sessions.revoke(who, NOON, |_| panic!("LOG-03: it goes on")).await;
        assert!(revoked.is_err());
        assert!(sessions.find(&ids[0], NOON).await.unwrap().is_none());
        assert!(sessions.find(&ids[1], NOON).await.unwrap().is_some(), "as it was said");
        // There is room again when what was remembered would be over anyway.
        let Store::Memory { revoked: Some(revoked), .. } = &sessions.store else { unreachable!() };
        revoked.tidy(NOON.after(HOUR));
        assert!(fully(sessions.end(&ids[1], NOON).await).is_some());
    }
}

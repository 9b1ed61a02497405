//! Sessions that have gone to the process that takes our place, in a snapshot. From then on it
//! alone says whose they are: here nobody is let in by one any more, none begins and none ends,
//! and whoever asks is told that nobody knows (GEN-03). What is open in their name goes on until
//! it ends by itself, the process does, or the other one says that the session is over (SESS-10).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Digest, Sessions, StoreError};
use crate::gate::Timestamp;
use crate::telemetry::causes;

/// Longer than it takes to look a session up and end it.
const MOMENT: Duration = Duration::from_millis(20);
/// For a refresh that is under way.
const REFRESHES: Duration = Duration::from_secs(5);
/// How often it is looked whether one is.
const LOOK: Duration = Duration::from_millis(5);

impl Sessions {
    /// Whether they are in this process alone, and in a snapshot once it ends.
    #[must_use]
    pub fn are_handed_on(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Leaves them to the next process while this one still has something to finish; false if they
    /// could not be left, and then they stay here.
    pub fn hand_on(&self, now: Timestamp) -> bool {
        // First, so that nothing changes behind the snapshot's back.
        self.gone.store(true, Ordering::Release);
        // Whoever has seen a moment ago that they were here is done with them by then; and what a
        // provider answers to who asks it now is still written, or the next process had a refresh
        // token that is spent.
        std::thread::sleep(MOMENT);
        let begun = Instant::now();
        while Arc::strong_count(&self.leases) > 1 && begun.elapsed() < REFRESHES {
            std::thread::sleep(LOOK);
        }
        let is_left = self.write_snapshot(now);
        self.gone.store(is_left, Ordering::Release);
        is_left
    }

    /// The next process did not come to be: they are here as they were, and nobody else may read
    /// what was left for it (SESS-09).
    pub fn take_back(&self) {
        if let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.are_gone())
            && let Err(error) = snapshot.take_back()
        {
            let cause = causes(&error);
            tracing::error!(cause, "a snapshot that nobody may read could not be taken back");
        }
        self.gone.store(false, Ordering::Release);
    }

    /// Whether they are another process's.
    pub(super) fn are_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Only the process that has them may say anything about them.
    pub(super) fn still_here(&self) -> Result<(), StoreError> {
        if self.are_gone() { Err(StoreError::Unavailable) } else { Ok(()) }
    }

    /// In whose name something is open here.
    #[must_use]
    pub fn open_here(&self) -> Vec<String> {
        self.watched.all().into_iter().map(Digest::to_hex).collect()
    }

    /// Which of these sessions of an earlier process are over, by what is known here.
    #[must_use]
    pub fn over_among(&self, open: Vec<String>, now: Timestamp) -> Vec<String> {
        let is_over = |key: &Digest| {
            let known = self.table.peek(key);
            !known.is_some_and(|known| self.is_valid(known.session(), now))
        };
        open.into_iter()
            // What cannot be read is nobody's.
            .filter(|name| Digest::from_hex(name).is_none_or(|key| is_over(&key)))
            .collect()
    }

    /// Ends what is open here in the name of these, as the process says that has them now; `None`
    /// says that it says nothing any more, and then nobody knows of any.
    pub fn end_open(&self, over: Option<Vec<String>>) {
        let keys: Vec<Digest> = match over {
            Some(over) => over.iter().filter_map(|name| Digest::from_hex(name)).collect(),
            None => self.watched.all(),
        };
        for key in keys {
            if let Some(known) = self.table.peek(&key) {
                known.ending().close();
            }
            self.watched.close(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use serde_json::Map;

    use super::*;
    use crate::gate::{Lifetimes, Session, SessionId, Subject, VerifiedClaims};
    use crate::sessions::{Here, Turn, Watch};

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };

    fn session() -> Session {
        let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, Map::new());
        Session::start(claims, "a".into(), "h".into(), String::new(), LIFETIMES, NOON)
    }

    fn has_ended(watch: &mut Watch) -> bool {
        Pin::new(watch).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn gen_03_of_sessions_that_are_gone_nobody_here_says_anything() {
        let store = Sessions::in_memory(LIFETIMES, 10);
        let (id, _) = store.start(session(), NOON).await.unwrap();
        store.gone.store(true, Ordering::Release);
        let unavailable = Err(StoreError::Unavailable);
        assert!(matches!(store.here(&id, NOON), Here::Ask));
        assert!(matches!(store.find(&id, NOON).await, Err(StoreError::Unavailable)));
        let other = SessionId::new([7; 32]);
        assert!(store.find(&other, NOON).await.is_err(), "nor that there is none");
        assert!(store.start(session(), NOON).await.is_err());
        assert_eq!(store.end(&id, NOON).await.1, unavailable, "SESS-04: it has not ended");
        assert_eq!(store.sign_out(&id, NOON).await.1, unavailable);
        assert!(store.turn(&id, |_| false, NOON).await.is_err());
        store.take_back();
        assert!(matches!(store.here(&id, NOON), Here::Member(_)));
        assert!(matches!(store.turn(&id, |_| false, NOON).await, Ok(Turn::Ours(..))));
    }

    #[tokio::test]
    async fn sess_09_what_a_refresh_under_way_brings_goes_along() {
        let store = Arc::new(Sessions::in_memory(LIFETIMES, 10));
        let (id, _) = store.start(session(), NOON).await.unwrap();
        let Ok(Turn::Ours(lease, member)) = store.turn(&id, |_| false, NOON).await else {
            panic!("it is nobody else's turn")
        };
        let handing = Arc::clone(&store);
        let handed = std::thread::spawn(move || handing.hand_on(NOON));
        while !store.are_gone() {
            std::thread::yield_now();
        }
        assert!(store.turn(&id, |_| false, NOON).await.is_err(), "none begins");
        let renewed = store.renew(&id, &lease, &member, session(), NOON).await;
        assert!(matches!(renewed, Ok(Some(_))));
        assert!(!handed.is_finished());
        drop(lease);
        handed.join().unwrap();
    }

    #[tokio::test]
    async fn sess_10_what_is_open_ends_when_whoever_has_the_session_says_so() {
        let (old, new) = (Sessions::in_memory(LIFETIMES, 10), Sessions::in_memory(LIFETIMES, 10));
        let (first, member) = old.start(session(), NOON).await.unwrap();
        let (second, other) = old.start(session(), NOON).await.unwrap();
        let mut open = [old.watch(&first, &member), old.watch(&second, &other)];
        // One of them goes on there.
        let (key, record) = (Digest::of_id(&second), session().to_record());
        new.table.put_cold(key, &session(), record.expose());
        let over = new.over_among(old.open_here(), NOON);
        assert_eq!(over, [Digest::of_id(&first).to_hex()]);
        let more = vec!["no key".to_owned()];
        assert_eq!(new.over_among(more.clone(), NOON), more);
        old.end_open(Some(over));
        assert_eq!(open.each_mut().map(has_ended), [true, false]);
        assert_eq!(new.over_among(old.open_here(), NOON.after(2 * HOUR)).len(), 2, "by its time");
        old.end_open(None);
        assert!(open.iter_mut().all(has_ended), "nobody says anything any more");
    }
}

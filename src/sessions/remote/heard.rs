//! What the store has said, and what this process knows of sessions by it. Deliberately not here:
//! asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use super::again::Again;
use crate::clock::Clock;
use crate::sessions::arriving::Arriving;
use crate::sessions::copies::{CHANGED, Copies};
use crate::sessions::ending::Watched;
use crate::sessions::index::{self, Index};
use crate::sessions::redis::{Changed, Redis, Told};
use crate::sessions::table::{Gone, Table};
use crate::sessions::{Digest, SignedIn};

/// What this process knows of sessions.
#[derive(Clone, Debug)]
pub(in crate::sessions) struct Known {
    pub(in crate::sessions) table: Arc<Table>,
    pub(in crate::sessions) watched: Arc<Watched>,
    pub(in crate::sessions) arriving: Arc<Arriving>,
    /// Where sessions are in their browsers: by what an ending may name them.
    pub(in crate::sessions) endings: Option<Arc<Index>>,
}

impl Known {
    /// Takes a session out that is over; whether it was there.
    pub(super) fn forget(&self, key: &Digest) -> bool {
        let gone = self.table.remove(key).map(|gone| self.forgotten(gone));
        gone.is_some()
    }

    /// What has been taken out of the table goes from the index too.
    pub(in crate::sessions) fn forgotten(&self, gone: Gone) {
        let key = gone.key;
        if let (None, Some(member)) = (&self.endings, &gone.signed_in) {
            member.ending().tell();
        }
        if let Some(index) = &self.endings
            && let Some(member) = gone.into_session()
        {
            index.remove(index::endings(member.session()), &key);
            // What is not there any more is over, for whoever waits for that too (SESS-10).
            member.ending().tell();
        }
    }

    /// Puts a session there in the place of any other.
    pub(super) fn put(&self, key: &Digest, member: &Arc<SignedIn>, record: &[u8]) {
        let earlier = self.table.peek(key);
        self.add_names(key, member);
        self.table.put(*key, Arc::clone(member), record, CHANGED);
        self.leave_names(key, earlier.as_ref(), member);
    }

    /// A browser has shown a session, or a later state of `earlier`: puts it there; `false` if that
    /// is not what is there. Its names stay then: they are those of what is there, but for what a
    /// refresh may have changed.
    pub(in crate::sessions) fn admit(
        &self,
        key: &Digest,
        earlier: Option<&Arc<SignedIn>>,
        member: &Arc<SignedIn>,
        record: &[u8],
    ) -> bool {
        self.add_names(key, member);
        let is_there = self.table.admit(key, earlier, member, record);
        if is_there {
            self.leave_names(key, earlier, member);
        }
        is_there
    }

    /// First, so that what is said of any of them from now on is said of this one.
    fn add_names(&self, key: &Digest, member: &SignedIn) {
        if let Some(index) = &self.endings {
            index.add(index::endings(member.session()), key);
        }
    }

    /// What an earlier state of a session was called and the next one is not.
    fn leave_names(&self, key: &Digest, earlier: Option<&Arc<SignedIn>>, next: &SignedIn) {
        if let (Some(index), Some(earlier)) = (&self.endings, earlier) {
            index.leave(index::endings(earlier.session()), index::endings(next.session()), key);
        }
    }

    /// The store has said something of a name.
    pub(super) fn doubt_named(&self, name: &Digest) {
        let Some(index) = &self.endings else {
            return;
        };
        let named = index.find(name).into_iter();
        let keys = named.flat_map(|begins| self.table.beginning_with(begins));
        for key in keys.chain([*name]) {
            self.table.doubt(&key);
            self.watched.suspect(&key);
        }
    }
}

/// What the store has said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) copies: Copies,
    /// Unix milliseconds: whoever signed in until then has to sign in anew.
    pub(super) everybody: AtomicI64,
    /// Which word of that is the latest, and which one was read.
    pub(super) said: AtomicU32,
    pub(super) read: AtomicU32,
    /// How often something was said of an ending.
    pub(super) endings: AtomicU32,
    pub(super) again: Again,
}

/// Where what the store says goes.
pub(super) struct Hearing {
    pub(super) heard: Arc<Heard>,
    pub(super) known: Known,
    pub(super) clock: Clock,
    pub(super) prefix: String,
}

impl Hearing {
    pub(super) fn hear(&self, told: Told) {
        let heard = &self.heard;
        match told {
            Told::Changed(name) => match Redis::read_name(&self.prefix, &name) {
                Changed::Session(key) => {
                    heard.copies.changed(&key, || self.known.table.doubt(&key));
                    self.known.watched.suspect(&key);
                    heard.again.add(self.known.table.is_warm(&key).then_some(key));
                }
                Changed::Ended(name) => {
                    heard.endings.fetch_add(1, Ordering::AcqRel);
                    heard.copies.changed(&name, || self.known.doubt_named(&name));
                }
                Changed::Other => {
                    heard.said.fetch_add(1, Ordering::AcqRel);
                    if Redis::is_everybody(&self.prefix, &name) {
                        // What is open asks nothing, so somebody has to ask for it (SESS-10).
                        self.known.watched.suspect_all();
                    }
                }
            },
            Told::AllChanged => {
                heard.copies.all_changed();
                heard.said.fetch_add(1, Ordering::AcqRel);
                self.known.watched.suspect_all();
            }
            Told::Uncertain => {
                heard.copies.down(self.clock.now());
                heard.said.fetch_add(1, Ordering::AcqRel);
                // What is open goes on for no longer than a request would.
                self.known.watched.suspect_all();
            }
            Told::Up => {
                heard.copies.up();
                // What was read over the connections before these is not heard of over these.
                heard.said.fetch_add(1, Ordering::AcqRel);
                heard.again.add(self.known.table.warm());
                self.known.arriving.tell();
                self.known.watched.suspect_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Map;

    use super::*;
    use crate::gate::{Lifetimes, Session, Subject, Timestamp, VerifiedClaims};
    use crate::sessions::Watch;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn hearing(is_carried: bool) -> Hearing {
        let known = Known {
            table: Arc::new(Table::new(true)),
            watched: Arc::default(),
            arriving: Arc::new(Arriving::new(false)),
            endings: is_carried.then(Arc::default),
        };
        let (heard, prefix) = (Arc::new(Heard::default()), "p:".to_owned());
        Hearing { heard, known, clock: Clock::at(NOON), prefix }
    }

    fn session(handle: &str) -> Session {
        let subject = Subject::Issuer { issuer: "i".into(), subject: "s".into() };
        let claims = VerifiedClaims::assertion(subject, Map::new());
        let lifetimes = Lifetimes { idle: HOUR, absolute: HOUR };
        Session::start(claims, "a".into(), "h".into(), handle.to_owned(), lifetimes, NOON)
    }

    fn member() -> Arc<SignedIn> {
        Arc::new(SignedIn::new(session("handle")))
    }

    #[test]
    fn sess_10_every_word_that_may_end_what_is_open_has_it_looked_at() {
        let (key, member) = (Digest::of(b"k"), member());
        let name = |letter: &str, digest: &Digest| {
            Told::Changed(format!("p:{letter}:{{{}}}", digest.to_hex()).into_bytes())
        };
        let named = index::endings(member.session()).remove(0);
        let all = [Told::AllChanged, Told::Uncertain, Told::Up, Told::Changed(b"p:e".to_vec())];
        let of_it = [name("s", &key), name("r", &key), name("r", &named)];
        for told in all.into_iter().chain(of_it) {
            let hearing = hearing(true);
            let known = &hearing.known;
            assert!(known.admit(&key, None, &member, b""));
            let _watch = Watch::new(&known.watched, key, &member);
            let due = || known.watched.due(NOON);
            known.watched.lasts(&key, due()[0].1, NOON.after(HOUR));
            assert_eq!(due(), []);
            hearing.hear(name("s", &Digest::of(b"another")));
            assert_eq!(due(), []);
            let words = format!("{told:?}");
            hearing.hear(told);
            assert_eq!(due().len(), 1, "{words}");
        }
    }

    #[test]
    fn sess_08_since_when_everybody_signs_in_anew_is_read_over_each_connection() {
        let hearing = hearing(false);
        let heard = &hearing.heard;
        hearing.hear(Told::Up);
        hearing.hear(Told::Uncertain);
        // Over a connection that is about to be replaced.
        let said = heard.said.load(Ordering::Acquire);
        heard.read.store(said, Ordering::Release);
        hearing.hear(Told::Up);
        assert_ne!(heard.said.load(Ordering::Acquire), said);
    }

    #[test]
    fn sess_10_of_two_who_show_a_session_at_one_moment_one_finds_the_others() {
        let known = hearing(true).known;
        let (key, one, other) = (Digest::of(b"k"), member(), member());
        assert!(known.admit(&key, None, &one, b""));
        assert!(!known.admit(&key, None, &other, b""), "something is there by now");
        assert!(!known.admit(&key, Some(&other), &other, b""), "and it is not that");
        assert_eq!((known.table.count(), one.is_over()), (1, false));
        let next = Arc::new(one.renewed(session("another")));
        assert!(known.admit(&key, Some(&one), &next, b""));
        let index = known.endings.as_ref().unwrap();
        assert_eq!(index.len(), index::endings(next.session()).len(), "its earlier name is left");
        let same = Arc::new(SignedIn::new(session("another")));
        assert!(!known.admit(&key, Some(&one), &same, b""), "nor is that any more");
        known.forget(&key);
        assert!(one.is_over() && next.is_over() && !other.is_over());
        assert_eq!((known.table.count(), index.len()), (0, 0));
        assert!(!known.admit(&key, Some(&next), &other, b""), "it is gone");
    }
}

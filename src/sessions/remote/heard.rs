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
    /// Takes a session out that is over.
    pub(super) fn forget(&self, key: &Digest) {
        if let Some(gone) = self.table.remove(key) {
            self.forgotten(gone);
        }
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

    /// Puts a session there in the place of `earlier`; `false` if that is not what is there. Its names
    /// stay then: they are those of what is there, but for what a refresh may have changed.
    pub(super) fn admit(
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
            let kept = index::endings(next.session());
            let left = index::endings(earlier.session()).into_iter();
            index.remove(left.filter(|name| !kept.contains(name)), key);
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
                self.known.watched.suspect_all();
                heard.said.fetch_add(1, Ordering::AcqRel);
            }
            Told::Uncertain => {
                heard.copies.down(self.clock.now());
                heard.said.fetch_add(1, Ordering::AcqRel);
            }
            Told::Up => {
                heard.copies.up();
                heard.again.add(self.known.table.warm());
                self.known.arriving.tell();
                self.known.watched.suspect_all();
            }
        }
    }
}

//! One place of the table, and what it keeps of a session that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Digest, SignedIn};
use crate::gate::{Session, Timestamp};

/// For how long a session that nobody uses is kept read.
const WARM: Duration = Duration::from_secs(60);

/// A session's place: one line of memory, which says whose it is and, while it is warm, where it
/// is read. Among a million sessions each line that has to be fetched costs as much as all the
/// rest of a look.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Digest,
    pub(super) warm: Option<Arc<SignedIn>>,
    /// Which time of the store it was read at.
    pub(super) epoch: u32,
    /// When it is over, if it is cold. In Unix seconds, and up to one late, which costs nothing:
    /// who reads it sees when it really is.
    over: u32,
    pub(super) kept: Kept,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry is one line of memory");

/// A session as it was written when it was put into the table, behind what of it has changed
/// since while it is cold: when it was used last, in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept(Box<[u8]>);

impl Kept {
    /// A time.
    const HEAD: usize = size_of::<i64>();

    fn new(session: &Session, record: &[u8]) -> Self {
        Self([session.last_used().unix_millis().to_le_bytes().as_slice(), record].concat().into())
    }

    /// Its record.
    pub(super) fn record(&self) -> &[u8] {
        self.0.get(Self::HEAD..).unwrap_or_default()
    }

    /// The session, as it was when it was noted last.
    pub(super) fn read(&self) -> Option<Session> {
        let session = Session::from_record(self.record())?;
        session.touch(self.last_used());
        Some(session)
    }

    fn note(&mut self, last_used: Timestamp) {
        if let Some(head) = self.0.first_chunk_mut() {
            *head = last_used.unix_millis().to_le_bytes();
        }
    }

    fn last_used(&self) -> Timestamp {
        let head = self.0.first_chunk().copied();
        Timestamp::from_unix_millis(head.map_or(0, i64::from_le_bytes))
    }
}

/// Unix seconds, not before.
fn seconds(time: Timestamp) -> u32 {
    let seconds = time.unix_millis().saturating_add(999).div_euclid(1000);
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

impl Entry {
    /// A session that somebody uses.
    pub(super) fn warm(key: Digest, signed_in: Arc<SignedIn>, record: &[u8], epoch: u32) -> Self {
        let kept = Kept::new(signed_in.session(), record);
        Self { key, warm: Some(signed_in), epoch, over: 0, kept }
    }

    /// A session that nobody uses yet.
    pub(super) fn cold(key: Digest, session: &Session, record: &[u8]) -> Self {
        let over = seconds(session.lasts_until());
        Self { key, warm: None, epoch: 0, over, kept: Kept::new(session, record) }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        match &self.warm {
            Some(warm) => !warm.session().is_live(now),
            None => i64::from(self.over) <= now.unix_millis().div_euclid(1000),
        }
    }

    pub(super) fn last_used(&self) -> Timestamp {
        match &self.warm {
            Some(warm) => warm.session().last_used(),
            None => self.kept.last_used(),
        }
    }

    pub(super) fn is_in_hand(&self) -> bool {
        self.warm.as_ref().is_some_and(SignedIn::is_in_hand)
    }

    /// Keeps the record alone, if nobody has used or holds the rest.
    pub(super) fn cool(&mut self, now: Timestamp) -> Option<Arc<SignedIn>> {
        if !self.is_unused(now) {
            return None;
        }
        let warm = self.warm.take()?;
        self.kept.note(warm.session().last_used());
        self.over = seconds(warm.session().lasts_until());
        Some(warm)
    }

    pub(super) fn is_unused(&self, now: Timestamp) -> bool {
        self.warm.as_ref().is_some_and(|warm| {
            warm.session().last_used().after(WARM) <= now && !SignedIn::is_in_hand(warm)
        })
    }

    /// What is left of it when it has been taken out.
    pub(super) fn gone(self) -> Gone {
        Gone { key: self.key, signed_in: self.warm, kept: self.kept }
    }
}

/// What has been taken out of the table.
#[derive(Debug)]
pub(in crate::sessions) struct Gone {
    pub(in crate::sessions) key: Digest,
    pub(in crate::sessions) signed_in: Option<Arc<SignedIn>>,
    kept: Kept,
}

impl Gone {
    /// The session that it was.
    pub(in crate::sessions) fn into_session(self) -> Option<Arc<SignedIn>> {
        self.signed_in.or_else(|| self.kept.read().map(|session| Arc::new(SignedIn::new(session))))
    }
}

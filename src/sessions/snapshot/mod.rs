//! What bridges a planned restart of a process that keeps sessions in memory: at its end they are
//! written to a file, sealed, and the next one takes that file away and reads it, once (SESS-09).
//!
//! A snapshot is believed as a whole or not at all: it is read to its end before the first
//! session of it counts. Whoever starts notes before anything else that nothing may be read any
//! more, so that what it refuses or does not find is not believed by a later process either, and
//! no crash makes it be read again: what is left counts for the very next process, and only if
//! the one that had started last has left it. What is refused costs a sign-in and is said in one
//! line; the process starts either way. Deliberately not here: the form of the file (`chunks`),
//! and its names (`place`).

mod chunks;
mod note;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::chunks::{Reader, Writer, items};
use self::note::{Note, Sealed};
use self::place::{Place, Taken};
use super::marks::{Mark, SignOut};
use super::{Arriving, Digest, Seal, Sessions, Store, index};
use crate::gate::{Session, Timestamp};
use crate::telemetry::causes;

/// Where the snapshot is, and what seals it.
#[derive(Debug)]
pub(super) struct Snapshot {
    place: Place,
    seal: Arc<Seal>,
    /// The longest that a session lasts.
    absolute: Duration,
    /// The note as this process has left it there last, when it began or afterwards. As long as it
    /// lies there, no other has begun since.
    noted: Mutex<Option<Sealed>>,
}

/// A snapshot that is believed, at its beginning.
#[derive(Debug)]
pub(super) struct Believed {
    file: File,
    id: chunks::Id,
    head: Head,
}

/// Why a snapshot is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It is a folder, a link or a device.
    #[error("it is not a file, or not the same one from one moment to the next")]
    NoFile,
    /// Somebody else made it.
    #[error("it belongs to another user")]
    Owner,
    /// It was not only ours.
    #[error("others can get at it (mode {mode:04o})")]
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// The system does not give it.
    #[error("it cannot be read, or not be taken away")]
    Unreadable(#[from] io::Error),
    /// Its key is not among ours.
    #[error("it was sealed with a key that is not in `sessions.keys`")]
    Foreign,
    /// It is not what was written.
    #[error("it is not whole, or not as it was written")]
    Broken,
    /// All its sessions are over.
    #[error("it is older than any session lasts")]
    Old,
    /// It is a copy of one that has been read, or nobody may read it any more.
    #[error("it was read before, or another process has lived since it was written")]
    Taken,
    /// Nothing says whether it was read before.
    #[error("the note beside it (`.last`) is not there, or cannot be read")]
    NoNote,
    /// A later process will not know that this one has been here.
    #[error(
        "the note beside it (`.last`) cannot be written; if it is still there, remove it, or a \
         later process may believe it"
    )]
    NotNoted(#[source] io::Error),
}

/// What came of reading a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restored {
    /// Sessions that go on.
    pub(super) sessions: u64,
    /// Sessions whose time was over.
    pub(super) over: u64,
    /// Sessions of a portal or provider that there is not any more.
    pub(super) foreign: u64,
    /// Sessions of another version of ours.
    pub(super) unreadable: u64,
}

/// What stands in a snapshot, the head first, the marks before the sessions.
#[derive(Serialize, Deserialize)]
enum Item<'a> {
    Head(Head),
    Mark(Mark),
    Session { key: Digest, last_used: Timestamp, record: &'a [u8] },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    written: Timestamp,
    /// The longest that a session lasted where it was written.
    absolute: Duration,
    /// Whoever signed in until then has to sign in anew; Unix milliseconds.
    everybody: i64,
}

/// However reading ends, nobody waits for it any longer.
struct Telling<'a>(&'a Arriving);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// Whether a snapshot could be written there. What is made for that goes at once.
///
/// # Errors
/// The system's reason.
pub(crate) fn can_be_left(path: &Path) -> io::Result<()> {
    Place::new(path).begin().map(drop)
}

impl Snapshot {
    pub(super) fn new(path: &Path, seal: &Arc<Seal>, absolute: Duration) -> Self {
        let (place, seal) = (Place::new(path), Arc::clone(seal));
        Self { place, seal, absolute, noted: Mutex::default() }
    }

    /// Takes away what an earlier process has left, and reads it to its end.
    pub(super) fn take(&self, now: Timestamp) -> Result<Option<Believed>, Unfit> {
        let (taken, note) = self.begin()?;
        let Some(mut taken) = taken else {
            return Ok(None);
        };
        let (id, head) = look_through(&taken.file, &self.seal)?;
        if note?.left != Some(id) {
            return Err(Unfit::Taken);
        }
        if now.since(head.written) > head.absolute.max(self.absolute) {
            return Err(Unfit::Old);
        }
        taken.file.rewind()?;
        Ok(Some(Believed { file: taken.file.try_clone()?, id, head }))
    }

    /// Begins: from here on nothing may be read that lies there, whether it can be taken away or
    /// not. What could be comes with the note of before.
    fn begin(&self) -> Result<(Option<Taken>, Result<Note, Unfit>), Unfit> {
        let Self { place, seal, .. } = self;
        // Of two that begin at once, one gets the snapshot together with the note that names it.
        let (lock, fault) = match place.lock() {
            Ok(lock) => (Some(lock), None),
            Err(cause) => (None, Some(cause)),
        };
        let note = Note::read(place, seal);
        // First, so that no crash brings it back. One that could not be read goes, too: somebody
        // with other keys may be able to.
        let fault = fault.or_else(|| Note::default().write(place, seal).err());
        if let Ok(there) = Sealed::read(place) {
            *self.noted() = Some(there);
        }
        // Also when that failed: what is gone needs no note.
        let taken = place.take();
        drop(lock);
        match fault {
            None => Ok((taken?, note)),
            Some(cause) => Err(Unfit::NotNoted(cause)),
        }
    }

    /// Begins anew, because whoever was to read what was left did not come to be: nobody else may
    /// read it, for this process goes on.
    pub(super) fn take_back(&self) -> Result<(), Unfit> {
        self.begin().map(drop)
    }

    /// Whether no other process has begun since this one has.
    fn is_last(&self) -> io::Result<bool> {
        Ok(*self.noted() == Some(Sealed::read(&self.place)?))
    }

    fn noted(&self) -> MutexGuard<'_, Option<Sealed>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that nothing is believed that another process has left while this one went on,
    /// for it knows nothing of what has ended here since. One that has left nothing yet still can.
    fn outlive(&self) -> io::Result<()> {
        match Note::read(&self.place, &self.seal) {
            Ok(Note { left: None }) => Ok(()),
            Ok(Note { left: Some(_) }) | Err(_) => Note::default().write(&self.place, &self.seal),
        }
    }
}

impl Sessions {
    /// Reads what an earlier process has left, if that is how sessions outlive one; says how many
    /// of its sessions go on. It takes its time: to be called beside the requests, which wait for
    /// it.
    pub fn read_snapshot(&self, now: Timestamp) -> u64 {
        let Some(snapshot) = &self.snapshot else {
            return 0;
        };
        let _telling = Telling(&self.arriving);
        let (path, begun) = (snapshot.place.path().display(), Instant::now());
        if let Err(cause) = snapshot.place.tidy() {
            tracing::warn!(%path, %cause, "the folder of the snapshot could not be looked through");
        }
        match snapshot.take(now) {
            Ok(None) => {
                tracing::info!(%path, "there is no snapshot: sessions begin empty");
                0
            }
            Ok(Some(believed)) => self.go_on(snapshot, believed, now, begun),
            Err(error) => {
                let cause = causes(&error);
                tracing::error!(%path, cause, "the snapshot is refused: sessions begin empty");
                0
            }
        }
    }

    fn go_on(
        &self,
        snapshot: &Snapshot,
        believed: Believed,
        now: Timestamp,
        begun: Instant,
    ) -> u64 {
        let mut restored = Restored::default();
        let whole = self.restore(snapshot, believed, &mut restored, now);
        let Restored { sessions, over, foreign, unreadable } = restored;
        let (path, took_ms) = (snapshot.place.path().display(), millis(begun.elapsed()));
        match whole {
            Ok(()) => tracing::info!(
                %path, sessions, over, foreign, unreadable, took_ms,
                "sessions go on from the snapshot"
            ),
            Err(error) => tracing::error!(
                %path, cause = causes(&error), sessions, over, foreign, unreadable, took_ms,
                "sessions go on from a part of the snapshot: the rest could not be read again"
            ),
        }
        sessions
    }

    /// Writes what there is for the next process, if that is how sessions outlive one: once nothing
    /// can change any more. False if it has nothing.
    pub fn write_snapshot(&self, now: Timestamp) -> bool {
        let Some(snapshot) = &self.snapshot else {
            return false;
        };
        let (path, begun) = (snapshot.place.path().display(), Instant::now());
        match self.leave(snapshot, now) {
            Ok((sessions, left_out)) => {
                let took_ms = millis(begun.elapsed());
                tracing::info!(%path, sessions, left_out, took_ms, "the snapshot is written");
                true
            }
            Err(cause) => {
                tracing::error!(
                    %path, %cause,
                    "the snapshot is not written: who is signed in here has to sign in again"
                );
                false
            }
        }
    }

    pub(super) fn leave(&self, snapshot: &Snapshot, now: Timestamp) -> io::Result<(u64, u64)> {
        let Snapshot { place, seal, absolute, .. } = snapshot;
        // Whoever begins meanwhile waits for what is left here.
        let _lock = place.lock()?;
        if !snapshot.is_last()? {
            snapshot.outlive()?;
            let why = "another process has begun since, or the note beside it (`.last`) is gone";
            return Err(io::Error::other(why));
        }
        let mut new = place.begin()?;
        let out = BufWriter::with_capacity(128 * 1024, &mut new.file);
        let id = random()?;
        let mut writer = Writer::new(out, seal, id)?;
        let everybody = self.everybody.load(std::sync::atomic::Ordering::Acquire);
        let head = Head { written: now, absolute: *absolute, everybody };
        writer.add(&Item::Head(head))?;
        if let Store::Memory { marks, .. } = &self.store {
            for mark in marks.all() {
                writer.add(&Item::Mark(mark))?;
            }
        }
        let (mut sessions, mut left_out) = (0, 0);
        for part in self.table.parts() {
            for (key, record, last_used) in self.table.records(part) {
                match writer.add(&Item::Session { key, last_used, record: &record })? {
                    true => sessions += 1,
                    false => left_out += 1,
                }
            }
        }
        writer.finish()?.flush()?;
        // First: what lies there until then is not what it names.
        Note { left: Some(id) }.write(place, seal)?;
        *snapshot.noted() = Some(Sealed::read(place)?);
        place.put(&new, place.path())?;
        Ok((sessions, left_out))
    }

    /// Restores what is believed; an error says that this was not all of it. A disk can fail after
    /// the snapshot was believed, or its key be dropped: who is here by then stays, since nothing
    /// was wrong with it.
    pub(super) fn restore(
        &self,
        snapshot: &Snapshot,
        Believed { file, id, head }: Believed,
        restored: &mut Restored,
        now: Timestamp,
    ) -> Result<(), Unfit> {
        self.everybody.fetch_max(head.everybody, std::sync::atomic::Ordering::AcqRel);
        let mut reader = Reader::new(BufReader::new(file), &snapshot.seal)?;
        // Whoever had it open before may have written another one over it.
        if reader.id() != id {
            return Err(Unfit::Broken);
        }
        while let Some(piece) = reader.next()? {
            for item in items(&piece) {
                self.restore_item(item?, restored, now);
            }
        }
        Ok(())
    }

    fn restore_item(&self, item: Item<'_>, restored: &mut Restored, now: Timestamp) {
        let Store::Memory { index, marks, .. } = &self.store else {
            return;
        };
        match item {
            Item::Head(_) => {}
            Item::Mark(mark) => {
                if let Mark::SignedOut(SignOut::There, name, at) = mark {
                    // It may have been a stranger's word, and takes of their room then.
                    self.claimed.admit_sign_out(&name, at);
                }
                marks.restore(mark, now);
            }
            Item::Session { key, last_used, record } => {
                let Some(session) = Session::from_record(record) else {
                    restored.unreadable += 1;
                    return;
                };
                session.touch(last_used);
                if !self.is_valid(&session, now) {
                    restored.over += 1;
                } else if !self.is_ours.include(&session) {
                    restored.foreign += 1;
                } else {
                    restored.sessions += 1;
                    // First, so that whoever ends it by its name from now on finds it.
                    index.add(index::names(&session), &key);
                    self.table.put_cold(key, &session, record);
                }
            }
        }
    }
}

/// Reads a snapshot to its end: what it says of itself, if all of it is as it was written.
fn look_through(file: &File, seal: &Seal) -> Result<(chunks::Id, Head), Unfit> {
    let mut reader = Reader::new(BufReader::new(file), seal)?;
    let first = reader.next()?.ok_or(Unfit::Broken)?;
    let Some(Ok(Item::Head(head))) = items(&first).next() else {
        return Err(Unfit::Broken);
    };
    let mut next = Some(first);
    while let Some(piece) = next {
        items::<Item<'_>>(&piece).try_for_each(|item| item.map(|_| ()))?;
        next = reader.next()?;
    }
    Ok((reader.id(), head))
}

fn random() -> io::Result<[u8; 16]> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
    Ok(random)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! What bridges a planned restart of a process that keeps sessions in memory: at its end they are
//! written to a file, sealed, and the next one takes that file away and reads it, once (SESS-09).
//!
//! A snapshot is believed as a whole or not at all: it is read to its end before the first session of
//! it counts. By then it has been taken away and a note says so, so that no crash makes it be read
//! again. What is refused costs a sign-in and is said in one line; the process starts either way.
//! Deliberately not here: the form of the file (`chunks`), and its names (`place`).

mod chunks;
mod note;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::chunks::{Reader, Writer, items};
use self::note::Note;
use self::place::Place;
use super::marks::Mark;
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
    /// It is a copy of one that has been read.
    #[error("it was read before, or is older than one that was")]
    Taken,
    /// Nothing says whether it was read before.
    #[error("the note beside it (`.last`) is not there, or is not its own")]
    NoNote,
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
    series: [u8; 16],
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

impl Snapshot {
    pub(super) fn new(path: &Path, seal: &Arc<Seal>, absolute: Duration) -> Self {
        Self { place: Place::new(path), seal: Arc::clone(seal), absolute }
    }
}

impl Sessions {
    /// Reads what an earlier process has left, if that is how sessions outlive one; says how many of
    /// its sessions go on. It takes its time: to be called beside the requests, which wait for it.
    pub fn read_snapshot(&self, now: Timestamp) -> u64 {
        let Some(snapshot) = &self.snapshot else {
            return 0;
        };
        let _telling = Telling(&self.arriving);
        let (path, begun) = (snapshot.place.path().display(), Instant::now());
        if let Err(cause) = snapshot.place.tidy() {
            tracing::warn!(%path, %cause, "the folder of the snapshot could not be looked through");
        }
        match self.restore(snapshot, now) {
            Ok(None) => {
                tracing::info!(%path, "there is no snapshot: sessions begin empty");
                0
            }
            Ok(Some(restored)) => {
                let Restored { sessions, over, foreign, unreadable } = restored;
                let took_ms = millis(begun.elapsed());
                tracing::info!(
                    %path, sessions, over, foreign, unreadable, took_ms,
                    "sessions go on from the snapshot"
                );
                sessions
            }
            Err(error) => {
                let cause = causes(&error);
                tracing::error!(%path, cause, "the snapshot is refused: sessions begin empty");
                0
            }
        }
    }

    /// Writes what there is for the next process, if that is how sessions outlive one: once nothing can
    /// change any more.
    pub fn write_snapshot(&self, now: Timestamp) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        let (path, begun) = (snapshot.place.path().display(), Instant::now());
        match self.leave(snapshot, now) {
            Ok((sessions, left_out)) => {
                let took_ms = millis(begun.elapsed());
                tracing::info!(%path, sessions, left_out, took_ms, "the snapshot is written");
            }
            Err(cause) => tracing::error!(
                %path, %cause,
                "the snapshot could not be written: everybody has to sign in again"
            ),
        }
    }

    pub(super) fn leave(&self, snapshot: &Snapshot, now: Timestamp) -> io::Result<(u64, u64)> {
        let Snapshot { place, seal, absolute } = snapshot;
        // Without one that can be read it begins anew, and no earlier snapshot is believed.
        let note = Note::read(place, seal).or_else(|_| Note::begin())?;
        // Under the key that seals now: the other may be dropped before the next end.
        note.write(place, seal)?;
        // A clock that was set back makes no snapshot look like one that was read.
        let written = now.max(note.taken.after(Duration::from_millis(1)));
        let mut new = place.begin()?;
        let out = BufWriter::with_capacity(128 * 1024, &mut new.file);
        let mut writer = Writer::new(out, seal, random()?)?;
        let everybody = self.everybody.load(std::sync::atomic::Ordering::Acquire);
        let head = Head { series: note.series, written, absolute: *absolute, everybody };
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
        place.put(&new, place.path())?;
        Ok((sessions, left_out))
    }

    pub(super) fn restore(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Restored>, Unfit> {
        let Snapshot { place, seal, absolute } = snapshot;
        let Some(mut taken) = place.take()? else {
            return Ok(None);
        };
        let (id, head) = look_through(&taken.file, seal)?;
        let mut note = Note::read(place, seal)?;
        if note.series != head.series {
            return Err(Unfit::NoNote);
        }
        if head.written <= note.taken || id == note.id {
            return Err(Unfit::Taken);
        }
        if now.since(head.written) > head.absolute.max(*absolute) {
            return Err(Unfit::Old);
        }
        (note.taken, note.id) = (head.written, id);
        // From here on no crash brings it back.
        note.write(place, seal)?;
        taken.file.rewind()?;
        let file = taken.file.try_clone()?;
        drop(taken);
        self.everybody.fetch_max(head.everybody, std::sync::atomic::Ordering::AcqRel);
        let mut restored = Restored::default();
        let mut reader = Reader::new(BufReader::new(file), seal)?;
        while let Some(piece) = reader.next()? {
            for item in items::<Item<'_>>(&piece) {
                self.restore_item(item?, &mut restored, now);
            }
        }
        Ok(Some(restored))
    }

    fn restore_item(&self, item: Item<'_>, restored: &mut Restored, now: Timestamp) {
        let Store::Memory { index, marks, .. } = &self.store else {
            return;
        };
        match item {
            Item::Head(_) => {}
            Item::Mark(mark) => marks.restore(mark, now),
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
    while reader.next()?.is_some() {}
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

//! The note beside a snapshot: which one was taken last. Without it, or with one that is not ours, no
//! snapshot is believed; a snapshot that is not newer than the one it tells of was read before
//! (SESS-09). Whoever can put back an earlier note together with its snapshot is not seen.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::place::Place;
use super::{Unfit, random};
use crate::config::read_bounded;
use crate::gate::Timestamp;
use crate::sessions::{Purpose, Seal};

/// What the note is sealed for.
const SCOPE: &[u8] = b"note";
/// More bytes than one has.
const LONGEST: u64 = 1024;

/// The note.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Which snapshots it is for: those of one place. Another's are not read here.
    pub(super) series: [u8; 16],
    /// When the one was written that was taken last.
    pub(super) taken: Timestamp,
    /// And which it was.
    pub(super) id: [u8; 16],
}

impl Note {
    /// One that knows of no snapshot.
    pub(super) fn begin() -> std::io::Result<Self> {
        let taken = Timestamp::from_unix_millis(i64::MIN);
        Ok(Self { series: random()?, taken, id: [0; 16] })
    }

    /// The note that is there.
    pub(super) fn read(place: &Place, seal: &Seal) -> Result<Self, Unfit> {
        let sealed = read_bounded(&place.note(), LONGEST).map_err(|_| Unfit::NoNote)?;
        let note = seal.open_bytes(Purpose::Snapshot, SCOPE, sealed).map_err(|_| Unfit::NoNote)?;
        postcard::from_bytes(&note).map_err(|_| Unfit::NoNote)
    }

    /// Puts it there.
    pub(super) fn write(&self, place: &Place, seal: &Seal) -> std::io::Result<()> {
        let note = postcard::to_extend(self, Vec::new()).map_err(std::io::Error::other)?;
        let sealed = seal.seal_bytes(Purpose::Snapshot, SCOPE, &note);
        let sealed = sealed.ok_or_else(|| std::io::Error::other("it could not be sealed"))?;
        let mut new = place.begin()?;
        new.file.write_all(&sealed)?;
        place.put(&new, &place.note())
    }
}

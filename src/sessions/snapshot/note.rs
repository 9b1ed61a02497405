//! The note beside a snapshot: which one may be read, the one that was left last, until somebody
//! starts. Without it, or with one that is not ours, no snapshot is believed, and no other than
//! the one that it names (SESS-09). No clock is asked, so one that is set back changes nothing.
//! Whoever can put back an earlier note together with its snapshot is not seen.

use std::io::{self, ErrorKind, Write as _};

use serde::{Deserialize, Serialize};

use super::Unfit;
use super::chunks::Id;
use super::place::Place;
use crate::config::read_bounded;
use crate::sessions::{Purpose, Seal};

/// What the note is sealed for.
const SCOPE: &[u8] = b"note";
/// More bytes than one has.
const LONGEST: u64 = 1024;

/// The note. A process that starts writes the empty one.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The snapshot that may be read.
    pub(super) left: Option<Id>,
}

/// A note as it lies there, if one does. No two that were written are alike: each is sealed anew.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed(Option<Vec<u8>>);

impl Note {
    /// The note that is there.
    pub(super) fn read(place: &Place, seal: &Seal) -> Result<Self, Unfit> {
        let sealed = Sealed::read(place).ok().and_then(|there| there.0).ok_or(Unfit::NoNote)?;
        let note = seal.open_bytes(Purpose::Snapshot, SCOPE, sealed).map_err(|_| Unfit::NoNote)?;
        postcard::from_bytes(&note).map_err(|_| Unfit::NoNote)
    }

    /// Puts it there, under the key that seals now: the others may be dropped before it is read.
    pub(super) fn write(&self, place: &Place, seal: &Seal) -> io::Result<()> {
        let note = postcard::to_extend(self, Vec::new()).map_err(io::Error::other)?;
        let sealed = seal.seal_bytes(Purpose::Snapshot, SCOPE, &note);
        let sealed = sealed.ok_or_else(|| io::Error::other("it could not be sealed"))?;
        let mut new = place.begin()?;
        new.file.write_all(&sealed)?;
        place.put(&new, &place.note())
    }
}

impl Sealed {
    /// What lies there. It need not be one of ours.
    pub(super) fn read(place: &Place) -> io::Result<Self> {
        match read_bounded(&place.note(), LONGEST) {
            Ok(there) => Ok(Self(Some(there))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

//! What a snapshot is made of: sealed pieces of bounded size, so that a million sessions take no
//! more memory than a hundred. Each is sealed for its snapshot, its place in it, and whether it
//! is the last, so that nothing can be left out, exchanged, doubled or cut off (SESS-02).
//!
//! ```text
//! magic, version, id, then for each piece: 0 or 1 for the last, its length in four bytes, and it
//! ```
//! Deliberately not here: what stands in the pieces.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::Unfit;
use crate::sessions::{Purpose, Seal, SealError};

/// What a snapshot begins with; the last byte is the version.
const MAGIC: &[u8; 18] = b"anteport-snapshot\x01";
/// A piece is sealed once it has so many bytes; one session more may be in it.
const PIECE: usize = 64 * 1024;
/// What one piece may have: more than any session, and little enough to be held.
const LONGEST: usize = 4 * 1024 * 1024;

/// Which snapshot it is: random.
pub(super) type Id = [u8; 16];

/// Seals pieces.
pub(super) struct Writer<'a, W> {
    out: W,
    seal: &'a Seal,
    id: Id,
    number: u64,
    piece: Vec<u8>,
}

impl<'a, W: Write> Writer<'a, W> {
    pub(super) fn new(mut out: W, seal: &'a Seal, id: Id) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&id)?;
        Ok(Self { out, seal, id, number: 0, piece: Vec::new() })
    }

    /// Adds an item; `false` if it is too large for any piece.
    pub(super) fn add(&mut self, item: &impl Serialize) -> io::Result<bool> {
        let before = self.piece.len();
        let piece = std::mem::take(&mut self.piece);
        self.piece = postcard::to_extend(item, piece).map_err(io::Error::other)?;
        if self.piece.len() - before > LONGEST / 2 {
            self.piece.truncate(before);
            return Ok(false);
        }
        if self.piece.len() >= PIECE {
            self.put(false)?;
        }
        Ok(true)
    }

    /// Nothing comes after this.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.out)
    }

    fn put(&mut self, is_last: bool) -> io::Result<()> {
        let scope = scope(&self.id, self.number, is_last);
        let sealed = self.seal.seal_bytes(Purpose::Snapshot, &scope, &self.piece);
        let sealed = sealed.ok_or_else(|| io::Error::other("it could not be sealed"))?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&[u8::from(is_last)])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.piece.clear();
        self.number += 1;
        Ok(())
    }
}

/// Opens pieces.
pub(super) struct Reader<'a, R> {
    from: R,
    seal: &'a Seal,
    id: Id,
    number: u64,
    is_over: bool,
}

impl<'a, R: Read> Reader<'a, R> {
    pub(super) fn new(mut from: R, seal: &'a Seal) -> Result<Self, Unfit> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(unfit)?;
        if &magic != MAGIC {
            return Err(Unfit::Broken);
        }
        let mut id = Id::default();
        from.read_exact(&mut id).map_err(unfit)?;
        Ok(Self { from, seal, id, number: 0, is_over: false })
    }

    /// Which snapshot it is.
    pub(super) const fn id(&self) -> Id {
        self.id
    }

    /// The next piece, opened; `None` after the last, behind which there is nothing.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Unfit> {
        if self.is_over {
            return Ok(None);
        }
        let (mut kind, mut length) = ([0], [0; 4]);
        self.from.read_exact(&mut kind).map_err(unfit)?;
        self.from.read_exact(&mut length).map_err(unfit)?;
        let is_last = kind == [1];
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if kind > [1] || length > LONGEST {
            return Err(Unfit::Broken);
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(unfit)?;
        if is_last && self.from.read(&mut [0]).map_err(unfit)? > 0 {
            return Err(Unfit::Broken);
        }
        let scope = scope(&self.id, self.number, is_last);
        let piece =
            self.seal.open_bytes(Purpose::Snapshot, &scope, sealed).map_err(|why| match why {
                SealError::Retired => Unfit::Foreign,
                SealError::Broken => Unfit::Broken,
            })?;
        self.number += 1;
        self.is_over = is_last;
        Ok(Some(piece))
    }
}

/// The items of a piece, one after the other.
pub(super) fn items<'a, T: Deserialize<'a>>(
    mut piece: &'a [u8],
) -> impl Iterator<Item = Result<T, Unfit>> {
    std::iter::from_fn(move || {
        if piece.is_empty() {
            return None;
        }
        Some(match postcard::take_from_bytes(piece) {
            Ok((item, rest)) => {
                piece = rest;
                Ok(item)
            }
            Err(_) => {
                piece = &[];
                Err(Unfit::Broken)
            }
        })
    })
}

fn scope(id: &Id, number: u64, is_last: bool) -> Vec<u8> {
    [b"piece\0", &id[..], &number.to_be_bytes(), &[u8::from(is_last)]].concat()
}

/// A file that ends too early is not whole.
fn unfit(error: io::Error) -> Unfit {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Unfit::Broken,
        _ => Unfit::Unreadable(error),
    }
}

//! Keys of tables: SHA-256, so that no memory and no store holds a name that opens anything (SESS-01).

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::digest::{SHA256, digest};

use crate::gate::SessionId;

/// A key of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of any bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// Of a session's id.
    pub(super) fn of_id(id: &SessionId) -> Self {
        Self::of(id.bytes())
    }

    /// Its first eight bytes, which are evenly spread.
    pub(super) fn first_eight(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:08x}…)", self.first_eight() >> 32)
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.first_eight());
    }
}

/// A digest is evenly spread already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstEight(u64);

/// For tables whose key is a [`Digest`].
pub(super) type Hashing = BuildHasherDefault<FirstEight>;

impl Hasher for FirstEight {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

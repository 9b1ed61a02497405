//! Keys of tables: SHA-256, so that no memory and no store holds a name that opens anything
//! (SESS-01).

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::digest::{SHA256, digest};

use serde::{Deserialize, Serialize};

use crate::gate::SessionId;

/// A key of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// As 64 hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
    }

    /// What [`Digest::to_hex`] wrote.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub(super) const fn into_bytes(self) -> [u8; 32] {
        self.0
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

//! Values that leave this process and that nobody else can read or change: AES-256-GCM, with
//! purpose, scope, version and key id authenticated, so that a value made for one purpose opens
//! for no other (SESS-02). There may be several keys, of which the first seals and all open, so
//! that a key is changed without a sign-out (CRY-02). Without any in the configuration one is
//! made at start: what it sealed does not outlive the process.
//!
//! A key seals with random nonces, which is safe for 2^32 values (NIST SP 800-38D, section 8.3):
//! at a thousand logins a second, seven weeks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::gate::{KeptForm, Secret};

/// What a sealed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A login under way; its scope is the portal's host.
    Login,
    /// Where a visitor goes after a federated sign-out; its scope is the portal's host.
    SignOut,
    /// Who was signed in last; its scope is the portal's host.
    Member,
    /// A form that met an expired session, in a page; its scope is the portal's host.
    Form,
    /// A link that breaks the glass; its scope is the portal's host.
    BreakGlassLink,
    /// The pass of whoever has done so; its scope is the portal's host.
    BreakGlassPass,
    /// A session in a store; its scope is its key there.
    Session,
    /// Part of a snapshot of sessions, or the note beside it; its scope says which.
    Snapshot,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SignOut => "sign-out",
            Self::Member => "member",
            Self::Form => "form",
            Self::BreakGlassLink => "break-glass-link",
            Self::BreakGlassPass => "break-glass-pass",
            Self::Session => "session",
            Self::Snapshot => "snapshot",
        }
    }

    /// The most bytes of such a value once it is sealed, in text. A cookie may have 4,096 bytes
    /// with its name and attributes; a form is as long as the configuration says, 1 MiB at most.
    const fn longest(self) -> usize {
        match self {
            Self::Login | Self::SignOut | Self::Member | Self::Session | Self::Snapshot => 3800,
            // An id and two moments.
            Self::BreakGlassLink | Self::BreakGlassPass => sealed_length(40),
            Self::Form => sealed_length(KeptForm::longest(1 << 20)),
        }
    }
}

/// Seals and opens.
pub struct Seal {
    keys: ArcSwap<Vec<Arc<Key>>>,
}

struct Key {
    key: RandomizedNonceKey,
    id: [u8; KEY_ID],
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It names a key that is not among ours: one that was dropped, or another process's.
    #[error("it was sealed with a key that is not here")]
    Retired,
    /// It is not what we sealed, or not for this purpose and scope.
    #[error("it is not what was sealed")]
    Broken,
}

/// The format of a sealed value: version, key id, nonce, ciphertext and tag.
const VERSION: u8 = 1;
const KEY_ID: usize = 4;

/// How long a value of so many bytes is once it is sealed, in text.
#[must_use]
pub const fn sealed_length(bytes: usize) -> usize {
    let sealed = bytes.saturating_add(1 + KEY_ID + NONCE_LEN + MAX_TAG_LEN);
    sealed.div_ceil(3).saturating_mul(4)
}

impl Key {
    fn new(key: &Secret<[u8; 32]>) -> Result<Arc<Self>, Unspecified> {
        let mut context = Context::new(&SHA256);
        context.update(b"the id of a sealing key of anteport\0");
        context.update(key.expose());
        let mut id = [0; KEY_ID];
        let hash = context.finish();
        id.copy_from_slice(hash.as_ref().get(..KEY_ID).unwrap_or_default());
        Ok(Arc::new(Self { key: RandomizedNonceKey::new(&AES_256_GCM, key.expose())?, id }))
    }

    fn aad(&self, purpose: Purpose, scope: &[u8]) -> Aad<Vec<u8>> {
        // No purpose has a NUL: no two pairs are written alike.
        let name = purpose.name().as_bytes();
        Aad::from([&[VERSION][..], &self.id, name, &[0], scope].concat())
    }
}

impl Seal {
    /// With these keys; without any, with a new one from the system's generator.
    ///
    /// # Errors
    /// When the generator fails; nothing can be sealed then.
    pub fn new(keys: &[Secret<[u8; 32]>]) -> Result<Self, Unspecified> {
        let seal = Self { keys: ArcSwap::default() };
        match keys {
            [] => seal.replace(&[Self::new_key()?])?,
            keys => seal.replace(keys)?,
        }
        Ok(seal)
    }

    /// A new key from the system's generator.
    ///
    /// # Errors
    /// When it fails.
    pub fn new_key() -> Result<Secret<[u8; 32]>, Unspecified> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Secret::new(key))
    }

    /// Goes on with these keys; there is at least one.
    ///
    /// # Errors
    /// When one cannot be used; nothing has changed then.
    pub fn replace(&self, keys: &[Secret<[u8; 32]>]) -> Result<(), Unspecified> {
        let keys: Vec<_> = keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(Unspecified);
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// The sealed value; `None` if it could not be sealed.
    #[must_use]
    pub fn seal_bytes(&self, purpose: Purpose, scope: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.load();
        let key = keys.first()?;
        let mut sealed = value.to_vec();
        let nonce = key.key.seal_in_place_append_tag(key.aad(purpose, scope), &mut sealed).ok()?;
        Some([&[VERSION][..], &key.id, nonce.as_ref(), &sealed].concat())
    }

    /// What was sealed for this purpose and scope.
    ///
    /// # Errors
    /// For anything else.
    pub fn open_bytes(
        &self,
        purpose: Purpose,
        scope: &[u8],
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, SealError> {
        let head = 1 + KEY_ID + NONCE_LEN;
        let (head, sealed) = bytes.split_at_mut_checked(head).ok_or(SealError::Broken)?;
        let (version, head) = head.split_first().ok_or(SealError::Broken)?;
        let (key_id, nonce) = head.split_at_checked(KEY_ID).ok_or(SealError::Broken)?;
        if *version != VERSION {
            return Err(SealError::Broken);
        }
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == key_id).ok_or(SealError::Retired)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let opened = key.key.open_in_place(nonce, key.aad(purpose, scope), sealed);
        let length = opened.map_err(|_| SealError::Broken)?.len();
        let begin = 1 + KEY_ID + NONCE_LEN;
        bytes.truncate(begin + length);
        bytes.drain(..begin);
        Ok(bytes)
    }

    /// The sealed value, in characters that a cookie or a URL can hold; `None` if it would be
    /// too long.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, host: &str, value: &[u8]) -> Option<String> {
        let text = URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose, host.as_bytes(), value)?);
        (text.len() <= purpose.longest()).then_some(text)
    }

    /// What was sealed for this purpose and host; `None` for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, host: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > purpose.longest() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        self.open_bytes(purpose, host.as_bytes(), bytes).ok()
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sess_02_a_sealed_value_opens_for_its_purpose_and_host_alone() {
        let seal = Seal::new(&[]).unwrap();
        let text = seal.seal(Purpose::Login, "members.example", b"value").unwrap();
        let open = |purpose, host, text: &str| seal.open(purpose, host, text);
        assert_eq!(open(Purpose::Login, "members.example", &text).unwrap(), b"value");
        assert!(open(Purpose::SignOut, "members.example", &text).is_none());
        assert!(open(Purpose::Login, "other.example", &text).is_none());
        let other = Seal::new(&[]).unwrap();
        assert!(other.open(Purpose::Login, "members.example", &text).is_none());
    }

    #[test]
    fn every_use_has_a_bound_of_its_own() {
        let seal = Seal::new(&[]).unwrap();
        let length = |purpose, bytes: usize| {
            let text = seal.seal(purpose, "members.example", &vec![b'x'; bytes])?;
            assert!(text.len() <= sealed_length(bytes) && text.len() + 3 > sealed_length(bytes));
            seal.open(purpose, "members.example", &text).map(|opened| opened.len())
        };
        assert_eq!(length(Purpose::Login, 2800), Some(2800));
        for purpose in [Purpose::Login, Purpose::SignOut, Purpose::Member] {
            assert_eq!(length(purpose, 2900), None, "{purpose:?} is in a cookie or a URL");
        }
        let longest = KeptForm::longest(1 << 20);
        assert_eq!(length(Purpose::Form, longest), Some(longest));
        assert_eq!(length(Purpose::Form, longest + 3), None);
        let long = "A".repeat(sealed_length(longest) + 1);
        assert!(seal.open(Purpose::Form, "members.example", &long).is_none());
    }

    #[test]
    fn sess_02_any_change_is_refused() {
        let seal = Seal::new(&[]).unwrap();
        let text = seal.seal(Purpose::Login, "members.example", b"value").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(seal.open(Purpose::Login, "members.example", &changed).is_none(), "byte {at}");
        }
        assert!(seal.open(Purpose::Login, "members.example", "").is_none());
        assert!(seal.open(Purpose::Login, "members.example", "not base64!").is_none());
    }

    #[test]
    fn cry_02_a_key_is_changed_without_anything_that_it_sealed_being_lost() {
        let key = |byte| Secret::new([byte; 32]);
        let seal = Seal::new(&[key(1)]).unwrap();
        let old = seal.seal(Purpose::Login, "h", b"old").unwrap();
        seal.replace(&[key(2), key(1)]).unwrap();
        let new = seal.seal(Purpose::Login, "h", b"new").unwrap();
        assert_eq!(seal.open(Purpose::Login, "h", &old).unwrap(), b"old");
        seal.replace(&[key(2)]).unwrap();
        assert_eq!(seal.open(Purpose::Login, "h", &new).unwrap(), b"new");
        assert!(seal.open(Purpose::Login, "h", &old).is_none());
        let old = URL_SAFE_NO_PAD.decode(old).unwrap();
        let opened = seal.open_bytes(Purpose::Login, b"h", old);
        assert_eq!(opened, Err(SealError::Retired));
        assert!(seal.replace(&[]).is_err());
        let elsewhere = Seal::new(&[key(2)]).unwrap();
        assert_eq!(elsewhere.open(Purpose::Login, "h", &new).unwrap(), b"new", "on every node");
    }
}

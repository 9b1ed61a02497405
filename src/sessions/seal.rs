//! Values that a visitor carries for us and can neither read nor change: AES-256-GCM, with
//! purpose, host, version and key id authenticated, so that a value made for one purpose opens
//! for no other (SESS-02). The key is made at start: what it sealed does not outlive the process.

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::gate::KeptForm;

/// What a sealed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A login under way.
    Login,
    /// Where a visitor goes after a federated sign-out.
    SignOut,
    /// Who was signed in last.
    Member,
    /// A form that met an expired session, in a page.
    Form,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SignOut => "sign-out",
            Self::Member => "member",
            Self::Form => "form",
        }
    }

    /// The most bytes of such a value once it is sealed, in text. A cookie may have 4,096 bytes with
    /// its name and attributes; a form is as long as the configuration says, 1 MiB at most.
    const fn longest(self) -> usize {
        match self {
            Self::Login | Self::SignOut | Self::Member => 3800,
            Self::Form => sealed_length(KeptForm::longest(1 << 20)),
        }
    }
}

/// Seals and opens.
pub struct Seal {
    key: RandomizedNonceKey,
    key_id: [u8; 4],
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

impl Seal {
    /// With a new key from the system's generator.
    ///
    /// # Errors
    /// When the generator fails; nothing can be sealed then.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        let mut key_id = [0; KEY_ID];
        aws_lc_rs::rand::fill(&mut key)?;
        aws_lc_rs::rand::fill(&mut key_id)?;
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key)?, key_id })
    }

    /// The sealed value, in characters that a cookie or a URL can hold; `None` if it would be
    /// too long.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, host: &str, value: &[u8]) -> Option<String> {
        let mut sealed = value.to_vec();
        let nonce = self.key.seal_in_place_append_tag(self.aad(purpose, host), &mut sealed).ok()?;
        let mut bytes = Vec::with_capacity(1 + KEY_ID + NONCE_LEN + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.key_id);
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&sealed);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        (text.len() <= purpose.longest()).then_some(text)
    }

    /// What was sealed for this purpose and host; `None` for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, host: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > purpose.longest() {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, sealed) = bytes.split_at_mut_checked(1 + KEY_ID + NONCE_LEN)?;
        let (version, head) = head.split_first()?;
        let (key_id, nonce) = head.split_at_checked(KEY_ID)?;
        if *version != VERSION || key_id != self.key_id {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, self.aad(purpose, host), sealed).ok()?;
        Some(opened.to_vec())
    }

    fn aad(&self, purpose: Purpose, host: &str) -> Aad<Vec<u8>> {
        let mut aad = vec![VERSION];
        aad.extend_from_slice(&self.key_id);
        // Neither a purpose nor a host has a NUL: no two pairs are written alike.
        aad.extend_from_slice(purpose.name().as_bytes());
        aad.push(0);
        aad.extend_from_slice(host.as_bytes());
        Aad::from(aad)
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
        let seal = Seal::generate().unwrap();
        let text = seal.seal(Purpose::Login, "members.example", b"value").unwrap();
        let open = |purpose, host, text: &str| seal.open(purpose, host, text);
        assert_eq!(open(Purpose::Login, "members.example", &text).unwrap(), b"value");
        assert!(open(Purpose::SignOut, "members.example", &text).is_none());
        assert!(open(Purpose::Login, "other.example", &text).is_none());
        let other = Seal::generate().unwrap();
        assert!(other.open(Purpose::Login, "members.example", &text).is_none());
    }

    #[test]
    fn every_use_has_a_bound_of_its_own() {
        let seal = Seal::generate().unwrap();
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
        let seal = Seal::generate().unwrap();
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
}

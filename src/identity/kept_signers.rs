//! The signing keys, kept as their files say. What that means for any keys is in `kept`.

use std::sync::Arc;

use super::Signers;
use crate::config::{SigningKeys, SigningKeysError};
use crate::gate::Timestamp;
use crate::kept::{Kept, Keys};
use crate::signing_key::{SigningAlgorithm, SigningKey};
use crate::telemetry::causes;

/// The signing keys and what they were read from.
pub type KeptSigners = Kept<Signing>;

/// What signs, and where its keys stand.
pub struct Signing {
    sources: SigningKeys,
    signers: Arc<Signers>,
    /// What portals are signed for with.
    needed: Vec<SigningAlgorithm>,
}

impl Kept<Signing> {
    /// The keys as they are now; without any that stand somewhere, one is made of each algorithm
    /// that is needed.
    ///
    /// # Errors
    /// When one cannot be used or made.
    pub fn read(
        sources: &SigningKeys,
        needed: Vec<SigningAlgorithm>,
        now: Timestamp,
    ) -> Result<Self, SigningKeysError> {
        Self::with(sources, needed, Vec::new(), now)
    }

    /// Whether these keys are what such a configuration needs.
    #[must_use]
    pub fn suits(&self, sources: &SigningKeys, needed: &[SigningAlgorithm]) -> bool {
        self.keys().sources == *sources && self.keys().needed == needed
    }

    /// The keys for another configuration. Those that were made here go on: a portal that knows them
    /// need not learn others.
    ///
    /// # Errors
    /// When one cannot be used or made.
    pub fn next(
        &self,
        sources: &SigningKeys,
        needed: Vec<SigningAlgorithm>,
        now: Timestamp,
    ) -> Result<Self, SigningKeysError> {
        let known = if self.keys().sources.is_empty() { self.each(Arc::clone) } else { Vec::new() };
        Self::with(sources, needed, known, now)
    }

    fn with(
        sources: &SigningKeys,
        needed: Vec<SigningAlgorithm>,
        known: Vec<Arc<SigningKey>>,
        now: Timestamp,
    ) -> Result<Self, SigningKeysError> {
        let of = |wanted| known.iter().find(|key| key.algorithm() == wanted).map(Arc::clone);
        let keys = match sources.is_empty() {
            true => needed.iter().map(|one| of(*one).map_or_else(|| made(*one), Ok)).collect(),
            false => sources.read(),
        };
        let keys: Vec<Arc<SigningKey>> = keys?;
        let signers = Arc::new(Signers::new(keys.clone()));
        let signing = Signing { sources: sources.clone(), signers, needed };
        signing.check(&keys)?;
        Ok(Self::new(signing, keys, now))
    }

    /// What signs with them.
    #[must_use]
    pub const fn signers(&self) -> &Arc<Signers> {
        &self.keys().signers
    }
}

fn made(algorithm: SigningAlgorithm) -> Result<Arc<SigningKey>, SigningKeysError> {
    let made = SigningKey::generate(algorithm).map(|(key, _)| Arc::new(key));
    made.map_err(|cause| SigningKeysError::Keys { name: "one that was made".to_owned(), cause })
}

impl Signing {
    fn check(&self, keys: &[Arc<SigningKey>]) -> Result<(), SigningKeysError> {
        let has = |algorithm| keys.iter().any(|key| key.algorithm() == algorithm);
        match self.needed.iter().find(|algorithm| !has(**algorithm)) {
            Some(missing) => Err(SigningKeysError::Missing(missing.name())),
            None => Ok(()),
        }
    }
}

impl Keys for Signing {
    type Key = Arc<SigningKey>;

    fn read(&self) -> Result<Vec<Self::Key>, String> {
        let keys = self.sources.read().and_then(|keys| self.check(&keys).map(|()| keys));
        keys.map_err(|error| causes(&error))
    }

    fn is_fixed(&self) -> bool {
        self.sources.is_empty()
    }

    fn is_same(one: &Self::Key, other: &Self::Key) -> bool {
        one.id() == other.id()
    }

    fn put(&self, keys: &[Self::Key]) -> Result<(), String> {
        self.signers.replace(keys.to_vec());
        Ok(())
    }
}

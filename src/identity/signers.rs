//! What signs for all portals: the keys as they are now, and their public halves as a JWK set
//! (`/.auth/jwks.json`). The first of an algorithm signs, and all are published, so that a key is
//! known before it signs and as long as anything that it signed is valid (ENV-04).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use crate::signing_key::{SigningAlgorithm, SigningKey};

/// The signing keys.
pub struct Signers {
    in_force: ArcSwap<InForce>,
    exchanges: AtomicU64,
}

struct InForce {
    keys: Vec<Arc<SigningKey>>,
    published: Arc<str>,
}

impl Signers {
    /// With these keys.
    #[must_use]
    pub fn new(keys: Vec<Arc<SigningKey>>) -> Self {
        Self { in_force: ArcSwap::from_pointee(InForce::new(keys)), exchanges: AtomicU64::new(0) }
    }

    /// Others are in force from now on.
    pub fn replace(&self, keys: Vec<Arc<SigningKey>>) {
        self.in_force.store(Arc::new(InForce::new(keys)));
        self.exchanges.fetch_add(1, Ordering::Release);
    }

    /// How often they were exchanged: what was signed before is not sent after, so that a key that
    /// is taken away because it was stolen signs nobody in, nor out.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Acquire)
    }

    /// What signs with this algorithm.
    #[must_use]
    pub fn of(&self, algorithm: SigningAlgorithm) -> Option<Arc<SigningKey>> {
        let in_force = self.in_force.load();
        in_force.keys.iter().find(|key| key.algorithm() == algorithm).map(Arc::clone)
    }

    /// The public keys as a JWK set (RFC 7517).
    #[must_use]
    pub fn published(&self) -> Arc<str> {
        Arc::clone(&self.in_force.load().published)
    }
}

impl InForce {
    fn new(keys: Vec<Arc<SigningKey>>) -> Self {
        let published: Vec<&Value> = keys.iter().map(|key| key.public()).collect();
        Self { published: json!({ "keys": published }).to_string().into(), keys }
    }
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.in_force.load().keys.iter()).finish()
    }
}

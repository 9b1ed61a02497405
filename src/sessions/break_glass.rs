//! What nodes that share a store tell each other of break-glass links: which are used, whose passes
//! were given back, and when all were ended last. Without such a store a node knows by itself what
//! it has to, and what cannot be asked or told is no reason to keep whoever has a link out: the store
//! may be what is down.
//! Deliberately not here: links and passes, which `server::break_glass` makes and judges.

use std::time::Duration;

use super::together::together;
use super::{Digest, Sessions, Store, StoreError};
use crate::gate::Timestamp;

/// For how long a link that is used is remembered: longer than one can be good.
const LINK_KEPT: Duration = Duration::from_secs(2 * 3600);
/// And an end of all, or of a pass: longer than a link and its pass can be good together.
const END_KEPT: Duration = Duration::from_secs(6 * 3600);

impl Sessions {
    /// Spends a link where other nodes see it: true once, and always where there are none.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn spend_link(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        match &self.store {
            Store::Memory { .. } => Ok(true),
            Store::Remote(remote, _) => {
                let key = Digest::of(&[&b"break-glass\n"[..], id].concat());
                remote.spend_for(&key, LINK_KEPT).await
            }
        }
    }

    /// Tells other nodes that the pass of a link is over.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn give_link_back(&self, id: &[u8; 16], now: Timestamp) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory { .. } => Ok(()),
            Store::Remote(remote, _) => remote.raise(&given_back(id), now, END_KEPT).await,
        }
    }

    /// Of which of these links another node has told so, as far as the store says.
    pub async fn links_given_back(&self, ids: Vec<[u8; 16]>) -> Vec<[u8; 16]> {
        let Store::Remote(remote, _) = &self.store else {
            return Vec::new();
        };
        let ask = |id| async move {
            let told = remote.raised(&given_back(&id)).await;
            matches!(told, Ok(Some(_))).then_some(id)
        };
        together(ids, ask).await.into_iter().flatten().collect()
    }

    /// Tells other nodes that all links of a portal, and what they opened, were ended then.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn end_links(&self, host: &str, at: Timestamp) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory { .. } => Ok(()),
            Store::Remote(remote, _) => remote.raise(&ends(host), at, END_KEPT).await,
        }
    }

    /// Whether other nodes are told.
    #[must_use]
    pub const fn tell_of_links(&self) -> bool {
        matches!(self.store, Store::Remote(..))
    }

    /// What another node has told so.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn links_ended(&self, host: &str) -> Result<Option<Timestamp>, StoreError> {
        match &self.store {
            Store::Memory { .. } => Ok(None),
            Store::Remote(remote, _) => remote.raised(&ends(host)).await,
        }
    }
}

fn given_back(id: &[u8; 16]) -> Digest {
    Digest::of(&[&b"break-glass given back\n"[..], id].concat())
}

fn ends(host: &str) -> Digest {
    Digest::of(format!("break-glass ends\n{host}").as_bytes())
}

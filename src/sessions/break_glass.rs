//! What nodes that share a store tell each other of break-glass links: which are used, and until
//! when all are over. Without such a store a node knows by itself what it has to, and what cannot be
//! asked or told is no reason to keep whoever has a link out: the store may be what is down.
//! Deliberately not here: links and passes, which `server::break_glass` makes and judges.

use std::time::Duration;

use super::{Digest, Sessions, Store, StoreError};
use crate::gate::Timestamp;

/// For how long a link that is used is remembered: longer than one can be good.
const LINK_KEPT: Duration = Duration::from_secs(2 * 3600);
/// And an end of all: longer than a link and its pass can be good together.
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

    /// Tells other nodes that all links of a portal, and what they opened, are over that were made
    /// before then.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn end_links(&self, host: &str, before: Timestamp) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory { .. } => Ok(()),
            Store::Remote(remote, _) => remote.raise(&ends(host), before, END_KEPT).await,
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

fn ends(host: &str) -> Digest {
    Digest::of(format!("break-glass ends\n{host}").as_bytes())
}

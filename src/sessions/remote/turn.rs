//! Whose turn it is, of all nodes, to ask the provider about a member (OIDC-13). Deliberately not
//! here: asking, which `server` does.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::sleep;

use super::Remote;
use crate::gate::Timestamp;
use crate::sessions::{Digest, SignedIn, StoreError, Turn};

/// The lock of a refresh ends by itself so soon after whoever had it.
const LOCK: Duration = Duration::from_secs(3);
/// So often it is kept.
const HOLD: Duration = Duration::from_secs(1);
/// Between two looks of those who wait for another's refresh.
const LOOK: Duration = Duration::from_millis(50);
/// For how long they wait.
const PATIENCE: Duration = Duration::from_secs(15);

/// The turn of one node to ask the provider about a member. It ends by itself soon after whoever
/// has it.
#[derive(Clone)]
pub struct Lease {
    pub(super) token: String,
    /// Counts it while somebody has it.
    _held: Arc<()>,
}

impl Lease {
    /// One of those that `held` counts.
    pub(in crate::sessions) fn new(held: &Arc<()>) -> Result<Self, Unspecified> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random)?;
        Ok(Self { token: URL_SAFE_NO_PAD.encode(random), _held: Arc::clone(held) })
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(…)")
    }
}

impl Remote {
    /// Waits until it is our turn to ask the provider about a member, or another has done it.
    pub(in crate::sessions) async fn turn(
        &self,
        key: &Digest,
        is_done: impl Fn(&SignedIn) -> bool,
        now: Timestamp,
    ) -> Result<Turn, StoreError> {
        let lease = Lease::new(&Arc::default())?;
        if self.known.endings.is_some() {
            // What another node asks is in another answer to the same browser.
            return Ok(match self.look(key, now).await? {
                None => Turn::Over,
                Some(member) if is_done(&member) => Turn::Done(member),
                Some(member) => Turn::Ours(lease, member),
            });
        }
        let waiting = async {
            loop {
                let is_ours = self.redis.lock(key, &lease.token, LOCK).await?;
                // Afresh: whoever had the turn before may have written a moment ago.
                let turn = match self.look(key, now).await {
                    Ok(None) => Turn::Over,
                    Ok(Some(member)) if is_done(&member) => Turn::Done(member),
                    Ok(Some(member)) if is_ours => return Ok(Turn::Ours(lease.clone(), member)),
                    Ok(Some(_)) => {
                        sleep(LOOK).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if is_ours {
                    self.redis.unlock(key, &lease.token).await?;
                }
                return Ok(turn);
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Keeps the turn while something is done.
    pub(in crate::sessions) async fn during<T>(
        &self,
        key: &Digest,
        lease: &Lease,
        doing: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                () = sleep(HOLD) => {
                    // If it is not ours any more, writing finds out.
                    let _ = self.redis.hold(key, &lease.token, LOCK).await;
                }
            }
        }
    }

    /// Gives the turn back.
    pub(in crate::sessions) async fn give_back(&self, key: &Digest, lease: &Lease) {
        // Else it ends by itself.
        let _ = self.redis.unlock(key, &lease.token).await;
    }
}

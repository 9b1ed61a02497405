//! When members signed in first and last, portal by portal: kept for a time after the last, by a
//! digest of the member's key. It decides nothing; a directory and the audit log are told of it.
//!
//! | the store | it is |
//! | --- | --- |
//! | `memory` | kept for the latest [`super::marks::LOGINS`] members, and in the snapshot |
//! | `redis`, or `cookie` with a `redis` | kept there, known on all nodes |
//! | `cookie` alone | not kept: each node would know something else |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Digest, Sessions, Store, StoreError};
use crate::gate::{Subject, Timestamp};

/// First and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// The first sign-in that is remembered.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
}

/// What is known of somebody's earlier sign-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// That is not kept here.
    NotKept,
    /// There was none, as far as is remembered.
    None,
    /// There were.
    Some(Logins),
}

impl Logins {
    /// The same after another sign-in.
    pub(super) fn and(self, now: Timestamp) -> Self {
        Self { first: self.first.min(now), last: self.last.max(now) }
    }
}

impl Sessions {
    /// What is remembered of a member's sign-ins, for so long after the last.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn logins(
        &self,
        portal: &str,
        member: &Subject,
        kept: Duration,
        now: Timestamp,
    ) -> Result<Earlier, StoreError> {
        let key = key(portal, member);
        let found = match &self.store {
            Store::Memory { revoked: Some(_), .. } => return Ok(Earlier::NotKept),
            Store::Memory { marks, .. } => {
                self.settled().await?;
                marks.logins(&key)
            }
            Store::Remote(remote, _) => remote.logins(&key).await?,
        };
        let found = found.filter(|found| now < found.last.after(kept));
        Ok(found.map_or(Earlier::None, Earlier::Some))
    }

    /// A member has signed in.
    ///
    /// # Errors
    /// When the store could not be told.
    pub async fn note_login(
        &self,
        portal: &str,
        member: &Subject,
        kept: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = key(portal, member);
        match &self.store {
            Store::Memory { revoked: Some(_), .. } => Ok(()),
            Store::Memory { marks, .. } => {
                let earlier = marks.logins(&key).filter(|found| now < found.last.after(kept));
                marks
                    .note_logins(key, earlier.unwrap_or(Logins { first: now, last: now }).and(now));
                Ok(())
            }
            Store::Remote(remote, _) => remote.note_login(&key, kept, now).await,
        }
    }
}

fn key(portal: &str, member: &Subject) -> Digest {
    let member = member.member_key();
    Digest::of(format!("logins\n{}\n{portal}\n{member}", portal.len()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Lifetimes;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test]
    async fn first_and_last_sign_in_of_a_member_are_known_by_portal_and_for_a_time() {
        let sessions = Sessions::in_memory(Lifetimes { idle: DAY, absolute: DAY }, 10);
        let member = Subject::Directory { tenant: "t".into(), object: "o".into() };
        let earlier = async |portal: &str, now| {
            sessions.logins(portal, &member, DAY * 30, now).await.unwrap()
        };
        assert_eq!(earlier("a", NOON).await, Earlier::None);
        sessions.note_login("a", &member, DAY * 30, NOON).await.unwrap();
        sessions.note_login("a", &member, DAY * 30, NOON.after(DAY)).await.unwrap();
        let both = Earlier::Some(Logins { first: NOON, last: NOON.after(DAY) });
        assert_eq!(earlier("a", NOON.after(DAY * 2)).await, both);
        assert_eq!(earlier("b", NOON).await, Earlier::None, "another portal");
        assert_eq!(earlier("a", NOON.after(DAY * 31)).await, Earlier::None, "too long ago");
        let late = NOON.after(DAY * 40);
        sessions.note_login("a", &member, DAY * 30, late).await.unwrap();
        let anew = Earlier::Some(Logins { first: late, last: late });
        assert_eq!(earlier("a", late).await, anew);
    }
}

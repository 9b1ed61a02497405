//! What is open in a member's name and asks nothing any more, WebSockets and streams: whether it
//! may go on, which somebody has to look at beside the requests (SESS-10). Deliberately not here:
//! what is closed then (`server::bound`), and who waits for it (`ending`).

use super::together::together;
use super::{Digest, Sessions, SignedIn, Store, Watch, forgotten, lasts_until};
use crate::gate::{SessionId, Timestamp};

/// How it stands with a session in whose name something is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It lasts until then at least, if nothing is said of it.
    Lasts(Timestamp),
    /// It is over.
    Over,
    /// The store does not say, and a request would be let in by what is known here, as long as the
    /// grace lasts.
    InGrace,
    /// The store has not answered in time: it is asked once more, a second later.
    Unanswered,
    /// The store does not say, and by what is known here nobody is let in.
    Unknown,
}

impl Sessions {
    /// Waits for the end of a session in whose name something goes on without requests.
    #[must_use]
    pub fn watch(&self, id: &SessionId, member: &SignedIn) -> Watch {
        Watch::new(&self.watched, Digest::of_id(id), member)
    }

    /// Ends those sessions that somebody waits for and that are over, by their time or by what the
    /// store says, and says how many; to be called about every second, beside the requests
    /// (SESS-10).
    ///
    /// While the store does not say, what is open goes on for as long as a request would be let in,
    /// and is closed then. No session ends by that.
    pub async fn end_expired(&self, now: Timestamp) -> usize {
        let due = self.watched.due(now);
        if let Store::Remote(remote, _) = &self.store
            && !due.is_empty()
            && remote.is_up()
        {
            // If nobody answers, those below find out what that means for each.
            let _ = remote.learn_everybody().await;
        }
        let look = |(key, word)| async move { self.end_if_over(&key, word, now).await };
        together(due, look).await.into_iter().filter(|has_expired| *has_expired).count()
    }

    /// Looks at one of them; whether it has expired.
    async fn end_if_over(&self, key: &Digest, word: u64, now: Timestamp) -> bool {
        let known = self.table.peek(key);
        let standing = match &self.store {
            Store::Remote(remote, _) => remote.standing(key, now).await,
            Store::Memory { revoked, .. } => {
                let lasts = known.as_ref().filter(|known| {
                    self.is_valid(known.session(), now)
                        && revoked.as_ref().is_none_or(|all| all.spare(key, known))
                });
                let until = lasts.map(|known| lasts_until(known.session(), self.longest));
                until.map_or(Standing::Over, Standing::Lasts)
            }
        };
        let has_expired = match standing {
            Standing::Lasts(until) => {
                self.watched.lasts(key, word, until);
                return false;
            }
            Standing::InGrace => return false,
            Standing::Over => match &self.store {
                Store::Remote(..) => known
                    .as_ref()
                    .is_some_and(|known| lasts_until(known.session(), self.longest) <= now),
                Store::Memory { index, .. } => {
                    let gone = self.table.remove(key);
                    gone.and_then(|gone| forgotten(index, gone)).is_some()
                }
            },
            Standing::Unanswered if self.watched.is_asked_again(key) => return false,
            Standing::Unanswered | Standing::Unknown => false,
        };
        if let Some(known) = known {
            known.ending().close();
        }
        self.watched.close(key);
        has_expired
    }
}

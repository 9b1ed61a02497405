//! What strangers say in a provider's name, without a proof, is remembered within a bound of its own
//! (LIM-07): however much they say, members' own sign-outs, what a provider proves and what the operator
//! revokes find their room.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Digest;
use super::digest::Hashing;
use crate::gate::Timestamp;

/// Whose word a sign-out in a provider's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The provider's, with its signature, or the operator's.
    Proven,
    /// Anybody's: a frame in a browser.
    Claimed,
}

/// How much is remembered of what strangers say.
pub(super) const MOST: usize = 20_000;
/// How often room is looked for where there is none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Names that are remembered elsewhere on strangers' word, and until when: what is beyond the bound is
/// not remembered.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    until: HashMap<Digest, Timestamp, Hashing>,
    next_look: Option<Timestamp>,
}

impl Claims {
    /// Whether there is room for a name, which then is taken for so long.
    pub(super) fn admit(&self, name: &Digest, now: Timestamp, kept: Duration) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.until.len() >= MOST && !known.until.contains_key(name) {
            if known.next_look.is_none_or(|next| next <= now) {
                known.until.retain(|_, until| now < *until);
                known.next_look = Some(now.after(LOOK_EVERY));
            }
            if known.until.len() >= MOST {
                return false;
            }
        }
        known.until.insert(*name, now.after(kept));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn lim_07_what_strangers_say_takes_a_bounded_room_and_gives_it_back() {
        let claims = Claims::default();
        let name = |number: usize| Digest::of(&number.to_le_bytes());
        assert!((0..MOST).all(|number| claims.admit(&name(number), NOON, HOUR)));
        assert!(!claims.admit(&name(MOST), NOON, HOUR));
        assert!(claims.admit(&name(7), NOON, HOUR), "what is known stays so");
        assert!(claims.admit(&name(MOST), NOON.after(HOUR), HOUR));
    }
}

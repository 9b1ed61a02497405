//! What strangers say in a provider's name, without a proof, is remembered within a bound of its
//! own (LIM-07): however much they say, members' own sign-outs, what a provider proves and what
//! the operator revokes find their room. Whose word it was is asked here, once; wherever it is
//! remembered there is room for what is admitted, and nobody makes a difference any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Digest;
use super::digest::Hashing;
use crate::gate::Timestamp;
use crate::gate::login::PendingLogin;
use crate::telemetry::seldom::Seldom;

/// Whose word a sign-out in a provider's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The provider's, with its signature, or the operator's.
    Proven,
    /// Anybody's: a frame in a browser.
    Claimed,
}

/// How much is remembered of what strangers say: so many endings, and so many sign-outs.
pub(super) const MOST: usize = 20_000;
/// How often room is looked for where there is none.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the log says at most that there is none.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What strangers have said.
#[derive(Debug)]
pub(super) struct Claimed {
    endings: Claims,
    sign_outs: Claims,
    log: Seldom,
}

impl Claimed {
    pub(super) fn new(now: Instant) -> Self {
        let log = Seldom::with(SAY_EVERY, now);
        Self { endings: Claims::default(), sign_outs: Claims::default(), log }
    }

    /// Whether it is remembered that the sessions of a name are over, which nobody can take out of
    /// their browsers; none of them lasts longer.
    pub(super) fn admit_ending(&self, name: &Digest, now: Timestamp, longest: Duration) -> bool {
        self.say_if_full(self.endings.admit(name, now, longest))
    }

    /// Whether it is remembered for the logins under way that somebody of this name has signed out.
    pub(super) fn admit_sign_out(&self, name: &Digest, now: Timestamp) -> bool {
        self.say_if_full(self.sign_outs.admit(name, now, PendingLogin::LIMIT))
    }

    fn say_if_full(&self, is_admitted: bool) -> bool {
        if !is_admitted && let Some(left_out) = self.log.is_due(Instant::now()) {
            tracing::warn!(
                most = MOST,
                left_out,
                "more sign-outs are said in a provider's name, without a proof, than are \
                 remembered: one more ends the sessions that are known here, and no others"
            );
        }
        is_admitted
    }
}

/// Names that are remembered elsewhere on strangers' word, and until when: what is beyond the
/// bound is not remembered.
#[derive(Debug, Default)]
struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    until: HashMap<Digest, Timestamp, Hashing>,
    next_look: Option<Timestamp>,
}

impl Claims {
    /// Whether there is room for a name, which then is taken for so long.
    fn admit(&self, name: &Digest, now: Timestamp, kept: Duration) -> bool {
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

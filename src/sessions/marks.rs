//! What must not happen twice, and what was ended: remembered for a time, within a bound, in this
//! process's memory.

use std::time::Duration;

use moka::Entry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::digest::Hashing;
use super::{Digest, Logins, claims};
use crate::gate::login::PendingLogin;
use crate::gate::{KeptForm, Timestamp};

/// The marks of this process.
#[derive(Debug)]
pub(super) struct Marks {
    spent_logins: Cache<Digest, (), Hashing>,
    spent_logout_tokens: Cache<Digest, (), Hashing>,
    /// Only members come by one, and by none but their own.
    spent_forms: Cache<Digest, (), Hashing>,
    /// Which sessions their members ended, and when: logins that were under way then become no
    /// session.
    signed_out: Cache<Digest, Timestamp, Hashing>,
    /// The same of names that providers and the operator said, and strangers in providers' names:
    /// what they may fill is room of its own (OIDC-14, LIM-07).
    signed_out_there: Cache<Digest, Timestamp, Hashing>,
    /// When members signed in first and last. Only they come by one.
    logins: Cache<Digest, Logins, Hashing>,
}

/// What can be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Once {
    /// A login, by its `state`. One that was begun more than its limit ago is refused without
    /// asking here.
    Login,
    /// A provider's logout token, by its `jti`.
    LogoutToken,
    /// A form that met an expired session, by its id.
    Form,
}

impl Once {
    /// For how long it has to be remembered.
    pub(super) const fn kept(self) -> Duration {
        match self {
            Self::Login => Duration::from_secs(PendingLogin::LIMIT.as_secs() * 2),
            // Longer than one is taken.
            Self::LogoutToken => Duration::from_secs(30 * 60),
            Self::Form => Duration::from_secs(KeptForm::LIMIT.as_secs() * 2),
        }
    }
}

/// Who signed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SignOut {
    /// A member, here.
    Here,
    /// Somebody of that name at the provider, as it says.
    There,
}

/// One thing that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mark {
    /// Something was used.
    Spent(Once, Digest),
    /// Somebody signed out then.
    SignedOut(SignOut, Digest, Timestamp),
    /// Somebody signed in then, first and last.
    Logins(Digest, Logins),
}

/// The most that is remembered of what can be used once. Whoever pushes others out gains nothing
/// by it: what is used again takes the browser's own sealed cookie, and a code that the provider
/// takes once.
const SPENT: u64 = 100_000;

/// The most sign-outs of each sort, beside those that strangers say, that are remembered for the
/// logins under way.
const SIGN_OUTS: u64 = 20_000;

/// Of how many members first and last sign-in are remembered: 16 MiB or so.
pub(super) const LOGINS: u64 = 100_000;

/// For how long at most; how long it counts is configured.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

impl Default for Marks {
    fn default() -> Self {
        Self {
            spent_logins: remembered(SPENT, Once::Login.kept()),
            spent_logout_tokens: remembered(SPENT, Once::LogoutToken.kept()),
            spent_forms: remembered(SPENT, Once::Form.kept()),
            signed_out: remembered(SIGN_OUTS, PendingLogin::LIMIT),
            signed_out_there: remembered(SIGN_OUTS + claims::MOST as u64, PendingLogin::LIMIT),
            logins: remembered(LOGINS, LONGEST),
        }
    }
}

impl Marks {
    /// True once, also for two who come at the same moment.
    pub(super) fn spend(&self, what: Once, key: Digest) -> bool {
        // Of those who come together, `or_insert` would tell several that they were first.
        self.spent(what).entry(key).or_insert_with(|| ()).is_fresh()
    }

    /// It was not used after all.
    pub(super) fn give_back(&self, what: Once, key: &Digest) {
        self.spent(what).invalidate(key);
    }

    /// Somebody signed out.
    pub(super) fn sign_out(&self, who: SignOut, key: Digest, now: Timestamp) {
        // Whoever was slow takes nothing back.
        let latest = |known: Option<Entry<Digest, Timestamp>>| {
            known.map_or(now, |known| now.max(known.into_value()))
        };
        self.sign_outs(who).entry(key).and_upsert_with(latest);
    }

    /// When somebody signed out lately.
    pub(super) fn signed_out(&self, who: SignOut, key: &Digest) -> Option<Timestamp> {
        self.sign_outs(who).get(key)
    }

    /// When a member signed in first and last.
    pub(super) fn logins(&self, key: &Digest) -> Option<Logins> {
        self.logins.get(key)
    }

    /// A member has signed in.
    pub(super) fn note_logins(&self, key: Digest, logins: Logins) {
        self.logins.insert(key, logins);
    }

    /// All that is remembered.
    pub(super) fn all(&self) -> impl Iterator<Item = Mark> {
        let spent = [Once::Login, Once::LogoutToken, Once::Form].into_iter();
        let spent = spent
            .flat_map(|what| self.spent(what).iter().map(move |(key, ())| Mark::Spent(what, *key)));
        let ended = [SignOut::Here, SignOut::There].into_iter();
        let ended = ended.flat_map(|who| {
            self.sign_outs(who).iter().map(move |(key, at)| Mark::SignedOut(who, *key, at))
        });
        let logins = self.logins.iter().map(|(key, logins)| Mark::Logins(*key, logins));
        spent.chain(ended).chain(logins)
    }

    /// What another process remembered. It is remembered as long as if it had happened now, since
    /// nobody knows when something was used.
    pub(super) fn restore(&self, mark: Mark, now: Timestamp) {
        match mark {
            Mark::Spent(what, key) => self.spent(what).insert(key, ()),
            Mark::SignedOut(who, key, at) if now < at.after(PendingLogin::LIMIT) => {
                // What happened here meanwhile is later.
                self.sign_outs(who).entry(key).or_insert_with(|| at);
            }
            Mark::SignedOut(..) => {}
            // What happened here meanwhile is later.
            Mark::Logins(key, logins) => {
                let known = self.logins.get(&key);
                let both = known.map_or(logins, |known| logins.and(known.last));
                self.logins.insert(key, both);
            }
        }
    }

    /// Forgets what is over.
    pub(super) fn tidy(&self) {
        self.spent_logins.run_pending_tasks();
        self.spent_logout_tokens.run_pending_tasks();
        self.spent_forms.run_pending_tasks();
        self.signed_out.run_pending_tasks();
        self.signed_out_there.run_pending_tasks();
        self.logins.run_pending_tasks();
    }

    fn spent(&self, what: Once) -> &Cache<Digest, (), Hashing> {
        match what {
            Once::Login => &self.spent_logins,
            Once::LogoutToken => &self.spent_logout_tokens,
            Once::Form => &self.spent_forms,
        }
    }

    fn sign_outs(&self, who: SignOut) -> &Cache<Digest, Timestamp, Hashing> {
        match who {
            SignOut::Here => &self.signed_out,
            SignOut::There => &self.signed_out_there,
        }
    }
}

/// What is remembered for a time, within a bound.
fn remembered<V: Clone + Send + Sync + 'static>(
    most: u64,
    time: Duration,
) -> Cache<Digest, V, Hashing> {
    Cache::builder()
        .max_capacity(most)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(time)
        .build_with_hasher(Hashing::default())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn oidc_02_what_many_use_at_one_moment_is_used_once() {
        const THREADS: usize = 4;
        let (marks, together) = (Marks::default(), Barrier::new(THREADS));
        let used: Vec<AtomicUsize> = (0..5_000).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for (number, used) in used.iter().enumerate() {
                        together.wait();
                        if marks.spend(Once::Login, Digest::of(&number.to_le_bytes())) {
                            used.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(used.iter().all(|used| used.load(Ordering::Relaxed) == 1));
    }
}

//! Which credential is tried first: the one that worked, then those of which nothing bad is known,
//! in the operator's order. One that was passed over comes last for a while.

use std::time::Duration;

use super::CredentialFault;
use crate::gate::Timestamp;

/// For how long a refused credential comes last. A new secret may take some minutes to be known
/// everywhere.
const REFUSED: Duration = Duration::from_secs(10 * 60);
/// The same for one that could not be sent.
const UNAVAILABLE: Duration = Duration::from_secs(30);

/// What is known of the credentials, each by its index.
pub(super) struct Memory {
    /// The one that worked.
    preferred: usize,
    troubles: Vec<Option<Trouble>>,
    /// Counts the troubles, so that news from before one is told from news after it.
    latest: u64,
    /// How often there was a new one, by credential and fault.
    counts: Vec<[u64; CredentialFault::ALL.len()]>,
}

#[derive(Clone, Copy)]
struct Trouble {
    fault: CredentialFault,
    since: Timestamp,
    number: u64,
}

/// How a credential stands at one moment; the better ones are tried first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Fine,
    Unavailable,
    Refused,
}

/// In which order credentials are tried, at one moment.
pub(in crate::relying_party) struct Turn {
    pub(in crate::relying_party) order: Vec<usize>,
    latest: u64,
}

impl Memory {
    pub(super) fn new(length: usize) -> Self {
        Self {
            preferred: 0,
            troubles: vec![None; length],
            latest: 0,
            counts: vec![[0; CredentialFault::ALL.len()]; length],
        }
    }

    /// Every credential once.
    pub(super) fn in_turn(&self, now: Timestamp) -> Turn {
        let mut order: Vec<usize> = (0..self.troubles.len()).collect();
        // Sorting keeps the operator's order among equals.
        order.sort_by_key(|index| (self.standing(*index, now), *index != self.preferred));
        Turn { order, latest: self.latest }
    }

    /// Why it is passed over, if it is.
    pub(super) fn fault(&self, index: usize) -> Option<CredentialFault> {
        self.trouble(index).map(|trouble| trouble.fault)
    }

    /// How often it came to be passed over, by [`CredentialFault::ALL`].
    pub(super) fn counts(&self, index: usize) -> [u64; CredentialFault::ALL.len()] {
        self.counts.get(index).copied().unwrap_or_default()
    }

    /// Whether there is one of which nothing bad is known.
    pub(super) fn has_another(&self) -> bool {
        self.troubles.iter().any(Option::is_none)
    }

    fn trouble(&self, index: usize) -> Option<Trouble> {
        self.troubles.get(index).copied().flatten()
    }

    fn standing(&self, index: usize, now: Timestamp) -> Standing {
        match self.trouble(index) {
            Some(Trouble { fault, since, .. }) if fault.is_passing() => {
                if now.since(since) < UNAVAILABLE { Standing::Unavailable } else { Standing::Fine }
            }
            Some(trouble) if now.since(trouble.since) < REFUSED => Standing::Refused,
            Some(_) | None => Standing::Fine,
        }
    }

    /// It worked. Whether it had been passed over until now.
    pub(super) fn accepted(&mut self, index: usize, turn: &Turn) -> bool {
        let Some(trouble) = self.troubles.get_mut(index) else {
            return false;
        };
        if trouble.is_some_and(|trouble| trouble.number > turn.latest) {
            // It was accepted before it was refused; its answer was only slower.
            return false;
        }
        let was_passed_over = trouble.take().is_some();
        // One that stands in for another while that cannot be sent does not take its place.
        if !self.trouble(self.preferred).is_some_and(|trouble| trouble.fault.is_passing()) {
            self.preferred = index;
        }
        was_passed_over
    }

    /// It did not work. Whether that is news.
    pub(super) fn passed_over(
        &mut self,
        index: usize,
        fault: CredentialFault,
        now: Timestamp,
    ) -> bool {
        let Some(trouble) = self.troubles.get_mut(index) else {
            return false;
        };
        let is_news = trouble.is_none_or(|trouble| trouble.fault != fault);
        if is_news {
            self.latest = self.latest.saturating_add(1);
            let counts = self.counts.get_mut(index);
            if let Some(count) = counts.and_then(|counts| counts.get_mut(fault as usize)) {
                *count = count.saturating_add(1);
            }
        }
        let number = trouble.filter(|_| !is_news).map_or(self.latest, |trouble| trouble.number);
        *trouble = Some(Trouble { fault, since: now, number });
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn order(memory: &Memory, minutes: u64) -> Vec<usize> {
        memory.in_turn(NOON.after(Duration::from_secs(60 * minutes))).order
    }

    #[test]
    fn the_one_that_worked_is_tried_first_and_a_refused_one_last_for_a_while() {
        let mut memory = Memory::new(3);
        assert_eq!(order(&memory, 0), [0, 1, 2]);
        let turn = memory.in_turn(NOON);
        assert!(memory.passed_over(0, CredentialFault::SecretExpired, NOON));
        assert_eq!(order(&memory, 0), [1, 2, 0]);
        memory.accepted(2, &turn);
        assert_eq!(order(&memory, 9), [2, 1, 0]);
        assert_eq!(order(&memory, 10), [2, 0, 1]);
    }

    #[test]
    fn a_refusal_is_news_once_until_it_works_again_or_the_reason_is_another() {
        let mut memory = Memory::new(2);
        assert!(memory.passed_over(0, CredentialFault::SecretWrong, NOON));
        assert!(!memory.passed_over(0, CredentialFault::SecretWrong, NOON));
        assert!(memory.passed_over(0, CredentialFault::SecretExpired, NOON));
        let turn = memory.in_turn(NOON);
        assert!(memory.accepted(0, &turn));
        assert!(!memory.accepted(0, &turn));
        assert!(memory.passed_over(0, CredentialFault::SecretExpired, NOON));
    }

    #[test]
    fn one_that_stands_in_for_an_unavailable_one_does_not_take_its_place() {
        let mut memory = Memory::new(3);
        memory.passed_over(0, CredentialFault::TokenFileUnreadable, NOON);
        memory.passed_over(1, CredentialFault::SecretWrong, NOON);
        let turn = memory.in_turn(NOON);
        assert_eq!(turn.order, [2, 0, 1]);
        memory.accepted(2, &turn);
        assert_eq!(order(&memory, 1), [0, 2, 1]);
    }

    #[test]
    fn what_was_accepted_before_the_refusal_does_not_take_it_back() {
        let mut memory = Memory::new(2);
        let earlier = memory.in_turn(NOON);
        assert!(memory.passed_over(0, CredentialFault::SecretExpired, NOON));
        assert!(!memory.accepted(0, &earlier));
        assert!(!memory.passed_over(0, CredentialFault::SecretExpired, NOON));
        assert_eq!(order(&memory, 0), [1, 0]);
    }
}

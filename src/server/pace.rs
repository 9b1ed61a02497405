//! How often one address may ask for what anybody can ask for: a sign-out in the name of a provider
//! that turns out to be none.
//! Counted by the minute, and for so many addresses at most; beyond, the others share one count.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::admission::Origin;
use crate::gate::Timestamp;

/// How often an address may ask in vain within a minute. A provider's page asks once a sign-out and
/// portal, and many members may be behind one address.
pub(super) const A_MINUTE: u32 = 120;
/// How many addresses are told apart.
const ADDRESSES: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(60);

/// Who asked how often, within this minute.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since: Option<Timestamp>,
    by_origin: HashMap<Origin, u32>,
    others: u32,
}

impl Pace {
    /// Counts a request of this address. Whether it may go on.
    pub(super) fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins anew, too.
        let is_over = window.since.is_none_or(|since| now < since || now.since(since) >= WINDOW);
        if is_over {
            *window = Window { since: Some(now), ..Window::default() };
        }
        let origin = Origin::from(address);
        let has_room = window.by_origin.len() < ADDRESSES || window.by_origin.contains_key(&origin);
        let count = match has_room {
            true => window.by_origin.entry(origin).or_default(),
            false => &mut window.others,
        };
        *count = count.saturating_add(1);
        *count <= A_MINUTE
    }

    /// Takes back what was counted of a request that was in order.
    pub(super) fn forgives(&self, address: IpAddr) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match window.by_origin.get_mut(&Origin::from(address)) {
            Some(count) => count,
            None => &mut window.others,
        };
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_count_and_each_minute_a_new_one() {
        let pace = Pace::default();
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        for _ in 0..A_MINUTE {
            assert!(pace.admits(address(1), noon));
        }
        assert!(!pace.admits(address(1), noon.after(Duration::from_secs(59))));
        assert!(pace.admits(address(2), noon));
        assert!(pace.admits(address(1), noon.after(WINDOW)));
        assert!(pace.admits(address(1), noon), "a clock that was set back");
    }

    #[test]
    fn what_was_in_order_does_not_count() {
        let pace = Pace::default();
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let address = IpAddr::from([192, 0, 2, 1]);
        pace.forgives(address);
        for _ in 0..A_MINUTE * 2 {
            assert!(pace.admits(address, noon));
            pace.forgives(address);
        }
        for _ in 0..A_MINUTE {
            assert!(pace.admits(address, noon));
        }
        assert!(!pace.admits(address, noon));
    }

    #[test]
    fn lim_07_it_remembers_so_many_addresses_and_no_more() {
        let pace = Pace::default();
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let mut admitted = 0;
        for number in 0..20_000_u32 {
            admitted += u32::from(pace.admits(IpAddr::from(number.to_be_bytes()), noon));
        }
        assert_eq!(pace.0.lock().unwrap().by_origin.len(), ADDRESSES);
        assert_eq!(admitted, 10_000 + A_MINUTE);
    }
}

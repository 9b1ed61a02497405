//! How many connections there may be, in all and from one address (LIM-02), and how much one
//! address may have of what all share, so that nobody takes the places of others (LIM-08). Touched
//! when a connection or a request begins and ends, and never between.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many parts the addresses are kept in, so that workers seldom wait for each other.
const SHARDS: usize = 16;
/// So much an address may have however little there is: as many requests as some browsers behind
/// one router send at a time.
const LEAST_SHARE: usize = 32;

/// Who is connected.
#[derive(Debug)]
pub(super) struct Admission {
    most: AtomicUsize,
    most_of_one: AtomicUsize,
    open: AtomicUsize,
    /// Only addresses with a connection are in here, so it is as large as `most` at most.
    shards: [Mutex<HashMap<Origin, usize>>; SHARDS],
}

/// What counts as one address: of IPv6 the network of a household, in which a visitor has more
/// addresses than anybody could count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// One of the places of the whole process. Dropping gives it back.
#[derive(Debug)]
pub(super) struct Place(Arc<Admission>);

/// Which addresses have how much of what all share: of a portal's requests, of the room for forms.
/// A connection over HTTP/2 carries a hundred requests, so the number of connections alone would
/// leave everything to a few of one address.
#[derive(Debug)]
pub(super) struct Shares(Arc<Admission>);

impl Shares {
    /// Of so much.
    pub(super) fn new(most: usize) -> Self {
        Self(Admission::new(most, LEAST_SHARE.max(most / 4)))
    }

    /// Whether there is so much of it taken that it matters whose it is: whoever has half of it
    /// alone is then counted with more than a share.
    pub(super) fn are_counted(&self, taken: usize) -> bool {
        taken >= (self.0.most() / 2).saturating_sub(self.0.most_of_one())
    }

    /// A place of this size for an address, where so much is taken in all. As long as half is free
    /// anybody may have it; the other half is for those who have no more than a quarter.
    pub(super) fn seat(&self, address: IpAddr, size: usize, taken: usize) -> Option<Seat> {
        let admission = &self.0;
        let is_free = taken < admission.most() / 2;
        let most = if is_free { usize::MAX } else { admission.most_of_one() };
        admission.seat_within(address, size, most)
    }
}

/// An address has its share of a portal's requests already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Crowded {
    /// The stable name of this reason.
    pub(super) const fn code(self) -> &'static str {
        "address-busy"
    }
}

/// One of the places of an address. Dropping gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Arc<Admission>,
    origin: Origin,
    size: usize,
}

impl Admission {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        let (open, shards) = (AtomicUsize::new(0), std::array::from_fn(|_| Mutex::default()));
        let (most, most_of_one) = (AtomicUsize::new(most), AtomicUsize::new(most_of_one));
        Arc::new(Self { most, most_of_one, open, shards })
    }

    /// So many there may be from now on; whoever has a place keeps it.
    pub(super) fn change(&self, most: usize, most_of_one: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.most_of_one.store(most_of_one, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn most_of_one(&self) -> usize {
        self.most_of_one.load(Ordering::Relaxed)
    }

    /// A place, if there is one left.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        // Counted first and given back if there was none: two that come at once cannot both have
        // the last one.
        let place = Place(Arc::clone(self));
        (self.open.fetch_add(1, Ordering::Relaxed) < self.most()).then_some(place)
    }

    /// A place for this address, if it has one left.
    pub(super) fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        self.seat_within(address, 1, self.most_of_one())
    }

    /// A place for this address, if it has no more than `most` with it.
    fn seat_within(self: &Arc<Self>, address: IpAddr, size: usize, most: usize) -> Option<Seat> {
        let origin = Origin::from(address);
        let mut seats = self.shard(origin);
        let taken = seats.get(&origin).map_or(0, |taken| *taken).checked_add(size)?;
        if taken > most || size == 0 {
            return None;
        }
        seats.insert(origin, taken);
        Some(Seat { admission: Arc::clone(self), origin, size })
    }

    fn shard(&self, origin: Origin) -> MutexGuard<'_, HashMap<Origin, usize>> {
        let bits = match origin {
            Origin::V4(bits) => u64::from(bits),
            Origin::V6(bits) => bits,
        };
        // Neighbours differ in their last bits; multiplying brings those to the front.
        let shard = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize;
        let [first, ..] = &self.shards;
        let shard = self.shards.get(shard).unwrap_or(first);
        // What is counted stays right even if somebody panicked beside it.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.admission.shard(self.origin);
        if let Some(taken) = seats.get_mut(&self.origin) {
            *taken -= self.size;
            if *taken == 0 {
                seats.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn lim_02_fewer_places_are_none_that_were_given() {
        let admission = Admission::new(2, 2);
        let kept = [admission.place(), admission.place()];
        admission.change(1, 1);
        assert!(admission.place().is_none());
        let [_first, second] = kept;
        drop(second);
        assert!(admission.place().is_none(), "the one that is left is the last");
        admission.change(3, 1);
        assert!(admission.place().is_some());
    }

    #[test]
    fn lim_02_places_are_given_back() {
        let admission = Admission::new(2, 1);
        let one = admission.place().unwrap();
        let _two = admission.place().unwrap();
        assert!(admission.place().is_none());
        assert!(admission.place().is_none(), "asking in vain takes nothing");
        drop(one);
        assert!(admission.place().is_some());
    }

    #[test]
    fn lim_02_one_address_has_so_many_places_and_no_more() {
        let admission = Admission::new(100, 2);
        let seats: Vec<Seat> = ["192.0.2.1", "::ffff:192.0.2.1"]
            .map(|text| admission.seat(address(text)).unwrap())
            .into();
        assert!(admission.seat(address("192.0.2.1")).is_none());
        let _neighbour = admission.seat(address("192.0.2.2")).unwrap();
        let _home: Vec<Seat> = ["2001:db8::1", "2001:db8::ffff:1"]
            .map(|text| admission.seat(address(text)).unwrap())
            .into();
        assert!(admission.seat(address("2001:db8:0:0:1::")).is_none(), "the same /64");
        assert!(admission.seat(address("2001:db8:0:1::1")).is_some(), "another one");
        drop(seats);
        assert!(admission.seat(address("192.0.2.1")).is_some());
    }

    #[test]
    fn lim_08_half_of_a_portal_is_kept_from_those_who_have_much_of_it() {
        let shares = Shares::new(400);
        let mut seats = Vec::new();
        // Somebody takes what there is; every seat is a request at the portal.
        while let Some(seat) = shares.seat(address("192.0.2.1"), 1, seats.len()) {
            seats.push(seat);
        }
        assert_eq!(seats.len(), 200);
        while let Some(seat) = shares.seat(address("192.0.2.2"), 1, seats.len()) {
            seats.push(seat);
        }
        assert_eq!(seats.len(), 300, "a quarter, once half is gone");
        seats.drain(..150);
        assert!(shares.seat(address("192.0.2.2"), 1, seats.len()).is_some(), "half is free again");
        // A small portal is not portioned out among browsers.
        let shares = Shares::new(8);
        let seats: Vec<_> = (0..32).map(|n| shares.seat(address("192.0.2.1"), 1, n)).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(shares.seat(address("192.0.2.1"), 1, 8).is_none());
    }

    #[test]
    fn lim_07_an_address_without_connections_is_forgotten() {
        let admission = Admission::new(100, 2);
        for number in 0..1000_u32 {
            let _seat = admission.seat(IpAddr::from(number.to_be_bytes())).unwrap();
        }
        let known: usize = admission.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(known, 0);
        let spread: Vec<Seat> =
            (0..64_u32).map(|n| admission.seat(IpAddr::from(n.to_be_bytes())).unwrap()).collect();
        assert!(
            admission.shards.iter().filter(|shard| !shard.lock().unwrap().is_empty()).count() > 8
        );
        drop(spread);
    }

    #[test]
    fn lim_02_many_threads_never_have_more_places_than_there_are() {
        let admission = Admission::new(3, 2);
        let most = AtomicUsize::new(0);
        let now = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Some(_place) = admission.place() {
                            most.fetch_max(
                                now.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            now.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(admission.open.load(Ordering::SeqCst), 0);
    }
}

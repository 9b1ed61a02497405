//! Which lot a visitor has in a progressive switch, so that it is the same today and tomorrow. A
//! browser keeps it in a cookie, from the first page that it opens; whoever keeps none is known by
//! the address alone, so that a script does not change sides from one request to the next. It is a
//! convenience and no boundary: whoever wants another lot takes one. Deliberately not here: whom the
//! switch has come to (`gate::Rollout`).

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderValue, header};

use super::request::Head;
use crate::gate::{Lot, Policy, Purpose, Rollout, cookies, purpose};
use crate::sessions::cookie;

/// A visitor's lot, and the cookie by which a browser is to keep it, if that is new.
pub(super) fn lot(
    policy: &Policy,
    head: &Head,
    visitor: IpAddr,
    keeps_cookies: bool,
) -> (Lot, Option<HeaderValue>) {
    if !policy.rollout.as_ref().is_some_and(Rollout::draws_lots) {
        return (Lot::default(), None);
    }
    let kept = cookies::once(cookies::LOT, head.headers.get_all(header::COOKIE));
    if let Some(lot) = kept.and_then(Lot::parse) {
        return (lot, None);
    }
    let is_page = purpose(&head.method, &head.headers) == Purpose::Page;
    match drawn().filter(|_| is_page && keeps_cookies) {
        Some(lot) => (lot, cookie::lot(lot)),
        None => (of_address(policy, visitor), None),
    }
}

fn drawn() -> Option<Lot> {
    let mut number = [0; 8];
    aws_lc_rs::rand::fill(&mut number).ok()?;
    Some(Lot::of(u64::from_le_bytes(number)))
}

/// Of IPv6 the network, in which one person has all addresses.
fn of_address(policy: &Policy, visitor: IpAddr) -> Lot {
    let network = match visitor {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    };
    let digest = digest(&SHA256, &[policy.host.as_bytes(), &[0], &network].concat());
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    Lot::of(u64::from_le_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_spread_evenly_and_one_spelling_is_one_lot() {
        let mut counts = [0_u32; 100];
        for _ in 0..20_000 {
            let lot: usize = drawn().unwrap().to_string().parse().unwrap();
            counts[lot] += 1;
        }
        // 200 each, and 14 is a standard deviation.
        assert!(counts.iter().all(|count| (100..300).contains(count)), "{counts:?}");
        for text in ["", "100", "-1", "+1", "01", "1 ", "256", "1e1", "٣"] {
            assert_eq!(Lot::parse(text), None, "{text}");
        }
        for number in 0..100 {
            assert_eq!(Lot::parse(&Lot::of(number).to_string()), Some(Lot::of(number)));
        }
    }
}

//! Whom a request is from, by address. Never an identity (GEN-05).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::admission::Seat;
use crate::config::Networks;
use crate::telemetry::traces::TraceContext;

/// What a request inherits from its connection.
#[derive(Debug)]
pub(super) struct Peer {
    address: IpAddr,
    /// The same, as the portal is told it.
    shown: HeaderValue,
    /// Whether it may say whose a request is (FWD-02).
    speaks_for_others: bool,
    /// Held as long as the connection is open.
    _seat: Option<Seat>,
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How many addresses of a chain are looked at, from its right end. Nobody has so many proxies.
const LONGEST_CHAIN: usize = 32;

impl Peer {
    pub(super) fn new(address: IpAddr, speaks_for_others: bool) -> Self {
        let address = address.to_canonical();
        Self { address, shown: shown(address), speaks_for_others, _seat: None }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// The same, with a place among the connections of its address.
    pub(super) fn seated(self, seat: Seat) -> Self {
        Self { _seat: Some(seat), ..self }
    }

    /// Whose a request is. A peer that is a proxy of ours may say it, in `X-Forwarded-For`; of
    /// others the header is nothing. One that was ours when it connected may not be any more.
    pub(super) fn visitor(&self, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
        match self.speaks_for_others && trusted.contain(self.address) {
            true => last_stranger(self.address, headers, trusted),
            false => self.address,
        }
    }

    /// The trace that a request belongs to. Only a proxy of ours is believed: by what others say,
    /// each of their requests could be traced, or be put among somebody else's.
    pub(super) fn trace_parent(
        &self,
        headers: &HeaderMap,
        trusted: &Networks,
    ) -> Option<TraceContext> {
        let is_ours = self.speaks_for_others && trusted.contain(self.address);
        is_ours.then(|| TraceContext::read(headers)).flatten()
    }

    /// A visitor's address as the portal is told it.
    pub(super) fn told(&self, visitor: IpAddr) -> Cow<'_, HeaderValue> {
        match visitor == self.address {
            true => Cow::Borrowed(&self.shown),
            false => Cow::Owned(shown(visitor)),
        }
    }
}

fn shown(address: IpAddr) -> HeaderValue {
    // An address is digits, letters, dots and colons: always a header value.
    let value = HeaderValue::try_from(address.to_string());
    value.unwrap_or(HeaderValue::from_static("unknown"))
}

/// The right-most address of the chain that is not a proxy of ours (FWD-02). Each proxy appends
/// whom it heard, so what stands further left is hearsay. What is no address ends the walk: what
/// was found up to there counts.
fn last_stranger(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let chain = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let elements = chain.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut nearest = peer;
    for element in elements.take(LONGEST_CHAIN) {
        let Some(address) = address(element.trim_ascii()) else {
            break;
        };
        nearest = address;
        if !trusted.contain(address) {
            break;
        }
    }
    nearest
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => match text.parse() {
            Ok(address) => address,
            Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> Networks {
        ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into_iter().collect()
    }

    fn visitor(speaks_for_others: bool, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let peer = Peer::new("::ffff:10.0.0.9".parse().unwrap(), speaks_for_others);
        peer.visitor(&headers, &trusted()).to_string()
    }

    #[test]
    fn fwd_02_the_right_most_address_that_is_not_ours_counts() {
        for (lines, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1", "10.0.0.1 ,\t10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1", "10.0.0.1", "6.6.6.6"], "6.6.6.6"),
            (&["192.0.2.1:4711, [fd00::1]:80, fd00::2, [fd00::3]"], "192.0.2.1"),
            (&["2001:db8::1, 10.0.0.1:80"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            // All are ours: the one that is farthest away.
            (&["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            (&[], "10.0.0.9"),
            // No address: what was found before it counts.
            (&["192.0.2.1, unknown, 10.0.0.1"], "10.0.0.1"),
            (&["192.0.2.1, , 10.0.0.1"], "10.0.0.1"),
            (&["192.0.2.1,"], "10.0.0.9"),
            (&[""], "10.0.0.9"),
            (&["192.0.2.1", ""], "10.0.0.9"),
            (&["192.0.2.1 10.0.0.1"], "10.0.0.9"),
            (&["for=192.0.2.1"], "10.0.0.9"),
            (&["192.0.2.01"], "10.0.0.9"),
            (&["192.0.2.1:99999"], "10.0.0.9"),
            (&["[192.0.2.1]"], "10.0.0.9"),
            (&["fe80::1%eth0"], "10.0.0.9"),
            (&["192.0.2.1, \u{0661}0.0.0.1"], "10.0.0.9"),
        ] {
            assert_eq!(visitor(true, lines), expected, "{lines:?}");
        }
        let chain = format!("192.0.2.1{}", ", 10.0.0.1".repeat(LONGEST_CHAIN));
        assert_eq!(visitor(true, &[&chain]), "10.0.0.1");
    }

    #[test]
    fn fwd_01_what_a_stranger_says_about_addresses_is_nothing() {
        assert_eq!(visitor(false, &["192.0.2.1"]), "10.0.0.9");
    }

    proptest! {
        #[test]
        fn fwd_02_reading_a_chain_never_panics(lines in prop::collection::vec("[ -~\t]{0,40}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert!(visitor(true, &lines).parse::<IpAddr>().is_ok());
        }
    }
}

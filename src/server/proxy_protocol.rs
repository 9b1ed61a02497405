//! What a load balancer says before a connection's own bytes: the PROXY protocol, versions 1 and 2.
//! Bytes in, a value out; it knows no socket, and takes no byte beyond the header, because a TLS
//! handshake follows. Deliberately not here: who may say it, and for how long (`front`).
//!
//! It is our own because it has to be strict: what two readers could read differently is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The most bytes that a header may have: addresses, and room for what some balancers add.
pub(super) const LONGEST: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conveyed {
    /// The connection is this visitor's.
    Visitor(IpAddr),
    /// Nobody's that could be named: the balancer's own check, or an address of another kind.
    Nobody,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All bytes so far belong to the header, and more of them have to come.
    Incomplete,
    /// The header is there.
    Whole {
        /// What it says.
        conveyed: Conveyed,
        /// How many bytes it has; what follows is the connection's own.
        length: usize,
    },
}

/// What begins the connection is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY protocol header")]
pub(super) struct Malformed;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V1_START: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end (specification, section 2.1).
const V1_LONGEST: usize = 107;
/// The part of version 2 that is always there: signature, command, family, length.
const V2_FIXED: usize = 16;

/// Reads a header from the first bytes of a connection. However they are cut, the reading is the
/// same.
///
/// # Errors
/// [`Malformed`] as soon as they cannot become a header any more.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Malformed> {
    if begins_alike(bytes, SIGNATURE) {
        version_2(bytes)
    } else if begins_alike(bytes, V1_START) {
        version_1(bytes)
    } else {
        Err(Malformed)
    }
}

fn begins_alike(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(one, other)| one == other)
}

fn version_1(bytes: &[u8]) -> Result<Reading, Malformed> {
    let line = bytes.get(..V1_LONGEST).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\r', line) else {
        let may_end_yet = bytes.len() < V1_LONGEST - 1 && line.iter().all(|byte| is_text(*byte));
        return may_end_yet.then_some(Reading::Incomplete).ok_or(Malformed);
    };
    let text = line.get(..end).unwrap_or_default();
    if !text.iter().all(|byte| is_text(*byte)) {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let conveyed = v1_line(text)?;
    match line.get(end + 1) {
        Some(b'\n') => Ok(Reading::Whole { conveyed, length: end + 2 }),
        None if end + 2 <= V1_LONGEST => Ok(Reading::Incomplete),
        _ => Err(Malformed),
    }
}

const fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, with exactly one space between.
fn v1_line(line: &str) -> Result<Conveyed, Malformed> {
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        // What follows is to be ignored (section 2.1).
        return Ok(Conveyed::Nobody);
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed);
    };
    port(from)?;
    port(to)?;
    let source = match family {
        Some("TCP4") => IpAddr::V4(both::<Ipv4Addr>(source, destination)?),
        Some("TCP6") => IpAddr::V6(both::<Ipv6Addr>(source, destination)?),
        _ => return Err(Malformed),
    };
    Ok(Conveyed::Visitor(source.to_canonical()))
}

fn both<A: FromStr>(source: &str, destination: &str) -> Result<A, Malformed> {
    destination.parse::<A>().map_err(|_| Malformed)?;
    source.parse().map_err(|_| Malformed)
}

fn port(text: &str) -> Result<u16, Malformed> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().map_err(|_| Malformed) } else { Err(Malformed) }
}

fn version_2(bytes: &[u8]) -> Result<Reading, Malformed> {
    let local = match bytes.get(12) {
        None => return Ok(Reading::Incomplete),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Malformed),
    };
    let Some(family) = bytes.get(13).copied() else {
        return Ok(Reading::Incomplete);
    };
    let least = match family {
        // Of `LOCAL`, the family and all that follows is to be passed over (section 2.2).
        _ if local => 0,
        UNSPECIFIED => 0,
        TCP4 => 12,
        TCP6 => 36,
        UNIX_STREAM => 216,
        // Datagrams do not come over TCP, and the rest is undefined.
        _ => return Err(Malformed),
    };
    let Some([high, low]) = bytes.get(14..V2_FIXED) else {
        return Ok(Reading::Incomplete);
    };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > LONGEST || length < V2_FIXED + least {
        return Err(Malformed);
    }
    let Some(block) = bytes.get(V2_FIXED..length) else {
        return Ok(Reading::Incomplete);
    };
    let conveyed = match family {
        _ if local => Conveyed::Nobody,
        TCP4 => visitor::<4>(block)?,
        TCP6 => visitor::<16>(block)?,
        _ => Conveyed::Nobody,
    };
    // An unspecified family has addresses of an unknown length, so nothing is known of the rest.
    if !local && family != UNSPECIFIED {
        check_extensions(block.get(least..).unwrap_or_default())?;
    }
    Ok(Reading::Whole { conveyed, length })
}

const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

/// The source is what an address block begins with.
fn visitor<const N: usize>(block: &[u8]) -> Result<Conveyed, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let source = block.first_chunk::<N>().ok_or(Malformed)?;
    Ok(Conveyed::Visitor(IpAddr::from(*source).to_canonical()))
}

/// Extensions say nothing to us, but they have to fill their block exactly (section 2.2.7).
fn check_extensions(mut block: &[u8]) -> Result<(), Malformed> {
    while !block.is_empty() {
        let [_, high, low, rest @ ..] = block else {
            return Err(Malformed);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        block = rest.get(length..).ok_or(Malformed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, block].concat()
    }

    fn v4_block() -> Vec<u8> {
        vec![192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 1, 0xbb]
    }

    fn said(bytes: &[u8]) -> Option<Conveyed> {
        match read(bytes) {
            Ok(Reading::Whole { conveyed, length }) => {
                assert_eq!(length, bytes.len());
                Some(conveyed)
            }
            Ok(Reading::Incomplete) => panic!("incomplete: {bytes:?}"),
            Err(Malformed) => None,
        }
    }

    fn visitor(address: &str) -> Option<Conveyed> {
        Some(Conveyed::Visitor(address.parse().unwrap()))
    }

    #[test]
    fn fwd_04_version_1_names_the_visitor() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", visitor("192.0.2.1")),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                visitor("255.255.255.255"),
            ),
            ("PROXY TCP6 2001:db8::1 ::1 0 443\r\n", visitor("2001:db8::1")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 443\r\n", visitor("192.0.2.1")),
            ("PROXY UNKNOWN\r\n", Some(Conveyed::Nobody)),
            ("PROXY UNKNOWN ffff:f ffff:f 65535 65535\r\n", Some(Conveyed::Nobody)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 \r\n", None),
            ("PROXY TCP4  192.0.2.1 192.0.2.2 56324 443\r\n", None),
            ("PROXY TCP4 192.0.2.01 192.0.2.2 56324 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2 56324 443\r\n", None),
            ("PROXY TCP4 2001:db8::1 ::1 56324 443\r\n", None),
            ("PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 056324 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\n\r\n", None),
            ("PROXY tcp4 192.0.2.1 192.0.2.2 1 443\r\n", None),
            ("PROXY UDP4 192.0.2.1 192.0.2.2 1 443\r\n", None),
            ("PROXY TCP4\t192.0.2.1 192.0.2.2 1 443\r\n", None),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\r\n", None),
            ("PROXY \r\n", None),
            ("proxy UNKNOWN\r\n", None),
            (" PROXY UNKNOWN\r\n", None),
            ("GET / HTTP/1.1\r\n", None),
        ] {
            assert_eq!(said(line.as_bytes()), expected, "{line:?}");
        }
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_LONGEST - 16));
        assert_eq!(said(longest.as_bytes()), Some(Conveyed::Nobody));
        let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_LONGEST - 15));
        assert_eq!(read(longer.as_bytes()), Err(Malformed));
    }

    #[test]
    fn fwd_04_version_2_names_the_visitor() {
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 20]].concat();
        let with = |block: &[u8], more: &[u8]| [block, more].concat();
        let v4 = v4_block();
        for (bytes, expected) in [
            (v2(0x21, 0x11, &v4), visitor("192.0.2.1")),
            (v2(0x21, 0x11, &with(&v4, &[3, 0, 4, 1, 2, 3, 4, 4, 0, 0])), visitor("192.0.2.1")),
            (v2(0x21, 0x21, &v6), visitor("2001:db8::1")),
            (v2(0x21, 0x31, &[b'/'; 216]), Some(Conveyed::Nobody)),
            (v2(0x21, 0x00, &[]), Some(Conveyed::Nobody)),
            (v2(0x21, 0x00, &[9; 40]), Some(Conveyed::Nobody)),
            (v2(0x20, 0x00, &[]), Some(Conveyed::Nobody)),
            (v2(0x20, 0x11, &v4), Some(Conveyed::Nobody)),
            (v2(0x20, 0xff, &[9; 40]), Some(Conveyed::Nobody)),
            // An extension that runs over the block, and one without a length.
            (v2(0x21, 0x11, &with(&v4, &[3, 0, 5, 1, 2, 3, 4])), None),
            (v2(0x21, 0x11, &with(&v4, &[3, 0])), None),
            (v2(0x21, 0x11, &v4[..11]), None),
            (v2(0x21, 0x21, &v6[..35]), None),
            (v2(0x21, 0x31, &[b'/'; 215]), None),
            (v2(0x21, 0x12, &v4), None),
            (v2(0x21, 0x41, &v4), None),
            (v2(0x22, 0x11, &v4), None),
            (v2(0x11, 0x11, &v4), None),
            (v2(0x31, 0x11, &v4), None),
            (v2(0x20, 0x00, &vec![0; LONGEST - V2_FIXED + 1]), None),
        ] {
            assert_eq!(said(&bytes), expected, "{bytes:?}");
        }
        assert!(said(&v2(0x20, 0x00, &vec![0; LONGEST - V2_FIXED])).is_some());
    }

    /// Headers, some of them broken somewhere.
    fn header() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            "PROXY TCP4 [0-9.]{7,15} [0-9.]{7,15} [0-9]{1,5} [0-9]{1,5}\r\n",
            "PROXY UNKNOWN[ -~]{0,100}\r\n",
            "PROXY [ -~\r\n]{0,110}",
        ];
        let binary = (0x1fu8..0x23, 0u8..0x40, prop::collection::vec(any::<u8>(), 0..300));
        prop_oneof![
            line.prop_map(String::into_bytes),
            binary.prop_map(|(command, family, block)| v2(command, family, &block)),
            prop::collection::vec(any::<u8>(), 0..64),
            Just(v2(0x21, 0x11, &v4_block())),
            Just(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n".to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn fwd_04_any_cut_gives_the_same_reading(
            bytes in header(), tail in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let all = [bytes, tail].concat();
            let whole = read(&all);
            for cut in 0..=all.len() {
                let part = read(&all[..cut]);
                match (part, whole) {
                    // More bytes never make another reading of what was read.
                    (Ok(Reading::Whole { .. }) | Err(_), _) => prop_assert_eq!(part, whole),
                    // Not a byte beyond the header is asked for.
                    (Ok(Reading::Incomplete), Ok(Reading::Whole { length, .. })) => prop_assert!(cut < length),
                    (Ok(Reading::Incomplete), _) => {}
                }
            }
        }
    }
}

//! Single values that only a Redis has: text to what it means.

use std::net::{Ipv4Addr, Ipv6Addr};

use rustls::pki_types::ServerName;

use crate::config::ServerAddress;
use crate::config::kind::Unfit;
use crate::config::value::is_digits;

/// From 0 to 15, as many as Redis has unless its configuration says otherwise.
pub(super) fn database(text: &str) -> Result<i64, Unfit> {
    let number = text.parse().ok().filter(|_| is_digits(text));
    number.filter(|number| (0..=15).contains(number)).ok_or(Unfit::Kind)
}

/// What names in Redis begin with. Without braces, which would put all of them into one slot of a
/// Cluster, and without what patterns are made of.
pub(super) fn prefix(text: &str) -> Result<String, Unfit> {
    let is_plain = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'[' | b']' | b'*' | b'?' | b'\\')
    };
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// 1 to 128 visible characters of ASCII.
pub(super) fn word(text: &str) -> Result<String, Unfit> {
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or(Unfit::Kind)
}

/// A host and its port. An IPv6 address is in brackets, as else its end would not be known.
pub(super) fn server(text: &str) -> Result<ServerAddress, Unfit> {
    // It may hold a password, so it is not quoted.
    if text.contains("://") || text.contains('@') {
        let message = "here are a host and a port alone, such as `redis.internal:6379`; \
                       `username`, `password`, `database` and `tls` are keys of their own";
        return Err(message.into());
    }
    let (host, port) = text.rsplit_once(':').ok_or(Unfit::Kind)?;
    let number = port.parse::<u16>().ok().filter(|_| is_digits(port));
    let port = number.filter(|port| *port != 0).ok_or(Unfit::Kind)?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
        None => match ServerName::try_from(host) {
            Ok(ServerName::DnsName(_)) => Some(host),
            Ok(ServerName::IpAddress(_)) => host.parse::<Ipv4Addr>().is_ok().then_some(host),
            _ => None,
        }
        .filter(|host| !host.ends_with('.'))
        .map(str::to_owned),
    };
    host.map(|host| ServerAddress { host, port }).ok_or(Unfit::Kind)
}

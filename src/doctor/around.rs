//! Whether the portal can be reached past us. Whoever gets there meets no gate, and can write any
//! identity header. What is seen from this machine is not all that others see, so an operator can
//! name further places.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Case, Check, Finding, Told};
use crate::config::{Portal, Protocol, ServerAddress};

/// For one place to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most places that are tried.
const MOST: usize = 64;

/// Looks for the servers of the portal of this index elsewhere than where they are configured.
pub(super) async fn look(case: &Arc<Case>, index: usize, told: &Told) {
    let Some(portal) = case.config.portals.get(index) else {
        return;
    };
    let host = portal.public_url.host_str().unwrap_or_default();
    let public = Arc::new(addresses(host.trim_matches(['[', ']']), 0).await);
    let own = Arc::new(own_addresses());
    let mut looking = Vec::new();
    for server in portal.upstream.servers.clone() {
        let (case, own, public) = (Arc::clone(case), Arc::clone(&own), Arc::clone(&public));
        looking.push(tokio::spawn(async move {
            let known = addresses(&server.host, server.port).await;
            let seen = Seen { known, own: &own, public: &public };
            let portal = case.config.portals.get(index)?;
            Some(of_server(&case, portal, &server, &seen).await)
        }));
    }
    for look in looking {
        told.all(look.await.ok().flatten());
    }
}

/// What is known of a server's surroundings.
struct Seen<'a> {
    /// Where it is configured to be.
    known: Vec<SocketAddr>,
    /// The addresses of this machine that others can have.
    own: &'a [IpAddr],
    /// Where the portal's public name leads.
    public: &'a [SocketAddr],
}

async fn of_server(
    case: &Case,
    portal: &Portal,
    server: &ServerAddress,
    seen: &Seen<'_>,
) -> Finding {
    let check = Check::PortalAround;
    let subject = format!("{}, {server}", portal.origin());
    let is_here = seen.known.iter().any(|known| known.ip().is_loopback());
    let mut places: BTreeSet<SocketAddr> = BTreeSet::new();
    if is_here {
        places.extend(seen.own.iter().map(|address| SocketAddr::new(*address, server.port)));
    }
    let public = seen.public.iter().map(SocketAddr::ip).filter(|address| !address.is_loopback());
    places.extend(public.map(|address| SocketAddr::new(address, server.port)));
    for place in &case.setting.around {
        places.extend(named(place, server.port).await);
    }
    let listen = case.config.listen.address;
    let is_ours = |place: &SocketAddr| {
        let is_any = listen.ip().is_unspecified() || listen.ip() == place.ip();
        place.port() == listen.port() && is_any
    };
    places.retain(|place| !seen.known.contains(place) && !is_ours(place));
    // What speaks TLS or HTTP/2 says nothing to a plain question.
    let is_plain = portal.upstream.tls.is_none() && portal.upstream.protocol == Protocol::Http1;
    let tried = places.len();
    let found = answering(places, &portal.policy.host, is_plain).await;
    if let Some(place) = found {
        let told = format!("the portal answers at {place} too, where nobody meets Anteport");
        let fix = format!(
            "let the portal listen on a loopback address alone (127.0.0.1), or keep port {} shut \
             in the firewall",
            place.port()
        );
        return Finding::error(check, &subject, told).fix(fix);
    }
    if is_here {
        let told = format!("it is on loopback, and nothing answers at {tried} other addresses");
        return Finding::ok(check, &subject, told);
    }
    let far = seen.known.iter().find(|known| is_public(known.ip()));
    let told = match (seen.known.first(), far) {
        (_, Some(public)) => format!("the portal has a public address, {public}"),
        (Some(_), None) => format!("the portal is on the network, at {server}"),
        (None, None) => return Finding::skipped(check, &subject, "it has no address to look at"),
    };
    let told = format!("{told}: whether others reach it there cannot be seen from here");
    let fix = "let its firewall take connections from this machine alone, or let the portal refuse \
               every request without a valid assertion (docs/assertion.md)";
    Finding::warning(check, &subject, told).fix(fix)
}

async fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let found = timeout(PATIENCE, lookup_host((host, port))).await;
    found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
}

/// A place that an operator names: an address or a host, with or without a port.
async fn named(place: &str, port: u16) -> Vec<SocketAddr> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        return vec![address];
    }
    if let Ok(address) = place.trim_matches(['[', ']']).parse::<IpAddr>() {
        return vec![SocketAddr::new(address, port)];
    }
    match place.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => addresses(host, port).await,
        _ => addresses(place, port).await,
    }
}

/// The first of the places where a server answers.
async fn answering(places: BTreeSet<SocketAddr>, host: &str, is_plain: bool) -> Option<SocketAddr> {
    let mut asking = JoinSet::new();
    for place in places.into_iter().take(MOST) {
        let host = host.to_owned();
        asking.spawn(async move {
            let answers = timeout(PATIENCE, ask(place, &host, is_plain)).await;
            matches!(answers, Ok(Ok(true))).then_some(place)
        });
    }
    let mut found = Vec::new();
    while let Some(answered) = asking.join_next().await {
        found.extend(answered.ok().flatten());
    }
    found.into_iter().min()
}

async fn ask(place: SocketAddr, host: &str, is_plain: bool) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(place).await?;
    if !is_plain {
        return Ok(true);
    }
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut begin = [0; 5];
    stream.read_exact(&mut begin).await?;
    Ok(&begin == b"HTTP/")
}

/// The addresses of this machine that others can have, as far as the kernel tells.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = ipv4(&read("/proc/net/fib_trie"));
    found.extend(ipv6(&read("/proc/net/if_inet6")));
    found.retain(|address| !address.is_loopback());
    found
}

/// Those of the routing table that are this machine's own: a line has the address, and one of the
/// next what it is.
fn ipv4(table: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<IpAddr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found.into_iter().collect()
}

/// An address in hexadecimal, its interface, the length of its prefix and its scope; those of a
/// single link are left out, which cannot be connected to without naming it.
fn ipv6(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut parts = line.split_whitespace();
        let address = u128::from_str_radix(parts.next()?, 16).ok()?;
        let scope = parts.nth(2)?;
        (scope == "00").then(|| IpAddr::V6(Ipv6Addr::from_bits(address)))
    };
    table.lines().filter_map(address).collect()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link \
                     BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let expected: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        assert_eq!(ipv4(table), expected);
        let table = "fd000000000000000000000000000002 04 40 00 80     eth0\n\
                     fe8000000000000000fc00fffe000001 04 40 20 80     eth0\nx\n";
        assert_eq!(ipv6(table), ["fd00::2".parse::<IpAddr>().unwrap()]);
        assert_eq!(ipv4("nonsense"), ipv6(""));
    }

    #[test]
    fn public_addresses_are_known() {
        for address in ["203.0.113.7", "2001:db8::1", "8.8.8.8"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "127.0.0.1", "192.168.1.1", "fd00::1", "fe80::1", "::1"] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}

//! A warning of portals that others may reach without us: whoever does meets no sign-in, and may
//! say that they are anybody. From a configuration only some of that can be seen, and of the rest
//! nothing is said: a public address, or a host that visitors know anyway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::context::Context;
use super::file::{File, PortalFile, UpstreamFile};
use super::value::is_loopback;
use crate::gate::Mode;

/// Warns of a portal's servers.
pub(super) fn warn_of_others(context: &Context<'_>, file: &PortalFile, whole: &File) {
    let (Some(upstream), Some(mode)) = (&file.upstream, file.mode) else {
        return;
    };
    if mode == Mode::Off || is_said_to_be_ours(file) || asks_for_certificate(upstream) {
        return;
    }
    let public: Vec<&Url> = whole
        .portals
        .iter()
        .filter_map(|portal| Some(&portal.public_url.as_ref()?.value))
        .collect();
    let urls = upstream.url.iter().chain(upstream.urls.iter().flatten());
    for url in urls {
        let why = if is_public(&url.value) {
            "this is an address of the public Internet"
        } else if is_known(&url.value, &public) {
            "visitors know this host by its `public_url`"
        } else {
            continue;
        };
        let plain = match url.value.scheme() {
            "http" => {
                " Over `http` everybody on the way can read and change what members see, too."
            }
            _ => "",
        };
        let message = format!(
            "{why}: whoever reaches the portal there without Anteport meets no sign-in. Give it a \
             private address, or keep others out by a firewall and say so by \
             `identity.only_way_in: true`.{plain}"
        );
        context.warn(&url.spot, message);
    }
}

/// Whether the operator has thought of it.
fn is_said_to_be_ours(file: &PortalFile) -> bool {
    let presets = file.identity.as_ref().map(|identity| &identity.presets);
    let only = presets.and_then(|presets| presets.only_way_in.as_ref());
    only.is_some_and(|only| only.value)
}

/// Whether the portal knows us by our certificate.
fn asks_for_certificate(upstream: &UpstreamFile) -> bool {
    upstream.tls.as_ref().is_some_and(|tls| tls.own.certificate.is_some())
}

fn is_known(url: &Url, public: &[&Url]) -> bool {
    !is_loopback(url) && public.iter().any(|known| known.host() == url.host())
}

fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
        Some(Host::Domain(name)) => name.parse::<IpAddr>().is_ok_and(|address| match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        }),
        None => false,
    }
}

/// What the IANA registry of special-purpose addresses (RFC 6890) does not take out.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = matches!(
        (first, second, third),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// Global unicast, without what is for documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_everybody_can_reach_are_known() {
        for host in [
            "20.50.2.10",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "[2a01:4f8::1]",
            "[::ffff:8.8.8.8]",
        ] {
            assert!(is_public(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "198.18.0.1",
            "203.0.113.5",
            "0.0.0.0",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[2001:db8::1]",
            "[::ffff:10.0.0.1]",
            "portal",
            "portal.internal",
            "portal.example.org",
        ] {
            assert!(!is_public(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
    }
}

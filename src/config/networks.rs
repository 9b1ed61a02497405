//! Networks of addresses, as an operator names them: `10.0.0.0/8`, or one address alone.

use std::net::IpAddr;

use ipnet::IpNet;

use super::kind::Unfit;

/// Some networks; without any, nobody is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address is in one of them. An IPv4 address counts as one in either spelling.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let networks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(", "))
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// A network of proxies. One that everybody is in would let every visitor say who they are
/// (CFG-01), and one that is written otherwise than it is meant may name other machines.
pub(super) fn network(text: &str) -> Result<IpNet, Unfit> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| Unfit::Kind)?,
    };
    if network.prefix_len() == 0 {
        return Err("this is every address there is, so that every visitor could say who they \
                    are; name the networks of the proxies in front"
            .into());
    }
    if network.trunc() != network {
        let meant = network.trunc();
        return Err(Unfit::Because(format!(
            "this address lies within its network; write `{meant}` for the network, or the \
             address alone"
        )));
    }
    match network.addr() {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err("this is an IPv4 network in an IPv6 spelling; write it as `10.0.0.0/8`".into())
        }
        _ => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fwd_02_an_address_is_in_a_network_in_either_spelling() {
        let network = |text| network(text).unwrap_or_else(|_| panic!("{text}"));
        let networks: Networks =
            ["10.0.0.0/8", "::1", "2001:db8::/32"].map(network).into_iter().collect();
        for (address, is_in) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:11.0.0.1", false),
            ("::1", true),
            ("127.0.0.1", false),
            ("2001:db8:1::", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(networks.contain(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(!Networks::default().contain("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn cfg_01_a_network_that_may_not_mean_what_was_meant_is_none() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "10.0.0.1/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/33",
            "10.0.0",
            "lb.example",
            "",
            "10.0.0.0/8,::1",
            "2001:db8::1/64",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}

//! Which network an address is in: who owns one address owns its neighbours, so they count as one.

use std::net::{IpAddr, SocketAddr};

/// A network: /24 of IPv4, /48 of IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Subnet([u8; 7]);

/// The network of an address. A private one is a network of its own: people in one house, or on one
/// machine, are not one operator's crowd.
pub(crate) fn subnet(addr: &SocketAddr) -> Option<Subnet> {
    if is_private(&addr.ip()) {
        return None;
    }
    Some(match addr.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Subnet([4, a, b, c, 0, 0, 0])
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, ..] = ip.octets();
            Subnet([6, a, b, c, d, e, f])
        }
    })
}

/// An address that means something in one house only.
fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

/// Whether somebody at `teller` can know of somebody at `told`: a stranger from outside has nothing
/// to say about addresses in this house, and would have us call our own machines.
pub(crate) fn may_tell(teller: &SocketAddr, told: &SocketAddr) -> bool {
    let (teller, told) = (teller.ip(), told.ip());
    !is_private(&told) || is_private(&teller) && (!told.is_loopback() || teller.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_say_nothing_of_this_house() {
        let check = |teller: &str, told: &str, expected: bool| {
            let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 1);
            assert_eq!(may_tell(&at(teller), &at(told)), expected, "{teller} of {told}");
        };
        check("203.0.113.1", "198.51.100.1", true);
        check("203.0.113.1", "192.168.0.1", false);
        check("2001:db8::1", "fe80::1", false);
        check("192.168.0.2", "192.168.0.1", true);
        check("192.168.0.2", "203.0.113.1", true);
        check("192.168.0.2", "127.0.0.1", false);
        check("127.0.0.1", "127.0.0.1", true);
    }

    #[test]
    fn neighbours_of_an_address_are_one_network() {
        let of = |addr: &str| subnet(&addr.parse().unwrap());
        assert_eq!(of("203.0.113.1:1"), of("203.0.113.200:2"));
        assert_ne!(of("203.0.113.1:1"), of("203.0.114.1:1"));
        assert_eq!(of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:3::1]:1"));
        assert_eq!(of("10.0.0.1:1"), None);
    }
}

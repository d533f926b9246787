//! Which addresses mean something to everybody, and which are likely to be in one hand.

use std::net::IpAddr;

/// A kind of address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The kind of an address; IPv4 in IPv6's clothes is IPv4.
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// Whether an address means the same host everywhere: not one of a network of its owner's (RFC 1918,
/// 4193), of a provider and its customers (RFC 6598), of one cable (RFC 3927, 4291), of one machine, or
/// of none.
pub fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            let none = ip.is_unspecified() || ip.is_multicast() || first == 0 || first >= 240;
            !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared || none)
        }
        // RFC 4291: what is global is in 2000::/3.
        IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
    }
}

/// Whose word it is: what is likely to be in one hand counts once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Hand {
    /// Our own router.
    Router,
    /// An IPv4 /16.
    V4([u8; 2]),
    /// An IPv6 /32.
    V6([u8; 4]),
}

impl Hand {
    /// Whose an address is.
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [one, two, ..] = ip.octets();
                Hand::V4([one, two])
            }
            IpAddr::V6(ip) => {
                let [one, two, three, four, ..] = ip.octets();
                Hand::V6([one, two, three, four])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_mean_the_same_everywhere() {
        let global = |ip: &str| is_global(ip.parse().expect("an address"));
        for ip in ["8.8.8.8", "198.51.100.1", "100.128.0.1", "2a00::1", "::ffff:8.8.8.8"] {
            assert!(global(ip), "{ip}");
        }
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.2",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd77::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!global(ip), "{ip}");
        }
    }

    #[test]
    fn who_is_in_one_hand() {
        let hand = |ip: &str| Hand::of(ip.parse().expect("an address"));
        assert_eq!(hand("198.51.100.1"), hand("198.51.3.4"));
        assert_eq!(hand("198.51.100.1"), hand("::ffff:198.51.3.4"));
        assert_ne!(hand("198.51.100.1"), hand("198.52.100.1"));
        assert_eq!(hand("2001:db8:1::1"), hand("2001:db8:ffff::2"));
        assert_ne!(hand("2001:db8::1"), hand("2001:db9::1"));
    }
}

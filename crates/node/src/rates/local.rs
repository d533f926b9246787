//! Which addresses are on this machine or on the network beside it.

use std::net::IpAddr;

/// Whether traffic to an address stays here: loopback, link-local, or private (RFC 1918, RFC 4193).
pub(crate) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_beside_us_and_no_other() {
        let local = |ip: &str| is_local(ip.parse().expect("an address"));
        for ip in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.9", "169.254.0.1"] {
            assert!(local(ip) && local(&format!("::ffff:{ip}")), "{ip}");
        }
        assert!(local("::1") && local("fe80::1") && local("fd00::1"));
        for ip in ["8.8.8.8", "172.32.0.1", "100.64.0.1", "2001:db8::1", "::", "0.0.0.0"] {
            assert!(!local(ip), "{ip}");
        }
    }
}

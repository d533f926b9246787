//! Where friends can reach this machine: the addresses that a link without a tracker should name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that a peer elsewhere could connect to, given the sockets' own. For sockets that listen
/// on all addresses, those that the machine would use for going out.
pub(super) fn reachable(listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for addr in listening {
        let ip = match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => outgoing_v4(),
            IpAddr::V6(ip) if ip.is_unspecified() => outgoing_v6(),
            ip => Some(ip),
        };
        found.extend(ip.map(|ip| SocketAddr::new(ip, addr.port())));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether an address means something beyond its own network.
pub(super) fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64; // RFC 6598
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local()),
    }
}

fn outgoing_v4() -> Option<IpAddr> {
    // An address for documentation (RFC 5737); connecting a UDP socket sends nothing.
    outgoing((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into())
}

fn outgoing_v6() -> Option<IpAddr> {
    // RFC 3849. A link-local or unique local address would be of little use; IPv4 serves there.
    let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let ip = outgoing((Ipv6Addr::UNSPECIFIED, 0).into(), (documentation, 9).into());
    ip.filter(|ip| is_global(*ip))
}

fn outgoing(from: SocketAddr, to: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_addresses_are_taken_as_they_are() {
        let bound: SocketAddr = "127.0.0.1:7716".parse().unwrap();
        assert_eq!(reachable(&[bound, bound]), [bound]);
        for addr in reachable(&["0.0.0.0:7716".parse().unwrap(), "[::]:7716".parse().unwrap()]) {
            assert!(!addr.ip().is_unspecified());
            assert_eq!(addr.port(), 7716);
        }
    }

    #[test]
    fn which_addresses_friends_elsewhere_can_use() {
        let global = |ip: &str| is_global(ip.parse().unwrap());
        for ip in ["8.8.8.8", "2a00::1", "100.128.0.1"] {
            assert!(global(ip), "{ip}");
        }
        for ip in ["192.168.1.2", "10.0.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "fe80::1"] {
            assert!(!global(ip), "{ip}");
        }
    }
}

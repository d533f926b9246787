//! The settings of TCP sockets, in one place.

use crate::config::Network;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use tokio::net::{TcpSocket, TcpStream};

/// Connections that the system keeps for us until we accept them: what it grants at most on Linux
/// unless configured.
const BACKLOG: i32 = 4096;

/// A listening socket on `addr`. An IPv6 socket takes IPv6 only: IPv4 has its own, so that either
/// works without the other.
pub(super) fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Without it a restart would wait until the old connections are forgotten. On Windows it means
    // something else, and what is meant here is the default.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connects to a peer, from an address the user named if any was.
pub(crate) async fn connect(addr: SocketAddr, network: &Network) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source_for(addr, &network.bind)? {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(addr).await?;
    tune(&stream)?;
    Ok(stream)
}

/// Messages are small and must not wait for one another; blocks are written many at a time.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// The local address to connect from: of the same family as `addr`, if the user named addresses.
/// With none of that family `addr` is out of reach, since any other way would go past what the user
/// allowed.
fn source_for(addr: SocketAddr, bind: &[IpAddr]) -> io::Result<Option<IpAddr>> {
    let named = bind.iter().find(|ip| ip.is_ipv4() == addr.is_ipv4());
    if named.is_none() && !bind.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            "network.bind names no address of this family",
        ));
    }
    Ok(named.copied())
}

/// Whether a peer can be at `addr` at all; trackers and peers name all kinds of addresses.
pub(crate) fn may_be_peer(addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_a_peer_can_have() {
        let may = |addr: &str| may_be_peer(addr.parse().expect("an address"));
        assert!(may("1.2.3.4:1") && may("[2001:db8::1]:6881") && may("127.0.0.1:7716"));
        assert!(!may("1.2.3.4:0") && !may("0.0.0.0:1") && !may("[::]:1"));
        assert!(!may("255.255.255.255:1") && !may("224.0.0.1:1") && !may("[ff02::1]:1"));
        assert!(!may("[::ffff:0.0.0.0]:1"));
    }

    #[test]
    fn a_bound_node_goes_out_by_that_address_only() {
        let addr = |addr: &str| addr.parse::<SocketAddr>().expect("an address");
        let ip = |ip: &str| ip.parse::<IpAddr>().expect("an address");
        let source = |to, bind: &[IpAddr]| source_for(addr(to), bind).ok();
        assert_eq!(source("1.2.3.4:1", &[]), Some(None));
        assert_eq!(source("1.2.3.4:1", &[ip("::1"), ip("10.0.0.2")]), Some(Some(ip("10.0.0.2"))));
        assert_eq!(source("[2001:db8::1]:1", &[ip("10.0.0.2")]), None);
    }
}

//! The settings of sockets, and what is done with them in several places.

use super::device::{self, Local};
use socket2::Type;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use tokio::net::{TcpStream, UdpSocket};

/// Connections that the system keeps for us until we accept them: what it grants at most on Linux
/// unless configured.
const BACKLOG: i32 = 4096;

/// A listening socket on `port` of `local`. An IPv6 socket takes IPv6 only: IPv4 has its own, so that
/// either works without the other.
pub(super) fn listener(local: &Local, port: u16) -> io::Result<TcpListener> {
    let socket = device::open(local, port, Type::STREAM)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Messages are small and must not wait for one another; blocks are written many at a time.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// The next packet of a socket; none ever comes over one that could not be opened.
pub(crate) async fn receive(
    socket: &io::Result<UdpSocket>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Ok(socket) => socket.recv_from(buffer).await,
        Err(_) => std::future::pending().await,
    }
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
}

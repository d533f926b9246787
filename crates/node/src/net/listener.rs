//! Listening for peers: IPv4 and IPv6 each have a socket; who connects has a bounded time to say
//! which torrent is meant, and goes to the thread that has it.

use super::admission::{Admission, Half};
use super::socket;
use crate::clock;
use crate::config::{Network, Reach};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::peer::handshake::{HandshakeError, Incoming};
use crate::session::StartError;
use althing_base::{Instant, Sha1Digest};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, trace, warn};

/// Wait after the system refused to accept a connection, most often because the process has all
/// the descriptors it may have: until then some will have been closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// A peer that connected and said which torrent it means.
pub(crate) struct Arrival {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) addr: SocketAddr,
    /// What was read of its handshake.
    pub(crate) incoming: Incoming,
    /// The info-hash it named.
    pub(crate) named: Sha1Digest,
    /// By when both handshakes have to be through.
    pub(crate) deadline: Instant,
    /// Its place among the half-open connections.
    pub(crate) half: Half,
}

/// Where arrivals go: says whether the torrent is here.
pub(crate) type Route = Arc<dyn Fn(Arrival) -> bool + Send + Sync>;

/// Opens the sockets that peers connect to: those that `network` names, or one for each family.
///
/// # Errors
/// If one that was named cannot be opened; of the two families by default, one is enough.
pub(crate) fn listen(network: &Network) -> Result<Vec<std::net::TcpListener>, StartError> {
    if !network.incoming {
        return Ok(Vec::new());
    }
    let open = |ip, port| {
        let addr = SocketAddr::new(ip, port);
        socket::listener(addr).map_err(|error| StartError::Listen { addr, error })
    };
    if !network.bind.is_empty() {
        return network.bind.iter().map(|&ip| open(ip, network.port)).collect();
    }
    let (v4, v6): (IpAddr, IpAddr) = match network.reach {
        Reach::Any => (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()),
        Reach::Loopback => (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
    };
    match open(v4, network.port) {
        Ok(first) => {
            // Both families under one port, also if the system chose it.
            let port = first.local_addr().map_or(network.port, |addr| addr.port());
            match open(v6, port) {
                Ok(second) => Ok(vec![first, second]),
                Err(error) => {
                    debug!(%error, "no peers over IPv6");
                    Ok(vec![first])
                }
            }
        }
        Err(error) if is_about_the_port(&error) => Err(error),
        Err(error) => {
            debug!(%error, "no peers over IPv4");
            Ok(vec![open(v6, network.port)?])
        }
    }
}

/// Whether IPv6 would fare no better. What is left is that there is no IPv4, for which systems have
/// more than one name.
fn is_about_the_port(error: &StartError) -> bool {
    let StartError::Listen { error, .. } = error else { return false };
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Accepts peers for as long as it is polled.
pub(crate) async fn accept(listener: TcpListener, admission: Admission, route: Route) {
    loop {
        let (stream, addr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_about_one_connection(&error) {
                    warn!(%error, "no peer can connect for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        match admission.admit(addr.ip()) {
            Ok(half) => {
                let route = route.clone();
                tokio::spawn(async move {
                    if let Err(error) = name(stream, addr, half, route).await {
                        debug!(%addr, %error, "incoming handshake failed");
                    }
                });
            }
            Err(refusal) => debug!(%addr, ?refusal, "incoming connection refused"),
        }
    }
}

/// Errors that a connection died of while it waited to be accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Reads which torrent a peer means, and hands it on.
async fn name(
    mut stream: TcpStream,
    addr: SocketAddr,
    half: Half,
    route: Route,
) -> Result<(), HandshakeError> {
    let deadline = clock::now() + HANDSHAKE_TIMEOUT;
    let reading = Incoming::read_name(&mut stream);
    let (incoming, named) = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    socket::tune(&stream)?;
    // Out of this thread's event loop; the torrent's thread takes it into its own.
    let stream = stream.into_std()?;
    if !route(Arrival { stream, addr, incoming, named, deadline, half }) {
        trace!(%addr, %named, "a peer wants a torrent that is not here");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(settings: &str) -> Network {
        toml::from_str(settings).expect("valid settings")
    }

    fn addrs(settings: &str) -> Vec<SocketAddr> {
        let sockets = listen(&network(settings)).expect("some port is free");
        sockets.iter().map(|socket| socket.local_addr().expect("it listens")).collect()
    }

    #[test]
    fn loopback_listens_nowhere_else() {
        let addrs = addrs("port = 0\nreach = 'loopback'");
        assert!(addrs.iter().all(|addr| addr.ip().is_loopback()), "{addrs:?}");
        assert!(addrs.iter().all(|addr| addr.port() == addrs[0].port()), "{addrs:?}");
        assert!(addrs[0].is_ipv4());
    }

    #[test]
    fn named_addresses_are_the_only_ones() {
        assert_eq!(addrs("port = 0\nbind = ['127.0.0.1']")[0].ip(), Ipv4Addr::LOCALHOST);
        assert_eq!(addrs("port = 0\nincoming = false"), []);
    }

    #[test]
    fn a_taken_port_is_said_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = taken.local_addr().expect("it listens").port();
        let settings = format!("port = {port}\nreach = 'loopback'");
        let error = listen(&network(&settings)).expect_err("it is taken").to_string();
        assert!(error.contains(&port.to_string()) && error.contains("network.port"), "{error}");
    }
}

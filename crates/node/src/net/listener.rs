//! Listening for peers: IPv4 and IPv6 each have a socket; who connects has a bounded time to say
//! which torrent is meant, and goes to the thread that has it.

use super::admission::{Admission, Half, KeyExchange};
use super::device::{self, Local};
use super::socket;
use super::way::{Look, Way};
use crate::clock;
use crate::config::{Encryption, Network, Reach};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::peer::handshake::{self, Gate, HandshakeError, Incoming};
use crate::peer::line::Link;
use crate::peer::stream::{Detached, Stream};
use crate::session::StartError;
use crate::udp::{Door, UtpStream};
use althing_base::{Instant, Seed, Sha1Digest};
use althing_net::reach::Over;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{debug, trace, warn};

/// Wait after the system refused to accept a connection, most often because the process has all
/// the descriptors it may have: until then some will have been closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Wait until listening is tried again on an interface on which it failed.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// A peer that connected and said which torrent it means.
pub(crate) struct Arrival {
    pub(crate) stream: Detached,
    pub(crate) addr: SocketAddr,
    /// What encryption stands between the two.
    pub(crate) link: Link,
    /// What was read of its handshake.
    pub(crate) incoming: Incoming,
    /// The info-hash it named.
    pub(crate) named: Sha1Digest,
    /// By when both handshakes have to be through.
    pub(crate) deadline: Instant,
    /// Its place among the half-open connections.
    pub(crate) half: Half,
}

/// Where arrivals go. Clones share one.
#[derive(Clone)]
pub(crate) struct Route {
    /// Hands one on to the thread that has the torrent; says whether it is here.
    pub(crate) hand_on: Arc<dyn Fn(Arrival) -> bool + Send + Sync>,
    /// The torrent with that lookup key of encrypted handshakes, if it is here.
    pub(crate) find: Arc<dyn Fn(Sha1Digest) -> Option<Sha1Digest> + Send + Sync>,
    /// Told of everybody who connects, before anything is known of them.
    pub(crate) arrived: Arc<dyn Fn(IpAddr, Over) + Send + Sync>,
    /// Whether handshakes have to be, or may be, encrypted.
    pub(crate) encryption: Encryption,
    /// What the keys of encrypted handshakes are drawn from, and how many have been.
    pub(crate) seed: Seed,
    pub(crate) drawn: Arc<AtomicU64>,
}

/// One connection's way through [`handshake::meet`].
struct Reception<'a> {
    admission: &'a Admission,
    route: &'a Route,
    ip: IpAddr,
}

impl Gate for Reception<'_> {
    fn encryption(&self) -> Encryption {
        self.route.encryption
    }

    fn seed(&self) -> Seed {
        self.route.seed.fork("handshake", self.route.drawn.fetch_add(1, Ordering::Relaxed))
    }

    async fn key_exchange(&self) -> Result<(), HandshakeError> {
        loop {
            match self.admission.key_exchange(clock::now(), self.ip) {
                KeyExchange::Now => return Ok(()),
                KeyExchange::At(at) => clock::sleep_until(Some(at)).await,
                KeyExchange::Refused => return Err(HandshakeError::TooManyKeys),
            }
        }
    }

    fn find(&self, key: Sha1Digest) -> Option<Sha1Digest> {
        (self.route.find)(key)
    }
}

/// The port that peers connect to. Where the sockets are opened again and again, as the interface
/// comes and goes, the system chooses none, so one is chosen here.
pub(crate) fn port(network: &Network, way: &Way) -> u16 {
    if network.port != 0 || !way.has_interface() {
        return network.port;
    }
    // Those that nobody has reserved (RFC 6335). Without entropy nothing else works either.
    let draw = getrandom::u32().unwrap_or_default();
    49_152 | draw as u16
}

/// Whether peers may connect to this machine.
pub(crate) fn listens(network: &Network) -> bool {
    network.incoming && (!network.proxy.is_set() || network.proxy_incoming)
}

/// Opens the sockets that peers connect to: those that `network` names, or one for each family.
/// None while the interface that is named is not there.
///
/// # Errors
/// If one that was named cannot be opened; of the two families by default, one is enough.
pub(crate) fn listen(
    network: &Network,
    way: &Way,
    port: u16,
) -> Result<Vec<std::net::TcpListener>, StartError> {
    if !listens(network) || !network.tcp {
        return Ok(Vec::new());
    }
    let open_local = |local: &Local, port| {
        let error = |error| StartError::Listen { addr: SocketAddr::new(local.ip, port), error };
        socket::listener(local, port).map_err(error)
    };
    let open = |ip, port| open_local(&Local { ip, device: None }, port);
    if way.has_interface() {
        let Look { v4, v6, .. } = way.look();
        // Held to the interface, a socket may take all its addresses; else the one there is.
        let all = |local: Local| match device::BINDS_DEVICES {
            true => Local { ip: Local::any(local.ip.is_ipv6()).ip, ..local },
            false => local,
        };
        return v4.into_iter().chain(v6).map(|local| open_local(&all(local), port)).collect();
    }
    if !network.bind.is_empty() {
        return network.bind.iter().map(|&ip| open(ip, port)).collect();
    }
    let (v4, v6): (IpAddr, IpAddr) = match network.reach {
        Reach::Any => (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()),
        Reach::Loopback => (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
    };
    match open(v4, port) {
        Ok(first) => {
            // Both families under one port, also if the system chose it.
            let port = first.local_addr().map_or(port, |addr| addr.port());
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
            Ok(vec![open(v6, port)?])
        }
    }
}

/// Listening for peers, again each time the interface comes back.
pub(crate) struct Listening {
    pub(crate) network: Network,
    pub(crate) way: Way,
    pub(crate) port: u16,
    pub(crate) admission: Admission,
    pub(crate) route: Route,
    /// Where peers can connect to at the moment.
    pub(crate) addrs: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Listening {
    /// Accepts peers for as long as it is polled; `sockets` are those that [`listen`] opened first.
    pub(crate) async fn run(self, sockets: Vec<std::net::TcpListener>) {
        let mut changes = self.way.changes();
        let mut accepting = self.accept_on(sockets);
        loop {
            let missing = accepting.is_empty() && listens(&self.network) && self.network.tcp;
            let retry = missing && self.way.has_interface() && self.way.is_open();
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(LISTEN_AGAIN), if retry => {}
            }
            if !self.way.has_interface() {
                continue;
            }
            // First the old ones have to go: they have the port.
            accepting.shutdown().await;
            accepting = match listen(&self.network, &self.way, self.port) {
                Ok(sockets) => self.accept_on(sockets),
                Err(error) => {
                    warn!("{error}");
                    self.accept_on(Vec::new())
                }
            };
        }
    }

    fn accept_on(&self, sockets: Vec<std::net::TcpListener>) -> JoinSet<()> {
        let mut accepting = JoinSet::new();
        let mut addrs = Vec::new();
        for socket in sockets {
            addrs.extend(socket.local_addr());
            match TcpListener::from_std(socket) {
                Ok(socket) => {
                    let (admission, route) = (self.admission.clone(), self.route.clone());
                    accepting.spawn(accept(socket, self.way.clone(), admission, route));
                }
                Err(error) => warn!(%error, "no peer can connect"),
            }
        }
        *self.addrs.lock().unwrap_or_else(PoisonError::into_inner) = addrs;
        accepting
    }
}

/// Whether IPv6 would fare no better. What is left is that there is no IPv4, for which systems have
/// more than one name.
fn is_about_the_port(error: &StartError) -> bool {
    let StartError::Listen { error, .. } = error else { return false };
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Accepts peers for as long as it is polled.
async fn accept(listener: TcpListener, way: Way, admission: Admission, route: Route) {
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
        if let Err(error) = way.hold(&stream, addr.ip()) {
            debug!(%addr, %error, "an incoming connection came by another way");
            continue;
        }
        (route.arrived)(addr.ip(), Over::Tcp);
        let stream = Stream::Tcp(stream);
        if let Some(naming) = receive(stream, addr, &admission, &route) {
            tokio::spawn(naming);
        }
    }
}

/// Takes uTP connections that others open, which come from the thread that has the sockets.
pub(crate) fn utp_door(admission: Admission, route: Route, accepts: bool) -> Door {
    let runtime = tokio::runtime::Handle::current();
    let enter = move |stream: UtpStream, called: bool| {
        let addr = stream.peer_addr();
        if !called {
            (route.arrived)(addr.ip(), Over::Utp);
        }
        if let Some(naming) = receive(Stream::Utp(stream), addr, &admission, &route) {
            runtime.spawn(naming);
        }
    };
    Door { accepts, enter: Arc::new(enter) }
}

/// Lets a connection in, if it may, to say which torrent is meant.
fn receive(
    stream: Stream,
    addr: SocketAddr,
    admission: &Admission,
    route: &Route,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    match admission.admit(clock::now(), addr.ip()) {
        Ok(half) => {
            let (admission, route) = (admission.clone(), route.clone());
            Some(async move {
                if let Err(error) = name(stream, addr, half, &admission, &route).await {
                    debug!(%addr, %error, "incoming handshake failed");
                }
            })
        }
        Err(refusal) => {
            debug!(%addr, ?refusal, "incoming connection refused");
            None
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
    mut stream: Stream,
    addr: SocketAddr,
    half: Half,
    admission: &Admission,
    route: &Route,
) -> Result<(), HandshakeError> {
    let deadline = clock::now() + HANDSHAKE_TIMEOUT;
    let reception = Reception { admission, route, ip: addr.ip() };
    let reading = handshake::meet(&mut stream, &reception);
    let reading = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading);
    let (link, incoming, named) = tokio::select! {
        read = reading => read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        () = half.evicted() => return Err(HandshakeError::Evicted),
    };
    if let Stream::Tcp(stream) = &stream {
        socket::tune(stream)?;
    }
    // Out of this thread's event loop; the torrent's thread takes it into its own.
    let stream = stream.detach()?;
    let arrival = Arrival { stream, addr, link, incoming, named, deadline, half };
    if !(route.hand_on)(arrival) {
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

    fn open(settings: &str) -> Result<Vec<std::net::TcpListener>, StartError> {
        let network = network(settings);
        let way = Way::new(&network);
        listen(&network, &way, port(&network, &way))
    }

    fn addrs(settings: &str) -> Vec<SocketAddr> {
        let sockets = open(settings).expect("some port is free");
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
        assert_eq!(addrs("port = 0\ninterface = 'no-such-if'"), []);
        assert_eq!(addrs("port = 0\nproxy = 'socks5://127.0.0.1:1'"), []);
        let asked =
            "port = 0\nreach = 'loopback'\nproxy_incoming = true\nproxy = 'socks5://127.0.0.1:1'";
        assert_ne!(addrs(asked), []);
    }

    #[test]
    fn a_taken_port_is_said_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = taken.local_addr().expect("it listens").port();
        let settings = format!("port = {port}\nreach = 'loopback'");
        let error = open(&settings).expect_err("it is taken").to_string();
        assert!(error.contains(&port.to_string()) && error.contains("network.port"), "{error}");
    }
}

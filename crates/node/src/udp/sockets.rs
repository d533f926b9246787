//! The UDP sockets: one for each family, or for each address that is named, on the port that peers
//! connect to, opened by the same way as everything else, so that nothing goes past an interface that
//! is named.
//!
//! Where the kernel can, many packets go in one call: of one destination as one piece (GSO), received as
//! such (GRO), several senders' at once (recvmmsg). Elsewhere it is a call for each.

use super::limits::{
    RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS, RETURNS_MAX, SEND_WAITING_BYTES_MAX, SOCKET_BUFFER_BYTES,
};
use crate::config::{Network, Reach};
use crate::net::Way;
use crate::net::device::{self, Local};
use crate::session::StartError;
use althing_bittorrent::utp::Run;
use althing_bittorrent::utp::limits::{DATAGRAM_BYTES_ETHERNET_V4, DATAGRAM_BYTES_MAX};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{SockRef, Type};
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{debug, trace};

/// Bytes of headers before a datagram's payload: IPv4's and UDP's, and IPv6's and UDP's.
const HEADERS_V4: u32 = 28;
const HEADERS_V6: u32 = 48;

/// Opens a socket for each family there is, or each address that is named: none while the interface that is named is not there.
///
/// # Errors
/// If the port cannot be had. One socket is enough.
pub(crate) fn open(
    network: &Network,
    way: &Way,
    port: u16,
) -> Result<Vec<std::net::UdpSocket>, StartError> {
    let mut sockets = Vec::new();
    let mut port = port;
    let mut failed = None;
    for local in locals(network, way) {
        match device::open(&local, port, Type::DGRAM) {
            Ok(socket) => {
                let socket = std::net::UdpSocket::from(socket);
                // Both families under one port, also if the system chose it.
                port = socket.local_addr().map_or(port, |addr| addr.port());
                sockets.push(socket);
            }
            Err(error) => {
                let addr = SocketAddr::new(local.ip, port);
                debug!(%addr, %error, "no datagrams there");
                let about_the_port = error.kind() == io::ErrorKind::AddrInUse;
                if about_the_port || failed.is_none() {
                    failed = Some(StartError::Listen { addr, error });
                }
                if about_the_port {
                    sockets.clear();
                    break;
                }
            }
        }
    }
    match failed {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// Where they are bound. Of each family the first is the one that we begin from.
fn locals(network: &Network, way: &Way) -> Vec<Local> {
    let look = way.look();
    if way.has_interface() {
        // Held to the interface, a socket may take all its addresses; else the one there is.
        let all = |local: Local| match device::BINDS_DEVICES {
            true => Local { ip: Local::any(local.ip.is_ipv6()).ip, ..local },
            false => local,
        };
        return look.v4.into_iter().chain(look.v6).map(all).collect();
    }
    if way.is_bound() {
        return look.v4.into_iter().chain(look.v6).chain(look.further).collect();
    }
    match network.reach {
        Reach::Any => vec![Local::any(false), Local::any(true)],
        Reach::Loopback => [[127, 0, 0, 1].into(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
            .map(|ip| Local { ip, device: None })
            .to_vec(),
    }
}

/// What became of a datagram that could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unsent {
    /// It is too large for the interface; so much would go, if that is known.
    TooBig(Option<u16>),
    /// The system knows no way there.
    Unreachable,
    /// It is lost, as datagrams are.
    Lost,
}

/// Datagrams from one sender: the bytes of one or several.
pub(super) struct Received<'a> {
    pub(super) from: SocketAddr,
    /// To which of our addresses they came, if the system told.
    pub(super) to: Option<IpAddr>,
    pub(super) data: &'a [u8],
    /// The length of each but the last.
    pub(super) stride: usize,
}

/// Room for what one call receives.
pub(super) struct Scratch {
    /// Untouched pages of it cost nothing.
    bytes: Vec<u8>,
    meta: [RecvMeta; RECEIVE_BUFFERS],
}

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch {
            bytes: vec![0; RECEIVE_BUFFERS * RECEIVE_BUFFER_BYTES],
            meta: [RecvMeta::default(); RECEIVE_BUFFERS],
        }
    }
}

/// All of them.
pub(super) struct Sockets {
    /// Of each family the first is the one that we begin from.
    ports: Vec<Port>,
    /// At which of several of a family others are.
    routes: Option<Returns>,
}

impl Sockets {
    /// Takes the sockets into this thread's event loop.
    pub(super) fn new(sockets: Vec<std::net::UdpSocket>, way: &Way) -> Self {
        let mut ports = Vec::with_capacity(sockets.len());
        for socket in sockets {
            match Port::new(socket, way) {
                Ok(port) => ports.push(port),
                Err(error) => debug!(%error, "a socket for datagrams cannot be used"),
            }
        }
        let count = |v6| ports.iter().filter(|port: &&Port| port.is_v6 == v6).count();
        let routes = (count(false) > 1 || count(true) > 1).then(Returns::default);
        let mut all = Sockets { ports, routes };
        all.look(way);
        all
    }

    /// Looks anew what interfaces there are.
    pub(super) fn look(&mut self, way: &Way) {
        let own = way.look().own;
        let mtu = device::mtu_max(way.interface());
        for port in &mut self.ports {
            let several = own.iter().filter(|ip| ip.is_ipv6() == port.is_v6).count() > 1;
            port.returns = (port.takes_any && several).then(Returns::default);
            port.far_bytes = far_bytes(mtu, port.is_v6);
        }
    }

    /// Where they are bound.
    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.ports.iter().filter_map(|port| port.socket.local_addr().ok()).collect()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Bytes of the largest datagram that some way takes.
    pub(super) fn datagram_bytes_max(&self) -> u16 {
        let most = |port: &Port| match port.reaches_loopback {
            true => DATAGRAM_BYTES_MAX,
            false => port.far_bytes,
        };
        self.ports.iter().map(most).max().unwrap_or(DATAGRAM_BYTES_MAX)
    }

    /// Bytes that the smallest of the sockets' buffers has for what was received.
    pub(super) fn receive_bytes(&self) -> usize {
        let all = self.ports.iter().map(|port| port.receive_bytes);
        all.min().unwrap_or(SOCKET_BUFFER_BYTES)
    }

    /// Waits until something can be received, or sent that waits for it.
    pub(super) async fn ready(&self) {
        std::future::poll_fn(|cx| {
            // All of them are looked at: each has to wake us.
            let ready = self.ports.iter().filter(|port| port.is_ready(cx)).count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Receives what has come, in one call for each socket. Says whether there may be more.
    pub(super) fn receive(
        &mut self,
        scratch: &mut Scratch,
        mut take: impl FnMut(Received<'_>),
    ) -> bool {
        let mut more = false;
        let Sockets { ports, routes } = self;
        for port in ports {
            let ip = port.ip;
            more |= port.receive(scratch, &mut |received: Received<'_>| {
                if let Some(routes) = routes {
                    routes.note(received.from, ip);
                }
                take(received);
            });
        }
        more
    }

    /// Sends, or keeps it until the socket takes more.
    pub(super) fn send(&mut self, run: Run) -> Result<(), Unsent> {
        let ip = self.routes.as_ref().and_then(|routes| routes.find(run.to));
        let mut of_family = self.ports.iter_mut().filter(|port| port.is_v6 == run.to.is_ipv6());
        let first = of_family.next().ok_or(Unsent::Unreachable)?;
        let port = match ip {
            Some(ip) if ip != first.ip => of_family.find(|port| port.ip == ip).unwrap_or(first),
            _ => first,
        };
        port.send(run)
    }

    /// Sends what waited.
    pub(super) fn flush(&mut self) {
        for port in &mut self.ports {
            port.flush();
        }
    }
}

fn far_bytes(mtu: u32, v6: bool) -> u16 {
    let headers = if v6 { HEADERS_V6 } else { HEADERS_V4 };
    let bytes = mtu.saturating_sub(headers).min(u32::from(DATAGRAM_BYTES_MAX));
    u16::try_from(bytes).unwrap_or(DATAGRAM_BYTES_ETHERNET_V4)
}

/// One socket.
struct Port {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Where it is bound.
    ip: IpAddr,
    is_v6: bool,
    /// It takes what comes to any address.
    takes_any: bool,
    /// It goes out by loopback, too.
    reaches_loopback: bool,
    receive_bytes: usize,
    /// What waits until the socket takes more.
    waiting: VecDeque<Run>,
    waiting_bytes: usize,
    /// To which of our addresses others send, where there are several: answers have to come from there.
    returns: Option<Returns>,
    /// Bytes that the largest interface other than loopback takes in one datagram.
    far_bytes: u16,
}

impl Port {
    fn new(socket: std::net::UdpSocket, way: &Way) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        {
            let socket = SockRef::from(&socket);
            // The system grants less where it is configured to; that is found out below.
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        }
        let receive_bytes = SockRef::from(&socket).recv_buffer_size()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Port {
            socket: UdpSocket::from_std(socket)?,
            state,
            ip: addr.ip(),
            is_v6: addr.is_ipv6(),
            takes_any: addr.ip().is_unspecified(),
            reaches_loopback: addr.ip().is_loopback()
                || addr.ip().is_unspecified() && !way.has_interface(),
            receive_bytes,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            returns: None,
            far_bytes: DATAGRAM_BYTES_ETHERNET_V4,
        })
    }

    /// Whether something can be received, or sent that waits; if not, we are woken when it can.
    fn is_ready(&self, cx: &mut Context<'_>) -> bool {
        // An error of the socket shows when it is used.
        let sends = !self.waiting.is_empty() && self.socket.poll_send_ready(cx).is_ready();
        self.socket.poll_recv_ready(cx).is_ready() || sends
    }

    fn receive(&mut self, scratch: &mut Scratch, take: &mut impl FnMut(Received<'_>)) -> bool {
        let Scratch { bytes, meta } = scratch;
        let received = {
            let mut chunks = bytes.chunks_exact_mut(RECEIVE_BUFFER_BYTES);
            let mut buffers: [IoSliceMut<'_>; RECEIVE_BUFFERS] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            self.socket.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(&self.socket), &mut buffers, meta)
            })
        };
        let count = match received {
            Ok(count) => count,
            // Some systems tell here that what was sent earlier has not arrived.
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        };
        let chunks = bytes.chunks_exact(RECEIVE_BUFFER_BYTES);
        for (chunk, meta) in chunks.zip(&*meta).take(count) {
            let Some(data) = chunk.get(..meta.len) else { continue };
            let from = plain(meta.addr);
            if let (Some(returns), Some(to)) = (&mut self.returns, meta.dst_ip) {
                returns.note(from, to);
            }
            take(Received { from, to: meta.dst_ip, data, stride: meta.stride.max(1) });
        }
        true
    }

    fn send(&mut self, run: Run) -> Result<(), Unsent> {
        if !self.waiting.is_empty() {
            return self.wait(run);
        }
        let mut sent = 0;
        match self.transmit(&run, &mut sent) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(rest(run, sent)),
            Err(error) => Err(self.unsent(&run, &error)),
        }
    }

    fn wait(&mut self, run: Run) -> Result<(), Unsent> {
        if self.waiting_bytes + run.data.len() > SEND_WAITING_BYTES_MAX {
            return Err(Unsent::Lost);
        }
        self.waiting_bytes += run.data.len();
        self.waiting.push_back(run);
        Ok(())
    }

    fn flush(&mut self) {
        while let Some(run) = self.waiting.pop_front() {
            let mut sent = 0;
            self.waiting_bytes -= run.data.len();
            if let Err(error) = self.transmit(&run, &mut sent)
                && error.kind() == io::ErrorKind::WouldBlock
            {
                let rest = rest(run, sent);
                self.waiting_bytes += rest.data.len();
                self.waiting.push_front(rest);
                return;
            }
        }
    }

    /// Hands a run to the system; `sent` counts the bytes of the packets that it has taken.
    fn transmit(&self, run: &Run, sent: &mut usize) -> io::Result<()> {
        let src_ip = self.returns.as_ref().and_then(|returns| returns.find(run.to));
        let transmit = |contents: &[u8], segment_size| {
            let transmit =
                Transmit { destination: run.to, ecn: None, contents, segment_size, src_ip };
            self.socket.try_io(Interest::WRITABLE, || {
                self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
            })
        };
        let packets = run.data.len().div_ceil(run.stride.max(1));
        // Of two unequal packets the first may be a probe; systems that find one too large in a piece of
        // several give another error, which looks as if they could not send pieces at all.
        let uneven = packets == 2 && run.data.len() != 2 * run.stride;
        if packets > 1 && !uneven && packets <= self.state.max_gso_segments() {
            match transmit(&run.data, Some(run.stride)) {
                // It has just turned out that it cannot.
                Err(error) if self.state.max_gso_segments() == 1 && !is_full(&error) => {}
                result => {
                    *sent = run.data.len();
                    return result;
                }
            }
        }
        let _whole = Whole::new(&self.socket, self.is_v6, run.dont_fragment);
        for packet in run.packets() {
            transmit(packet, None)?;
            *sent += packet.len();
        }
        Ok(())
    }

    fn unsent(&self, run: &Run, error: &io::Error) -> Unsent {
        if is_too_big(error) {
            // That is how it is found out how much fits.
            trace!(to = %run.to, stride = run.stride, "too large for the way there");
            let far = usize::from(self.far_bytes) < run.stride;
            return Unsent::TooBig(far.then_some(self.far_bytes));
        }
        debug!(to = %run.to, bytes = run.data.len(), stride = run.stride, %error, "not sent");
        match error.kind() {
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::ConnectionRefused => Unsent::Unreachable,
            _ => Unsent::Lost,
        }
    }
}

/// What is left of a run when the first packets are gone.
fn rest(mut run: Run, sent: usize) -> Run {
    run.data.drain(..sent.min(run.data.len()));
    run
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// EMSGSIZE and WSAEMSGSIZE, for which the standard library has no name.
fn is_too_big(error: &io::Error) -> bool {
    let number = if cfg!(target_os = "linux") || cfg!(target_os = "android") {
        90
    } else if cfg!(windows) {
        10_040
    } else {
        40
    };
    error.raw_os_error() == Some(number)
}

/// An address without what only this machine knows of it.
fn plain(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if !v6.ip().is_unicast_link_local() => {
            SocketAddr::new((*v6.ip()).into(), v6.port())
        }
        _ => addr,
    }
}

/// While it lives, datagrams may be taken apart on their way if they were asked to be.
struct Whole<'a> {
    socket: Option<&'a UdpSocket>,
}

impl<'a> Whole<'a> {
    fn new(socket: &'a UdpSocket, v6: bool, dont_fragment: bool) -> Self {
        // Over IPv6 the least that is sent goes everywhere.
        let socket = (!dont_fragment && !v6).then_some(socket);
        if let Some(socket) = socket {
            let_fragment(socket, true);
        }
        Whole { socket }
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        if let Some(socket) = self.socket {
            let_fragment(socket, false);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn let_fragment(socket: &UdpSocket, may: bool) {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
    let how = if may { Ipv4PathMtuDiscovery::DONT } else { Ipv4PathMtuDiscovery::PROBE };
    if let Err(error) = set_ip_mtu_discover(socket, how) {
        debug!(%error, "whether packets may be taken apart cannot be chosen");
    }
}

/// Elsewhere packets that do not fit are lost.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn let_fragment(_socket: &UdpSocket, _may: bool) {}

/// To which of our addresses others send. Two tables of which the older is dropped when the younger is
/// full: whoever is heard stays in.
#[derive(Default)]
struct Returns {
    young: HashMap<SocketAddr, IpAddr>,
    old: HashMap<SocketAddr, IpAddr>,
}

impl Returns {
    fn note(&mut self, from: SocketAddr, to: IpAddr) {
        if self.young.get(&from) == Some(&to) {
            return;
        }
        if self.young.len() >= RETURNS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(from, to);
    }

    fn find(&self, from: SocketAddr) -> Option<IpAddr> {
        self.young.get(&from).or_else(|| self.old.get(&from)).copied()
    }
}

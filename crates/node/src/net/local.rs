//! The sockets under local discovery (BEP 14): one for each family, joined to its group on every
//! interface that has a network of neighbours; or on the one that the user names, if any.

use super::device::{self, Local as BoundTo};
use super::socket::receive;
use super::way::Way;
use crate::clock;
use crate::limits::{INTERFACES_BELIEVED_FOR, LOCAL_INTERFACES_MAX};
use althing_base::{Instant, Machine as _, Seed, Sha1Digest};
use althing_bittorrent::lsd::{self, GROUP_V4, GROUP_V6, Input, Lsd, Output, PORT};
use althing_bittorrent::tracker::Family;
use if_addrs::Interface;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, trace};

/// Bytes of a packet that are read: an announce that is longer is none.
const PACKET_BYTES: usize = lsd::limits::PACKET_BYTES_MAX + 1;

/// Where torrents are handed in that want to be found by neighbours.
pub(crate) struct Local {
    inputs: mpsc::UnboundedSender<Input>,
}

/// What [`run`](Names::run) takes them from.
pub(crate) struct Names(mpsc::UnboundedReceiver<Input>);

impl Local {
    pub(crate) fn new() -> (Self, Names) {
        let (inputs, names) = mpsc::unbounded_channel();
        (Local { inputs }, Names(names))
    }

    /// Announces a name from now on, or no more.
    pub(crate) fn want(&self, info_hash: Sha1Digest, wanted: bool) {
        let input = if wanted { Input::Start(info_hash) } else { Input::Stop(info_hash) };
        // An error means that the session has ended.
        let _ = self.inputs.send(input);
    }
}

impl Names {
    /// Announces and listens until the session ends; `found` is told who has what.
    pub(crate) async fn run(
        mut self,
        way: Way,
        port: u16,
        seed: Seed,
        found: impl Fn(Sha1Digest, SocketAddr),
    ) {
        let mut machine = Lsd::new(port, seed);
        let mut changes = way.changes();
        let mut net = Net::open(way);
        let (mut packet4, mut packet6) = (vec![0; PACKET_BYTES], vec![0; PACKET_BYTES]);
        loop {
            let deadline = machine.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                input = self.0.recv() => match input {
                    Some(input) => machine.handle_input(clock::now(), input),
                    None => return,
                },
                received = receive(&net.v4, &mut packet4) => {
                    net.heard(&mut machine, &received, &packet4);
                }
                received = receive(&net.v6, &mut packet6) => {
                    net.heard(&mut machine, &received, &packet6);
                }
                () = clock::sleep_until(deadline) => machine.handle_timeout(clock::now()),
                Ok(()) = changes.changed() => {
                    net = Net::open(net.way);
                    machine.handle_input(clock::now(), Input::Moved);
                }
            }
            while let Some(output) = machine.poll_output() {
                match output {
                    Output::Send { family, packet } => net.send(family, &packet),
                    Output::Found { info_hash, addr } => found(info_hash, addr),
                }
            }
        }
    }
}

/// The sockets, and the interfaces they use.
struct Net {
    way: Way,
    v4: io::Result<UdpSocket>,
    v6: io::Result<UdpSocket>,
    interfaces: Vec<Interface>,
    looked: Option<Instant>,
}

impl Net {
    fn open(way: Way) -> Self {
        let (v4, v6) = (socket(&way, Family::V4), socket(&way, Family::V6));
        for error in [&v4, &v6].into_iter().filter_map(|socket| socket.as_ref().err()) {
            debug!(%error, "no neighbours are looked for over one of the families");
        }
        let mut net = Net { way, v4, v6, interfaces: Vec::new(), looked: None };
        net.look();
        net
    }

    /// Looks which interfaces there are, and joins the groups on those that are new.
    fn look(&mut self) {
        let now = clock::now();
        if self.looked.is_some_and(|at| now.since(at) < INTERFACES_BELIEVED_FOR) {
            return;
        }
        self.looked = Some(now);
        let look = self.way.look();
        let mut all = device::interfaces().unwrap_or_default();
        all.retain(|one| {
            let local = look.of(Family::of(one.ip()));
            one.oper_status == if_addrs::IfOperStatus::Up && may_use(&self.way, one, local)
        });
        all.truncate(LOCAL_INTERFACES_MAX);
        self.interfaces = all;
        for one in &self.interfaces {
            let joined = match (one.ip(), &self.v4, &self.v6) {
                (IpAddr::V4(ip), Ok(socket), _) => socket.join_multicast_v4(GROUP_V4, ip),
                (IpAddr::V6(_), _, Ok(socket)) => {
                    socket.join_multicast_v6(&GROUP_V6, one.index.unwrap_or(0))
                }
                _ => continue,
            };
            // Most often it has been joined already.
            if let Err(error) = joined {
                trace!(name = one.name, %error, "the group was not joined");
            }
        }
    }

    fn send(&mut self, family: Family, packet: &[u8]) {
        self.look();
        let socket = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let Ok(socket) = socket else { return };
        let mut done = Vec::new();
        for one in self.interfaces.iter().filter(|one| Family::of(one.ip()) == family) {
            // An interface may have many addresses of a family.
            if done.contains(&&one.name) {
                continue;
            }
            done.push(&one.name);
            let chosen = match one.ip() {
                IpAddr::V4(ip) => SockRef::from(socket).set_multicast_if_v4(&ip),
                IpAddr::V6(_) => SockRef::from(socket).set_multicast_if_v6(one.index.unwrap_or(0)),
            };
            let sent = chosen.and_then(|()| socket.try_send_to(packet, lsd::group(family)));
            if let Err(error) = sent {
                debug!(name = one.name, %error, "neighbours were not told");
            }
        }
    }

    fn heard(
        &mut self,
        machine: &mut Lsd,
        received: &io::Result<(usize, SocketAddr)>,
        buffer: &[u8],
    ) {
        let Ok((len, from)) = *received else { return };
        self.look();
        // A packet can be sent to us from anywhere, past the group.
        if !device::is_near(from.ip(), &self.interfaces) {
            trace!(%from, "an announce from afar");
            return;
        }
        let packet = buffer[..len].to_vec();
        machine.handle_input(clock::now(), Input::Packet { from, packet });
    }
}

/// Whether there may be neighbours, and we may talk to them.
fn may_use(way: &Way, interface: &Interface, local: Option<&BoundTo>) -> bool {
    let Some(local) = local else { return false };
    if way.has_interface() {
        return local.device.as_ref() == Some(&device::device(interface));
    }
    if way.is_bound() {
        return local.ip == interface.ip();
    }
    // A tunnel has no neighbours.
    !interface.is_loopback() && !interface.is_p2p()
}

/// A socket that hears a group, beside other programs that do, too.
fn socket(way: &Way, family: Family) -> io::Result<UdpSocket> {
    let local = way.local_of(family)?;
    let (domain, any): (_, IpAddr) = match family {
        Family::V4 => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        Family::V6 => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if let Some(device) = &local.device {
        device::bind_device(&socket, device, family == Family::V6)?;
    }
    socket.bind(&SocketAddr::new(any, PORT).into())?;
    UdpSocket::from_std(socket.into())
}

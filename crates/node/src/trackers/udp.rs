//! The sockets under the client machine of UDP trackers (BEP 15): one for each family, shared by all
//! torrents; or a proxy that passes datagrams on, and looks trackers' names up.

use super::Outcome;
use crate::clock;
use crate::limits::{PROXY_NAMES_MAX, PROXY_PACKETS_WAITING_MAX, UDP_PACKET_BYTES_MAX};
use crate::net::proxy::Relay;
use crate::net::{Way, receive};
use althing_base::{Machine as _, Seed};
pub(crate) use althing_bittorrent::tracker::udp::RequestId;
use althing_bittorrent::tracker::udp::{Client, Input, Output, RetryPolicy};
use althing_bittorrent::tracker::{AnnounceRequest, Family, TrackerError};
use althing_net::socks5::Target;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, trace};

/// Where announces over UDP are handed in.
pub(crate) struct UdpClient {
    inputs: mpsc::UnboundedSender<Told>,
    next: AtomicU64,
}

enum Told {
    Machine(Input),
    /// An announce to a tracker whose name only the proxy may look up.
    Named {
        id: RequestId,
        tracker: Target,
        target: Vec<u8>,
        request: AnnounceRequest,
    },
}

impl UdpClient {
    /// Starts the client; answers go to `answers`. It ends when it is dropped.
    pub(super) fn start(
        way: Way,
        seed: Seed,
        answers: mpsc::UnboundedSender<(RequestId, Outcome)>,
    ) -> Self {
        let (inputs, received) = mpsc::unbounded_channel();
        let path = match way.proxy() {
            Some(_) => Path::Proxied(Proxied::new(way.clone())),
            None => Path::direct(&way),
        };
        let machine = Client::new(RetryPolicy::default(), seed);
        let driver = Driver { machine, way, path, answers };
        tokio::spawn(driver.run(received));
        UdpClient { inputs, next: AtomicU64::new(0) }
    }

    /// Announces to the tracker at an address.
    pub(super) fn announce(
        &self,
        tracker: SocketAddr,
        target: Vec<u8>,
        request: AnnounceRequest,
    ) -> RequestId {
        let id = self.next_id();
        self.tell(Told::Machine(Input::Announce { id, tracker, target, request }));
        id
    }

    /// Announces to a tracker through the proxy, which looks its name up.
    pub(super) fn announce_by_name(
        &self,
        tracker: Target,
        target: Vec<u8>,
        request: AnnounceRequest,
    ) -> RequestId {
        let id = self.next_id();
        self.tell(Told::Named { id, tracker, target, request });
        id
    }

    /// Forgets an announce.
    pub(super) fn cancel(&self, id: RequestId) {
        self.tell(Told::Machine(Input::Cancel { id }));
    }

    fn next_id(&self) -> RequestId {
        RequestId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn tell(&self, what: Told) {
        // The driver lives as long as this does.
        let _ = self.inputs.send(what);
    }
}

struct Driver {
    machine: Client,
    way: Way,
    path: Path,
    answers: mpsc::UnboundedSender<(RequestId, Outcome)>,
}

/// How packets leave.
enum Path {
    /// By sockets of our own, one for each family.
    Direct { v4: io::Result<UdpSocket>, v6: io::Result<UdpSocket> },
    /// Through a proxy.
    Proxied(Proxied),
}

type Opening = Pin<Box<dyn Future<Output = io::Result<Relay>> + Send>>;

/// A proxy's relay, opened when there is something to send.
struct Proxied {
    way: Way,
    relay: Option<Relay>,
    opening: Option<Opening>,
    /// Packets that wait until it is open.
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Trackers that are known by name, under the address that stands for each in the machine: one
    /// that nobody has (RFC 1112, section 4). It is one of IPv4, and with it goes the form in which
    /// peers are listed (BEP 15).
    names: BTreeMap<SocketAddr, Target>,
    /// Whom an answer with this transaction id (BEP 15) comes from: the proxy does not say, where a
    /// name was given.
    expected: BTreeMap<[u8; 4], SocketAddr>,
    /// What fails if the proxy carries no datagrams.
    active: BTreeSet<RequestId>,
}

/// What has arrived.
enum Event {
    Packet(SocketAddr, Bytes),
    Opened(io::Result<Relay>),
    Lost(io::Error),
    Nothing,
}

impl Driver {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Told>) {
        let (mut packet4, mut packet6) =
            (vec![0; UDP_PACKET_BYTES_MAX], vec![0; UDP_PACKET_BYTES_MAX]);
        let mut changes = self.way.changes();
        loop {
            let deadline = self.machine.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                told = inputs.recv() => match told {
                    Some(told) => self.told(told),
                    None => return,
                },
                event = self.path.event(&mut packet4, &mut packet6) => self.event(event),
                () = clock::sleep_until(deadline) => self.machine.handle_timeout(clock::now()),
                Ok(()) = changes.changed() => self.path.renew(&self.way),
            }
            self.drain();
        }
    }

    fn told(&mut self, told: Told) {
        let input = match (told, &mut self.path) {
            (Told::Machine(input), Path::Direct { .. }) => input,
            (Told::Machine(input), Path::Proxied(proxied)) => {
                match &input {
                    Input::Announce { id, .. } => drop(proxied.active.insert(*id)),
                    Input::Cancel { id } => drop(proxied.active.remove(id)),
                    _ => {}
                }
                input
            }
            (Told::Named { id, tracker, target, request }, Path::Proxied(proxied)) => {
                proxied.active.insert(id);
                let tracker = proxied.stand_in(tracker);
                Input::Announce { id, tracker, target, request }
            }
            // Names are kept from us only by a proxy.
            (Told::Named { .. }, Path::Direct { .. }) => return,
        };
        self.machine.handle_input(clock::now(), input);
    }

    fn event(&mut self, event: Event) {
        match (event, &mut self.path) {
            (Event::Packet(from, packet), _) => {
                self.machine.handle_input(clock::now(), Input::Packet { from, packet });
            }
            (Event::Opened(Ok(relay)), Path::Proxied(proxied)) => {
                for (to, packet) in std::mem::take(&mut proxied.waiting) {
                    proxied.send_by(&relay, to, &packet);
                }
                proxied.relay = Some(relay);
            }
            (Event::Opened(Err(error)), Path::Proxied(proxied)) => {
                debug!(%error, "the proxy passes no datagrams on");
                let why = format!("over UDP, {error}");
                proxied.waiting.clear();
                for id in std::mem::take(&mut proxied.active) {
                    self.machine.handle_input(clock::now(), Input::Cancel { id });
                    let _ = self.answers.send((id, Err(TrackerError::Unreachable(why.clone()))));
                }
            }
            (Event::Lost(error), Path::Proxied(proxied)) => {
                debug!(%error, "the proxy ended its relay");
                proxied.relay = None;
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { to, packet } => self.path.send(to, &packet),
                Output::Announced { id, response } => self.answer(id, Ok(response)),
                Output::Failed { id, error } => self.answer(id, Err(error)),
                // Nobody asks for it.
                Output::Scraped { .. } => {}
            }
        }
    }

    fn answer(&mut self, id: RequestId, outcome: Outcome) {
        if let Path::Proxied(proxied) = &mut self.path {
            proxied.active.remove(&id);
        }
        // An error means that the session has ended.
        let _ = self.answers.send((id, outcome));
    }
}

impl Path {
    fn direct(way: &Way) -> Path {
        Path::Direct { v4: way.datagrams(Family::V4), v6: way.datagrams(Family::V6) }
    }

    /// What sockets are bound to has become something else.
    fn renew(&mut self, way: &Way) {
        match self {
            Path::Direct { .. } => *self = Path::direct(way),
            Path::Proxied(proxied) => {
                proxied.relay = None;
                proxied.opening = None;
            }
        }
    }

    async fn event(&mut self, packet4: &mut [u8], packet6: &mut [u8]) -> Event {
        match self {
            Path::Direct { v4, v6 } => {
                let (received, buffer) = tokio::select! {
                    received = receive(v4, packet4) => (received, packet4),
                    received = receive(v6, packet6) => (received, packet6),
                };
                match received {
                    Ok((len, from)) => Event::Packet(from, Bytes::copy_from_slice(&buffer[..len])),
                    // Some systems report here that an earlier packet found nobody.
                    Err(error) => {
                        trace!(%error, "no packet");
                        Event::Nothing
                    }
                }
            }
            Path::Proxied(proxied) => proxied.event(packet4).await,
        }
    }

    /// A packet that cannot be sent now is as good as lost on the way: it is sent again.
    fn send(&mut self, to: SocketAddr, packet: &[u8]) {
        let sent = match self {
            Path::Direct { v4, v6 } => match if to.is_ipv4() { v4 } else { v6 } {
                Ok(socket) => socket.try_send_to(packet, to).map(drop),
                Err(error) => Err(error.kind().into()),
            },
            Path::Proxied(proxied) => {
                proxied.send(to, packet);
                Ok(())
            }
        };
        if let Err(error) = sent {
            debug!(%to, %error, "a packet to a tracker was not sent");
        }
    }
}

impl Proxied {
    fn new(way: Way) -> Self {
        Proxied {
            way,
            relay: None,
            opening: None,
            waiting: VecDeque::new(),
            names: BTreeMap::new(),
            expected: BTreeMap::new(),
            active: BTreeSet::new(),
        }
    }

    /// The address that stands for a tracker: its own, if it was given.
    fn stand_in(&mut self, tracker: Target) -> SocketAddr {
        if let Target::Addr(addr) = tracker {
            return addr;
        }
        if let Some((addr, _)) = self.names.iter().find(|(_, known)| **known == tracker) {
            return *addr;
        }
        if self.names.len() >= PROXY_NAMES_MAX {
            // Requests on their way to the others fail and are made again.
            self.names.clear();
        }
        let [.., high, low] = (self.names.len() as u32).to_be_bytes();
        let addr = SocketAddr::from(([240, 0, high, low], 1));
        self.names.insert(addr, tracker);
        addr
    }

    fn send(&mut self, to: SocketAddr, packet: &[u8]) {
        // Where connect and announce requests have it (BEP 15).
        if let Some(id) = packet.get(12..16).and_then(|id| id.try_into().ok()) {
            if self.expected.len() >= PROXY_PACKETS_WAITING_MAX {
                self.expected.pop_first();
            }
            self.expected.insert(id, to);
        }
        if let Some(relay) = &self.relay {
            return self.send_by(relay, to, packet);
        }
        if self.waiting.len() < PROXY_PACKETS_WAITING_MAX {
            self.waiting.push_back((to, packet.to_vec()));
        }
        if self.opening.is_none() {
            self.opening = Some(Box::pin(Relay::open(self.way.clone())));
        }
    }

    fn send_by(&self, relay: &Relay, to: SocketAddr, packet: &[u8]) {
        let target = self.names.get(&to).cloned().unwrap_or(Target::Addr(to));
        if let Err(error) = relay.send(&target, packet) {
            debug!(%error, "a packet to a tracker was not sent");
        }
    }

    async fn event(&mut self, buffer: &mut [u8]) -> Event {
        if let Some(opening) = &mut self.opening {
            let opened = opening.await;
            self.opening = None;
            return Event::Opened(opened);
        }
        let Some(relay) = &self.relay else { return std::future::pending().await };
        match relay.receive(buffer).await {
            Ok((from, payload)) => {
                let is_v6 =
                    matches!(from, Target::Addr(addr) if addr.ip().to_canonical().is_ipv6());
                let id = payload.get(4..8).and_then(|id| <[u8; 4]>::try_from(id).ok());
                match id.and_then(|id| self.expected.remove(&id)) {
                    // Its peers would be listed in the form of IPv6.
                    Some(from) if from.is_ipv4() && is_v6 => Event::Nothing,
                    Some(from) => Event::Packet(from, payload.into()),
                    None => Event::Nothing,
                }
            }
            Err(error) => Event::Lost(error),
        }
    }
}

//! The sockets under the client machine of UDP trackers (BEP 15): one for each family, shared by all
//! torrents.

use super::Outcome;
use crate::clock;
use crate::config::Network;
use crate::limits::UDP_PACKET_BYTES_MAX;
use althing_base::{Machine as _, Seed};
pub(crate) use althing_bittorrent::tracker::udp::RequestId;
use althing_bittorrent::tracker::udp::{Client, Input, Output, RetryPolicy};
use althing_bittorrent::tracker::{AnnounceRequest, Family};
use bytes::Bytes;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, trace};

/// Where announces over UDP are handed in.
pub(crate) struct UdpClient {
    inputs: mpsc::UnboundedSender<Input>,
    next: AtomicU64,
}

impl UdpClient {
    /// Starts the client; answers go to `answers`. It ends when it is dropped.
    pub(super) fn start(
        network: &Network,
        seed: Seed,
        answers: mpsc::UnboundedSender<(RequestId, Outcome)>,
    ) -> Self {
        let (inputs, received) = mpsc::unbounded_channel();
        let driver = Driver {
            machine: Client::new(RetryPolicy::default(), seed),
            v4: socket(network, Family::V4),
            v6: socket(network, Family::V6),
            answers,
        };
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
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        self.input(Input::Announce { id, tracker, target, request });
        id
    }

    /// Forgets an announce.
    pub(super) fn cancel(&self, id: RequestId) {
        self.input(Input::Cancel { id });
    }

    fn input(&self, input: Input) {
        // The driver lives as long as this does.
        let _ = self.inputs.send(input);
    }
}

struct Driver {
    machine: Client,
    v4: io::Result<UdpSocket>,
    v6: io::Result<UdpSocket>,
    answers: mpsc::UnboundedSender<(RequestId, Outcome)>,
}

impl Driver {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        let (mut packet4, mut packet6) = ([0; UDP_PACKET_BYTES_MAX], [0; UDP_PACKET_BYTES_MAX]);
        loop {
            let deadline = self.machine.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.machine.handle_input(clock::now(), input),
                    None => return,
                },
                received = receive(&self.v4, &mut packet4) => self.packet(received, &packet4),
                received = receive(&self.v6, &mut packet6) => self.packet(received, &packet6),
                () = clock::sleep_until(deadline) => self.machine.handle_timeout(clock::now()),
            }
            self.drain();
        }
    }

    fn packet(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((len, from)) => {
                let packet = Bytes::copy_from_slice(&buffer[..len]);
                self.machine.handle_input(clock::now(), Input::Packet { from, packet });
            }
            // Some systems report here that an earlier packet found nobody.
            Err(error) => trace!(%error, "no packet"),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { to, packet } => self.send(to, &packet),
                Output::Announced { id, response } => self.answer(id, Ok(response)),
                Output::Failed { id, error } => self.answer(id, Err(error)),
                // Nobody asks for it.
                Output::Scraped { .. } => {}
            }
        }
    }

    /// A packet that cannot be sent now is as good as lost on the way: it is sent again.
    fn send(&self, to: SocketAddr, packet: &[u8]) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let sent = match socket {
            Ok(socket) => socket.try_send_to(packet, to),
            Err(error) => Err(error.kind().into()),
        };
        if let Err(error) = sent {
            debug!(%to, %error, "a packet to a tracker was not sent");
        }
    }

    fn answer(&self, id: RequestId, outcome: Outcome) {
        // An error means that the session has ended.
        let _ = self.answers.send((id, outcome));
    }
}

async fn receive(
    socket: &io::Result<UdpSocket>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Ok(socket) => socket.recv_from(buffer).await,
        Err(_) => std::future::pending().await,
    }
}

/// A socket that sends from where the user wants it.
fn socket(network: &Network, family: Family) -> io::Result<UdpSocket> {
    let named = network.bind.iter().find(|ip| Family::of(**ip) == family).copied();
    let ip: IpAddr = match (named, family) {
        (Some(ip), _) => ip,
        (None, _) if !network.bind.is_empty() => {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        (None, Family::V4) => Ipv4Addr::UNSPECIFIED.into(),
        (None, Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(ip, 0))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

//! The sockets under the mapper of ports: packets and requests to the default gateway, and to nobody
//! else.

use super::way::Way;
use crate::clock;
use crate::limits::{GATEWAY_LOOK_INTERVAL, GATEWAY_TIMEOUT};
use althing_base::{Machine as _, Seed};
use althing_bittorrent::tracker::Family;
use althing_net::limits::{DESCRIPTION_BYTES_MAX, SSDP_BYTES_MAX};
use althing_net::portmap::upnp::Place;
use althing_net::portmap::{Input, Mapper, Output, Protocol, RequestId, Settings, Status};
use reqwest::{Client, redirect};
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::{debug, info};

/// Where a gateway says that it has begun anew (RFC 6886, section 3.2.1; RFC 6887, section 14.1).
const ANNOUNCED: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 1), 5350);

/// Keeps `port` mapped until `stop` comes, or its sender is gone.
pub(crate) async fn run(
    way: Way,
    (protocol, port): (Protocol, u16),
    seed: Seed,
    status: watch::Sender<Option<Status>>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut number = 0;
    loop {
        let found = settings(&way, protocol, port).await;
        let Some(settings) = found else {
            status.send_replace(Some(Status::Failed("there is no router to ask".to_owned())));
            tokio::select! {
                _ = &mut stop => return,
                () = tokio::time::sleep(GATEWAY_LOOK_INTERVAL) => continue,
            }
        };
        number += 1;
        let seed = seed.fork("portmap", number);
        let ended = match Driver::new(&way, settings, seed, &status) {
            Ok(driver) => driver.run(&way, &mut stop).await,
            Err(error) => {
                debug!(%error, "no router can be asked");
                tokio::time::sleep(GATEWAY_LOOK_INTERVAL).await;
                false
            }
        };
        if ended {
            return;
        }
    }
}

/// The gateway and this machine as it sees it; `None` if there is none, or it cannot be known.
async fn settings(way: &Way, protocol: Protocol, port: u16) -> Option<Settings> {
    let look = way.look();
    let device = look.of(Family::V4)?.device.as_ref().map(|device| device.name.clone());
    let gateway = default_gateway(device.as_deref());
    if KNOWS_ROUTES && gateway.is_none() {
        return None;
    }
    // Connecting a datagram socket sends nothing: it only asks for the route.
    let towards = gateway.unwrap_or(Ipv4Addr::new(239, 255, 255, 250));
    let socket = way.datagrams_to(towards.into()).ok()?;
    socket.connect((towards, 1900)).await.ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(client) if !client.is_loopback() && !client.is_unspecified() => {
            Some(Settings { gateway, client, protocol, port })
        }
        _ => None,
    }
}

/// Whether [`default_gateway`] can know one.
const KNOWS_ROUTES: bool = cfg!(target_os = "linux");

/// The default gateway, by the interface if one is named.
fn default_gateway(device: Option<&str>) -> Option<Ipv4Addr> {
    if !KNOWS_ROUTES {
        return None;
    }
    gateway_in(&std::fs::read_to_string("/proc/net/route").ok()?, device)
}

/// The default gateway with the lowest metric in Linux's table of routes (`proc_pid_net(5)`).
fn gateway_in(table: &str, device: Option<&str>) -> Option<Ipv4Addr> {
    const UP_AND_GATEWAY: u32 = 0x3;
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let is_by = device.is_none_or(|device| fields.first() == Some(&device));
        let is_default = hex(1)? == 0 && hex(7)? == 0 && hex(3)? & UP_AND_GATEWAY == UP_AND_GATEWAY;
        let metric: u32 = fields.get(6)?.parse().ok()?;
        // In the order of bytes in memory.
        let gateway = Ipv4Addr::from(hex(2)?.to_ne_bytes());
        (is_by && is_default).then_some((metric, gateway))
    };
    table.lines().skip(1).filter_map(route).min().map(|(_, gateway)| gateway)
}

/// Status and body.
type Answer = (u16, Vec<u8>);

struct Driver<'a> {
    mapper: Mapper,
    settings: Settings,
    socket: UdpSocket,
    /// Where the gateway says that it has begun anew.
    announced: Option<UdpSocket>,
    http: Client,
    requests: JoinSet<(RequestId, Option<Answer>)>,
    status: &'a watch::Sender<Option<Status>>,
    stopped: bool,
}

impl<'a> Driver<'a> {
    fn new(
        way: &Way,
        settings: Settings,
        seed: Seed,
        status: &'a watch::Sender<Option<Status>>,
    ) -> io::Result<Self> {
        let client = settings.client;
        let socket = way.datagrams(Family::V4)?;
        SockRef::from(&socket).set_multicast_if_v4(&client)?;
        let announced = hear_announcements(client);
        if let Err(error) = &announced {
            debug!(%error, "a router that begins anew is noticed later");
        }
        // An error means that some other part of the process chose one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(GATEWAY_TIMEOUT)
            .local_address(IpAddr::V4(client))
            // Nothing of it is encrypted.
            .tls_certs_only([])
            .build()
            .map_err(io::Error::other)?;
        Ok(Driver {
            mapper: Mapper::new(settings, seed),
            settings,
            socket,
            announced: announced.ok(),
            http,
            requests: JoinSet::new(),
            status,
            stopped: false,
        })
    }

    /// True if it was told to stop; false if there is another network now.
    async fn run(mut self, way: &Way, stop: &mut oneshot::Receiver<()>) -> bool {
        self.status.send_replace(Some(Status::Asking));
        let mut changes = way.changes();
        let mut look = tokio::time::interval(GATEWAY_LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut packet, mut packet2) = (vec![0; SSDP_BYTES_MAX], vec![0; SSDP_BYTES_MAX]);
        let mut asked_to_stop = false;
        self.input(Input::Start);
        while !self.stopped {
            let deadline = self.mapper.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                received = self.socket.recv_from(&mut packet) => {
                    if let Ok((len, from)) = received {
                        self.input(Input::Packet { from, packet: packet[..len].to_vec() });
                    }
                }
                received = receive(self.announced.as_ref(), &mut packet2) => {
                    if let Ok((len, from)) = received {
                        self.input(Input::Packet { from, packet: packet2[..len].to_vec() });
                    }
                }
                Some(done) = self.requests.join_next() => {
                    // It is not aborted and does not panic.
                    if let Ok((id, answer)) = done {
                        self.input(Input::Answered { id, answer });
                    }
                }
                () = clock::sleep_until(deadline) => {
                    self.mapper.handle_timeout(clock::now());
                    self.drain();
                }
                _ = &mut *stop, if !asked_to_stop => {
                    asked_to_stop = true;
                    self.input(Input::Stop);
                }
                _ = look.tick(), if !asked_to_stop => {
                    if self.settings_now(way).await != Some(self.settings) {
                        return false;
                    }
                }
                Ok(()) = changes.changed(), if !asked_to_stop => {
                    // An address that came beside others changes nothing for the router.
                    let bound = way.is_bound();
                    if bound || self.settings_now(way).await != Some(self.settings) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// What the settings would be now.
    async fn settings_now(&self, way: &Way) -> Option<Settings> {
        settings(way, self.settings.protocol, self.settings.port).await
    }

    fn input(&mut self, input: Input) {
        self.mapper.handle_input(clock::now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.mapper.poll_output() {
            match output {
                Output::Send { to, packet } => {
                    if let Err(error) = self.socket.try_send_to(&packet, to.into()) {
                        debug!(%to, %error, "a packet to the router was not sent");
                    }
                }
                Output::Http { id, place, call } => {
                    let asking = ask(self.http.clone(), place, call);
                    self.requests.spawn(async move { (id, asking.await) });
                }
                Output::Status(status) => {
                    info!(?status, protocol = ?self.settings.protocol, "port mapping");
                    self.status.send_replace(Some(status));
                }
                Output::Stopped => self.stopped = true,
            }
        }
    }
}

/// One request: status and body, if there was an answer of reasonable size.
async fn ask(http: Client, place: Place, call: Option<(String, String)>) -> Option<Answer> {
    let url = format!("http://{}{}", place.addr, place.path);
    let request = match call {
        None => http.get(url),
        Some((action, body)) => http
            .post(url)
            .header("SOAPAction", action)
            .header("Content-Type", "text/xml; charset=\"utf-8\"")
            .body(body),
    };
    let mut response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > DESCRIPTION_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some((status, body))
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

fn hear_announcements(client: Ipv4Addr) -> io::Result<UdpSocket> {
    let (group, port) = ANNOUNCED;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.join_multicast_v4(&group, &client)?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gateway_is_read_from_the_table_of_routes() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWin\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            wg0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n\
            eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            nonsense\n";
        if cfg!(target_endian = "little") {
            assert_eq!(gateway_in(table, None), Some(Ipv4Addr::new(192, 168, 1, 1)));
            assert_eq!(gateway_in(table, Some("wlan0")), Some(Ipv4Addr::new(192, 168, 2, 1)));
        }
        assert_eq!(gateway_in(table, Some("wg0")), None);
        assert_eq!(gateway_in("", None), None);
    }
}

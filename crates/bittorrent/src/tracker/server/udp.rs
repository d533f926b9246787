//! A tracker over UDP (BEP 15, 41).
//!
//! Anyone can write any address on a packet, so a stranger is first told a connection id, in no
//! more bytes than it sent. The id is a keyed hash of its address and the time: nothing is
//! remembered of those who never come back with it. Whoever does has shown that it receives what is
//! sent there, and only then gets longer answers.

use super::Server;
use super::registry::Announce;
use crate::tracker::limits::{
    ANSWER_PEERS_MAX, CONNECTION_LIFE, CONNECTION_WINDOW, PACKET_BYTES_MAX,
};
use crate::tracker::udp::{ConnectionId, Request, Response};
use althing_base::hash::Sha256;
use althing_base::{Instant, Seed};
use std::net::{IpAddr, SocketAddr};

/// Makes and checks connection ids.
#[derive(Debug)]
pub(super) struct Connections {
    secret: Seed,
}

impl Connections {
    pub(super) fn new(secret: Seed) -> Self {
        Connections { secret }
    }

    fn id(&self, ip: IpAddr, window: u64) -> ConnectionId {
        let mut hasher = Sha256::new();
        hasher.update(&self.secret.0);
        // One length for both kinds of address.
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hasher.update(&ip.octets());
        hasher.update(&window.to_be_bytes());
        let [a, b, c, d, e, f, g, h, ..] = hasher.finish().0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn window(now: Instant) -> u64 {
        now.as_nanos() / CONNECTION_WINDOW.as_nanos() as u64
    }

    fn check(&self, now: Instant, ip: IpAddr, id: ConnectionId) -> bool {
        let current = Self::window(now);
        let windows = CONNECTION_LIFE.as_secs() / CONNECTION_WINDOW.as_secs();
        (0..=windows)
            .any(|age| current.checked_sub(age).is_some_and(|window| self.id(ip, window) == id))
    }
}

impl Server {
    /// Answers a packet; `None` if it is to be ignored. The answer goes back where the packet came
    /// from.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &[u8],
    ) -> Option<Vec<u8>> {
        let ip = from.ip().to_canonical();
        let request = Request::parse(packet)?;
        if let Request::Announce { connection, .. } | Request::Scrape { connection, .. } = &request
            && !self.connections.check(now, ip, *connection)
        {
            return None;
        }
        let response = match request {
            Request::Connect { transaction } => {
                let connection = self.connections.id(ip, Connections::window(now));
                Response::Connect { transaction, connection }
            }
            Request::Scrape { transaction, info_hashes, .. } => {
                let entries = info_hashes.iter().map(|&hash| self.registry.scrape(hash));
                let entries = entries.map(Option::unwrap_or_default).collect();
                Response::Scrape { transaction, entries }
            }
            Request::Announce { transaction, request, .. } => {
                // The answer's format goes by the packet's kind of address.
                let named = request.ipv4.map(IpAddr::from).filter(|_| ip.is_ipv4());
                let ip = super::address(ip, named);
                if request.port == 0 {
                    let message = "port is 0; say where you listen".to_owned();
                    return Some(Response::Error { transaction, message }.encode());
                }
                let announce = Announce {
                    wanted: peers_wanted(ip, request.num_want),
                    both_families: false,
                    ..super::announce(&request, ip)
                };
                match self.registry.announce(now, &announce) {
                    Ok(answer) => Response::Announce {
                        transaction,
                        interval: self.config.interval,
                        leechers: answer.swarm.leechers,
                        seeders: answer.swarm.seeders,
                        peers: answer.peers.into_iter().map(|(addr, _)| addr).collect(),
                    },
                    Err(full) => Response::Error { transaction, message: full.to_string() },
                }
            }
        };
        Some(response.encode())
    }
}

/// How many peers fit the answer.
fn peers_wanted(ip: IpAddr, wanted: Option<u32>) -> usize {
    let size = if ip.is_ipv4() { 6 } else { 18 };
    super::peers_wanted(wanted).min(ANSWER_PEERS_MAX).min((PACKET_BYTES_MAX - 20) / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::server::ServerConfig;
    use crate::tracker::udp::TransactionId;
    use crate::tracker::{AnnounceRequest, Event, Family, ScrapeEntry, Transfer};
    use crate::types::PeerId;
    use althing_base::Sha1Digest;
    use proptest::prelude::*;
    use std::time::Duration;

    const HASH: Sha1Digest = Sha1Digest([1; 20]);

    struct Test {
        server: Server,
        now: Instant,
    }

    impl Test {
        fn new() -> Self {
            let server = Server::new(ServerConfig::default(), Seed::from_u64(5));
            Test { server, now: Instant::ORIGIN + Duration::from_secs(1000) }
        }

        fn send(&mut self, from: SocketAddr, request: &Request) -> Option<Response> {
            let answer = self.server.handle_packet(self.now, from, &request.encode())?;
            Some(Response::parse(&answer, Family::of(from.ip())).expect("an answer"))
        }

        fn connect(&mut self, from: SocketAddr) -> ConnectionId {
            match self.send(from, &Request::Connect { transaction: 1 }) {
                Some(Response::Connect { transaction: 1, connection }) => connection,
                other => panic!("{other:?}"),
            }
        }

        fn announce(
            &mut self,
            from: SocketAddr,
            connection: ConnectionId,
            request: AnnounceRequest,
        ) -> Option<Response> {
            let target = b"/announce?key=1".to_vec();
            self.send(from, &Request::Announce { connection, transaction: 2, request, target })
        }
    }

    fn v4(host: u8) -> SocketAddr {
        ([192, 0, 2, host], 4000).into()
    }

    fn v6(host: u16) -> SocketAddr {
        ([0x2001, 0xdb8, host, 0, 0, 0, 0, 1], 4000).into()
    }

    fn request(port: u16) -> AnnounceRequest {
        AnnounceRequest::new(HASH, PeerId([9; 20]), port)
    }

    fn peers(response: Option<Response>) -> Vec<SocketAddr> {
        match response {
            Some(Response::Announce { transaction: 2, mut peers, .. }) => {
                peers.sort();
                peers
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn peers_of_ones_own_kind() {
        let mut test = Test::new();
        for (from, others) in [
            (v4(1), vec![]),
            (v6(1), vec![]),
            (v4(2), vec![([192, 0, 2, 1], 6881).into()]),
            (v6(2), vec![([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1], 6881).into()]),
            // The same in IPv6 clothing.
            (
                ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x203], 4000).into(),
                vec![([192, 0, 2, 1], 6881).into(), ([192, 0, 2, 2], 6881).into()],
            ),
        ] {
            let connection = test.connect(from);
            assert_eq!(peers(test.announce(from, connection, request(6881))), others, "{from}");
        }
        let connection = test.connect(v4(1));
        let info_hashes = vec![HASH, Sha1Digest([2; 20])];
        let scrape = Request::Scrape { connection, transaction: 3, info_hashes };
        let swarm = ScrapeEntry { leechers: 5, ..ScrapeEntry::default() };
        let entries = vec![swarm, ScrapeEntry::default()];
        let expected = Response::Scrape { transaction: 3, entries };
        assert_eq!(test.send(v4(1), &scrape), Some(expected));
    }

    #[test]
    fn a_connection_id_is_good_for_its_address_and_time() {
        let mut test = Test::new();
        let connection = test.connect(v4(1));
        assert_eq!(test.announce(v4(2), connection, request(1)), None);
        assert_eq!(test.announce(v4(1), connection ^ 1, request(1)), None);
        // From another port, as behind some routers.
        let other_port = ([192, 0, 2, 1], 4001).into();
        assert!(test.announce(other_port, connection, request(1)).is_some());
        test.now += CONNECTION_LIFE;
        assert!(test.announce(v4(1), connection, request(1)).is_some());
        test.now += CONNECTION_WINDOW;
        assert_eq!(test.announce(v4(1), connection, request(1)), None);
        assert_ne!(test.connect(v4(1)), connection);
    }

    #[test]
    fn an_address_is_only_believed_from_this_machine() {
        let mut test = Test::new();
        let named = AnnounceRequest { ipv4: Some([203, 0, 113, 7].into()), ..request(1) };
        let local = ([127, 0, 0, 1], 4000).into();
        for from in [v4(1), local] {
            let connection = test.connect(from);
            test.announce(from, connection, named.clone());
        }
        let connection = test.connect(v4(9));
        assert_eq!(
            peers(test.announce(v4(9), connection, request(2))),
            [([192, 0, 2, 1], 1).into(), ([203, 0, 113, 7], 1).into()]
        );
        // Over IPv6 there is no room for it.
        let local = ([0, 0, 0, 0, 0, 0, 0, 1], 4000).into();
        let connection = test.connect(local);
        assert_eq!(peers(test.announce(local, connection, named)), []);
    }

    #[test]
    fn refusals_are_sentences() {
        let mut test = Test::new();
        let connection = test.connect(v4(1));
        let refused = |response| match response {
            Some(Response::Error { transaction: 2, message }) => message,
            other => panic!("{other:?}"),
        };
        let answer = test.announce(v4(1), connection, request(0));
        assert_eq!(refused(answer), "port is 0; say where you listen");
        let config = ServerConfig { torrents_max: 0, ..ServerConfig::default() };
        test.server = Server::new(config, Seed::from_u64(5));
        let answer = test.announce(v4(1), connection, request(1));
        assert_eq!(
            refused(answer),
            "this tracker has as many torrents as it can keep; try again later"
        );
    }

    #[test]
    fn answers_fit_a_packet() {
        let mut test = Test::new();
        let config = ServerConfig { source_torrent_peers_max: 1000, ..ServerConfig::default() };
        test.server = Server::new(config, Seed::from_u64(5));
        for (from, size, count) in [(v4(1), 6, 200), (v6(1), 18, 67)] {
            let connection = test.connect(from);
            for port in 1..=300 {
                test.announce(from, connection, request(port));
            }
            let request = AnnounceRequest { num_want: Some(i32::MAX as u32), ..request(1) };
            let target = Vec::new();
            let request = Request::Announce { connection, transaction: 2, request, target };
            let answer = test.server.handle_packet(test.now, from, &request.encode());
            assert_eq!(answer.map(|packet| packet.len()), Some(20 + count * size));
        }
    }

    #[test]
    fn a_flood_fills_what_it_may_and_no_more() {
        let config = ServerConfig { torrents_max: 1000, peers_max: 1500, ..Default::default() };
        let mut test = Test::new();
        test.server = Server::new(config, Seed::from_u64(5));
        let transfer = Transfer::default();
        for number in 0..5000u32 {
            let from = SocketAddr::from((number.to_be_bytes(), 1));
            let connection = test.connect(from);
            for torrent in [number % 1100, number % 7] {
                let mut info_hash = HASH;
                info_hash.0[..4].copy_from_slice(&torrent.to_be_bytes());
                let event = if number % 3 == 0 { Event::Stopped } else { Event::Started };
                let request = AnnounceRequest { info_hash, event, transfer, ..request(1) };
                test.announce(from, connection, request);
            }
        }
        assert!(test.server.torrent_count() <= 1000);
        assert_eq!(test.server.peer_count(), 1500);
        test.now += Duration::from_secs(3600);
        test.server.handle_timeout(test.now);
        assert_eq!((test.server.torrent_count(), test.server.peer_count()), (0, 0));
        assert_eq!(test.server.poll_timeout(), None);
    }

    proptest! {
        /// Who has not shown its address gets no more bytes than it sends.
        #[test]
        fn strangers_cannot_have_others_flooded(packet: Vec<u8>, connect: bool) {
            let mut test = Test::new();
            let mut packet = packet;
            if connect {
                packet.splice(..0, Request::Connect { transaction: 1 as TransactionId }.encode());
            }
            let answer = test.server.handle_packet(test.now, v4(1), &packet);
            prop_assert!(answer.map_or(0, |answer| answer.len()) <= packet.len());
        }
    }
}

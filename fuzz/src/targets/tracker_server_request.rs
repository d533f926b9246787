//! Requests to our tracker: it answers what our client understands, never more than it should, and
//! remembers no more than it may.

use althing_base::time::Duration;
use althing_base::{Instant, Seed};
use althing_bittorrent::tracker::limits::PACKET_BYTES_MAX;
use althing_bittorrent::tracker::udp::{Request, Response};
use althing_bittorrent::tracker::{Family, Server, ServerConfig, TrackerError, http};
use std::net::SocketAddr;

/// The first byte says how the rest comes in: bit 0 over HTTP or UDP, bits 1 and 2 from whom, and
/// bit 3 whether a packet's connection id is put right.
pub fn run(data: &[u8]) {
    let Some((&how, request)) = data.split_first() else { return };
    let from: SocketAddr = match how >> 1 & 3 {
        0 => ([192, 0, 2, 1], 4000).into(),
        1 => ([127, 0, 0, 1], 4000).into(),
        2 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 4000).into(),
        _ => ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201], 4000).into(),
    };
    let config = ServerConfig { torrents_max: 2, peers_max: 3, ..ServerConfig::default() };
    let mut server = Server::new(config, Seed::from_u64(1));
    let now = Instant::ORIGIN + Duration::from_secs(1000);
    // Twice, so that there is somebody to be told of.
    for port in [4000, 4001] {
        let from = SocketAddr::new(from.ip(), port);
        if how & 1 == 0 {
            http_request(&mut server, now, from, request);
        } else {
            udp_request(&mut server, now, from, request, how & 8 != 0);
        }
    }
    assert!(server.torrent_count() <= 2 && server.peer_count() <= 3);
    assert_eq!(server.poll_timeout().is_some(), server.peer_count() > 0);
    server.handle_timeout(now + 2 * config.interval);
    assert_eq!((server.torrent_count(), server.peer_count()), (0, 0));
}

fn http_request(server: &mut Server, now: Instant, from: SocketAddr, target: &[u8]) {
    let reply = server.handle_get(now, from, target);
    if reply.status != 200 {
        return assert_eq!(reply.status, 404);
    }
    let error = if target.starts_with(b"/scrape") {
        http::parse_scrape(&reply.body).err()
    } else {
        http::parse_announce(&reply.body).err()
    };
    assert!(matches!(error, None | Some(TrackerError::Refused { .. })), "{error:?}");
}

fn udp_request(server: &mut Server, now: Instant, from: SocketAddr, packet: &[u8], proven: bool) {
    let mut packet = packet.to_vec();
    let family = Family::of(from.ip());
    if proven {
        let connect = Request::Connect { transaction: 1 }.encode();
        let answer = server.handle_packet(now, from, &connect).expect("a connection id");
        let Some(Response::Connect { connection, .. }) = Response::parse(&answer, family) else {
            panic!("{answer:?}");
        };
        if let Some(field) = packet.get_mut(..8) {
            field.copy_from_slice(&connection.to_be_bytes());
        }
    }
    let Some(answer) = server.handle_packet(now, from, &packet) else { return };
    assert!(proven || answer.len() <= packet.len(), "strangers are sent more than they sent");
    assert!(answer.len() <= PACKET_BYTES_MAX);
    let response = Response::parse(&answer, family).expect("an answer");
    let transaction = packet.get(12..16).expect("a request has one");
    assert_eq!(response.transaction().to_be_bytes(), transaction);
}

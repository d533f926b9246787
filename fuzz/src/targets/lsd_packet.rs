//! Announces of local discovery, and the machine that hears them.

use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::lsd::limits::PACKET_BYTES_MAX;
use althing_bittorrent::lsd::{Announce, Input, Lsd, Output};
use althing_bittorrent::tracker::Family;
use std::net::SocketAddr;

/// Reads any bytes as an announce.
pub fn run(data: &[u8]) {
    let mut lsd = Lsd::new(7716, Seed::from_u64(1));
    let from = SocketAddr::from(([192, 168, 1, 9], 6771));
    let announce = Announce::parse(data);
    for hash in announce.iter().flat_map(|announce| &announce.info_hashes) {
        lsd.handle_input(Instant::ORIGIN, Input::Start(*hash));
    }
    lsd.handle_input(Instant::ORIGIN, Input::Packet { from, packet: data.to_vec() });
    let mut found = 0;
    while let Some(output) = lsd.poll_output() {
        assert!(matches!(output, Output::Found { addr, .. } if addr.port() != 0));
        found += 1;
    }
    let Some(announce) = announce else {
        assert_eq!(found, 0);
        return;
    };
    assert!(announce.port != 0 && !announce.info_hashes.is_empty());
    assert_eq!(found, announce.info_hashes.len());
    for family in [Family::V4, Family::V6] {
        let packet = announce.packet(family);
        if packet.len() <= PACKET_BYTES_MAX {
            assert_eq!(Announce::parse(&packet).as_ref(), Some(&announce));
        }
    }
}

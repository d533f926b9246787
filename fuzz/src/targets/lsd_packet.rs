//! Announces of local discovery, and the machine that hears them.

use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::lsd::limits::PACKET_BYTES_MAX;
use althing_bittorrent::lsd::{Announce, Input, Lsd, Output};
use althing_bittorrent::tracker::Family;
use std::net::SocketAddr;

/// What the machine below knows itself by: drawn from its seed.
const OUR_COOKIE: &str = "a0e95ecf";

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
    // Nothing, if by its cookie it is our own announce that came back.
    let is_own = found == 0 && announce.cookie == OUR_COOKIE;
    assert!(found == announce.info_hashes.len() || is_own);
    for family in [Family::V4, Family::V6] {
        let packet = announce.packet(family);
        if packet.len() <= PACKET_BYTES_MAX {
            assert_eq!(Announce::parse(&packet).as_ref(), Some(&announce));
        }
    }
}

//! Messages of peer exchange: lists are bounded, addresses possible, and what is written is read the
//! same again.

use althing_bittorrent::wire::PexMessage;
use althing_bittorrent::wire::limits::PEX_CONTACTS_READ_MAX;

/// Reads any bytes as a peer exchange message.
pub fn run(data: &[u8]) {
    let Ok(mut message) = PexMessage::parse(data) else { return };
    assert!(message.added.len() <= PEX_CONTACTS_READ_MAX);
    assert!(message.dropped.len() <= PEX_CONTACTS_READ_MAX);
    for addr in message.added.iter().map(|peer| &peer.addr).chain(&message.dropped) {
        assert!(addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast());
        assert_eq!(addr.ip(), addr.ip().to_canonical());
    }
    // The families are written apart; an IPv4 address in IPv6's clothes comes back as itself.
    message.added.sort_by_key(|peer| peer.addr.is_ipv6());
    message.dropped.sort_by_key(|addr| addr.is_ipv6());
    assert_eq!(PexMessage::parse(&message.encode()), Ok(message));
}

//! Who has a node of the DHT, and where (BEP 5).

use super::company::private;
use super::*;

fn config() -> SwarmConfig {
    SwarmConfig { dht: true, listen_port: Some(7716), ..SwarmConfig::new(our_id()) }
}

/// The bits of a peer that has a node.
fn reserved() -> [u8; 8] {
    Handshake::new(Sha1Digest::ZERO, peer_id(1), false).with_dht(true).reserved
}

fn ports(outputs: &[Output], n: u64) -> Vec<u16> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Port(port) => Some(*port),
            _ => None,
        })
        .collect()
}

fn nodes(outputs: &[Output]) -> Vec<SocketAddr> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::DhtNode { addr } => Some(*addr),
            _ => None,
        })
        .collect()
}

#[test]
fn who_has_a_node_is_told_of_ours() {
    let mut table = Table::with(config(), 2, &[0]);
    assert_eq!(ports(&table.connect_with(1, reserved()), 1), [7716]);
    assert_eq!(ports(&table.connect_with(2, Handshake::RESERVED), 2), []);
    table.tell(Input::ListenPort(None));
    assert_eq!(ports(&table.connect_with(3, reserved()), 3), []);
}

#[test]
fn a_peers_first_word_counts_and_only_of_its_own_address() {
    let mut table = Table::with(config(), 2, &[]);
    table.connect_with(1, reserved());
    assert_eq!(nodes(&table.hear(1, Message::Port(0))), []);
    let expected = SocketAddr::new(addr(1).ip(), 6881);
    assert_eq!(nodes(&table.hear(1, Message::Port(6881))), [expected]);
    let port = |n: u64| Message::Port(1 + (n % 60_000) as u16);
    let more: Vec<Output> = (0..WASTE_BURST + 10).flat_map(|n| table.hear(1, port(n))).collect();
    assert_eq!(nodes(&more), []);
    assert!(matches!(dropped(&more, 1), Some(DisconnectReason::Flood(_))));
}

#[test]
fn nodes_are_of_no_concern_to_a_private_torrent_or_without_one_of_ours() {
    let off = SwarmConfig { dht: false, ..config() };
    for mut table in [private(config()), Table::with(off, 2, &[])] {
        assert_eq!(ports(&table.connect_with(1, reserved()), 1), []);
        assert_eq!(nodes(&table.hear(1, Message::Port(6881))), []);
        assert_eq!(dropped(&table.wait(1), 1), None);
    }
}

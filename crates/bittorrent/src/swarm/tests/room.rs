//! All places are taken: who gives way, and to whom.

use super::*;
use std::net::Ipv4Addr;

fn table(places: usize, have: &[u32]) -> Table {
    let config = SwarmConfig { connections_max: places, ..SwarmConfig::new(our_id()) };
    Table::with(config, 4, have)
}

/// Peer `n` of the network 10.`network`.0.0 connects.
fn come(table: &mut Table, network: u8, n: u64, direction: Direction) -> Vec<Output> {
    let ip = Ipv4Addr::new(10, network, 0, n as u8);
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(n),
        reserved: Handshake::RESERVED,
    };
    let addr = SocketAddr::from((ip, 7000));
    table.tell(Input::Connected {
        conn: ConnId(n),
        addr,
        direction,
        transport: Transport::Tcp,
        handshake,
    })
}

/// Takes a place and says that it wants something.
fn settle(table: &mut Table, network: u8, n: u64) {
    let outputs = come(table, network, n, Direction::Incoming);
    assert_eq!(dropped(&outputs, n), None);
    table.hear(n, Message::HaveNone);
    table.hear(n, Message::Interested);
}

const REFUSED: Option<DisconnectReason> = Some(DisconnectReason::TooManyConnections);

#[test]
fn one_network_does_not_keep_all_places() {
    let mut table = table(4, &[0, 1, 2, 3]);
    (1..=4).for_each(|n| settle(&mut table, 1, n));
    // Its own have no claim to each other's places.
    assert_eq!(dropped(&come(&mut table, 1, 5, Direction::Incoming), 5), REFUSED);
    // Others have, down to as many as they have themselves, and the youngest goes first.
    assert_eq!(dropped(&come(&mut table, 2, 6, Direction::Incoming), 4), REFUSED);
    let outputs = come(&mut table, 2, 7, Direction::Incoming);
    assert_eq!((dropped(&outputs, 3), dropped(&outputs, 7)), (REFUSED, None));
    assert_eq!(dropped(&come(&mut table, 2, 8, Direction::Incoming), 8), REFUSED);
    assert_eq!(table.swarm.peers.len(), 4);
}

#[test]
fn who_takes_blocks_stays_and_who_has_taken_none_for_long_goes() {
    let mut table = table(2, &[0, 1, 2, 3]);
    (1..=2).for_each(|n| settle(&mut table, 1, n));
    for n in 1..=2 {
        table.hear(n, Message::Request(block(0, 0)));
        table.tell(Input::BlockSent { conn: ConnId(n), block: block(0, 0) });
    }
    assert_eq!(dropped(&come(&mut table, 2, 3, Direction::Incoming), 3), REFUSED);
    table.wait(PROTECTED_FOR.as_secs());
    assert_eq!(dropped(&come(&mut table, 2, 4, Direction::Incoming), 2), REFUSED);
    // Now each network has one, and only time counts.
    table.hear(4, Message::Interested);
    for _ in 0..3 {
        assert_eq!(dropped(&come(&mut table, 1, 9, Direction::Incoming), 9), REFUSED);
        table.wait(100);
        table.hear(1, Message::KeepAlive);
        table.hear(4, Message::KeepAlive);
    }
    let outputs = come(&mut table, 1, 5, Direction::Incoming);
    assert_eq!((dropped(&outputs, 1), dropped(&outputs, 5)), (REFUSED, None));
}

#[test]
fn blocks_that_anybody_may_have_keep_no_place() {
    let mut table = table(12, &[0, 1, 2, 3]);
    for n in 1..=12 {
        settle(&mut table, 1, n);
        // All are in everybody's fast set (BEP 6), slot or no slot.
        table.hear(n, Message::Request(block(0, 0)));
        table.tell(Input::BlockSent { conn: ConnId(n), block: block(0, 0) });
    }
    let outputs = come(&mut table, 2, 13, Direction::Incoming);
    assert_eq!((dropped(&outputs, 12), dropped(&outputs, 13)), (REFUSED, None));
}

#[test]
fn those_who_promise_everything_do_not_keep_us_from_calling_others() {
    let mut table = table(3, &[]);
    for n in 1..=3 {
        come(&mut table, 1, n, Direction::Incoming);
        table.hear(n, Message::HaveAll);
        table.hear(n, Message::Unchoke);
    }
    let found = SocketAddr::from(([10, 2, 0, 9], 7000));
    let peers = vec![found];
    let outputs = table.tell(Input::PeersFound { source: PeerSource::Tracker, peers });
    let calls = |output: &Output| matches!(output, Output::Connect { addr } if *addr == found);
    assert!(outputs.iter().any(calls), "{outputs:?}");
    let outputs = come(&mut table, 2, 9, Direction::Outgoing);
    assert_eq!((dropped(&outputs, 3), dropped(&outputs, 9)), (REFUSED, None));
    // What was on order with who is gone is asked for again.
    assert!(!requests(&table.seed_says(9), 9).is_empty());
}

#[test]
fn nobody_is_called_for_whom_there_would_be_no_place() {
    let mut table = table(3, &[]);
    for n in 1..=3 {
        come(&mut table, n as u8, n, Direction::Incoming);
        table.hear(n, Message::HaveAll);
        table.hear(n, Message::Unchoke);
    }
    // Each network has one place, and so would the newcomer's.
    come(&mut table, 1, 4, Direction::Incoming);
    let peers = vec![SocketAddr::from(([10, 2, 0, 9], 7000))];
    let outputs = table.tell(Input::PeersFound { source: PeerSource::Tracker, peers });
    assert!(!outputs.iter().any(|o| matches!(o, Output::Connect { .. })), "{outputs:?}");
    assert!(!table.wait(10).iter().any(|o| matches!(o, Output::Connect { .. })));
}

impl Table {
    fn seed_says(&mut self, n: u64) -> Vec<Output> {
        self.hear(n, Message::HaveAll);
        self.hear(n, Message::Unchoke)
    }
}

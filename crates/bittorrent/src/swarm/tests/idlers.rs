//! Peers that take up places and do nothing with them.

use super::*;
use crate::swarm::limits::{CONNECTING_MAX, SLOT_LOST_AFTER, SNUBBED_AFTER, SNUBBED_AFTER_NOTHING};

#[test]
fn an_attempt_that_succeeded_makes_room_for_the_next() {
    let mut table = Table::new(4, &[]);
    let peers: Vec<_> = (1..=30).map(addr).collect();
    let outputs = table.tell(Input::PeersFound { source: PeerSource::Tracker, peers });
    let calls = |outputs: &[Output]| -> Vec<SocketAddr> {
        let called = |output: &Output| match output {
            Output::Connect { addr } => Some(*addr),
            _ => None,
        };
        outputs.iter().filter_map(called).collect()
    };
    let called = calls(&outputs);
    assert_eq!(called.len(), CONNECTING_MAX);
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(1),
        reserved: Handshake::RESERVED,
    };
    let (conn, direction) = (ConnId(1), Direction::Outgoing);
    let outputs = table.tell(Input::Connected {
        conn,
        addr: called[0],
        direction,
        transport: Transport::Tcp,
        handshake,
    });
    assert_eq!(calls(&outputs).len(), 1);
}

#[test]
fn who_never_gave_anything_is_waited_for_less() {
    let mut table = Table::new(8, &[]);
    let asked = requests(&table.seed(1), 1);
    table.give(1, asked[0]);
    table.seed(2);
    table.wait(SNUBBED_AFTER_NOTHING.as_secs() + 2);
    assert!(!table.swarm.peers[&ConnId(1)].snubs_us);
    assert!(table.swarm.peers[&ConnId(2)].snubs_us);
    table.wait(SNUBBED_AFTER.as_secs());
    assert!(table.swarm.peers[&ConnId(1)].snubs_us);
}

#[test]
fn who_does_not_read_loses_its_slot_to_who_waits() {
    let config = SwarmConfig { unchoke_slots: 2, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 200, &(0..200).collect::<Vec<_>>());
    let interested = |table: &mut Table, n| {
        table.connect(n);
        table.hear(n, Message::HaveNone);
        table.hear(n, Message::Interested);
    };
    for n in 1..=2 {
        interested(&mut table, n);
        for piece in 0..100 {
            table.hear(n, Message::Request(block(piece, 0)));
        }
    }
    // Nobody else wants the slots: there is no reason to take them away.
    table.wait(2 * SLOT_LOST_AFTER.as_secs());
    assert!(!table.swarm.peers[&ConnId(1)].choked && !table.swarm.peers[&ConnId(2)].choked);
    interested(&mut table, 3);
    table.wait(CHOKE_INTERVAL.as_secs());
    assert!(!table.swarm.peers[&ConnId(3)].choked);
    // One slot is all that it needs.
    assert!(table.swarm.peers[&ConnId(1)].choked != table.swarm.peers[&ConnId(2)].choked);
}

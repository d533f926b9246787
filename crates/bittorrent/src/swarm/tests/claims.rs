//! Slots and orders that strangers would let go to waste.

use super::*;
use crate::wire::Handshake;
use std::net::Ipv4Addr;

/// Peer `n` of the network 10.`network`.0.0 connects and wants something.
fn want(table: &mut Table, network: u8, n: u64) -> Vec<Output> {
    let ip = Ipv4Addr::new(10, network, (n >> 8) as u8, n as u8);
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(n),
        reserved: Handshake::RESERVED,
    };
    let (conn, direction) = (ConnId(n), Direction::Incoming);
    let addr = SocketAddr::from((ip, 7000));
    let mut outputs = table.tell(Input::Connected {
        conn,
        addr,
        direction,
        transport: Transport::Tcp,
        handshake,
    });
    outputs.extend(table.hear(n, Message::HaveNone));
    outputs.extend(table.hear(n, Message::Interested));
    outputs
}

fn choked(table: &Table, n: u64) -> bool {
    table.swarm.peers[&ConnId(n)].choked
}

fn seed(slots: usize) -> Table {
    let config = SwarmConfig { unchoke_slots: slots, ..SwarmConfig::new(our_id()) };
    Table::with(config, 200, &(0..200).collect::<Vec<_>>())
}

/// Asks for a hundred blocks and takes `taken` of them.
fn ask(table: &mut Table, n: u64, taken: u32) {
    (0..100).for_each(|piece| drop(table.hear(n, Message::Request(block(piece, 0)))));
    (0..taken).for_each(|_| take(table, n));
}

/// Takes the next block that is there for it.
fn take(table: &mut Table, n: u64) {
    let block = table.swarm.peers[&ConnId(n)].sending.front().copied();
    let (conn, block) = (ConnId(n), block.expect("one is there"));
    table.tell(Input::BlockSent { conn, block });
}

#[test]
fn a_hundred_who_do_not_read_cost_a_newcomer_seconds() {
    let mut table = seed(4);
    for n in 1..=90 {
        want(&mut table, 1, n);
        // As much as sockets hold.
        if !choked(&table, n) {
            ask(&mut table, n, 20);
        }
    }
    assert_eq!((1..=90).filter(|n| !choked(&table, *n)).count(), 4);
    table.wait(1);
    want(&mut table, 2, 91);
    assert!(choked(&table, 91), "nobody has let a slot go to waste yet");
    table.wait(SLOT_LOST_AFTER.as_secs());
    assert!(!choked(&table, 91));
    // The next one of another network comes before all who wait, and whoever takes blocks stays.
    for _ in 0..30 {
        table.wait(1);
        ask(&mut table, 91, 2);
        assert!(!choked(&table, 91));
    }
    want(&mut table, 3, 92);
    table.wait(1);
    assert!(!choked(&table, 92));
    // So do those who come in place of the others, as long as that is remembered.
    (1..=90).for_each(|n| drop(table.tell(Input::Disconnected { conn: ConnId(n) })));
    (101..=190).for_each(|n| drop(want(&mut table, 1, n)));
    want(&mut table, 4, 93);
    table.wait(2);
    assert!(!choked(&table, 93));
}

#[test]
fn of_one_network_each_has_its_turn() {
    let mut table = seed(2);
    (1..=8).for_each(|n| drop(want(&mut table, 1, n)));
    let mut had = std::collections::BTreeSet::new();
    for _ in 0..5 * SLOT_LOST_AFTER.as_secs() {
        had.extend((1..=8).filter(|n| !choked(&table, *n)));
        table.wait(1);
    }
    assert_eq!(had.len(), 8, "{had:?}");
}

#[test]
fn who_takes_slowly_because_we_send_slowly_keeps_its_slot() {
    let mut table = seed(2);
    (1..=3).for_each(|n| drop(want(&mut table, n as u8, n)));
    // A narrow line of ours: a block in four seconds, by turns.
    (1..=2).for_each(|n| ask(&mut table, n, 1));
    for turn in 0..6 {
        for n in 1..=2 {
            table.wait(4);
            take(&mut table, n);
            assert!(!choked(&table, 1) && !choked(&table, 2), "{turn}");
        }
    }
}

#[test]
fn who_flooded_us_is_not_let_in_again_for_a_while() {
    let mut table = seed(2);
    want(&mut table, 1, 1);
    let turns = [Message::NotInterested, Message::Interested];
    let flood = (0..2 * WASTE_BURST)
        .find_map(|n| dropped(&table.hear(1, turns[n as usize % 2].clone()), 1))
        .expect("it is let go of");
    assert!(matches!(flood, DisconnectReason::Flood(_)));
    assert_eq!(dropped(&want(&mut table, 1, 1), 1), Some(DisconnectReason::Banned));
    assert_eq!(dropped(&want(&mut table, 1, 2), 2), None);
    table.wait(KEPT_OUT_FOR.as_secs());
    assert_eq!(dropped(&want(&mut table, 1, 1), 1), None);
}

#[test]
fn promises_are_had_elsewhere_within_seconds() {
    let mut table = Table::new(40, &[]);
    (1..=10).for_each(|n| drop(table.seed(n)));
    // All blocks are on order with those who send nothing; then comes one that gives.
    let mut todo = requests(&table.seed(11), 11);
    let mut got = 0;
    let mut waited = 0;
    while got < 160 {
        let Some(block) = todo.pop() else {
            waited += 1;
            assert!(waited <= SNUBBED_AFTER_NOTHING_SOON.as_secs() + 2, "{got} came");
            let outputs = table.wait(1);
            todo.extend(requests(&outputs, 11));
            continue;
        };
        got += 1;
        let outputs = table.give(11, block);
        todo.extend(requests(&outputs, 11));
    }
}

#[test]
fn who_gave_nothing_has_little_on_order_where_others_give() {
    let mut table = Table::new(100, &[]);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked.len(), PIPELINE_MIN);
    table.give(1, asked[0]);
    table.wait(1);
    let asked = requests(&table.seed(2), 2);
    assert_eq!(asked.len(), PIPELINE_UNPROVEN);
    // Its first block shows that it can.
    assert!(requests(&table.give(2, asked[0]), 2).len() >= PIPELINE_MIN - PIPELINE_UNPROVEN);
}

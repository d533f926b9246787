//! Peers that take up places and do nothing with them.

use super::*;
use crate::swarm::limits::{CONNECTING_MAX, SLOT_LOST_AFTER, SNUBBED_AFTER, SNUBBED_AFTER_NOTHING};
use crate::wire::ExtensionHandshake;

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

#[test]
fn the_few_pieces_for_all_prove_nothing() {
    let config = SwarmConfig { unchoke_slots: 2, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 200, &(0..200).collect::<Vec<_>>());
    let sockets_take = |table: &mut Table, n: u64, blocks: usize| {
        for _ in 0..blocks {
            let Some(block) = table.swarm.peers[&ConnId(n)].sending.front().copied() else {
                return;
            };
            table.tell(Input::BlockSent { conn: ConnId(n), block });
        }
    };
    let wants_all = |table: &mut Table, n: u64| {
        table.hear(n, Message::HaveNone);
        table.hear(n, Message::Interested);
        for piece in 0..200 {
            (0..BLOCKS_PER_PIECE)
                .for_each(|b| drop(table.hear(n, Message::Request(block(piece, b)))));
        }
    };
    // Many of one network ask for everything; their sockets take a little, and they read nothing.
    for n in 1..=12 {
        table.connect(n);
        wants_all(&mut table, n);
        sockets_take(&mut table, n, 6);
    }
    // One from elsewhere takes what it is given at once: the few pieces that anybody may have.
    let (conn, honest) = (ConnId(100), SocketAddr::from(([10, 77, 0, 3], 7000)));
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(100),
        reserved: Handshake::RESERVED,
    };
    let (direction, transport) = (Direction::Incoming, Transport::Tcp);
    table.tell(Input::Connected { conn, addr: honest, direction, transport, handshake });
    wants_all(&mut table, 100);
    sockets_take(&mut table, 100, 1000);
    assert!(table.swarm.peers[&conn].choked && table.swarm.peers[&conn].upload.total_bytes() > 0);
    table.wait(SLOT_LOST_AFTER.as_secs() + 1);
    assert!(!table.swarm.peers[&conn].choked, "the first slot that is free is its");
}

/// A swarm with everything, and so many who have asked for a hundred blocks each.
fn asked_by(peers: u64) -> Table {
    let mut table = Table::new(200, &(0..200).collect::<Vec<_>>());
    for n in 1..=peers {
        table.connect(n);
        table.hear(n, Message::HaveNone);
        table.hear(n, Message::Interested);
        for piece in 0..100 {
            table.hear(n, Message::Request(block(piece, 0)));
        }
    }
    table
}

impl Table {
    /// A socket takes the first block that it was handed.
    fn take_one(&mut self, n: u64) -> Vec<Output> {
        let block = self.swarm.peers[&ConnId(n)].sending[0];
        self.tell(Input::BlockSent { conn: ConnId(n), block })
    }
}

#[test]
fn a_line_of_one_kib_a_second_makes_nobody_a_non_reader() {
    let mut table = asked_by(8);
    let mut outputs = Vec::new();
    // One block in 16 s, each in turn: 128 s until it is a peer's turn again, for half an hour.
    for turn in 0..120 {
        let waited = table.wait(16);
        outputs.extend(waited);
        (1..=8).for_each(|n| drop(table.hear(n, Message::KeepAlive)));
        table.take_one(1 + turn % 8);
    }
    assert!((1..=8).all(|n| dropped(&outputs, n).is_none()));
    assert!(table.swarm.peers.values().all(|p| !p.choked), "slots do not change hands either");
}

#[test]
fn who_takes_nothing_while_others_do_is_let_go_of() {
    let mut table = asked_by(3);
    let mut outputs = Vec::new();
    for second in 0..=SEND_STALLED_AFTER.as_secs() + KEEP_ALIVE_AFTER.as_secs() {
        outputs.extend(table.wait(1));
        for n in [1, 2] {
            table.hear(n, Message::Request(block(100 + second as u32 % 100, n as u32)));
            table.take_one(n);
        }
        if table.swarm.peers.contains_key(&ConnId(3)) {
            // It wants the slot again whenever it has lost it.
            table.hear(3, Message::NotInterested);
            table.hear(3, Message::Interested);
        }
    }
    assert_eq!(dropped(&outputs, 3), Some(DisconnectReason::Idle));
    assert_eq!((dropped(&outputs, 1), dropped(&outputs, 2)), (None, None));
}

#[test]
fn who_owes_blocks_on_a_thin_line_of_ours_is_waited_for() {
    let mut table = Table::new(200, &[]);
    (1..=20).for_each(|n| drop(table.seed(n)));
    let mut outputs = Vec::new();
    // A block in 16 s: 320 s until each has had its turn.
    for turn in 0..40 {
        outputs.extend(table.wait(16));
        let n = 1 + turn % 20;
        let first = table.swarm.peers[&ConnId(n)].orders[0].block;
        table.give(n, first);
    }
    assert!((1..=20).all(|n| dropped(&outputs, n).is_none()));
    // Now nothing comes at all: they are dead.
    let outputs = table.wait(2 * IDLE_AFTER.as_secs());
    assert!((1..=20).all(|n| dropped(&outputs, n) == Some(DisconnectReason::Idle)));
}

#[test]
fn two_seeds_part_when_they_know_where_the_other_listens() {
    let found = vec![addr(1)];
    let mut table = Table::new(2, &[0, 1]);
    table.connect(1);
    assert_eq!(dropped(&table.hear(1, Message::HaveAll), 1), None);
    let says = ExtensionHandshake { port: Some(7000), ..ExtensionHandshake::default() };
    let outputs = table.hear(1, Message::Extended { id: 0, payload: says.encode() });
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::NothingToExchange));
    let calls = |outputs: &[Output]| outputs.iter().any(|o| matches!(o, Output::Connect { .. }));
    table.tell(Input::PeersFound { source: PeerSource::Tracker, peers: found });
    assert!(!calls(&table.wait(3600)), "it is of no use to us");
    // We want something again.
    let outputs = table.tell(Input::PiecesLost { pieces: vec![PieceIndex(0)] });
    assert!(calls(&outputs) || calls(&table.wait(60)), "now it is");
}

#[test]
fn a_slow_peer_owes_few_blocks() {
    let mut table = Table::new(100, &[]);
    table.seed(1);
    for _ in 0..PIPELINE_MIN {
        table.wait(1);
        let first = table.swarm.peers[&ConnId(1)].orders[0].block;
        table.give(1, first);
    }
    assert_eq!(table.swarm.peers[&ConnId(1)].orders.len(), PIPELINE_SLOW);
}

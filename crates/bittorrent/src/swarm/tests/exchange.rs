//! Fetching, giving, and what becomes of those who do neither.

use super::*;
use crate::wire::ExtensionHandshake;

#[test]
fn first_words_depend_on_what_there_is() {
    let first = |have: &[u32], reserved| {
        let outputs = Table::new(3, have).connect_with(1, reserved);
        said(&outputs, 1).first().map(|message| (*message).clone())
    };
    assert_eq!(first(&[], Handshake::RESERVED), Some(Message::HaveNone));
    assert_eq!(first(&[], [0; 8]), None);
    assert_eq!(first(&[0, 1, 2], Handshake::RESERVED), Some(Message::HaveAll));
    let bits = Message::Bitfield(Bytes::from_static(&[0x40]));
    assert_eq!(first(&[1], Handshake::RESERVED), Some(bits.clone()));
    assert_eq!(first(&[1], [0; 8]), Some(bits));
}

#[test]
fn a_torrent_is_fetched_from_one_seed() {
    let mut table = Table::new(2, &[]);
    let outputs = table.seed(1);
    let asked = requests(&outputs, 1);
    assert_eq!(asked.len(), 8, "all blocks fit one pipeline: {asked:?}");
    let mut verified = Vec::new();
    for (at, block) in asked.into_iter().enumerate() {
        let outputs = table.give(1, block);
        assert!(
            matches!(outputs[0], Output::StoreBlock { conn: ConnId(1), block: b } if b == block)
        );
        let done = completed_pieces(&outputs);
        assert_eq!(done.len(), usize::from(at % 4 == 3));
        for (piece, _) in done {
            let input = Input::PieceStored { piece: PieceIndex(piece), block_digests: None };
            verified.extend(table.tell(input));
        }
    }
    assert!(verified.iter().any(|o| matches!(o, Output::Completed)));
    assert!(said(&verified, 1).contains(&&Message::NotInterested));
    // The seed hears of the last piece before it is let go, lest it call again.
    assert_eq!(dropped(&verified, 1), None);
    let outputs = table.wait(CHOKE_INTERVAL.as_secs());
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::NothingToExchange));
    assert_eq!(table.swarm.state(), State::Seeding);
    assert_eq!(table.swarm.left_bytes(), Some(0));
}

#[test]
fn nothing_is_announced_before_it_is_on_disk() {
    let mut table = Table::new(2, &[]);
    let asked = requests(&table.seed(1), 1);
    table.connect(2);
    let mut outputs = Vec::new();
    for block in asked.iter().take(4) {
        outputs.extend(table.give(1, *block));
    }
    let (piece, _) = completed_pieces(&outputs)[0];
    assert!(!said(&outputs, 2).iter().any(|m| matches!(m, Message::Have(_))));
    assert!(!table.swarm.have().get(PieceIndex(piece)));
    let stored = table.tell(Input::PieceStored { piece: PieceIndex(piece), block_digests: None });
    assert!(said(&stored, 2).contains(&&Message::Have(PieceIndex(piece))));
}

#[test]
fn the_rarest_piece_is_started_first() {
    let mut table = Table::new(40, &[0, 1, 2, 3]);
    // Everyone has everything but piece 30, which one has; it is not the first four's turn.
    for piece in 0..RANDOM_FIRST_PIECES {
        table.swarm.picker.add(PieceIndex(piece), Priority::Normal);
        table.swarm.picker.remove(PieceIndex(piece));
    }
    for n in 1..4 {
        table.connect(n);
        let mut bits = Bitfield::full(40);
        bits.set(PieceIndex(39), false);
        if n != 2 {
            bits.set(PieceIndex(30), false);
        }
        table.hear(n, Message::Bitfield(Bytes::copy_from_slice(bits.as_bytes())));
    }
    let asked = requests(&table.hear(2, Message::Unchoke), 2);
    assert!(asked[..4].iter().all(|b| b.piece == PieceIndex(30)), "{asked:?}");
}

/// As aria2 does when it has got several pieces at once.
#[test]
fn a_late_bitfield_counts_as_haves() {
    let mut table = Table::new(8, &[]);
    table.connect(1);
    table.hear(1, Message::HaveNone);
    table.hear(1, Message::Unchoke);
    let asked = requests(&table.hear(1, Message::Bitfield(Bytes::from_static(&[0x40]))), 1);
    assert!(asked.iter().all(|b| b.piece == PieceIndex(1)) && asked.len() == 4, "{asked:?}");
    // Nothing is taken back, and nothing is counted twice.
    let asked = requests(&table.hear(1, Message::Bitfield(Bytes::from_static(&[0x20]))), 1);
    assert!(asked.iter().all(|b| b.piece == PieceIndex(2)) && asked.len() == 4, "{asked:?}");
    assert_eq!(table.swarm.peers[&ConnId(1)].useful, 2);
    assert_eq!(dropped(&table.hear(1, Message::HaveAll), 1), None);
    assert!(table.swarm.peers[&ConnId(1)].is_seed());

    // Saying nothing new again and again is a flood in the end.
    let mut outputs = Vec::new();
    for _ in 0..10_000 {
        outputs.extend(table.hear(1, Message::HaveAll));
    }
    assert!(matches!(dropped(&outputs, 1), Some(DisconnectReason::Flood(_))));
}

#[test]
fn choked_orders_are_void_without_fast_and_wait_for_rejects_with_it() {
    let mut table = Table::new(1, &[]);
    table.connect_with(1, [0; 8]);
    table.hear(1, Message::Bitfield(Bytes::from_static(&[0x80])));
    assert_eq!(requests(&table.hear(1, Message::Unchoke), 1).len(), 4);
    table.seed(2);
    // All blocks are on order with 1, so 2 is only asked for copies, until 1 chokes us.
    let outputs = table.hear(1, Message::Choke);
    assert_eq!(table.swarm.peers[&ConnId(1)].orders.len(), 0);
    drop(outputs);

    let mut table = Table::new(1, &[]);
    let asked = requests(&table.seed(1), 1);
    table.hear(1, Message::Choke);
    assert_eq!(table.swarm.peers[&ConnId(1)].orders.len(), 4);
    for block in asked {
        table.hear(1, Message::Reject(block));
    }
    assert_eq!(table.swarm.peers[&ConnId(1)].orders.len(), 0);
    assert_eq!(requests(&table.seed(2), 2).len(), 4);
}

#[test]
fn the_endgame_orders_copies_and_cancels_them() {
    let mut table = Table::new(1, &[]);
    let asked = requests(&table.seed(1), 1);
    // Who has shown nothing yet is taken to be as fast as the first: only what that one would send last
    // is likely to come sooner.
    let mut copies = requests(&table.seed(2), 2);
    assert_eq!(copies, asked[3..]);
    // The first one stalls.
    copies.extend(requests(&table.wait(10), 2));
    copies.sort();
    assert_eq!(copies, asked);
    let outputs = table.give(2, asked[0]);
    assert!(said(&outputs, 1).contains(&&Message::Cancel(asked[0])));
    // The first peer sends it all the same: it is not kept twice.
    let outputs = table.give(1, asked[0]);
    assert!(!outputs.iter().any(|o| matches!(o, Output::StoreBlock { .. })));
    assert_eq!(table.swarm.stats(table.now).wasted_bytes, u64::from(BLOCK_SIZE));
}

#[test]
fn a_lost_peers_blocks_are_ordered_elsewhere() {
    let mut table = Table::new(8, &[]);
    assert_eq!(requests(&table.seed(1), 1).len(), PIPELINE_MIN);
    table.seed(2);
    let outputs = table.tell(Input::Disconnected { conn: ConnId(1) });
    let all = table.swarm.peers[&ConnId(2)].orders.len();
    assert_eq!(all, PIPELINE_MIN, "{outputs:?}");
}

#[test]
fn what_came_from_whom_is_remembered() {
    let mut table = Table::new(8, &[]);
    let came = |table: &mut Table| {
        let asked = requests(&table.seed(1), 1);
        table.give(1, asked[0]);
        table.give(1, asked[1]);
        table.connect(2);
        for n in [1, 2] {
            table.tell(Input::Disconnected { conn: ConnId(n) });
        }
        let departed: Vec<_> =
            table.swarm.departed().map(|peer| (peer.id, peer.downloaded_bytes)).collect();
        departed
    };
    // Who gave nothing is not listed; who comes back is listed once, with all it ever gave.
    let first = came(&mut table);
    assert_eq!(first, [(peer_id(1), 2 * u64::from(BLOCK_SIZE))]);
    assert_eq!(came(&mut table), [(peer_id(1), 4 * u64::from(BLOCK_SIZE))]);
    assert!(table.swarm.peers.is_empty());
}

#[test]
fn a_snubbing_peer_loses_its_orders() {
    let mut table = Table::new(8, &[]);
    table.seed(1);
    // Honest but slow company, so that somebody can take over.
    table.seed(2);
    let outputs = table.wait(SNUBBED_AFTER.as_secs() + 2);
    assert!(table.swarm.peers[&ConnId(1)].snubs_us);
    let cancels = said(&outputs, 1).iter().filter(|m| matches!(m, Message::Cancel(_))).count();
    assert!(cancels >= PIPELINE_MIN - PIPELINE_SNUBBED, "{cancels}");
    // It moves again: it is given orders again.
    let block = table.swarm.peers[&ConnId(1)].orders[0].block;
    let outputs = table.give(1, block);
    assert!(!table.swarm.peers[&ConnId(1)].snubs_us);
    assert!(!requests(&outputs, 1).is_empty());
}

#[test]
fn the_only_sender_of_a_corrupt_piece_is_banned_at_once() {
    let mut table = Table::new(1, &[]);
    for block in requests(&table.seed(1), 1) {
        table.give(1, block);
    }
    let block_digests = digests(b"abxd");
    let outputs = table.tell(Input::PieceCorrupt { piece: PieceIndex(0), block_digests });
    assert_eq!(bans(&outputs), [addr(1).ip()]);
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::BadData));
    let again = table.connect(1);
    assert_eq!(dropped(&again, 1), Some(DisconnectReason::Banned));
    assert_eq!(requests(&table.seed(2), 2).len(), 4);
}

#[test]
fn among_several_senders_the_liar_is_found_and_only_the_liar() {
    let mut table = Table::new(1, &[]);
    let asked = requests(&table.seed(1), 1);
    table.seed(2);
    for block in &asked[..2] {
        table.give(1, *block);
    }
    for block in &asked[2..] {
        table.give(2, *block);
    }
    table.seed(3);
    let block_digests = digests(b"abxd");
    let outputs = table.tell(Input::PieceCorrupt { piece: PieceIndex(0), block_digests });
    assert_eq!(bans(&outputs), Vec::<IpAddr>::new());
    // Fetched again, all of it, from the one that had no hand in it.
    assert_eq!(requests(&outputs, 3).len(), 4);
    assert!(requests(&outputs, 1).is_empty() && requests(&outputs, 2).is_empty());
    let mut outputs = Vec::new();
    for n in 0..4 {
        outputs.extend(table.give(3, block(0, n)));
    }
    assert_eq!(completed_pieces(&outputs), [(0, true)]);
    let block_digests = Some(digests(b"abcd"));
    let outputs = table.tell(Input::PieceStored { piece: PieceIndex(0), block_digests });
    assert_eq!(bans(&outputs), [addr(2).ip()]);
}

#[test]
fn uploads_are_answered_once_each_and_bounded() {
    let mut table = Table::new(200, &(0..200).collect::<Vec<_>>());
    table.connect(1);
    table.hear(1, Message::HaveNone);
    let outputs = table.hear(1, Message::Interested);
    assert!(said(&outputs, 1).contains(&&Message::Unchoke), "a free slot is given at once");
    let mut outputs = Vec::new();
    for piece in 0..200 {
        for n in 0..4 {
            outputs.extend(table.hear(1, Message::Request(block(piece, n))));
        }
    }
    let sending = |outputs: &[Output]| {
        outputs.iter().filter(|o| matches!(o, Output::SendBlock { .. })).count() as u32
    };
    assert_eq!(sending(&outputs), SEND_AHEAD_MAX / BLOCK_SIZE);
    let outputs = table.tell(Input::BlockSent { conn: ConnId(1), block: block(0, 0) });
    assert_eq!(sending(&outputs), 1);
    assert_eq!(table.swarm.transferred_bytes().1, u64::from(BLOCK_SIZE));
    // A cancel of what waits is answered with a reject (BEP 6).
    let outputs = table.hear(1, Message::Cancel(block(199, 3)));
    assert_eq!(said(&outputs, 1), [&Message::Reject(block(199, 3))]);
    // Losing interest ends it: the rest is refused.
    let outputs = table.hear(1, Message::NotInterested);
    let rejects = said(&outputs, 1).iter().filter(|m| matches!(m, Message::Reject(_))).count();
    let peer = &table.swarm.peers[&ConnId(1)];
    // But for the few pieces that it may have while choked.
    assert!(peer.wanted_by_it.iter().all(|b| peer.may_have_fast.contains(&b.piece)));
    assert_eq!(rejects + peer.wanted_by_it.len() + peer.sending.len(), 800 - 2);
    assert!(rejects > 600, "{rejects}");
}

#[test]
fn requests_that_cannot_be_met_are_refused_and_a_flood_of_them_ends_it() {
    let mut table = Table::new(4, &[0]);
    table.connect(1);
    table.hear(1, Message::HaveNone);
    table.hear(1, Message::Interested);
    let absurd = [
        block(1, 0),
        block(9, 0),
        BlockRef { begin: u32::MAX, ..block(0, 0) },
        BlockRef { len: 0, ..block(0, 0) },
        BlockRef { len: u32::MAX, ..block(0, 0) },
        BlockRef { begin: BLOCK_SIZE * 3 + 1, ..block(0, 0) },
    ];
    for block in absurd {
        let outputs = table.hear(1, Message::Request(block));
        assert_eq!(said(&outputs, 1), [&Message::Reject(block)], "{block:?}");
    }
    let flood = (0..=WASTE_BURST).find_map(|_| {
        let outputs = table.hear(1, Message::Request(block(1, 0)));
        dropped(&outputs, 1)
    });
    assert!(matches!(flood, Some(DisconnectReason::Flood(_))), "{flood:?}");
}

#[test]
fn rules_of_the_protocol_are_enforced() {
    let broken = |messages: Vec<Message>, reserved| {
        let mut table = Table::new(10, &[]);
        table.connect_with(1, reserved);
        messages.into_iter().find_map(|m| dropped(&table.hear(1, m), 1))
    };
    let bits = |bytes: &'static [u8]| Message::Bitfield(Bytes::from_static(bytes));
    for messages in [
        vec![bits(&[0xff])],
        vec![bits(&[0xff, 0xff])],
        vec![bits(&[0xff, 0x80]), bits(&[0xff, 0xff])],
        vec![Message::Have(PieceIndex(10))],
        vec![Message::Extended { id: 0, payload: Bytes::from_static(b"nonsense") }],
    ] {
        let reason = broken(messages.clone(), Handshake::RESERVED);
        assert!(matches!(reason, Some(DisconnectReason::ProtocolViolation(_))), "{messages:?}");
    }
    for message in [
        Message::HaveAll,
        Message::HaveNone,
        Message::AllowedFast(PieceIndex(0)),
        Message::Reject(block(0, 0)),
    ] {
        let reason = broken(vec![message.clone()], [0; 8]);
        assert!(matches!(reason, Some(DisconnectReason::ProtocolViolation(_))), "{message:?}");
    }
}

#[test]
fn silence_is_kept_alive_and_then_ended() {
    let mut table = Table::new(1, &[0]);
    table.connect(1);
    let outputs = table.wait(KEEP_ALIVE_AFTER.as_secs() + 1);
    assert!(said(&outputs, 1).contains(&&Message::KeepAlive));
    assert_eq!(dropped(&outputs, 1), None);
    let outputs = table.wait(IDLE_AFTER.as_secs());
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Idle));
}

#[test]
fn an_idle_swarm_asks_for_no_wake_up() {
    let mut table = Table::new(1, &[0]);
    // It looks for somebody to give to, ever more rarely, and then gives up.
    let asked = table.wait(2000).iter().filter(|o| matches!(o, Output::FindPeers)).count();
    assert_eq!(asked as u32, 1 + ASKED_IN_VAIN_MAX);
    assert_eq!(table.swarm.poll_timeout(), None);
}

#[test]
fn of_two_connections_between_the_same_peers_both_sides_keep_the_same_one() {
    // Our id is "-AL0100-…", smaller than "-XX…": theirs, the incoming one, stays.
    for ours_first in [true, false] {
        let mut table = Table::new(1, &[]);
        let reserved = Handshake::RESERVED;
        let handshake = Handshake { info_hash: table.info_hash, peer_id: peer_id(1), reserved };
        let ours = |conn| Input::Connected {
            conn: ConnId(conn),
            addr: addr(1),
            direction: Direction::Outgoing,
            transport: Transport::Tcp,
            handshake,
        };
        let theirs = |conn| Input::Connected {
            conn: ConnId(conn),
            addr: addr(1),
            direction: Direction::Incoming,
            transport: Transport::Tcp,
            handshake,
        };
        let (first, second) = if ours_first { (ours(1), theirs(2)) } else { (theirs(2), ours(1)) };
        let mut outputs = table.tell(first);
        outputs.extend(table.tell(second));
        assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Duplicate), "{ours_first}");
        assert_eq!(dropped(&outputs, 2), None, "{ours_first}");
    }
}

#[test]
fn who_comes_back_from_elsewhere_takes_the_place_of_its_lost_connection() {
    for exchanges in [false, true] {
        let mut table = Table::new(3, &[0]);
        table.connect(1);
        if exchanges {
            let outputs = table.hear(1, Message::Interested);
            assert!(said(&outputs, 1).contains(&&Message::Unchoke));
        }
        let again = |table: &mut Table, conn: u64| {
            let reserved = Handshake::RESERVED;
            let handshake = Handshake { info_hash: table.info_hash, peer_id: peer_id(1), reserved };
            let (conn, direction) = (ConnId(conn), Direction::Incoming);
            let transport = Transport::Tcp;
            let addr = addr(77);
            table.tell(Input::Connected { conn, addr, direction, transport, handshake })
        };
        table.wait(LOST_AFTER.as_secs() - 1);
        assert_eq!(dropped(&again(&mut table, 2), 2), Some(DisconnectReason::Duplicate));
        table.wait(1);
        let outputs = again(&mut table, 3);
        // One that has nothing to say is not lost.
        let gone = if exchanges { 1 } else { 3 };
        assert_eq!(dropped(&outputs, gone), Some(DisconnectReason::Duplicate), "{exchanges}");
        assert_eq!(dropped(&outputs, 4 - gone), None, "{exchanges}");
    }
}

#[test]
fn who_is_connected_is_not_called() {
    let called = |outputs: &[Output]| outputs.iter().any(|o| matches!(o, Output::Connect { .. }));
    let listens_at = SocketAddr::new(addr(1).ip(), 9);
    let found = Input::PeersFound { source: PeerSource::Tracker, peers: vec![listens_at] };
    let handshake = ExtensionHandshake { port: Some(9), ..ExtensionHandshake::default() };
    let says_where = Message::Extended { id: 0, payload: handshake.encode() };
    for named_first in [false, true] {
        let mut table = Table::new(1, &[]);
        table.connect(1);
        if named_first {
            // It is called, answers, and turns out to be the one that is here.
            assert!(called(&table.tell(found.clone())));
            let handshake = Handshake {
                info_hash: table.info_hash,
                peer_id: peer_id(1),
                reserved: Handshake::RESERVED,
            };
            let (conn, direction) = (ConnId(2), Direction::Outgoing);
            let outputs = table.tell(Input::Connected {
                conn,
                addr: listens_at,
                direction,
                transport: Transport::Tcp,
                handshake,
            });
            assert_eq!(dropped(&outputs, 2), Some(DisconnectReason::Duplicate));
            table.tell(Input::Disconnected { conn });
        } else {
            table.hear(1, says_where.clone());
            assert!(!called(&table.tell(found.clone())));
        }
        assert!(!called(&table.wait(100)));
        // Once it is gone, it may be.
        table.tell(Input::Disconnected { conn: ConnId(1) });
        assert!(called(&table.wait(100)));
    }
}

#[test]
fn ourselves_are_not_called_again() {
    let mut table = Table::new(1, &[]);
    let found = Input::PeersFound { source: PeerSource::Tracker, peers: vec![addr(1)] };
    let outputs = table.tell(found.clone());
    assert!(matches!(outputs[..], [Output::Connect { .. }]));
    let reserved = Handshake::RESERVED;
    let handshake = Handshake { info_hash: table.info_hash, peer_id: our_id(), reserved };
    let (conn, direction) = (ConnId(1), Direction::Outgoing);
    let outputs = table.tell(Input::Connected {
        conn,
        addr: addr(1),
        direction,
        transport: Transport::Tcp,
        handshake,
    });
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::OurOwnId));
    let outputs = [table.wait(10_000), table.tell(found)].concat();
    assert!(!outputs.iter().any(|o| matches!(o, Output::Connect { .. })));
}

#[test]
fn a_fault_stops_it_and_a_resume_goes_on() {
    let mut table = Table::new(2, &[1]);
    let asked = requests(&table.seed(1), 1);
    table.give(1, asked[0]);
    let fault = StorageFault::DiskFull { path: "box".into() };
    let outputs = table.tell(Input::StorageFault(fault.clone()));
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Stopped));
    assert!(outputs.iter().any(|o| matches!(o, Output::AbandonPiece { .. })));
    assert_eq!(table.swarm.state(), State::Faulted(Fault::Storage(fault)));
    assert_eq!(dropped(&table.connect(2), 2), Some(DisconnectReason::Stopped));
    table.tell(Input::Resume);
    assert!(table.swarm.have().get(PieceIndex(1)), "what was on disk still is");
    assert_eq!(requests(&table.seed(3), 3).len(), 4);
}

#[test]
fn answers_about_a_copy_given_up_change_nothing_in_the_new_one() {
    let begun_again = || {
        let mut table = Table::new(1, &[]);
        for block in requests(&table.seed(1), 1) {
            table.give(1, block);
        }
        table.tell(Input::StorageFault(StorageFault::DiskFull { path: "box".into() }));
        table.tell(Input::Resume);
        table.seed(2);
        table.give(2, block(0, 0));
        table
    };
    let block_digests = digests(b"abxd");
    let corrupt = Input::PieceCorrupt { piece: PieceIndex(0), block_digests };
    let outputs = begun_again().tell(corrupt);
    assert!(outputs.is_empty(), "{outputs:?}");
    let stored = Input::PieceStored { piece: PieceIndex(0), block_digests: None };
    let outputs = begun_again().tell(stored);
    assert!(matches!(outputs[0], Output::AbandonPiece { .. }), "{outputs:?}");
    assert!(outputs.iter().any(|o| matches!(o, Output::Completed)));
}

#[test]
fn pausing_keeps_what_is_in_progress() {
    let mut table = Table::new(1, &[]);
    let asked = requests(&table.seed(1), 1);
    table.give(1, asked[0]);
    let outputs = table.tell(Input::Pause);
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Stopped));
    assert_eq!(table.swarm.state(), State::Paused);
    table.tell(Input::Resume);
    assert_eq!(requests(&table.seed(2), 2), asked[1..]);
}

#[test]
fn a_recheck_forgets_and_starts_over() {
    let mut table = Table::new(2, &[0, 1]);
    table.tell(Input::Recheck);
    assert_eq!(table.swarm.state(), State::Checking);
    table.tell(Input::StorageReady { have: Bitfield::new(2) });
    assert_eq!(table.swarm.state(), State::Downloading);
    assert_eq!(requests(&table.seed(1), 1).len(), 8);
}

#[test]
fn only_selected_files_are_fetched() {
    let config = SwarmConfig {
        priorities: FilePriorities::all(Priority::Skip),
        ..SwarmConfig::new(our_id())
    };
    let mut table = Table::with(config, 2, &[]);
    assert_eq!(table.swarm.state(), State::Seeding);
    assert!(requests(&table.seed(1), 1).is_empty());
}

#[test]
fn connections_are_bounded_and_the_useless_make_room() {
    let config = SwarmConfig { connections_max: 2, ..SwarmConfig::new(our_id()) };
    let mut table = Table::with(config, 1, &[]);
    table.seed(1);
    table.connect(2);
    assert_eq!(dropped(&table.connect(3), 3), Some(DisconnectReason::TooManyConnections));
    table.wait(50);
    table.hear(2, Message::KeepAlive);
    table.wait(20);
    let outputs = table.connect(4);
    assert_eq!(dropped(&outputs, 2), Some(DisconnectReason::TooManyConnections));
    assert_eq!(dropped(&outputs, 4), None);
}

#[test]
fn a_reserved_piece_is_taken_from_who_refuses_or_chokes() {
    for refusal in [Message::Reject(block(0, 0)), Message::Choke] {
        let mut table = Table::new(1, &[]);
        table.seed(1);
        table.seed(2);
        for (n, part) in [(1, 0), (2, 1), (1, 2), (2, 3)] {
            table.give(n, block(0, part));
        }
        table.seed(3);
        let block_digests = digests(b"abxd");
        let owed: Vec<(u64, BlockRef)> = [1, 2]
            .into_iter()
            .flat_map(|n| table.swarm.peers[&ConnId(n)].orders.iter().map(move |o| (n, o.block)))
            .collect();
        let outputs = table.tell(Input::PieceCorrupt { piece: PieceIndex(0), block_digests });
        assert_eq!(requests(&outputs, 3).len(), 4, "of the one that had no hand in it");
        let mut outputs = table.hear(3, refusal);
        // What the others had been asked for in the endgame they refuse as they were told to.
        for (n, block) in owed {
            outputs.extend(table.hear(n, Message::Reject(block)));
        }
        let asked = requests(&outputs, 1).len() + requests(&outputs, 2).len();
        assert_eq!((asked, requests(&outputs, 3).len()), (4, 0));
    }
}

#[test]
fn who_refuses_everything_counts_as_snubbing() {
    let mut table = Table::new(100, &[]);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked.len(), PIPELINE_MIN);
    for block in asked {
        table.hear(1, Message::Reject(block));
    }
    assert!(table.swarm.peers[&ConnId(1)].snubs_us);
    assert_eq!(table.swarm.peers[&ConnId(1)].orders.len(), PIPELINE_SNUBBED);
}

#[test]
fn an_answer_over_utp_makes_sure_that_our_first_words_are_read() {
    for (transport, last_word) in
        [(Transport::Utp, Some(Message::KeepAlive)), (Transport::Tcp, None)]
    {
        let mut table = Table::new(1, &[0]);
        let handshake = Handshake {
            info_hash: table.info_hash,
            peer_id: peer_id(1),
            reserved: Handshake::RESERVED,
        };
        let (conn, direction) = (ConnId(1), Direction::Incoming);
        table.tell(Input::Connected { conn, addr: addr(1), direction, transport, handshake });
        let payload = ExtensionHandshake::default().encode();
        let outputs = table.hear(1, Message::Extended { id: 0, payload });
        assert_eq!(said(&outputs, 1).last().copied(), last_word.as_ref(), "{transport:?}");
    }
}

//! Peers naming peers (BEP 11), pieces that are lost (BEP 54), and pieces that are shown one at a
//! time (BEP 16).

use super::*;
use crate::wire::{
    DontHave, ExtensionHandshake, LT_DONTHAVE, PexFlags, PexMessage, PexPeer, UT_PEX,
};
use std::collections::BTreeMap;

/// The numbers under which the other side wants its extensions' messages.
const THEIR_PEX: u8 = 7;
const THEIR_DONTHAVE: u8 = 8;

impl Table {
    /// Connects a peer that listens at its address and knows the extensions.
    fn company(&mut self, n: u64) -> Vec<Output> {
        let mut outputs = self.connect(n);
        let extensions =
            BTreeMap::from([(UT_PEX.to_vec(), THEIR_PEX), (LT_DONTHAVE.to_vec(), THEIR_DONTHAVE)]);
        let handshake = ExtensionHandshake {
            extensions,
            port: Some(addr(n).port()),
            ..ExtensionHandshake::default()
        };
        let payload = handshake.encode();
        outputs.extend(self.hear(n, Message::Extended { id: 0, payload }));
        outputs
    }

    fn hear_pex(&mut self, n: u64, added: &[SocketAddr]) -> Vec<Output> {
        let id = self.our_id_for(n, UT_PEX);
        let peer = |addr: &SocketAddr| PexPeer { addr: *addr, flags: PexFlags::default() };
        let added = added.iter().map(peer).collect();
        let payload = PexMessage { added, dropped: Vec::new() }.encode();
        self.hear(n, Message::Extended { id, payload })
    }

    /// What we have told a peer to call an extension of ours.
    fn our_id_for(&self, _: u64, name: &[u8]) -> u8 {
        match name {
            UT_PEX => 2,
            LT_DONTHAVE => 3,
            _ => panic!("unknown"),
        }
    }

    fn lose(&mut self, n: u64, piece: u32) -> Vec<Output> {
        let id = self.our_id_for(n, LT_DONTHAVE);
        let payload = DontHave(PieceIndex(piece)).encode();
        self.hear(n, Message::Extended { id, payload })
    }
}

/// Peer exchange messages to one peer.
fn news(outputs: &[Output], n: u64) -> Vec<PexMessage> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Extended { id: THEIR_PEX, payload } => PexMessage::parse(payload).ok(),
            _ => None,
        })
        .collect()
}

fn haves(outputs: &[Output], n: u64) -> Vec<u32> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Have(piece) => Some(piece.0),
            _ => None,
        })
        .collect()
}

fn dont_haves(outputs: &[Output], n: u64) -> Vec<u32> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Extended { id: THEIR_DONTHAVE, payload } => {
                DontHave::parse(payload).ok().map(|DontHave(piece)| piece.0)
            }
            _ => None,
        })
        .collect()
}

fn calls(outputs: &[Output]) -> Vec<SocketAddr> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Connect { addr } => Some(*addr),
            _ => None,
        })
        .collect()
}

fn addrs(message: &PexMessage) -> Vec<SocketAddr> {
    message.added.iter().map(|peer| peer.addr).collect()
}

#[test]
fn peers_are_told_of_each_other_once_a_minute_and_only_what_is_new() {
    let mut table = Table::new(3, &[0]);
    table.company(1);
    assert_eq!(news(&table.wait(30), 1), [], "there is nobody else");
    table.company(2);
    table.hear(2, Message::HaveAll);
    // Of one that never says where it listens nobody is told.
    table.connect(3);
    let outputs = table.wait(10);
    let told = news(&outputs, 1);
    assert_eq!(told.len(), 1);
    assert_eq!(addrs(&told[0]), [addr(2)]);
    assert!(told[0].added[0].flags.has(PexFlags::SEED));
    assert!(!told[0].added[0].flags.has(PexFlags::OUTGOING));
    assert_eq!(addrs(&news(&outputs, 2)[0]), [addr(1)]);
    table.company(4);
    assert_eq!(news(&table.wait(49), 1), [], "a minute has to pass");
    let told = news(&table.wait(21), 1);
    assert_eq!(told.iter().map(addrs).collect::<Vec<_>>(), [[addr(4)]]);
    // Whoever has gone is told of, and nothing else.
    table.tell(Input::Disconnected { conn: ConnId(2) });
    [1, 4].into_iter().for_each(|n| drop(table.hear(n, Message::KeepAlive)));
    let told = news(&table.wait(80), 1);
    assert_eq!(told, [PexMessage { added: Vec::new(), dropped: vec![addr(2)] }]);
    assert_eq!(news(&table.wait(60), 4), [] as [PexMessage; 0]);
}

#[test]
fn a_crowd_is_told_of_in_parts() {
    let mut config = SwarmConfig::new(our_id());
    config.connections_max = 500;
    let mut table = Table::with(config, 3, &[0]);
    for n in 1..=120 {
        table.company(n);
    }
    let mut met = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        // Silent peers would be let go of.
        (1..=120).for_each(|n| drop(table.hear(n, Message::KeepAlive)));
        for message in news(&table.wait(60), 1) {
            sizes.push(message.added.len());
            met.extend(addrs(&message));
        }
    }
    assert_eq!(sizes, [PEX_CONTACTS_MAX, PEX_CONTACTS_MAX, 19]);
    met.sort();
    met.dedup();
    assert_eq!(met.len(), 119);
}

#[test]
fn whom_a_peer_names_is_called() {
    let mut table = Table::new(3, &[]);
    table.company(1);
    let outputs = table.hear_pex(1, &[addr(50), SocketAddr::from(([127, 0, 0, 1], 80))]);
    assert_eq!(calls(&outputs), [addr(50)], "and nobody on our own machine");
    let handshake = Handshake {
        info_hash: table.info_hash,
        peer_id: peer_id(50),
        reserved: Handshake::RESERVED,
    };
    let direction = Direction::Outgoing;
    table.tell(Input::Connected {
        conn: ConnId(50),
        addr: addr(50),
        direction,
        transport: Transport::Tcp,
        handshake,
    });
    let source = |n| table.swarm.peers(table.now).iter().find(|p| p.conn.0 == n)?.source;
    assert_eq!(source(50), Some(PeerSource::Pex));
    assert_eq!(source(1), Some(PeerSource::Incoming));
}

#[test]
fn who_names_too_often_is_let_go_of() {
    let mut table = Table::new(3, &[]);
    table.company(1);
    let mut ended = None;
    for n in 0..u64::from(PEX_EARLY_MAX) + 2 {
        assert_eq!(ended, None, "after {n}");
        ended = dropped(&table.hear_pex(1, &[]), 1);
    }
    assert_eq!(ended, Some(DisconnectReason::Flood("peer exchange messages")));
    // One a minute is decent, for ever.
    table.company(2);
    for _ in 0..50 {
        assert_eq!(dropped(&table.hear_pex(2, &[]), 2), None);
        table.wait(60);
    }
}

/// A private torrent of one piece, nothing of it here.
pub(super) fn private(config: SwarmConfig) -> Table {
    let mut info = Encoder::new();
    let piece_length = BLOCKS_PER_PIECE * BLOCK_SIZE;
    info.dict(|info| {
        info.key(b"length").int(i64::from(piece_length));
        info.key(b"name").bytes(b"box");
        info.key(b"piece length").int(i64::from(piece_length));
        info.key(b"pieces").bytes(&[0; 20]);
        info.key(b"private").int(1);
    });
    let mut out = Encoder::new();
    out.dict(|out| out.key(b"info").raw(&info.finish()));
    let metainfo = Arc::new(Metainfo::parse(&out.finish()).expect("a valid torrent"));
    let now = Instant::ORIGIN + Duration::from_secs(1000);
    let info_hash = metainfo.info_hashes().primary();
    let source = Source::Metainfo(metainfo);
    let swarm = Swarm::new(now, config, Seed::from_u64(1), source, false);
    let mut table = Table { swarm, now, info_hash, pieces: 1 };
    table.tell(Input::StorageReady { have: Bitfield::new(1) });
    table
}

#[test]
fn another_tracker_has_other_peers() {
    let mut table = private(SwarmConfig::new(our_id()));
    let found = |n, source| Input::PeersFound { source, peers: vec![addr(n)] };
    assert_eq!(calls(&table.tell(found(1, PeerSource::Tracker))), [addr(1)]);
    assert_eq!(calls(&table.tell(found(2, PeerSource::Tracker))), [addr(2)]);
    assert_eq!(calls(&table.tell(found(3, PeerSource::Manual))), [addr(3)]);
    let called = |table: &mut Table, n| {
        let info_hash = table.info_hash;
        let reserved = Handshake::RESERVED;
        let handshake = Handshake { info_hash, peer_id: peer_id(n), reserved };
        let (conn, direction) = (ConnId(n), Direction::Outgoing);
        table.tell(Input::Connected {
            conn,
            addr: addr(n),
            direction,
            transport: Transport::Tcp,
            handshake,
        })
    };
    called(&mut table, 1);
    table.connect(4);
    let outputs = table.tell(Input::TrackerChanged);
    assert_eq!([1, 4].map(|n| dropped(&outputs, n)), [Some(DisconnectReason::TrackerChanged); 2]);
    // Whoever was being called then is not kept, but for the one that the user named.
    assert_eq!(dropped(&called(&mut table, 2), 2), Some(DisconnectReason::TrackerChanged));
    assert_eq!(dropped(&called(&mut table, 3), 3), None);
    assert_eq!(calls(&table.wait(60)), []);
    // The next tracker may well know one of them.
    assert_eq!(calls(&table.tell(found(1, PeerSource::Tracker))), [addr(1)]);
    assert_eq!(dropped(&called(&mut table, 1), 1), None);
}

#[test]
fn of_a_private_torrent_nobody_is_told() {
    let mut table = private(SwarmConfig::new(our_id()));
    let outputs = table.company(1);
    table.company(2);
    let Some(Message::Extended { id: 0, payload }) =
        said(&outputs, 1).into_iter().find(|m| matches!(m, Message::Extended { .. }))
    else {
        panic!("no handshake")
    };
    assert_eq!(ExtensionHandshake::parse(payload).expect("bencode").id(UT_PEX), None);
    assert_eq!(news(&table.wait(120), 1), []);
    assert_eq!(calls(&table.hear_pex(1, &[addr(50)])), []);
}

#[test]
fn what_a_peer_has_lost_is_asked_of_others() {
    let mut table = Table::new(2, &[]);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked.len(), 8);
    let lost = asked[0].piece;
    table.lose(1, lost.0);
    let again = requests(&table.seed(2), 2);
    assert!(again.len() >= 4 && again[..4].iter().all(|b| b.piece == lost), "{again:?}");
    assert_eq!(table.swarm.availability()[lost.0 as usize], 1);
    // It may still answer what was asked before.
    assert!(matches!(table.give(1, asked[0])[..], [Output::StoreBlock { .. }, ..]));
    // And have it again.
    table.hear(1, Message::Have(lost));
    assert_eq!(table.swarm.availability()[lost.0 as usize], 2);
    assert_eq!(
        dropped(&table.lose(1, 99), 1),
        Some(DisconnectReason::ProtocolViolation("a piece that does not exist"))
    );
}

#[test]
fn a_peer_that_loses_all_that_we_want_is_of_no_interest() {
    let mut table = Table::new(1, &[]);
    table.connect_with(1, [0; 8]);
    table.hear(1, Message::Bitfield(Bytes::from_static(&[0x80])));
    assert_eq!(requests(&table.hear(1, Message::Unchoke), 1).len(), 4);
    let outputs = table.lose(1, 0);
    assert!(said(&outputs, 1).contains(&&Message::NotInterested));
    assert_eq!(table.swarm.stats(table.now).blocks_on_order, 0);
    let flapping = (0..WASTE_BURST * 2).find_map(|_| {
        table.hear(1, Message::Have(PieceIndex(0)));
        dropped(&table.lose(1, 0), 1)
    });
    assert_eq!(flapping, Some(DisconnectReason::Flood("don't-have messages")));
}

#[test]
fn what_we_have_lost_is_said_and_fetched_again() {
    let mut table = Table::new(3, &[0, 1, 2]);
    table.company(1);
    table.hear(1, Message::HaveNone);
    table.hear(1, Message::Interested);
    table.connect(2);
    table.connect_with(3, [0; 8]);
    let outputs = table.tell(Input::PiecesLost { pieces: vec![PieceIndex(1)] });
    assert_eq!(dont_haves(&outputs, 1), [1]);
    assert_eq!(dropped(&outputs, 2), None, "it hears when it asks");
    assert_eq!(dropped(&outputs, 3), Some(DisconnectReason::Outdated));
    assert_eq!(table.swarm.state(), State::Downloading);
    let outputs = table.hear(1, Message::Request(block(1, 0)));
    assert_eq!(said(&outputs, 1), [&Message::Reject(block(1, 0))]);
    let asked = requests(&table.seed(4), 4);
    assert_eq!(asked, (0..4).map(|n| block(1, n)).collect::<Vec<_>>());
}

#[test]
fn after_a_check_peers_hear_what_has_changed() {
    let mut table = Table::new(4, &[0, 1]);
    table.company(1);
    table.hear(1, Message::Bitfield(Bytes::from_static(&[0x30])));
    table.hear(1, Message::Unchoke);
    let outputs = table.tell(Input::Recheck);
    assert_eq!(dropped(&outputs, 1), None);
    let taken_back = said(&outputs, 1).iter().filter(|m| matches!(m, Message::Cancel(_))).count();
    assert_eq!(taken_back, 8);
    assert_eq!(table.swarm.stats(table.now).pieces_in_progress, 0);
    let mut have = Bitfield::new(4);
    have.set(PieceIndex(1), true);
    have.set(PieceIndex(2), true);
    let outputs = table.tell(Input::StorageReady { have });
    assert_eq!(dont_haves(&outputs, 1), [0]);
    assert_eq!(haves(&outputs, 1), [2]);
    assert_eq!(requests(&outputs, 1).iter().map(|b| b.piece.0).max(), Some(3));
}

fn super_seed(pieces: u32) -> Table {
    let mut config = SwarmConfig::new(our_id());
    config.super_seed = true;
    let all: Vec<u32> = (0..pieces).collect();
    Table::with(config, pieces, &all)
}

#[test]
fn a_super_seed_shows_one_piece_and_the_next_when_it_is_elsewhere() {
    // Pieces of 64 KiB: eight of them are shown at a time, so there are more.
    let mut table = super_seed(40);
    let ahead = (SUPER_SEED_AHEAD_BYTES / (BLOCKS_PER_PIECE * BLOCK_SIZE)) as usize;
    let outputs = table.company(1);
    assert_eq!(said(&outputs, 1)[0], &Message::HaveNone);
    assert!(table.swarm.stats(table.now).super_seeding);
    let first = haves(&table.hear(1, Message::HaveNone), 1);
    assert_eq!(first.len(), ahead);
    table.company(2);
    let second = haves(&table.hear(2, Message::HaveNone), 2);
    assert!(second.iter().all(|piece| !first.contains(piece)), "{first:?} {second:?}");
    // What was not shown is not given.
    table.hear(1, Message::Interested);
    let hidden = Message::Request(block(second[0], 0));
    assert_eq!(said(&table.hear(1, hidden), 1), [&Message::Reject(block(second[0], 0))]);
    let outputs = table.hear(1, Message::Request(block(first[0], 0)));
    assert!(outputs.iter().any(|o| matches!(o, Output::SendBlock { .. })));
    // The owner's own word brings nothing, another's does.
    assert_eq!(haves(&table.hear(1, Message::Have(PieceIndex(first[0]))), 1), []);
    let outputs = table.hear(2, Message::Have(PieceIndex(first[0])));
    let next = haves(&outputs, 1);
    assert_eq!(next.len(), 1);
    assert!(!first.contains(&next[0]) && !second.contains(&next[0]));
    assert_eq!(haves(&outputs, 2), []);
}

#[test]
fn who_is_alone_with_a_super_seed_need_not_wait() {
    let mut table = super_seed(40);
    table.company(1);
    let shown = haves(&table.hear(1, Message::HaveNone), 1);
    table.hear(1, Message::Interested);
    let mut outputs = Vec::new();
    for n in 0..BLOCKS_PER_PIECE {
        let block = block(shown[0], n);
        table.hear(1, Message::Request(block));
        outputs.extend(table.tell(Input::BlockSent { conn: ConnId(1), block }));
    }
    // It says nothing, because we seem to have the piece; that it was sent is enough.
    assert_eq!(haves(&outputs, 1).len(), 1);
}

#[test]
fn a_super_seed_does_not_wait_for_ever() {
    let mut table = super_seed(40);
    table.company(1);
    let shown = haves(&table.hear(1, Message::HaveNone), 1);
    table.company(2);
    table.hear(2, Message::HaveNone);
    table.hear(1, Message::Have(PieceIndex(shown[0])));
    assert_eq!(haves(&table.wait(50), 1), []);
    assert_eq!(haves(&table.wait(20), 1).len(), 1);
}

#[test]
fn super_seeding_ends_when_copies_are_out() {
    let mut table = super_seed(12);
    for n in 1..=3 {
        table.company(n);
        table.hear(n, Message::HaveNone);
    }
    table.connect_with(4, [0; 8]);
    for piece in 0..12 {
        table.hear(1, Message::Have(PieceIndex(piece)));
    }
    let mut known = haves(&table.wait(10), 4);
    assert!(table.swarm.stats(table.now).super_seeding, "one copy is not enough");
    for piece in 0..12 {
        known.extend(haves(&table.hear(2, Message::Have(PieceIndex(piece))), 4));
    }
    let outputs = table.wait(10);
    assert!(!table.swarm.stats(table.now).super_seeding);
    // Everybody learns of everything.
    known.extend(haves(&outputs, 4));
    known.sort_unstable();
    assert_eq!(known, (0..12).collect::<Vec<_>>());
    assert!(said(&outputs, 3).iter().any(|m| matches!(m, Message::AllowedFast(_))));
    let first = said(&table.company(5), 5)[0].clone();
    assert_eq!(first, Message::HaveAll);
}

#[test]
fn super_seeding_can_be_switched() {
    let mut table = Table::new(12, &(0..12).collect::<Vec<_>>());
    table.company(1);
    let outputs = table.tell(Input::SuperSeed(true));
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::Outdated));
    assert_eq!(calls(&outputs), [addr(1)]);
    table.company(2);
    let shown = haves(&table.hear(2, Message::HaveNone), 2);
    assert!(shown.len() < 12);
    let rest = haves(&table.tell(Input::SuperSeed(false)), 2);
    assert_eq!(shown.len() + rest.len(), 12);
    assert!(!table.swarm.stats(table.now).super_seeding);
    // Whoever still fetches does not super-seed.
    let mut table = super_seed(3);
    table.tell(Input::PiecesLost { pieces: vec![PieceIndex(0)] });
    assert!(!table.swarm.stats(table.now).super_seeding);
}

#[test]
fn shares_follow_the_weights() {
    let mut config = SwarmConfig::new(our_id());
    config.choker = ChokerKind::Proportional;
    // One piece is missing, so that it is no seed.
    let have: Vec<u32> = (0..99).collect();
    let mut table = Table::with(config, 100, &have);
    // Two peers that give, one three times as fast.
    for n in [1, 2] {
        table.connect(n);
        table.hear(n, Message::Bitfield(Bytes::from(vec![0; 13])));
        table.hear(n, Message::Interested);
    }
    let mut sent = [0u32; 2];
    let mut under_way: VecDeque<(ConnId, BlockRef)> = VecDeque::new();
    let mut asked = [0u32; 2];
    for second in 0..60u64 {
        for n in [1u64, 2] {
            // Nobody ordered them, but they were given.
            for _ in 0..if n == 1 { 3 } else { 1 } {
                table.give(n, BlockRef { piece: PieceIndex(99), begin: 1, len: BLOCK_SIZE });
            }
            for _ in 0..200 {
                let next = &mut asked[n as usize - 1];
                let wanted = block(*next / 4 % 99, *next % 4);
                *next += 1;
                for output in table.hear(n, Message::Request(wanted)) {
                    if let Output::SendBlock { conn, block } = output {
                        under_way.push_back((conn, block));
                    }
                }
            }
        }
        // A link that sends forty blocks a second, in turns.
        for _ in 0..40 {
            let Some((conn, block)) = under_way.pop_front() else { break };
            if second >= 20 {
                sent[conn.0 as usize - 1] += 1;
            }
            for output in table.tell(Input::BlockSent { conn, block }) {
                if let Output::SendBlock { conn, block } = output {
                    under_way.push_back((conn, block));
                }
            }
        }
        for output in table.wait(1) {
            if let Output::SendBlock { conn, block } = output {
                under_way.push_back((conn, block));
            }
        }
    }
    let ratio = f64::from(sent[0]) / f64::from(sent[1]);
    assert!((2.5..3.5).contains(&ratio), "{sent:?}");
    assert_eq!(sent.iter().sum::<u32>(), 40 * 40, "the link is never idle");
}

#[test]
fn a_seed_that_has_enough_to_give_to_calls_only_whom_the_user_names() {
    let mut table = Table::new(4, &[0, 1, 2, 3]);
    let wants = |table: &mut Table, n| {
        table.connect(n);
        table.hear(n, Message::Interested);
    };
    (1..PEERS_ENOUGH as u64).for_each(|n| wants(&mut table, n));
    let found = |n, source| Input::PeersFound { source, peers: vec![addr(n)] };
    assert_eq!(calls(&table.tell(found(101, PeerSource::Tracker))), [addr(101)]);
    wants(&mut table, PEERS_ENOUGH as u64);
    assert_eq!(calls(&table.tell(found(102, PeerSource::Tracker))), []);
    assert_eq!(calls(&table.tell(found(103, PeerSource::Manual))), [addr(103)]);
    // Two thirds of those take nothing.
    let called = calls(&table.wait(60));
    assert!(called.contains(&addr(102)), "{called:?}");
}

#[test]
fn a_seed_whose_peers_are_through_calls_others() {
    let mut table = Table::new(4, &[0, 1, 2, 3]);
    for n in 1..=PEERS_ENOUGH as u64 {
        table.connect(n);
        table.hear(n, Message::Interested);
    }
    let found = Input::PeersFound { source: PeerSource::Tracker, peers: vec![addr(101)] };
    assert_eq!(calls(&table.tell(found)), []);
    table.hear(1, Message::NotInterested);
    assert_eq!(calls(&table.wait(CHOKE_INTERVAL.as_secs())), [addr(101)]);
}

//! The hot functions of the protocol, each run so and so often, for an instruction counter.
//!
//! `cargo xtask count` runs each case twice under valgrind, with different numbers of turns, and takes
//! the difference, so that starting up does not count.

use althing_base::bencode::{Document, Limits};
use althing_base::time::Duration;
use althing_base::{Instant, Machine as _, Rng, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::{
    ConnId, Direction, Input, Output, Source, Swarm, SwarmConfig, Transport,
};
use althing_bittorrent::wire::mse::Rc4;
use althing_bittorrent::wire::{
    BLOCK_HEADER_LEN, DecodeLimits, Decoded, Handshake, Message, decode, encode_block_header,
};
use althing_bittorrent::{Bitfield, BlockRef, PeerId, PieceIndex};
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;

const BLOCK: u32 = 16 * 1024;
const PIECES: u32 = 4096;
const PIECE: u32 = 16 * BLOCK;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, turns] = &arguments[..] else { panic!("usage: count CASE TURNS") };
    let turns = turns.parse().expect("a number of turns");
    match case.as_str() {
        "decode_have" => decode_have(turns),
        "decode_block" => decode_block(turns),
        "encode_request" => encode_request(turns),
        "bencode_parse" => bencode_parse(turns),
        "metainfo_parse" => metainfo_parse(turns),
        "swarm_block" => swarm_block(turns),
        "swarm_request" => swarm_request(turns),
        "swarm_first_block" => swarm_first_block(turns),
        "choke_fetching_500" => choke(turns, 500, false),
        "choke_seeding_50" => choke(turns, 50, true),
        "choke_seeding_500" => choke(turns, 500, true),
        "bitfield_ones" => bitfield_ones(turns),
        "rc4_block" => rc4_block(turns),
        other => panic!("there is no case {other}"),
    }
}

/// A v1 torrent of 1 GiB in pieces of 256 KiB.
fn torrent_bytes() -> Vec<u8> {
    let mut hashes = vec![0; PIECES as usize * 20];
    Rng::new(Seed::from_u64(1)).fill(&mut hashes);
    let head = format!(
        "d4:infod6:lengthi{}e4:name1:a12:piece lengthi{PIECE}e6:pieces{}:",
        u64::from(PIECES) * u64::from(PIECE),
        hashes.len()
    );
    [head.as_bytes(), &hashes, b"ee"].concat()
}

fn decode_have(turns: u32) {
    let mut bytes = Vec::new();
    Message::Have(PieceIndex(77)).encode(&mut bytes);
    let limits = DecodeLimits::default();
    for _ in 0..turns {
        let decoded = decode(black_box(&bytes), &limits).expect("valid");
        assert!(matches!(black_box(decoded), Decoded::Message { .. }));
    }
}

fn decode_block(turns: u32) {
    let block = BlockRef { piece: PieceIndex(3), begin: BLOCK, len: BLOCK };
    let mut bytes = encode_block_header(block).to_vec();
    bytes.resize(BLOCK_HEADER_LEN + BLOCK as usize, 0);
    let limits = DecodeLimits::default();
    for _ in 0..turns {
        let decoded = decode(black_box(&bytes), &limits).expect("valid");
        assert!(matches!(black_box(decoded), Decoded::Block { .. }));
    }
}

fn rc4_block(turns: u32) {
    let mut cipher = Rc4::dropped(b"a key");
    let mut block = vec![0; BLOCK as usize];
    for _ in 0..turns {
        cipher.apply(black_box(&mut block));
    }
}

fn encode_request(turns: u32) {
    let block = BlockRef { piece: PieceIndex(3), begin: BLOCK, len: BLOCK };
    let mut bytes = Vec::with_capacity(64);
    for _ in 0..turns {
        bytes.clear();
        Message::Request(black_box(block)).encode(&mut bytes);
        black_box(&bytes);
    }
}

fn bencode_parse(turns: u32) {
    let entry = "d6:lengthi123e4:pathl3:one3:twoee";
    let text = format!("d5:filesl{}e4:name1:ae", entry.repeat(100));
    let limits = Limits::default();
    for _ in 0..turns {
        black_box(Document::parse(black_box(text.as_bytes()), &limits).expect("valid"));
    }
}

fn metainfo_parse(turns: u32) {
    let bytes = torrent_bytes();
    for _ in 0..turns {
        black_box(Metainfo::parse(black_box(&bytes)).expect("valid"));
    }
}

fn bitfield_ones(turns: u32) {
    let bits = Bitfield::full(PIECES);
    for _ in 0..turns {
        black_box(black_box(&bits).ones().filter(|piece| piece.0 % 7 == 0).count());
    }
}

/// A swarm at work.
struct Table {
    swarm: Swarm,
    now: Instant,
    /// What each has been asked for, of those that give while others choose.
    asked: BTreeMap<ConnId, VecDeque<BlockRef>>,
}

const PEER: ConnId = ConnId(1);

impl Table {
    /// A swarm that has these pieces, and one peer.
    fn new(have: Bitfield) -> Table {
        Table::crowded(have, 1, 8)
    }

    /// The same with more peers, eight of each network, and so many slots.
    fn crowded(have: Bitfield, peers: u16, slots: usize) -> Table {
        let metainfo = Arc::new(Metainfo::parse(&torrent_bytes()).expect("valid"));
        let info_hash = metainfo.info_hashes().primary();
        let now = Instant::ORIGIN + Duration::from_secs(100);
        let mut config = SwarmConfig::new(PeerId(*b"-AL0100-000000000000"));
        config.connections_max = config.connections_max.max(peers.into());
        config.unchoke_slots = slots;
        let seed = Seed::from_u64(1);
        let swarm = Swarm::new(now, config, seed, Source::Metainfo(metainfo), false);
        let mut table = Table { swarm, now, asked: BTreeMap::new() };
        table.tell(Input::StorageReady { have });
        for n in 1..=peers {
            let [high, low] = n.to_be_bytes();
            let ip = [10, (n / 8) as u8, high, low];
            let mut id = *b"-XX0100-000000000000";
            id[18..].copy_from_slice(&[high, low]);
            table.tell(Input::Connected {
                conn: ConnId(n.into()),
                addr: (ip, 1).into(),
                direction: Direction::Incoming,
                transport: Transport::Tcp,
                handshake: Handshake::new(info_hash, PeerId(id), false),
            });
        }
        table
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.swarm.poll_output()).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.swarm.handle_input(self.now, input);
        self.drain()
    }

    fn hear(&mut self, message: Message) -> Vec<Output> {
        self.hear_from(PEER, message)
    }

    fn hear_from(&mut self, conn: ConnId, message: Message) -> Vec<Output> {
        self.tell(Input::Message { conn, message })
    }
}

/// A block comes, is kept and another one is asked for; each piece is found right at once.
fn swarm_block(turns: u32) {
    let mut table = Table::new(Bitfield::new(PIECES));
    let mut outputs = table.hear(Message::HaveAll);
    outputs.extend(table.hear(Message::Unchoke));
    let (mut on_order, mut whole) = (VecDeque::new(), VecDeque::new());
    for _ in 0..turns {
        // 100 MB/s.
        table.now += Duration::from_micros(160);
        loop {
            for output in outputs.drain(..) {
                match output {
                    Output::Send { message: Message::Request(block), .. } => {
                        on_order.push_back(block);
                    }
                    Output::CompletePiece { piece, .. } => whole.push_back(piece),
                    _ => {}
                }
            }
            let Some(piece) = whole.pop_front() else { break };
            outputs.extend(table.tell(Input::PieceStored { piece, block_digests: None }));
        }
        let block = on_order.pop_front().expect("something is on order");
        outputs.extend(table.tell(Input::Block { conn: PEER, block }));
    }
}

/// A seed and a peer that wants everything.
fn asked() -> Table {
    let mut table = Table::new(Bitfield::full(PIECES));
    table.hear(Message::HaveNone);
    table.hear(Message::Interested);
    table
}

/// A peer asks for a block, gets it, and it goes out: all blocks of one piece after the other.
fn swarm_request(turns: u32) {
    let mut table = asked();
    for turn in 0..turns {
        let (piece, block) = (turn / (PIECE / BLOCK), turn % (PIECE / BLOCK));
        give(&mut table, PieceIndex(piece % PIECES), block);
    }
}

/// The same, with the first block of each piece alone, which is when a seed looks who else has it.
fn swarm_first_block(turns: u32) {
    let mut table = asked();
    for turn in 0..turns {
        give(&mut table, PieceIndex(turn % PIECES), 0);
    }
}

fn give(table: &mut Table, piece: PieceIndex, number: u32) {
    let block = BlockRef { piece, begin: number * BLOCK, len: BLOCK };
    black_box(table.hear(Message::Request(block)));
    black_box(table.tell(Input::BlockSent { conn: PEER, block }));
}

/// Ten seconds of choosing among peers that all want something, fifty at a time. Every second one that
/// gets a slot takes a block at once, and no more; the others let theirs go to waste. While we fetch,
/// every third gives a block, too.
fn choke(turns: u32, peers: u16, seeds: bool) {
    let mut table = match seeds {
        true => Table::crowded(Bitfield::full(PIECES), peers, 50),
        false => {
            let mut have = Bitfield::new(PIECES);
            have.set(PieceIndex(0), true);
            Table::crowded(have, peers, 50)
        }
    };
    for n in 1..=peers {
        let conn = ConnId(n.into());
        table.hear_from(conn, Message::HaveNone);
        if !seeds && n % 3 == 0 {
            for piece in (0..4).map(|part| u32::from(n) * 4 + part) {
                table.hear_from(conn, Message::Have(PieceIndex(piece)));
            }
            let outputs = table.hear_from(conn, Message::Unchoke);
            take_slots(&mut table, outputs);
        }
        let outputs = table.hear_from(conn, Message::Interested);
        take_slots(&mut table, outputs);
    }
    for turn in 0..turns {
        let end = table.now + Duration::from_secs(10);
        while let Some((at, _)) = table.swarm.poll_timeout()
            && at <= end
        {
            table.now = at;
            table.swarm.handle_timeout(at);
            let outputs = table.drain();
            take_slots(&mut table, outputs);
        }
        table.now = end;
        // Who says nothing for long is dead.
        for n in 1..=peers {
            let conn = ConnId(n.into());
            if turn % 10 == 0 {
                table.hear_from(conn, Message::KeepAlive);
            }
            if let Some(block) = table.asked.get_mut(&conn).and_then(VecDeque::pop_front) {
                let outputs = table.tell(Input::Block { conn, block });
                take_slots(&mut table, outputs);
            }
        }
    }
}

/// Every second peer that has got a slot asks for a block and takes it. What peers are asked for is noted.
fn take_slots(table: &mut Table, mut outputs: Vec<Output>) {
    while let Some(output) = outputs.pop() {
        match output {
            Output::Send { conn, message: Message::Unchoke } if conn.0 % 2 == 0 => {
                let block = BlockRef { piece: PieceIndex(0), begin: 0, len: BLOCK };
                outputs.extend(table.hear_from(conn, Message::Request(block)));
            }
            Output::Send { conn, message: Message::Request(block) } => {
                table.asked.entry(conn).or_default().push_back(block);
            }
            Output::SendBlock { conn, block } => {
                outputs.extend(table.tell(Input::BlockSent { conn, block }));
            }
            Output::Disconnect { conn, reason } => panic!("{conn:?} was let go of: {reason:?}"),
            _ => {}
        }
    }
}

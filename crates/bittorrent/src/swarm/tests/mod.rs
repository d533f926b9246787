//! One swarm, driven by hand: what it says to what it is told. Whole swarms against each other
//! are the business of the `sim` crate.

mod application;
mod claims;
mod company;
mod dht;
mod elsewhere;
mod exchange;
mod guests;
mod hashes;
mod holepunch;
mod idlers;
mod liars;
mod metadata;
mod room;
mod slots;
mod suggest;
mod trust;
mod urgent;
mod web;
mod wishes;

use super::limits::*;
use super::*;
use crate::metainfo::FileIndex;
use crate::types::{BLOCK_SIZE, BlockRef, Priority};
use crate::wire::{Handshake, Message};
use althing_base::bencode::Encoder;
use althing_base::hash::{sha1, sha256};
use althing_base::{Sha1Digest, Sha256Digest};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

const BLOCKS_PER_PIECE: u32 = 4;

/// A v1 torrent of `pieces` pieces of four blocks; the hashes are of nothing in particular,
/// because the disk is played by the test.
fn torrent(pieces: u32) -> Metainfo {
    let mut info = Encoder::new();
    let piece_length = BLOCKS_PER_PIECE * BLOCK_SIZE;
    let hashes: Vec<u8> = (0..pieces).flat_map(|n| sha1(&n.to_be_bytes()).0).collect();
    info.dict(|info| {
        info.key(b"length").int(i64::from(pieces * piece_length));
        info.key(b"name").bytes(b"box");
        info.key(b"piece length").int(i64::from(piece_length));
        info.key(b"pieces").bytes(&hashes);
    });
    let mut out = Encoder::new();
    out.dict(|out| out.key(b"info").raw(&info.finish()));
    Metainfo::parse(&out.finish()).expect("a valid torrent")
}

fn our_id() -> PeerId {
    PeerId(*b"-AL0100-555555555555")
}

fn peer_id(n: u64) -> PeerId {
    let mut id = *b"-XX0000-000000000000";
    id[12..].copy_from_slice(&n.to_be_bytes());
    PeerId(id)
}

fn addr(n: u64) -> SocketAddr {
    SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 7000))
}

fn block(piece: u32, n: u32) -> BlockRef {
    BlockRef { piece: PieceIndex(piece), begin: n * BLOCK_SIZE, len: BLOCK_SIZE }
}

fn digests(tag: &[u8; BLOCKS_PER_PIECE as usize]) -> Vec<Sha256Digest> {
    tag.iter().map(|byte| sha256(&[*byte])).collect()
}

/// A swarm and its clock.
struct Table {
    swarm: Swarm,
    now: Instant,
    info_hash: Sha1Digest,
    pieces: u32,
}

impl Table {
    fn with(config: SwarmConfig, pieces: u32, have: &[u32]) -> Table {
        let metainfo = Arc::new(torrent(pieces));
        let now = Instant::ORIGIN + Duration::from_secs(1000);
        let info_hash = metainfo.info_hashes().primary();
        let source = Source::Metainfo(metainfo);
        let swarm = Swarm::new(now, config, Seed::from_u64(1), source, false);
        let mut table = Table { swarm, now, info_hash, pieces };
        let mut bits = Bitfield::new(pieces);
        for piece in have {
            bits.set(PieceIndex(*piece), true);
        }
        table.tell(Input::StorageReady { have: bits });
        table
    }

    fn new(pieces: u32, have: &[u32]) -> Table {
        Self::with(SwarmConfig::new(our_id()), pieces, have)
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.swarm.poll_output()).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.swarm.handle_input(self.now, input);
        self.drain()
    }

    /// Lets time pass, with every timeout on the way.
    fn wait(&mut self, secs: u64) -> Vec<Output> {
        let end = self.now + Duration::from_secs(secs);
        let mut outputs = Vec::new();
        while let Some((at, _)) = self.swarm.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.swarm.handle_timeout(self.now);
            outputs.extend(self.drain());
        }
        self.now = end;
        outputs
    }

    fn connect_with(&mut self, n: u64, reserved: [u8; 8]) -> Vec<Output> {
        let handshake = Handshake { info_hash: self.info_hash, peer_id: peer_id(n), reserved };
        let (conn, direction) = (ConnId(n), Direction::Incoming);
        self.tell(Input::Connected {
            conn,
            addr: addr(n),
            direction,
            transport: Transport::Tcp,
            handshake,
        })
    }

    fn connect(&mut self, n: u64) -> Vec<Output> {
        self.connect_with(n, Handshake::RESERVED)
    }

    fn hear(&mut self, n: u64, message: Message) -> Vec<Output> {
        self.tell(Input::Message { conn: ConnId(n), message })
    }

    /// Connects a seed that unchokes us at once; what we then say to it.
    fn seed(&mut self, n: u64) -> Vec<Output> {
        self.connect(n);
        self.hear(n, Message::HaveAll);
        self.hear(n, Message::Unchoke)
    }

    fn give(&mut self, n: u64, block: BlockRef) -> Vec<Output> {
        self.tell(Input::Block { conn: ConnId(n), block })
    }
}

/// The messages to one peer among outputs.
fn said(outputs: &[Output], n: u64) -> Vec<&Message> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { conn, message } if conn.0 == n => Some(message),
            _ => None,
        })
        .collect()
}

fn requests(outputs: &[Output], n: u64) -> Vec<BlockRef> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Request(block) => Some(*block),
            _ => None,
        })
        .collect()
}

fn dropped(outputs: &[Output], n: u64) -> Option<DisconnectReason> {
    outputs.iter().find_map(|output| match output {
        Output::Disconnect { conn, reason } if conn.0 == n => Some(*reason),
        _ => None,
    })
}

fn completed_pieces(outputs: &[Output]) -> Vec<(u32, bool)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::CompletePiece { piece, want_block_digests, .. } => {
                Some((piece.0, *want_block_digests))
            }
            _ => None,
        })
        .collect()
}

fn bans(outputs: &[Output]) -> Vec<IpAddr> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Ban { ip } => Some(*ip),
            _ => None,
        })
        .collect()
}

//! Strangers with many addresses who have everything and send noise.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

const HONEST: u64 = 1;

/// Blocks that each peer sends a round.
const PACE: usize = 4;

/// Connections that liars make a round.
const COME: usize = 20;

/// A swarm that fetches, an honest seed that may be called, and liars: who is hung up on comes again when
/// it is its turn, unless it is kept out.
struct Scene {
    table: Table,
    /// Of the liar of this number.
    ip: fn(u64) -> Ipv4Addr,
    /// Liars that are not connected, by number.
    away: VecDeque<u64>,
    /// Liars that are connected.
    liars: BTreeMap<u64, u64>,
    next: u64,
    /// What each who is connected has been asked for.
    asked: BTreeMap<u64, VecDeque<BlockRef>>,
    /// Who sent what is held of the pieces in progress.
    held: BTreeMap<(PieceIndex, u32), u64>,
    whole: VecDeque<(PieceIndex, bool)>,
    stored: u32,
    banned: BTreeSet<IpAddr>,
    /// Blocks that liars sent.
    lies: usize,
}

impl Scene {
    fn new(pieces: u32, liars: u64, ip: fn(u64) -> Ipv4Addr) -> Scene {
        Scene {
            table: Table::new(pieces, &[]),
            ip,
            away: (0..liars).collect(),
            liars: BTreeMap::new(),
            next: HONEST + 1,
            asked: BTreeMap::new(),
            held: BTreeMap::new(),
            whole: VecDeque::new(),
            stored: 0,
            banned: BTreeSet::new(),
            lies: 0,
        }
    }

    fn honest_addr() -> SocketAddr {
        SocketAddr::from(([10, 200, 0, 1], 7000))
    }

    fn come(&mut self, n: u64, addr: SocketAddr, direction: Direction) {
        self.asked.insert(n, VecDeque::new());
        let handshake = Handshake {
            info_hash: self.table.info_hash,
            peer_id: peer_id(n),
            reserved: Handshake::RESERVED,
        };
        let transport = Transport::Tcp;
        let conn = ConnId(n);
        let came = Input::Connected { conn, addr, direction, transport, handshake };
        self.tell(came);
        for message in [Message::HaveAll, Message::Unchoke] {
            if self.asked.contains_key(&n) {
                self.tell(Input::Message { conn, message });
            }
        }
    }

    fn tell(&mut self, input: Input) {
        let outputs = self.table.tell(input);
        self.heed(outputs);
    }

    fn heed(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { conn, message: Message::Request(block) } => {
                    self.asked.entry(conn.0).or_default().push_back(block);
                }
                Output::Send { conn, message: Message::Cancel(block) } => {
                    let Some(asked) = self.asked.get_mut(&conn.0) else { continue };
                    asked.retain(|asked| *asked != block);
                    self.tell(Input::Message { conn, message: Message::Reject(block) });
                }
                Output::StoreBlock { conn, block } => {
                    self.held.insert((block.piece, block.begin / BLOCK_SIZE), conn.0);
                }
                Output::CompletePiece { piece, want_block_digests, .. } => {
                    self.whole.push_back((piece, want_block_digests));
                }
                Output::AbandonPiece { piece } => self.held.retain(|(of, _), _| *of != piece),
                Output::Disconnect { conn, .. } => {
                    self.asked.remove(&conn.0);
                    self.away.extend(self.liars.remove(&conn.0));
                }
                Output::Ban { ip } => drop(self.banned.insert(ip)),
                Output::Connect { addr } => {
                    assert_eq!(addr, Self::honest_addr());
                    self.come(HONEST, addr, Direction::Outgoing);
                }
                _ => {}
            }
        }
    }

    /// The disk's verdict on what is whole.
    fn judge(&mut self) {
        while let Some((piece, wanted)) = self.whole.pop_front() {
            let senders: Vec<u64> =
                (0..BLOCKS_PER_PIECE).filter_map(|n| self.held.remove(&(piece, n))).collect();
            assert_eq!(senders.len(), BLOCKS_PER_PIECE as usize);
            let digests: Vec<_> = senders.iter().map(|n| sha256(&n.to_be_bytes())).collect();
            if senders.iter().all(|n| *n == HONEST) {
                self.stored += 1;
                let block_digests = wanted.then_some(digests);
                self.tell(Input::PieceStored { piece, block_digests });
            } else {
                self.tell(Input::PieceCorrupt { piece, block_digests: digests });
            }
        }
    }

    fn round(&mut self) {
        let end = self.table.now + Duration::from_millis(20);
        while let Some((at, _)) = self.table.swarm.poll_timeout().filter(|(at, _)| *at <= end) {
            self.table.now = self.table.now.max(at);
            self.table.swarm.handle_timeout(self.table.now);
            let outputs = self.table.drain();
            self.heed(outputs);
        }
        self.table.now = end;
        for _ in 0..COME {
            let Some(liar) = self.away.pop_front() else { break };
            let ip = (self.ip)(liar);
            if !self.banned.contains(&IpAddr::V4(ip)) {
                let n = self.next;
                self.next += 1;
                self.liars.insert(n, liar);
                self.come(n, SocketAddr::from((ip, 7000)), Direction::Incoming);
            }
        }
        let all: Vec<u64> = self.asked.keys().copied().collect();
        for n in all {
            for _ in 0..PACE {
                let block = self.asked.get_mut(&n).and_then(VecDeque::pop_front);
                let Some(block) = block else { break };
                self.lies += usize::from(n != HONEST);
                self.tell(Input::Block { conn: ConnId(n), block });
            }
        }
        self.judge();
    }

    /// Lets the honest one be called; how many rounds it then takes until everything is here.
    fn rounds(&mut self, most: usize) -> usize {
        let peers = vec![Self::honest_addr()];
        self.tell(Input::PeersFound { source: PeerSource::Manual, peers });
        let rounds = (0..most).take_while(|_| {
            self.round();
            self.stored < self.table.pieces
        });
        rounds.count()
    }
}

fn one_network(n: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, (n >> 8) as u8, n as u8)
}

fn many_networks(n: u64) -> Ipv4Addr {
    Ipv4Addr::new(20 + (n >> 8) as u8, n as u8, 0, 1)
}

const PIECES: u32 = 200;

/// What an honest seed alone takes.
const ALONE: usize = (PIECES * BLOCKS_PER_PIECE) as usize / PACE;

#[test]
fn a_thousand_liars_of_one_network_leave_the_line_to_the_honest() {
    let mut scene = Scene::new(PIECES, 1000, one_network);
    (0..10).for_each(|_| scene.round());
    assert!(scene.banned.len() > 10, "{}", scene.banned.len());
    assert!(scene.table.swarm.peers.len() <= CONNECTIONS_MAX);
    let before = scene.lies;
    let rounds = scene.rounds(10 * ALONE);
    assert!(rounds <= ALONE * 5 / 4, "{rounds}");
    let lies = scene.lies - before;
    let most = (rounds + 1) * TRIALS_PER_NETWORK * BLOCKS_PER_PIECE as usize;
    assert!(lies <= most, "{lies} lies in {rounds} rounds");
    assert!(!scene.banned.contains(&Scene::honest_addr().ip()));
}

#[test]
fn a_thousand_liars_of_as_many_networks_cost_a_piece_each() {
    let mut scene = Scene::new(PIECES, 1000, many_networks);
    (0..10).for_each(|_| scene.round());
    let (before, lies) = (scene.banned.len(), scene.lies);
    let rounds = scene.rounds(10 * ALONE);
    assert!(rounds <= 2 * ALONE, "{rounds}");
    let (banned, lies) = (scene.banned.len() - before, scene.lies - lies);
    assert!(banned > 500 && lies <= (banned + 100) * BLOCKS_PER_PIECE as usize, "{banned} {lies}");
}

#[test]
fn who_is_tried_begins_again_what_lies_about() {
    let mut table = Table::new(2, &[]);
    let asked = requests(&table.seed(1), 1);
    // All of one piece and a block of the other; the whole one is wrong, and its sender is gone.
    let (whole, other) = (asked[0].piece, asked[BLOCKS_PER_PIECE as usize].piece);
    for block in asked.iter().filter(|block| block.piece == whole) {
        table.give(1, *block);
    }
    table.give(1, block(other.0, 0));
    table.tell(Input::PieceCorrupt { piece: whole, block_digests: digests(b"abcd") });
    assert!(!table.swarm.peers.contains_key(&ConnId(1)));
    // The first newcomer is tried with the piece of which nothing is here, the second with the rest.
    let pieces = |asked: Vec<BlockRef>| -> Vec<u32> { asked.iter().map(|b| b.piece.0).collect() };
    assert_eq!(pieces(requests(&table.seed(2), 2)), [whole.0; BLOCKS_PER_PIECE as usize]);
    assert_eq!(pieces(requests(&table.seed(3), 3)), [other.0; BLOCKS_PER_PIECE as usize]);
}

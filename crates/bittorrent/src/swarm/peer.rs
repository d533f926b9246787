//! One connection: what the peer said, what it owes and what it is owed.

use super::blame::Sender;
use super::choker::Weight;
use super::io::{ConnId, Direction, Transport};
use super::limits::{
    ALLOWED_FAST_SET, EARLY_HAVES_MAX, EARLY_LOSSES_MAX, HOLEPUNCH_BURST, IDLE_AFTER, LOST_AFTER,
    PASSED_OVER_TURNS, PIPELINE_ADVISED_S, PIPELINE_MAX, PIPELINE_MIN, PIPELINE_SLOW,
    PIPELINE_SNUBBED, PIPELINE_TIME_S, RATE_WINDOW_S, TRUST_BYTES_MAX, TRUST_BYTES_MIN,
    TRUST_FACTOR, TRUST_PARTS, TRUST_PIECES_OPEN, TRUST_RENEWED_S, WASTE_BURST, WASTE_PER_S,
};
use super::pex::PexState;
use super::pieces::Opening;
use super::rate::RateMeter;
use super::spread::Spread;
use super::suggest::Suggested;
use super::superseed::Mask;
use super::trial::Trial;
use super::upload::Line;
use crate::types::{BLOCK_SIZE, Bitfield, BlockRef, PeerId, PieceIndex};
use crate::webseed::WebSeedId;
use crate::wire::{ExtensionHandshake, Handshake, HashRequest};
use althing_base::time::Duration;
use althing_base::{Instant, Sha1Digest, TokenBucket};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

/// What a peer has, before and after we know how many pieces there are.
#[derive(Debug)]
pub(super) enum Pieces {
    /// The torrent's metadata is still to come.
    Early {
        /// The `bitfield` message's bytes.
        bitfield: Option<Bytes>,
        /// `have all` was said.
        all: bool,
        /// `have` messages so far.
        haves: Vec<PieceIndex>,
        /// What it has lost since (BEP 54).
        lost: BTreeSet<PieceIndex>,
    },
    /// One bit for each piece.
    Known(Bitfield),
}

impl Pieces {
    pub(super) fn early() -> Self {
        Pieces::Early { bitfield: None, all: false, haves: Vec::new(), lost: BTreeSet::new() }
    }

    /// What the early messages come to now that there are `count` pieces; `None` if they make no
    /// sense.
    pub(super) fn settle(&self, count: u32) -> Option<Bitfield> {
        match self {
            Pieces::Known(bits) => Some(bits.clone()),
            Pieces::Early { bitfield, all, haves, lost } => {
                let mut bits = match bitfield {
                    _ if *all => Bitfield::full(count),
                    Some(bytes) => Bitfield::from_bytes(bytes, count)?,
                    None => Bitfield::new(count),
                };
                for piece in haves {
                    if piece.0 >= count {
                        return None;
                    }
                    bits.set(*piece, true);
                }
                for piece in lost {
                    bits.set(*piece, false);
                }
                Some(bits)
            }
        }
    }

    /// Notes an early `have`; false if there are too many.
    pub(super) fn early_have(&mut self, piece: PieceIndex) -> bool {
        match self {
            Pieces::Early { haves, lost, .. } if haves.len() < EARLY_HAVES_MAX => {
                lost.remove(&piece);
                haves.push(piece);
                true
            }
            _ => false,
        }
    }

    /// Notes an early loss; false if there are too many.
    pub(super) fn early_loss(&mut self, piece: PieceIndex) -> bool {
        match self {
            Pieces::Early { lost, .. } if lost.len() < EARLY_LOSSES_MAX => {
                lost.insert(piece);
                true
            }
            _ => false,
        }
    }
}

/// A block on order with a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) block: BlockRef,
    pub(super) at: Instant,
    /// The opening of the piece that counts it. An order that we have given up on counts nowhere,
    /// and one that outlives its piece not when that is opened anew.
    pub(super) counted_in: Option<Opening>,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    /// Where it listens, if known: the address of an outgoing connection, or as it says.
    pub(super) listens_at: Option<SocketAddr>,
    pub(super) direction: Direction,
    pub(super) transport: Transport,
    /// It was reached through a hole that both have made: nobody else can call it there.
    pub(super) punched: bool,
    pub(super) id: PeerId,
    /// It is a web seed: no messages are exchanged but requests, cancels and rejects.
    pub(super) web: Option<WebSeedId>,
    pub(super) fast: bool,
    pub(super) extended: bool,
    /// It has a node of the DHT (BEP 5).
    pub(super) dht: bool,
    /// Where that is, as it said first.
    pub(super) dht_port: Option<NonZeroU16>,
    /// It takes part in the v2 swarm: hash requests may be sent.
    pub(super) v2: bool,
    pub(super) connected_at: Instant,
    /// What its extension handshakes told (BEP 10).
    pub(super) extensions: ExtensionHandshake,

    /// It has said what it has, or something that comes after that.
    pub(super) spoken: bool,
    pub(super) pieces: Pieces,
    /// How many of its pieces we want and do not have.
    pub(super) useful: u32,

    pub(super) chokes_us: bool,
    pub(super) interested_in_us: bool,
    pub(super) choked: bool,
    pub(super) interesting: bool,
    /// Pieces it lets us have while choked (BEP 6).
    pub(super) allowed_fast: BTreeSet<PieceIndex>,
    /// Pieces we let it have while choked.
    pub(super) may_have_fast: BTreeSet<PieceIndex>,

    pub(super) orders: VecDeque<Order>,
    /// How many blocks are to be on order.
    pub(super) pipeline: usize,
    /// Its `reqq`.
    pub(super) queue_limit: usize,
    slow_start: bool,
    last_rate: u64,
    judged_at: Instant,
    /// The piece it is at work on.
    pub(super) current: Option<PieceIndex>,
    /// Nothing that it has is left to start; cleared when that may have changed.
    pub(super) exhausted: bool,
    pub(super) snubs_us: bool,
    /// Requests it has refused since it last unchoked us or sent a block.
    pub(super) rejects: u32,
    pub(super) last_block_at: Instant,
    /// A piece was found right that it sent a block of.
    pub(super) was_right: bool,
    /// What it was given to show that it sends what is right.
    pub(super) trial: Option<Trial>,

    /// What it asked for and is still to be handed to the driver.
    pub(super) wanted_by_it: VecDeque<BlockRef>,
    /// Handed to the driver and not yet taken by the socket.
    pub(super) sending: VecDeque<BlockRef>,
    pub(super) sending_bytes: u32,
    pub(super) last_sent_block_at: Instant,
    /// It was unchoked before.
    pub(super) had_slot: bool,
    /// When it was last seen to let its slot go to waste.
    pub(super) slot_wasted_at: Option<Instant>,
    /// When it last took a block, or was handed one while it had none to take.
    pub(super) waits_since: Instant,
    /// Bytes of blocks that our line had sent to anybody by then.
    pub(super) line_sent_bytes: u64,

    pub(super) download: RateMeter,
    pub(super) upload: RateMeter,
    pub(super) last_heard_at: Instant,
    /// Bytes of blocks that had come by then, from anybody.
    line_received_bytes: u64,
    pub(super) last_said_at: Instant,
    /// Hash requests on order.
    pub(super) hash_orders: Vec<(HashRequest, Instant)>,
    /// It refused hash requests, and is left alone until then.
    pub(super) hashes_refused_until: Instant,
    /// Metadata pieces on order.
    pub(super) metadata_orders: Vec<(u32, Instant)>,
    pub(super) metadata_refused_until: Instant,
    waste: TokenBucket,
    /// What holes may be made at its word, or for it.
    pub(super) punches: TokenBucket,

    /// It was told what we have, and of every change since.
    pub(super) introduced: bool,
    /// It speaks the extension that the swarm carries for an application, and may say so much.
    pub(super) speaks: Option<Box<TokenBucket>>,
    /// What a super-seed shows it; everything if `None`.
    pub(super) mask: Option<Box<Mask>>,
    pub(super) spread: Spread,
    pub(super) suggested: Suggested,
    pub(super) pex: PexState,
    /// Bytes that its address gave us and took from us on earlier connections.
    pub(super) past: (u64, u64),
    /// Its part of what is sent.
    pub(super) weight: Weight,
    /// How much it has been sent, each byte divided by its weight: who has least is next.
    pub(super) served: u64,
}

impl Peer {
    pub(super) fn new(
        now: Instant,
        addr: SocketAddr,
        direction: Direction,
        handshake: &Handshake,
        v2: bool,
        pieces: Pieces,
    ) -> Self {
        Peer {
            addr,
            listens_at: (direction == Direction::Outgoing).then_some(addr),
            direction,
            transport: Transport::Tcp,
            punched: false,
            id: handshake.peer_id,
            web: None,
            fast: handshake.supports_fast(),
            extended: handshake.supports_extensions(),
            dht: handshake.supports_dht(),
            dht_port: None,
            v2,
            connected_at: now,
            extensions: ExtensionHandshake::default(),
            spoken: false,
            pieces,
            useful: 0,
            chokes_us: true,
            interested_in_us: false,
            choked: true,
            interesting: false,
            allowed_fast: BTreeSet::new(),
            may_have_fast: BTreeSet::new(),
            orders: VecDeque::new(),
            pipeline: PIPELINE_MIN,
            queue_limit: PIPELINE_MAX,
            slow_start: true,
            last_rate: 0,
            judged_at: now,
            current: None,
            exhausted: false,
            snubs_us: false,
            rejects: 0,
            last_block_at: now,
            was_right: false,
            trial: None,
            wanted_by_it: VecDeque::new(),
            sending: VecDeque::new(),
            sending_bytes: 0,
            last_sent_block_at: now,
            had_slot: false,
            slot_wasted_at: None,
            waits_since: now,
            line_sent_bytes: 0,
            download: RateMeter::default(),
            upload: RateMeter::default(),
            last_heard_at: now,
            line_received_bytes: 0,
            last_said_at: now,
            hash_orders: Vec::new(),
            hashes_refused_until: Instant::ORIGIN,
            metadata_orders: Vec::new(),
            metadata_refused_until: Instant::ORIGIN,
            waste: TokenBucket::new(now, WASTE_PER_S, WASTE_BURST),
            punches: TokenBucket::new(now, 1, HOLEPUNCH_BURST),
            introduced: false,
            speaks: None,
            mask: None,
            spread: Spread::default(),
            suggested: Suggested::default(),
            pex: PexState::default(),
            past: (0, 0),
            weight: Weight::EQUAL,
            served: 0,
        }
    }

    /// A connection to a web seed, which has these pieces and lets us have them.
    pub(super) fn web_seed(now: Instant, seed: WebSeedId, have: Bitfield) -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut id = *b"a web seed          ";
        id[18..].copy_from_slice(&seed.0.to_be_bytes());
        let handshake = Handshake::new(Sha1Digest::ZERO, PeerId(id), false);
        let (incoming, pieces) = (Direction::Incoming, Pieces::Known(have));
        let peer = Peer::new(now, nowhere, incoming, &handshake, false, pieces);
        Peer {
            direction: Direction::Outgoing,
            web: Some(seed),
            fast: true,
            extended: false,
            spoken: true,
            chokes_us: false,
            ..peer
        }
    }

    /// Who is answerable for what comes from here.
    pub(super) fn sender(&self) -> Sender {
        self.web.map_or_else(|| Sender::Peer(self.addr.ip().to_canonical()), Sender::Web)
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        matches!(&self.pieces, Pieces::Known(bits) if bits.get(piece))
    }

    pub(super) fn is_seed(&self) -> bool {
        match &self.pieces {
            Pieces::Known(bits) => bits.is_full(),
            Pieces::Early { all, .. } => *all,
        }
    }

    /// Whether it wants nothing that anybody could give: it has everything, or everything that it
    /// wants (BEP 21).
    pub(super) fn only_gives(&self) -> bool {
        self.is_seed() || self.extensions.upload_only == Some(true)
    }

    /// Whether one that has everything has nothing to do with it.
    pub(super) fn is_of_no_use(&self) -> bool {
        self.only_gives() && self.speaks.is_none()
    }

    /// How many pieces it has, as far as it said.
    pub(super) fn piece_count(&self) -> u32 {
        match &self.pieces {
            Pieces::Known(bits) => bits.count_ones(),
            Pieces::Early { haves, .. } => haves.len() as u32,
        }
    }

    /// Whether a block of the piece may be asked for: it has it, and it does not choke us or
    /// allows the piece all the same.
    pub(super) fn would_give(&self, piece: PieceIndex) -> bool {
        self.has(piece) && (!self.chokes_us || self.allowed_fast.contains(&piece))
    }

    /// Bytes that it gave us and took from us, as long as we remember it.
    pub(super) fn balance(&self) -> (u64, u64) {
        let (gave, took) = self.past;
        (gave + self.download.total_bytes(), took + self.upload.total_bytes())
    }

    /// Whether it could give us something and has taken much more than it gave. Who claims less
    /// than we sent it hides what it could give.
    pub(super) fn is_indebted(&self, now: Instant, trust: Trust) -> bool {
        let (gave, mut took) = self.balance();
        // What is on its way to it can not be called back.
        took += u64::from(self.sending_bytes);
        let stay = now.since(self.connected_at).as_secs() / TRUST_RENEWED_S;
        if !trust.is_exceeded(gave, took, stay) {
            return false;
        }
        let claims = u64::from(self.piece_count()) * trust.piece_bytes;
        self.interesting || self.spread.could_give || claims + trust.hidden_bytes() < took
    }

    /// Whether it has been silent in the middle of an exchange: it wants blocks and gets them, or owes us
    /// some. One that has nothing to say is not lost.
    pub(super) fn should_have_spoken(&self, now: Instant) -> bool {
        let exchanges = self.interested_in_us && !self.choked || !self.orders.is_empty();
        exchanges && now.since(self.last_heard_at) >= LOST_AFTER
    }

    /// Whether we give it blocks of the piece: we do not choke it, or the piece is one of the few
    /// that help a newcomer start (BEP 6).
    pub(super) fn may_have(&self, piece: PieceIndex) -> bool {
        let is_newcomer = self.piece_count() < ALLOWED_FAST_SET as u32;
        !self.choked || (is_newcomer && self.may_have_fast.contains(&piece))
    }

    /// It said or sent something; so many bytes of blocks have come by now, from anybody.
    pub(super) fn heard(&mut self, now: Instant, line_received_bytes: u64) {
        self.last_heard_at = now;
        self.line_received_bytes = line_received_bytes;
    }

    /// Whether it is so silent that it must be dead. One that owes blocks may wait for its turn on our
    /// line, if that is so slow that few of the others had theirs meanwhile.
    pub(super) fn is_silent(&self, now: Instant, line: &Line) -> bool {
        let passed_by = line.received_bytes.saturating_sub(self.line_received_bytes);
        let waits_its_turn = !self.orders.is_empty()
            && now.since(line.last_received_at) < IDLE_AFTER
            && passed_by < PASSED_OVER_TURNS * line.owing * u64::from(BLOCK_SIZE);
        now.since(self.last_heard_at) >= IDLE_AFTER && !waits_its_turn
    }

    /// The peer did something of no use; false if that has become a flood.
    pub(super) fn overlook(&mut self, now: Instant) -> bool {
        self.waste.take(now, 1)
    }

    /// How many more blocks may be ordered now, `unproven` at most as long as none has come; zero until
    /// a quarter of the pipeline is free, so that requests go out in batches.
    pub(super) fn room(&self, unproven: usize) -> usize {
        let limit = match self.snubs_us {
            true => PIPELINE_SNUBBED,
            false if self.download.total_bytes() == 0 => unproven.min(self.queue_limit),
            false => self.pipeline.min(self.queue_limit),
        };
        let free = limit.saturating_sub(self.orders.len());
        if free * 4 >= limit { free } else { 0 }
    }

    /// A block arrived: while each round trip brings more than the one before, one more is put
    /// on order for each.
    pub(super) fn grow_pipeline(&mut self) {
        if self.slow_start {
            self.pipeline = (self.pipeline + 1).min(PIPELINE_MAX);
        }
    }

    /// Whether it is still to be seen how much it can send.
    pub(super) fn is_unproven(&self) -> bool {
        self.slow_start
    }

    /// Once a second: sets the pipeline to what the rate needs.
    pub(super) fn judge_pipeline(&mut self, now: Instant) {
        if now.since(self.judged_at) < Duration::from_secs(1) || self.orders.is_empty() {
            return;
        }
        self.judged_at = now;
        let rate = self.download.rate(now, 2);
        if self.slow_start && rate > self.last_rate + self.last_rate / 10 {
            self.last_rate = rate;
            return;
        }
        self.slow_start = false;
        let time = if self.suggested.advises() { PIPELINE_ADVISED_S } else { PIPELINE_TIME_S };
        let blocks = rate * time / u64::from(BLOCK_SIZE);
        self.pipeline =
            usize::try_from(blocks).unwrap_or(PIPELINE_MAX).clamp(PIPELINE_SLOW, PIPELINE_MAX);
    }

    /// Bytes a second towards us and from us, as the choker sees them.
    pub(super) fn choke_rates(&self, now: Instant) -> (u64, u64) {
        (self.download.rate(now, RATE_WINDOW_S), self.upload.rate(now, RATE_WINDOW_S))
    }
}

/// What is given to strangers of one torrent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    /// What a peer gets before it has given anything, in bytes.
    bytes: u64,
    /// The length of a piece.
    piece_bytes: u64,
}

impl Trust {
    /// Of a torrent of `total` bytes.
    pub(super) fn of(total: u64, piece_bytes: u64) -> Trust {
        let part = (total / TRUST_PARTS).clamp(TRUST_BYTES_MIN, TRUST_BYTES_MAX);
        Trust { bytes: part.max(piece_bytes), piece_bytes }
    }

    /// Whether somebody who gave so much and took so much has taken more than is given on trust, which
    /// was renewed so many times.
    pub(super) fn is_exceeded(self, gave: u64, took: u64, renewed: u64) -> bool {
        took > (self.bytes * (renewed + 1)).saturating_add(gave.saturating_mul(TRUST_FACTOR))
    }

    /// What a peer may have got from us and not be able to claim yet: parts of pieces.
    fn hidden_bytes(self) -> u64 {
        self.bytes + TRUST_PIECES_OPEN * self.piece_bytes
    }
}

/// All connections of a swarm.
pub(super) type Peers = std::collections::BTreeMap<ConnId, Peer>;

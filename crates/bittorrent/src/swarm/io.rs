//! What a swarm is told and what it asks for.

use super::deadlines::ReaderId;
use super::picker::PickerKind;
use super::priority::FilePriorities;
use crate::metainfo::Metainfo;
use crate::types::{Bitfield, BlockDigests, BlockRef, PieceHash, PieceIndex};
use crate::webseed::WebSeedId;
use crate::wire::{Handshake, Message};
use althing_base::{Instant, Sha256Digest};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A connection, named by whoever owns the sockets; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The peer did.
    Incoming,
    /// We did.
    Outgoing,
}

/// What a connection runs over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// uTP (BEP 29).
    Utp,
}

/// How an address became known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerSource {
    /// A tracker named it.
    Tracker,
    /// It connected to us.
    Incoming,
    /// The user or a magnet link's `x.pe` named it.
    Manual,
    /// It announced itself on our own network (BEP 14).
    Lsd,
    /// It is no peer but a web seed, which the torrent names.
    WebSeed,
    /// Another peer named it (BEP 11).
    Pex,
    /// A node of the DHT named it (BEP 5).
    Dht,
}

impl PeerSource {
    /// Whether peers of a private torrent must not come from there (BEP 27).
    pub fn is_public(self) -> bool {
        matches!(self, PeerSource::Pex | PeerSource::Dht | PeerSource::Lsd)
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The files are open (after the start, after the metadata came, after a check): these pieces
    /// are on disk and hash to what they should.
    StorageReady {
        /// One bit for each piece.
        have: Bitfield,
    },
    /// The disk refused. The swarm stops and says so; [`Input::Resume`] tries again.
    StorageFault(StorageFault),
    /// [`Output::CompletePiece`] succeeded: the hash is right and the piece is written.
    PieceStored {
        /// Which piece.
        piece: PieceIndex,
        /// The digests of its blocks, if they were asked for.
        block_digests: Option<BlockDigests>,
    },
    /// [`Output::CompletePiece`] failed: the data did not hash to what it should and was dropped.
    PieceCorrupt {
        /// Which piece.
        piece: PieceIndex,
        /// The digests of its blocks.
        block_digests: BlockDigests,
    },
    /// Of a piece that is not on disk, these blocks are: the last run had them, and they have been
    /// read and are what they were. They count as stored.
    PartialPiece {
        /// Which piece.
        piece: PieceIndex,
        /// The numbers of the blocks.
        blocks: Vec<u32>,
    },
    /// A connection on which both handshakes are through.
    Connected {
        /// Its name from now on.
        conn: ConnId,
        /// The peer's address; of an incoming connection the port is not its listening port.
        addr: SocketAddr,
        /// Who opened it.
        direction: Direction,
        /// What it runs over.
        transport: Transport,
        /// What the peer said.
        handshake: Handshake,
    },
    /// [`Output::Connect`] or [`Output::Punch`] came to nothing.
    ConnectFailed {
        /// The address that was tried.
        addr: SocketAddr,
    },
    /// A connection is gone, whoever ended it. Sent exactly once for each connection.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// A peer sent a message.
    Message {
        /// Who.
        conn: ConnId,
        /// What.
        message: Message,
    },
    /// A peer sent a block. The payload stays in the driver's buffer; if the swarm wants it, the
    /// next outputs have exactly one [`Output::StoreBlock`] for it, else it is thrown away.
    Block {
        /// Who.
        conn: ConnId,
        /// Which part of which piece.
        block: BlockRef,
    },
    /// A block of [`Output::SendBlock`] has been handed to the operating system in full.
    BlockSent {
        /// To whom.
        conn: ConnId,
        /// Which.
        block: BlockRef,
    },
    /// Addresses to try.
    PeersFound {
        /// Who named them.
        source: PeerSource,
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
    /// The torrent is private and has another tracker from now on: every peer is parted with, and
    /// no address that was known is tried any more (BEP 27).
    TrackerChanged,
    /// The leaf hashes of [`Output::ReadLeaves`].
    Leaves {
        /// Which piece.
        piece: PieceIndex,
        /// SHA-256 of each of its 16 KiB blocks, not padded; `None` if it could not be read.
        leaves: Option<Vec<Sha256Digest>>,
    },
    /// The user wants other files than before, or some of them more. What is in progress and not
    /// wanted any more is given up.
    SetPriorities(FilePriorities),
    /// The user wants pieces in another order.
    SetPicker(PickerKind),
    /// Other bounds hold from now on, see
    /// [`SwarmConfig`](super::SwarmConfig); connections that are too many are let be.
    SetBounds {
        /// Connections at most.
        connections: usize,
        /// Peers that are uploaded to at the same time.
        upload_slots: usize,
    },
    /// So many of the slots that torrents share are this one's from now on
    /// ([`Output::UploadDemand`]).
    UploadSlots(usize),
    /// Somebody reads while it is being fetched, and needs these pieces at these times, in the place
    /// of those that the same reader needed before; none when the reader is done. Pieces that are
    /// not wanted or on disk already are no harm.
    SetDeadlines {
        /// Who.
        reader: ReaderId,
        /// What, and when at the latest; at most
        /// [`DEADLINE_PIECES_MAX`](super::limits::DEADLINE_PIECES_MAX) of them count.
        pieces: Vec<(PieceIndex, Instant)>,
    },
    /// A connection to a web seed stands: a peer that has these pieces, never chokes and
    /// understands no messages but requests and cancels (answered with blocks and rejects). Not
    /// opened unless [`Swarm::wants_web_seeds`](super::Swarm::wants_web_seeds).
    WebSeedOpened {
        /// Its name from now on; above those of all peers.
        conn: ConnId,
        /// Which of the torrent's web seeds.
        seed: WebSeedId,
        /// What it has.
        have: Bitfield,
    },
    /// The user wants it to stop: connections are closed, nothing is sent or fetched.
    Pause,
    /// The user wants it to go on, or the cause of a fault has been mended.
    Resume,
    /// What is on disk is about to be checked again: nothing is fetched or given until
    /// [`Input::StorageReady`]. Peers stay, and hear then what has changed.
    Recheck,
    /// Pieces that were on disk are gone or turned out to be wrong: they are fetched again, and peers
    /// are told (BEP 54).
    PiecesLost {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// Peers that we connect to from now on are told that we listen there (BEP 10's `p`).
    ListenPort(Option<u16>),
    /// The user wants the torrent to be super-seeded, or not any more (BEP 16).
    SuperSeed(bool),
    /// These pieces come from elsewhere, perhaps: they are not ordered from peers until
    /// [`Input::PieceStored`] says that they are there or [`Input::Release`] that they will not come.
    /// Those of which peers have sent something are fetched all the same;
    /// [`Swarm::held`](super::Swarm::held) tells which are held.
    Hold {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// These pieces do not come from elsewhere after all.
    Release {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// The application wants something, whose extension the swarm carries
    /// ([`SwarmConfig::application`](super::SwarmConfig::application)).
    Application(ApplicationWish),
}

/// What an application wants of the swarm that carries its extension.
#[derive(Clone, Debug)]
pub enum ApplicationWish {
    /// Connect to this address. Answered by [`ApplicationEvent::Met`] with `called`, or
    /// [`ApplicationEvent::NotReached`].
    Call {
        /// Where.
        addr: SocketAddr,
    },
    /// Send a message, of at most
    /// [`APPLICATION_BYTES_MAX`](super::limits::APPLICATION_BYTES_MAX) bytes.
    Say {
        /// To whom.
        conn: ConnId,
        /// What.
        payload: Bytes,
    },
    /// End a connection, after what was said on it has gone out.
    Part {
        /// Which.
        conn: ConnId,
    },
    /// Ask trackers and the DHT for others. Answered by [`ApplicationEvent::Found`], perhaps.
    FindPeers,
}

/// What an application is told by the swarm that carries its extension.
#[derive(Clone, Debug)]
pub enum ApplicationEvent {
    /// A connection stands to somebody who speaks the extension.
    Met {
        /// Its name.
        conn: ConnId,
        /// The peer's address; of an incoming connection the port is not its listening port. If it was
        /// called, the address that was.
        addr: SocketAddr,
        /// Who opened it. Through a hole (BEP 55) that may be either, whoever has called.
        direction: Direction,
        /// It is the answer to [`ApplicationWish::Call`].
        called: bool,
    },
    /// A peer has said something.
    Said {
        /// Who.
        conn: ConnId,
        /// What.
        payload: Bytes,
    },
    /// A connection of [`Met`](Self::Met) is gone, whoever ended it.
    Gone {
        /// Which.
        conn: ConnId,
    },
    /// [`ApplicationWish::Call`] came to nothing: nobody is there, or nobody who speaks the extension, or
    /// somebody to whom there is a connection.
    NotReached {
        /// The address that was called.
        addr: SocketAddr,
    },
    /// Others may be here.
    Found {
        /// Where they listen.
        peers: Vec<SocketAddr>,
    },
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a connection and exchange handshakes; answer [`Input::Connected`] or
    /// [`Input::ConnectFailed`].
    Connect {
        /// Where.
        addr: SocketAddr,
    },
    /// Connect over uTP at once and without giving up after the first packets: whoever is there does the
    /// same, so that both make a hole in what translates their addresses (BEP 55). Answer as to
    /// [`Connect`](Output::Connect). Asked for only if [`SwarmConfig::utp`](super::SwarmConfig::utp).
    Punch {
        /// Where.
        addr: SocketAddr,
    },
    /// A peer said what our address is (BEP 10's `yourip`). One peer's word.
    ExternalAddress {
        /// The peer's address.
        by: IpAddr,
        /// Ours, as it says.
        ip: IpAddr,
    },
    /// A peer has a node of the DHT there, as it says (BEP 5). Only if
    /// [`SwarmConfig::dht`](super::SwarmConfig::dht), and never of a private torrent's peers.
    DhtNode {
        /// The peer's own address, with the port that it named.
        addr: SocketAddr,
    },
    /// Close a connection; answer [`Input::Disconnected`].
    Disconnect {
        /// Which.
        conn: ConnId,
        /// Why; for the log.
        reason: DisconnectReason,
    },
    /// Send a message.
    Send {
        /// To whom.
        conn: ConnId,
        /// What.
        message: Message,
    },
    /// Read a block from disk and send it in a `piece` message; answer [`Input::BlockSent`], or
    /// [`Input::StorageFault`] if it cannot be read. Blocks of one connection are sent in order.
    SendBlock {
        /// To whom.
        conn: ConnId,
        /// Which.
        block: BlockRef,
    },
    /// Keep the block of the [`Input::Block`] just handed in: it belongs to a piece in progress.
    StoreBlock {
        /// Who sent it.
        conn: ConnId,
        /// Which.
        block: BlockRef,
    },
    /// All blocks of the piece have been stored: hash it, compare, and if right write it (only
    /// then). Answer [`Input::PieceStored`] or [`Input::PieceCorrupt`].
    CompletePiece {
        /// Which piece.
        piece: PieceIndex,
        /// What it must hash to.
        expected: PieceHash,
        /// Answer with the blocks' digests even if the piece is right: it was wrong before, and
        /// the comparison shows who lied.
        want_block_digests: bool,
    },
    /// Forget the blocks of a piece in progress.
    AbandonPiece {
        /// Which piece.
        piece: PieceIndex,
    },
    /// Hash the 16 KiB blocks of a piece that is on disk, for a peer that asked (BEP 52); answer
    /// [`Input::Leaves`].
    ReadLeaves {
        /// Which piece.
        piece: PieceIndex,
    },
    /// The info dictionary of a magnet link came in and is genuine: open its files and answer
    /// [`Input::StorageReady`]. Keep it: the torrent now starts without peers' help.
    MetadataReceived {
        /// What the torrent is.
        metainfo: Arc<Metainfo>,
    },
    /// More of the hash tree of a v2 torrent became known: keep it with the torrent.
    LayersReceived {
        /// The torrent with its piece layers so far.
        metainfo: Arc<Metainfo>,
    },
    /// A piece is on disk and has been announced.
    PieceVerified {
        /// Which.
        piece: PieceIndex,
    },
    /// Every wanted piece is on disk.
    Completed,
    /// Enough copies are out: super-seeding has ended by itself (BEP 16).
    SuperSeedingEnded,
    /// So many peers could be uploaded to now; answer [`Input::UploadSlots`]. Only where slots are
    /// shared ([`SwarmConfig::shares_slots`](super::SwarmConfig::shares_slots)).
    UploadDemand {
        /// Peers that want something of us, as far as there are slots for one torrent.
        wanted: usize,
    },
    /// The swarm could use more peers than it knows of.
    FindPeers,
    /// A web seed sent something else than what the piece is.
    WebSeedLied {
        /// Which.
        seed: WebSeedId,
        /// Where.
        piece: PieceIndex,
    },
    /// Keep this address out for a while, of other torrents too: it flooded us with what is of no use.
    KeepOut {
        /// Whose.
        ip: IpAddr,
    },
    /// Keep this address out, of other torrents too: it sent data that cannot be right.
    Ban {
        /// Whose.
        ip: IpAddr,
    },
    /// Tell the application whose extension the swarm carries.
    Application(ApplicationEvent),
}

/// Why the disk did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageFault {
    /// No space left.
    #[error("the disk with {path} is full; free some space, then resume")]
    DiskFull {
        /// The file being written.
        path: String,
    },
    /// A file that was there is gone or has changed.
    #[error("{path} is missing or has changed since it was checked; put it back, or verify again")]
    FileChanged {
        /// The file.
        path: String,
    },
    /// Anything else that the operating system reports.
    #[error("{path}: {error}; mend it, then resume")]
    Io {
        /// The file.
        path: String,
        /// The system's words.
        error: String,
    },
}

/// Why a connection was closed by us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The torrent was paused or removed.
    Stopped,
    /// It is ourselves.
    OurOwnId,
    /// A second connection to the same peer.
    Duplicate,
    /// More connections than the limit; this one was worth least.
    TooManyConnections,
    /// The address is banned.
    Banned,
    /// Both sides have everything.
    NothingToExchange,
    /// Nothing heard for two minutes.
    Idle,
    /// It broke the protocol.
    ProtocolViolation(&'static str),
    /// It asked for more than anyone needs.
    Flood(&'static str),
    /// It sent data that hashes to something else.
    BadData,
    /// It believes that we have what we have not, or the other way round, and is quicker told on a
    /// new connection.
    Outdated,
    /// Another peer or the DHT named it, and the torrent turned out to be private (BEP 27).
    PrivateTorrent,
    /// The private torrent has another tracker now (BEP 27).
    TrackerChanged,
    /// The application whose extension the swarm carries wants it no more. What was said is still sent.
    Parted,
}

//! What a run consists of: which hosts there are, what they are like, and what happens to them.
//! A plan is data; [`World`](crate::World) carries it out.

use crate::disk::DiskPlan;
use crate::torrent::TorrentSpec;
use crate::units::Rate;
use althing_base::time::Duration;
use althing_bittorrent::swarm::{ChokerKind, SeedingKind};

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is shared.
    pub torrent: TorrentSpec,
    /// Who is there.
    pub hosts: Vec<HostPlan>,
    /// By when every host that [must finish](HostPlan::must_finish) has all pieces.
    pub deadline: Duration,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// What it has at the start.
    pub start: Start,
    /// Whether it keeps to the protocol.
    pub behaviour: Behaviour,
    /// Its line to the network.
    pub line: Line,
    /// Others can open connections to it (no address translation in between).
    pub reachable: bool,
    /// Its disk.
    pub disk: DiskPlan,
    /// How it finds others.
    pub finds: Finds,
    /// What happens to it, in order of time, the time being counted from the start of the run.
    pub life: Vec<(Duration, Life)>,
    /// It leaves by itself when this holds.
    pub leaves: Option<LeaveWhen>,
    /// Whoever has everything and is gone does not come back.
    pub returns_for_more_only: bool,
    /// Connections at most; the swarm's default if `None`.
    pub connections_max: Option<usize>,
    /// Peers unchoked at once; the swarm's default if `None`.
    pub unchoke_slots: Option<usize>,
    /// To whom it gives while it fetches.
    pub choker: ChokerKind,
    /// To whom it gives once it has everything.
    pub seeding: SeedingKind,
    /// Which hosts it is counted with in the report.
    pub group: &'static str,
    /// Its address is another one each time it starts.
    pub new_addresses: bool,
    /// Somebody watches what it fetches.
    pub watching: Option<Watching>,
    /// Liveness: it has to have everything by the deadline.
    pub must_finish: bool,
}

/// A host's line to the network.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// What it sends at most.
    pub up: Rate,
    /// What it receives at most.
    pub down: Rate,
    /// Bytes that its modem takes in and has not sent yet, in the order in which they came: whatever
    /// is said waits behind them. 0 for a router that takes no more than the line can send, serves
    /// small packets first and all connections in turn.
    pub buffer_bytes: u64,
    /// Part of the packets that is lost, either way, 0 to 1.
    pub loss: f64,
}

impl Line {
    /// A good one.
    pub const fn new(up: Rate, down: Rate) -> Line {
        Line { up, down, buffer_bytes: 0, loss: 0.0 }
    }
}

/// Somebody watches what a host fetches while it comes, one place after the other.
#[derive(Clone, Debug)]
pub struct Watching {
    /// In which order it is fetched.
    pub order: Order,
    /// The pieces from which on it is looked at, and when, counted from the start of the run.
    pub jumps: Vec<(Duration, u32)>,
    /// How many bytes from there on are waited for, ascending; each wait is reported.
    pub marks: Vec<u64>,
}

/// In which order pieces are fetched for somebody who watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// What is needed next goes first.
    Deadlines,
    /// From the first to the last.
    Sequential,
    /// As for everybody else.
    RarestFirst,
}

/// How a host finds others of the swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finds {
    /// It asks the tracker.
    Tracker,
    /// It has a node of the DHT, and the first of those who do is where all others begin.
    Dht,
}

/// What a host has at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Every piece.
    Everything,
    /// The .torrent file.
    Nothing,
    /// The magnet link: not even the metadata.
    Magnet,
}

/// A step in a host's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// The program starts, with what is on disk.
    Start,
    /// The program is ended by its user: it says goodbye to the tracker and to its peers.
    Stop,
    /// The process is killed: the system closes its connections, memory is lost.
    Kill,
    /// The plug is pulled: nobody is told.
    Vanish,
}

/// Why a host leaves by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveWhen {
    /// This long after it has everything.
    Finished(Duration),
    /// As soon as every piece is also on the disk of some other host that is there: one copy has
    /// been given out.
    OneCopyIsOut,
}

/// How a host treats others. All but the first use the honest machine and twist what it says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Behaviour {
    /// As it should.
    Honest,
    /// Claims every piece; this share of the blocks it sends holds something else.
    BadBlocks {
        /// From 0 to 1.
        share: f64,
    },
    /// Has the torrent, and sends something else when asked for its metadata.
    BadMetadata,
    /// Names a false size for the metadata, and serves that.
    WrongMetadataSize,
    /// Has everything, sends it, and answers with something else when asked for the hashes of a v2
    /// torrent.
    BadHashes,
    /// Claims every piece, lets everyone ask, and sends nothing.
    Silent,
    /// Claims every piece, lets everyone ask, and refuses each request.
    Refuser,
    /// Asks for all it can get and reads none of it.
    NeverReads,
    /// Takes and gives nothing.
    FreeRider,
    /// The same, and says of each piece that another of its kind has got that it has it too: so that
    /// seeds take them for such as pass on what they get.
    Colluder,
    /// Says all sorts of things at random.
    Babbler,
}

impl Behaviour {
    /// Whether it keeps to the protocol: nobody has a reason to end a connection with it for what
    /// it says. A free rider is greedy, but breaks no rule.
    pub fn is_honest(self) -> bool {
        matches!(self, Behaviour::Honest | Behaviour::FreeRider)
    }

    /// Whether it passes on wrong data: it may be banned.
    pub fn sends_wrong_data(self) -> bool {
        matches!(
            self,
            Behaviour::BadBlocks { .. }
                | Behaviour::BadMetadata
                | Behaviour::WrongMetadataSize
                | Behaviour::BadHashes
                | Behaviour::Babbler
        )
    }

    /// Whether it claims every piece, true or not.
    pub(crate) fn claims_everything(self) -> bool {
        matches!(
            self,
            Behaviour::BadBlocks { .. }
                | Behaviour::BadHashes
                | Behaviour::Silent
                | Behaviour::Refuser
        )
    }
}

impl HostPlan {
    /// An honest, reachable host that is there from the start and stays.
    pub fn new(start: Start, up: Rate, down: Rate) -> Self {
        HostPlan {
            start,
            behaviour: Behaviour::Honest,
            line: Line::new(up, down),
            reachable: true,
            disk: DiskPlan::default(),
            finds: Finds::Tracker,
            life: vec![(Duration::ZERO, Life::Start)],
            leaves: None,
            returns_for_more_only: false,
            connections_max: None,
            unchoke_slots: None,
            choker: ChokerKind::default(),
            seeding: SeedingKind::default(),
            group: "crowd",
            new_addresses: false,
            watching: None,
            must_finish: start != Start::Everything,
        }
    }

    /// The same host with another behaviour; whoever lies need not finish.
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self.must_finish &= behaviour.is_honest();
        self
    }

    /// The same host, which starts at `at` instead of at once.
    pub fn joining(mut self, at: Duration) -> Self {
        self.life = vec![(at, Life::Start)];
        self
    }
}

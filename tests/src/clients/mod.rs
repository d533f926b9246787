//! The clients: each can seed a torrent whose files are at hand, and fetch one.
//!
//! They run with the settings they come with, except that whatever looks for peers beyond the
//! torrent's own tracker (DHT, local discovery, peer exchange, port mapping) is off, and that uTP
//! is off where it can be.

pub mod althing;
pub mod aria2;
pub mod libtorrent;
pub mod opentracker;
pub mod qbittorrent;
pub mod transmission;

use std::path::{Path, PathBuf};

use crate::net::Host;
use crate::tools;
use crate::torrent::{Format, Source, Torrent};

/// The clients of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The one these tests are for.
    Althing,
    /// `transmission-daemon`; BEP 3 alone, so a hybrid torrent is a v1 torrent to it.
    Transmission,
    /// `aria2c`; BEP 3 alone.
    Aria2,
    /// `qbittorrent-nox`; libtorrent behind it, so BEP 52 too.
    Qbittorrent,
    /// libtorrent by its Python bindings.
    Libtorrent,
}

impl Client {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Client::Althing => "althing",
            Client::Transmission => "transmission",
            Client::Aria2 => "aria2",
            Client::Qbittorrent => "qbittorrent",
            Client::Libtorrent => "libtorrent",
        }
    }

    /// The tool it is, as `packages.txt` lists it; `None` for ours.
    pub fn tool(self) -> Option<&'static str> {
        match self {
            Client::Althing => None,
            Client::Transmission => Some("transmission-daemon"),
            Client::Aria2 => Some("aria2c"),
            Client::Qbittorrent => Some("qbittorrent-nox"),
            Client::Libtorrent => Some("python3-libtorrent"),
        }
    }

    /// Why the installed version cannot take part in torrents of this format, if so.
    pub fn obstacle(self, format: Format) -> Option<String> {
        let (program, fixed) = match (self, format) {
            (Client::Transmission, Format::Hybrid) => ("transmission-daemon", [4, 0]),
            // 1.36 leaves empty keys out when it computes the info-hash, and BEP 52 has some.
            (Client::Aria2, Format::Hybrid) => ("aria2c", [1, 37]),
            (Client::Transmission | Client::Aria2, Format::V2) => {
                return Some(format!("{} knows BEP 3 alone", self.name()));
            }
            _ => return None,
        };
        let version = tools::version(program)?;
        let [major, minor] = fixed;
        (version < fixed).then(|| {
            let [old, older] = version;
            let name = self.name();
            format!("{name} {old}.{older} cannot read hybrid torrents, {major}.{minor} can")
        })
    }

    /// Starts it as the seed of `torrent`, whose files are below `data`.
    pub fn seed(self, seat: &Seat<'_>, torrent: &Torrent, data: &Path) -> Box<dyn Peer> {
        let task = Task { torrent, source: Source::File, folder: data, seed: true };
        self.start(seat, &task)
    }

    /// Starts it as a leecher of `torrent` that writes below `into`.
    pub fn fetch(
        self,
        seat: &Seat<'_>,
        torrent: &Torrent,
        source: Source,
        into: &Path,
    ) -> Box<dyn Peer> {
        let task = Task { torrent, source, folder: into, seed: false };
        self.start(seat, &task)
    }

    fn start(self, seat: &Seat<'_>, task: &Task<'_>) -> Box<dyn Peer> {
        match self {
            Client::Althing => Box::new(althing::start(seat, task)),
            Client::Transmission => Box::new(transmission::start(seat, task)),
            Client::Aria2 => Box::new(aria2::start(seat, task)),
            Client::Qbittorrent => Box::new(qbittorrent::start(seat, task)),
            Client::Libtorrent => Box::new(libtorrent::start(seat, task)),
        }
    }
}

/// Where a client runs, and the folder for its settings and logs.
#[derive(Debug)]
pub struct Seat<'a> {
    /// The host.
    pub host: &'a Host,
    /// A folder of the client's own.
    pub folder: PathBuf,
}

/// The file in a seat's folder that says so of uTP.
const UTP: &str = "utp-alone";

impl Seat<'_> {
    /// Has a client that is yet to start in this seat talk to peers over uTP alone (BEP 29). One that
    /// can't be told so finds that no packet of TCP gets to or from where peers listen.
    ///
    /// # Panics
    /// When it cannot be written down, or `nft` refuses.
    pub fn talk_over_utp(&self) {
        std::fs::write(self.folder.join(UTP), "").expect("the seat's folder is there");
        let rules = "table inet no_tcp { chain o { type filter hook output priority 0; \
            tcp dport { 7716, 6881, 51413 } drop; }\nchain i { type filter hook input priority 0; \
            tcp dport { 7716, 6881, 51413 } drop; }\n}";
        let output = self.host.command("nft").arg(rules).output().expect("nft is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nft refuses: {said}");
    }

    /// Whether it was told so.
    fn talks_over_utp(&self) -> bool {
        self.folder.join(UTP).exists()
    }
}

/// The file in a seat's folder that says so of peer exchange.
const EXCHANGE: &str = "peer-exchange";

/// What a client does where peers are named by peers and nobody else (BEP 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanges {
    /// It fetches from whom it is told of.
    Fetches,
    /// It stands between others, and fetches so slowly that the payload cannot go through it.
    StandsBetween,
}

impl Exchanges {
    /// Has a client that is yet to be started in this seat exchange peers, and find none otherwise.
    ///
    /// # Panics
    /// When that cannot be written down.
    pub fn tell(self, seat: &Seat<'_>) {
        let slow = self == Exchanges::StandsBetween;
        std::fs::write(seat.folder.join(EXCHANGE), if slow { "slow" } else { "" })
            .expect("a file can be written");
    }

    /// What was said of a seat.
    fn told(seat: &Seat<'_>) -> Option<Exchanges> {
        let word = std::fs::read_to_string(seat.folder.join(EXCHANGE)).ok()?;
        Some(if word == "slow" { Exchanges::StandsBetween } else { Exchanges::Fetches })
    }
}

/// What a client is to do.
#[derive(Debug)]
pub struct Task<'a> {
    /// The torrent.
    pub torrent: &'a Torrent,
    /// Whether it is given the file or the link.
    pub source: Source,
    /// The folder that holds, or will hold, the shared folder.
    pub folder: &'a Path,
    /// The files are there already.
    pub seed: bool,
}

impl Task<'_> {
    /// Whether peers are to be looked for on the local network: where there is no tracker.
    pub fn is_local(&self) -> bool {
        self.torrent.trackers.is_empty()
    }

    /// The file's path or the link, as command lines take it.
    pub fn argument(&self) -> String {
        let file = || self.torrent.file.display().to_string();
        self.torrent.link(self.source).unwrap_or_else(file)
    }
}

/// A running client with one torrent. It ends when dropped.
pub trait Peer {
    /// Whether it says that it has the whole torrent.
    fn is_complete(&mut self) -> bool;

    /// The magnet link that it made of what it seeds, if it makes links.
    fn link(&mut self) -> Option<String> {
        None
    }

    /// Asks it to end, and says whether it ended well. The others are simply killed when dropped.
    fn ends_well(&mut self) -> bool {
        true
    }

    /// What it has to say for itself, when a test fails.
    fn diagnosis(&mut self) -> String;
}

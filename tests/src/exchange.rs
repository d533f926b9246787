//! The scenario that all rows of the matrix share.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::clients::opentracker::{self, Kind, Scheme, Tracker};
use crate::clients::{Client, Peer, Seat, althing};
use crate::encryption::Policy;
use crate::net::{Host, Network};
use crate::payload::{Empty, Payload};
use crate::scratch::Scratch;
use crate::tools;
use crate::torrent::{Format, Maker, Source, Torrent, info_hashes};
use crate::wait::{now, poll};

/// How long the payload may take from a seed to everybody.
const TRANSFER_LIMIT: Duration = Duration::from_secs(45);

/// How long another client may go on writing after it has said that it has everything.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// One row of the matrix. Begin with [`Exchange::new`].
#[derive(Clone, Debug)]
pub struct Exchange {
    seed: Client,
    leechers: Vec<Client>,
    format: Format,
    source: Source,
    tracker: Kind,
    scheme: Scheme,
    ipv6: bool,
    maker: Maker,
    /// Of the seed and of the leechers; else as each client comes.
    encryption: Option<(Policy, Policy)>,
    super_seed: bool,
    utp: bool,
}

impl Exchange {
    /// `seed` has the payload as a v1 torrent, `leecher` gets the `.torrent` file; they meet at
    /// opentracker over HTTP. Althing seeds a torrent of its own making, the others one that
    /// libtorrent made.
    pub fn new(seed: Client, leecher: Client) -> Exchange {
        let maker = if seed == Client::Althing { Maker::Althing } else { Maker::Libtorrent };
        Exchange {
            seed,
            leechers: vec![leecher],
            format: Format::V1,
            source: Source::File,
            tracker: Kind::Opentracker,
            scheme: Scheme::Http,
            ipv6: false,
            maker,
            encryption: None,
            super_seed: false,
            utp: false,
        }
    }

    /// The same with another kind of torrent.
    #[must_use]
    pub fn format(self, format: Format) -> Exchange {
        Exchange { format, ..self }
    }

    /// The leechers get the magnet link instead of the file.
    #[must_use]
    pub fn by_magnet(self) -> Exchange {
        self.by(Source::Magnet)
    }

    /// The leechers get this instead of the file.
    #[must_use]
    pub fn by(self, source: Source) -> Exchange {
        Exchange { source, ..self }
    }

    /// libtorrent made the torrent that Althing seeds.
    #[must_use]
    pub fn made_by_libtorrent(self) -> Exchange {
        Exchange { maker: Maker::Libtorrent, ..self }
    }

    /// Althing shows its pieces one at a time (BEP 16).
    #[must_use]
    pub fn super_seeded(self) -> Exchange {
        Exchange { super_seed: true, ..self }
    }

    /// The seed and the leechers are told this about encryption. The leechers are those who connect:
    /// only they learn of somebody from the tracker.
    #[must_use]
    pub fn encrypted(self, seed: Policy, leechers: Policy) -> Exchange {
        Exchange { encryption: Some((seed, leechers)), ..self }
    }

    /// Files go over uTP alone (BEP 29).
    #[must_use]
    pub fn over_utp(self) -> Exchange {
        Exchange { utp: true, ..self }
    }

    /// They meet over UDP (BEP 15).
    #[must_use]
    pub fn over_udp(self) -> Exchange {
        Exchange { scheme: Scheme::Udp, ..self }
    }

    /// They meet at `althing tracker`.
    #[must_use]
    pub fn at_our_tracker(self) -> Exchange {
        Exchange { tracker: Kind::Althing, ..self }
    }

    /// The tracker, and so everybody, is met over IPv6.
    #[must_use]
    pub fn over_ipv6(self) -> Exchange {
        Exchange { ipv6: true, ..self }
    }

    /// More leechers, all at once.
    #[must_use]
    pub fn and(mut self, leechers: &[Client]) -> Exchange {
        self.leechers.extend_from_slice(leechers);
        self
    }

    /// Runs it: the tracker starts, the seed announces itself, the leechers start and finish, and
    /// every copy is compared. Where the machine lacks something, says so and returns.
    ///
    /// # Panics
    /// When anything of that does not happen in time, with what every program printed.
    #[track_caller]
    pub fn run(&self, test: &str) {
        let mut needs: Vec<&str> = vec!["python3-libtorrent"];
        needs.extend(self.leechers.iter().chain([&self.seed]).filter_map(|client| client.tool()));
        if self.tracker == Kind::Opentracker {
            needs.push("opentracker");
        }
        if self.utp {
            needs.push("nft");
        }
        needs.dedup();
        if let Some(why) = tools::obstacle(&needs) {
            return tools::skip(test, &why);
        }
        let everybody = self.leechers.iter().chain([&self.seed]);
        if let Some(why) = everybody.filter_map(|client| client.obstacle(self.format)).next() {
            return tools::skip(test, &why);
        }
        let mut network = match Network::new() {
            Ok(network) => network,
            Err(why) => return tools::skip(test, &why),
        };
        let scratch = Scratch::new();
        self.run_in(&mut network, &scratch);
    }

    fn run_in(&self, network: &mut Network, scratch: &Scratch) {
        let begun = now();
        let payload = Payload::write(&scratch.dir("seed-files"), 1);
        let meeting = network.host("tracker");
        let ip: IpAddr = if self.ipv6 { meeting.ip6() } else { meeting.ip() };
        let url = opentracker::url(self.scheme, ip);
        let file = scratch.path().join("assembly.torrent");
        let mut torrent = match self.maker {
            Maker::Libtorrent => Torrent::make(&payload, self.format, &[url], &file),
            Maker::Althing => althing::made(&payload, self.format, &[url], &file),
        };
        assert_eq!(torrent.format, self.format, "as libtorrent reads it");
        let hashes = torrent.info_hashes.clone();
        let hashes = &hashes;
        let folder = scratch.dir("tracker");
        let tracker = Tracker::start(self.tracker, &meeting, ip, hashes, &folder);

        let host = network.host("seed");
        let seat = Seat { host: &host, folder: scratch.dir("seed") };
        if self.super_seed {
            althing::super_seed(&seat);
        }
        if let Some((seed, _)) = self.encryption {
            seed.tell(&seat.folder);
        }
        if self.utp {
            seat.talk_over_utp();
        }
        let mut seed = self.seed.seed(&seat, &torrent, payload.parent());
        if let Some(link) = seed.link() {
            assert_eq!(&info_hashes(&link), hashes, "`share` and `create` name the same torrent");
            torrent.magnet = link;
        }
        tracker.wait_for_seed(hashes, || seed.diagnosis());

        let announced = begun.elapsed();
        let start = now();
        let mut leechers = Vec::new();
        for (number, client) in (1..).zip(&self.leechers) {
            let host = network.host(&format!("leecher{number}"));
            let name = format!("{}-{number}", client.name());
            if let Some((_, leecher)) = self.encryption {
                leecher.tell(&scratch.dir(&name));
            }
            if self.utp {
                Seat { host: &host, folder: scratch.dir(&name) }.talk_over_utp();
            }
            leechers.push(Leecher::start(*client, &host, &name, &torrent, self.source, scratch));
        }
        let all = || leechers.iter_mut().all(|leecher| leecher.peer.is_complete()).then_some(());
        if poll(TRANSFER_LIMIT, all).is_none() {
            let said: String =
                leechers.iter_mut().map(|leecher| leecher.peer.diagnosis()).collect();
            panic!("not complete within {TRANSFER_LIMIT:?}\n{}\n{said}", seed.diagnosis());
        }
        let took = start.elapsed();
        eprintln!("{announced:.1?} until the seed was announced, {took:.1?} until all had it");
        for leecher in &mut leechers {
            leecher.compare(&payload);
            assert!(leecher.peer.ends_well(), "does not end well\n{}", leecher.peer.diagnosis());
        }
        assert!(seed.ends_well(), "does not end well\n{}", seed.diagnosis());
    }
}

struct Leecher {
    client: Client,
    peer: Box<dyn Peer>,
    folder: std::path::PathBuf,
}

impl Leecher {
    fn start(
        client: Client,
        host: &Host,
        name: &str,
        torrent: &Torrent,
        source: Source,
        scratch: &Scratch,
    ) -> Leecher {
        let folder = scratch.dir(&format!("{name}-files"));
        let seat = Seat { host, folder: scratch.dir(name) };
        let peer = client.fetch(&seat, torrent, source, Path::new(&folder));
        Leecher { client, peer, folder }
    }

    /// Compares its copy: at once if it is Althing's, which says nothing before it is on disk; some
    /// of the others go on writing for a while.
    #[track_caller]
    fn compare(&self, payload: &Payload) {
        let empty = match self.client {
            Client::Transmission => Empty::LeftOut,
            _ => Empty::Kept,
        };
        let limit = match self.client {
            Client::Althing => Duration::ZERO,
            _ => WRITE_LIMIT,
        };
        let mut difference = None;
        let same = poll(limit, || {
            difference = payload.difference(&self.folder, empty);
            difference.is_none().then_some(())
        });
        if same.is_none() {
            panic!("{}: {}", self.client.name(), difference.unwrap_or_default());
        }
    }
}

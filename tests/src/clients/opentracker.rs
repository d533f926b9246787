//! Trackers: opentracker, the one most public swarms use, and Althing's own.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::http::{self, percent};
use crate::net::Host;
use crate::process::Process;
use crate::wait::poll;

/// The port of every tracker here, TCP and UDP.
pub const PORT: u16 = 6969;

/// How long a tracker may take to answer at all, and a seed to be known to it.
const LIMIT: Duration = Duration::from_secs(20);

/// Which tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's opentracker: IPv4 alone, and only torrents it is told of.
    Opentracker,
    /// `althing tracker`.
    Althing,
}

/// How a torrent names its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// BEP 3 and BEP 23.
    Http,
    /// BEP 15.
    Udp,
}

/// A running tracker. It ends when dropped.
#[derive(Debug)]
pub struct Tracker {
    process: Process,
    host: Host,
    ip: IpAddr,
}

/// A tracker's announce URL, known before it runs: torrents name it, and opentracker has to be
/// told of the torrents.
pub fn url(scheme: Scheme, ip: IpAddr) -> String {
    let address = SocketAddr::new(ip, PORT);
    match scheme {
        Scheme::Http => format!("http://{address}/announce"),
        Scheme::Udp => format!("udp://{address}/announce"),
    }
}

impl Tracker {
    /// Starts a tracker for torrents with these info-hashes (hexadecimal) at `ip`, an address of
    /// `host`.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn start(
        kind: Kind,
        host: &Host,
        ip: IpAddr,
        info_hashes: &[String],
        folder: &Path,
    ) -> Tracker {
        let process = match kind {
            Kind::Opentracker => opentracker(host, ip, info_hashes, folder),
            Kind::Althing => super::althing::tracker(host, SocketAddr::new(ip, PORT), folder),
        };
        let tracker = Tracker { process, host: host.clone(), ip };
        let hash = info_hashes.first().expect("a torrent has an info-hash");
        if poll(LIMIT, || tracker.scrape(hash).ok()).is_none() {
            panic!("the tracker does not answer\n{}", tracker.process.tail());
        }
        tracker
    }

    /// Waits until a seed of each of these torrents has announced itself.
    ///
    /// # Panics
    /// When none does in time; `diagnosis` then says how the seed is.
    pub fn wait_for_seed(&self, info_hashes: &[String], diagnosis: impl FnOnce() -> String) {
        // A client that knows v1 alone announces a hybrid torrent's first info-hash only.
        let known = || {
            info_hashes
                .iter()
                .any(|hash| self.scrape(hash).is_ok_and(|seeds| seeds > 0))
                .then_some(())
        };
        if poll(LIMIT, known).is_none() {
            let said = self.process.tail();
            panic!("no seed has announced itself within {LIMIT:?}\n{said}\n{}", diagnosis());
        }
    }

    /// How many seeds the tracker knows (BEP 48).
    ///
    /// # Errors
    /// A sentence, when it does not answer or answers something else.
    pub fn scrape(&self, info_hash: &str) -> Result<u64, String> {
        let bytes: Vec<u8> = (0..info_hash.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(info_hash.get(at..at + 2)?, 16).ok())
            .collect();
        let path = format!("/scrape?info_hash={}", percent(&bytes));
        let answer = http::get(&self.host, SocketAddr::new(self.ip, PORT), &path)?;
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.status));
        }
        let text = answer.text();
        let seeds = text
            .split_once("8:completei")
            .and_then(|(_, rest)| rest.split_once('e'))
            .and_then(|(number, _)| number.parse().ok());
        Ok(seeds.unwrap_or(0))
    }
}

fn opentracker(host: &Host, ip: IpAddr, info_hashes: &[String], folder: &Path) -> Process {
    let list = folder.join("torrents.txt");
    std::fs::write(&list, info_hashes.join("\n") + "\n").expect("the list can be written");
    let mut command = host.command("opentracker");
    let port = PORT.to_string();
    command
        .args(["-i", &ip.to_string(), "-p", &port, "-P", &port])
        .arg("-d")
        .arg(folder)
        .args(["-w", "torrents.txt"]);
    Process::start("opentracker", command, folder)
}

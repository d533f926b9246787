//! One measurement: a seed, a leecher, and what they used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, Scheme, Tracker, url};
use althing_tests::net::Network;
use althing_tests::process::{Process, Usage};
use althing_tests::scratch::Scratch;
use althing_tests::wait::poll;

use crate::peers::{Bench, Peer};

/// The pieces of the torrent, bytes; what others choose for a file of this size.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// How long one transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);

/// How long a leecher may take to end after it was asked to.
const END_LIMIT: Duration = Duration::from_secs(30);

/// How long a seed's processor time has to stand still before it counts as ready.
const SETTLED: Duration = Duration::from_millis(300);

/// The payload and the torrent that all peers are given.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// The file; its folder holds nothing else.
    pub(crate) file: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// The torrent.
    pub(crate) torrent: PathBuf,
    /// The torrent's v1 info-hash, hexadecimal.
    pub(crate) info_hash: String,
}

/// What one transfer took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// From the start of the leecher's process until it says that it has the file.
    pub(crate) wall: Duration,
    /// Of the leecher, from its start to its end.
    pub(crate) leecher: Usage,
    /// Of the seed, over the same time; its own start does not count.
    pub(crate) seed: Usage,
}

/// Lets `peer` send the payload to itself once.
pub(crate) fn transfer(peer: &dyn Peer, payload: &Payload, scratch: &Path) -> Figures {
    let mut network = network();
    let (tracker, seed, leecher) =
        (network.host("tracker"), network.host("seed"), network.host("leecher"));
    let scratch = Scratch::at(scratch.to_owned());
    let into = scratch.dir("copy");
    // What earlier runs left to be written would be written in this one.
    rustix::fs::sync();

    let hashes = [payload.info_hash.clone()];
    let folder = scratch.dir("tracker");
    let meeting = peer
        .needs_tracker()
        .then(|| Tracker::start(Kind::Opentracker, &tracker, tracker.ip(), &hashes, &folder));
    let folder = scratch.dir("seed");
    let bench = Bench { host: &seed, seed: &seed, payload, folder: &folder, into: &into };
    let seeder = Process::start("seed", peer.seed(&bench), &folder);
    match &meeting {
        Some(tracker) => tracker.wait_for_seed(&hashes, || seeder.tail()),
        None => seeder.wait_for("sign that it is ready", END_LIMIT, |output| {
            output.contains("ready").then_some(())
        }),
    }
    settle(&seeder);

    let before = seeder.usage();
    let folder = scratch.dir("leecher");
    let bench = Bench { host: &leecher, seed: &seed, payload, folder: &folder, into: &into };
    let mut fetcher = Process::start("leecher", peer.fetch(&bench), &folder);
    // A process that has ended says nothing of its memory any more.
    let (mut peak, mut seed_peak) = (0, before.peak_resident_bytes);
    let complete = poll(TRANSFER_LIMIT, || {
        peak = peak.max(fetcher.usage().peak_resident_bytes);
        seed_peak = seed_peak.max(seeder.usage().peak_resident_bytes);
        (peer.is_complete(&fetcher.output()) || fetcher.has_ended())
            .then(|| fetcher.started().elapsed())
    });
    let Some(wall) = complete else {
        panic!("not complete within {TRANSFER_LIMIT:?}\n{}{}", seeder.tail(), fetcher.tail());
    };
    let seed_cpu = seeder.usage().cpu.saturating_sub(before.cpu);
    peak = peak.max(fetcher.usage().peak_resident_bytes);
    fetcher.signal(rustix::process::Signal::TERM);
    if poll(END_LIMIT, || fetcher.has_ended().then_some(())).is_none() {
        panic!("the leecher does not end\n{}", fetcher.tail());
    }
    let cpu = fetcher.usage().cpu;
    fetcher.wait_until_ended(END_LIMIT);
    compare(payload, &into, &fetcher);
    Figures {
        wall,
        leecher: Usage { cpu, peak_resident_bytes: peak },
        seed: Usage { cpu: seed_cpu, peak_resident_bytes: seed_peak },
    }
}

/// The address of the tracker in every network made here: that of its first host.
pub(crate) fn tracker_url() -> String {
    let mut network = network();
    url(Scheme::Http, network.host("tracker").ip())
}

fn network() -> Network {
    Network::new().unwrap_or_else(|why| panic!("{why}"))
}

/// Waits until a seed has done what it does at its start (hash its files, for instance).
fn settle(seed: &Process) {
    let mut cpu = seed.usage().cpu;
    let mut since = seed.started().elapsed();
    let quiet = || {
        let (now, at) = (seed.usage().cpu, seed.started().elapsed());
        if now > cpu + Duration::from_millis(10) {
            (cpu, since) = (now, at);
        }
        (at - since >= SETTLED).then_some(())
    };
    if poll(END_LIMIT, quiet).is_none() {
        panic!("the seed does not come to rest\n{}", seed.tail());
    }
}

fn compare(payload: &Payload, into: &Path, fetcher: &Process) {
    let copy = into.join(payload.file.file_name().unwrap_or_default());
    let same = std::process::Command::new("cmp").arg("--").arg(&payload.file).arg(&copy).status();
    assert!(same.is_ok_and(|status| status.success()), "the copy differs\n{}", fetcher.tail());
}

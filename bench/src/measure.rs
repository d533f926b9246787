//! One measurement: a seed, a leecher, and what they used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, Scheme, Tracker, url};
use althing_tests::net::Network;
use althing_tests::payload::write_random;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::torrent::{PYTHON, SCRIPT};
use althing_tests::wait::poll;

use crate::peers::{Bench, Peer};
use crate::results::Figures;
use crate::target;

/// The pieces of the torrent, bytes; what others choose for a file of this size.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// How long one transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(120);

/// How long a leecher may take to end after it was asked to.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(30);

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

impl Payload {
    /// Its size in MiB.
    pub(crate) fn mebibytes(&self) -> f64 {
        mebibytes(self.bytes)
    }
}

/// One transfer to be measured.
pub(crate) struct Transfer<'a> {
    /// Who has the file.
    pub(crate) seed: &'a dyn Peer,
    /// Who fetches it.
    pub(crate) leecher: &'a dyn Peer,
    /// The file.
    pub(crate) payload: &'a Payload,
    /// Both ends insist on encryption.
    pub(crate) encrypted: bool,
    /// Whether over uTP and not TCP.
    pub(crate) utp: bool,
    /// Where the leecher writes, if not to a folder under `target`; removed and made anew.
    pub(crate) into: Option<PathBuf>,
}

/// The figures of one transfer: `wall_s` from the start of the leecher's process until it says
/// that it has the file; `leecher_cpu_s` of its whole life; `seed_cpu_s` over the same time, its
/// own start not counting; and the most that was resident in each, `leecher_peak_mib` and
/// `seed_peak_mib`; `leecher_own_peak_mib` is the part that is no page of a file.
pub(crate) fn transfer(transfer: &Transfer<'_>) -> Figures {
    let Transfer { seed: seeding, leecher: fetching, payload, encrypted, utp, .. } = *transfer;
    let mut network = network();
    let (tracker, seed, leecher) =
        (network.host("tracker"), network.host("seed"), network.host("leecher"));
    let scratch = Scratch::at(folder().join("run"));
    let copy = transfer.into.clone().unwrap_or_else(|| scratch.path().join("copy"));
    let copy = Scratch::at(copy);
    let into = copy.path();
    // What earlier runs left to be written would be written in this one.
    rustix::fs::sync();

    let hashes = [payload.info_hash.clone()];
    let folder = scratch.dir("tracker");
    let meeting = seeding
        .needs_tracker()
        .then(|| Tracker::start(Kind::Opentracker, &tracker, tracker.ip(), &hashes, &folder));
    let folder = scratch.dir("seed");
    let bench = Bench {
        host: &seed,
        seed: &seed,
        payload,
        folder: &folder,
        into,
        encrypted,
        utp,
        stays: false,
    };
    let seeder = Process::start("seed", seeding.seed(&bench), &folder);
    match &meeting {
        Some(tracker) => tracker.wait_for_seed(&hashes, || seeder.tail()),
        None => seeder.wait_for("sign that it is ready", END_LIMIT, |output| {
            output.contains("ready").then_some(())
        }),
    }
    settle(&seeder);

    let before = seeder.usage();
    let folder = scratch.dir("leecher");
    let bench = Bench {
        host: &leecher,
        seed: &seed,
        payload,
        folder: &folder,
        into,
        encrypted,
        utp,
        stays: false,
    };
    let mut fetcher = Process::start("leecher", fetching.fetch(&bench), &folder);
    // A process that has ended says nothing of its memory any more.
    let (mut peak, mut own_peak, mut seed_peak) = (0, 0, before.peak_resident_bytes);
    let complete = poll(TRANSFER_LIMIT, || {
        peak = peak.max(fetcher.usage().peak_resident_bytes);
        own_peak = own_peak.max(fetcher.memory().anonymous_bytes);
        seed_peak = seed_peak.max(seeder.usage().peak_resident_bytes);
        (fetching.is_complete(&fetcher.output()) || fetcher.has_ended())
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
    compare(payload, into, &fetcher);
    vec![
        ("wall_s", wall.as_secs_f64()),
        ("leecher_cpu_s", cpu.as_secs_f64()),
        ("seed_cpu_s", seed_cpu.as_secs_f64()),
        ("leecher_peak_mib", mebibytes(peak)),
        ("leecher_own_peak_mib", mebibytes(own_peak)),
        ("seed_peak_mib", mebibytes(seed_peak)),
    ]
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The folder for payloads and for what runs leave while they last.
pub(crate) fn folder() -> PathBuf {
    target().join("bench")
}

/// A file and its torrent; the file is kept between runs, since writing it takes longer than a
/// transfer. `version` is "v1" or "v2".
///
/// # Errors
/// A sentence, when it cannot be written or no torrent can be made of it.
pub(crate) fn payload(mebibytes: u64, version: &str) -> Result<Payload, String> {
    let data = folder().join(format!("data-{mebibytes}-mib"));
    let failed = |error: std::io::Error| format!("{}: {error}", data.display());
    let (file, bytes) = (data.join(format!("payload-{mebibytes}-mib.bin")), mebibytes << 20);
    if file.metadata().map_or(0, |meta| meta.len()) != bytes {
        println!("writing {}", file.display());
        std::fs::create_dir_all(&data).map_err(failed)?;
        write_random(&file, bytes, 20).map_err(failed)?;
    }
    let torrent = folder().join(format!("payload-{mebibytes}-{version}.torrent"));
    let output = Command::new(PYTHON)
        .args(["-Wignore", SCRIPT, "make"])
        .args([&file, &torrent])
        .args(["--format", version, "--piece", &PIECE_BYTES.to_string()])
        .args(["--tracker", &tracker_url()])
        .output()
        .map_err(failed)?;
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("no torrent: {}", String::from_utf8_lossy(&output.stderr)))?;
    // Trackers know a v2 torrent by the first 20 bytes of its hash (BEP 52).
    let info_hash = made[version].as_str().and_then(|hash| hash.get(..40));
    let info_hash = info_hash.ok_or("the torrent has no info-hash")?.to_owned();
    Ok(Payload { file, bytes, torrent, info_hash })
}

/// The address of the tracker in every network made here: that of its first host.
pub(crate) fn tracker_url() -> String {
    let mut network = network();
    url(Scheme::Http, network.host("tracker").ip())
}

/// A network without hosts.
pub(crate) fn network() -> Network {
    Network::new().unwrap_or_else(|why| panic!("{why}"))
}

/// Waits until a seed has done what it does at its start (hash its files, for instance).
pub(crate) fn settle(seed: &Process) {
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

pub(crate) fn compare(payload: &Payload, into: &Path, fetcher: &Process) {
    let copy = into.join(payload.file.file_name().unwrap_or_default());
    let same = Command::new("cmp").arg("--").arg(&payload.file).arg(&copy).status();
    assert!(same.is_ok_and(|status| status.success()), "the copy differs\n{}", fetcher.tail());
}

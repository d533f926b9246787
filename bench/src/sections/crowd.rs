//! A flash crowd: one seed, and leechers that all come at the same moment. Everybody's uplink is
//! limited, so that there is an ideal, and what is compared is how well peers pass on to each other.

use std::time::Duration;

use althing_tests::clients::opentracker::{Kind, Tracker};
use althing_tests::net::Host;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::wait::{now, poll};

use crate::chart::Panel;
use crate::measure::{Payload, compare, folder, network, payload, settle};
use crate::options::Options;
use crate::peers::{self, Bench, Peer};
use crate::report::{Chart, Column, Page, median, range, table};
use crate::results::{Figures, Job, Results};

/// How many leechers.
const LEECHERS: usize = 8;

/// What each host may send, MiB/s.
const UPLINK_MIB_PER_S: u32 = 12;

/// How long the last one may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How often each copy is looked at while it is fetched.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.crowd_mib, "v1")?;
    // All of it has to leave the seed once; the leechers' uplinks are more than enough for the rest.
    let ideal = payload.mebibytes() / f64::from(UPLINK_MIB_PER_S);
    let job = |peer: &dyn Peer| (peer.label(), peer.name().to_owned());
    let mut jobs: Vec<Job<'_>> = peers
        .iter()
        .filter(|peer| peer.needs_tracker())
        .map(|peer| {
            let ((label, name), payload) = (job(peer.as_ref()), &payload);
            let measure = Box::new(move || crowd(peer.as_ref(), payload, ideal));
            Job { label, peer: name, other: String::new(), measure }
        })
        .collect();
    let sizes = [
        ("mib", payload.mebibytes()),
        ("leechers", LEECHERS as f64),
        ("uplink_mib_per_s", f64::from(UPLINK_MIB_PER_S)),
        ("ideal_s", ideal),
    ];
    Ok(Results::measure(options.rounds, &sizes, &mut jobs))
}

fn crowd(peer: &dyn Peer, payload: &Payload, ideal: f64) -> Result<Figures, String> {
    let mut network = network();
    let (meeting, seed) = (network.host("tracker"), network.host("seed"));
    let hosts: Vec<Host> = (1..=LEECHERS).map(|n| network.host(&format!("l{n}"))).collect();
    for host in hosts.iter().chain([&seed]) {
        host.limit_upload(UPLINK_MIB_PER_S)?;
    }
    let scratch = Scratch::at(folder().join("run"));
    rustix::fs::sync();
    let hashes = [payload.info_hash.clone()];
    let own = scratch.dir("tracker");
    let tracker = Tracker::start(Kind::Opentracker, &meeting, meeting.ip(), &hashes, &own);
    let own = scratch.dir("seed");
    let (encrypted, utp, stays, host, folder, into) = (false, false, true, &seed, &own, &own);
    let bench = Bench { host, seed: &seed, payload, folder, into, encrypted, utp, stays };
    let seeder = Process::start("seed", peer.seed(&bench), &own);
    tracker.wait_for_seed(&hashes, || seeder.tail());
    settle(&seeder);

    let before = seeder.usage().cpu;
    let start = now();
    let mut fetchers = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let (own, into) = (scratch.dir(&format!("l{number}")), scratch.dir(&format!("c{number}")));
        let bench = Bench { host, folder: &own, into: &into, ..bench };
        let process = Process::start("leecher", peer.fetch(&bench), &own);
        fetchers.push((process, into, None));
    }
    let mut last_look = now();
    let all = poll(LIMIT, || {
        // Nine logs are more than one to read; less often, so as not to be in the way.
        if last_look.elapsed() < LOOK_EVERY {
            return None;
        }
        last_look = now();
        for (process, _, done) in &mut fetchers {
            if done.is_none() && peer.is_complete(&process.output()) {
                *done = Some(start.elapsed());
            }
        }
        fetchers.iter().all(|(.., done)| done.is_some()).then_some(())
    });
    if all.is_none() {
        let slow = fetchers.iter().find(|(.., done)| done.is_none());
        let said = slow.map(|(process, ..)| process.tail()).unwrap_or_default();
        panic!("not complete within {LIMIT:?}\n{said}");
    }
    let seed_cpu = seeder.usage().cpu.saturating_sub(before);
    let cpu: Duration = fetchers.iter().map(|(process, ..)| process.usage().cpu).sum();
    let done: Vec<f64> =
        fetchers.iter().filter_map(|(.., done)| Some((*done)?.as_secs_f64())).collect();
    for (process, into, _) in &fetchers {
        compare(payload, into, process);
    }
    let last = done.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        ("last_s", last),
        ("first_s", done.iter().copied().fold(f64::INFINITY, f64::min)),
        ("by_ideal", last / ideal),
        ("cpu_s", (seed_cpu + cpu).as_secs_f64()),
    ])
}

pub(super) fn page(results: &Results) -> Page {
    let columns: [Column<'_>; 5] = [
        ("last has it, s", &median("last_s")),
        ("(range)", &range("last_s")),
        ("× ideal", &median("by_ideal")),
        ("first has it, s", &median("first_s")),
        ("CPU of all, s", &median("cpu_s")),
    ];
    let how = format!(
        "{} MiB, one seed and {} leechers that start together, each of the nine with an uplink of \
         {} MiB/s; ideal, {:.1} s, is the file once through the seed's uplink",
        results.size("mib"),
        results.size("leechers"),
        results.size("uplink_mib_per_s"),
        results.size("ideal_s"),
    );
    let title = "Time until the last of eight leechers has the file, seconds (shorter is better)";
    let chart = Chart {
        file: "bench-crowd.svg",
        alt: "A flash crowd: the time of the last leecher",
        panels: vec![Panel::one(title, "s", &results.rows, "last_s")],
    };
    Page {
        text: table(results, "peer, with itself", &columns, &how),
        charts: vec![chart],
        marks: Vec::new(),
    }
}

//! A file compared with its hashes, beside hashing the same number of bytes and nothing else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::wait::{now, poll};
use sha1::{Digest as _, Sha1};

use crate::chart::Panel;
use crate::daemon::Daemon;
use crate::measure::{PIECE_BYTES, Payload, folder, network, payload, settle};
use crate::options::Options;
use crate::peers;
use crate::report::{Chart, Column, Mark, Page, median, range, short, table};
use crate::results::{Figures, Job, Results, Row};
use crate::{install, root};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(120);

/// One way to have a file checked.
type Check = Box<dyn Fn(&Payload) -> Result<Figures, String>>;

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let payload = payload(options.sizes.verify_mib, "v1")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut add = |label: String, peer: &str, check: Check| {
        let (peer, other, payload) = (peer.to_owned(), String::new(), &payload);
        jobs.push(Job { label, peer, other, measure: Box::new(move || check(payload)) });
    };
    for peer in peers::all(options) {
        let label = peer.label();
        match peer.name() {
            "althing" => add(label, "althing", Box::new(althing)),
            "libtorrent" => {
                add(label.clone(), "libtorrent", Box::new(|payload| libtorrent(payload, 0)));
                if cores > 1 {
                    let label = format!("{label}, {cores} threads");
                    let check = move |payload: &Payload| libtorrent(payload, cores);
                    add(label, "libtorrent-threads", Box::new(check));
                }
            }
            "aria2" => add(label, "aria2", Box::new(aria2)),
            "rqbit" => add(label, "rqbit", Box::new(rqbit)),
            _ => add(
                "SHA-1 alone, all cores".to_owned(),
                "hash",
                Box::new(move |payload| Ok(hash(payload, cores))),
            ),
        }
    }
    Ok(Results::measure(options.rounds, &[("mib", payload.mebibytes())], &mut jobs))
}

/// `althing verify`, with a daemon that has the torrent: the command's time and the daemon's
/// processor time.
fn althing(payload: &Payload) -> Result<Figures, String> {
    let mut network = network();
    let host = network.host("verify");
    let scratch = Scratch::at(folder().join("run"));
    let program = install::althing()?;
    let daemon = Daemon::start(&program, &host, &scratch.dir("althing"), "");
    daemon.until_up();
    let data = payload.file.parent().unwrap_or(Path::new("/"));
    daemon.run(daemon.command().arg("get").arg(&payload.torrent).arg("-o").arg(data))?;
    daemon.until_seeding(1, LIMIT);
    settle(&daemon.process);
    let before = daemon.process.usage().cpu;
    let name = payload.file.file_name().unwrap_or_default();
    let start = now();
    daemon.run(daemon.command().arg("verify").arg(name))?;
    let took = start.elapsed();
    let cpu = daemon.process.usage().cpu.saturating_sub(before);
    let peak = daemon.process.usage().peak_resident_bytes;
    daemon.stop()?;
    Ok(figures(took.as_secs_f64(), cpu.as_secs_f64(), peak))
}

/// `force_recheck`, as the script times it.
fn libtorrent(payload: &Payload, threads: usize) -> Result<Figures, String> {
    let mut command = Command::new(install::libtorrent()?);
    command.arg("-Wignore").arg(root().join("bench/python/lt_bench.py")).arg("check");
    command.arg(&payload.torrent).arg(payload.file.parent().unwrap_or(Path::new("/")));
    command.args(["--threads", &threads.to_string()]);
    let (_, peak, output) = ended(&command)?;
    let mut words = output.split_whitespace().skip(1).map(str::parse::<f64>);
    match (words.next(), words.next()) {
        (Some(Ok(wall)), Some(Ok(cpu))) => Ok(figures(wall, cpu, peak)),
        _ => Err(format!("it said {output:?}")),
    }
}

/// A process of its own that checks and ends.
fn aria2(payload: &Payload) -> Result<Figures, String> {
    let mut command = Command::new("aria2c");
    command
        .args(["--no-conf", "--enable-dht=false", "--enable-dht6=false", "--summary-interval=0"])
        .args(["--hash-check-only=true", "--check-integrity=true", "--seed-time=0"])
        .arg(format!("--dir={}", payload.file.parent().unwrap_or(Path::new("/")).display()))
        .arg(&payload.torrent);
    whole(&command)
}

/// A process of its own that finds that everything is there, and ends.
fn rqbit(payload: &Payload) -> Result<Figures, String> {
    let scratch = Scratch::at(folder().join("rqbit"));
    let mut command = Command::new(install::rqbit()?);
    command
        .env("HOME", scratch.path())
        .args(["--disable-dht", "--disable-lsd", "--disable-upnp-port-forward", "download"])
        .args(["--disable-http-api", "--overwrite", "--exit-on-finish", "-o"])
        .arg(payload.file.parent().unwrap_or(Path::new("/")))
        .arg(&payload.torrent);
    whole(&command)
}

fn whole(command: &Command) -> Result<Figures, String> {
    let start = now();
    let (process, peak, _) = ended(command)?;
    let took = start.elapsed();
    Ok(figures(took.as_secs_f64(), process.usage().cpu.as_secs_f64(), peak))
}

/// Runs a command in a host of its own until it ends: the process, the most that was resident in
/// it, and what it said.
fn ended(command: &Command) -> Result<(Process, u64, String), String> {
    let mut network = network();
    let host = network.host("verify");
    let mut inside = host.command(command.get_program());
    inside.args(command.get_args());
    for (name, value) in command.get_envs() {
        value.map(|value| inside.env(name, value));
    }
    let scratch = Scratch::at(folder().join("run"));
    let process = Process::start("check", inside, scratch.path());
    let mut peak = 0;
    let end = poll(LIMIT, || {
        peak = peak.max(process.usage().peak_resident_bytes);
        process.has_ended().then_some(())
    });
    match end {
        Some(()) => {
            let output = process.output();
            Ok((process, peak, output))
        }
        None => Err(format!("it does not end\n{}", process.tail())),
    }
}

/// As many bytes as the file has, from memory, each core with its own.
fn hash(payload: &Payload, cores: usize) -> Figures {
    let pieces = payload.bytes as usize / PIECE_BYTES;
    let start = now();
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || {
                let piece = vec![core as u8; PIECE_BYTES];
                for _ in (core..pieces).step_by(cores) {
                    std::hint::black_box(Sha1::digest(std::hint::black_box(&piece)));
                }
            });
        }
    });
    vec![("wall_s", start.elapsed().as_secs_f64())]
}

fn figures(wall: f64, cpu: f64, peak: u64) -> Figures {
    vec![("wall_s", wall), ("cpu_s", cpu), ("peak_mib", crate::measure::mebibytes(peak))]
}

pub(super) fn page(results: &Results) -> Page {
    let megabytes = results.size("mib") * f64::from(1 << 20) / 1e6;
    let rate = |row: &Row| megabytes / row.median("wall_s");
    let columns: [Column<'_>; 5] = [
        ("wall s", &median("wall_s")),
        ("(range)", &range("wall_s")),
        ("MB/s", &|row| short(rate(row))),
        ("CPU s", &median("cpu_s")),
        ("peak MiB", &median("peak_mib")),
    ];
    let how = format!(
        "One file of {} MiB that the system has in memory, pieces of 1 MiB, SHA-1. Althing and \
         libtorrent are asked while they run; aria2 and rqbit check as they start, so their start \
         counts",
        results.size("mib")
    );
    let mut marks = Vec::new();
    if let (Some(own), Some(hash)) = (results.of("althing"), results.of("hash")) {
        let theirs = results.of("libtorrent").map_or(0.0, rate);
        let what = "verification, of what SHA-1 alone does on all cores";
        marks.push(Mark::at_least(what, "MB/s", rate(hash), rate(own), theirs));
    }
    let title = "Time until the file is checked, seconds (shorter is better)";
    let chart = Chart {
        file: "bench-verify.svg",
        alt: "A file compared with its hashes: time",
        panels: vec![Panel::one(title, "s", &results.rows, "wall_s")],
    };
    Page { text: table(results, "peer", &columns, &how), charts: vec![chart], marks }
}

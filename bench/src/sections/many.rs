//! Many small torrents: how long a peer that has them all takes from its start until all of them
//! seed, what it holds in memory, and what it does while nothing happens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::payload::write_random;
use althing_tests::process::Process;
use althing_tests::wait::now;

use crate::chart::Panel;
use crate::daemon::Daemon;
use crate::measure::{END_LIMIT, folder, network, settle};
use crate::options::Options;
use crate::peers;
use crate::report::{Chart, Column, Mark, Page, median, range, table};
use crate::results::{Figures, Job, Results};
use crate::{install, root};

/// The marks, for 10,000.
const UP_S_MAX: f64 = 0.7;
const RESIDENT_MB_MAX: f64 = 80.0;
const IDLE_PERCENT_MAX: f64 = 0.6;

/// Bytes of each torrent's file.
const BYTES: u64 = 16 << 10;

/// How long sharing all of them may take.
const SHARE_LIMIT: Duration = Duration::from_secs(300);

/// How long a start may take until all seed.
const UP_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let (count, idle) = (options.sizes.torrents, Duration::from_secs(options.sizes.idle_s));
    let own = folder().join(format!("many-{count}"));
    let content = own.join("content");
    write(&content, count).map_err(|error| format!("{}: {error}", content.display()))?;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for peer in peers::all(options) {
        let (label, own) = (peer.label(), own.clone());
        let mut add = |name: &str, measure: Box<dyn FnMut() -> Result<Figures, String>>| {
            let (peer, other) = (name.to_owned(), String::new());
            jobs.push(Job { label: label.clone(), peer, other, measure });
        };
        match peer.name() {
            "althing" => {
                let dir = own.join("althing");
                share(&dir, &content, count)?;
                add("althing", Box::new(move || althing(&dir, count, idle)));
            }
            "libtorrent" => {
                torrents(&own, count)?;
                add("libtorrent", Box::new(move || libtorrent(&own, idle)));
            }
            // The others have no way to hold many and say when they are up.
            _ => {}
        }
    }
    let sizes = [("torrents", count as f64), ("idle_s", options.sizes.idle_s as f64)];
    Ok(Results::measure(options.rounds, &sizes, &mut jobs))
}

/// The files, kept between runs.
fn write(content: &Path, count: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(content)?;
    for number in 0..count {
        let file = content.join(name(number));
        if file.metadata().map_or(0, |meta| meta.len()) != BYTES {
            write_random(&file, BYTES, number as u64 + 1)?;
        }
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("file-{number:05}.bin")
}

/// Has Althing share all of them into a data folder that is kept; again when it would be written in
/// another way.
fn share(dir: &Path, content: &Path, count: usize) -> Result<(), String> {
    let program = install::althing()?;
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mark = dir.join("bench-shared-by");
    let format = format!("format {}, {count} files\n", althing_store::records::FORMAT_VERSION);
    if std::fs::read_to_string(&mark).is_ok_and(|by| by == format) {
        return Ok(());
    }
    if dir.exists() {
        std::fs::remove_dir_all(dir).map_err(failed)?;
    }
    println!("  sharing {count} files into {}", dir.display());
    let mut network = network();
    let host = network.host("many");
    let start = now();
    let daemon = Daemon::start(&program, &host, dir, "");
    daemon.until_up();
    let names = (0..count).map(name);
    daemon
        .run(daemon.command().current_dir(content).args(["share", "--format", "v1"]).args(names))?;
    daemon.until_seeding(count, SHARE_LIMIT);
    println!("  shared after {:.1} s", start.elapsed().as_secs_f64());
    daemon.stop()?;
    std::fs::write(&mark, format).map_err(failed)
}

/// Has libtorrent make a torrent of each.
fn torrents(own: &Path, count: usize) -> Result<(), String> {
    let torrents = own.join("torrents");
    let there = std::fs::read_dir(&torrents).map_or(0, Iterator::count);
    if there == count {
        return Ok(());
    }
    println!("  making {count} torrents in {}", torrents.display());
    let output = std::process::Command::new(install::libtorrent()?)
        .arg("-Wignore")
        .arg(script())
        .args(["make".as_ref(), own.join("content").as_os_str(), torrents.as_os_str()])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn script() -> PathBuf {
    root().join("bench/python/lt_bench.py")
}

fn althing(dir: &Path, count: usize, idle: Duration) -> Result<Figures, String> {
    let mut network = network();
    let host = network.host("many");
    rustix::fs::sync();
    let daemon = Daemon::start(&install::althing()?, &host, dir, "");
    let up = daemon.until_seeding(count, UP_LIMIT);
    let figures = rest(&daemon.process, up, idle);
    daemon.stop()?;
    Ok(figures)
}

fn libtorrent(own: &Path, idle: Duration) -> Result<Figures, String> {
    let mut network = network();
    let host = network.host("many");
    rustix::fs::sync();
    let mut command = host.command(install::libtorrent()?);
    command.arg("-Wignore").arg(script()).arg("many");
    command.arg(own.join("content")).arg(own.join("torrents"));
    let process = Process::start("many", command, own);
    let up = process.wait_for("seeding torrents", UP_LIMIT, |output| {
        output.contains("seeding").then(|| process.started().elapsed())
    });
    Ok(rest(&process, up, idle))
}

/// What a process holds and does while nothing happens.
fn rest(process: &Process, up: Duration, idle: Duration) -> Figures {
    settle(process);
    let before = process.usage().cpu;
    let start = now();
    std::thread::sleep(idle);
    let used = process.usage().cpu.saturating_sub(before);
    let percent = used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    vec![
        ("up_s", up.as_secs_f64()),
        ("up_cpu_s", before.as_secs_f64()),
        ("resident_mb", process.memory().resident_bytes as f64 / 1e6),
        ("idle_percent", percent),
    ]
}

pub(super) fn page(results: &Results) -> Page {
    let columns: [Column<'_>; 5] = [
        ("all seed after, s", &median("up_s")),
        ("(range)", &range("up_s")),
        ("CPU until at rest, s", &median("up_cpu_s")),
        ("resident MB", &median("resident_mb")),
        ("idle, % of a core", &median("idle_percent")),
    ];
    let count = results.size("torrents");
    let how = format!(
        "{count} torrents of one file of 16 KiB, from the start of the process; idle over {} s, \
         once it has come to rest (at most {} s later). Althing starts from its data folder and looks \
         at each file's size and time; libtorrent (Python, 9 MB of it the interpreter) is given the \
         torrent files and told to trust that the files are there",
        results.size("idle_s"),
        END_LIMIT.as_secs(),
    );
    let mut marks = Vec::new();
    if let Some(own) = results.of("althing") {
        let theirs = |figure| results.of("libtorrent").map_or(0.0, |row| row.median(figure));
        let part = count / 10_000.0;
        let what = |what: &str| format!("{count} torrents, {what}");
        for (name, unit, most, figure) in [
            ("all seed after", "s", UP_S_MAX * part, "up_s"),
            ("memory", "MB", RESIDENT_MB_MAX, "resident_mb"),
            ("idle, part of a core", "%", IDLE_PERCENT_MAX, "idle_percent"),
        ] {
            let mark = Mark::at_most(&what(name), unit, most, own.median(figure), theirs(figure));
            marks.push(mark);
        }
    }
    let panel = |title, unit, figure| Panel::one(title, unit, &results.rows, figure);
    let chart = Chart {
        file: "bench-many.svg",
        alt: "Many torrents: time until all seed, memory, idle processor time",
        panels: vec![
            panel("Time from the start until all seed, seconds (shorter is better)", "s", "up_s"),
            panel("Resident memory, MB", "MB", "resident_mb"),
            panel("Processor time while nothing happens, % of a core", "%", "idle_percent"),
        ],
    };
    Page { text: table(results, "peer", &columns, &how), charts: vec![chart], marks }
}

//! One file from one seed to one leecher: in every direction, encrypted, and as a v2 torrent.

use std::hint::black_box;

use althing_tests::wait::now;

use crate::chart::Panel;
use crate::measure::{Payload, Transfer, payload, transfer};
use crate::options::Options;
use crate::peers::{self, Peer};
use crate::report::{Chart, Column, Mark, Page, median, range, short, table};
use crate::results::{Job, Results, Row};

/// The marks: wall time and processor time of both ends in seconds for 1 GiB, and both beside
/// libtorrent's in the same run.
const WALL_S_MAX: f64 = 2.4;
const WALL_GAIN_MIN: f64 = 1.5;
const CPU_S_MAX: f64 = 3.6;
const CPU_PART_MAX: f64 = 0.6;

/// How near an encrypted transfer has to come to what RC4 alone does on one core.
const CIPHER_PART_MIN: f64 = 0.9;

/// How many times as fast as libtorrent a transfer over uTP has to be.
const UTP_GAIN_MIN: f64 = 5.0;

/// The label of the row that is no transfer but RC4 alone.
const CIPHER: &str = "RC4 alone, one core";

/// How much RC4 alone is measured with, MiB.
const CIPHER_MIB: u64 = 256;

/// All pairs that `fits` lets through, each with its own name as label where both ends are one.
fn pairs<'a>(
    peers: &'a [Box<dyn Peer>],
    payload: &'a Payload,
    (encrypted, utp): (bool, bool),
    fits: impl Fn(&dyn Peer, &dyn Peer) -> bool,
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    // Those with themselves first: they are the ones that are compared.
    for own in [true, false] {
        for seed in peers {
            for leecher in peers {
                let same = seed.name() == leecher.name();
                let meet = same || seed.needs_tracker() && leecher.needs_tracker();
                if same != own || !meet || !fits(seed.as_ref(), leecher.as_ref()) {
                    continue;
                }
                let label = match same {
                    true => format!("{} {}", seed.name(), seed.version()).trim().to_owned(),
                    false => format!("{} → {}", seed.name(), leecher.name()),
                };
                let what = Transfer {
                    seed: seed.as_ref(),
                    leecher: leecher.as_ref(),
                    payload,
                    encrypted,
                    utp,
                    into: None,
                };
                jobs.push(Job {
                    label,
                    peer: seed.name().to_owned(),
                    other: leecher.name().to_owned(),
                    measure: Box::new(move || Ok(transfer(&what))),
                });
            }
        }
    }
    jobs
}

/// Every direction among all peers, and the floor.
pub(super) fn matrix(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.file_mib, "v1")?;
    let mut jobs = pairs(&peers, &payload, (false, false), |_, _| true);
    Ok(Results::measure(options.rounds, &[("mib", payload.mebibytes())], &mut jobs))
}

/// Every direction among those that can insist on encryption, and their cipher alone.
pub(super) fn encrypted(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.file_mib, "v1")?;
    let mut jobs = pairs(&peers, &payload, (true, false), |seed, leecher| {
        seed.encrypts() && leecher.encrypts()
    });
    jobs.push(Job {
        label: CIPHER.to_owned(),
        peer: "cipher".to_owned(),
        other: String::new(),
        measure: Box::new(|| Ok(vec![("mb_per_s", cipher())])),
    });
    Ok(Results::measure(options.rounds, &[("mib", payload.mebibytes())], &mut jobs))
}

/// Those that read v2 torrents, with themselves.
pub(super) fn v2(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.file_mib, "v2")?;
    let mut jobs = pairs(&peers, &payload, (false, false), |seed, leecher| {
        seed.reads_v2() && leecher.reads_v2()
    });
    Ok(Results::measure(options.rounds, &[("mib", payload.mebibytes())], &mut jobs))
}

/// Every direction among those that can do without TCP.
pub(super) fn utp(options: &Options) -> Result<Results, String> {
    let peers = peers::all(options);
    let payload = payload(options.sizes.file_mib, "v1")?;
    let fits = |seed: &dyn Peer, leecher: &dyn Peer| seed.speaks_utp() && leecher.speaks_utp();
    let mut jobs = pairs(&peers, &payload, (false, true), fits);
    Ok(Results::measure(options.rounds, &[("mib", payload.mebibytes())], &mut jobs))
}

/// MB/s of RC4 on one core: the textbook's loop, so that it is nobody's own implementation.
fn cipher() -> f64 {
    let mut state: [u8; 256] = std::array::from_fn(|at| at as u8);
    let mut j = 0_u8;
    for i in 0..=255_u8 {
        j = j.wrapping_add(state[usize::from(i)]).wrapping_add(i % 20);
        state.swap(usize::from(i), usize::from(j));
    }
    let mut block = vec![0x5a_u8; 16 << 10];
    let (mut i, mut j) = (0_u8, 0_u8);
    let start = now();
    for _ in 0..CIPHER_MIB * 64 {
        for byte in &mut block {
            i = i.wrapping_add(1);
            let one = state[usize::from(i)];
            j = j.wrapping_add(one);
            let two = state[usize::from(j)];
            state[usize::from(i)] = two;
            state[usize::from(j)] = one;
            *byte ^= state[usize::from(one.wrapping_add(two))];
        }
        black_box(&block);
    }
    (CIPHER_MIB << 20) as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn mb_per_s(results: &Results) -> impl Fn(&Row) -> String {
    let megabytes = megabytes(results);
    move |row| match row.figures.get("mb_per_s") {
        Some(_) => short(row.median("mb_per_s")),
        None => short(megabytes / row.median("wall_s")),
    }
}

fn megabytes(results: &Results) -> f64 {
    results.size("mib") * f64::from(1 << 20) / 1e6
}

fn beside(results: &Results) -> impl Fn(&Row) -> String {
    let wall = results.of("libtorrent").map(|row| row.median("wall_s"));
    move |row| match (wall, row.figures.contains_key("wall_s")) {
        (Some(wall), true) => format!("{:.2}", wall / row.median("wall_s")),
        _ => String::new(),
    }
}

fn transfers(results: &Results, first: &str, how: &str) -> String {
    let columns: [Column<'_>; 8] = [
        ("wall s", &median("wall_s")),
        ("(range)", &range("wall_s")),
        ("MB/s", &mb_per_s(results)),
        ("× libtorrent", &beside(results)),
        ("leecher CPU s", &median("leecher_cpu_s")),
        ("seed CPU s", &median("seed_cpu_s")),
        ("leecher peak MiB", &median("leecher_peak_mib")),
        ("seed peak MiB", &median("seed_peak_mib")),
    ];
    let how = format!("One file of {} MiB, {how}", results.size("mib"));
    table(results, first, &columns, &how)
}

fn panels(rows: &[Row]) -> Vec<Panel> {
    vec![
        Panel::one(
            "Time until the leecher has the file, seconds (shorter is better)",
            "s",
            rows,
            "wall_s",
        ),
        Panel::two(
            "Processor time, seconds",
            "s",
            rows,
            [("leecher", "leecher_cpu_s"), ("seed", "seed_cpu_s")],
        ),
        Panel::two(
            "Peak resident memory, MiB",
            "MiB",
            rows,
            [("leecher", "leecher_peak_mib"), ("seed", "seed_peak_mib")],
        ),
    ]
}

/// Processor time of both ends, seconds.
fn both(row: &Row) -> f64 {
    row.median("leecher_cpu_s") + row.median("seed_cpu_s")
}

pub(super) fn matrix_page(results: &Results) -> Page {
    let (own, mixed): (Vec<Row>, Vec<Row>) =
        results.rows.iter().cloned().partition(|row| row.peer == row.other);
    let with = |rows: Vec<Row>, missing| Results { rows, missing, ..results.clone() };
    let how = "v1 torrent with pieces of 1 MiB, over TCP between two network namespaces";
    let mut charts = vec![Chart {
        file: "bench-files.svg",
        alt: "One file from one peer to itself: time, processor time and memory",
        panels: panels(&own),
    }];
    let own = with(own, results.missing.clone());
    let mut text = transfers(&own, "peer, to itself", how);
    if !mixed.is_empty() {
        text.push_str("\nIn every direction:\n\n");
        text.push_str(&square(results));
        charts.push(Chart {
            file: "bench-matrix.svg",
            alt: "One file from each peer to each other: time and processor time",
            panels: panels(&mixed).into_iter().take(2).collect(),
        });
    }
    Page { text, charts, marks: matrix_marks(results) }
}

/// Seeds down, leechers across: wall time, and in brackets processor time of seed + leecher.
fn square(results: &Results) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in results.rows.iter().filter(|row| row.peer != "floor") {
        if !names.contains(&row.peer.as_str()) {
            names.push(&row.peer);
        }
    }
    let mut text = String::from("| from ↓ to → |");
    names.iter().for_each(|name| text.push_str(&format!(" {name} |")));
    text.push_str("\n| --- |");
    names.iter().for_each(|_| text.push_str(" --: |"));
    text.push('\n');
    for seed in &names {
        text.push_str(&format!("| {seed} |"));
        for leecher in &names {
            let cell = results.pair(seed, leecher).map_or_else(String::new, |row| {
                format!(
                    "{} s ({} + {})",
                    short(row.median("wall_s")),
                    short(row.median("seed_cpu_s")),
                    short(row.median("leecher_cpu_s")),
                )
            });
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text.push_str(
        "\nWall time, and in brackets the processor time of seed + leecher in seconds.\n",
    );
    text
}

fn matrix_marks(results: &Results) -> Vec<Mark> {
    let Some(own) = results.of("althing") else { return Vec::new() };
    // The marks are for 1 GiB.
    let part = results.size("mib") / 1024.0;
    let theirs = results.of("libtorrent");
    let wall = theirs.map_or(0.0, |row| row.median("wall_s"));
    let cpu = theirs.map_or(0.0, both);
    let size = format!("{} MiB", results.size("mib"));
    let mut marks = vec![Mark::at_most(
        &format!("{size} from one to one, wall time"),
        "s",
        WALL_S_MAX * part,
        own.median("wall_s"),
        wall,
    )];
    if wall > 0.0 {
        let gain = wall / own.median("wall_s");
        let what = "the same, times as fast as libtorrent";
        marks.push(Mark::at_least(what, "×", WALL_GAIN_MIN, gain, 0.0));
    }
    let what = "the same, processor time of both ends";
    marks.push(Mark::at_most(what, "s", CPU_S_MAX * part, both(own), cpu));
    if cpu > 0.0 {
        let what = "the same, part of libtorrent's";
        marks.push(Mark::at_most(what, "×", CPU_PART_MAX, both(own) / cpu, 0.0));
    }
    marks
}

pub(super) fn encrypted_page(results: &Results) -> Page {
    let how = "as above, with every byte encrypted (MSE with RC4, which both ends insist on)";
    let mut marks = Vec::new();
    let cipher = results.of("cipher").map_or(0.0, |row| row.median("mb_per_s"));
    if let Some(own) = results.of("althing") {
        let rate = |row: &Row| megabytes(results) / row.median("wall_s");
        marks.push(Mark::at_least(
            "encrypted, of what RC4 alone does on one core",
            "MB/s",
            CIPHER_PART_MIN * cipher,
            rate(own),
            results.of("libtorrent").map_or(0.0, rate),
        ));
    }
    let chart = Chart {
        file: "bench-encrypted.svg",
        alt: "One file from one to one, encrypted: time and processor time",
        panels: panels(&results.rows).into_iter().take(2).collect(),
    };
    Page { text: transfers(results, "from one to one", how), charts: vec![chart], marks }
}

pub(super) fn utp_page(results: &Results) -> Page {
    let how = "as above, over uTP (BEP 29: streams over UDP that give way to everything else)";
    let mut marks = Vec::new();
    if let (Some(own), Some(theirs)) = (results.of("althing"), results.of("libtorrent")) {
        let gain = theirs.median("wall_s") / own.median("wall_s");
        marks.push(Mark::at_least(
            "over uTP, times as fast as libtorrent",
            "×",
            UTP_GAIN_MIN,
            gain,
            0.0,
        ));
    }
    let chart = Chart {
        file: "bench-utp.svg",
        alt: "One file from one to one over uTP: time and processor time",
        panels: panels(&results.rows).into_iter().take(2).collect(),
    };
    Page { text: transfers(results, "from one to one", how), charts: vec![chart], marks }
}

pub(super) fn v2_page(results: &Results) -> Page {
    let how = "as above, v2 torrent (BEP 52: SHA-256 of each block of 16 KiB)";
    let chart = Chart {
        file: "bench-v2.svg",
        alt: "One file of a v2 torrent from one to one: time and processor time",
        panels: panels(&results.rows).into_iter().take(2).collect(),
    };
    let text = transfers(results, "from one to one", how);
    Page { text, charts: vec![chart], marks: Vec::new() }
}

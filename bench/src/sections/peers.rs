//! Many peers on one torrent: what a seed gives to all of them, and what that costs it. The peers
//! are this program's own (`load`), so that both seeds have the same before them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use althing_tests::net::Host;
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;

use crate::chart::Panel;
use crate::daemon::WITHOUT_OVERLAYS;
use crate::measure::{
    END_LIMIT, PIECE_BYTES, Payload, folder, mebibytes, network, payload, settle,
};
use crate::options::{Options, Sizes};
use crate::peers;
use crate::report::{Chart, Column, Page, median, range, table};
use crate::results::{Figures, Job, Results};
use crate::{install, load, root};

/// How long the load may take to begin with.
const SERVED_LIMIT: Duration = Duration::from_secs(40);

pub(super) fn measure(options: &Options) -> Result<Results, String> {
    let payload = payload(options.sizes.file_mib, "v1")?;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for peer in peers::all(options) {
        let seed: fn(&Host, &Payload, usize, &Scratch) -> Result<Seed, String> = match peer.name() {
            "althing" => althing,
            "libtorrent" => libtorrent,
            // The others do not say how many they serve at once, or cannot be told.
            _ => continue,
        };
        let (label, name, payload) = (peer.label(), peer.name().to_owned(), &payload);
        let measure = Box::new(move || serve(seed, payload, &options.sizes));
        jobs.push(Job { label, peer: name, other: String::new(), measure });
    }
    let sizes = [
        ("mib", payload.mebibytes()),
        ("peers", options.sizes.peers as f64),
        ("seconds", options.sizes.peers_s as f64),
    ];
    Ok(Results::measure(options.rounds, &sizes, &mut jobs))
}

/// A seed that is ready, and where it listens.
struct Seed {
    process: Process,
    port: u16,
}

fn althing(host: &Host, payload: &Payload, peers: usize, own: &Scratch) -> Result<Seed, String> {
    let dir = own.dir("althing");
    let settings = format!(
        "[network]\nconnections = {0}\nconnections_per_torrent = {0}\n[sharing]\nupload_slots = {1}\n\
         upload_slots_total = {1}\n{WITHOUT_OVERLAYS}",
        peers * 2,
        peers
    );
    std::fs::write(dir.join("config.toml"), settings).map_err(|error| error.to_string())?;
    let mut command = host.command(install::althing()?);
    command.arg("--dir").arg(&dir).arg("get").arg(&payload.torrent);
    command.arg("-o").args(payload.file.parent()).arg("--seed");
    let process = Process::start("seed", command, own.path());
    process.wait_for("sign that it has the file", END_LIMIT, |output| {
        output.contains("there already").then_some(())
    });
    Ok(Seed { process, port: 7716 })
}

fn libtorrent(host: &Host, payload: &Payload, peers: usize, own: &Scratch) -> Result<Seed, String> {
    let mut command = host.command(install::libtorrent()?);
    command.arg("-Wignore").arg(root().join("bench/python/lt_bench.py")).arg("seed");
    command.arg(&payload.torrent).args(payload.file.parent());
    command.args(["--peers", &peers.to_string()]);
    let process = Process::start("seed", command, own.path());
    process.wait_for("sign that it is ready", END_LIMIT, |output| {
        output.contains("ready").then_some(())
    });
    Ok(Seed { process, port: 6881 })
}

fn serve(
    seed: fn(&Host, &Payload, usize, &Scratch) -> Result<Seed, String>,
    payload: &Payload,
    sizes: &Sizes,
) -> Result<Figures, String> {
    let mut network = network();
    let (host, crowd) = (network.host("seed"), network.host("crowd"));
    // Peers have addresses of their own: one address is no crowd, and clients know it.
    let addresses = (0..sizes.peers).map(|n| format!("addr add {}/32 dev eth0\n", load::source(n)));
    batch(&crowd, &addresses.collect::<String>())?;
    batch(&host, "route add 10.78.0.0/16 dev eth0\n")?;
    let own = Scratch::at(folder().join("run"));
    let Seed { process, port } = seed(&host, payload, sizes.peers, &own)?;
    settle(&process);

    let program = std::env::current_exe().map_err(|error| format!("who am I: {error}"))?;
    let mut command = crowd.command(program);
    command.arg("load").arg(SocketAddr::new(host.ip(), port).to_string()).arg(&payload.info_hash);
    command.args([payload.bytes as usize / PIECE_BYTES, PIECE_BYTES, sizes.peers].map(word));
    command.arg(sizes.peers_s.to_string());
    let crowd = Process::start("crowd", command, own.path());
    let served: f64 = number(&crowd, "served ", SERVED_LIMIT)[0];
    let before = process.usage().cpu;
    let limit = Duration::from_secs(sizes.peers_s) + END_LIMIT;
    let had = number(&crowd, "had ", limit);
    let cpu = process.usage().cpu.saturating_sub(before).as_secs_f64();
    let [bytes, seconds, fed] = had[..] else { return Err(crowd.tail()) };
    if bytes == 0.0 {
        return Err(format!("nothing came\n{}{}", crowd.tail(), process.tail()));
    }
    let memory = process.memory();
    Ok(vec![
        ("served", served),
        ("fed", fed),
        ("mb_per_s", bytes / 1e6 / seconds),
        ("cpu_percent", cpu / seconds * 100.0),
        ("cpu_s_per_gb", cpu / (bytes / 1e9)),
        ("anonymous_mib", mebibytes(memory.anonymous_bytes)),
        ("resident_mib", mebibytes(memory.resident_bytes)),
    ])
}

fn word(number: usize) -> String {
    number.to_string()
}

/// The numbers on the line of its output that begins so.
fn number(process: &Process, begin: &str, limit: Duration) -> Vec<f64> {
    process.wait_for(begin, limit, |output| {
        // Only a whole line: the last may still be growing.
        let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = whole.lines().find_map(|line| line.strip_prefix(begin))?;
        let numbers: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
        numbers.ok().filter(|numbers| !numbers.is_empty())
    })
}

/// Many changes to a host's addresses and routes at once.
fn batch(host: &Host, lines: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("ip could not be run: {error}");
    let mut child = Command::new("ip")
        .args(["-n", host.namespace(), "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes()).map_err(failed)?;
    }
    match child.wait().map_err(failed)?.success() {
        true => Ok(()),
        false => Err("ip refuses addresses for the crowd".to_owned()),
    }
}

pub(super) fn page(results: &Results) -> Page {
    let columns: [Column<'_>; 8] = [
        ("MB/s to all", &median("mb_per_s")),
        ("(range)", &range("mb_per_s")),
        ("unchoked", &median("served")),
        ("got something", &median("fed")),
        ("CPU, % of a core", &median("cpu_percent")),
        ("CPU s per GB", &median("cpu_s_per_gb")),
        ("own memory MiB", &median("anonymous_mib")),
        ("resident MiB", &median("resident_mib")),
    ];
    let how = format!(
        "One seed with a file of {} MiB, {} peers with addresses of their own that each ask for 16 \
         blocks at a time and drop them, over {} s; the seed may have that many connections and \
         unchoke all. The peers are one process on the same machine, so they share its cores. Own memory \
         is what is not pages of files",
        results.size("mib"),
        results.size("peers"),
        results.size("seconds"),
    );
    let panel = |title, unit, figure| Panel::one(title, unit, &results.rows, figure);
    let chart = Chart {
        file: "bench-peers.svg",
        alt: "Many peers that fetch from one seed: rate, processor time, memory",
        panels: vec![
            panel("To all peers together, MB/s (longer is better)", "MB/s", "mb_per_s"),
            panel("Processor time of the seed for each GB, seconds", "s", "cpu_s_per_gb"),
            panel("Memory of the seed that is not pages of files, MiB", "MiB", "anonymous_mib"),
        ],
    };
    Page { text: table(results, "seed", &columns, &how), charts: vec![chart], marks: Vec::new() }
}

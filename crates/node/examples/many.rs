//! Many torrents at once: how long until all of them seed, how much memory they take, and how busy
//! they keep a processor while nothing happens.
//!
//! ```text
//! cargo run --release -p althing-node --example many -- [TORRENTS] [FOLDER]
//! ```

#![expect(clippy::print_stdout, reason = "a program for people")]

use althing_base::{Rng, Seed};
use althing_node::config::Reach;
use althing_node::session::{AddOptions, AddSource, CreateOptions, TorrentKind, TorrentState};
use althing_node::{Config, Session, clock};
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of each torrent's file.
const SIZE: usize = 16 * 1024;

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words[..] {
        ["add", folder, count] => runtime.block_on(add(Path::new(folder), count.parse()?)),
        ["seed", folder] => runtime.block_on(seed(Path::new(folder))),
        _ => {
            let count = words.first().copied().unwrap_or("10000");
            let dir = match words.get(1) {
                Some(folder) => tempfile::tempdir_in(folder)?,
                None => tempfile::tempdir()?,
            };
            let folder = dir.path().display().to_string();
            // Two processes, so that what the first one left in memory is not counted.
            run(&["add", &folder, count])?;
            run(&["seed", &folder])
        }
    }
}

fn run(arguments: &[&str]) -> Outcome<()> {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err("it failed".into()) }
}

fn config() -> Config {
    let mut config = Config::default();
    config.network.port = 0;
    config.network.reach = Reach::Loopback;
    config.api.enabled = false;
    config
}

async fn add(folder: &Path, count: u64) -> Outcome<()> {
    let content = folder.join("content");
    std::fs::create_dir_all(&content)?;
    let session = Session::start(config(), &folder.join("data")).await?;
    let mut bytes = vec![0; SIZE];
    for number in 0..count {
        Rng::new(Seed::from_u64(number)).fill(&mut bytes);
        let file = content.join(format!("file {number:06}.bin"));
        std::fs::write(&file, &bytes)?;
        let options = CreateOptions { kind: TorrentKind::V1, ..CreateOptions::default() };
        let created = session.create(&file, options, |_, _| {}).await?;
        let source = AddSource::Torrent(created.metainfo.to_torrent());
        let in_place = Some(created.location);
        let options = AddOptions { in_place, trusted: true, ..AddOptions::default() };
        session.add(source, options).await?;
    }
    session.shutdown().await;
    Ok(())
}

async fn seed(folder: &Path) -> Outcome<()> {
    let start = clock::now();
    let session = Session::start(config(), &folder.join("data")).await?;
    let started = clock::now().since(start);
    let mut events = session.subscribe();
    while session.list().iter().any(|torrent| torrent.state != TorrentState::Seeding) {
        // Lagging behind is fine: the list tells.
        let _ = tokio::time::timeout(Duration::from_millis(10), events.recv()).await;
    }
    let up = clock::now().since(start);
    let before = processor_s();
    tokio::time::sleep(IDLE).await;
    let busy = (processor_s() - before) / IDLE.as_secs_f64() * 100.0;
    println!(
        "{} torrents: started in {:.2} s, all seeding after {:.2} s, {} MiB resident, {busy:.2} % of a core idle",
        session.list().len(),
        started.as_secs_f64(),
        up.as_secs_f64(),
        resident_mib(),
    );
    let stopping = clock::now();
    session.shutdown().await;
    println!("stopped in {:.2} s", clock::now().since(stopping).as_secs_f64());
    Ok(())
}

/// Processor time of this process in seconds, as Linux tells it.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// Memory of this process, as Linux tells it.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

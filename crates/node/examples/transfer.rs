//! One file from one process to another over the loopback, with the figures that matter: wall time,
//! processor time of both ends, peak memory.
//!
//! ```text
//! cargo run --release -p althing-node --example transfer -- [MIB] [v1|v2|hybrid] [FOLDER]
//! ```
//!
//! The roles are processes of their own, so that a profiler can be put under either:
//! `transfer seed FOLDER FILE FORMAT` and `transfer fetch FOLDER TORRENT ADDRESS`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use althing_base::{Rng, Seed};
use althing_node::config::Reach;
use althing_node::session::{AddOptions, AddSource, CreateOptions, Event, TorrentKind};
use althing_node::{Config, Session};
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words[..] {
        ["seed", folder, file, format] => runtime.block_on(seed(folder, file, format)),
        ["fetch", folder, torrent, addr] => runtime.block_on(fetch(folder, torrent, addr)),
        _ => {
            let mib = words.first().map_or(Ok(1024), |word| word.parse())?;
            let format = words.get(1).copied().unwrap_or("v1");
            measure(mib, format, words.get(2).copied())
        }
    }
}

/// Runs both roles and prints what they say.
fn measure(mib: usize, format: &str, folder: Option<&str>) -> Outcome<()> {
    let dir = match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let file = dir.path().join("file.bin");
    write_noise(&file, mib)?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut seeder = start(&["seed", &path("seeder"), &path("file.bin"), format])?;
    let addr = line(&mut seeder)?;
    let leecher = start(&["fetch", &path("leecher"), &path("seeder/file.torrent"), &addr])?;
    let fetched = leecher.wait_with_output()?;
    print!("fetch: {}", String::from_utf8_lossy(&fetched.stdout));
    // The seeder stops when its input ends.
    drop(seeder.stdin.take());
    print!("seed:  {}", line(&mut seeder)?);
    seeder.wait()?;
    let same = std::fs::read(&file)? == std::fs::read(dir.path().join("leecher/files/file.bin"))?;
    println!("\nthe copies {}", if same { "agree" } else { "DIFFER" });
    if same { Ok(()) } else { Err("the copies differ".into()) }
}

fn start(arguments: &[&str]) -> Outcome<Child> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    Ok(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn line(child: &mut Child) -> Outcome<String> {
    let output = child.stdout.as_mut().ok_or("it has no output")?;
    let mut line = String::new();
    // One byte at a time: what follows belongs to the next call.
    BufReader::with_capacity(1, output).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn write_noise(path: &Path, mib: usize) -> Outcome<()> {
    let mut rng = Rng::new(Seed::from_u64(1));
    let mut file = std::fs::File::create(path)?;
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..mib {
        rng.fill(&mut chunk);
        file.write_all(&chunk)?;
    }
    file.sync_all()?;
    Ok(())
}

fn config() -> Config {
    let mut config = Config::default();
    config.network.port = 0;
    config.network.reach = Reach::Loopback;
    config.api.enabled = false;
    config
}

async fn seed(folder: &str, file: &str, format: &str) -> Outcome<()> {
    let session = Session::start(config(), Path::new(folder)).await?;
    let kind = match format {
        "v1" => TorrentKind::V1,
        "v2" => TorrentKind::V2,
        _ => TorrentKind::Hybrid,
    };
    let options = CreateOptions { kind, ..CreateOptions::default() };
    let created = session.create(Path::new(file), options, |_, _| {}).await?;
    let torrent = created.metainfo.to_torrent();
    std::fs::write(Path::new(folder).join("file.torrent"), &torrent)?;
    let options =
        AddOptions { in_place: Some(created.location), trusted: true, ..AddOptions::default() };
    session.add(AddSource::Torrent(torrent), options).await?;
    let before = Usage::now();
    let addrs = session.peer_addrs();
    let addr = addrs.first().ok_or("it does not listen")?;
    println!("{addr}");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    println!("{}", Usage::now().since(&before));
    session.shutdown().await;
    Ok(())
}

async fn fetch(folder: &str, torrent: &str, addr: &str) -> Outcome<()> {
    let session = Session::start(config(), Path::new(folder)).await?;
    let torrent = std::fs::read(torrent)?;
    let before = Usage::now();
    let start = althing_node::clock::now();
    let mut events = session.subscribe();
    let options = AddOptions { peers: vec![addr.parse()?], ..AddOptions::default() };
    session.add(AddSource::Torrent(torrent), options).await?;
    loop {
        match tokio::time::timeout(Duration::from_secs(600), events.recv()).await? {
            Ok(Event::Completed { .. }) => break,
            // Lagging behind loses events, and with them perhaps the one that counts.
            Err(_) if session.list().iter().all(|one| one.done_bytes == one.size_bytes) => break,
            _ => {}
        }
    }
    let wall = althing_node::clock::now().since(start);
    println!("wall {:.2} s, {}", wall.as_secs_f64(), Usage::now().since(&before));
    session.shutdown().await;
    Ok(())
}

/// Processor time and memory of this process, as Linux tells them.
struct Usage {
    user_s: f64,
    system_s: f64,
    peak_mib: u64,
}

impl Usage {
    fn now() -> Usage {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        // Ticks of a hundredth of a second on every Linux there is.
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Usage {
            user_s: ticks(11) / 100.0,
            system_s: ticks(12) / 100.0,
            peak_mib: peak_kib.unwrap_or(0) / 1024,
        }
    }

    fn since(&self, before: &Usage) -> String {
        let (user, system) = (self.user_s - before.user_s, self.system_s - before.system_s);
        format!(
            "processor {:.2} s (user {user:.2}, system {system:.2}), peak {} MiB",
            user + system,
            self.peak_mib
        )
    }
}

//! The peers, each sending to itself: how they are started and how they say that they are done.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use althing_tests::net::Host;
use althing_tests::torrent::SCRIPT;

use crate::daemon::WITHOUT_OVERLAYS;
use crate::install;
use crate::measure::Payload;
use crate::options::Options;

/// Where a peer runs and what it is given.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// Its own host.
    pub(crate) host: &'a Host,
    /// The seed's host.
    pub(crate) seed: &'a Host,
    /// The payload.
    pub(crate) payload: &'a Payload,
    /// A folder of its own for settings.
    pub(crate) folder: &'a Path,
    /// Where a leecher writes.
    pub(crate) into: &'a Path,
    /// Whether nothing may go in the clear.
    pub(crate) encrypted: bool,
    /// Whether it goes over uTP and not TCP.
    pub(crate) utp: bool,
    /// Whether a leecher goes on as a seed when it has everything.
    pub(crate) stays: bool,
}

impl Bench<'_> {
    /// The folder that the payload is in.
    fn data(&self) -> &Path {
        self.payload.file.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// `option` and a path, as one word.
    fn with(option: &str, path: &Path) -> String {
        format!("{option}{}", path.display())
    }
}

/// A peer that can be measured.
pub(crate) trait Peer {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Its version in tables.
    fn version(&self) -> String;

    /// The seed's command.
    fn seed(&self, bench: &Bench<'_>) -> Command;

    /// The leecher's command.
    fn fetch(&self, bench: &Bench<'_>) -> Command;

    /// Whether this output says that the leecher has the file. One that ends has it too.
    fn is_complete(&self, output: &str) -> bool;

    /// Its name with its version.
    fn label(&self) -> String {
        format!("{} {}", self.name(), self.version()).trim().to_owned()
    }

    /// Whether it can be told to encrypt everything.
    fn encrypts(&self) -> bool {
        false
    }

    /// Whether it reads v2 torrents (BEP 52).
    fn reads_v2(&self) -> bool {
        false
    }

    /// Whether it can be told to use uTP alone (BEP 29).
    fn speaks_utp(&self) -> bool {
        false
    }

    /// Whether seed and leecher meet at a tracker.
    fn needs_tracker(&self) -> bool {
        true
    }
}

/// Finds or installs a peer, or says why not.
type Maker = fn() -> Result<Box<dyn Peer>, String>;

/// All of them that this machine has, ours first; the reason for each that is left out is printed.
pub(crate) fn all(options: &Options) -> Vec<Box<dyn Peer>> {
    let makers: [(&str, Maker); 5] = [
        ("althing", || Ok(Box::new(Althing(install::althing()?)))),
        ("libtorrent", || Ok(Box::new(Libtorrent(install::libtorrent()?)))),
        ("rqbit", || Ok(Box::new(Rqbit(install::rqbit()?)))),
        ("aria2", || Ok(Box::new(Aria2::find()?))),
        ("floor", || Ok(Box::new(Floor))),
    ];
    let mut peers = Vec::new();
    for (name, make) in makers {
        if !options.wants(name) {
            continue;
        }
        match make() {
            Ok(peer) => peers.push(peer),
            Err(why) => println!("{name} is left out: {why}"),
        }
    }
    peers
}

struct Althing(PathBuf);

impl Peer for Althing {
    fn name(&self) -> &'static str {
        "althing"
    }

    fn version(&self) -> String {
        install::version(&self.0)
    }

    fn seed(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command.arg("get").arg(&bench.payload.torrent).arg("-o").arg(bench.data()).arg("--seed");
        command
    }

    fn fetch(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command.arg("get").arg(&bench.payload.torrent).arg("-o").arg(bench.into);
        if bench.stays {
            command.arg("--seed");
        }
        command
    }

    fn is_complete(&self, output: &str) -> bool {
        output.lines().any(|line| line.starts_with("Done: "))
    }

    fn encrypts(&self) -> bool {
        true
    }

    fn reads_v2(&self) -> bool {
        true
    }

    fn speaks_utp(&self) -> bool {
        true
    }
}

impl Althing {
    fn command(&self, bench: &Bench<'_>) -> Command {
        let dir = bench.folder.join("althing");
        let config = dir.join("config.toml");
        let mut settings = String::from("[network]\n");
        if bench.encrypted {
            settings.push_str("encryption = \"required\"\n");
        }
        if bench.utp {
            settings.push_str("tcp = false\n");
        }
        std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(&config, format!("{settings}{WITHOUT_OVERLAYS}")))
            .unwrap_or_else(|error| panic!("{}: {error}", config.display()));
        let mut command = bench.host.command(&self.0);
        command.arg("--dir").arg(dir);
        command
    }
}

struct Libtorrent(PathBuf);

impl Peer for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn version(&self) -> String {
        let said = Command::new(&self.0)
            .args(["-c", "import libtorrent; print(libtorrent.__version__)"])
            .output();
        let said = said.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&said).trim().trim_end_matches(".0").to_owned()
    }

    fn seed(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command.arg(&bench.payload.torrent).arg(bench.data()).arg("--seed");
        command
    }

    fn fetch(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command.arg(&bench.payload.torrent).arg(bench.into);
        if !bench.stays {
            command.arg("--exit");
        }
        command
    }

    fn is_complete(&self, output: &str) -> bool {
        output.lines().any(|line| line == "complete")
    }

    fn encrypts(&self) -> bool {
        true
    }

    fn reads_v2(&self) -> bool {
        true
    }

    fn speaks_utp(&self) -> bool {
        true
    }
}

impl Libtorrent {
    fn command(&self, bench: &Bench<'_>) -> Command {
        let mut command = bench.host.command(&self.0);
        command.args(["-Wignore", SCRIPT, "run"]);
        if bench.encrypted {
            command.arg("--encrypted");
        }
        if bench.utp {
            command.arg("--utp");
        }
        command
    }
}

struct Aria2(PathBuf);

impl Aria2 {
    fn find() -> Result<Aria2, String> {
        let program = PathBuf::from("/usr/bin/aria2c");
        let missing = || "it is not installed (apt-get install aria2)".to_owned();
        if program.exists() { Ok(Aria2(program)) } else { Err(missing()) }
    }

    fn command(&self, bench: &Bench<'_>) -> Command {
        let mut command = bench.host.command(&self.0);
        command
            .args(["--no-conf", "--enable-dht=false", "--enable-dht6=false"])
            .args(["--enable-peer-exchange=false", "--bt-enable-lpd=false"])
            .args(["--listen-port=6881", "--file-allocation=none"]);
        command
    }
}

impl Peer for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn version(&self) -> String {
        install::version(&self.0)
    }

    fn seed(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command
            .args(["--seed-ratio=0.0", "--bt-seed-unverified=true", "--summary-interval=0"])
            .arg(Bench::with("--dir=", bench.data()))
            .arg(&bench.payload.torrent);
        command
    }

    fn fetch(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command
            .args(match bench.stays {
                true => ["--seed-ratio=0.0", "--summary-interval=1"],
                false => ["--seed-time=0", "--summary-interval=0"],
            })
            .arg(Bench::with("--dir=", bench.into))
            .arg(&bench.payload.torrent);
        command
    }

    fn is_complete(&self, output: &str) -> bool {
        // One that stays as a seed says so on its status line alone.
        output.contains("Download complete:")
            || output.contains("[SEED")
            || output.contains("SEED(")
    }
}

struct Rqbit(PathBuf);

impl Peer for Rqbit {
    fn name(&self) -> &'static str {
        "rqbit"
    }

    fn version(&self) -> String {
        install::version(&self.0)
    }

    fn seed(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        command.arg("-o").arg(bench.data()).arg("--overwrite").arg(&bench.payload.torrent);
        command
    }

    fn fetch(&self, bench: &Bench<'_>) -> Command {
        let mut command = self.command(bench);
        if !bench.stays {
            command.arg("--exit-on-finish");
        }
        command.arg("-o").arg(bench.into).arg(&bench.payload.torrent);
        command
    }

    fn is_complete(&self, output: &str) -> bool {
        output.contains("is complete") || output.contains("]: 100.00% (")
    }
}

impl Rqbit {
    fn command(&self, bench: &Bench<'_>) -> Command {
        let mut command = bench.host.command(&self.0);
        command
            .env("HOME", bench.folder)
            .args(["--disable-dht", "--disable-lsd", "--disable-upnp-port-forward", "download"])
            .arg("--disable-http-api");
        command
    }
}

struct Floor;

impl Floor {
    fn command(bench: &Bench<'_>, what: &str, file: &Path) -> Command {
        let own = std::env::current_exe().unwrap_or_else(|error| panic!("who am I: {error}"));
        let mut command = bench.host.command(own);
        command.arg(what).arg(SocketAddr::new(bench.seed.ip(), 7000).to_string()).arg(file);
        command
    }
}

impl Peer for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn version(&self) -> String {
        String::new()
    }

    fn seed(&self, bench: &Bench<'_>) -> Command {
        Floor::command(bench, "floor-send", &bench.payload.file)
    }

    fn fetch(&self, bench: &Bench<'_>) -> Command {
        let name = bench.payload.file.file_name().unwrap_or_default();
        Floor::command(bench, "floor-receive", &bench.into.join(name))
    }

    fn is_complete(&self, output: &str) -> bool {
        output.lines().any(|line| line == "complete")
    }

    fn needs_tracker(&self) -> bool {
        false
    }
}

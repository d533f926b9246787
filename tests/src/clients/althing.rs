//! Althing, as a user runs it: by its command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::clients::{Peer, Seat, Task};
use crate::encryption::Policy;
use crate::net::Host;
use crate::payload::{NAME, Payload};
use crate::process::Process;
use crate::tools;
use crate::torrent::{Format, Maker, Torrent};

/// How long `share` may take until it prints its link, and a process to end when asked to.
const LIMIT: Duration = Duration::from_secs(20);

/// The pieces of torrents made here: small, so that there are many.
const PIECE_LENGTH: &str = "64K";

/// The file in a seat's folder that says so of BEP 16.
const SUPER_SEED: &str = "super-seed";

/// `althing share` or `althing get`, running until it is dropped.
#[derive(Debug)]
pub struct Althing {
    process: Process,
    /// What `get` prints when it has everything.
    copy: PathBuf,
    /// Whether this is `share`, which prints a link.
    shares: bool,
}

/// Seeds by `share` what Althing itself made a torrent of, and by `get` in the folder that has
/// the files already what others did; fetches by `get`.
pub fn start(seat: &Seat<'_>, task: &Task<'_>) -> Althing {
    if !task.is_local() && !seat.folder.join("data/config.toml").exists() {
        // Peers are to be those that the tracker names.
        let encryption = Policy::told(&seat.folder).unwrap_or(Policy::Preferred).name();
        let tcp = !seat.talks_over_utp();
        configure(
            seat,
            &format!(
                "[network]\nlsd = false\nport_mapping = false\nencryption = \"{encryption}\"\n\
                 tcp = {tcp}\n[dht]\nenabled = false\n"
            ),
        );
    }
    let shares = task.seed && task.torrent.maker == Maker::Althing;
    let mut command = seat.host.command(binary());
    command.args(["--dir".as_ref(), seat.folder.join("data").as_os_str()]);
    if shares {
        command.arg("share").arg(task.folder.join(NAME));
        making(&mut command, task.torrent.format, &task.torrent.trackers);
        if seat.folder.join(SUPER_SEED).exists() {
            command.arg("--super-seed");
        }
    } else {
        command.arg("get").arg(task.argument()).arg("-o").arg(task.folder).arg("--seed");
    }
    let process = Process::start("althing", command, &seat.folder);
    let copy = std::fs::canonicalize(task.folder).unwrap_or_else(|_| task.folder.to_owned());
    Althing { process, copy: copy.join(NAME), shares }
}

impl Althing {
    /// All it has printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Has an Althing that is yet to share something in this seat show its pieces one at a time.
///
/// # Panics
/// When that cannot be written down.
pub fn super_seed(seat: &Seat<'_>) {
    std::fs::write(seat.folder.join(SUPER_SEED), "").expect("a file can be written");
}

/// Writes `config.toml` for an Althing that is yet to be started in this seat.
///
/// # Panics
/// When it cannot be written.
pub fn configure(seat: &Seat<'_>, settings: &str) {
    let folder = seat.folder.join("data");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("config.toml"), settings))
        .expect("settings can be written");
}

impl Peer for Althing {
    fn is_complete(&mut self) -> bool {
        let copy = self.copy.to_string_lossy();
        self.process.output().lines().any(|line| line == copy)
    }

    fn link(&mut self) -> Option<String> {
        self.shares.then(|| {
            self.process.wait_for("link", LIMIT, |output| {
                output.lines().find(|line| line.starts_with("magnet:?")).map(str::to_owned)
            })
        })
    }

    /// As Ctrl-C or a service manager would ask (SIGTERM).
    fn ends_well(&mut self) -> bool {
        self.process.stop(LIMIT)
    }

    fn diagnosis(&mut self) -> String {
        self.process.tail()
    }
}

/// Has `althing create` make a torrent of the payload.
///
/// # Panics
/// When it refuses.
pub fn create(payload: &Payload, format: Format, trackers: &[String], file: &Path) {
    let mut command = Command::new(binary());
    command.arg("create").arg(payload.path()).arg("-o").arg(file).env("LC_ALL", "C.UTF-8");
    making(&mut command, format, trackers);
    let output = command.output().expect("the binary is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "althing create fails: {said}");
}

/// `althing tracker`, listening for HTTP and UDP.
pub(super) fn tracker(host: &Host, address: SocketAddr, folder: &Path) -> Process {
    let mut command = host.command(binary());
    command.args(["tracker", "--listen", &address.to_string()]);
    Process::start("althing-tracker", command, folder)
}

fn making(command: &mut Command, format: Format, trackers: &[String]) {
    command.args(["--format", format.name(), "--piece-length", PIECE_LENGTH]);
    for url in trackers {
        command.args(["--tracker", url]);
    }
}

fn binary() -> PathBuf {
    tools::althing().unwrap_or_else(|error| panic!("{error}"))
}

/// The torrent that [`create`] wrote, as libtorrent reads it: what it says of it is what counts.
///
/// # Panics
/// When libtorrent refuses it.
pub fn made(payload: &Payload, format: Format, trackers: &[String], file: &Path) -> Torrent {
    create(payload, format, trackers, file);
    let read = Torrent::read(file);
    Torrent { maker: Maker::Althing, format, trackers: trackers.to_owned(), ..read }
}

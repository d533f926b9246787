//! aria2, by its command line.
//!
//! It knows BEP 3 alone, and UDP trackers only where its DHT is on, which it is not here.

use crate::clients::{Peer, Seat, Task};
use crate::encryption::Policy;
use crate::process::Process;

struct Aria2 {
    process: Process,
    seed: bool,
}

pub(super) fn start(seat: &Seat<'_>, task: &Task<'_>) -> impl Peer + use<> {
    let mut command = seat.host.command("aria2c");
    command
        .args(["--no-conf", "--enable-dht=false", "--enable-dht6=false"])
        .args(["--enable-peer-exchange=false", "--bt-enable-lpd=false"])
        .args(["--listen-port=6881", "--summary-interval=1", "--file-allocation=none"])
        // It serves on after the last piece, as the swarm tests need it.
        .args(["--seed-ratio=0.0", "--console-log-level=notice"])
        .arg(format!("--dir={}", task.folder.display()));
    if task.seed {
        write_padding(task);
        command.args(["--check-integrity=true", "--allow-overwrite=true"]);
    }
    if Policy::told(&seat.folder) == Some(Policy::Required) {
        command.args(["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"]);
    }
    command.arg(task.argument());
    Aria2 { process: Process::start("aria2", command, &seat.folder), seed: task.seed }
}

impl Peer for Aria2 {
    fn is_complete(&mut self) -> bool {
        let output = self.process.output();
        let seeding = output.contains("[SEED") || output.contains("SEED(");
        seeding
            || (!self.seed
                && output.contains("Download complete")
                && !output.contains("[METADATA]"))
    }

    fn diagnosis(&mut self) -> String {
        self.process.tail()
    }
}

/// A hybrid torrent's padding is made of ordinary files to a client that knows v1 alone, so to
/// seed one it needs them on disk.
fn write_padding(task: &Task<'_>) {
    const MARKER: &[u8] = b"4:pathl4:.pad";
    let torrent = std::fs::read(&task.torrent.file).expect("the torrent was written");
    let found = torrent.windows(MARKER.len()).enumerate().filter(|(_, bytes)| *bytes == MARKER);
    for (at, _) in found {
        // `4:pathl4:.padN:NAMEe`: libtorrent and Althing name padding by its size.
        let rest = torrent.get(at + MARKER.len()..).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest.get(..24).unwrap_or_default()).into_owned();
        let Some((_, name)) = rest.split_once(':') else { continue };
        let name: String = name.chars().take_while(char::is_ascii_digit).collect();
        let Ok(size) = name.parse::<usize>() else { continue };
        let folder = task.folder.join(crate::payload::NAME).join(".pad");
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(&name), vec![0; size]))
            .expect("padding can be written");
    }
}

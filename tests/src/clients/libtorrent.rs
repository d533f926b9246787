//! libtorrent by its Python bindings: the reference for BEP 52.

use crate::clients::{Peer, Seat, Task};
use crate::encryption::Policy;
use crate::process::Process;
use crate::torrent::{PYTHON, SCRIPT};

/// The script, running until it is dropped.
#[derive(Debug)]
pub struct Libtorrent(Process);

/// Starts it.
pub fn start(seat: &Seat<'_>, task: &Task<'_>) -> Libtorrent {
    let mut command = seat.host.command(PYTHON);
    command.args(["-Wignore", SCRIPT, "run"]).arg(task.argument()).arg(task.folder);
    if task.seed {
        command.arg("--seed");
    }
    if task.is_local() {
        command.arg("--lsd");
    }
    if let Some(policy) = Policy::told(&seat.folder) {
        command.args(["--encryption", policy.name()]);
    }
    if seat.talks_over_utp() {
        command.arg("--utp");
    }
    Libtorrent(Process::start("libtorrent", command, &seat.folder))
}

impl Libtorrent {
    /// How many bytes of files it has sent so far.
    pub fn bytes_sent(&self) -> u64 {
        let output = self.0.output();
        let last = output.lines().rev().find(|line| line.starts_with("progress "));
        let word = last.and_then(|line| line.split(' ').nth(3));
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

impl Peer for Libtorrent {
    fn is_complete(&mut self) -> bool {
        self.0.output().lines().any(|line| line == "complete")
    }

    fn diagnosis(&mut self) -> String {
        self.0.tail()
    }
}

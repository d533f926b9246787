//! libtorrent by its Python bindings: the reference for BEP 52.

use crate::clients::{Peer, Seat, Task};
use crate::process::Process;
use crate::torrent::{PYTHON, SCRIPT};

struct Libtorrent(Process);

pub(super) fn start(seat: &Seat<'_>, task: &Task<'_>) -> impl Peer + use<> {
    let mut command = seat.host.command(PYTHON);
    command.args(["-Wignore", SCRIPT, "run"]).arg(task.argument()).arg(task.folder);
    if task.seed {
        command.arg("--seed");
    }
    Libtorrent(Process::start("libtorrent", command, &seat.folder))
}

impl Peer for Libtorrent {
    fn is_complete(&mut self) -> bool {
        self.0.output().lines().any(|line| line == "complete")
    }

    fn diagnosis(&mut self) -> String {
        self.0.tail()
    }
}

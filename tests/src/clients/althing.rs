//! Althing, as a user runs it: by its command line.

use std::net::SocketAddr;
use std::path::Path;

use crate::clients::{Peer, Seat, Task};
use crate::net::Host;
use crate::process::Process;
use crate::tools;

struct Althing(Process);

pub(super) fn start(seat: &Seat<'_>, task: &Task<'_>) -> impl Peer + use<> {
    let mut command = command(seat.host, &seat.folder);
    command.arg("get").arg(task.argument()).arg("-o").arg(task.folder).arg("--seed");
    Althing(Process::start("althing", command, &seat.folder))
}

impl Peer for Althing {
    fn is_complete(&mut self) -> bool {
        self.0.output().lines().any(|line| line.contains("complete"))
    }

    fn diagnosis(&mut self) -> String {
        self.0.tail()
    }
}

/// `althing --dir FOLDER`, in a host.
fn command(host: &Host, folder: &Path) -> std::process::Command {
    let binary = tools::althing().unwrap_or_else(|error| panic!("{error}"));
    let mut command = host.command(binary);
    command.arg("--dir").arg(folder.join("althing"));
    command
}

/// `althing tracker`, listening for HTTP and UDP.
pub(super) fn tracker(host: &Host, address: SocketAddr, folder: &Path) -> Process {
    let mut command = command(host, folder);
    command.args(["tracker", "--listen", &address.to_string()]);
    Process::start("althing-tracker", command, folder)
}

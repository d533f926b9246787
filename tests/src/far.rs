//! Hosts that are far from each other: a switch of our own between them that delays, loses and splits.
//!
//! Linux has `netem` for this, but not each kernel is built with it, and a test that runs on some machines
//! only is forgotten on the others. Some thousand frames a second, which is what this switch passes, are
//! plenty for what peers say to each other; payload is measured elsewhere.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ChildStdin;
use std::time::Duration;

use crate::net::{Host, Network};
use crate::process::Process;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/switch.py");

/// For an answer of the switch.
const LIMIT: Duration = Duration::from_secs(20);

/// Hosts, each 10 to 100 ms from each other one, in networks (/24) of their own. Removed on drop, with
/// what runs in them.
pub struct Far {
    /// The hosts.
    pub hosts: Vec<Host>,
    switch: Process,
    commands: ChildStdin,
    said: usize,
    // Last, since what runs in it ends first.
    _network: Network,
}

impl Far {
    /// So many hosts; how far they are from each other follows from the seed.
    ///
    /// # Errors
    /// A sentence that says why this machine does not let us make them.
    pub fn new(count: u8, seed: u64, folder: &Path) -> Result<Far, String> {
        if !Path::new("/dev/net/tun").exists() {
            return Err("the kernel has no TUN devices".to_owned());
        }
        let mut network = Network::new()?;
        let mut command = network.hub().command("python3");
        command.arg(SCRIPT).args([count.to_string(), seed.to_string()]);
        let (switch, commands) = Process::start_with_input("switch", command, folder);
        switch
            .wait_for("word that it is ready", LIMIT, |said| said.contains("ready").then_some(()));
        let hosts = (1..=count).map(|number| {
            let ip = Ipv4Addr::new(10, 77, number, 1);
            network.adopt(&format!("far{number}"), &format!("far{number}"), ip, 16)
        });
        let hosts = hosts.collect();
        Ok(Far { hosts, switch, commands, said: 0, _network: network })
    }

    /// Loses so many of a hundred frames from now on.
    pub fn lose(&mut self, percent: u32) {
        self.tell(&format!("lose {percent}"));
    }

    /// Cuts the line between the first `count` hosts and the others. Nobody is told: what is sent is lost.
    pub fn split(&mut self, count: usize) {
        self.tell(&format!("split {count}"));
    }

    /// Mends it.
    pub fn heal(&mut self) {
        self.tell("heal");
    }

    /// Pulls the plug of a host, for good. Nobody is told.
    pub fn cut(&mut self, host: usize) {
        self.tell(&format!("cut {}", host + 1));
    }

    fn tell(&mut self, command: &str) {
        self.said += 1;
        let said = self.said;
        writeln!(self.commands, "{command}").expect("the switch runs");
        let done = |output: &str| (output.matches("done").count() >= said).then_some(());
        self.switch.wait_for("answer", LIMIT, done);
    }
}

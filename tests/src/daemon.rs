//! Althing as a daemon in a host of its own, asked by its command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::net::Host;
use crate::process::Process;
use crate::tools;
use crate::wait::poll;

/// For each step. A search that came too early is made again after a quarter of a minute, and then after a
/// whole one, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(100);

/// An Althing that runs as a daemon.
pub struct Daemon {
    /// Its process.
    pub process: Process,
    /// Where it runs.
    pub host: Host,
    /// Its data folder.
    pub data: PathBuf,
    /// `get`, which waits until all is there.
    getting: Option<Process>,
}

impl Daemon {
    /// Starts it with these settings, which go on in the section `[network]`, its data below `folder`, and
    /// waits until it answers.
    #[track_caller]
    pub fn start(host: Host, folder: &Path, settings: &str) -> Daemon {
        let daemon = Daemon::launch(host, folder, settings);
        daemon.answers();
        daemon
    }

    /// The same without waiting, for who starts many.
    pub fn launch(host: Host, folder: &Path, settings: &str) -> Daemon {
        let data = folder.join("data");
        // Only who asks for it is found by neighbours.
        let lsd = if settings.contains("lsd = ") { "" } else { "lsd = false\n" };
        let settings = format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n[network]\n{lsd}port_mapping = false\n{settings}\n"
        );
        std::fs::create_dir_all(&data)
            .and_then(|()| std::fs::write(data.join("config.toml"), settings))
            .expect("settings can be written");
        let mut command = host.command(binary());
        command.arg("--dir").arg(&data).args(["-vv", "up"]);
        let process = Process::start("althing", command, folder);
        Daemon { process, host, data, getting: None }
    }

    /// Waits until it answers.
    #[track_caller]
    pub fn answers(&self) {
        let up = poll(LIMIT, || match self.process.has_ended() {
            true => Some(None),
            false => self.try_json(&["dht"]).map(Some),
        });
        assert!(up.flatten().is_some(), "it does not start\n{}", self.process.tail());
    }

    /// The command line, about this daemon.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.host.command(binary());
        command.arg("--dir").arg(&self.data).args(args);
        command
    }

    /// Has a command done that must succeed.
    #[track_caller]
    pub fn does(&self, args: &[&str]) {
        let output = self.command(args).output().expect("the binary is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}\n{}", self.process.tail());
    }

    /// What a command says with `--json`.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.try_json(args).unwrap_or_else(|| panic!("{args:?}\n{}", self.process.tail()))
    }

    /// What a command says with `--json`, one value a line.
    #[track_caller]
    pub fn lines(&self, args: &[&str]) -> Vec<Value> {
        let mut command = self.command(&["--json"]);
        let output = command.args(args).output().expect("the binary is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}\n{}", self.process.tail());
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// The same, if it says anything.
    pub fn try_json(&self, args: &[&str]) -> Option<Value> {
        let mut command = self.command(&["--json"]);
        let output = command.args(args).output().expect("the binary is there");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits until it knows so many nodes of the DHT.
    #[track_caller]
    pub fn knows(&self, count: u64) {
        let enough = poll(LIMIT, || {
            let families = self.json(&["dht"])["families"].as_array().cloned().unwrap_or_default();
            let nodes: u64 = families.iter().filter_map(|one| one["nodes"].as_u64()).sum();
            (nodes >= count).then_some(())
        });
        assert!(enough.is_some(), "{}\n{}", self.json(&["dht"]), self.process.tail());
    }

    /// Waits until nodes of the DHT have been told that it has a torrent.
    #[track_caller]
    pub fn announces(&self, torrent: &str) {
        let told = poll(LIMIT, || {
            let shown = self.command(&["show", torrent]).output().expect("the binary is there");
            String::from_utf8_lossy(&shown.stdout).contains("announced to").then_some(())
        });
        assert!(told.is_some(), "{}", self.process.tail());
    }

    /// Has it fetch what a file or a link names, or share what is there already.
    pub fn gets(&mut self, source: &Path, into: &Path) {
        let mut command = self.command(&["get"]);
        command.arg(source).arg("-o").arg(into);
        let folder = self.data.parent().expect("it was made in one");
        self.getting = Some(Process::start("get", command, folder));
    }
}

fn binary() -> PathBuf {
    tools::althing().unwrap_or_else(|error| panic!("{error}"))
}

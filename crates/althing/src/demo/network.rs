//! The processes (the peers, and a tracker if one is wanted) and the crowd, each with a folder of its own, all of them on the loopback
//! interface, none of which outlives the demo unless it is to.

use super::crowd::Crowd;
use crate::client::{Client, TOKEN_VARIABLE};
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::token;
use althing_node::api::types::NetInfo;
use serde::Deserialize;
use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

/// How long a process may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a process may take to stop of itself; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes beyond the copies that must be free: records, logs, and not to fill the disk up.
const SPACE_MARGIN: u64 = 64 << 20;

/// What the network of the demo's peers is known by; nobody else is told.
const SECRET: &str = "a demo of althing on one machine";

/// One peer in so many indexes for others, the second first.
const SUPER_PEERS: usize = 8;

/// With so many peers each has few neighbours: else everybody would be next to everybody.
const MANY_PEERS: usize = 8;

/// How many neighbours each then wants.
const NEIGHBOURS: usize = 3;

/// The settings of a demo's peer: nothing but this machine, and ports that the system chooses.
const CONFIG: &str = include_str!("loopback.toml");

/// The peers, perhaps a tracker, and the folder they live in.
pub(super) struct Network {
    dir: TempDir,
    keep: bool,
    tracker: Option<(Process, String)>,
    peers: Vec<Peer>,
    crowd: Crowd,
    /// Peers in all.
    count: usize,
}

/// One of the peers.
pub(super) struct Peer {
    /// From 1; the first is the one that has the content.
    pub(super) number: usize,
    pub(super) client: Client,
    pub(super) dir: PathBuf,
    /// None if it is one of the crowd.
    process: Option<Process>,
}

impl Peer {
    /// One of the crowd.
    pub(super) fn light(number: usize, client: Client, dir: PathBuf) -> Peer {
        Peer { number, client, dir, process: None }
    }

    /// Where it puts what it fetches.
    pub(super) fn files(&self) -> PathBuf {
        self.dir.join("files")
    }
}

/// A child; it ends when the demo does, even if that is killed: its standard input closes then.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Held so that nothing it prints meets a closed pipe.
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

/// What a peer says of itself when it is ready.
#[derive(Deserialize)]
struct PeerReady {
    api: SocketAddr,
}

/// What a tracker says of itself when it is ready.
#[derive(Deserialize)]
struct TrackerReady {
    http: String,
}

impl Network {
    /// A network without anybody in it.
    pub(super) fn new(keep: bool) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("althing-demo-").tempdir().map_err(|error| {
            Failure::new(
                format!("no folder can be made in {}: {error}", env::temp_dir().display()),
                "name a writable one in the environment: TMPDIR=/some/folder althing demo",
            )
        })?;
        let (tracker, peers, crowd) = (None, Vec::new(), Crowd::default());
        Ok(Network { dir, keep, tracker, peers, crowd, count: 0 })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether there is room for the copies.
    pub(super) fn check_space(&self, bytes: u64, copies: usize) -> Result<(), Failure> {
        let needed = bytes.saturating_mul(copies as u64).saturating_add(SPACE_MARGIN);
        match free_space(self.dir()) {
            Some(free) if free < needed => Err(Failure::new(
                format!(
                    "{} has {} free, and {copies} copies need {}",
                    env::temp_dir().display(),
                    units::bytes(free),
                    units::bytes(needed),
                ),
                "share something smaller (althing demo PATH), ask for fewer peers (--peers 2), or \
                 name a roomier folder in the environment: TMPDIR=/some/folder",
            )),
            _ => Ok(()),
        }
    }

    /// Starts the peers and the crowd, and a tracker if one is wanted. The first peer is where the others' way
    /// into the DHT begins.
    pub(super) async fn start(
        &mut self,
        count: u16,
        crowd: u16,
        tracker: bool,
    ) -> Result<(), Failure> {
        self.count = usize::from(count) + usize::from(crowd);
        if tracker {
            let log = self.dir().join("tracker.log");
            let arguments = ["tracker", "--listen", "127.0.0.1:0", "--json"].map(str::to_owned);
            let (process, ready) = self.spawn::<TrackerReady>(&arguments, &log).await?;
            self.tracker = Some((process, ready.http));
        }
        let mut first = None;
        for number in 1..=usize::from(count) {
            let peer = self.start_peer(number, first.as_deref()).await?;
            if first.is_none() {
                let info: NetInfo = peer.client.get("/net").await?;
                first = info.listening.first().cloned();
                // They start while the other processes do.
                for number in 1..=usize::from(crowd) {
                    let number = usize::from(count) + number;
                    let dir = self.folder(number, first.as_deref())?;
                    self.crowd.begin(number, dir);
                }
            }
            self.peers.push(peer);
        }
        self.crowd.started().await
    }

    /// The folder of a peer, with its settings.
    fn folder(&self, number: usize, bootstrap: Option<&str>) -> Result<PathBuf, Failure> {
        let dir = self.dir().join(format!("peer{number}"));
        let nodes: Vec<String> = bootstrap.iter().map(|node| format!("{node:?}")).collect();
        // It is no use among two.
        let is_super = number % SUPER_PEERS == 2;
        let nodes = nodes.join(", ");
        let few = match self.count > MANY_PEERS {
            true => format!("neighbours = {NEIGHBOURS}\n"),
            false => String::new(),
        };
        let config = format!(
            "{CONFIG}\n[dht]\nbootstrap = [{nodes}]\n\n[overlay]\nenabled = true\nsecret = {SECRET:?}\n\
             peers = [{nodes}]\nsuper_peer = {is_super}\n{few}\n\
             [search]\ndht_terms = \"all\"\n"
        );
        let written =
            fs::create_dir(&dir).and_then(|()| fs::write(dir.join("config.toml"), config));
        written.map_err(|error| {
            Failure::new(format!("cannot write to {}: {error}", dir.display()), "free some space")
        })?;
        Ok(dir)
    }

    async fn start_peer(&self, number: usize, bootstrap: Option<&str>) -> Result<Peer, Failure> {
        let dir = self.folder(number, bootstrap)?;
        let log = self.dir().join(format!("peer{number}.log"));
        let dir_text = dir.to_string_lossy().into_owned();
        let arguments = ["--dir", &dir_text, "--json", "up"].map(str::to_owned);
        let (process, ready) = self.spawn::<PeerReady>(&arguments, &log).await?;
        let token = token::read(&dir).map_err(|error| {
            Failure::new(format!("peer {number} has no token: {error}"), "try again")
        })?;
        let client = Client::new(ready.api, &token)?;
        Ok(Peer { number, client, dir, process: Some(process) })
    }

    /// Starts this very program with other arguments and waits until it says that it is ready.
    async fn spawn<Ready: for<'a> Deserialize<'a>>(
        &self,
        arguments: &[String],
        log: &Path,
    ) -> Result<(Process, Ready), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            let said = fs::read_to_string(log).unwrap_or_default();
            Failure::new(
                format!("`althing {}` did not start: {error}", arguments.join(" ")),
                text::escape(said.trim()).into_owned(),
            )
        };
        let program = env::current_exe().map_err(|error| failed(&error))?;
        let log_file = File::create(log).map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove(TOKEN_VARIABLE)
            .env_remove("ALTHING_DIR")
            .stdout(Stdio::piped())
            .stderr(log_file);
        if self.keep {
            command.stdin(Stdio::null());
        } else {
            command.arg("--until-stdin-closes").stdin(Stdio::piped()).kill_on_drop(true);
        }
        // Ctrl-C is for the demo, which sees to its children itself.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| failed(&"it has no standard output"))?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = tokio::time::timeout(START_TIMEOUT, stdout.read_line(&mut line)).await;
        match read {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&"it took too long")),
        }
        let ready = serde_json::from_str(&line).map_err(|_| failed(&"it ended at once"))?;
        Ok((Process { child, stdin, _stdout: stdout, log: log.to_owned() }, ready))
    }

    /// Those that are processes of their own.
    pub(super) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// These and the crowd.
    pub(super) fn everybody(&self) -> Vec<&Peer> {
        self.peers.iter().chain(self.crowd.peers()).collect()
    }

    /// The peer that has the content.
    pub(super) fn seeder(&self) -> Result<&Peer, Failure> {
        self.peers.first().ok_or_else(|| Failure::new("no peer was started", "try again"))
    }

    /// The peers that fetch it.
    pub(super) fn leechers(&self) -> &[Peer] {
        self.peers.get(1..).unwrap_or_default()
    }

    /// Where the tracker is, if there is one.
    pub(super) fn tracker_url(&self) -> Option<&str> {
        self.tracker.as_ref().map(|(_, url)| url.as_str())
    }

    /// Where the copies of the content lie.
    pub(super) fn copies(&self, name: &str) -> Vec<(usize, PathBuf)> {
        self.leechers().iter().map(|peer| (peer.number, peer.files().join(name))).collect()
    }

    /// Whether all processes are running.
    pub(super) fn check_alive(&mut self) -> Result<(), Failure> {
        for peer in &mut self.peers {
            let Some(process) = &mut peer.process else { continue };
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(Failure::new(
                    format!("peer {} ended by itself ({status})", peer.number),
                    process.said(),
                ));
            }
        }
        Ok(())
    }

    /// The failure for when nothing moves any more.
    pub(super) fn stalled(&self, state: &str) -> Failure {
        let said: Vec<String> = self
            .peers
            .iter()
            .filter_map(|peer| Some((peer.number, peer.process.as_ref()?.said())))
            .filter(|(_, said)| !said.is_empty())
            .map(|(number, said)| format!("peer {number} said: {said}"))
            .collect();
        Failure::new(format!("nothing has moved for a while: {state}"), said.join("\n  "))
    }

    /// Lets everybody stop of themselves, then removes the folder.
    pub(super) async fn stop(self) {
        self.end(STOP_TIMEOUT).await;
    }

    /// Ends everybody at once, and removes the folder.
    pub(super) async fn kill(self) {
        self.end(Duration::ZERO).await;
    }

    async fn end(mut self, grace: Duration) {
        let crowd = self.crowd.end();
        let peers = self.peers.into_iter().filter_map(|peer| peer.process);
        let mut ending = JoinSet::new();
        for mut process in peers.chain(self.tracker.map(|(process, _)| process)) {
            ending.spawn(async move {
                // Without a standard input to close there is only the hard way.
                let grace = if process.stdin.take().is_some() { grace } else { Duration::ZERO };
                let ended = tokio::time::timeout(grace, process.child.wait()).await;
                if ended.is_err()
                    && let Err(error) = process.child.kill().await
                {
                    tracing::warn!(%error, "a process could not be ended");
                }
            });
        }
        crowd.await;
        while ending.join_next().await.is_some() {}
        let path = self.dir.path().to_owned();
        if let Err(error) = self.dir.close() {
            tracing::warn!(path = %path.display(), %error, "the folder could not be removed");
        }
    }

    /// Leaves all processes running, and says how to go on.
    pub(super) async fn keep(mut self, screen: &Screen) {
        self.crowd.end().await;
        self.dir.disable_cleanup(true);
        let dir = text::shell_quoted(&self.dir().to_string_lossy());
        let mut note = String::from("The peers keep running. To talk to them:\n");
        for peer in &self.peers {
            let dir = text::shell_quoted(&peer.dir.to_string_lossy());
            note.push_str(&format!("  althing --dir {dir} ls\n"));
        }
        let pids: Vec<String> = self
            .peers
            .iter()
            .filter_map(|peer| peer.process.as_ref())
            .chain(self.tracker.as_ref().map(|(process, _)| process))
            .filter_map(|process| process.child.id())
            .map(|pid| pid.to_string())
            .collect();
        note.push_str(&format!(
            "To stop them all and remove their folders:\n  kill -9 {}; rm -r {dir}",
            pids.join(" ")
        ));
        screen.note(&note);
    }
}

impl Process {
    /// The end of what it wrote to standard error.
    fn said(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        text::escape(&last.join(" / ")).into_owned()
    }
}

/// Bytes that may still be written where `path` lies, if the system tells.
#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_path: &Path) -> Option<u64> {
    None
}

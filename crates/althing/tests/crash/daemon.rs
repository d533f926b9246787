//! Daemons that can be killed, and asked in few words.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ports of the system's choice, on this machine alone; progress is saved as often as can be.
const CONFIG: &str =
    concat!(include_str!("../../src/demo/loopback.toml"), "\n[storage]\nsave_interval_s = 1\n");

/// A folder with the data folders of daemons, removed in the end.
pub(crate) struct World(tempfile::TempDir);

impl World {
    pub(crate) fn new() -> Self {
        World(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn up(&self, name: &str) -> Daemon {
        let dir = self.path(name);
        if !dir.exists() {
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("config.toml"), CONFIG).unwrap();
        }
        let mut child = command(&dir, &["--json", "up"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "{name} says {line:?}");
        let read = |file| fs::read_to_string(dir.join(file)).unwrap().trim().to_owned();
        let (addr, token) = (read("api.addr"), read("api.token"));
        Daemon { child, addr, token, dir, name: name.to_owned() }
    }
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
    command.arg("--dir").arg(dir).args(arguments).stdin(Stdio::null());
    command.current_dir(dir.parent().unwrap());
    command
}

/// A daemon that runs; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    addr: String,
    token: String,
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
}

impl Daemon {
    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) {
        let output = command(&self.dir, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    /// Asks the API without a body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> serde_json::Value {
        self.send(method, path, "")
    }

    /// Asks the API; what it answers must not be an error.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        if body.is_empty() { serde_json::Value::Null } else { serde_json::from_str(body).unwrap() }
    }

    /// Where it listens for peers.
    pub(crate) fn peer_addr(&self) -> String {
        let session = self.ask("GET", "/session");
        let listening = &session["peer_addrs"];
        listening[0].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
    }

    /// Kills it as a power cut would, but for what the system still has to write.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

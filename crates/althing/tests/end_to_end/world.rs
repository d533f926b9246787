//! A folder for a test, and the program run within it.

use serde::de::DeserializeOwned;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// Ports of the system's choice, on this machine alone, so that tests never meet each other.
const CONFIG: &str = include_str!("../../src/demo/loopback.toml");

pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        World { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder with files of several sizes: empty, small, and of many pieces.
    pub(crate) fn content(&self, name: &str) -> PathBuf {
        let root = self.path(name);
        fs::create_dir_all(root.join("sub/deeper")).unwrap();
        let bytes = |size: u32| (0..size).map(|at| (at / 5 % 241) as u8).collect::<Vec<_>>();
        fs::write(root.join("empty"), []).unwrap();
        fs::write(root.join("one byte"), [1]).unwrap();
        fs::write(root.join("sub/large.bin"), bytes(3_000_000)).unwrap();
        fs::write(root.join("sub/deeper/ünïcödé.txt"), bytes(70_000)).unwrap();
        root
    }

    /// A data folder with settings for tests.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        let data = self.path(name);
        if !data.exists() {
            fs::create_dir(&data).unwrap();
            fs::write(data.join("config.toml"), CONFIG).unwrap();
        }
        data
    }

    fn command(&self, data: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
        command
            .arg("--dir")
            .arg(self.data(data))
            .args(arguments)
            .current_dir(self.dir.path())
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, data: &str, arguments: &[&str]) -> Output {
        self.command(data, arguments).output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) fn ok(&self, data: &str, arguments: &[&str]) -> String {
        let output = self.run(data, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with `--json` that must succeed, and reads what it printed.
    pub(crate) fn json<T: DeserializeOwned>(&self, data: &str, arguments: &[&str]) -> T {
        let text = self.ok(data, &[&["--json"], arguments].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs a command with `--json` that must succeed and prints many lines.
    pub(crate) fn json_lines(&self, data: &str, arguments: &[&str]) -> Vec<serde_json::Value> {
        let text = self.ok(data, &[&["--json"], arguments].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, data: &str, arguments: &[&str]) -> Running {
        let mut child = self.command(data, arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout }
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn up(&self, data: &str) -> Running {
        let mut daemon = self.start(data, &["--json", "up"]);
        assert_eq!(daemon.next_json()["type"], "ready");
        daemon
    }

    /// Whether nothing is left in the folder for temporary files.
    pub(crate) fn is_tidy(&self) -> bool {
        fs::read_dir(self.path("tmp")).unwrap().next().is_none()
    }
}

/// A command that goes on; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// The next line of its standard output, as JSON.
    pub(crate) fn next_json(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Reads its standard error up to a line that has `word` in it.
    pub(crate) fn wait_for(&mut self, word: &str) {
        let mut stderr = BufReader::new(self.child.stderr.as_mut().unwrap());
        let mut seen = String::new();
        while !seen.lines().any(|line| line.contains(word)) {
            assert_ne!(stderr.read_line(&mut seen).unwrap(), 0, "it never said {word:?}: {seen}");
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it ends: its exit code, and what it still wrote to standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asserts that two folders hold the same files.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let output = Command::new("diff").arg("-r").args([left, right]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

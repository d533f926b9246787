//! People in a transcript: each has a folder, settings that keep them on this machine, and perhaps a
//! command that runs beside.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a command may be silent. Nothing here takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Ports of the system's choice, on this machine alone, so that tests never meet each other.
const CONFIG: &str = include_str!("../../src/demo/loopback.toml");

pub(crate) struct Person {
    home: PathBuf,
    beside: Option<Beside>,
}

/// A command that goes on.
struct Beside {
    child: Child,
    lines: Receiver<String>,
}

/// How a command ended, and what it printed.
pub(crate) struct Ended {
    lines: Vec<String>,
    code: Option<i32>,
}

impl Ended {
    pub(crate) fn parts(self) -> (Vec<String>, Option<i32>) {
        (self.lines, self.code)
    }
}

impl Person {
    /// Someone with a folder of things to share.
    pub(crate) fn new(home: PathBuf) -> Self {
        let data = home.join("data");
        fs::create_dir_all(&data).expect("the temporary folder is writable");
        fs::write(data.join("config.toml"), CONFIG).expect("the folder is writable");
        let holiday = home.join("holiday");
        fs::create_dir_all(holiday.join("beach")).expect("the folder is writable");
        let picture: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 7 % 251) as u8).collect();
        fs::write(holiday.join("beach/sunset.jpg"), picture).expect("the folder is writable");
        fs::write(holiday.join("diary.txt"), "It rained.\n").expect("the folder is writable");
        fs::write(home.join("letter.txt"), "Dear Ben,\n").expect("the folder is writable");
        Person { home, beside: None }
    }

    fn command(&self, words: &[String]) -> (Command, PipeReader) {
        let (reader, writer) = std::io::pipe().expect("pipes can be had");
        let mut command = match words.first().map(String::as_str) {
            Some("althing") => Command::new(env!("CARGO_BIN_EXE_althing")),
            other => Command::new(other.expect("a prompt is followed by a command")),
        };
        command
            .args(&words[1..])
            .current_dir(&self.home)
            .env("ALTHING_DIR", self.home.join("data"))
            .env("HOME", &self.home)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("pipes can be cloned"))
            .stderr(writer);
        (command, reader)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[String]) -> Ended {
        let (mut command, reader) = self.command(words);
        let child = command.spawn().expect("the program is there");
        // The parent's ends of the pipe, or it never ends.
        drop(command);
        Beside { child, lines: read_lines(reader) }.end()
    }

    /// Starts a command that goes on; what it prints until that is `enough`, or until it ends.
    pub(crate) fn start(
        &mut self,
        words: &[String],
        enough: impl Fn(&[String]) -> bool,
    ) -> Vec<String> {
        let (mut command, reader) = self.command(words);
        let child = command.spawn().expect("the program is there");
        drop(command);
        let beside = Beside { child, lines: read_lines(reader) };
        let mut lines = Vec::new();
        while !enough(&lines) {
            let Ok(line) = beside.lines.recv_timeout(LIMIT) else { break };
            lines.push(line);
        }
        self.beside = Some(beside);
        lines
    }

    /// Ctrl-C for what goes on beside; what it still had to say.
    pub(crate) fn interrupt(&mut self) -> Ended {
        let beside = self.beside.take().expect("something runs beside");
        let pid = beside.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -INT {pid}");
        beside.end()
    }

    /// Lets what goes on beside come to its end.
    pub(crate) fn wait(&mut self) -> Ended {
        self.beside.take().expect("something runs beside").end()
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}

impl Beside {
    fn end(mut self) -> Ended {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => lines.push(line),
                // The process has closed its output.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    drop(self.child.kill());
                    lines.push("(it took too long and was killed)".to_owned());
                    break;
                }
            }
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        Ended { lines, code }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

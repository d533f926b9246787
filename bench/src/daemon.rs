//! Althing's daemon, and what its API says of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use althing_tests::http;
use althing_tests::net::Host;
use althing_tests::process::Process;
use althing_tests::wait::poll;
use serde_json::Value;

use crate::measure::END_LIMIT;

/// How often the API is asked again, at the most.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// `althing up`, until it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Its process.
    pub(crate) process: Process,
    program: PathBuf,
    host: Host,
    dir: PathBuf,
}

/// Settings that leave alone the DHT, and the overlay, which the others do not have.
pub(crate) const WITHOUT_OVERLAYS: &str = "\n[dht]\nenabled = false\n[overlay]\nenabled = false\n";

impl Daemon {
    /// Starts it with the data folder `dir` and these settings, without the DHT, as all others are; it
    /// does not wait for anything.
    ///
    /// # Panics
    /// When the settings cannot be written or it cannot be started.
    pub(crate) fn start(program: &Path, host: &Host, dir: &Path, settings: &str) -> Daemon {
        let addr = dir.join("api.addr");
        // One that was killed leaves it behind.
        let _ = std::fs::remove_file(&addr);
        std::fs::create_dir_all(dir)
            .and_then(|()| {
                std::fs::write(dir.join("config.toml"), format!("{settings}{WITHOUT_OVERLAYS}"))
            })
            .unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut command = host.command(program);
        command.arg("--dir").arg(dir).arg("up");
        let process = Process::start("daemon", command, dir);
        Daemon { process, program: program.to_owned(), host: host.clone(), dir: dir.to_owned() }
    }

    /// A command that talks to it.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.host.command(&self.program);
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Runs a command that talks to it, and waits until it ends.
    ///
    /// # Errors
    /// What it said when it failed.
    pub(crate) fn run(&self, command: &mut Command) -> Result<String, String> {
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What `GET /api/v1/session` says.
    ///
    /// # Errors
    /// A sentence, when it does not answer.
    pub(crate) fn session(&self) -> Result<Value, String> {
        self.get("/api/v1/session")
    }

    /// What `GET path` says.
    ///
    /// # Errors
    /// A sentence, when it does not answer.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        let (addr, headers) = self.api()?;
        let answer = http::get_with(&self.host, addr, path, &headers)?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| error.to_string()),
            status => Err(format!("{status} {}", answer.text())),
        }
    }

    /// Sends JSON to `path`.
    ///
    /// # Errors
    /// A sentence, when it does not do what it is asked for.
    pub(crate) fn post(&self, path: &str, json: &str) -> Result<(), String> {
        let (addr, headers) = self.api()?;
        let headers = format!("{headers}Content-Type: application/json\r\n");
        let answer = http::post(&self.host, addr, path, &headers, json.as_bytes())?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(format!("{status} {}", answer.text())),
        }
    }

    /// Where the API is and the header that opens it.
    fn api(&self) -> Result<(SocketAddr, String), String> {
        let read = |name: &str| {
            std::fs::read_to_string(self.dir.join(name)).map_err(|error| format!("{name}: {error}"))
        };
        let addr = read("api.addr")?;
        let addr: SocketAddr =
            addr.trim().parse().map_err(|error| format!("{addr:?} in api.addr: {error}"))?;
        Ok((addr, format!("Authorization: Bearer {}\r\n", read("api.token")?.trim())))
    }

    /// Waits until the session has `torrents` and all of them have everything, and says how long
    /// after its start that was.
    ///
    /// # Panics
    /// When that does not happen within `limit`.
    pub(crate) fn until_seeding(&self, torrents: usize, limit: Duration) -> Duration {
        let mut last = Err(String::new());
        let all = || {
            let took = self.process.started().elapsed();
            last = self.session();
            let session = last.as_ref().ok()?;
            let all = session["torrents"] == torrents && session["seeding"] == torrents;
            if !all {
                // To be asked all the time would keep it from its work.
                std::thread::sleep(ASK_EVERY);
            }
            all.then_some(took)
        };
        match poll(limit, all) {
            Some(took) => took,
            None => panic!("not all seed after {limit:?}: {last:?}\n{}", self.process.tail()),
        }
    }

    /// Waits until the API answers.
    ///
    /// # Panics
    /// When it does not in time.
    pub(crate) fn until_up(&self) {
        if poll(END_LIMIT, || self.session().ok()).is_none() {
            panic!("the daemon does not answer\n{}", self.process.tail());
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// A sentence, when it does not end well.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let fine = self.process.stop(END_LIMIT * 2);
        if fine { Ok(()) } else { Err(format!("it does not end well\n{}", self.process.tail())) }
    }
}

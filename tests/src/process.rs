//! Programs that run for one test, their output, and what they cost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::wait::{self, poll};

/// How much of a program's output a failure shows, in bytes.
const TAIL_BYTES: usize = 6_000;

/// A running program. Ended on drop, by its process id.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    started: std::time::Instant,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time, its own and that of children it has waited for.
    pub cpu: Duration,
    /// The most memory that was resident at once, bytes; 0 once the process has ended.
    pub peak_resident_bytes: u64,
}

/// What a process holds in memory now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that is resident, bytes.
    pub resident_bytes: u64,
    /// The part that is no page of a file, bytes.
    pub anonymous_bytes: u64,
}

impl Process {
    /// Starts `command`; what it prints goes to `NAME.log` in `dir`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Process {
        command.stdin(Stdio::null());
        Process::spawn(name, command, dir)
    }

    /// The same with a way to tell it something.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_input(name: &str, mut command: Command, dir: &Path) -> (Process, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut process = Process::spawn(name, command, dir);
        let stdin = process.child.stdin.take().expect("it was asked for");
        (process, stdin)
    }

    fn spawn(name: &str, mut command: Command, dir: &Path) -> Process {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).expect("a log can be made in the scratch folder");
        let err = out.try_clone().expect("a file's handle can be cloned");
        let started = wait::now();
        let child = command
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} could not be started: {error}"));
        Process { name: name.to_owned(), child, log, started }
    }

    /// What its messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it was started.
    pub fn started(&self) -> std::time::Instant {
        self.started
    }

    /// Whether it has ended. It is not waited for until it is dropped, so its [`Usage`] stays.
    pub fn has_ended(&self) -> bool {
        self.stat().is_none_or(|stat| stat.first().is_some_and(|state| state == "Z"))
    }

    /// All it has printed.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what it has printed, for a failure's message.
    pub fn tail(&self) -> String {
        let output = self.output();
        let from = output.len().saturating_sub(TAIL_BYTES);
        let from = (from..=output.len()).find(|at| output.is_char_boundary(*at)).unwrap_or(0);
        let state = if self.has_ended() { "has ended" } else { "runs" };
        format!("--- {} ({state}) ---\n{}\n", self.name, output.get(from..).unwrap_or(""))
    }

    /// Waits until `look` finds something in its output.
    ///
    /// # Panics
    /// When `limit` is over, or the program ends, before that.
    pub fn wait_for<T>(&self, what: &str, limit: Duration, look: impl Fn(&str) -> Option<T>) -> T {
        let found = poll(limit, || {
            let ended = self.has_ended();
            match look(&self.output()) {
                Some(found) => Some(Some(found)),
                None if ended => Some(None),
                None => None,
            }
        });
        match found.flatten() {
            Some(found) => found,
            None => panic!("{}: no {what} within {limit:?}\n{}", self.name, self.tail()),
        }
    }

    /// Waits until it ends by itself and says whether it ended well.
    ///
    /// # Panics
    /// When `limit` is over before that.
    pub fn wait_until_ended(&mut self, limit: Duration) -> bool {
        if poll(limit, || self.has_ended().then_some(())).is_none() {
            panic!("{}: still runs after {limit:?}\n{}", self.name, self.tail());
        }
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// Asks it to end (SIGTERM) and waits until it has; says whether it ended well.
    ///
    /// # Panics
    /// When `limit` is over before that.
    pub fn stop(&mut self, limit: Duration) -> bool {
        self.signal(Signal::TERM);
        self.wait_until_ended(limit)
    }

    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.has_ended()) {
            // It may end between the look and the signal; until it is waited for, its id is its own.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        let ticks: u64 = self.stat().map_or(0, |stat| {
            // proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17; `stat` begins with 3.
            stat.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
        });
        let per_second = rustix::param::clock_ticks_per_second();
        let status = self.proc_file("status").unwrap_or_default();
        Usage {
            cpu: Duration::from_millis(ticks * 1000 / per_second),
            peak_resident_bytes: status_bytes(&status, "VmHWM:"),
        }
    }

    /// What it holds in memory now; nothing once it has ended.
    pub fn memory(&self) -> Memory {
        let status = self.proc_file("status").unwrap_or_default();
        Memory {
            resident_bytes: status_bytes(&status, "VmRSS:"),
            anonymous_bytes: status_bytes(&status, "RssAnon:"),
        }
    }

    /// The fields of `/proc/PID/stat` after the name in brackets.
    fn stat(&self) -> Option<Vec<String>> {
        let text = self.proc_file("stat")?;
        let (_, fields) = text.rsplit_once(')')?;
        Some(fields.split_whitespace().map(str::to_owned).collect())
    }

    fn proc_file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).ok()
    }
}

/// A line of `/proc/PID/status` that is a size, in bytes; 0 where there is none.
fn status_bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_seen_and_the_end_is_noticed() {
        let scratch = Scratch::new();
        let mut process =
            Process::start("talker", shell("echo well; echo met >&2"), scratch.path());
        let word = process.wait_for("greeting", Duration::from_secs(10), |output| {
            output.lines().nth(1).map(str::to_owned)
        });
        assert_eq!(word, "met");
        assert!(process.wait_until_ended(Duration::from_secs(10)));
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let scratch = Scratch::new();
        let process = Process::start("sleeper", shell("exec sleep 1000"), scratch.path());
        let pid = process.child.id();
        assert!(!process.has_ended());
        drop(process);
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
    }

    #[test]
    fn used_time_is_known_after_the_end() {
        let scratch = Scratch::new();
        let work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let process = Process::start("worker", shell(work), scratch.path());
        poll(Duration::from_secs(60), || process.has_ended().then_some(()));
        let used = process.usage().cpu;
        assert!(used >= Duration::from_millis(20), "{used:?}");
        assert!(used <= process.started().elapsed() + Duration::from_millis(50), "{used:?}");
    }
}

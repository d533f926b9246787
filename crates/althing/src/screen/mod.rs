//! Everything that people see: what goes to standard output and standard error, and how.
//!
//! Results go to standard output, all else to standard error, so that a pipe gets the results alone.
//! On a terminal, progress redraws in place; elsewhere it is a plain line now and then. With
//! `--json` standard output has JSON and nothing else.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod units;

use crate::cli::Global;
use indicatif::MultiProgress;
use serde::Serialize;
use std::io::{self, Write};
use tracing::level_filters::LevelFilter;

/// Where to say things, and how much.
#[derive(Clone)]
pub(crate) struct Screen {
    json: bool,
    quiet: bool,
    /// Bars, below which lines are printed without tearing them.
    bars: MultiProgress,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        Screen { json: global.json, quiet: global.quiet, bars: MultiProgress::new() }
    }

    /// Sends the program's log to standard error: warnings, and more with `-v`.
    pub(crate) fn start_log(&self, verbose: u8) {
        let level = match (self.quiet, verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, 2) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let bars = self.bars.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(console::colors_enabled_stderr())
            .with_target(verbose > 1)
            .with_writer(move || LogLine { bars: bars.clone(), line: Vec::new() })
            .finish();
        // Only a second call could fail, and there is none.
        drop(tracing::subscriber::set_global_default(subscriber));
    }

    /// Whether standard output is to have JSON alone.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether progress may redraw in place.
    pub(crate) fn redraws(&self) -> bool {
        !self.json && !self.quiet && console::user_attended_stderr()
    }

    /// Whether progress is shown at all.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A result, for people; nothing with `--json`.
    pub(crate) fn result(&self, text: &str) {
        if !self.json {
            self.bars.suspend(|| line(&mut io::stdout().lock(), text));
        }
    }

    /// What people may want to know beside the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            self.bars.suspend(|| line(&mut io::stderr().lock(), text));
        }
    }

    /// A value, with `--json`; on one line if it is one of many.
    pub(crate) fn value(&self, value: &impl Serialize, one_of_many: bool) {
        if self.json {
            let text = if one_of_many {
                serde_json::to_string(value)
            } else {
                serde_json::to_string_pretty(value)
            };
            let text = text.expect("what is printed has only string keys");
            line(&mut io::stdout().lock(), &text);
        }
    }

    /// What went wrong.
    pub(crate) fn failure(&self, failure: &crate::exit::Failure) {
        let stderr = &mut io::stderr().lock();
        if self.json {
            line(stderr, &failure.to_json());
        } else {
            let word = console::style("error:").for_stderr().red().bold();
            line(stderr, &format!("{word} {failure}"));
        }
    }
}

/// A line of the log on its way, printed as a whole so that no bar is torn by it.
struct LogLine {
    bars: MultiProgress,
    line: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        self.bars.suspend(|| line(&mut io::stderr().lock(), text.trim_end()));
    }
}

/// Prints a line. Who reads no longer (a closed pipe) is no reason to fail: what was to be done is
/// done.
fn line(to: &mut impl Write, text: &str) {
    drop(writeln!(to, "{text}").and_then(|()| to.flush()));
}

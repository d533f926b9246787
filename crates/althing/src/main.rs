//! The `althing` program: the command line over a daemon that may run in the same process.
//!
//! [`cli`] defines what can be typed; [`commands`] has a function for each command, which speaks to
//! the daemon through [`client`] even when [`daemon`] runs it right here; [`screen`] is all that
//! people see; [`exit`] is how it ends.

mod cli;
mod client;
mod commands;
mod daemon;
mod demo;
mod exit;
mod read_document;
mod screen;
mod signals;

use clap::Parser as _;
use exit::{Exit, Failure};
use screen::Screen;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = read_document::run(std::env::args_os()) {
        return code;
    }
    // Prints help, the version or a usage error (code 2) by itself.
    let cli = cli::Cli::parse();
    let screen = Screen::new(&cli.global);
    screen.start_log(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.failure(&Failure::new(format!("cannot start threads: {error}"), ""));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let result = runtime.block_on(async {
        let signals = signals::Signals::install()
            .map_err(|error| Failure::new(format!("cannot handle Ctrl-C: {error}"), ""))?;
        commands::run(cli, &screen, signals).await
    });
    // A thread that still reads standard input must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::from(Exit::Ok as u8),
        Err(failure) => {
            screen.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

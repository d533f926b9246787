//! Ctrl-C and its kin: the first asks for a clean end, the second ends at once.

use std::process;
use tokio::sync::watch;

/// Becomes interrupted once, by SIGINT, SIGTERM or a closed terminal.
#[derive(Clone)]
pub(crate) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Takes over the process's signals.
    pub(crate) fn install() -> std::io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let mut source = Source::new()?;
        tokio::spawn(async move {
            source.next().await;
            sender.send_replace(true);
            let number = source.next().await;
            // The data on disk is right whenever the process ends; only the good-byes are missing.
            process::exit(128 + number);
        });
        Ok(Signals(receiver))
    }

    /// Returns when the process is asked to end.
    pub(crate) async fn interrupted(&mut self) {
        if self.0.wait_for(|interrupted| *interrupted).await.is_err() {
            // The task above never ends before the process does.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Source {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal's number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hangup.recv() => 1,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> std::io::Result<Self> {
        Ok(Source)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}

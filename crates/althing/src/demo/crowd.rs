//! The crowd: light peers within the demo's own process, so that there are more peers than any has neighbours.
//! They publish and search as all do, and have no index on disk.

use super::network::Peer;
use crate::cli::Listen;
use crate::daemon::{ApiListen, Daemon};
use crate::exit::Failure;
use althing_node::Config;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

/// MiB of memory for blocks: what they fetch is a few hundred bytes.
const MEMORY_MIB: u32 = 4;

/// How long all together may take to stop: none may write any more when their folders are removed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// See the [module](self).
#[derive(Default)]
pub(super) struct Crowd {
    /// Those that are not started yet: whoever is interrupted meanwhile ends them all the same.
    starting: Vec<Starting>,
    daemons: Vec<Daemon>,
    peers: Vec<Peer>,
}

struct Starting {
    number: usize,
    dir: PathBuf,
    task: JoinHandle<Result<Daemon, Failure>>,
}

impl Crowd {
    /// Begins to start one in a folder with its settings.
    pub(super) fn begin(&mut self, number: usize, dir: PathBuf) {
        let folder = dir.clone();
        let task = tokio::spawn(async move {
            let listen = Listen::default();
            Daemon::start_with(&folder, &listen, ApiListen::Configured, make_light).await
        });
        self.starting.push(Starting { number, dir, task });
    }

    /// Waits until all are started.
    pub(super) async fn started(&mut self) -> Result<(), Failure> {
        while let Some(next) = self.starting.first_mut() {
            let daemon = (&mut next.task).await;
            let Starting { number, dir, .. } = self.starting.remove(0);
            let daemon = daemon.map_err(|error| Failure::new(error.to_string(), ""))??;
            let client = daemon.client();
            self.daemons.push(daemon);
            self.peers.push(Peer::light(number, client?, dir));
        }
        Ok(())
    }

    /// Those that are started.
    pub(super) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Stops all of them; those that are not through in time are left to the end of the process.
    pub(super) async fn end(&mut self) {
        let mut ending = JoinSet::new();
        for daemon in self.daemons.drain(..) {
            ending.spawn(daemon.stop());
        }
        for Starting { task, .. } in self.starting.drain(..) {
            ending.spawn(async move {
                if let Ok(Ok(daemon)) = task.await {
                    daemon.stop().await;
                }
            });
        }
        let all = async { while ending.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::warn!("some light peers did not stop in time");
        }
    }
}

/// Settings of one of many in a process.
fn make_light(config: &mut Config) {
    (config.runtime.shards, config.storage.threads) = (1, 1);
    config.storage.memory_mib = MEMORY_MIB;
    config.search.index = false;
    config.mail.enabled = false;
}

//! One torrent's machines and what passes between them.

use crate::{Output, TorrentKey, TorrentSetup};
use althing_base::{Instant, Machine, Seed};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::swarm::{self, Swarm};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

pub(crate) struct Torrent {
    pub(crate) swarm: Swarm,
    /// The names under which the router knows it.
    pub(crate) known_as: Option<InfoHashes>,
    /// When the router will wake it.
    pub(crate) wake: Option<Instant>,
}

impl Torrent {
    pub(crate) fn new(now: Instant, seed: Seed, setup: TorrentSetup) -> Self {
        let TorrentSetup { source, paused, swarm: config, .. } = setup;
        let swarm = Swarm::new(now, config, seed.fork("swarm", 0), source, paused);
        Torrent { swarm, known_as: None, wake: None }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.swarm.handle_timeout(now);
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.swarm.poll_timeout().map(|(at, _)| at)
    }

    /// Passes things on until all machines are drained: one input, then all outputs, then the next
    /// input that came of them.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        key: TorrentKey,
        outputs: &mut VecDeque<Output>,
        banned: &mut BTreeSet<IpAddr>,
    ) {
        let mut steps = VecDeque::new();
        loop {
            while let Some(output) = self.swarm.poll_output() {
                match &output {
                    swarm::Output::Connect { addr } if banned.contains(&addr.ip()) => {
                        steps.push_back(Step::Swarm(swarm::Input::ConnectFailed { addr: *addr }));
                        continue;
                    }
                    swarm::Output::Ban { ip } => {
                        banned.insert(*ip);
                    }
                    _ => {}
                }
                outputs.push_back(Output::Swarm { torrent: key, output });
            }
            match steps.pop_front() {
                Some(Step::Swarm(input)) => self.swarm.handle_input(now, input),
                None => return,
            }
        }
    }
}

/// What has to be told to whom.
enum Step {
    Swarm(swarm::Input),
}

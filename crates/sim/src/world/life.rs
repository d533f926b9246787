//! Programs that start, stop, are killed or vanish.

use super::{START, World};
use crate::plan::{Behaviour, Life};
use crate::queue::Event;
use crate::units::HostId;

impl World {
    /// Puts every step of every host's life into the queue.
    pub(super) fn schedule_lives(&mut self) {
        for host in &self.hosts {
            for (at, _) in &host.plan.life {
                self.queue.at(START + *at, Event::Life(host.id));
            }
            if host.plan.behaviour == Behaviour::Babbler {
                self.queue.at(START, Event::Babble(host.id));
            }
        }
    }

    /// The next step in a host's life.
    pub(super) fn live(&mut self, id: HostId) {
        let host = self.host(id);
        let step = host.plan.life.get(host.lived).map(|(_, step)| *step);
        host.lived += 1;
        match step {
            Some(Life::Start) => {
                let host = self.host(id);
                if host.finished.is_none() || !host.plan.returns_for_more_only {
                    self.start(id);
                }
            }
            Some(Life::Stop) => self.stop(id),
            Some(Life::Kill) => self.kill(id),
            Some(Life::Vanish) => self.vanish(id),
            None => {}
        }
    }

    fn start(&mut self, id: HostId) {
        if self.host(id).is_running() {
            return;
        }
        self.network.access(id).on = true;
        let now = self.now;
        self.hosts[id.index()].start(now, &self.torrent);
        self.count_copies();
        self.join_dht(id);
        self.drain(id);
        self.settle(id);
        let host = self.host(id);
        if host.disk.stored().is_full() {
            host.finish(now);
        }
    }

    /// The user ends the program: it takes its leave of everyone.
    pub(super) fn stop(&mut self, id: HostId) {
        let now = self.now;
        let Some(router) = &mut self.host(id).router else { return };
        router.remove(now, crate::host::TORRENT);
        self.drain(id);
        self.hang_up_all(id);
        self.host(id).end(now, true);
        self.count_copies();
    }

    /// The process is killed; the system closes its connections.
    fn kill(&mut self, id: HostId) {
        let now = self.now;
        self.host(id).end(now, false);
        self.hang_up_all(id);
        self.count_copies();
    }

    /// The plug is pulled.
    fn vanish(&mut self, id: HostId) {
        let now = self.now;
        self.host(id).end(now, false);
        self.network.switch_off(id);
        for conn in self.network.conns_of(id) {
            self.network.abandon(conn, id);
        }
        self.count_copies();
    }

    fn hang_up_all(&mut self, id: HostId) {
        for conn in self.network.conns_of(id) {
            self.network.close(&mut self.queue, self.now, conn, id);
        }
    }

    /// Whether every host that must finish has, and nobody's life has more in store.
    pub(super) fn all_is_done(&self) -> bool {
        self.hosts.iter().all(|host| {
            host.lived >= host.plan.life.len()
                && (!host.plan.must_finish || (host.finished.is_some() && !host.mending))
        })
    }
}

//! Opening connections, and asking the tracker.

use super::World;
use crate::host::{Host, TORRENT, host_at};
use crate::limits::{CONNECT_TIMEOUT, TRACKER_THINKS};
use crate::network::Side;
use crate::queue::Event;
use crate::units::HostId;
use althing_bittorrent::swarm::{self, ConnId, Direction, Transport};
use althing_bittorrent::tracker::announcer::AnnounceId;
use althing_bittorrent::tracker::{AnnounceRequest, AnnounceResponse, TrackerError, TrackerUrl};
use althing_bittorrent::wire::Handshake;
use althing_router as router;
use std::net::SocketAddr;
use std::sync::Arc;

/// The port of outgoing connections, which nobody listens at.
const EPHEMERAL_PORT: u16 = 40_000;

/// An announce under way.
pub(super) struct Announce {
    host: HostId,
    /// Which run of its program asked.
    run: u32,
    id: AnnounceId,
    url: Arc<TrackerUrl>,
    request: AnnounceRequest,
    answer: Option<Result<AnnounceResponse, TrackerError>>,
}

impl World {
    /// A host calls an address. The handshakes take two round trips: TCP's, and BitTorrent's.
    pub(super) fn connect(&mut self, id: HostId, addr: SocketAddr) {
        self.calls += u64::from(self.hosts[id.index()].plan.behaviour.is_honest());
        let at = |host: &HostId| self.hosts.get(host.index()).is_some_and(|h| h.addr() == addr);
        let callee = host_at(addr.ip()).filter(at);
        let callee = callee.unwrap_or(self.tracker_host);
        let conn = self.network.open(id, callee, addr);
        if callee == id {
            // It has called itself, and both ends are its own; the machine finds out.
            let greeting = self.host(id).handshake();
            self.greetings.extend(greeting.map(|greeting| (conn, greeting)));
            self.queue.at(self.now, Event::Welcome(conn));
            return;
        }
        let latency = self.network.latency(id, callee);
        self.queue.at(self.now + latency, Event::Syn(conn));
    }

    /// Whether the callee answers at all.
    pub(super) fn syn(&mut self, conn: ConnId) {
        let Some(([_, callee], latency)) = self.network.hosts_of(conn) else { return };
        let Some(called) = self.network.called(conn) else { return };
        let host = self.hosts.get(callee.index()).filter(|host| host.addr() == called);
        let answers = self.network.access(callee).on && host.is_some_and(|h| h.plan.reachable);
        if !answers {
            let left = CONNECT_TIMEOUT.saturating_sub(latency);
            self.queue.at(self.now + left, Event::ConnectFailed(conn));
        } else if host.is_some_and(Host::is_running) {
            self.queue.at(self.now + latency * 2, Event::Hello(conn));
        } else {
            self.queue.at(self.now + latency, Event::ConnectFailed(conn));
        }
    }

    /// The opener's handshake comes to the callee, which answers or hangs up.
    pub(super) fn hello(&mut self, conn: ConnId) {
        let Some(([opener, callee], latency)) = self.network.hosts_of(conn) else { return };
        if !self.network.is_opening(conn, Side::Opener) {
            self.network.forget(conn);
            return;
        }
        let welcome = self.accept(conn, opener, callee);
        let Some((theirs, ours)) = welcome else {
            self.queue.at(self.now + latency, Event::ConnectFailed(conn));
            return;
        };
        self.greetings.insert(conn, ours);
        self.network.establish(conn, Side::Callee);
        // Before anything else that the callee says.
        self.queue.at(self.now + latency, Event::Welcome(conn));
        let ip = self.host(opener).ip();
        let addr = SocketAddr::new(ip, EPHEMERAL_PORT + (conn.0 % 20_000) as u16);
        let direction = Direction::Incoming;
        let (transport, handshake) = (Transport::Tcp, theirs);
        let input = swarm::Input::Connected { conn, addr, direction, transport, handshake };
        self.tell(callee, input);
    }

    /// The handshakes of both sides, if the callee takes the call.
    fn accept(
        &self,
        conn: ConnId,
        opener: HostId,
        callee: HostId,
    ) -> Option<(Handshake, Handshake)> {
        let (opener, callee) = (&self.hosts[opener.index()], &self.hosts[callee.index()]);
        if self.network.called(conn)? != callee.addr() {
            return None;
        }
        let theirs = opener.handshake()?;
        let router = callee.router.as_ref()?;
        router.find(theirs.info_hash)?;
        if router.is_banned(opener.addr().ip()) {
            return None;
        }
        Some((theirs, callee.handshake()?))
    }

    /// The callee's handshake comes to the opener.
    pub(super) fn welcome(&mut self, conn: ConnId) {
        let greeting = self.greetings.remove(&conn);
        let Some(([opener, callee], _)) = self.network.hosts_of(conn) else { return };
        let Some(handshake) = greeting.filter(|_| self.network.is_opening(conn, Side::Opener))
        else {
            return;
        };
        let Some(addr) = self.network.called(conn) else { return };
        self.network.establish(conn, Side::Opener);
        let direction = Direction::Outgoing;
        let transport = Transport::Tcp;
        let input = swarm::Input::Connected { conn, addr, direction, transport, handshake };
        self.tell(opener, input);
        if opener == callee {
            self.network.forget(conn);
        }
    }

    pub(super) fn connect_failed(&mut self, conn: ConnId) {
        let Some(([opener, _], _)) = self.network.hosts_of(conn) else { return };
        let Some(addr) = self.network.called(conn) else { return };
        let waits = self.network.is_opening(conn, Side::Opener);
        self.network.forget(conn);
        if waits {
            self.tell(opener, swarm::Input::ConnectFailed { addr });
        }
    }

    /// A host asks the tracker for peers, or says goodbye to it.
    pub(super) fn announce(
        &mut self,
        id: HostId,
        number: AnnounceId,
        url: Arc<TrackerUrl>,
        request: AnnounceRequest,
    ) {
        self.announced += 1;
        let run = self.host(id).runs;
        let announce = Announce { host: id, run, id: number, url, request, answer: None };
        self.announces.insert(self.announced, announce);
        let latency = self.network.latency(id, self.tracker_host);
        self.queue.at(self.now + latency, Event::Announce(self.announced));
    }

    /// The answer is not wanted any more.
    pub(super) fn cancel_announce(&mut self, id: HostId, number: AnnounceId) {
        let run = self.host(id).runs;
        self.announces.retain(|_, a| (a.host, a.run, a.id) != (id, run, number));
    }

    pub(super) fn announce_arrives(&mut self, number: u64) {
        let Some(announce) = self.announces.get_mut(&number) else { return };
        let ip = self.hosts[announce.host.index()].ip();
        let from = SocketAddr::new(ip, EPHEMERAL_PORT);
        let answer = self.tracker.announce(self.now, from, &announce.url, &announce.request);
        announce.answer = Some(answer);
        let latency = self.network.latency(announce.host, self.tracker_host);
        self.queue.at(self.now + latency + TRACKER_THINKS, Event::Announced(number));
    }

    pub(super) fn announce_answered(&mut self, number: u64) {
        let Some(announce) = self.announces.remove(&number) else { return };
        let host = self.host(announce.host);
        if host.is_running()
            && host.runs == announce.run
            && let Some(result) = announce.answer
        {
            let (torrent, id) = (TORRENT, announce.id);
            host.inbox.push_back(router::Input::Announced { torrent, id, result });
            self.settle(announce.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HostPlan, Plan, Start};
    use crate::torrent::TorrentSpec;
    use crate::units::Rate;
    use althing_base::Seed;
    use althing_base::time::Duration;
    use althing_bittorrent::swarm::PeerSource;
    use althing_bittorrent::swarm::limits::CONNECTING_MAX;

    /// A host that nobody can call has heard of many addresses where nobody is before it hears of one
    /// where somebody is.
    #[test]
    fn who_calls_where_nobody_is_hears_of_it_and_calls_others() {
        let rate = Rate::kib_per_s(1024);
        let host = |start| HostPlan::new(start, rate, rate);
        let fetches = HostPlan { reachable: false, ..host(Start::Nothing) };
        let plan = Plan {
            torrent: TorrentSpec::new(2, 1),
            hosts: vec![host(Start::Everything), fetches],
            deadline: Duration::from_secs(60),
        };
        let mut world = World::new(plan, Seed::from_u64(1)).expect("a torrent");
        while !world.hosts[1].is_running()
            && let Some((at, event)) = world.queue.pop()
        {
            world.now = at;
            world.happen(event);
        }
        let nobody = |n| SocketAddr::from(([11, 9, 0, n], 7716));
        let nobody = (0..CONNECTING_MAX as u8).map(nobody).collect();
        for peers in [nobody, vec![world.hosts[0].addr()]] {
            let source = PeerSource::Tracker;
            world.tell(HostId(1), swarm::Input::PeersFound { source, peers });
        }
        let report = world.run();
        assert!(report.is_good() && report.unfinished.is_empty(), "{report}");
    }
}

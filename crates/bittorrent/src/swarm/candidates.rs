//! The addresses a swarm knows and which to try next.

use super::io::PeerSource;
use super::limits::{CANDIDATE_FAILURES_MAX, CANDIDATES_MAX, RECONNECT_AFTER};
use althing_base::{Instant, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// May be tried from this instant on.
    Waiting(Instant),
    /// An attempt is under way.
    Connecting,
    /// There is a connection.
    Connected,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: PeerSource,
    failures: u8,
    state: State,
    /// It has every piece: of no use to a seed.
    is_seed: bool,
}

/// The number of failures that marks our own address.
const OURSELVES: u8 = u8::MAX;

/// A bounded table of addresses.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    known: BTreeMap<SocketAddr, Candidate>,
    banned: BTreeSet<IpAddr>,
    connecting: usize,
}

/// Addresses nobody can be reached at.
fn is_reachable(addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

impl Candidates {
    /// Remembers an address; a table that is full forgets its worst one for it.
    pub(super) fn add(&mut self, now: Instant, addr: SocketAddr, source: PeerSource) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        if !is_reachable(addr) || self.banned.contains(&addr.ip()) {
            return;
        }
        if let Some(known) = self.known.get_mut(&addr) {
            // Named again by somebody: worth another chance, unless it is ourselves.
            if known.failures != OURSELVES {
                known.failures = known.failures.min(CANDIDATE_FAILURES_MAX - 1);
                // Whoever names an address by hand wants it tried now.
                if source == PeerSource::Manual
                    && let State::Waiting(from) = &mut known.state
                {
                    *from = now.min(*from);
                }
            }
            return;
        }
        if self.known.len() >= CANDIDATES_MAX && !self.forget_worst() {
            return;
        }
        let candidate =
            Candidate { source, failures: 0, state: State::Waiting(now), is_seed: false };
        self.known.insert(addr, candidate);
    }

    /// Drops the address with the most failures, if any has failed.
    fn forget_worst(&mut self) -> bool {
        let worst = self
            .known
            .iter()
            .filter(|(_, c)| matches!(c.state, State::Waiting(_)) && c.failures > 0)
            .max_by_key(|(_, c)| c.failures)
            .map(|(addr, _)| *addr);
        worst.is_some_and(|addr| self.known.remove(&addr).is_some())
    }

    fn is_worth_trying(candidate: &Candidate, seeding: bool) -> Option<Instant> {
        match candidate.state {
            State::Waiting(from)
                if candidate.failures < CANDIDATE_FAILURES_MAX
                    && !(seeding && candidate.is_seed) =>
            {
                Some(from)
            }
            _ => None,
        }
    }

    /// Takes the address to try next: the one with the fewest failures, by chance among equals.
    pub(super) fn next(
        &mut self,
        now: Instant,
        seeding: bool,
        rng: &mut Rng,
    ) -> Option<SocketAddr> {
        let due = |c: &Candidate| Self::is_worth_trying(c, seeding).is_some_and(|at| at <= now);
        let fewest = self.known.values().filter(|c| due(c)).map(|c| c.failures).min()?;
        let best: Vec<SocketAddr> = self
            .known
            .iter()
            .filter(|(_, c)| c.failures == fewest && due(c))
            .map(|(addr, _)| *addr)
            .collect();
        let addr = *rng.choose(&best)?;
        self.known.get_mut(&addr)?.state = State::Connecting;
        self.connecting += 1;
        Some(addr)
    }

    /// When the next address may be tried.
    pub(super) fn next_at(&self, seeding: bool) -> Option<Instant> {
        self.known.values().filter_map(|c| Self::is_worth_trying(c, seeding)).min()
    }

    /// How many addresses are left to try, now or later.
    pub(super) fn untried(&self, seeding: bool) -> usize {
        self.known.values().filter(|c| Self::is_worth_trying(c, seeding).is_some()).count()
    }

    /// Attempts under way.
    pub(super) fn connecting(&self) -> usize {
        self.connecting
    }

    /// How many addresses are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn source(&self, addr: SocketAddr) -> Option<PeerSource> {
        self.known.get(&addr).map(|c| c.source)
    }

    fn leave(&mut self, addr: SocketAddr, to: impl FnOnce(&mut Candidate) -> State) {
        if let Some(candidate) = self.known.get_mut(&addr) {
            if candidate.state == State::Connecting {
                self.connecting -= 1;
            }
            candidate.state = to(candidate);
        }
    }

    /// An attempt succeeded.
    pub(super) fn connected(&mut self, addr: SocketAddr) {
        self.leave(addr, |c| {
            c.failures = 0;
            State::Connected
        });
    }

    /// An attempt failed, or a connection ended that was of no use.
    pub(super) fn failed(&mut self, now: Instant, addr: SocketAddr) {
        self.leave(addr, |c| {
            c.failures = c.failures.saturating_add(1).min(OURSELVES - 1);
            let wait = RECONNECT_AFTER * u32::from(c.failures).pow(2);
            State::Waiting(now + wait)
        });
    }

    /// A useful connection ended; the address stays good.
    pub(super) fn disconnected(&mut self, now: Instant, addr: SocketAddr) {
        self.leave(addr, |_| State::Waiting(now + RECONNECT_AFTER));
    }

    /// The peer has every piece.
    pub(super) fn is_seed(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.known.get_mut(&addr) {
            candidate.is_seed = true;
        }
    }

    /// Never try the address again: it is ourselves.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.leave(addr, |c| {
            c.failures = OURSELVES;
            State::Waiting(Instant::ORIGIN)
        });
    }

    /// Every port of the address is out.
    pub(super) fn ban(&mut self, ip: IpAddr) {
        self.banned.insert(ip);
        let connecting = &mut self.connecting;
        self.known.retain(|addr, candidate| {
            let keep = addr.ip() != ip;
            if !keep && candidate.state == State::Connecting {
                *connecting -= 1;
            }
            keep
        });
    }

    pub(super) fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip)
    }

    /// Everything may be tried at once again: the user asked to go on.
    pub(super) fn retry_all(&mut self, now: Instant) {
        for candidate in self.known.values_mut() {
            if matches!(candidate.state, State::Waiting(_)) && candidate.failures != OURSELVES {
                candidate.failures = 0;
                candidate.state = State::Waiting(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Seed;
    use althing_base::time::Duration;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 7716))
    }

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn failures_wait_longer_and_longer_and_then_stop() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        table.add(at(0), addr(1), PeerSource::Tracker);
        let mut now = at(0);
        let mut waits = Vec::new();
        while let Some(next) = table.next_at(false) {
            waits.push((next - now).as_secs());
            now = now.max(next);
            let tried = table.next(now, false, &mut rng);
            assert_eq!(tried, Some(addr(1)));
            assert_eq!(table.connecting(), 1);
            table.failed(now, addr(1));
        }
        assert_eq!(waits, [0, 30, 120, 270]);
        assert_eq!(table.connecting(), 0);
        // Named again, it gets one more chance.
        table.add(now, addr(1), PeerSource::Tracker);
        assert_eq!(table.untried(false), 1);
    }

    #[test]
    fn the_table_is_bounded_and_prefers_what_has_not_failed() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        for n in 0..CANDIDATES_MAX as u16 {
            table.add(at(0), addr(n), PeerSource::Tracker);
        }
        table.add(at(0), addr(60_000), PeerSource::Tracker);
        assert_eq!(table.len(), CANDIDATES_MAX);
        assert_eq!(table.source(addr(60_000)), None);
        let failed = table.next(at(0), false, &mut rng).expect("many");
        table.failed(at(0), failed);
        table.add(at(1), addr(60_000), PeerSource::Tracker);
        assert_eq!(table.len(), CANDIDATES_MAX);
        assert_eq!(table.source(addr(60_000)), Some(PeerSource::Tracker));
        assert_eq!(table.source(failed), None);
    }

    #[test]
    fn nonsense_and_banned_addresses_are_not_kept() {
        let mut table = Candidates::default();
        table.ban(addr(3).ip());
        for bad in [
            SocketAddr::from(([0, 0, 0, 0], 1)),
            SocketAddr::from(([255, 255, 255, 255], 1)),
            SocketAddr::from(([224, 0, 0, 1], 1)),
            SocketAddr::from(([10, 0, 0, 1], 0)),
            addr(3),
        ] {
            table.add(at(0), bad, PeerSource::Tracker);
        }
        assert_eq!(table.len(), 0);
    }
}

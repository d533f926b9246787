//! The addresses a swarm knows and which to try next.

use super::io::PeerSource;
use super::limits::{
    BANNED_MAX, CALLED_SEED_FOR, CANDIDATE_FAILURES_MAX, CANDIDATES_MAX, DECLINED_DOUBLINGS_MAX,
    PEX_ATTEMPTS_PER_NETWORK, PEX_CANDIDATES_MAX, PEX_CANDIDATES_PER_PEER, PEX_FAILED_MANY,
    PEX_FAILURES_MAX, PEX_PORTS_PER_IP, PEX_REMEMBERED_FOR, RECONNECT_AFTER,
};
use super::room::Network;
use althing_base::machine::is_due;
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

/// Whether a peer has every piece: one of no use to a seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum IsSeed {
    No,
    /// Another peer said so, and is believed until then.
    Called(Instant),
    /// It said so itself.
    Met,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: PeerSource,
    /// Calls in a row that nobody answered.
    failures: u8,
    /// Connections in a row that ended before anything was exchanged.
    declined: u8,
    state: State,
    seed: IsSeed,
    /// Which peer named it, until somebody is met there.
    named_by: Option<IpAddr>,
}

impl Candidate {
    fn failures_max(&self) -> u8 {
        match self.source {
            PeerSource::Pex => PEX_FAILURES_MAX,
            _ => CANDIDATE_FAILURES_MAX,
        }
    }
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
pub(super) fn is_reachable(addr: SocketAddr) -> bool {
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
                if known.source == PeerSource::Pex {
                    (known.source, known.named_by) = (source, None);
                }
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
        let candidate = Candidate {
            source,
            failures: 0,
            declined: 0,
            state: State::Waiting(now),
            seed: IsSeed::No,
            named_by: None,
        };
        self.known.insert(addr, candidate);
    }

    /// Remembers an address that the peer at `by` named, if neither that peer nor all of them have
    /// named too many (BEP 11).
    pub(super) fn add_named(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        by: IpAddr,
        is_global: bool,
        is_seed: bool,
    ) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let seed = if is_seed { IsSeed::Called(now + CALLED_SEED_FOR) } else { IsSeed::No };
        if let Some(known) = self.known.get_mut(&addr) {
            if is_seed && known.seed != IsSeed::Met {
                known.seed = seed;
            }
            return;
        }
        let ports = SocketAddr::new(addr.ip(), 0)..=SocketAddr::new(addr.ip(), u16::MAX);
        // The DHT names one behind a symmetric router by as many ports as nodes were told.
        let is_named = |c: &Candidate| c.source == PeerSource::Pex;
        let ports = self.known.range(ports).filter(|(_, c)| is_named(c)).count();
        if is_global && ports >= PEX_PORTS_PER_IP {
            return;
        }
        let named = self.known.values().filter(|c| c.named_by == Some(by)).count();
        if named >= PEX_CANDIDATES_PER_PEER {
            return;
        }
        if self.known.values().filter(|c| is_named(c)).count() >= PEX_CANDIDATES_MAX {
            let failed = |(_, c): &(&SocketAddr, &Candidate)| {
                is_named(c) && matches!(c.state, State::Waiting(_)) && c.failures > 0
            };
            let worst = self.known.iter().filter(failed).max_by_key(|(_, c)| c.failures);
            let Some(worst) = worst.map(|(addr, _)| *addr) else { return };
            self.known.remove(&worst);
        }
        self.add(now, addr, PeerSource::Pex);
        if let Some(candidate) = self.known.get_mut(&addr) {
            candidate.named_by = Some(by);
            candidate.seed = seed;
        }
    }

    /// Forgets what the peer at `by` named long ago and nobody was met at.
    pub(super) fn forget_dead_of(&mut self, now: Instant, by: IpAddr) {
        self.known.retain(|_, c| {
            let is_dead = c.named_by == Some(by) && c.failures >= c.failures_max();
            let long_ago = |at: Instant| now.since(at) >= PEX_REMEMBERED_FOR;
            !(is_dead && matches!(c.state, State::Waiting(at) if long_ago(at)))
        });
    }

    /// Forgets what the peer at `by` named and nobody is being met at.
    pub(super) fn forget_named_by(&mut self, by: IpAddr) {
        self.known.retain(|_, c| c.named_by != Some(by) || !matches!(c.state, State::Waiting(_)));
    }

    /// The networks whose peers have named enough that is being tried: what fails lowers their share.
    fn named_enough(&self) -> BTreeSet<Network> {
        let mut named: BTreeMap<Network, (usize, usize)> = BTreeMap::new();
        for candidate in self.known.values() {
            let Some(by) = candidate.named_by else { continue };
            let (trying, failed) = named.entry(Network::of(by)).or_default();
            *trying += usize::from(candidate.state == State::Connecting);
            *failed += usize::from(candidate.failures > 0);
        }
        let has_enough = |(trying, failed): (usize, usize)| {
            trying >= if failed >= PEX_FAILED_MANY { 1 } else { PEX_ATTEMPTS_PER_NETWORK }
        };
        named.into_iter().filter(|(_, n)| has_enough(*n)).map(|(network, _)| network).collect()
    }

    /// Forgets every address that neither a tracker nor the user named and nobody is connected to.
    pub(super) fn forget_public(&mut self) {
        self.known.retain(|_, c| !c.source.is_public() || !matches!(c.state, State::Waiting(_)));
    }

    /// Forgets every address but those that the user named (BEP 27: another tracker's peers). An attempt
    /// that is under way is forgotten, too: nobody knows the address when it succeeds.
    pub(super) fn forget_others(&mut self) {
        let Candidates { known, connecting, .. } = self;
        known.retain(|_, c| {
            let keep = c.source == PeerSource::Manual || c.failures == OURSELVES;
            *connecting -= usize::from(!keep && c.state == State::Connecting);
            keep
        });
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

    /// The same, if others may have their turn after it.
    fn may_be_tried(
        candidate: &Candidate,
        seeding: bool,
        enough: &BTreeSet<Network>,
    ) -> Option<Instant> {
        let waits = |by: IpAddr| enough.contains(&Network::of(by));
        Self::is_worth_trying(candidate, seeding)
            .filter(|_| enough.is_empty() || !candidate.named_by.is_some_and(waits))
    }

    fn is_worth_trying(candidate: &Candidate, seeding: bool) -> Option<Instant> {
        match candidate.state {
            State::Waiting(from) if candidate.failures < candidate.failures_max() => {
                match candidate.seed {
                    IsSeed::Called(until) if seeding => Some(from.max(until)),
                    IsSeed::Met if seeding => None,
                    _ => Some(from),
                }
            }
            _ => None,
        }
    }

    /// Takes the address to try next of those that `fits` holds for: one that the user named, else the
    /// one with the fewest failures, of these one that is not peers' word alone; by chance among equals.
    pub(super) fn next(
        &mut self,
        now: Instant,
        seeding: bool,
        rng: &mut Rng,
        fits: impl Fn(IpAddr, PeerSource) -> bool,
    ) -> Option<SocketAddr> {
        let enough = self.named_enough();
        let due = |(addr, c): &(&SocketAddr, &Candidate)| {
            is_due(now, Self::may_be_tried(c, seeding, &enough)) && fits(addr.ip(), c.source)
        };
        let rank = |c: &Candidate| {
            let failed = c.failures.saturating_add(c.declined);
            (c.source != PeerSource::Manual, failed, c.source == PeerSource::Pex)
        };
        let first = self.known.iter().filter(due).map(|(_, c)| rank(c)).min()?;
        let best: Vec<SocketAddr> = self
            .known
            .iter()
            .filter(|(_, c)| rank(c) == first)
            .filter(due)
            .map(|(addr, _)| *addr)
            .collect();
        let addr = *rng.choose(&best)?;
        self.known.get_mut(&addr)?.state = State::Connecting;
        self.connecting += 1;
        Some(addr)
    }

    /// When the next address may be tried, if nothing that is under way ends before.
    pub(super) fn next_at(&self, seeding: bool) -> Option<Instant> {
        let enough = self.named_enough();
        self.known.values().filter_map(|c| Self::may_be_tried(c, seeding, &enough)).min()
    }

    /// How many addresses are left to try, now or later.
    pub(super) fn untried(&self, seeding: bool) -> usize {
        self.known.values().filter(|c| Self::is_worth_trying(c, seeding).is_some()).count()
    }

    /// Begins an attempt out of turn, if there is not one under way or a connection, and the address is
    /// neither unknown nor our own. Says whether it did.
    pub(super) fn begin(&mut self, addr: SocketAddr) -> bool {
        let waits =
            |c: &&mut Candidate| matches!(c.state, State::Waiting(_)) && c.failures != OURSELVES;
        let Some(candidate) = self.known.get_mut(&addr).filter(waits) else { return false };
        candidate.state = State::Connecting;
        self.connecting += 1;
        true
    }

    /// Whether an address is known to be our own.
    pub(super) fn is_ourselves(&self, addr: SocketAddr) -> bool {
        self.known.get(&addr).is_some_and(|c| c.failures == OURSELVES)
    }

    /// Whether the last attempts at an address have failed, none is under way, and whoever is there could be
    /// of use.
    pub(super) fn was_called_in_vain(&self, addr: SocketAddr, seeding: bool) -> bool {
        let failed = |c: &Candidate| c.failures > 0 && c.failures != OURSELVES;
        self.known.get(&addr).is_some_and(|c| {
            let waits = matches!(c.state, State::Waiting(_));
            waits && failed(c) && !(seeding && c.seed != IsSeed::No)
        })
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
            c.named_by = None;
            State::Connected
        });
    }

    /// An attempt failed, or a connection ended that was of no use.
    pub(super) fn failed(&mut self, now: Instant, addr: SocketAddr) {
        self.leave(addr, |c| {
            c.failures = c.failures.saturating_add(1).min(OURSELVES - 1);
            let failures = c.failures.saturating_add(c.declined);
            let wait = RECONNECT_AFTER * u32::from(failures).pow(2);
            State::Waiting(now + wait)
        });
    }

    /// A useful connection ended; the address stays good.
    pub(super) fn disconnected(&mut self, now: Instant, addr: SocketAddr) {
        self.leave(addr, |c| {
            c.declined = 0;
            State::Waiting(now + RECONNECT_AFTER)
        });
    }

    /// Somebody is there, and a connection ended before anything was exchanged: one side had no place
    /// for it, or nothing to give. Unlike one that does not answer it is not given up.
    pub(super) fn declined(&mut self, now: Instant, addr: SocketAddr) {
        self.leave(addr, |c| {
            let wait = RECONNECT_AFTER * (1 << c.declined.min(DECLINED_DOUBLINGS_MAX));
            c.declined = (c.declined + 1).min(DECLINED_DOUBLINGS_MAX);
            State::Waiting(now + wait)
        });
    }

    /// The peer has every piece.
    pub(super) fn is_seed(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.known.get_mut(&addr) {
            candidate.seed = IsSeed::Met;
        }
    }

    /// The peer lacks a piece after all.
    pub(super) fn is_no_seed(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.known.get_mut(&addr) {
            candidate.seed = IsSeed::No;
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
        if self.banned.len() >= BANNED_MAX {
            self.banned.pop_first();
        }
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
                (candidate.failures, candidate.declined) = (0, 0);
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
            let tried = table.next(now, false, &mut rng, |_, _| true);
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
    fn who_answers_and_parts_is_called_ever_more_rarely_and_never_given_up() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        table.add(at(0), addr(1), PeerSource::Tracker);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = table.next_at(false).expect("it is not given up");
            waits.push((next - now).as_secs());
            now = next;
            assert_eq!(table.next(now, false, &mut rng, |_, _| true), Some(addr(1)));
            table.connected(addr(1));
            table.declined(now, addr(1));
        }
        assert_eq!(waits, [0, 30, 60, 120, 240, 480, 960, 960]);
        // Something was exchanged at last: it is as good as others.
        table.connected(addr(1));
        table.disconnected(now, addr(1));
        assert_eq!(table.next_at(false), Some(now + RECONNECT_AFTER));
    }

    #[test]
    fn seeds_are_not_called_by_seeds() {
        let mut table = Candidates::default();
        let by = IpAddr::from([10, 9, 9, 9]);
        (1..=3).for_each(|n| table.add(at(0), addr(n), PeerSource::Tracker));
        // One is met, and another peer says it of the second, which was known already.
        table.is_seed(addr(1));
        table.add_named(at(0), addr(2), by, false, true);
        let called = |table: &mut Candidates, now, seeding| {
            let mut rng = Rng::new(Seed::from_u64(1));
            let mut all = Vec::new();
            while let Some(next) = table.next(now, seeding, &mut rng, |_, _| true) {
                all.push(next);
                table.disconnected(now, next);
            }
            all.sort();
            all
        };
        assert_eq!(called(&mut table, at(1), true), [addr(3)]);
        // Whoever wants something again calls them all.
        assert_eq!(called(&mut table, at(100), false), [addr(1), addr(2), addr(3)]);
        // What was said is not believed for ever, and what a peer says of itself counts more.
        let later = at(100) + CALLED_SEED_FOR;
        assert_eq!(called(&mut table, later, true), [addr(2), addr(3)]);
        table.add_named(later, addr(1), by, false, true);
        assert_eq!(called(&mut table, later + CALLED_SEED_FOR, true), [addr(2), addr(3)]);
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
        let failed = table.next(at(0), false, &mut rng, |_, _| true).expect("many");
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

    #[test]
    fn a_liar_cannot_fill_the_table() {
        let mut table = Candidates::default();
        let liar = |n: u8| IpAddr::from([10, 9, 9, n]);
        for n in 0..10_000 {
            table.add_named(at(0), addr(n), liar(1), false, false);
        }
        assert_eq!(table.len(), PEX_CANDIDATES_PER_PEER);
        for n in 0..10_000u16 {
            table.add_named(at(0), addr(n), liar((n / 100) as u8), false, false);
        }
        assert_eq!(table.len(), PEX_CANDIDATES_MAX);
        // Whoever is met counts no more against the one that named it.
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        for n in 0..200 {
            table.add_named(at(0), addr(n), liar(1), false, false);
            let met = table.next(at(0), false, &mut rng, |_, _| true).expect("just named");
            table.connected(met);
        }
        assert_eq!(table.len(), 200);
    }

    #[test]
    fn one_address_is_named_with_few_ports() {
        let mut table = Candidates::default();
        for port in 1..100 {
            let victim = SocketAddr::from(([8, 8, 8, 8], port));
            table.add_named(at(0), victim, addr(port).ip(), true, false);
        }
        assert_eq!(table.len(), PEX_PORTS_PER_IP);
        // What nodes of the DHT say does not count against what peers say.
        let mut table = Candidates::default();
        for port in 1..10 {
            let symmetric = SocketAddr::from(([8, 8, 8, 8], port));
            table.add(at(0), symmetric, PeerSource::Dht);
        }
        let listens = SocketAddr::from(([8, 8, 8, 8], 7716));
        table.add_named(at(0), listens, addr(1).ip(), true, false);
        assert_eq!(table.source(listens), Some(PeerSource::Pex));
    }

    #[test]
    fn what_peers_name_is_given_up_sooner_and_forgotten() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        let by = IpAddr::from([10, 9, 9, 9]);
        table.add_named(at(0), addr(1), by, false, false);
        let mut now = at(0);
        while let Some(next) = table.next_at(false) {
            now = now.max(next);
            table.next(now, false, &mut rng, |_, _| true);
            table.failed(now, addr(1));
        }
        assert_eq!(now, at(30));
        table.forget_dead_of(now + PEX_REMEMBERED_FOR, by);
        assert_eq!(table.len(), 1);
        table.forget_dead_of(now + PEX_REMEMBERED_FOR * 2, by);
        assert_eq!(table.len(), 0);
        // A tracker's word makes it an address like others.
        table.add_named(at(0), addr(2), by, false, true);
        table.add(at(0), addr(2), PeerSource::Tracker);
        assert_eq!(table.source(addr(2)), Some(PeerSource::Tracker));
        table.add_named(at(0), addr(3), by, false, false);
        table.forget_public();
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn false_addresses_leave_attempts_to_others() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut table = Candidates::default();
        for n in 0..500u16 {
            let liar = IpAddr::from([10, 9, 9, (n / 50) as u8]);
            table.add_named(at(0), addr(n), liar, false, false);
        }
        let honest = IpAddr::from([10, 8, 0, 1]);
        table.add_named(at(0), addr(1000), honest, false, false);
        table.add(at(0), addr(2000), PeerSource::Tracker);
        table.add(at(0), addr(3000), PeerSource::Manual);
        let mut tried: Vec<_> =
            std::iter::from_fn(|| table.next(at(0), false, &mut rng, |_, _| true)).collect();
        assert_eq!(tried[..2], [addr(3000), addr(2000)]);
        assert!(tried.contains(&addr(1000)));
        assert_eq!(tried.len(), PEX_ATTEMPTS_PER_NETWORK + 3);
        // The rest waits for those, and no timer runs.
        assert_eq!(table.next_at(false), None);
        // What comes to nothing lowers their share.
        let is_false = |tried: &SocketAddr| *tried < addr(500);
        for round in 0..3 {
            for tried in tried.iter().filter(|tried| is_false(tried)) {
                table.failed(at(round), *tried);
            }
            tried = std::iter::from_fn(|| table.next(at(round), false, &mut rng, |_, _| true))
                .collect();
        }
        assert_eq!(tried.len(), 1);
        table.forget_named_by(IpAddr::from([10, 9, 9, 0]));
        assert!(table.len() <= 454, "{}", table.len());
    }
}

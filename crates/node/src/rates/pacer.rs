//! A shard's part of the limits: which connections have or want something, and what each gets of
//! what its torrent was granted.

use super::governor::{Governor, Request};
use super::{Flow, Meter};
use crate::limits::{GRANT_BYTES_MIN, ROUND};
use althing_base::Instant;
use althing_base::rates::share;
use althing_router::TorrentKey;
use althing_store::records::TorrentSettings;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A connection as the pacer sees it.
pub(crate) trait Paced {
    /// What counts its bytes in a direction.
    fn meter(&self, flow: Flow) -> &Meter;
    /// It has ended.
    fn is_closed(&self) -> bool;
    /// It may go on.
    fn wake(&self);
}

/// See the [module](self). With nothing on its lists it costs nothing and wants no waking.
pub(crate) struct Pacer<C: ?Sized> {
    groups: [BTreeMap<TorrentKey, Group<C>>; 2],
    next_round: Option<Instant>,
}

/// Connections of a torrent that go on or wait.
struct Group<C: ?Sized> {
    conns: Vec<Rc<C>>,
    /// What each of them wants in this round.
    wants: Vec<u64>,
    settings: Arc<TorrentSettings>,
    /// Granted to the torrent, and not to a connection yet.
    pool: u64,
    turn: usize,
}

impl<C: ?Sized> Default for Pacer<C> {
    fn default() -> Self {
        Pacer { groups: [BTreeMap::new(), BTreeMap::new()], next_round: None }
    }
}

impl<C: Paced + ?Sized> Pacer<C> {
    /// A connection wants more than it may; `settings` are its torrent's.
    pub(crate) fn join(
        &mut self,
        now: Instant,
        flow: Flow,
        torrent: TorrentKey,
        settings: &Arc<TorrentSettings>,
        conn: &Rc<C>,
    ) {
        if conn.meter(flow).listed.replace(true) {
            return;
        }
        let groups = &mut self.groups[flow.index()];
        let group = groups.entry(torrent).or_insert_with(|| Group {
            conns: Vec::new(),
            wants: Vec::new(),
            settings: Arc::clone(settings),
            pool: 0,
            turn: 0,
        });
        group.conns.push(Rc::clone(conn));
        // The first one has its turn at once, and from then on they come at even distances.
        self.next_round.get_or_insert(now);
    }

    /// A torrent's settings have changed.
    pub(crate) fn set_settings(&mut self, torrent: TorrentKey, settings: &Arc<TorrentSettings>) {
        for groups in &mut self.groups {
            if let Some(group) = groups.get_mut(&torrent) {
                group.settings = Arc::clone(settings);
            }
        }
    }

    /// When to call [`round`](Self::round); never, if nobody wants anything.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next_round
    }

    /// Asks for what connections want, and gives them what comes of it.
    pub(crate) fn round(&mut self, now: Instant, governor: &Governor) {
        if self.next_round.is_none_or(|at| now < at) {
            return;
        }
        for flow in Flow::BOTH {
            let groups = &mut self.groups[flow.index()];
            if !groups.is_empty() {
                Self::round_of(now, flow, groups, governor);
            }
        }
        let idle = self.groups.iter().all(BTreeMap::is_empty);
        self.next_round = (!idle).then(|| now + ROUND);
    }

    fn round_of(
        now: Instant,
        flow: Flow,
        groups: &mut BTreeMap<TorrentKey, Group<C>>,
        governor: &Governor,
    ) {
        let mut requests = Vec::with_capacity(groups.len());
        for (torrent, group) in &mut *groups {
            let want = group.collect(flow);
            let back = group.pool.saturating_sub(want);
            group.pool -= back;
            requests.push(Request {
                torrent: *torrent,
                settings: Arc::clone(&group.settings),
                want: want - group.pool,
                back,
                granted: 0,
                done: group.conns.is_empty(),
            });
        }
        governor.exchange(now, flow, &mut requests);
        for request in requests {
            if request.done {
                groups.remove(&request.torrent);
            } else if let Some(group) = groups.get_mut(&request.torrent) {
                group.pool += request.granted;
                group.divide(flow);
            }
        }
    }
}

impl<C: Paced + ?Sized> Group<C> {
    /// Takes back what connections have not used, and lets those go that want nothing; says how much
    /// the others want.
    fn collect(&mut self, flow: Flow) -> u64 {
        let mut all = 0u64;
        self.wants.clear();
        self.conns.retain(|conn| {
            let meter = conn.meter(flow);
            let want = meter.wants();
            self.pool = self.pool.saturating_add(meter.take_credit());
            if !meter.is_limited() && meter.release() {
                conn.wake();
            }
            let stays = want > 0 && meter.is_limited() && !conn.is_closed();
            if stays {
                all = all.saturating_add(want);
                self.wants.push(want);
            } else {
                meter.listed.set(false);
            }
            stays
        });
        all
    }

    /// Divides what the torrent has among its connections.
    fn divide(&mut self, flow: Flow) {
        let mut grants = Vec::new();
        self.turn = share(self.pool, &self.wants, GRANT_BYTES_MIN, self.turn, &mut grants);
        for (conn, grant) in self.conns.iter().zip(grants) {
            self.pool -= grant;
            if conn.meter(flow).grant(grant) {
                conn.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gate, Limits};
    use super::*;
    use std::cell::Cell;
    use std::num::NonZeroU64;
    use std::time::Duration;

    /// A connection that always has `supply` bytes a millisecond to send, as far as it is let.
    struct Fake {
        meters: [Meter; 2],
        supply: u64,
        waiting: Cell<u64>,
        sent: Cell<u64>,
        closed: Cell<bool>,
        woken: Cell<u32>,
    }

    impl Paced for Fake {
        fn meter(&self, flow: Flow) -> &Meter {
            &self.meters[flow.index()]
        }

        fn is_closed(&self) -> bool {
            self.closed.get()
        }

        fn wake(&self) {
            self.woken.update(|count| count + 1);
        }
    }

    fn fake(gate: &Rc<Gate>, supply: u64) -> Rc<Fake> {
        Rc::new(Fake {
            meters: [Meter::new(Rc::clone(gate)), Meter::new(Rc::clone(gate))],
            supply,
            waiting: Cell::new(0),
            sent: Cell::new(0),
            closed: Cell::new(false),
            woken: Cell::new(0),
        })
    }

    /// A shard with one torrent.
    struct Shard {
        pacer: Pacer<Fake>,
        torrent: TorrentKey,
        settings: Arc<TorrentSettings>,
        conns: Vec<Rc<Fake>>,
    }

    impl Shard {
        fn step(&mut self, now: Instant, governor: &Governor) {
            for conn in &self.conns {
                conn.waiting.update(|waiting| (waiting + conn.supply).min(1 << 20));
                let meter = conn.meter(Flow::Up);
                if meter.is_blocked() || conn.closed.get() {
                    continue;
                }
                let may = meter.allowance().map_or(u64::MAX, |bytes| bytes as u64);
                let goes = conn.waiting.get().min(may);
                meter.spend(goes as usize);
                conn.sent.update(|sent| sent + goes);
                conn.waiting.update(|waiting| waiting - goes);
                if conn.waiting.get() > 0 && meter.block() {
                    self.pacer.join(now, Flow::Up, self.torrent, &self.settings, conn);
                }
            }
            self.pacer.round(now, governor);
        }
    }

    fn shard(torrent: u64, gate: &Rc<Gate>, supplies: &[u64]) -> Shard {
        let conns = supplies.iter().map(|supply| fake(gate, *supply)).collect();
        let (pacer, settings) = (Pacer::default(), Arc::default());
        Shard { pacer, torrent: TorrentKey(torrent), settings, conns }
    }

    fn limited(rate: u64) -> (Governor, Rc<Gate>) {
        let limits = Limits { global: [NonZeroU64::new(rate), None], ..Limits::default() };
        let gate = Gate::default();
        gate.set(true);
        (Governor::new(Instant::ORIGIN, &Arc::new(limits)), Rc::new(gate))
    }

    fn run(shards: &mut [Shard], governor: &Governor, from_ms: u64, to_ms: u64) -> Vec<Vec<u64>> {
        let before: Vec<Vec<u64>> = sent(shards);
        for millis in from_ms..to_ms {
            let now = Instant::ORIGIN + Duration::from_millis(millis);
            shards.iter_mut().for_each(|shard| shard.step(now, governor));
        }
        let all = sent(shards).into_iter().zip(before);
        all.map(|(now, then)| now.iter().zip(then).map(|(now, then)| now - then).collect())
            .collect()
    }

    fn sent(shards: &[Shard]) -> Vec<Vec<u64>> {
        let of = |shard: &Shard| shard.conns.iter().map(|conn| conn.sent.get()).collect();
        shards.iter().map(of).collect()
    }

    #[test]
    fn one_connection_alone_gets_all_of_the_limit() {
        let (governor, gate) = limited(1_000_000);
        let mut shards = [shard(1, &gate, &[1 << 20])];
        let total = run(&mut shards, &governor, 0, 10_000)[0][0];
        assert!((9_900_000..=10_260_000).contains(&total), "{total}");
    }

    #[test]
    fn shards_and_connections_share_and_what_one_leaves_the_others_use() {
        let (governor, gate) = limited(1_000_000);
        let mut shards = [
            shard(1, &gate, &[1 << 20, 1 << 20]),
            shard(2, &gate, &[1 << 20]),
            shard(3, &gate, &[50]),
        ];
        let totals = run(&mut shards, &governor, 0, 20_000);
        let sum: u64 = totals.iter().flatten().sum();
        assert!((19_700_000..=20_300_000).contains(&sum), "{totals:?}");
        // The third has 50,000 bytes a second to send, and sends them.
        assert!(totals[2][0] > 950_000, "{totals:?}");
        let (first, second) = (totals[0][0] + totals[0][1], totals[1][0]);
        assert!(first.abs_diff(second) < 1_000_000, "{totals:?}");
        assert!(totals[0][0].abs_diff(totals[0][1]) < 500_000, "{totals:?}");
        // One stops: the other has everything.
        shards[0].conns.iter().for_each(|conn| conn.closed.set(true));
        run(&mut shards, &governor, 20_000, 21_000);
        let totals = run(&mut shards, &governor, 21_000, 31_000);
        assert!((9_350_000..=9_700_000).contains(&totals[1][0]), "{totals:?}");
        // And nothing is left over of those that have gone.
        shards.iter().flat_map(|shard| &shard.conns).for_each(|conn| conn.closed.set(true));
        run(&mut shards, &governor, 31_000, 31_200);
        assert!(shards.iter().all(|shard| shard.pacer.deadline().is_none()));
    }

    #[test]
    fn who_waits_goes_on_when_the_limit_is_lifted() {
        let (governor, gate) = limited(1000);
        let mut shards = [shard(1, &gate, &[1 << 20])];
        run(&mut shards, &governor, 0, 1000);
        assert!(shards[0].conns[0].meter(Flow::Up).is_blocked());
        gate.set(false);
        let woken = shards[0].conns[0].woken.get();
        let total = run(&mut shards, &governor, 1000, 1100)[0][0];
        assert!(total > 50 << 20 && shards[0].conns[0].woken.get() > woken, "{total}");
        assert_eq!(shards[0].pacer.deadline(), None);
    }

    #[test]
    fn a_slow_limit_is_given_in_pieces_worth_sending() {
        let (governor, gate) = limited(10_000);
        let mut shards = [shard(1, &gate, &[1 << 20; 50])];
        let totals = run(&mut shards, &governor, 0, 60_000);
        let sum: u64 = totals[0].iter().sum();
        assert!((590_000..=620_000).contains(&sum), "{sum}");
        let most = totals[0].iter().max().expect("fifty");
        let least = totals[0].iter().min().expect("fifty");
        assert!(most - least <= 2 * GRANT_BYTES_MIN, "{totals:?}");
    }
}

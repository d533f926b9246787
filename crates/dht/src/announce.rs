//! The torrents whose peers are wanted: when each is to be searched for and announced next.
//!
//! Thousands of them are one ordered set and one timer. Each comes up every half hour less some
//! jitter, and those that come up together start one after the other, so that they stay spread.
//!
//! A node that has just begun knows few others, and what it announces then may reach one of them alone, where
//! nobody looks. So a torrent of which too few were told comes up [a few times](crate::limits::EARLY_S) before its
//! half hour is over, and is searched for then if more nodes are known than when it was last.

use crate::id::NodeId;
use crate::io::Announce;
use crate::limits::{ANNOUNCE_S, K, WANTED_MAX, WANTED_SEARCHES_MAX};
use crate::manners::Manners;
use althing_base::{Instant, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    torrents: BTreeMap<NodeId, Torrent>,
    /// Those that are not being searched for.
    due: BTreeSet<(Instant, Tail)>,
    running: usize,
    /// When the next search may start.
    next_start: Instant,
    manners: Manners,
}

#[derive(Debug)]
struct Torrent {
    announce: Option<Announce>,
    /// When it comes up; `None` while it is searched for.
    due: Option<Instant>,
    searched: Option<Instant>,
    /// Nodes that took the last announce.
    told: u8,
    /// Nodes that were known when it was last searched for.
    known: usize,
    /// How often it came up early since enough were told.
    early: u8,
    /// It comes up early, and when it would if not.
    usual: Option<Instant>,
}

/// How a search has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Somebody has answered.
    pub(crate) reached: bool,
    /// Nodes that took what was announced.
    pub(crate) told: usize,
    /// Nodes that took it or, where nothing was announced, that answered.
    pub(crate) served: usize,
}

/// How a wanted torrent stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WantedStats {
    /// When its last search ended.
    pub searched: Option<Instant>,
    /// How many nodes took what was then announced.
    pub told: u8,
    /// When the next one is due; `None` while one is under way.
    pub due: Option<Instant>,
}

/// A name with its last byte first. Torrents that come up at one instant are taken in this order: in that of
/// their names each would be next to the one before, and ask the same nodes at the same time.
type Tail = [u8; NodeId::LEN];

fn tail(NodeId(mut bytes): NodeId) -> Tail {
    bytes.reverse();
    bytes
}

impl Wanted {
    pub(crate) fn new(manners: Manners) -> Self {
        Wanted { manners, ..Wanted::default() }
    }

    /// A torrent is wanted from now on, or is to be announced otherwise than so far.
    pub(crate) fn want(&mut self, now: Instant, info_hash: NodeId, announce: Option<Announce>) {
        if let Some(torrent) = self.torrents.get_mut(&info_hash) {
            torrent.announce = announce;
        } else if self.torrents.len() < WANTED_MAX {
            let torrent = Torrent {
                announce,
                due: Some(now),
                searched: None,
                told: 0,
                known: 0,
                early: 0,
                usual: None,
            };
            self.torrents.insert(info_hash, torrent);
            self.due.insert((now, tail(info_hash)));
        }
    }

    /// It is wanted no longer.
    pub(crate) fn forget(&mut self, info_hash: &NodeId) {
        if let Some(torrent) = self.torrents.remove(info_hash) {
            match torrent.due {
                Some(due) => drop(self.due.remove(&(due, tail(*info_hash)))),
                None => self.running -= 1,
            }
        }
    }

    /// Its turn is to come before others', though not at once if it just was.
    pub(crate) fn hurry(&mut self, now: Instant, info_hash: NodeId) {
        let Some(torrent) = self.torrents.get_mut(&info_hash) else { return };
        let wait = Duration::from_secs(self.manners.hurry_s());
        let soonest = torrent.searched.map_or(Instant::ORIGIN, |searched| searched + wait);
        // In front of all that are due, if it may be now.
        let at = if soonest <= now { Instant::ORIGIN } else { soonest };
        if let Some(usual) = &mut torrent.usual
            && torrent.due.is_some_and(|due| due <= at)
        {
            // If nothing comes of coming up early.
            *usual = at.min(*usual);
            return;
        }
        if let Some(due) = torrent.due.filter(|due| *due > at) {
            self.due.remove(&(due, tail(info_hash)));
            (torrent.due, torrent.usual) = (Some(at), None);
            self.due.insert((at, tail(info_hash)));
        }
    }

    /// The next one to search for now, if there is one; [`Wanted::finished`] ends it. So many nodes are
    /// `known`.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        known: usize,
    ) -> Option<(NodeId, Option<Announce>)> {
        while self.start_at()? <= now {
            let (_, tail_first) = self.due.pop_first()?;
            let info_hash = NodeId(tail(NodeId(tail_first)));
            let torrent = self.torrents.get_mut(&info_hash)?;
            let usual = torrent.usual.take();
            if let Some(usual) = usual
                && known <= torrent.known
            {
                // It would reach the same ones again.
                let due = torrent.come_up(now, usual, self.manners);
                self.due.insert((due, tail_first));
                continue;
            }
            (torrent.due, torrent.known) = (None, known);
            self.running += 1;
            let apart =
                (ANNOUNCE_S * 600 / self.torrents.len().max(1) as u64).min(self.manners.start_ms());
            self.next_start = now + Duration::from_millis(apart);
            return Some((info_hash, self.torrents.get(&info_hash)?.announce));
        }
        None
    }

    /// When the next search may start, if one waits.
    pub(crate) fn start_at(&self) -> Option<Instant> {
        if self.running >= WANTED_SEARCHES_MAX {
            return None;
        }
        let (due, _) = self.due.first()?;
        Some((*due).max(self.next_start))
    }

    /// What is to be told of us for a torrent that is being searched for; `None` if it is wanted no
    /// longer.
    pub(crate) fn announce(&self, info_hash: &NodeId) -> Option<Option<Announce>> {
        self.torrents.get(info_hash).map(|torrent| torrent.announce)
    }

    /// How a torrent stands, if it is wanted.
    pub(crate) fn stats(&self, info_hash: &NodeId) -> Option<WantedStats> {
        let Torrent { searched, told, due, .. } = *self.torrents.get(info_hash)?;
        Some(WantedStats { searched, told, due })
    }

    /// A search has ended.
    pub(crate) fn finished(
        &mut self,
        now: Instant,
        info_hash: NodeId,
        outcome: Outcome,
        rng: &mut Rng,
    ) {
        let Some(torrent) = self.torrents.get_mut(&info_hash) else { return };
        if torrent.due.is_some() {
            // Forgotten and wanted again meanwhile.
            return;
        }
        self.running -= 1;
        torrent.told = u8::try_from(outcome.told).unwrap_or(u8::MAX);
        let is_first = torrent.searched.replace(now).is_none();
        let secs = if outcome.reached { ANNOUNCE_S } else { self.manners.retry_s() };
        // Those that began together part after their first search.
        let jitter = if is_first { secs * 600 } else { secs * 200 };
        let usual = now + Duration::from_millis(secs * 1_000 - rng.below(jitter));
        let due = if outcome.served < K {
            torrent.come_up(now, usual, self.manners)
        } else {
            torrent.early = 0;
            usual
        };
        torrent.due = Some(due);
        self.due.insert((due, tail(info_hash)));
    }

    /// We are somewhere else: all are to be announced again, within `within`.
    pub(crate) fn restart(&mut self, now: Instant, within: Duration, rng: &mut Rng) {
        self.due.clear();
        for (info_hash, torrent) in &mut self.torrents {
            if let Some(due) = &mut torrent.due {
                let late = now + Duration::from_millis(rng.below(within.as_millis() as u64));
                *due = late.min(*due);
                (torrent.early, torrent.usual) = (0, None);
                self.due.insert((*due, tail(*info_hash)));
            }
        }
    }

    /// How many are wanted.
    pub(crate) fn len(&self) -> usize {
        self.torrents.len()
    }
}

impl Torrent {
    /// When it comes up next after too few were told: early, if it has not been so often yet, or when
    /// it usually would.
    fn come_up(&mut self, now: Instant, usual: Instant, manners: Manners) -> Instant {
        let early = manners.early_s().get(usize::from(self.early));
        let early = early.map(|secs| now + Duration::from_secs(*secs)).filter(|at| *at < usual);
        self.early = self.early.saturating_add(u8::from(early.is_some()));
        self.usual = early.map(|_| usual);
        let due = early.unwrap_or(usual);
        self.due = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{EARLY_S, HURRY_S};
    use althing_base::Seed;

    /// Nodes that are known in these tests.
    const KNOWN: usize = 100;

    /// A search that has told so many nodes.
    fn told(told: usize) -> Outcome {
        Outcome { reached: told > 0, told, served: told }
    }

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    fn hash(n: u32) -> NodeId {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        NodeId(hash)
    }

    #[test]
    fn thousands_are_announced_each_half_hour_and_spread() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wanted = Wanted::default();
        for n in 0..5_000 {
            wanted.want(at(0), hash(n), None);
        }
        let mut now = at(0);
        let mut starts = BTreeMap::<NodeId, Vec<u64>>::new();
        let mut in_minute = BTreeMap::<u64, u32>::new();
        while now < at(4 * 3_600) {
            if let Some((info_hash, _)) = wanted.start(now, KNOWN) {
                let secs = now.as_nanos() / 1_000_000_000;
                starts.entry(info_hash).or_default().push(secs);
                *in_minute.entry(secs / 60).or_default() += 1;
                wanted.finished(now, info_hash, told(8), &mut rng);
            }
            now = wanted.start_at().expect("always one is to come").max(now);
        }
        for times in starts.values() {
            assert!(times.len() >= 8, "{times:?}");
            assert!(times.windows(2).all(|pair| (700..=1_830).contains(&(pair[1] - pair[0]))));
        }
        // On average 185 a minute.
        assert!(in_minute.values().all(|count| *count <= 620), "{in_minute:?}");
        assert!((60..240).all(|minute| in_minute[&minute] < 450), "{in_minute:?}");
    }

    #[test]
    fn who_is_in_a_hurry_is_next_but_not_at_once_again() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wanted = Wanted::default();
        for n in 0..10 {
            wanted.want(at(100), hash(n), None);
        }
        wanted.hurry(at(100), hash(7));
        assert_eq!(wanted.start(at(100), KNOWN), Some((hash(7), None)));
        wanted.finished(at(101), hash(7), told(8), &mut rng);
        let stats = wanted.stats(&hash(7)).expect("it is wanted");
        assert_eq!((stats.searched, stats.told), (Some(at(101)), 8));
        wanted.hurry(at(102), hash(7));
        let others: Vec<_> = (102..120).filter_map(|secs| wanted.start(at(secs), KNOWN)).collect();
        assert_eq!(others.len(), 9);
        assert!(!others.contains(&(hash(7), None)));
        assert_eq!(wanted.start(at(161), KNOWN), Some((hash(7), None)));
    }

    /// When a torrent is searched for, seconds, if `told` is how many nodes it tells at each number of
    /// nodes known, and `known` how many those are at each time.
    fn searches(
        until: u64,
        known: impl Fn(u64) -> usize,
        tell: impl Fn(usize) -> usize,
    ) -> Vec<u64> {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wanted = Wanted::default();
        wanted.want(at(0), hash(1), None);
        let mut searched = Vec::new();
        for secs in 0..until {
            if wanted.start(at(secs), known(secs)).is_some() {
                searched.push(secs);
                wanted.finished(at(secs), hash(1), told(tell(known(secs))), &mut rng);
            }
        }
        searched
    }

    #[test]
    fn what_reached_few_is_said_again_soon_if_more_are_known() {
        // The table fills while the first search is made.
        let all = |known: usize| known.min(K);
        let first_hour = searches(1_000, |secs| if secs < 5 { 1 } else { 50 }, all);
        assert_eq!(first_hour[..2], [0, EARLY_S[0]]);
        assert!(first_hour.get(2).is_none_or(|third| *third > 700), "{first_hour:?}");
        // It fills slowly.
        let slow = searches(700, |secs| 1 + secs as usize / 20, all);
        assert_eq!(slow, [0, EARLY_S[0] + EARLY_S[1], EARLY_S[0] + EARLY_S[1] + EARLY_S[2]]);
        // It has grown by the time the second is due.
        let later = searches(300, |secs| if secs < 30 { 1 } else { 50 }, all);
        assert_eq!(later, [0, EARLY_S[0] + EARLY_S[1]]);
    }

    #[test]
    fn where_there_are_few_nodes_it_is_not_said_more_often() {
        let few = searches(3 * 3_600, |_| 5, |known| known);
        assert!(few.windows(2).all(|pair| pair[1] - pair[0] >= 700), "{few:?}");
        // Nor without end where the table grows and grows, and few take it all the same.
        let refused = searches(3 * 3_600, |secs| secs as usize, |_| 2);
        let soon = refused.windows(2).filter(|pair| pair[1] - pair[0] < 700).count();
        assert_eq!(soon, EARLY_S.len(), "{refused:?}");
        // As before, nobody at all is tried again after a minute.
        let nobody = searches(200, |_| 1, |_| 0);
        assert!((3..=6).contains(&nobody.len()), "{nobody:?}");
    }

    #[test]
    fn who_is_in_a_hurry_need_not_be_known_to_more() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wanted = Wanted::default();
        wanted.want(at(0), hash(1), None);
        assert!(wanted.start(at(0), 5).is_some());
        wanted.finished(at(0), hash(1), told(5), &mut rng);
        wanted.hurry(at(1), hash(1));
        let again: Vec<u64> =
            (1..600).filter(|secs| wanted.start(at(*secs), 5).is_some()).take(1).collect();
        assert_eq!(again, [HURRY_S]);
    }

    #[test]
    fn a_group_hears_of_all_words_at_once() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut wanted = Wanted::new(Manners::Group);
        for n in 0..200 {
            wanted.want(at(0), hash(n), None);
        }
        let mut now = at(0);
        for _ in 0..200 {
            now = wanted.start_at().expect("one is to come").max(now);
            let (info_hash, _) = wanted.start(now, 2).expect("it may start");
            // Two others are all that there are.
            wanted.finished(now, info_hash, told(2), &mut rng);
        }
        assert!(now <= at(2), "{now:?}");
        // Nobody else has come: it is not said again before its time.
        let mut again = 0;
        for secs in 2..600 {
            while wanted.start(at(secs), 2).is_some() {
                again += 1;
            }
        }
        assert_eq!(again, 0);
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut wanted = Wanted::default();
        wanted.want(at(0), hash(1), None);
        wanted.want(at(0), hash(2), None);
        wanted.start(at(0), KNOWN);
        wanted.forget(&hash(1));
        wanted.forget(&hash(2));
        assert_eq!((wanted.running, wanted.due.len(), wanted.len()), (0, 0, 0));
        assert_eq!(wanted.start_at(), None);
    }
}

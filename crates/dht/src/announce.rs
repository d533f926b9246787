//! The torrents whose peers are wanted: when each is to be searched for and announced next.
//!
//! Thousands of them are one ordered set and one timer. Each comes up every half hour less some
//! jitter, and those that come up together start one after the other, so that they stay spread.

use crate::id::NodeId;
use crate::io::Announce;
use crate::limits::{ANNOUNCE_RETRY_S, ANNOUNCE_S, HURRY_S, WANTED_MAX, WANTED_SEARCHES_MAX};
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
}

#[derive(Debug)]
struct Torrent {
    announce: Option<Announce>,
    /// When it comes up; `None` while it is searched for.
    due: Option<Instant>,
    searched: Option<Instant>,
    /// Nodes that took the last announce.
    told: u8,
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

/// Milliseconds between two starts, at the most; less with many torrents.
const START_MS: u64 = 100;

impl Wanted {
    /// A torrent is wanted from now on, or is to be announced otherwise than so far.
    pub(crate) fn want(&mut self, now: Instant, info_hash: NodeId, announce: Option<Announce>) {
        if let Some(torrent) = self.torrents.get_mut(&info_hash) {
            torrent.announce = announce;
        } else if self.torrents.len() < WANTED_MAX {
            let torrent = Torrent { announce, due: Some(now), searched: None, told: 0 };
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
        let soonest = torrent
            .searched
            .map_or(Instant::ORIGIN, |searched| searched + Duration::from_secs(HURRY_S));
        // In front of all that are due, if it may be now.
        let at = if soonest <= now { Instant::ORIGIN } else { soonest };
        if let Some(due) = torrent.due.filter(|due| *due > at) {
            self.due.remove(&(due, tail(info_hash)));
            torrent.due = Some(at);
            self.due.insert((at, tail(info_hash)));
        }
    }

    /// The next one to search for now, if there is one; [`Wanted::finished`] ends it.
    pub(crate) fn start(&mut self, now: Instant) -> Option<(NodeId, Option<Announce>)> {
        if self.start_at()? > now {
            return None;
        }
        let (_, tail_first) = self.due.pop_first()?;
        let info_hash = NodeId(tail(NodeId(tail_first)));
        self.running += 1;
        let apart = (ANNOUNCE_S * 600 / self.torrents.len().max(1) as u64).min(START_MS);
        self.next_start = now + Duration::from_millis(apart);
        let torrent = self.torrents.get_mut(&info_hash)?;
        torrent.due = None;
        Some((info_hash, torrent.announce))
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

    /// A search has ended: whether it has reached somebody, and how many nodes were told of us.
    pub(crate) fn finished(
        &mut self,
        now: Instant,
        info_hash: NodeId,
        (reached, told): (bool, usize),
        rng: &mut Rng,
    ) {
        let Some(torrent) = self.torrents.get_mut(&info_hash) else { return };
        if torrent.due.is_some() {
            // Forgotten and wanted again meanwhile.
            return;
        }
        self.running -= 1;
        torrent.told = u8::try_from(told).unwrap_or(u8::MAX);
        let is_first = torrent.searched.replace(now).is_none();
        let secs = if reached { ANNOUNCE_S } else { ANNOUNCE_RETRY_S };
        // Those that began together part after their first search.
        let jitter = if is_first { secs * 600 } else { secs * 200 };
        let due = now + Duration::from_millis(secs * 1_000 - rng.below(jitter));
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
                self.due.insert((*due, tail(*info_hash)));
            }
        }
    }

    /// How many are wanted.
    pub(crate) fn len(&self) -> usize {
        self.torrents.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Seed;

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
            if let Some((info_hash, _)) = wanted.start(now) {
                let secs = now.as_nanos() / 1_000_000_000;
                starts.entry(info_hash).or_default().push(secs);
                *in_minute.entry(secs / 60).or_default() += 1;
                wanted.finished(now, info_hash, (true, 8), &mut rng);
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
        assert_eq!(wanted.start(at(100)), Some((hash(7), None)));
        wanted.finished(at(101), hash(7), (true, 8), &mut rng);
        let stats = wanted.stats(&hash(7)).expect("it is wanted");
        assert_eq!((stats.searched, stats.told), (Some(at(101)), 8));
        wanted.hurry(at(102), hash(7));
        let others: Vec<_> = (102..120).filter_map(|secs| wanted.start(at(secs))).collect();
        assert_eq!(others.len(), 9);
        assert!(!others.contains(&(hash(7), None)));
        assert_eq!(wanted.start(at(161)), Some((hash(7), None)));
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut wanted = Wanted::default();
        wanted.want(at(0), hash(1), None);
        wanted.want(at(0), hash(2), None);
        wanted.start(at(0));
        wanted.forget(&hash(1));
        wanted.forget(&hash(2));
        assert_eq!((wanted.running, wanted.due.len(), wanted.len()), (0, 0, 0));
        assert_eq!(wanted.start_at(), None);
    }
}

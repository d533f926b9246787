//! What is remembered of each torrent that is looked for in the DHT, beside what the machine does.

use super::Standing;
use althing_base::Instant;
use althing_dht::{Announce, NodeId, WantedStats};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a count of who has a torrent (BEP 33) is shown before it is made anew, at the earliest when
/// somebody looks (guess: as often as trackers are asked).
const COUNTED_FOR: Duration = Duration::from_secs(30 * 60);

/// How a torrent stands in the DHT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TorrentFigures {
    /// Under which name.
    pub(crate) info_hash: NodeId,
    /// How long ago the last search ended, and how many nodes took what was announced then.
    pub(crate) searched: Option<(Duration, u8)>,
    /// How long until the next one.
    pub(crate) next: Option<Duration>,
    /// How often peers were named, all searches together.
    pub(crate) peers_named: u64,
    /// Who has all of it and who fetches it, as nodes count.
    pub(crate) counted: Option<(u32, u32)>,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Torrents {
    known: BTreeMap<NodeId, Known>,
    /// Peers that were named, of all torrents.
    peers_named: u64,
}

#[derive(Default)]
struct Known {
    /// What the router wants told.
    announce: Option<Announce>,
    peers_named: u64,
    /// When it was last begun to count who has it.
    count_begun: Option<Instant>,
    counted: Option<(u32, u32)>,
}

impl Torrents {
    pub(super) fn want(&mut self, info_hash: NodeId, announce: Option<Announce>) {
        self.known.entry(info_hash).or_default().announce = announce;
    }

    pub(super) fn forget(&mut self, info_hash: &NodeId) {
        self.known.remove(info_hash);
    }

    /// What others are told: the port that datagrams come from, unless the one that we name is known to
    /// be open.
    pub(super) fn told(&self, announce: Option<Announce>, standing: Standing) -> Option<Announce> {
        let Announce { port, seed } = announce?;
        Some(Announce { port: port.filter(|_| standing.port_is_open), seed })
    }

    /// All that we are announced for.
    pub(super) fn announced(&self) -> Vec<(NodeId, Option<Announce>)> {
        let all = self.known.iter().filter(|(_, known)| known.announce.is_some());
        all.map(|(info_hash, known)| (*info_hash, known.announce)).collect()
    }

    pub(super) fn found_peers(&mut self, info_hash: &NodeId, peers: usize) {
        self.peers_named += peers as u64;
        if let Some(known) = self.known.get_mut(info_hash) {
            known.peers_named += peers as u64;
        }
    }

    /// Torrents for which peers were named, and how many of those.
    pub(super) fn found(&self) -> (usize, u64) {
        let with = self.known.values().filter(|known| known.peers_named > 0).count();
        (with, self.peers_named)
    }

    /// Whether it is time to count who has a torrent; it counts as begun then.
    pub(super) fn may_count(&mut self, now: Instant, info_hash: &NodeId) -> bool {
        let Some(known) = self.known.get_mut(info_hash) else { return false };
        let due = known.count_begun.is_none_or(|at| now.since(at) >= COUNTED_FOR);
        if due {
            known.count_begun = Some(now);
        }
        due
    }

    /// Nodes have said who has a torrent.
    pub(super) fn counted(&mut self, info_hash: &NodeId, seeds: u32, peers: u32) {
        if let Some(known) = self.known.get_mut(info_hash) {
            known.counted = Some((seeds, peers));
        }
    }

    pub(super) fn figures(
        &self,
        now: Instant,
        info_hash: NodeId,
        stats: WantedStats,
    ) -> TorrentFigures {
        let known = self.known.get(&info_hash);
        TorrentFigures {
            info_hash,
            searched: stats.searched.map(|at| (now.since(at), stats.told)),
            next: stats.due.map(|at| at.since(now)),
            peers_named: known.map_or(0, |known| known.peers_named),
            counted: known.and_then(|known| known.counted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_named_where_it_is_known_to_be_open() {
        let torrents = Torrents::default();
        let named = Some(Announce { port: Some(7716), seed: true });
        let open = Standing { port_is_open: true, ..Standing::default() };
        assert_eq!(torrents.told(named, open), named);
        let implied = Some(Announce { port: None, seed: true });
        assert_eq!(torrents.told(named, Standing::default()), implied);
        assert_eq!(torrents.told(None, open), None);
    }

    #[test]
    fn who_has_it_is_counted_now_and_then_and_only_while_it_is_wanted() {
        let mut torrents = Torrents::default();
        let (name, now) = (NodeId([1; 20]), Instant::ORIGIN);
        assert!(!torrents.may_count(now, &name));
        torrents.want(name, None);
        assert!(torrents.may_count(now, &name));
        assert!(!torrents.may_count(now + COUNTED_FOR / 2, &name));
        assert!(torrents.may_count(now + COUNTED_FOR, &name));
        torrents.counted(&name, 3, 4);
        let stats = WantedStats { searched: None, told: 0, due: None };
        assert_eq!(torrents.figures(now, name, stats).counted, Some((3, 4)));
        torrents.forget(&name);
        assert_eq!(torrents.figures(now, name, stats).counted, None);
    }
}

//! How a node behaves that has thousands of torrents: how much it asks of anybody, and when.

use super::net::{Conditions, Net, Overheard};
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_dht::{Announce, Input, NodeId};
use std::collections::BTreeMap;

/// What a node that keeps up many torrents sent to others.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// The most that any other node got in a second.
    pub per_node_in_1_s: u32,
    /// The most that any other node got in ten seconds; libtorrent blocks past 50.
    pub per_node_in_10_s: u32,
    /// The most that any other node got an hour.
    pub per_node_in_1_h: u32,
    /// Messages a second, on average.
    pub per_s: f64,
    /// Messages a second in the minute that had most.
    pub per_s_in_peak_minute: f64,
    /// Searches that began in a minute, on average.
    pub searches_per_min: f64,
    /// Searches that began in the minute that had most.
    pub searches_in_peak_minute: u32,
    /// Seconds between two searches of one torrent, at the least.
    pub apart_s_min: u64,
    /// Seconds between two searches of one torrent, at the most.
    pub apart_s_max: u64,
}

/// One node of a network of `nodes` wants `torrents` all at once and keeps them up for `time`.
pub fn manners(seed: u64, nodes: usize, torrents: usize, time: Duration) -> Manners {
    let mut net = Net::new(seed, nodes, Conditions::default());
    let at = net.anybody();
    let start = net.now;
    net.overheard = Some(Overheard { who: at, sent: Vec::new(), searched: Vec::new() });
    for _ in 0..torrents {
        let info_hash = net.name();
        let announce = Some(Announce { port: Some(7_716), seed: true });
        net.tell(at, Input::Want { info_hash, announce });
    }
    net.run(time);
    let overheard = net.overheard.take().expect("it was set above");
    judge(start, time, &overheard)
}

fn judge(start: Instant, time: Duration, overheard: &Overheard) -> Manners {
    let Overheard { sent, searched, .. } = overheard;
    let mut by_node = BTreeMap::<NodeIndex, Vec<Instant>>::new();
    let mut by_torrent = BTreeMap::<NodeId, Vec<Instant>>::new();
    for (at, to) in sent {
        by_node.entry(*to).or_default().push(*at);
    }
    for (at, info_hash) in searched {
        by_torrent.entry(*info_hash).or_default().push(*at);
    }
    let minutes = |times: &mut dyn Iterator<Item = Instant>| {
        let mut counts = BTreeMap::<u64, u32>::new();
        times.for_each(|at| *counts.entry(at.since(start).as_secs() / 60).or_default() += 1);
        counts.values().max().copied().unwrap_or_default()
    };
    let starts = by_torrent.values().flat_map(|times| firsts(times));
    let searches: Vec<_> = starts.collect();
    let apart = by_torrent.values().flat_map(|times| {
        let firsts = firsts(times);
        firsts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect::<Vec<_>>()
    });
    let apart: Vec<_> = apart.collect();
    let most = |window| by_node.values().map(|times| most_within(times, window)).max();
    let secs = time.as_secs_f64();
    Manners {
        per_node_in_1_s: most(Duration::from_secs(1)).unwrap_or_default(),
        per_node_in_10_s: most(Duration::from_secs(10)).unwrap_or_default(),
        per_node_in_1_h: most(Duration::from_secs(3_600)).unwrap_or_default(),
        per_s: sent.len() as f64 / secs,
        per_s_in_peak_minute: f64::from(minutes(&mut sent.iter().map(|(at, _)| *at))) / 60.0,
        searches_per_min: searches.len() as f64 * 60.0 / secs,
        searches_in_peak_minute: minutes(&mut searches.iter().copied()),
        apart_s_min: apart.iter().min().copied().unwrap_or_default(),
        apart_s_max: apart.iter().max().copied().unwrap_or_default(),
    }
}

/// When searches began, from when their questions were sent: a minute of silence lies before each.
fn firsts(times: &[Instant]) -> Vec<Instant> {
    let mut firsts = Vec::new();
    let mut last = None;
    for at in times {
        if last.is_none_or(|last| at.since(last) > Duration::from_secs(60)) {
            firsts.push(*at);
        }
        last = Some(*at);
    }
    firsts
}

/// How many of these times, which rise, lie within any window at the most.
fn most_within(times: &[Instant], window: Duration) -> u32 {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while at.since(times[first]) >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_is_found() {
        let times: Vec<_> =
            [0, 5, 6, 7, 20, 21].map(|s| Instant::ORIGIN + Duration::from_secs(s)).to_vec();
        assert_eq!(most_within(&times, Duration::from_secs(3)), 3);
        assert_eq!(most_within(&times, Duration::from_secs(1)), 1);
        assert_eq!(most_within(&times, Duration::from_secs(100)), 6);
        assert_eq!(most_within(&[], Duration::from_secs(1)), 0);
    }
}

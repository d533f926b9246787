//! A crawler among nodes that know of torrents: how many it finds, and how many questions that takes.

use super::net::{Conditions, Net};
use crate::node::NodeIndex;
use althing_base::Instant;
use althing_base::time::Duration;
use althing_dht::crawl::CrawlStats;
use althing_dht::{CrawlConfig, Input, NodeId};
use std::collections::BTreeSet;

/// What a crawler has found at a time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Crawled {
    /// Since it began.
    pub after: Duration,
    /// Which part of all torrents that there are.
    pub found: f64,
    /// Torrents that it says there are, and there are not.
    pub invented: usize,
    /// How it stands.
    pub stats: CrawlStats,
}

/// What is told of torrents by a node that crawls.
pub(super) struct Listening {
    pub(super) who: NodeIndex,
    pub(super) found: BTreeSet<NodeId>,
}

/// One node of a network of `nodes` that know of `torrents` crawls: how it stands at the end of each `step`.
pub fn crawl(
    seed: u64,
    (nodes, torrents): (usize, usize),
    conditions: Conditions,
    per_s: u32,
    (steps, step): (u32, Duration),
) -> Vec<Crawled> {
    let mut net = Net::new(seed, nodes, conditions);
    let keys = net.announce(torrents);
    let there: BTreeSet<NodeId> = keys.iter().map(|key| key.info_hash).collect();
    let who = net.anybody();
    net.listening = Some(Listening { who, found: BTreeSet::new() });
    let start = net.now;
    // Nobody asks here what they are called.
    let config = CrawlConfig { per_s, resolving: usize::MAX };
    net.tell(who, Input::Crawl(Some(config)));
    (0..steps).filter_map(|_| look(&mut net, who, &there, start, step)).collect()
}

fn look(
    net: &mut Net,
    who: NodeIndex,
    there: &BTreeSet<NodeId>,
    start: Instant,
    step: Duration,
) -> Option<Crawled> {
    net.run(step);
    let stats = net.crawl_of(who)?;
    let found = &net.listening.as_ref()?.found;
    let right = found.intersection(there).count();
    Some(Crawled {
        after: net.now.since(start),
        found: right as f64 / there.len() as f64,
        invented: found.len() - right,
        stats,
    })
}

//! The crawler's questions: whom it asks, and what it is told of the answers.

use super::{Dht, ask::Purpose};
use crate::crawl::{Crawl, CrawlConfig, CrawlStats};
use crate::id::NodeId;
use crate::io::Output;
use crate::limits::K;
use crate::rate::Held;
use crate::wire::{Query, Want};
use althing_base::{Instant, Seed};

impl Dht {
    /// Begins to crawl, goes on in another way, or ends.
    pub(super) fn set_crawl(&mut self, now: Instant, config: Option<CrawlConfig>) {
        let Some(config) = config else {
            self.crawl = None;
            return;
        };
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        self.crawl = Some(Box::new(Crawl::new(now, Seed(seed), config)));
    }

    /// How the crawl stands, if there is one.
    pub fn crawl(&self) -> Option<CrawlStats> {
        self.crawl.as_ref().map(|crawl| crawl.stats())
    }

    /// A torrent that was handed out need not be looked at any more.
    pub(super) fn resolved(&mut self, info_hash: &NodeId) {
        if let Some(crawl) = &mut self.crawl {
            crawl.resolved(info_hash);
        }
    }

    /// Asks who is to be asked now.
    pub(super) fn crawl_on(&mut self, now: Instant) {
        let Some(mut crawl) = self.crawl.take() else { return };
        if let Some(near) = crawl.lacks_nodes(now) {
            let known = |side: &super::Side| side.table.nearest(&near, 4 * K, false);
            let nodes: Vec<_> = self.sides.iter().flatten().flat_map(known).collect();
            crawl.learn(nodes);
        }
        while let Some((node, target)) = crawl.next(now) {
            let query = Query::SampleInfohashes { target, want: Want::default() };
            if let Err(Held::Node(until) | Held::All(until)) =
                self.ask(now, node.addr, query, Purpose::Sample)
            {
                crawl.held(node, until);
                break;
            }
        }
        while let Some(info_hash) = crawl.poll_resolve() {
            self.outputs.push_back(Output::Crawled { info_hash });
        }
        crawl.plan(now);
        self.crawl = Some(crawl);
    }
}

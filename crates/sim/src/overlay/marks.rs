//! What is measured: how news spreads when all is well, when many die, and when the network is split.

use super::net::{Conditions, Death, Net};
use super::news::{News, NewsId};
use crate::node::NodeIndex;
use althing_base::time::Duration;

/// How a record has spread among some nodes.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The part that it has reached.
    pub reached: f64,
    /// How often it was sent, for each of them.
    pub copies: f64,
    /// How long it took to half of them, to 99 of 100, and to the last that it has reached.
    pub took: (Option<Duration>, Option<Duration>, Option<Duration>),
    /// The most links that it has crossed.
    pub hops: u8,
}

impl Spread {
    /// How it has spread so far.
    pub fn of(news: &News, nodes: &[NodeIndex]) -> Spread {
        let count = nodes.len().max(1) as f64;
        let reached = news.count(nodes, Duration::MAX) as f64 / count;
        Spread {
            reached,
            copies: news.copies as f64 / count,
            took: (news.time(nodes, 0.5), news.time(nodes, 0.99), news.time(nodes, reached)),
            hops: news.hops(),
        }
    }
}

/// How long a record is given when nothing is in its way.
pub const CALM: Duration = Duration::from_secs(10);

/// Somebody publishes, and it spreads.
pub fn publish(net: &mut Net) -> Spread {
    let nodes = net.alive();
    let by = net.any_of(&nodes);
    let id = net.publish(by);
    net.run(CALM);
    Spread::of(&net.news(id), &nodes)
}

/// A network in which some have been heard, so that there is a tree.
pub fn trained(seed: u64, nodes: usize, conditions: Conditions) -> Net {
    let mut net = Net::new(seed, nodes, conditions);
    for _ in 0..5 {
        publish(&mut net);
    }
    net
}

/// What has come of a mass failure.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Who is alive.
    pub living: Vec<NodeIndex>,
    /// What was under way when the others died.
    pub in_flight: NewsId,
    /// How many of the living it had reached by then.
    pub had: usize,
    /// How often it had been sent by then.
    pub sent: u64,
    /// What was published a second later.
    pub next: NewsId,
    /// What was published when a minute had passed.
    pub later: NewsId,
}

/// How long after it was published a record is under way when the others die: about half of them have it.
pub const IN_FLIGHT: Duration = Duration::from_millis(250);

/// A part of the nodes dies while a record is under way.
pub fn failure(net: &mut Net, part: f64, death: Death) -> Failure {
    let all = net.alive();
    let by = net.any_of(&all);
    let in_flight = net.publish(by);
    net.run(IN_FLIGHT);
    let living = net.kill(part, death);
    let had = net.news(in_flight).count(&living, Duration::MAX);
    let sent = net.news(in_flight).copies;
    net.run(Duration::from_secs(1));
    let by = net.any_of(&living);
    let next = net.publish(by);
    net.run(Duration::from_secs(60));
    let by = net.any_of(&living);
    let later = net.publish(by);
    net.run(Duration::from_secs(60));
    Failure { living, in_flight, had, sent, next, later }
}

/// What has come of a network that was split.
#[derive(Clone, Debug)]
pub struct Split {
    /// What was published on either side meanwhile.
    pub published: Vec<NewsId>,
    /// How many of those on its own side each had reached when the network was mended, the least of all.
    pub own_side: f64,
    /// How long it took from then until everything was everywhere, if that has come to pass.
    pub mended_after: Option<Duration>,
    /// What was published then.
    pub later: Spread,
}

/// The network is split for some time, in which both sides publish, and mended again.
pub fn split(net: &mut Net, time: Duration, each: u32, most: Duration) -> Split {
    net.split(true);
    let mut published = Vec::new();
    let mut sides = Vec::new();
    for _ in 0..each {
        for part in [false, true] {
            let side = net.part(part);
            let by = net.any_of(&side);
            published.push(net.publish(by));
            sides.push(side);
        }
        net.run(time / each);
    }
    let reached = published.iter().zip(&sides);
    let parts = reached.map(|(id, side)| Spread::of(&net.news(*id), side).reached);
    let own_side = parts.fold(1.0, f64::min);
    net.split(false);
    let (from, nodes) = (net.now(), net.alive());
    let is_mended = published.iter().all(|id| {
        let passed = net.now().since(from);
        net.run_until_reached(*id, &nodes, most.saturating_sub(passed))
    });
    let mended_after = is_mended.then(|| net.now().since(from));
    Split { published, own_side, mended_after, later: publish(net) }
}

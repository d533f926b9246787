//! Figures of many: means, medians, the worst of a hundred.

use crate::node::NodeIndex;
use crate::overlay::{Net, NewsId};
use althing_base::time::Duration;
use serde::Serialize;

/// What half of some values, 99 of 100 and all of them are at the most, and their mean.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Quantiles {
    /// The mean.
    pub mean: f64,
    /// Half of them are no more than this.
    pub median: f64,
    /// 99 of 100 are no more than this.
    pub p99: f64,
    /// All are no more than this.
    pub most: f64,
}

impl Quantiles {
    /// Of some values; zeros if there are none.
    pub fn of(mut values: Vec<f64>) -> Quantiles {
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| {
            let at = ((values.len() as f64 * part).ceil() as usize).saturating_sub(1);
            values.get(at).copied().unwrap_or(0.0)
        };
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        // Figures that stand in a report say no more than is known.
        let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
        Quantiles {
            mean: round(mean),
            median: round(at(0.5)),
            p99: round(at(0.99)),
            most: round(at(1.0)),
        }
    }
}

/// How records have spread among those who were there when they were published, without those who died within
/// a minute and before it came to them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Spreading {
    /// Which.
    pub label: String,
    /// How many.
    pub records: usize,
    /// Nodes that there were, the fewest of all.
    pub nodes: usize,
    /// Which part of them it has reached within 10 s, 30 s and 60 s, and in the end: 0 to 1, the least of
    /// all.
    pub within_10_s: f64,
    /// See above.
    pub within_30_s: f64,
    /// See above.
    pub within_60_s: f64,
    /// See above.
    pub reached: f64,
    /// Times that it was sent until its step was over, for each node that there was, on average.
    pub copies: f64,
    /// Milliseconds until half of them had it, the most of all; nothing if half never had.
    pub half_ms: Option<f64>,
    /// Until 99 of 100 had it.
    pub p99_ms: Option<f64>,
    /// Until the last had it whom it has reached.
    pub last_ms: Option<f64>,
    /// Links that it crossed, the most.
    pub hops: u8,
}

/// Who lives so long after a record was published should have it.
const IN_TIME: Duration = Duration::from_secs(60);

/// A record that was published, and who was there then.
pub(super) struct Published {
    pub(super) id: NewsId,
    pub(super) nodes: Vec<NodeIndex>,
    /// How often it had been sent when its step was over. Whoever comes later fetches it, too.
    pub(super) copies: Option<u64>,
}

/// What has come of some records. `living` are those who are there now, in order.
pub(super) fn spreading(
    label: &str,
    net: &Net,
    some: &[Published],
    living: &[NodeIndex],
) -> Spreading {
    let ms = |took: Duration| (took.as_secs_f64() * 1e6).round() / 1e3;
    let mut all = Spreading {
        label: label.to_owned(),
        records: some.len(),
        nodes: usize::MAX,
        within_10_s: 1.0,
        within_30_s: 1.0,
        within_60_s: 1.0,
        reached: 1.0,
        copies: 0.0,
        half_ms: Some(0.0),
        p99_ms: Some(0.0),
        last_ms: None,
        hops: 0,
    };
    let later = |one: Option<f64>, other: Option<f64>| Some(one?.max(other?));
    for Published { id, nodes, copies } in some {
        let news = net.news(*id);
        let all_nodes = nodes.len().max(1) as f64;
        // Who has died without it, and soon, could not have it.
        let there = |at: &&NodeIndex| {
            let had_time = net.died(**at).is_some_and(|died| died.since(news.at) >= IN_TIME);
            had_time || living.binary_search(at).is_ok() || news.took(**at).is_some()
        };
        let nodes: Vec<_> = nodes.iter().filter(there).copied().collect();
        let count = nodes.len().max(1) as f64;
        let within = |time| news.count(&nodes, time) as f64 / count;
        let secs = Duration::from_secs;
        let reached = within(Duration::MAX);
        all.nodes = all.nodes.min(nodes.len());
        all.within_10_s = all.within_10_s.min(within(secs(10)));
        all.within_30_s = all.within_30_s.min(within(secs(30)));
        all.within_60_s = all.within_60_s.min(within(secs(60)));
        all.reached = all.reached.min(reached);
        all.copies += copies.unwrap_or(news.copies) as f64 / all_nodes / some.len() as f64;
        all.half_ms = later(all.half_ms, news.time(&nodes, 0.5).map(ms));
        all.p99_ms = later(all.p99_ms, news.time(&nodes, 0.99).map(ms));
        let last = news.time(&nodes, reached).map(ms);
        all.last_ms = all.last_ms.into_iter().chain(last).reduce(f64::max);
        all.hops = all.hops.max(news.hops());
    }
    all.copies = (all.copies * 1_000.0).round() / 1_000.0;
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values = (1..=200).rev().map(f64::from).collect();
        let quantiles = Quantiles::of(values);
        let expected = Quantiles { mean: 100.5, median: 100.0, p99: 198.0, most: 200.0 };
        assert_eq!(quantiles, expected);
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}

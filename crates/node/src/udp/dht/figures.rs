//! How much goes over the network for the DHT, and what of the node metrics show.

use althing_base::Instant;
use althing_dht::Stats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Rates are of the last one to two of these.
const WINDOW: Duration = Duration::from_secs(10);

/// Metrics are told anew at most so often: counting what is stored takes a moment.
const SHOWN_FOR: Duration = Duration::from_secs(1);

/// Datagrams and their bytes, headers not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
}

impl Traffic {
    fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            received: self.received - earlier.received,
            received_bytes: self.received_bytes - earlier.received_bytes,
            sent: self.sent - earlier.sent,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
        }
    }
}

/// How much there was, and how much there is a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Rates {
    pub(crate) total: Traffic,
    pub(crate) per_s: Traffic,
}

/// What is counted.
pub(super) struct Figures {
    total: Traffic,
    /// The counts at two earlier times, the older first.
    marks: [(Instant, Traffic); 2],
    shown_at: Option<Instant>,
}

impl Figures {
    pub(super) fn new(now: Instant) -> Self {
        Figures { total: Traffic::default(), marks: [(now, Traffic::default()); 2], shown_at: None }
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.total.received += 1;
        self.total.received_bytes += bytes as u64;
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.total.sent += 1;
        self.total.sent_bytes += bytes as u64;
    }

    /// Notes that time goes on.
    pub(super) fn mark(&mut self, now: Instant) {
        let [_, last] = self.marks;
        if now.since(last.0) >= WINDOW {
            self.marks = [last, (now, self.total)];
        }
    }

    /// Whether metrics are to be told anew; they are, then.
    pub(super) fn may_show(&mut self, now: Instant) -> bool {
        let due = self.shown_at.is_none_or(|at| now.since(at) >= SHOWN_FOR);
        if due {
            self.shown_at = Some(now);
        }
        due
    }

    pub(super) fn rates(&mut self, now: Instant) -> Rates {
        self.mark(now);
        let (at, before) = self.marks[0];
        let secs = now.since(at).as_secs_f64().max(1.0);
        let Traffic { received, received_bytes, sent, sent_bytes } = self.total.since(before);
        let per_s = |count: u64| (count as f64 / secs).round() as u64;
        Rates {
            total: self.total,
            per_s: Traffic {
                received: per_s(received),
                received_bytes: per_s(received_bytes),
                sent: per_s(sent),
                sent_bytes: per_s(sent_bytes),
            },
        }
    }
}

/// What metrics show of the node, told by its thread and read by others.
#[derive(Debug, Default)]
pub(crate) struct DhtGauges {
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    nodes: [AtomicU64; 2],
    stored_torrents: AtomicU64,
    stored_peers: AtomicU64,
    stored_items: AtomicU64,
    wanted: AtomicU64,
    searches: AtomicU64,
}

impl DhtGauges {
    pub(super) fn show(&self, stats: &Stats, figures: &Figures) {
        let Traffic { received, received_bytes, sent, sent_bytes } = figures.total;
        let [v4, v6] = stats.nodes;
        for (gauge, value) in [
            (&self.received, received),
            (&self.received_bytes, received_bytes),
            (&self.sent, sent),
            (&self.sent_bytes, sent_bytes),
            (&self.nodes[0], v4 as u64),
            (&self.nodes[1], v6 as u64),
            (&self.stored_torrents, stats.torrents as u64),
            (&self.stored_peers, stats.peers as u64),
            (&self.stored_items, stats.items as u64),
            (&self.wanted, stats.wanted as u64),
            (&self.searches, stats.searches as u64),
        ] {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    /// Name, meaning, whether it only grows, and value of each.
    pub(crate) fn metrics(&self) -> [(&'static str, &'static str, bool, u64); 11] {
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        [
            (
                "althing_dht_received_datagrams",
                "Datagrams of the DHT received.",
                true,
                load(&self.received),
            ),
            (
                "althing_dht_received_bytes",
                "Bytes of the DHT received, headers not counted.",
                true,
                load(&self.received_bytes),
            ),
            ("althing_dht_sent_datagrams", "Datagrams of the DHT sent.", true, load(&self.sent)),
            (
                "althing_dht_sent_bytes",
                "Bytes of the DHT sent, headers not counted.",
                true,
                load(&self.sent_bytes),
            ),
            (
                "althing_dht_nodes_v4",
                "Nodes of the DHT that are known over IPv4.",
                false,
                load(&self.nodes[0]),
            ),
            (
                "althing_dht_nodes_v6",
                "Nodes of the DHT that are known over IPv6.",
                false,
                load(&self.nodes[1]),
            ),
            (
                "althing_dht_stored_torrents",
                "Torrents that others announced here.",
                false,
                load(&self.stored_torrents),
            ),
            (
                "althing_dht_stored_peers",
                "Peers of torrents that others announced here.",
                false,
                load(&self.stored_peers),
            ),
            (
                "althing_dht_stored_items",
                "Items that others put here.",
                false,
                load(&self.stored_items),
            ),
            (
                "althing_dht_wanted_torrents",
                "Names of torrents that are looked for in the DHT.",
                false,
                load(&self.wanted),
            ),
            (
                "althing_dht_searches",
                "Searches in the DHT that are under way.",
                false,
                load(&self.searches),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds() {
        let start = Instant::ORIGIN;
        let at = |secs| start + Duration::from_secs(secs);
        let mut figures = Figures::new(start);
        for secs in 0..100 {
            for _ in 0..5 {
                figures.sent(100);
            }
            figures.mark(at(secs));
        }
        let rates = figures.rates(at(100));
        assert_eq!((rates.total.sent, rates.total.sent_bytes), (500, 50_000));
        assert!((4..=6).contains(&rates.per_s.sent), "{rates:?}");
        assert_eq!(figures.rates(at(110)).per_s.received, 0);
        figures.mark(at(120));
        figures.mark(at(130));
        assert_eq!(figures.rates(at(140)).per_s.sent, 0);
    }
}

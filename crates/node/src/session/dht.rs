//! How the DHT's node is, in figures and in words, and single searches in it.

use super::shared::Shared;
use super::{Session, TorrentId};
use crate::config::Reach;
use crate::crawl::{self, CrawlerStatus};
use crate::udp::{DhtRequest, Searched, Status};
use althing_base::Sha1Digest;
use althing_dht::wire::{Item, Mutable};
use althing_dht::{Cost, Goal, NodeId, limits};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

/// Time that a search may take; it goes on by itself after that, and nobody hears of it. Lookups take a
/// second, those among dead nodes some four (guess: with storing after it, twice that and more).
const SEARCH_WITHIN: Duration = Duration::from_secs(20);

/// How it is with the DHT.
#[derive(Clone, PartialEq, Debug)]
pub struct DhtStatus {
    /// Whether there is a node, and if not, why.
    pub running: bool,
    /// In a sentence.
    pub summary: String,
    /// What the user can do, if something is amiss.
    pub advice: Option<String>,
    /// Over IPv4 and over IPv6.
    pub families: Vec<DhtFamily>,
    /// It answers nobody (BEP 43).
    pub read_only: bool,
    /// Names of torrents that are looked for and announced; a hybrid has two.
    pub wanted: usize,
    /// Torrents for which it has named peers in this run, and how many times a peer was named.
    pub found: (usize, u64),
    /// Torrents that others announced here, and peers of those.
    pub stored_torrents: usize,
    /// See above.
    pub stored_peers: usize,
    /// Items that others put here (BEP 44).
    pub stored_items: usize,
    /// Searches under way.
    pub searches: usize,
    /// Questions under way.
    pub questions: usize,
    /// Bytes received since the start, and a second; headers not counted.
    pub received_bytes: (u64, u64),
    /// The same for what was sent.
    pub sent_bytes: (u64, u64),
    /// Datagrams received and sent a second.
    pub datagrams_per_s: (u64, u64),
}

/// One address family of the node.
#[derive(Clone, PartialEq, Debug)]
pub struct DhtFamily {
    /// Whether it is IPv6.
    pub v6: bool,
    /// Our name.
    pub id: NodeId,
    /// Nodes in the table.
    pub nodes: usize,
    /// How many nodes there are, as far as lookups show.
    pub network: Option<f64>,
}

/// How a torrent stands in the DHT, under one of its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhtTorrent {
    /// The name.
    pub info_hash: Sha1Digest,
    /// How long ago it was last searched for.
    pub searched: Option<Duration>,
    /// How many nodes took what was announced then.
    pub told: u8,
    /// Until the next time.
    pub next: Option<Duration>,
    /// How often peers were named.
    pub peers_named: u64,
    /// Who has all of it, as nodes count (BEP 33), if they were asked.
    pub seeds: Option<u32>,
    /// Who fetches it.
    pub leechers: Option<u32>,
}

/// What a search for a torrent has found.
#[derive(Clone, PartialEq, Debug)]
pub struct DhtLookup {
    /// Where its peers listen.
    pub peers: Vec<SocketAddr>,
    /// Who has all of it, as nodes count (BEP 33).
    pub seeds: Option<u32>,
    /// Who fetches it.
    pub leechers: Option<u32>,
    /// What finding the peers took.
    pub cost: Cost,
}

/// Why a search found out nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DhtError {
    /// There is no node.
    #[error("{0}")]
    Off(String),
    /// It knows nobody to ask.
    #[error("the DHT knows no node to ask yet; see `althing net status`")]
    Alone,
    /// It has too much to do, or nobody answers.
    #[error("the DHT did not answer in time; try again")]
    Late,
    /// An item has more bytes than nodes take.
    #[error("an item has at most {max} bytes as bencode, and this one has {bytes}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// What nodes take (BEP 44).
        max: usize,
    },
    /// The signature is not of that key, or over something else.
    #[error("the signature is wrong; it is over salt, seq and v as BEP 44 says")]
    Signature,
    /// Nobody took it.
    #[error("{}", match outdated {
        0 => "no node took the item; try again later".to_owned(),
        n => format!("{n} nodes have a newer item; store one with a higher seq"),
    })]
    NotStored {
        /// How many have something newer.
        outdated: usize,
    },
}

impl Session {
    /// How it is with the DHT.
    pub async fn dht(&self) -> DhtStatus {
        if let Some(why) = self.dht_is_off() {
            let advice = why.1.map(str::to_owned);
            return off(why.0.to_owned(), advice);
        }
        match self.dht_asked(DhtRequest::Status).await {
            Some(status) => self.worded(&status),
            None => off("The DHT's node has ended.".to_owned(), None),
        }
    }

    /// How a torrent stands in the DHT, under each of its names; nothing if it is not looked for there.
    pub async fn dht_torrent(&self, id: TorrentId) -> Vec<DhtTorrent> {
        let Some(entry) = self.shared.torrents.by_id(id) else { return Vec::new() };
        if !self.shared.has_dht() {
            return Vec::new();
        }
        let hashes = entry.snapshot().info_hashes;
        let names: Vec<NodeId> = hashes.short_hashes().map(NodeId::from).collect();
        let figures = self.dht_asked(|reply| DhtRequest::Torrents(names, reply)).await;
        let shown = |one: crate::udp::TorrentFigures| DhtTorrent {
            info_hash: Sha1Digest(one.info_hash.0),
            searched: one.searched.map(|(ago, _)| ago),
            told: one.searched.map_or(0, |(_, told)| told),
            next: one.next,
            peers_named: one.peers_named,
            seeds: one.counted.map(|(seeds, _)| seeds),
            leechers: one.counted.map(|(_, leechers)| leechers),
        };
        figures.unwrap_or_default().into_iter().map(shown).collect()
    }

    /// Who has a torrent, by its info-hash (of a v2 torrent the first 20 bytes).
    ///
    /// # Errors
    /// If there is no node, or nobody to ask.
    pub async fn dht_lookup(&self, info_hash: Sha1Digest) -> Result<DhtLookup, DhtError> {
        let name = NodeId::from(info_hash);
        let (found, counted) =
            tokio::join!(self.dht_search(Goal::Peers(name)), self.dht_search(Goal::Scrape(name)));
        let Searched { peers, cost, .. } = found?;
        let counted = counted.ok().and_then(|found| found.counted);
        let (seeds, leechers) = counted.unzip();
        Ok(DhtLookup { peers, seeds, leechers, cost })
    }

    /// An item that lies under the hash of what it is, and what finding it took (BEP 44).
    ///
    /// # Errors
    /// If there is no node, or nobody to ask.
    pub async fn dht_get(&self, target: NodeId) -> Result<(Option<Item>, Cost), DhtError> {
        let found = self.dht_search(Goal::Immutable(target)).await?;
        Ok((found.item, found.cost))
    }

    /// The newest item under a public key, and what finding it took (BEP 44).
    ///
    /// # Errors
    /// If there is no node, or nobody to ask.
    pub async fn dht_get_mutable(
        &self,
        key: [u8; 32],
        salt: Bytes,
    ) -> Result<(Option<Item>, Cost), DhtError> {
        let found = self.dht_search(Goal::Mutable { key, salt }).await?;
        Ok((found.item, found.cost))
    }

    /// Stores an item (BEP 44), and says on how many nodes. With `cas` only where what is there has
    /// that number.
    ///
    /// # Errors
    /// If it cannot be one, or nobody took it.
    pub async fn dht_put(&self, item: Item, cas: Option<i64>) -> Result<usize, DhtError> {
        put(&self.shared, item, cas).await
    }

    /// Why there is no node, and what to do about it, if there is none.
    fn dht_is_off(&self) -> Option<(&'static str, Option<&'static str>)> {
        is_off(&self.shared)
    }

    async fn dht_asked<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> DhtRequest,
    ) -> Option<T> {
        asked(&self.shared, request).await
    }

    /// What has come of finding out which torrents there are.
    pub async fn crawler(&self) -> CrawlerStatus {
        crawl::status(&self.shared).await
    }

    async fn dht_search(&self, goal: Goal) -> Result<Searched, DhtError> {
        search(&self.shared, goal).await
    }

    fn worded(&self, status: &Status) -> DhtStatus {
        let stats = &status.stats;
        let (summary, advice) = words(status, self.config().network.reach, self.blocked());
        let family = |v6: bool| {
            let at = usize::from(v6);
            let (nodes, network) = (stats.nodes[at], stats.network[at]);
            Some(DhtFamily { v6, id: status.ids[at]?, nodes, network })
        };
        let rates = status.rates;
        DhtStatus {
            running: true,
            summary,
            advice,
            families: [false, true].into_iter().filter_map(family).collect(),
            read_only: status.read_only,
            wanted: stats.wanted,
            found: status.found,
            stored_torrents: stats.torrents,
            stored_peers: stats.peers,
            stored_items: stats.items,
            searches: stats.searches,
            questions: stats.questions,
            received_bytes: (rates.total.received_bytes, rates.per_s.received_bytes),
            sent_bytes: (rates.total.sent_bytes, rates.per_s.sent_bytes),
            datagrams_per_s: (rates.per_s.received, rates.per_s.sent),
        }
    }
}

fn is_off(shared: &Shared) -> Option<(&'static str, Option<&'static str>)> {
    let config = &shared.config;
    if !config.dht.enabled {
        return Some((
            "The DHT is off, as you have set it.",
            Some("set dht.enabled to true to find peers without trackers"),
        ));
    }
    if config.network.proxy.is_set() {
        return Some((
            "The DHT is off: everything goes through a proxy, and it would go past it.",
            Some("nothing, if the proxy is there to hide you; peers come from trackers"),
        ));
    }
    (!shared.has_dht()).then_some(("The DHT is off.", None))
}

async fn asked<T>(
    shared: &Shared,
    request: impl FnOnce(oneshot::Sender<T>) -> DhtRequest,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    shared.ask_dht(request(reply));
    answer.await.ok()
}

/// Searches for something, or puts it.
pub(crate) async fn search(shared: &Shared, goal: Goal) -> Result<Searched, DhtError> {
    if let Some((why, _)) = is_off(shared) {
        return Err(DhtError::Off(why.to_owned()));
    }
    let asking = asked(shared, |reply| DhtRequest::Search(goal, reply));
    match tokio::time::timeout(SEARCH_WITHIN, asking).await {
        Ok(Some(found)) if found.is_nothing() && found.cost.asked == 0 => Err(DhtError::Alone),
        Ok(Some(found)) => Ok(found),
        Ok(None) | Err(_) => Err(DhtError::Late),
    }
}

/// See [`Session::dht_put`].
pub(super) async fn put(shared: &Shared, item: Item, cas: Option<i64>) -> Result<usize, DhtError> {
    let (Item::Immutable { value } | Item::Mutable(Mutable { value, .. })) = &item;
    if value.len() > limits::VALUE_BYTES_MAX {
        return Err(DhtError::TooLong { bytes: value.len(), max: limits::VALUE_BYTES_MAX });
    }
    if !item.is_genuine() {
        return Err(DhtError::Signature);
    }
    let found = search(shared, Goal::Put { item, cas }).await?;
    match found.stored {
        Some((nodes, _)) if nodes > 0 => Ok(nodes),
        stored => Err(DhtError::NotStored { outdated: stored.map_or(0, |(_, old)| old) }),
    }
}

fn off(summary: String, advice: Option<String>) -> DhtStatus {
    DhtStatus {
        running: false,
        summary,
        advice,
        families: Vec::new(),
        read_only: false,
        wanted: 0,
        found: (0, 0),
        stored_torrents: 0,
        stored_peers: 0,
        stored_items: 0,
        searches: 0,
        questions: 0,
        received_bytes: (0, 0),
        sent_bytes: (0, 0),
        datagrams_per_s: (0, 0),
    }
}

/// How it is, in a sentence, and what to do about it.
fn words(status: &Status, reach: Reach, blocked: Option<String>) -> (String, Option<String>) {
    let nodes: usize = status.stats.nodes.iter().sum();
    if nodes > 0 {
        let known = match nodes {
            1 => "The DHT knows 1 node".to_owned(),
            nodes => format!("The DHT knows {nodes} nodes"),
        };
        let largest = status.stats.network.iter().flatten().copied().fold(0.0, f64::max);
        let of = match about(largest) {
            Some(all) => format!(" of about {all}"),
            None => String::new(),
        };
        let wanted = match status.stats.wanted {
            0 => String::new(),
            1 => "; it looks for 1 torrent".to_owned(),
            wanted => format!("; it looks for {wanted} torrents"),
        };
        let silent =
            if status.read_only { ", and answers nobody, for nobody reaches it" } else { "" };
        return (format!("{known}{of}{wanted}{silent}."), None);
    }
    let summary = "The DHT knows nobody yet.".to_owned();
    let advice = match (&status.bootstrap_failed, reach) {
        _ if blocked.is_some() => blocked,
        (_, Reach::Loopback) => Some(
            "network.reach is \"loopback\": name a node on this machine in dht.bootstrap, or connect \
             to a peer that has one"
                .to_owned(),
        ),
        (Some(why), _) => Some(format!(
            "the nodes to begin with cannot be looked up ({why}): look whether this machine has a \
             network and a name server"
        )),
        (None, _) if !status.has_bootstrap => Some(
            "dht.bootstrap is empty: it finds others when a peer with a node is met, or when you name \
             one there"
                .to_owned(),
        ),
        (None, _) => Some(
            "it takes some seconds after the start. If it stays so, a firewall here or in the router \
             may keep UDP from going out"
                .to_owned(),
        ),
    };
    (summary, advice)
}

/// A number as people say it, if it says anything.
fn about(count: f64) -> Option<String> {
    Some(match count {
        _ if count < 1_000.0 => return None,
        _ if count < 1e6 => format!("{:.0} thousand", count / 1e3),
        _ => format!("{:.0} million", count / 1e6),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp::{Rates, Traffic};
    use althing_dht::Stats;

    fn status(nodes: [usize; 2]) -> Status {
        Status {
            ids: [None, None],
            stats: Stats { nodes, wanted: 3, ..Stats::default() },
            read_only: false,
            rates: Rates { total: Traffic::default(), per_s: Traffic::default() },
            found: (0, 0),
            bootstrap_failed: None,
            has_bootstrap: true,
        }
    }

    fn said(status: &Status) -> String {
        let (summary, advice) = words(status, Reach::Any, None);
        assert!(summary.ends_with('.') && !summary.contains("  "), "{summary}");
        format!("{summary} {}", advice.unwrap_or_default())
    }

    #[test]
    fn each_case_says_what_to_do() {
        let mut known = status([300, 12]);
        known.stats.network = [Some(8_400_000.0), None];
        let words = said(&known);
        assert_eq!(words, "The DHT knows 312 nodes of about 8 million; it looks for 3 torrents. ");
        known.read_only = true;
        assert!(said(&known).contains("answers nobody"));
        assert!(said(&status([0, 0])).contains("UDP"));
        let failed = Status { bootstrap_failed: Some("no name".into()), ..status([0, 0]) };
        assert!(said(&failed).contains("(no name)"));
        let alone = Status { has_bootstrap: false, ..status([0, 0]) };
        assert!(said(&alone).contains("dht.bootstrap"));
        let (_, advice) = super::words(&alone, Reach::Loopback, None);
        assert!(advice.is_some_and(|advice| advice.contains("loopback")));
        let (_, advice) = super::words(&alone, Reach::Any, Some("\"wg0\" is down".to_owned()));
        assert!(advice.is_some_and(|advice| advice.contains("wg0")));
    }
}

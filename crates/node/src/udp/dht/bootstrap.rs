//! The nodes to begin with where none is known of any more. Their names are looked up then and not
//! before, by the same way as everything else, and never where nothing beyond this machine may be talked
//! to.

use super::Request;
use crate::config::{NodeName, Reach};
use crate::limits::DHT_NODES_NAMED_MAX;
use crate::net::Way;
use crate::session::shared::Shared;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Weak;
use tracing::debug;

/// See the [module](self).
pub(super) struct Bootstrap {
    nodes: Vec<NodeName>,
    /// Those that torrents name (BEP 5).
    named: VecDeque<NodeName>,
    looking: bool,
    failed: Option<String>,
}

impl Bootstrap {
    pub(super) fn new(nodes: Vec<NodeName>) -> Self {
        Bootstrap { nodes, named: VecDeque::new(), looking: false, failed: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.named.is_empty()
    }

    /// Torrents name nodes.
    pub(super) fn add(&mut self, nodes: Vec<NodeName>) {
        for node in nodes {
            if self.named.contains(&node) || self.nodes.contains(&node) {
                continue;
            }
            if self.named.len() >= DHT_NODES_NAMED_MAX {
                self.named.pop_front();
            }
            self.named.push_back(node);
        }
    }

    /// Why they could not be looked up, the last time.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Looks them up, all at once; [`Request::LookedUp`] says what came of it.
    pub(super) fn look_up(&mut self, shared: &Weak<Shared>) {
        let Some(strong) = shared.upgrade() else { return };
        if self.looking || self.is_empty() || !strong.way.is_open() {
            return;
        }
        self.looking = true;
        let nodes: Vec<_> = self.nodes.iter().chain(&self.named).cloned().collect();
        let (way, shared) = (strong.way.clone(), shared.clone());
        tokio::spawn(async move {
            let looked_up = addresses(&way, &nodes).await;
            let Some(shared) = shared.upgrade() else { return };
            let (addrs, failed) = looked_up;
            shared.ask_dht(Request::LookedUp { addrs, failed });
        });
    }

    /// They have been looked up, or could not be.
    pub(super) fn looked_up(&mut self, failed: Option<String>) {
        self.looking = false;
        self.failed = failed;
    }
}

/// Where nodes are, of all whose names can be looked up; why one could not, if none could.
async fn addresses(way: &Way, nodes: &[NodeName]) -> (Vec<SocketAddr>, Option<String>) {
    let lookups = nodes.iter().filter(|node| may_look_up(way.reach(), node.host())).map(
        async |node| match way.lookup(node.host(), node.port()).await {
            Ok(addrs) => Ok(addrs),
            Err(error) => {
                debug!(%node, %error, "a bootstrap node is not known");
                Err(format!("{node}: {error}"))
            }
        },
    );
    let mut failed = None;
    let mut found = Vec::new();
    for outcome in futures_util::future::join_all(lookups).await {
        match outcome {
            Ok(addrs) => found.extend(addrs),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let failed = failed.filter(|_| found.is_empty());
    (found, failed)
}

/// Whether a host's name may be looked up: a name server may be anywhere.
pub(crate) fn may_look_up(reach: Reach, host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => reach.allows(ip),
        Err(_) => reach == Reach::Any || host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_this_machine_is_looked_up_where_that_is_so_set() {
        for (host, loopback) in [
            ("router.bittorrent.com", false),
            ("192.0.2.1", false),
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
        ] {
            assert!(may_look_up(Reach::Any, host), "{host}");
            assert_eq!(may_look_up(Reach::Loopback, host), loopback, "{host}");
        }
    }

    #[test]
    fn of_those_that_torrents_name_the_last_ones_are_known_each_once() {
        let node = |n: usize| NodeName::of(&format!("node{n}.example"), 6881);
        let mut bootstrap = Bootstrap::new(node(0).into_iter().collect());
        for _ in 0..2 {
            bootstrap.add((0..DHT_NODES_NAMED_MAX + 10).filter_map(node).collect());
        }
        assert_eq!(bootstrap.named.len(), DHT_NODES_NAMED_MAX);
        assert!(bootstrap.named.back() == node(DHT_NODES_NAMED_MAX + 9).as_ref());
        assert!(NodeName::of("2001:db8::1", 1).is_some_and(|node| node.host() == "2001:db8::1"));
        assert_eq!([NodeName::of("a b", 1), NodeName::of("a", 0)], [None, None]);
    }

    #[tokio::test]
    async fn those_that_can_be_found_are_and_a_failure_counts_if_none_can() {
        let way = Way::new(&toml::from_str("bind = ['127.0.0.1']\nreach = 'loopback'").unwrap());
        let nodes: Vec<NodeName> = ["127.0.0.1:5", "router.example:6881", "192.0.2.1:9"]
            .map(|name| name.parse().unwrap())
            .to_vec();
        let (found, failed) = addresses(&way, &nodes).await;
        assert_eq!(found, ["127.0.0.1:5".parse().unwrap()]);
        assert_eq!(failed, None);
        let way = Way::new(&toml::from_str("interface = 'no-such-if'").unwrap());
        let (found, failed) = addresses(&way, &nodes[1..2]).await;
        assert_eq!(found, []);
        assert!(failed.is_some_and(|why| why.contains("router.example")));
    }
}

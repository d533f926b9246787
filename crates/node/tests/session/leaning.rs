//! Two houses that cannot reach each other, and super-peers that both reach: what is in one house is found in the other
//! through a super-peer, and through others when that is gone.
//!
//! The houses are addresses of the loopback that each other's filters keep out. So whatever answer comes from the other
//! house has passed a super-peer, whoever brings it at last: somebody in the same house may be asked first, if a
//! super-peer has told him what can be found there. Who leans on others than his neighbours is asked here, and all in
//! the end.

use crate::dht::until;
use crate::find::options;
use crate::overlay::settings;
use crate::support::{Node, noise, torrent};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{FindOptions, FindState, FindVia};
use althing_overlay::NodeId;
use futures_util::future::{join, join_all};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// Who lives in each house. One super-peer has room for six of all of them as neighbours (four that call, and two that
/// it calls), so somebody is left who can only lean on it.
const RESIDENTS: u8 = 4;

/// Super-peers in the beginning; another one comes later.
const SUPERS: u8 = 2;

/// 127.77.PLACE.0/24 is where they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here = 1,
    There,
    Between,
}

impl Place {
    /// The one that is not reached from here.
    fn out_of_reach(self) -> Option<Place> {
        match self {
            Place::Here => Some(Place::There),
            Place::There => Some(Place::Here),
            Place::Between => None,
        }
    }

    fn ip(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 77, self as u8, last)
    }
}

/// Starts the one of a number, from 1, at a place.
async fn start(folder: &Path, place: Place, number: u8, known: &[SocketAddr]) -> Node {
    let mut config = settings(known);
    config.network.bind = vec![IpAddr::V4(place.ip(number))];
    config.overlay.neighbours = 3;
    config.overlay.super_peer = place == Place::Between;
    // Neither mail nor what stands in documents is looked for.
    config.mail.enabled = false;
    config.search.index = false;
    if let Some(other) = place.out_of_reach() {
        let list = folder.join(format!("{}-{number}", place as u8));
        std::fs::write(&list, format!("{}/24\n", other.ip(0))).expect("a list");
        config.network.ip_filter = list;
        config.network.ip_filter_lan = true;
    }
    Node::with(config).await
}

async fn leaning(node: &Node) -> usize {
    node.session.overlay().await.expect("it takes part").stats.views.leaning
}

fn name(node: &Node) -> NodeId {
    node.session.overlay_node().expect("it takes part")
}

/// Publishes something of this name.
async fn publish(node: &Node, title: &str) {
    let files = vec![("song", noise(7, 1_000))];
    let id = node.seed(&torrent(title, Format::V1, &files), &files).await;
    node.session.overlay_list(id, &[], "").await.expect("it is said");
}

/// Who brings somebody what is published in the other house, if it comes.
async fn brought(node: &Node, words: &str) -> Option<NodeId> {
    let one = FindOptions { wanted: 1, ..options(words, FindVia::Super) };
    let find = node.session.find(one).await.expect("it is begun");
    let by = || find.answers().iter().find_map(|answer| answer.brought_by.first().copied());
    let is_over = || by().is_some() || find.snapshot().state == FindState::Ended;
    until("it is answered, or over", async || is_over().then_some(())).await;
    node.session.stop_finding(find.id());
    by()
}

/// The residents, and what they look for in the other house.
fn residents(houses: &[Vec<Node>; 2]) -> impl Iterator<Item = (&Node, &'static str)> {
    let words = ["songs there", "songs here"];
    houses.iter().zip(words).flat_map(|(house, words)| house.iter().map(move |node| (node, words)))
}

/// Who brings it to somebody who leans on super-peers.
async fn brought_to_a_leaf(houses: &[Vec<Node>; 2]) -> NodeId {
    until("somebody leans on a super-peer and is answered", async || {
        for (node, words) in residents(houses) {
            if leaning(node).await > 0
                && let Some(by) = brought(node, words).await
            {
                return Some(by);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_leaf_finds_through_a_super_peer_and_through_others_when_that_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let mut supers: Vec<Node> = Vec::new();
    for number in 1..=SUPERS {
        let known: Vec<SocketAddr> = supers.iter().map(Node::addr).collect();
        supers.push(start(folder, Place::Between, number, &known).await);
    }
    let known: Vec<SocketAddr> = supers.iter().map(Node::addr).collect();
    let house = |place| {
        let known = &known;
        join_all((1..=RESIDENTS).map(move |number| start(folder, place, number, known)))
    };
    let houses = [house(Place::Here).await, house(Place::There).await];
    join(publish(&houses[0][0], "Songs from here"), publish(&houses[1][0], "Songs from there"))
        .await;

    let by = brought_to_a_leaf(&houses).await;
    let at = supers.iter().position(|node| name(node) == by).unwrap_or(0);
    supers.swap_remove(at).session.shutdown().await;
    brought_to_a_leaf(&houses).await;

    // Somebody who has come only now is leant on when nobody else is left.
    let known: Vec<SocketAddr> = supers.iter().map(Node::addr).collect();
    let late = start(folder, Place::Between, SUPERS + 1, &known).await;
    for house in &houses {
        until("both houses know it", async || {
            let links = late.session.overlay().await.expect("it takes part").links;
            house.iter().any(|node| links.iter().any(|link| link.node == name(node))).then_some(())
        })
        .await;
    }
    let mut leaves = Vec::new();
    for (node, _) in residents(&houses) {
        if leaning(node).await > 0 {
            leaves.push(node);
        }
    }
    join_all(supers.iter().map(|node| node.session.shutdown())).await;
    brought_to_a_leaf(&houses).await;
    for leaf in leaves {
        until("who leant on another is linked with it", async || {
            let links = leaf.session.overlay().await.expect("it takes part").links;
            links.iter().any(|link| link.node == name(&late)).then_some(())
        })
        .await;
    }
    for (node, words) in residents(&houses) {
        until("everybody is answered", async || brought(node, words).await).await;
    }
    let rest = houses.iter().flatten().chain([&late]);
    join_all(rest.map(|node| node.session.shutdown())).await;
}

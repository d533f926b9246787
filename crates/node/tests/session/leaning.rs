//! More sessions than anybody has neighbours: who has something is found through a super-peer, and through another one
//! when that is gone.

use crate::dht::until;
use crate::find::options;
use crate::overlay::settings;
use crate::support::{Node, some_files, torrent};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{FindState, FindVia};
use althing_overlay::NodeId;
use std::net::SocketAddr;

/// Twice as many as a node has neighbours.
const NODES: usize = 18;

/// The last of them index for others.
const SUPERS: usize = 4;

async fn name(node: &Node) -> NodeId {
    node.session.overlay().await.expect("it takes part").node
}

/// Whether a node leans on somebody, and has no link with another.
async fn leans_and_is_apart(node: &Node, from: NodeId) -> bool {
    let overlay = node.session.overlay().await.expect("it takes part");
    overlay.stats.views.leaning > 0 && overlay.links.iter().all(|link| link.node != from)
}

/// Which of some have brought an answer to a search of a node by way of super-peers.
async fn brought_by(node: &Node, words: &str, some: &[NodeId]) -> NodeId {
    until("a super-peer answers", async || {
        let find = node.session.find(options(words, FindVia::Super)).await.expect("it is begun");
        let answers = until("the search ends", async || {
            (find.snapshot().state == FindState::Ended).then(|| find.answers())
        });
        let answers = answers.await;
        let brought = answers.iter().flat_map(|answer| &answer.brought_by);
        brought.copied().find(|who| some.contains(who))
    })
    .await
}

#[tokio::test]
async fn a_leaf_finds_through_a_super_peer_and_through_another_when_that_is_gone() {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..NODES {
        let known: Vec<SocketAddr> = nodes.iter().take(3).map(Node::addr).collect();
        let mut config = settings(&known);
        config.overlay.super_peer = number >= NODES - SUPERS;
        nodes.push(Node::with(config).await);
    }
    let mut supers = nodes.split_off(NODES - SUPERS);
    let mut names = Vec::new();
    for node in &supers {
        names.push(name(node).await);
    }
    // Somebody who leans, and somebody else who is no neighbour of his and leans, too.
    let (leaf, holder) = until("two are apart and lean on others", async || {
        for leaf in 0..nodes.len() {
            for holder in 0..leaf {
                let (one, two) = (name(&nodes[leaf]).await, name(&nodes[holder]).await);
                let is_apart = leans_and_is_apart(&nodes[leaf], two).await
                    && leans_and_is_apart(&nodes[holder], one).await;
                if is_apart {
                    return Some((leaf, holder));
                }
            }
        }
        None
    })
    .await;
    let metainfo = torrent("Ballads of the Coast", Format::V1, &some_files());
    let id = nodes[holder].seed(&metainfo, &some_files()).await;
    nodes[holder].session.overlay_list(id, &[], "").await.expect("it is said");
    while supers.len() > 2 {
        let by = brought_by(&nodes[leaf], "ballads coast", &names).await;
        let at = names.iter().position(|name| *name == by).expect("it is one of them");
        names.swap_remove(at);
        supers.swap_remove(at).session.shutdown().await;
    }
    brought_by(&nodes[leaf], "ballads coast", &names).await;
    for node in nodes.into_iter().chain(supers) {
        node.session.shutdown().await;
    }
}

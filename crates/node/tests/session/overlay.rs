//! Sessions in an overlay, on the loopback.

use crate::dht::until;
use crate::support::{Node, config};
use althing_base::UnixTime;
use althing_node::Config;
use althing_overlay::records::{Body, Draft, Profile, Record, RecordId, Text};
use std::net::SocketAddr;

/// Settings of a session that knows these peers.
pub(crate) fn settings(peers: &[SocketAddr]) -> Config {
    let mut config = config();
    config.overlay.enabled = true;
    config.overlay.peers = peers.to_vec();
    config
}

pub(crate) async fn links_of(node: &Node) -> usize {
    node.session.overlay().await.expect("it takes part").links.len()
}

async fn holds(node: &Node, id: RecordId) -> Option<Record> {
    let records = node.session.overlay_records().await.expect("it takes part");
    records.into_iter().find(|record| record.id() == id)
}

fn profile(name: &str) -> Draft {
    let name = Text::new(name).expect("a name");
    let about = Text::new("somebody").expect("a text");
    Draft::profile(Profile::new(name, about).expect("it has a name"), UnixTime(0), 3_600)
}

/// Three of which the others know the first.
async fn three() -> [Node; 3] {
    let first = Node::with(settings(&[])).await;
    let known = [first.addr()];
    let others = [Node::with(settings(&known)).await, Node::with(settings(&known)).await];
    let [second, third] = others;
    let all = [first, second, third];
    for node in &all {
        until("it has a link", async || (links_of(node).await >= 1).then_some(())).await;
    }
    all
}

#[tokio::test]
async fn what_one_says_all_hear() {
    let nodes = three().await;
    for (at, speaker) in nodes.iter().enumerate() {
        let said = format!("node {at}");
        let record = speaker.session.overlay_publish(profile(&said)).await.expect("it is said");
        assert_eq!(record.author(), speaker.session.overlay().await.expect("it is there").node);
        for node in &nodes {
            let heard = until("it hears of it", async || holds(node, record.id()).await).await;
            let Body::Profile(profile) = heard.body() else { panic!("{heard:?}") };
            assert_eq!(profile.name(), said);
        }
    }
    // The meeting place is in no list.
    assert!(nodes[0].session.list().is_empty());
    for node in nodes {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn what_was_said_is_there_after_a_restart() {
    let node = Node::with(settings(&[])).await;
    let me = node.session.overlay().await.expect("it takes part").node;
    let first = node.session.overlay_publish(profile("first")).await.expect("it is said");
    let second = node.session.overlay_publish(profile("second")).await.expect("it is said");
    let node = node.restart().await;
    assert_eq!(node.session.overlay().await.expect("it takes part").node, me);
    until("it is there again", async || holds(&node, second.id()).await).await;
    assert!(holds(&node, first.id()).await.is_none(), "what was replaced has come back");
    // Somebody who comes later hears of it.
    let other = Node::with(settings(&[node.addr()])).await;
    until("it hears of it", async || holds(&other, second.id()).await).await;
    node.session.shutdown().await;
    other.session.shutdown().await;
}

#[tokio::test]
async fn networks_do_not_mix() {
    let public = Node::with(settings(&[])).await;
    let private = |secret: &str, peers: &[SocketAddr]| {
        let mut config = settings(peers);
        secret.clone_into(&mut config.overlay.secret);
        config
    };
    let first = Node::with(private("correct horse battery staple", &[])).await;
    let known = [public.addr(), first.addr()];
    let second = Node::with(private("correct horse battery staple", &known)).await;
    let stranger = Node::with(private("another network's secret", &known)).await;
    let record = second.session.overlay_publish(profile("a member")).await.expect("it is said");
    until("a member hears of it", async || holds(&first, record.id()).await).await;
    assert_eq!(links_of(&public).await + links_of(&stranger).await, 0);
    for node in [public, first, second, stranger] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn who_takes_no_part_says_so() {
    let node = Node::start().await;
    let error = node.session.overlay().await.expect_err("it takes no part").to_string();
    assert!(error.contains("overlay.enabled"), "{error}");
    assert!(!node.dir.path().join("identity.key").exists());
    node.session.shutdown().await;
}

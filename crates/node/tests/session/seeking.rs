//! Searches that find nothing, that are interrupted, and that some do not answer.

use crate::dht::{nodes_of, until};
use crate::find::{found, options, over, two};
use crate::overlay::{links_of, settings};
use crate::support::{Node, PATIENCE, some_files, torrent};
use althing_bittorrent::metainfo::Format;
use althing_node::config::DhtTerms;
use althing_node::session::{FindOptions, FindState, FindVia};
use std::net::SocketAddr;

/// Messages that the first round of a question may cause, and what may come back of it: further rounds have
/// three times as many and more.
const ONE_ROUND: u64 = 60;

#[tokio::test]
async fn who_asks_everybody_there_is_asks_once() {
    let (first, second) = two(false).await;
    let third = Node::with(settings(&[first.addr(), second.addr()])).await;
    let nodes = [first, second, third];
    for node in &nodes {
        until("all know each other", async || (links_of(node).await >= 2).then_some(())).await;
    }
    for via in [FindVia::Walk, FindVia::Auto] {
        let find = nodes[2].session.find(options("nothing at all", via)).await;
        let find = find.expect("it is begun");
        assert!(over(&find).await.is_empty());
        let cost = find.snapshot().cost;
        assert!(cost.peers == 2 && cost.messages <= ONE_ROUND, "{via:?}: {cost:?}");
    }
    for node in nodes {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn who_has_nobody_to_ask_is_told_so_at_once() {
    let mut config = settings(&[]);
    config.dht.enabled = true;
    config.dht.bootstrap = Vec::new();
    let node = Node::with(config).await;
    for via in [FindVia::Auto, FindVia::Walk, FindVia::Dht, FindVia::Super] {
        let find = node.session.find(options("anything", via)).await.expect("it is begun");
        assert!(over(&find).await.is_empty());
        let cost = find.snapshot().cost;
        assert_eq!((cost.messages, cost.peers), (0, 0), "{via:?}");
    }
    node.session.shutdown().await;
}

#[tokio::test]
async fn who_does_not_answer_is_heard_of_and_says_nothing() {
    let mut config = settings(&[]);
    config.search.answer = false;
    // For its mail it is to be found all the same.
    config.mail.enabled = false;
    let silent = Node::with(config).await;
    let asker = Node::with(settings(&[silent.addr()])).await;
    until("they are linked", async || (links_of(&asker).await >= 1).then_some(())).await;
    let metainfo = torrent("Lectures on Engines", Format::V1, &some_files());
    let id = silent.seed(&metainfo, &some_files()).await;
    silent.session.overlay_list(id, &[], "").await.expect("it is said");
    // What is published everybody holds.
    until("the news has come", async || {
        let find = asker.session.find(options("engines", FindVia::Auto)).await.expect("begun");
        find.answers().first().is_some_and(|answer| answer.here).then_some(())
    })
    .await;
    let find = asker.session.find(options("engines", FindVia::Walk)).await.expect("it is begun");
    let answers = over(&find).await;
    assert!(find.snapshot().cost.peers > 0, "it was asked");
    assert!(answers.iter().all(|answer| answer.here && !answer.network), "{answers:?}");
    let terms = silent.session.overlay().await.expect("it takes part").stats.terms;
    assert_eq!(terms[0], 0, "nobody is told which words are here");
    // The user finds what he has.
    let find = silent.session.find(options("engines", FindVia::Auto)).await.expect("it is begun");
    assert_eq!(over(&find).await.len(), 1);
    asker.session.shutdown().await;
    silent.session.shutdown().await;
}

#[tokio::test]
async fn a_restart_ends_what_is_being_looked_for_and_nothing_else() {
    let (publisher, finder) = two(false).await;
    let metainfo = torrent("Lectures on Engines", Format::V1, &some_files());
    let id = publisher.seed(&metainfo, &some_files()).await;
    publisher.session.overlay_list(id, &[], "").await.expect("it is said");
    found(&finder, "engines", FindVia::Walk).await;

    // Who asks stops while others are being asked.
    let standing = FindOptions { watch: true, ..options("engines of ships", FindVia::Walk) };
    let standing = finder.session.find(standing).await.expect("it is begun");
    let asking = finder.session.find(options("no such thing", FindVia::Walk)).await;
    let asking = asking.expect("it is begun");
    let mut listener = standing.listen();
    finder.session.shutdown().await;
    assert!(over(&asking).await.is_empty());
    let to_the_end = async {
        while let Some((_, snapshot)) = listener.next().await {
            if snapshot.state == FindState::Ended {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, to_the_end).await.expect("who listens hears of the end");
    drop((standing, asking, listener));
    let finder = finder.start_again_with(settings(&[publisher.addr()])).await;
    assert!(finder.session.found(None).is_none(), "searches are not kept");
    found(&finder, "engines", FindVia::Walk).await;

    // Who is asked goes away in the middle of a question, and comes back.
    let asking = finder.session.find(options("no such thing", FindVia::Walk)).await;
    let asking = asking.expect("it is begun");
    let publisher = publisher.restart().await;
    assert!(over(&asking).await.is_empty());
    finder.session.shutdown().await;
    let finder = finder.start_again_with(settings(&[publisher.addr()])).await;
    found(&finder, "engines", FindVia::Walk).await;
    finder.session.shutdown().await;
    publisher.session.shutdown().await;
}

#[tokio::test]
async fn a_network_that_goes_in_the_middle_ends_a_search_with_what_it_has() {
    let (publisher, finder) = two(false).await;
    let other = Node::with(settings(&[publisher.addr(), finder.addr()])).await;
    until("all know each other", async || (links_of(&finder).await >= 2).then_some(())).await;
    let metainfo = torrent("Lectures on Engines", Format::V1, &some_files());
    let id = publisher.seed(&metainfo, &some_files()).await;
    publisher.session.overlay_list(id, &[], "").await.expect("it is said");

    // More is wanted than there is, so it is still asked for when the first answer has come.
    let find = until("an answer comes while others are asked", async || {
        let find = finder.session.find(options("engines", FindVia::Walk)).await;
        let find = find.expect("it is begun");
        let state = || find.snapshot().state;
        let has_come = || find.answers().iter().any(|answer| answer.network);
        let came = async || (has_come() || state() == FindState::Ended).then_some(());
        until("it is answered, or over", came).await;
        (has_come() && state() == FindState::Asking).then_some(find)
    })
    .await;
    let mut listener = find.listen();
    tokio::join!(publisher.session.shutdown(), other.session.shutdown());
    let answers = over(&find).await;
    assert!(answers.iter().any(|answer| answer.network), "{answers:?}");
    let mut last = None;
    while last != Some(FindState::Ended) {
        let next = tokio::time::timeout(PATIENCE, listener.next()).await;
        last = Some(next.expect("it is told").expect("until the end").1.state);
    }

    until("everybody is gone", async || (links_of(&finder).await == 0).then_some(())).await;
    let find = finder.session.find(options("engines", FindVia::Walk)).await.expect("it is begun");
    let answers = over(&find).await;
    assert!(answers.iter().all(|answer| answer.here && !answer.network), "{answers:?}");
    assert_eq!(find.snapshot().cost.messages, 0, "nobody is asked");

    // They come back, wherever they are now.
    let known = settings(&[finder.addr()]);
    let publisher = publisher.start_again_with(known.clone()).await;
    let other = other.start_again_with(known).await;
    found(&finder, "engines", FindVia::Walk).await;
    for node in [publisher, other, finder] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn in_a_groups_own_dht_any_word_leads_to_who_has_it() {
    let config = |known: &[SocketAddr]| {
        let mut config = settings(known);
        config.dht = crate::dht::settings(known).dht;
        config.search.dht_terms = DhtTerms::All;
        config
    };
    let first = Node::with(config(&[])).await;
    let publisher = Node::with(config(&[first.addr()])).await;
    let finder = Node::with(config(&[first.addr()])).await;
    for node in [&first, &publisher, &finder] {
        until("they know each other", async || (nodes_of(node).await >= 2).then_some(())).await;
        until("they are linked", async || (links_of(node).await >= 1).then_some(())).await;
    }
    for title in ["Lectures on Engines", "Lectures on Sails"] {
        let metainfo = torrent(title, Format::V1, &some_files());
        let id = publisher.seed(&metainfo, &some_files()).await;
        publisher.session.overlay_list(id, &[], "").await.expect("it is said");
    }
    // Words that two listings have are announced, too, and what is said later does not wait for long.
    for words in ["lectures", "engines", "sails"] {
        let (find, answer) = found(&finder, words, FindVia::Dht).await;
        assert!(answer.name.starts_with("Lectures"), "{answer:?}");
        assert!(find.snapshot().cost.messages > 0);
    }
    for node in [first, publisher, finder] {
        node.session.shutdown().await;
    }
}

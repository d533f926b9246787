//! Sessions that find by words what others have published, on the loopback.

use crate::dht::until;
use crate::overlay::{links_of, settings};
use crate::support::{Node, assert_files, some_files, torrent};
use althing_bittorrent::metainfo::Format;
use althing_node::session::{
    AddOptions, AddSource, Answer, Find, FindError, FindKind, FindOptions, FindState, FindVia,
};
use std::sync::Arc;

pub(crate) fn options(words: &str, via: FindVia) -> FindOptions {
    FindOptions { words: words.to_owned(), via, kind: FindKind::Any, wanted: 5, watch: false }
}

/// Waits until a search is over.
pub(crate) async fn over(find: &Arc<Find>) -> Vec<Answer> {
    until("the search ends", async || {
        (find.snapshot().state == FindState::Ended).then(|| find.answers())
    })
    .await
}

/// Searches until somebody else answers: indexes are told now and then.
pub(crate) async fn found(node: &Node, words: &str, via: FindVia) -> (Arc<Find>, Answer) {
    until("somebody answers", async || {
        let find = node.session.find(options(words, via)).await.expect("it is begun");
        let answers = over(&find).await;
        let answer = answers.into_iter().find(|answer| answer.network)?;
        Some((find, answer))
    })
    .await
}

/// Two of which the second knows the first.
pub(crate) async fn two(is_super: bool) -> (Node, Node) {
    let mut config = settings(&[]);
    config.overlay.super_peer = is_super;
    let first = Node::with(config).await;
    let second = Node::with(settings(&[first.addr()])).await;
    until("they are linked", async || (links_of(&second).await >= 1).then_some(())).await;
    (first, second)
}

#[tokio::test]
async fn what_one_publishes_another_finds_and_fetches() {
    let (publisher, finder) = two(false).await;
    let metainfo = torrent("Lectures on Engines", Format::Hybrid, &some_files());
    let id = publisher.seed(&metainfo, &some_files()).await;
    let tags = ["winter".to_owned()];
    publisher.session.overlay_list(id, &tags, "about steam").await.expect("it is said");

    let (find, answer) = found(&finder, "steam LECTURES winter", FindVia::Walk).await;
    assert_eq!((answer.number, answer.name.as_str()), (1, "Lectures on Engines"));
    assert_eq!(answer.authors, [publisher.session.overlay().await.expect("it is there").node]);
    assert!(find.snapshot().cost.messages > 0);
    assert_eq!(find.answer(1).as_ref(), Some(&answer));
    assert_eq!(finder.session.found(None).expect("it is kept").id(), find.id());

    // What is known here costs nothing.
    until("the news has come", async || {
        let find = finder.session.find(options("engines", FindVia::Auto)).await.expect("begun");
        find.answers().first().is_some_and(|answer| answer.here).then_some(())
    })
    .await;
    let one = FindOptions { wanted: 1, ..options("engines", FindVia::Auto) };
    let find = finder.session.find(one).await.expect("it is begun");
    assert_eq!(over(&find).await.len(), 1);
    assert_eq!(find.snapshot().cost.messages, 0);
    let find = finder.session.find(options("engines nobody has", FindVia::Auto)).await;
    assert!(over(&find.expect("it is begun")).await.is_empty());

    let source = AddSource::Magnet(answer.magnet());
    let fetched = finder.session.add(source, AddOptions::default()).await.expect("it is added");
    finder.complete(fetched).await;
    assert_files(&finder.downloads().join("Lectures on Engines"), &some_files());

    // It is offered after a restart, and not when the torrent is gone.
    let publisher = publisher.restart().await;
    finder.session.shutdown().await;
    let finder = finder.start_again_with(settings(&[publisher.addr()])).await;
    found(&finder, "steam", FindVia::Walk).await;
    publisher.session.remove(id, false).await.expect("it is there");
    until("it is taken back", async || {
        let find = finder.session.find(options("steam", FindVia::Walk)).await.expect("begun");
        over(&find).await.is_empty().then_some(())
    })
    .await;
    publisher.session.shutdown().await;
    finder.session.shutdown().await;
}

#[tokio::test]
async fn a_super_peer_answers_for_its_leaves() {
    let (first, publisher) = two(true).await;
    let finder = Node::with(settings(&[first.addr()])).await;
    let metainfo = torrent("Letters from the North", Format::V1, &some_files());
    let id = publisher.seed(&metainfo, &some_files()).await;
    publisher.session.overlay_list(id, &[], "").await.expect("it is said");
    let (_, answer) = found(&finder, "letters north", FindVia::Super).await;
    assert_eq!(answer.name, "Letters from the North");
    assert!(first.session.overlay().await.expect("it takes part").super_peer);
    for node in [first, publisher, finder] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn a_standing_search_reports_what_comes() {
    let (publisher, finder) = two(false).await;
    let standing = FindOptions { watch: true, ..options("engines", FindVia::Auto) };
    let find = finder.session.find(standing).await.expect("it is begun");
    until("it stands", async || (find.snapshot().state == FindState::Watching).then_some(())).await;
    let mut listener = find.listen();
    assert!(listener.next().await.expect("it stands").0.is_empty());
    let metainfo = torrent("More Engines", Format::V1, &some_files());
    let id = publisher.seed(&metainfo, &some_files()).await;
    publisher.session.overlay_list(id, &[], "").await.expect("it is said");
    let (news, snapshot) = listener.next().await.expect("it stands");
    assert_eq!((news[0].name.as_str(), snapshot.state), ("More Engines", FindState::Watching));
    assert!(finder.session.stop_finding(find.id()));
    assert_eq!(listener.next().await.expect("the end").1.state, FindState::Ended);
    assert!(listener.next().await.is_none());
    // A private torrent is nobody's business.
    let error = publisher.session.may_publish(true).expect_err("it is private").to_string();
    assert!(error.contains("private"), "{error}");
    publisher.session.shutdown().await;
    finder.session.shutdown().await;
    let error = finder.session.find(options("engines", FindVia::Walk)).await;
    assert!(matches!(error, Err(FindError::Overlay(_))), "a stopped session finds nothing");
}

#[tokio::test]
async fn who_takes_no_part_finds_nothing_and_is_told_why() {
    let node = Node::start().await;
    let error = node.session.find(options("engines", FindVia::Auto)).await;
    assert!(matches!(error, Err(FindError::Overlay(_))));
    node.session.shutdown().await;
}

//! What is blocked: own entries, and lists of others that are followed.

use crate::dht::until;
use crate::overlay::settings;
use crate::support::{Node, some_files, torrent};
use althing_bittorrent::metainfo::{Format, Magnet, Metainfo};
use althing_node::blocks::{Follow, ListName};
use althing_node::session::{
    AddError, AddOptions, AddSource, Event, FindKind, FindOptions, FindVia, TorrentState, list_name,
};
use althing_overlay::blocks::Entry;
use althing_overlay::records::Text;

fn word(text: &str) -> Entry {
    Entry::words(text).expect("words")
}

fn name() -> ListName {
    list_name("spam").expect("a name")
}

/// Names of what a session shows of what others have: of what is here already, and when it looks for it.
async fn shown(node: &Node) -> Vec<String> {
    let known = node.session.listings("holiday", 10).await.expect("it takes part");
    let mut known: Vec<_> = known.iter().map(|known| known.listing.name().to_owned()).collect();
    known.sort();
    let options = FindOptions {
        words: "holiday".to_owned(),
        via: FindVia::Auto,
        kind: FindKind::Files,
        wanted: 2,
        watch: false,
    };
    let find = node.session.find(options).await.expect("it takes part");
    let mut found: Vec<_> = find.answers().iter().map(|answer| answer.name.clone()).collect();
    node.session.stop_finding(find.id());
    found.sort();
    // Something may have come in between.
    if found == known { known } else { Vec::new() }
}

async fn shows(node: &Node, count: usize) -> Option<()> {
    (shown(node).await.len() == count).then_some(())
}

#[tokio::test]
async fn a_list_blocks_for_who_follows_it_and_for_nobody_else() {
    let first = Node::with(settings(&[])).await;
    let known = [first.addr()];
    let (follower, other) =
        (Node::with(settings(&known)).await, Node::with(settings(&known)).await);
    let files = some_files();
    for name in ["holiday in Rome", "holiday scam"] {
        let id = first.seed(&torrent(name, Format::V1, &files), &files).await;
        first.session.overlay_list(id, &[], "").await.expect("it is said");
    }
    for node in [&follower, &other] {
        until("both have come", async || shows(node, 2).await).await;
    }
    let reason = Text::new("not a holiday").expect("a text");
    first.session.block(word("Scam"), reason).expect("it is written");
    assert_eq!(first.session.publish_blocks(&name()).await, Ok(1));
    let author = first.session.overlay().await.expect("it takes part").node;
    // A list that nobody follows changes nothing.
    let published = async || {
        let lists = follower.session.block_lists().await.expect("it takes part");
        lists.into_iter().find(|list| list.author == author)
    };
    let list = until("the list has come", published).await;
    assert_eq!((list.name.as_str(), list.entries, list.followed), ("spam", 1, false));
    assert_eq!(shown(&follower).await.len(), 2);
    let follow = Follow { author, list: Some(name()) };
    assert_eq!(follower.session.subscribe_blocks(follow.clone()).await, Ok(true));
    assert_eq!(shown(&follower).await, ["holiday in Rome"]);
    assert_eq!(shown(&other).await.len(), 2);
    // It counts after a restart, and what is passed on is all of it.
    let follower = follower.restart().await;
    until("one is shown", async || shows(&follower, 1).await).await;
    let held = follower.session.overlay_records().await.expect("it takes part").len();
    assert!(held >= 3, "{held} records are held");
    let late = Node::with(settings(&[follower.addr()])).await;
    until("who comes later hears of both", async || shows(&late, 2).await).await;
    // What is put on the list later counts, too, and what is taken from it no longer.
    first.session.block(word("rome"), Text::default()).expect("it is written");
    first.session.unblock(&word("scam")).expect("it is written");
    first.session.publish_blocks(&name()).await.expect("it is said");
    until("the other one is shown", async || {
        (shown(&follower).await == ["holiday scam"]).then_some(())
    })
    .await;
    assert_eq!(follower.session.unsubscribe_blocks(&follow).await, Ok(true));
    assert_eq!(shown(&follower).await.len(), 2);
    for node in [first, follower, other, late] {
        node.session.shutdown().await;
    }
}

fn magnet(metainfo: &Metainfo) -> Magnet {
    let hash = metainfo.info_hashes().v1().expect("it has one");
    Magnet::from_info_hash(&hash.to_string()).expect("a hash")
}

#[tokio::test]
async fn what_is_blocked_is_not_fetched_unless_it_is_wanted_anyway() {
    let files = some_files();
    let metainfo = torrent("cheap pills", Format::V1, &files);
    let (seeder, node) = (Node::start().await, Node::start().await);
    seeder.seed(&metainfo, &files).await;
    let reason = Text::new("spam").expect("a text");
    node.session.block(word("cheap pills"), reason).expect("it is written");
    let source = AddSource::Torrent(metainfo.to_torrent());
    let refused = node.session.add(source.clone(), AddOptions::default()).await;
    let Err(AddError::Blocked { name, why }) = refused else { panic!("{refused:?}") };
    assert!(name == "cheap pills" && why.contains("(spam)"), "{name}: {why}");
    // A link without a name: what it is turns out later.
    let mut events = node.session.subscribe();
    let with_peer = || AddOptions { peers: vec![seeder.addr()], ..AddOptions::default() };
    let id = node.session.add(AddSource::Magnet(magnet(&metainfo)), with_peer()).await;
    let id = id.expect("nobody knows what it is");
    loop {
        match events.recv().await.expect("the session runs") {
            Event::Note { id: Some(noted), sentence } if noted == id => {
                assert!(sentence.contains("blocked"), "{sentence}");
                break;
            }
            _ => {}
        }
    }
    let rests = node.until(id, |torrent| torrent.state == TorrentState::Paused).await;
    assert_eq!((rests.name.as_str(), node.downloaded(id).await), ("cheap pills", 0));
    // The user's word goes before any list.
    node.session.remove(id, true).await.expect("it is there");
    let anyway = AddOptions { anyway: true, ..with_peer() };
    let id = node.session.add(AddSource::Magnet(magnet(&metainfo)), anyway).await;
    node.complete(id.expect("it is wanted")).await;
    for node in [seeder, node] {
        node.session.shutdown().await;
    }
}

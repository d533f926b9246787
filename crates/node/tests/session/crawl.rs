//! A session that finds out which torrents others have in a DHT of their own, on the loopback.

use crate::dht::{nodes_of, until};
use crate::find::found;
use crate::support::{Node, gauge, some_files, torrent};
use althing_bittorrent::metainfo::Format;
use althing_index::{Query, Source};
use althing_node::Config;
use althing_node::config::DhtTerms;
use althing_node::session::{AddOptions, FindVia};
use althing_overlay::blocks::Entry;
use althing_overlay::records::Text;
use std::net::SocketAddr;

/// Settings of a session that begins with these nodes, of a DHT that is a group's own: what is announced stands
/// there at once.
fn settings(nodes: &[SocketAddr]) -> Config {
    let mut config = crate::dht::settings(nodes);
    config.search.dht_terms = DhtTerms::All;
    config
}

#[tokio::test]
async fn names_are_found_out_and_nothing_is_announced_or_fetched() {
    let files = some_files();
    let first = Node::with(settings(&[])).await;
    let begin = [first.addr()];
    let second = Node::with(settings(&begin)).await;
    let third = Node::with(settings(&begin)).await;
    let mut config = settings(&begin);
    config.crawler.enabled = true;
    config.crawler.questions_per_s = 10;
    config.crawler.written_after_s = 1;
    // There is an index with the overlay.
    config.overlay.enabled = true;
    let others = [&first, &second, &third];
    for node in others {
        until("they know each other", async || (nodes_of(node).await >= 2).then_some(())).await;
    }
    let wanted = torrent("an open lecture", Format::V1, &files);
    let newer = torrent("a newer lecture", Format::V2, &files);
    let blocked = torrent("cheap pills", Format::V1, &files);
    for metainfo in [&wanted, &newer, &blocked] {
        let id = first.seed(metainfo, &files).await;
        until("it is announced", async || {
            let names = first.session.dht_torrent(id).await;
            names.iter().any(|name| name.told >= 2).then_some(())
        })
        .await;
    }
    let crawler = Node::with(config).await;
    let entry = Entry::words("pills").expect("a word");
    crawler.session.block(entry, Text::default()).expect("it is written");
    let named = async || {
        let status = crawler.session.crawler().await;
        (status.named >= 2 && status.left_out >= 1).then_some(status)
    };
    let status = until("the names are found out", named).await;
    assert!(status.enabled && status.crawl.asked >= 2, "{status:?}");
    let mut names: Vec<_> = status.latest.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a newer lecture", "an open lecture"]);
    let size: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert!(status.latest.iter().all(|one| one.size == size), "{status:?}");
    // They are found by their words from now on.
    let find = async |words: &str| {
        let query = Query::new(words).among(&[Source::Crawled]);
        crawler.session.search_index(query).await.expect("there is an index").hits
    };
    let lectures = async || (find("lecture").await.len() == 2).then_some(());
    until("they are in the index", lectures).await;
    assert!(find("pills").await.is_empty());
    let hit = find("newer lecture").await.remove(0);
    assert_eq!((hit.size, hit.hash.v2()), (size, newer.info_hashes().v2()));
    // Others hear of them when they ask, and that it only knows of them.
    let asker = Node::with(crate::overlay::settings(&[crawler.addr()])).await;
    let (_, answer) = found(&asker, "newer lecture", FindVia::Walk).await;
    assert_eq!((answer.size_bytes, answer.info_hashes.v2()), (size, newer.info_hashes().v2()));
    assert_eq!(answer.tags, ["crawled"]);
    asker.session.shutdown().await;
    // Nobody hears that it has them or wants them, and nothing of them has come.
    for node in others {
        for metainfo in [&wanted, &newer, &blocked] {
            let hash = metainfo.info_hashes().primary();
            let peers = node.session.dht_lookup(hash).await.expect("there are nodes").peers;
            assert!(!peers.contains(&crawler.addr()), "{peers:?}");
        }
    }
    assert!(crawler.session.list().is_empty());
    assert_eq!(gauge(&first, "althing_payload_sent_bytes"), 0);
    for node in [first, second, third, crawler] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn it_is_off_unless_it_is_wanted() {
    let node = Node::with(settings(&[])).await;
    let status = node.session.crawler().await;
    assert!(!status.enabled && status.crawl.asked == 0);
    let metainfo = torrent("something", Format::V1, &some_files());
    node.add(&metainfo, AddOptions { paused: true, ..AddOptions::default() }).await;
    assert!(!node.session.crawler().await.enabled);
    node.session.shutdown().await;
}

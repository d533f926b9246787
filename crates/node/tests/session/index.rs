//! The local index of sessions in an overlay, on the loopback.

use crate::dht::until;
use crate::faults::SmallDisk;
use crate::support::{Files, Node, config, torrent};
use althing_bittorrent::metainfo::Format;
use althing_index::{IndexHit, Query, Source};
use althing_node::session::{FindKind, FindOptions, FindVia, TorrentId};
use althing_node::{Config, Session};
use std::net::SocketAddr;

/// Settings of a session that knows these peers.
fn settings(peers: &[SocketAddr]) -> Config {
    let mut config = config();
    config.overlay.enabled = true;
    config.overlay.peers = peers.to_vec();
    config
}

/// Has these files, and has told others that it has them.
async fn publish(node: &Node, name: &str, files: &Files) -> TorrentId {
    let id = node.seed(&torrent(name, Format::Hybrid, files), files).await;
    node.session
        .overlay_list(id, &["tagged".to_owned()], "a description")
        .await
        .expect("it is said");
    id
}

/// What a question finds, once it finds so many.
async fn found(node: &Node, question: &str, count: usize) -> Vec<IndexHit> {
    let what = format!("{count} answers to {question}");
    until(&what, async || {
        let found =
            node.session.search_index(Query::new(question)).await.expect("there is an index");
        (found.hits.len() == count).then_some(found.hits)
    })
    .await
}

#[tokio::test]
async fn what_is_published_is_found_until_it_is_gone() {
    let ours = Node::with(settings(&[])).await;
    let theirs = Node::with(settings(&[ours.addr()])).await;
    let files: Files = vec![("one.bin", crate::support::noise(1, 50_000))];
    let id = publish(&theirs, "Atlas of migrating birds", &files).await;
    let me = theirs.session.overlay().await.expect("it takes part").node;
    for (node, source) in [(&ours, Source::Shelf), (&theirs, Source::Own)] {
        let hit = found(node, "BIRDS atlas tagged", 1).await.remove(0);
        assert_eq!((hit.source, hit.authors), (source, vec![me]));
        assert_eq!((hit.size, hit.files), (50_000, 1));
    }
    // After a restart, and without what is no longer said.
    let theirs = theirs.restart().await;
    found(&theirs, "birds", 1).await;
    theirs.session.remove(id, false).await.expect("it is removed");
    found(&theirs, "birds", 0).await;
    found(&ours, "birds", 0).await;
    until("it is no longer counted", async || {
        let status = ours.session.index().expect("there is an index");
        assert_eq!(status.trouble, None);
        (status.stats.own + status.stats.shelf == 0).then_some(())
    })
    .await;
    for node in [ours, theirs] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn an_index_that_is_lost_is_made_anew() {
    let node = Node::with(settings(&[])).await;
    let files: Files = vec![("one.bin", crate::support::noise(1, 50_000))];
    publish(&node, "Atlas of migrating birds", &files).await;
    found(&node, "birds", 1).await;
    node.session.shutdown().await;
    std::fs::remove_dir_all(node.dir.path().join("index")).expect("it was there");
    let node = node.start_again().await;
    found(&node, "birds", 1).await;
    node.session.shutdown().await;
}

#[tokio::test]
async fn who_wants_none_has_none() {
    let mut without = settings(&[]);
    without.search.index = false;
    for config in [config(), without] {
        let node = Node::with(config).await;
        assert!(node.session.index().is_none());
        let error = node.session.search_index(Query::new("birds")).await.unwrap_err().to_string();
        assert!(error.contains("search.index"), "{error}");
        assert!(!node.dir.path().join("index").exists());
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn documents_that_are_published_are_found_by_what_they_say() {
    let node = Node::with(settings(&[])).await;
    let files: Files = vec![
        ("notes/log.md", b"# The log\n\nThe carpenter sang of *silver anchors*.".to_vec()),
        ("page.html", b"<title>Storms</title><p>Barnacles grow on the rudder.".to_vec()),
        ("broken.pdf", b"%PDF-1.4 and nothing".to_vec()),
        ("picture.jpg", b"silver anchors".to_vec()),
    ];
    let id = publish(&node, "Shelf of a harbour", &files).await;
    let hit = found(&node, "silver anchors carpenter", 1).await.remove(0);
    let page = hit.page.expect("it is a document");
    assert_eq!((page.path.as_str(), page.title.as_str()), ("notes/log.md", "The log"));
    assert!(page.snippet.contains("carpenter sang of silver anchors"), "{}", page.snippet);
    let hit = found(&node, "barnacles storms", 1).await.remove(0);
    assert_eq!(hit.page.expect("it is a document").path, "page.html");
    until("all are read", async || {
        let status = node.session.index().expect("there is an index");
        (status.stats.passages == 3 && status.documents_waiting == 0).then_some(())
    })
    .await;
    // They are not read again after a restart, and are gone with the torrent.
    let node = node.restart().await;
    found(&node, "barnacles", 1).await;
    node.session.remove(id, false).await.expect("it is removed");
    found(&node, "barnacles", 0).await;
    // Who wants none has none.
    let mut without = settings(&[]);
    without.search.documents = false;
    let node = node.start_again_with(without).await;
    publish(&node, "Shelf of a harbour", &files).await;
    found(&node, "harbour", 1).await;
    assert_eq!(node.session.index().expect("there is one").stats.passages, 0);
    node.session.shutdown().await;
}

#[tokio::test]
async fn others_find_what_documents_say() {
    let asks = Node::with(settings(&[])).await;
    let has = Node::with(settings(&[asks.addr()])).await;
    let files: Files = vec![
        ("book.epub", include_bytes!("documents/book.epub").to_vec()),
        ("paper.pdf", include_bytes!("documents/paper.pdf").to_vec()),
        ("notes/log.md", b"# The log\n\nNobody forgets the *monsoon* of that year.".to_vec()),
    ];
    publish(&has, "Shelf of a harbour", &files).await;
    for (words, path, sentence) in [
        (
            "lighthouse keeper counted swallows",
            "book.epub",
            "The lighthouse keeper counted swallows.",
        ),
        ("carpenter sang anchors", "paper.pdf", "The carpenter sang of silver anchors."),
        ("monsoon forgets", "notes/log.md", "Nobody forgets the monsoon of that year."),
    ] {
        found(&has, words, 1).await;
        let what = format!("{words} are found by the other");
        let page = until(&what, async || {
            let options = FindOptions {
                words: words.to_owned(),
                kind: FindKind::Pages,
                via: FindVia::Auto,
                wanted: 5,
                watch: false,
            };
            let find = asks.session.find(options).await.expect("it looks");
            let mut listener = find.listen();
            while listener.next().await.is_some() {}
            let answers = find.answers();
            answers.into_iter().find_map(|answer| answer.pages.into_iter().next())
        })
        .await;
        assert_eq!(page.path, path);
        // Where a PDF ends its lines is for its reader to say.
        let snippet = page.snippet.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(snippet.contains(sentence), "{snippet}");
    }
    for node in [asks, has] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn a_full_disk_is_told_of_and_what_is_lost_comes_back() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = dir.path().join("index");
    let Some(_disk) = SmallDisk::mount(&folder, 16) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    // Else the folder, which is a disk now, would be made anew.
    std::fs::write(folder.join("format"), "1\n").expect("there is room");
    let session = Session::start(settings(&[]), dir.path()).await.expect("it starts");
    let node = Node::around(session, dir);
    let files: Files = vec![("one.bin", crate::support::noise(1, 50_000))];
    publish(&node, "Atlas of migrating birds", &files).await;
    found(&node, "birds", 1).await;
    let filler = node.dir.path().join("index/filler");
    crate::overlay::fill(&filler);
    publish(&node, "Atlas of migrating fish", &files).await;
    let trouble = until("it says what is wrong", async || {
        node.session.index().expect("there is one").trouble
    })
    .await;
    assert!(trouble.contains("no room left"), "{trouble}");
    // What was written before can be found, and others hear of what was not.
    found(&node, "birds", 1).await;
    assert_eq!(node.session.overlay_records().await.expect("it takes part").len(), 2);
    std::fs::remove_file(&filler).expect("it is there");
    publish(&node, "Atlas of migrating deer", &files).await;
    found(&node, "deer", 1).await;
    until("nothing is wrong any more", async || {
        node.session.index().expect("there is one").trouble.is_none().then_some(())
    })
    .await;
    node.session.shutdown().await;
    let node = node.start_again_with(settings(&[])).await;
    for words in ["birds", "fish", "deer"] {
        found(&node, words, 1).await;
    }
    node.session.shutdown().await;
}

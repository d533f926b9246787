//! Sessions in an overlay, on the loopback.

use crate::dht::until;
use crate::faults::SmallDisk;
use crate::support::{Node, config};
use althing_base::UnixTime;
use althing_node::session::{Event, RecordsQuery};
use althing_node::{Config, Session};
use althing_overlay::blocks::Entry;
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

/// The same of many words.
fn long(name: &str) -> Draft {
    let (name, about) = (Text::new(name).expect("a name"), "words ".repeat(340));
    let about = Text::new(&about).expect("a text");
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

#[tokio::test]
async fn a_full_disk_keeps_nothing_from_others_and_is_told_of() {
    let first = Node::with(settings(&[])).await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let Some(_disk) = SmallDisk::mount(&dir.path().join("overlay"), DISK_MIB) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let config = settings(&[first.addr()]);
    let session = Session::start(config.clone(), dir.path()).await.expect("it starts");
    let second = Node::around(session, dir);
    until("it has a link", async || (links_of(&second).await >= 1).then_some(())).await;
    let kept = second.session.overlay_publish(profile("before")).await.expect("there is room");

    let filler = second.dir.path().join("overlay/filler");
    fill(&filler);
    // A little fits what is there already.
    let events = second.session.subscribe();
    let mut error = None;
    for number in 0..20 {
        let published = second.session.overlay_publish(long(&format!("now {number}"))).await;
        error = published.err();
        if error.is_some() {
            break;
        }
    }
    let error = error.expect("it is full").to_string();
    assert!(error.contains("room"), "{error}");
    let is_told = |event: &Event| match event {
        Event::Note { sentence, .. } => sentence.contains("not written down"),
        _ => false,
    };
    second.event(events, is_told).await;
    // It is known all the same, and so is what others say: only a restart would forget it.
    let said = first.session.overlay_publish(profile("the other")).await.expect("it has room");
    until("the other is heard", async || holds(&second, said.id()).await).await;
    let listing = async || second.session.overlay_records().await.expect("it takes part").len();
    assert_eq!(listing().await, 2);

    std::fs::remove_file(&filler).expect("it is there");
    until("there is room again", async || {
        second.session.overlay_publish(profile("after")).await.ok()
    })
    .await;
    second.session.shutdown().await;
    let second = second.start_again_with(config).await;
    assert!(holds(&second, kept.id()).await.is_none(), "it was replaced");
    until("what was heard meanwhile is there", async || holds(&second, said.id()).await).await;
    let me = second.session.overlay_node().expect("it takes part");
    let records = second.session.overlay_records().await.expect("it takes part");
    let own = records.iter().find(|record| record.author() == me).expect("it was said");
    assert!(matches!(own.body(), Body::Profile(profile) if profile.name() == "after"));
    first.session.shutdown().await;
    second.session.shutdown().await;
}

#[tokio::test]
async fn who_watches_hears_of_new_records_and_pages_have_them() {
    let first = Node::with(settings(&[])).await;
    let second = Node::with(settings(&[first.addr()])).await;
    until("it has a link", async || (links_of(&second).await >= 1).then_some(())).await;
    for (speaker, listener) in [(&first, &second), (&second, &second)] {
        let events = listener.session.subscribe();
        let record = speaker.session.overlay_publish(profile("news")).await.expect("it is said");
        let is_it = |event: &Event| match event {
            Event::Records { count, records } => *count > 0 && records.contains(&record),
            _ => false,
        };
        listener.event(events, is_it).await;
    }
    let query = RecordsQuery {
        kinds: Vec::new(),
        author: None,
        words: "news".to_owned(),
        blocked: false,
        after: None,
        most: 1,
    };
    let page = second.session.overlay_page(query.clone()).await.expect("it takes part");
    assert_eq!((page.records.len(), page.matched, page.held), (1, 2, 2));
    let query = RecordsQuery { after: page.next, ..query };
    let last = second.session.overlay_page(query.clone()).await.expect("it takes part");
    assert_eq!((last.records.len(), last.next), (1, None));
    assert!(page.records[0].version() > last.records[0].version());
    // Whom the user does not want to hear is not in it, unless he looks for that.
    let entry = Entry::Author(last.records[0].author());
    second.session.block(entry, Text::default()).expect("it is written");
    let all = RecordsQuery { after: None, most: 9, ..query };
    let left = second.session.overlay_page(all.clone()).await.expect("it takes part");
    assert_eq!(left.records, page.records);
    let blocked = RecordsQuery { blocked: true, ..all };
    let blocked = second.session.overlay_page(blocked).await.expect("it takes part");
    assert_eq!(blocked.records, last.records);
    first.session.shutdown().await;
    second.session.shutdown().await;
}

/// MiB of the small disk: the store makes files of some MiB before there is anything in them.
const DISK_MIB: u32 = 96;

/// Writes until the disk is full.
pub(crate) fn fill(path: &std::path::Path) {
    let mut file = std::fs::File::create(path).expect("a file");
    let mut bytes = vec![7; 1 << 20];
    while !bytes.is_empty() {
        if std::io::Write::write_all(&mut file, &bytes).is_err() {
            bytes.truncate(bytes.len() / 2);
        }
    }
}

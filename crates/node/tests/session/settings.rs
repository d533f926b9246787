//! What users set for torrents: in force at once, and there after a restart.

use crate::support::{Node, some_files, torrent};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::{FileIndex, Format};
use althing_node::session::{
    AddOptions, CommandError, Goal, Label, Ratio, TorrentChange, TorrentSettings,
};
use std::num::NonZeroU64;

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

#[tokio::test]
async fn settings_are_there_after_a_restart() {
    let files = some_files();
    let metainfo = torrent("things", Format::Hybrid, &files);
    let node = Node::start().await;
    let settings = TorrentSettings { tags: [label("first")].into(), ..TorrentSettings::default() };
    let options = AddOptions { paused: true, settings, ..AddOptions::default() };
    let id = node.add(&metainfo, options).await;
    let change = TorrentChange {
        category: Some(Some(label("pictures"))),
        add_tags: [label("second")].into(),
        upload_limit: Some(NonZeroU64::new(5000)),
        ratio_limit: Some(Goal::At(Ratio { thousandths: 1500 })),
        seed_time_limit: Some(Goal::Never),
        forced: Some(true),
        priorities: [(FileIndex(0), Priority::Skip)].into(),
        sequential: Some(true),
        super_seeding: Some(true),
        ..TorrentChange::default()
    };
    node.session.change(id, change).await.expect("it is there");
    let expected = TorrentSettings {
        category: Some(label("pictures")),
        tags: [label("first"), label("second")].into(),
        upload_limit: NonZeroU64::new(5000),
        ratio_limit: Goal::At(Ratio { thousandths: 1500 }),
        seed_time_limit: Goal::Never,
        forced: true,
        priorities: [(FileIndex(0), Priority::Skip)].into(),
        sequential: true,
        super_seeding: true,
        ..TorrentSettings::default()
    };
    assert_eq!(*node.session.snapshot(id).expect("it is there").settings, expected);
    let node = node.restart().await;
    assert_eq!(*node.session.snapshot(id).expect("it is there").settings, expected);

    let last = metainfo.files().len() as u32;
    let change = TorrentChange {
        priorities: [(FileIndex(last), Priority::High)].into(),
        ..TorrentChange::default()
    };
    let refused = node.session.change(id, change).await;
    assert!(matches!(refused, Err(CommandError::NoSuchFile { .. })), "{refused:?}");
    let change = TorrentChange {
        add_tags: (0..40).map(|number| label(&number.to_string())).collect(),
        ..TorrentChange::default()
    };
    let refused = node.session.change(id, change).await;
    assert!(matches!(refused, Err(CommandError::TooManyTags { .. })), "{refused:?}");
    assert_eq!(*node.session.snapshot(id).expect("it is there").settings, expected);
}

#[tokio::test]
async fn time_at_rest_counts() {
    let files = some_files();
    let metainfo = torrent("things", Format::V1, &files);
    let node = Node::start().await;
    let id = node.seed(&metainfo, &files).await;
    let first = node.session.snapshot(id).expect("it is there");
    assert!(first.active >= first.seeding);
    // Nobody publishes a torrent that rests, but its time goes on.
    let later = node.session.snapshot(id).expect("it is there");
    assert!(later.seeding > first.seeding && later.active > first.active);
}

//! What users set for torrents: in force at once, and there after a restart.

use crate::support::{Node, noise, some_files, torrent, torrent_of_file};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::{FileIndex, Format};
use althing_bittorrent::swarm::PieceWishes;
use althing_node::session::{
    AddOptions, CommandError, Goal, Label, Ratio, TorrentChange, TorrentSettings, TorrentState,
};
use std::num::{NonZeroU32, NonZeroU64};

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
        pieces: vec![(0..=3, Some(Priority::High)), (2..=2, None)],
        connections: Some(NonZeroU32::new(30)),
        upload_slots: Some(NonZeroU32::new(4)),
        sequential: Some(true),
        super_seeding: Some(true),
        ..TorrentChange::default()
    };
    node.session.change(id, change).await.expect("it is there");
    let mut pieces = PieceWishes::default();
    assert!(pieces.set(0..=1, Some(Priority::High)) && pieces.set(3..=3, Some(Priority::High)));
    let expected = TorrentSettings {
        category: Some(label("pictures")),
        tags: [label("first"), label("second")].into(),
        upload_limit: NonZeroU64::new(5000),
        ratio_limit: Goal::At(Ratio { thousandths: 1500 }),
        seed_time_limit: Goal::Never,
        forced: true,
        priorities: [(FileIndex(0), Priority::Skip)].into(),
        pieces,
        connections: NonZeroU32::new(30),
        upload_slots: NonZeroU32::new(4),
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
    let last = metainfo.piece_count();
    let change = TorrentChange {
        pieces: vec![(last - 1..=last, Some(Priority::Low))],
        ..TorrentChange::default()
    };
    let refused = node.session.change(id, change).await;
    assert!(matches!(refused, Err(CommandError::NoSuchPieces { .. })), "{refused:?}");
    let change = TorrentChange {
        add_tags: (0..40).map(|number| label(&number.to_string())).collect(),
        ..TorrentChange::default()
    };
    let refused = node.session.change(id, change).await;
    assert!(matches!(refused, Err(CommandError::TooManyTags { .. })), "{refused:?}");
    assert_eq!(*node.session.snapshot(id).expect("it is there").settings, expected);
}

#[tokio::test]
async fn pieces_that_are_skipped_are_not_fetched() {
    let bytes = noise(1, 10 * 32_768);
    let metainfo = torrent_of_file("thing", Format::V1, &bytes, 32_768);
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("thing"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;
    let leecher = Node::start().await;
    let options = AddOptions { paused: true, ..AddOptions::default() };
    leecher.add(&metainfo, options).await;
    let own = |pieces, priority| TorrentChange {
        pieces: vec![(pieces, priority)],
        ..TorrentChange::default()
    };
    leecher.session.change(id, own(2..=7, Some(Priority::Skip))).await.expect("it is there");
    let leecher = leecher.restart().await;
    leecher.session.resume(id).await.expect("it is there");
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.until(id, |torrent| torrent.state == TorrentState::Seeding).await;
    let shown = leecher.session.snapshot(id).expect("it is there");
    assert_eq!((shown.done_bytes, shown.wanted_bytes), (4 * 32_768, 4 * 32_768));
    let have = leecher.session.show(id).await.expect("it is there").have;
    assert_eq!(have.ones().map(|piece| piece.0).collect::<Vec<_>>(), [0, 1, 8, 9]);
    // And all of them when they are wanted as their file is.
    leecher.session.change(id, own(0..=9, None)).await.expect("it is there");
    leecher.until(id, |torrent| torrent.pieces_done == 10).await;
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

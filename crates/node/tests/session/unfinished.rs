//! What was fetched of a piece that is not whole need not be fetched again after a restart.

use crate::stranger::Stranger;
use crate::support::{Node, PATIENCE, noise, torrent_of_file};
use althing_bittorrent::metainfo::Format;
use althing_bittorrent::wire::Message;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_node::session::{AddOptions, TorrentState};

const PIECE: u32 = 1 << 20;

#[tokio::test]
async fn a_restart_costs_no_block_that_has_come() {
    let bytes = noise(30, PIECE as usize * 2);
    let metainfo = torrent_of_file("file.bin", Format::V1, &bytes, PIECE);
    let seeder = Node::start().await;
    std::fs::create_dir_all(seeder.downloads()).expect("a folder");
    std::fs::write(seeder.downloads().join("file.bin"), &bytes).expect("a file");
    let id = seeder.add(&metainfo, AddOptions::default()).await;
    seeder.complete(id).await;

    // A peer that gives some blocks of the first piece and no more.
    let leecher = Node::start().await;
    leecher.fetch(&metainfo, &[]).await;
    leecher.until(id, |torrent| torrent.state == TorrentState::Downloading).await;
    let name = metainfo.info_hashes().primary();
    let mut stranger = Stranger::meet(leecher.addr(), name).await;
    let mut one = Bitfield::new(2);
    one.set(PieceIndex(0), true);
    stranger.say(&Message::Bitfield(one.as_bytes().to_vec().into())).await;
    stranger.say(&Message::Unchoke).await;
    stranger.hear_until(|message| matches!(message, Message::Request(_))).await;
    let given = [0, 1, 2, 5, 9, 40];
    let mut given_bytes = 0;
    for number in given {
        let block = metainfo.block(PieceIndex(0), number).expect("there are 64");
        let start = block.begin as usize;
        stranger.say_block(block, &bytes[start..start + block.len as usize]).await;
        given_bytes += u64::from(block.len);
    }
    let arrived = async { while leecher.downloaded(id).await < given_bytes {} };
    tokio::time::timeout(PATIENCE, arrived).await.expect("they arrive");

    let leecher = leecher.restart().await;
    drop(stranger);
    leecher.session.add_peers(id, vec![seeder.addr()]).await.expect("it is there");
    leecher.complete(id).await;
    let got = std::fs::read(leecher.downloads().join("file.bin")).expect("it is there");
    assert!(got == bytes);
    let detail = leecher.session.show(id).await.expect("it is there");
    assert_eq!(detail.wasted_bytes, 0);
    // Both runs together have fetched each byte once.
    assert_eq!(detail.torrent.downloaded_bytes, metainfo.total_size());
}

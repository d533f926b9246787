//! From a magnet link to a torrent (BEP 9).

use super::*;
use crate::wire::{ExtensionHandshake, MetadataMessage, UT_METADATA};
use std::collections::BTreeMap;

/// A swarm that knows only the info-hash, and the dictionary it looks for.
fn magnet_table() -> (Table, Metainfo) {
    let metainfo = torrent(300);
    let now = Instant::ORIGIN + Duration::from_secs(1000);
    let info_hash = metainfo.info_hashes().primary();
    let magnet = format!("magnet:?xt=urn:btih:{info_hash}").parse().expect("a magnet link");
    let config = SwarmConfig::new(our_id());
    let swarm = Swarm::new(now, config, Seed::from_u64(1), Source::Magnet(magnet), false);
    (Table { swarm, now, info_hash, pieces: 300 }, metainfo)
}

fn offer_metadata(table: &mut Table, n: u64, size: u32) -> Vec<Output> {
    let handshake = ExtensionHandshake {
        extensions: BTreeMap::from([(UT_METADATA.to_vec(), 7)]),
        metadata_size: Some(size),
        ..ExtensionHandshake::default()
    };
    table.hear(n, Message::Extended { id: 0, payload: handshake.encode() })
}

fn metadata_requests(outputs: &[Output], n: u64) -> Vec<u32> {
    said(outputs, n)
        .into_iter()
        .filter_map(|message| match message {
            Message::Extended { id: 7, payload } => match MetadataMessage::parse(payload) {
                Ok(MetadataMessage::Request { piece }) => Some(piece),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

fn metadata_part(metainfo: &Metainfo, piece: u32) -> Message {
    let info = metainfo.info_bytes();
    let start = (piece * BLOCK_SIZE) as usize;
    let payload = info.slice(start..info.len().min(start + BLOCK_SIZE as usize));
    let message = MetadataMessage::Data { piece, total_size: Some(info.len() as u32), payload };
    Message::Extended { id: 1, payload: message.encode() }
}

#[test]
fn a_magnet_link_becomes_a_torrent() {
    let (mut table, metainfo) = magnet_table();
    assert!(table.wait(1).iter().any(|o| matches!(o, Output::FindPeers)));
    table.connect(1);
    // What it has is said before anyone knows how many pieces there are.
    let bits = Bytes::copy_from_slice(Bitfield::full(table.pieces).as_bytes());
    table.hear(1, Message::Bitfield(bits));
    let outputs = offer_metadata(&mut table, 1, metainfo.info_bytes().len() as u32);
    let pieces = metadata_requests(&outputs, 1);
    assert_eq!(pieces, [0]);
    let outputs = table.hear(1, metadata_part(&metainfo, 0));
    let Some(Output::MetadataReceived { metainfo: received }) = outputs.first() else {
        panic!("{outputs:?}");
    };
    assert_eq!(received.info_hashes(), metainfo.info_hashes());
    assert_eq!(table.swarm.state(), State::Checking);
    let outputs = table.tell(Input::StorageReady { have: Bitfield::new(300) });
    assert!(said(&outputs, 1).contains(&&Message::Interested));
    assert!(!requests(&table.hear(1, Message::Unchoke), 1).is_empty());
}

#[test]
fn a_refused_or_late_part_is_asked_of_someone_else() {
    let (mut table, metainfo) = magnet_table();
    let size = metainfo.info_bytes().len() as u32;
    for n in [1, 2, 3] {
        table.connect(n);
    }
    assert_eq!(metadata_requests(&offer_metadata(&mut table, 1, size), 1), [0]);
    assert_eq!(metadata_requests(&offer_metadata(&mut table, 2, size), 2), [0u32; 0]);
    let reject = MetadataMessage::Reject { piece: 0 }.encode();
    let outputs = table.hear(1, Message::Extended { id: 1, payload: reject });
    assert_eq!(metadata_requests(&outputs, 2), [0]);
    offer_metadata(&mut table, 3, size);
    let outputs = table.wait(METADATA_TIMEOUT.as_secs() + 2);
    let asked_again = metadata_requests(&outputs, 2).len() + metadata_requests(&outputs, 3).len();
    assert!(asked_again > 0, "{outputs:?}");
}

#[test]
fn false_metadata_gets_its_giver_banned() {
    let (mut table, metainfo) = magnet_table();
    table.connect(1);
    offer_metadata(&mut table, 1, 100);
    let lie = MetadataMessage::Data {
        piece: 0,
        total_size: Some(100),
        payload: Bytes::from(vec![b'x'; 100]),
    };
    let outputs = table.hear(1, Message::Extended { id: 1, payload: lie.encode() });
    assert_eq!(bans(&outputs), [addr(1).ip()]);
    table.connect(2);
    let size = metainfo.info_bytes().len() as u32;
    assert_eq!(metadata_requests(&offer_metadata(&mut table, 2, size), 2), [0]);
}

#[test]
fn metadata_is_given_to_those_who_ask() {
    let mut table = Table::new(1, &[]);
    table.connect(1);
    offer_metadata(&mut table, 1, 1);
    let ask =
        |piece| Message::Extended { id: 1, payload: MetadataMessage::Request { piece }.encode() };
    let answer = |outputs: &[Output]| match said(outputs, 1)[..] {
        [Message::Extended { id: 7, payload }] => {
            MetadataMessage::parse(payload).expect("readable")
        }
        _ => panic!("{outputs:?}"),
    };
    let info = torrent(1).info_bytes().clone();
    let outputs = table.hear(1, ask(0));
    let expected =
        MetadataMessage::Data { piece: 0, total_size: Some(info.len() as u32), payload: info };
    assert_eq!(answer(&outputs), expected);
    let outputs = table.hear(1, ask(1));
    assert_eq!(answer(&outputs), MetadataMessage::Reject { piece: 1 });
}

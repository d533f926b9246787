//! Every torrent that libtorrent's own tests read, against what libtorrent 2.1.1 makes of it.

use althing_bittorrent::metainfo::{Metainfo, MetainfoError};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/torrents");

#[test]
fn every_torrent_is_read_as_libtorrent_reads_it() {
    let Ok(expected) = fs::read(Path::new(VECTORS).join("expected.json")) else {
        println!("skipped: libtorrent's test torrents are not at {VECTORS}");
        return;
    };
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let expected = expected.as_object().expect("torrents by name");
    let mut differences = Vec::new();
    for (name, expected) in expected {
        let torrent = fs::read(Path::new(VECTORS).join(name)).expect("listed, so it is there");
        match (Metainfo::parse(&torrent), expected["ok"] == true) {
            (Ok(metainfo), true) => {
                let found = described(&metainfo);
                for (key, expected) in expected.as_object().expect("a torrent") {
                    if found[key] != *expected {
                        differences
                            .push(format!("{name}: {key} {} instead of {expected}", found[key]));
                    }
                }
                let again = Metainfo::parse(&metainfo.to_torrent());
                if again.as_ref() != Ok(&metainfo) {
                    differences.push(format!("{name}: written as {again:?}"));
                }
            }
            (Err(error), false) => {
                let reason = expected["error"].as_str().unwrap_or_default();
                if !reason.ends_with(&format!("[{}]", category(&error))) {
                    differences.push(format!("{name}: \"{error}\" instead of \"{reason}\""));
                }
            }
            (Ok(_), false) => differences.push(format!("{name}: read, not {}", expected["error"])),
            (Err(error), true) => differences.push(format!("{name}: refused, {error}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(expected.len() > 70, "only {} torrents", expected.len());
}

/// What `expected.json` says of a torrent.
fn described(metainfo: &Metainfo) -> Value {
    let hashes = metainfo.info_hashes();
    let files: Vec<_> = metainfo
        .files()
        .iter()
        .map(|file| {
            json!({
                "path": file.path(),
                "size": file.size(),
                "pad": file.is_pad(),
                "symlink": file.is_symlink(),
            })
        })
        .collect();
    let trackers: Vec<_> = (0..)
        .zip(metainfo.trackers())
        .flat_map(|(tier, urls)| urls.iter().map(move |url| json!([url, tier])))
        .collect();
    json!({
        "ok": true,
        "name": metainfo.name(),
        "v1": hashes.v1().map(|hash| hash.to_string()),
        "v2": hashes.v2().map(|hash| hash.to_string()),
        "num_files": files.len(),
        "files": files,
        "num_pieces": metainfo.piece_count(),
        "piece_length": metainfo.piece_length(),
        "total_size": metainfo.total_size(),
        "private": metainfo.is_private(),
        "trackers": trackers,
    })
}

/// The number libtorrent has for the same reason.
fn category(error: &MetainfoError) -> &'static str {
    use althing_base::bencode::Error as Bencode;
    match error {
        MetainfoError::NotADictionary => "libtorrent:3",
        MetainfoError::InfoMissing => "libtorrent:4",
        MetainfoError::PieceLength(_) => "libtorrent:6",
        MetainfoError::NameMissing | MetainfoError::PathMissing { .. } => "libtorrent:7",
        MetainfoError::PathInvalid { .. } => "libtorrent:8",
        MetainfoError::Length(_) => "libtorrent:9",
        MetainfoError::FilesMalformed => "libtorrent:10",
        MetainfoError::PieceHashes { .. } => "libtorrent:11",
        MetainfoError::Bencode(Bencode::TooDeep { .. }) => "bdecode:5",
        MetainfoError::Bencode(_) => "libtorrent:15",
        MetainfoError::TooManyDuplicates { .. } => "libtorrent:145",
        MetainfoError::Mismatch { .. } => "libtorrent:213",
        MetainfoError::LayerInvalid { .. } | MetainfoError::LayersMalformed => "libtorrent:215",
        MetainfoError::RootMissing { .. } => "libtorrent:216",
        MetainfoError::PadInTree { .. } => "libtorrent:218",
        _ => "another reason",
    }
}

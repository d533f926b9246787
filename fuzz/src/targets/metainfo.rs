//! Torrents: what is read is safe to use, and is written and read the same again.

use althing_bittorrent::metainfo::{File, FileIndex, Metainfo, NameRules};
use althing_bittorrent::{BlockRef, PieceIndex};
use std::collections::HashSet;

/// Pieces at the start and end of a torrent that are looked at; more would only take time.
const PIECES_LOOKED_AT: u32 = 20;

/// Reads any bytes as a torrent, by the rules of each platform.
pub fn run(data: &[u8]) {
    for rules in [NameRules::Unix, NameRules::Windows] {
        let Ok(metainfo) = Metainfo::parse_with(data, rules) else { continue };
        files(&metainfo, rules);
        pieces(&metainfo);
        let written = metainfo.to_torrent();
        assert_eq!(Metainfo::parse_with(&written, rules).as_ref(), Ok(&metainfo), "written");
        if rules == NameRules::NATIVE {
            let magnet = metainfo.magnet();
            let from_peers = Metainfo::from_info(metainfo.info_bytes(), &magnet);
            let from_peers = from_peers.expect("its own info dictionary");
            assert_eq!(from_peers.layout(), metainfo.layout());
            assert_eq!(from_peers.info_hashes(), metainfo.info_hashes());
        }
    }
}

fn files(metainfo: &Metainfo, rules: NameRules) {
    let mut offset = 0;
    let mut paths = HashSet::new();
    let mut directories = HashSet::new();
    for file in metainfo.files() {
        assert_eq!(file.offset(), offset);
        offset += file.size();
        assert!(!file.is_symlink() || file.size() == 0);
        assert!(file.is_symlink() || file.symlink().is_none());
        names(file.path(), rules);
        file.symlink().into_iter().for_each(|target| names(target, rules));
        if !file.is_pad() {
            let path: String = file.path().chars().flat_map(char::to_lowercase).collect();
            for (at, _) in path.match_indices('/') {
                directories.insert(path[..at].to_owned());
            }
            assert!(paths.insert(path), "{} is there twice", file.path());
        }
    }
    assert_eq!(offset, metainfo.total_size());
    assert!(paths.is_disjoint(&directories), "a file is a directory");
    metainfo.files().iter().for_each(|file| link(metainfo, file));
}

/// A path of which no component can lead anywhere.
fn names(path: &str, rules: NameRules) {
    for name in path.split('/') {
        assert!(!matches!(name, "" | "." | ".."), "{path:?}");
        assert!(name.len() <= 255 && !name.contains(['\\', '\0']), "{path:?}");
        if rules == NameRules::Windows {
            assert!(!name.contains(':') && !name.ends_with(['.', ' ']), "{path:?}");
        }
    }
}

/// Follows a link, one hop at a time, to something that is there.
fn link(metainfo: &Metainfo, file: &File) {
    let Some(target) = file.symlink() else { return };
    let find =
        |path: &str| metainfo.files().iter().find(|file| !file.is_pad() && file.path() == path);
    let mut path = target.to_owned();
    'hops: for _ in 0..10_000 {
        let ends: Vec<_> = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect();
        for end in ends {
            if let Some(link) = find(&path[..end]).filter(|file| file.is_symlink()) {
                let to = link.symlink().expect("a good link leads by way of good links");
                path = format!("{to}{}", &path[end..]);
                continue 'hops;
            }
        }
        let folder = format!("{path}/");
        let is_there = find(&path).is_some()
            || metainfo.files().iter().any(|file| file.path().starts_with(&folder));
        assert!(is_there, "{target} leads to {path}, which is not there");
        return;
    }
    panic!("{target} leads in circles");
}

fn pieces(metainfo: &Metainfo) {
    let count = metainfo.piece_count();
    let length = u64::from(metainfo.piece_length());
    assert_eq!(u64::from(count), metainfo.total_size().div_ceil(length));
    let looked_at =
        (0..count.min(PIECES_LOOKED_AT)).chain(count.saturating_sub(PIECES_LOOKED_AT)..count);
    for piece in looked_at.map(PieceIndex) {
        let (size, data) = (metainfo.piece_size(piece), metainfo.piece_data_size(piece));
        assert!(0 < data && data <= size && u64::from(size) <= length);
        let hash = metainfo.piece_hash(piece);
        assert!(hash.is_some() || metainfo.missing_layers().next().is_some());
        let whole = BlockRef { piece, begin: 0, len: size };
        let mut offset = u64::from(piece.0) * length;
        for slice in metainfo.slices(whole) {
            let file = &metainfo.files()[slice.file.0 as usize];
            assert_eq!(file.offset() + slice.offset, offset);
            assert!(slice.len > 0 && slice.offset + u64::from(slice.len) <= file.size());
            assert!(metainfo.file_pieces(slice.file).contains(&piece.0));
            let is_data = offset < u64::from(piece.0) * length + u64::from(data);
            assert!(is_data || file.is_pad());
            offset += u64::from(slice.len);
        }
        assert_eq!(offset, u64::from(piece.0) * length + u64::from(size));
        let blocks = metainfo.block_count(piece);
        let last = metainfo.block(piece, blocks - 1).expect("the last block");
        assert_eq!(last.begin + last.len, data);
        assert_eq!(metainfo.block(piece, blocks), None);
        assert!(metainfo.layout().contains(last) && metainfo.layout().contains(whole));
    }
    assert_eq!(metainfo.piece_size(PieceIndex(count)), 0);
    assert_eq!(metainfo.piece_hash(PieceIndex(count)), None);
    for file in metainfo.missing_layers().take(PIECES_LOOKED_AT as usize) {
        let shape = metainfo.tree_shape(file).expect("a file with a root");
        assert!(shape.piece_layer_requests().count() > 0);
        assert_eq!(metainfo.piece_layer(file), None);
    }
    for file in (0..metainfo.files().len() as u32).map(FileIndex).take(PIECES_LOOKED_AT as usize) {
        assert_eq!(metainfo.tree(file).is_some(), metainfo.piece_layer(file).is_some());
    }
}

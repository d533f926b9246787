//! Which torrents have which files: the one place that knows it for the whole session.

use super::{Place, Twin};
use crate::limits::{EQUAL_FILE_BYTES_MIN, EQUAL_FILES_MAX, EQUAL_TWINS_MAX};
use althing_base::Sha256Digest;
use althing_bittorrent::metainfo::{File, FileIndex, Metainfo};
use althing_router::TorrentKey;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The files of all v2 torrents whose files are open.
#[derive(Default)]
pub(crate) struct Index {
    files: Mutex<BTreeSet<(Sha256Digest, u64, Twin)>>,
}

impl Index {
    /// Enters a torrent's files; says which of them others have, too. Of two torrents that are entered
    /// at the same time the second one hears of the first.
    pub(crate) fn join(
        &self,
        torrent: TorrentKey,
        shard: usize,
        metainfo: &Metainfo,
    ) -> Vec<(FileIndex, Twin)> {
        let mut twins = Vec::new();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, root, size) in of_note(metainfo) {
            let place = Place { torrent, file };
            let own = Twin { place, shard, piece_length: metainfo.piece_length() };
            let same = files.range((root, size, LOWEST)..);
            let same = same.take_while(|(other, len, _)| (*other, *len) == (root, size));
            let others = same.map(|(.., twin)| *twin).filter(|twin| twin.place != place);
            twins.extend(others.take(EQUAL_TWINS_MAX).map(|twin| (file, twin)));
            if files.len() < EQUAL_FILES_MAX {
                files.insert((root, size, own));
            }
        }
        twins
    }

    /// Takes a torrent's files out.
    pub(crate) fn leave(&self, torrent: TorrentKey, shard: usize, metainfo: &Metainfo) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, root, size) in of_note(metainfo) {
            let place = Place { torrent, file };
            let own = Twin { place, shard, piece_length: metainfo.piece_length() };
            files.remove(&(root, size, own));
        }
    }
}

/// Comes before all others.
const LOWEST: Twin =
    Twin { place: Place { torrent: TorrentKey(0), file: FileIndex(0) }, shard: 0, piece_length: 0 };

/// The files that are worth the trouble, with their roots and lengths.
fn of_note(metainfo: &Metainfo) -> impl Iterator<Item = (FileIndex, Sha256Digest, u64)> + '_ {
    let large = |file: &File| (file.size() >= EQUAL_FILE_BYTES_MIN).then(|| file.pieces_root());
    (0..).map(FileIndex).zip(metainfo.files()).filter_map(move |(index, file)| {
        large(file).flatten().map(|root| (index, root, file.size()))
    })
}

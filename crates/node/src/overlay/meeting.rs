//! The meeting place: a real small torrent in whose swarm the peers of a network find each other.
//!
//! Its only file is a fixed text with the network's public name, so that everybody who is in the network
//! makes the same torrent without having been told its info-hash. The text must never change: another one
//! would be another meeting place.

use super::limits::{CONNECTIONS_MAX, CONNECTIONS_MAX_SUPER};
use crate::clock;
use crate::session::shared::{self, Entry, Shared};
use crate::session::{StartError, TorrentState, shard_of};
use crate::shard::{Command, NewTorrent, Start};
use althing_base::Sha256Digest;
use althing_base::hash::Sha256;
use althing_bittorrent::PieceIndex;
use althing_bittorrent::metainfo::{Builder, Format, Metainfo, PieceDigests};
use althing_bittorrent::swarm::Source;
use althing_overlay::NetworkKey;
use althing_store::atomic::{self, Access};
use althing_store::files::Location;
use althing_store::records::TorrentSettings;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// The name of the extension that frames of links are messages of (BEP 10).
const EXTENSION: &str = "al_overlay";

const TEXT: &str = include_str!("meeting.txt");

/// The name of the torrent's file.
const NAME: &str = "althing-meeting-place.txt";

/// Bytes of its pieces; the text is shorter than one.
const PIECE_BYTES: u32 = 16 * 1024;

/// A network's meeting place.
pub(crate) struct Meeting {
    text: String,
    pub(crate) metainfo: Arc<Metainfo>,
}

impl Meeting {
    /// The one of the network of this key.
    pub(crate) fn of(network: &NetworkKey) -> Self {
        let text = format!("{TEXT}{}\n", public_name(network));
        let mut builder = Builder::file(NAME, text.len() as u64);
        builder.format = Format::V1;
        builder.piece_length = Some(PIECE_BYTES);
        let ours = "the text is ours, and shorter than a piece";
        let plan = builder.plan().expect(ours);
        let mut digests = PieceDigests::default();
        digests.push(plan.hash_piece(PieceIndex(0), text.as_bytes()).expect(ours));
        let metainfo = Arc::new(plan.finish(&digests).expect(ours));
        Meeting { text, metainfo }
    }

    /// Puts the text into `folder` and hands the torrent to its shard; who indexes for others gets more
    /// connections. It is in no list, and nothing of it
    /// is written down.
    ///
    /// # Errors
    /// If the text cannot be written, or the torrent is there already.
    pub(crate) fn open(
        &self,
        shared: &Arc<Shared>,
        folder: &Path,
        is_super: bool,
    ) -> Result<Arc<Entry>, StartError> {
        let failed = |error| StartError::Folder { path: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(NAME);
        if std::fs::read(&path).ok().as_deref() != Some(self.text.as_bytes()) {
            atomic::write(&path, self.text.as_bytes(), Access::Default).map_err(failed)?;
        }
        let location = Location::Under(folder.to_owned());
        let hashes = self.metainfo.info_hashes();
        let mut shown = shared::blank(hashes, String::new(), clock::unix_now());
        shared::describe(&mut shown, &self.metainfo);
        shown.state = TorrentState::Checking { done: 0, total: self.metainfo.piece_count() };
        let most = if is_super { CONNECTIONS_MAX_SUPER } else { CONNECTIONS_MAX };
        let settings = TorrentSettings { connections: NonZeroU32::new(most), ..Default::default() };
        let settings = Arc::new(settings);
        shown.settings = Arc::clone(&settings);
        let shard = shard_of(shared, hashes);
        let entry = Arc::new(Entry::hidden(shared.torrents.new_key(), shard, shown));
        if shared.torrents.insert(&entry, hashes).is_err() {
            let error = std::io::Error::other("a torrent of the same info-hash is there already");
            return Err(failed(error));
        }
        let source = Source::Metainfo(Arc::clone(&self.metainfo));
        let new = NewTorrent::new(Arc::clone(&entry), source, location, Start::Look, settings);
        let new = NewTorrent { application: Some(EXTENSION), ..new };
        shared.send(&entry, Command::Add(Box::new(new)));
        Ok(entry)
    }
}

/// What everybody may know of a network: a hash of its key, in hexadecimal.
fn public_name(network: &NetworkKey) -> Sha256Digest {
    let mut hash = Sha256::new();
    hash.update(b"althing meeting place v1\0");
    hash.update(&network.0);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meeting_place_of_the_public_network_never_moves() {
        let meeting = Meeting::of(&NetworkKey::public());
        let hash = meeting.metainfo.info_hashes().primary().to_string();
        assert_eq!(
            hash, "7b5f0f19c8471bbfacb4c5e2f0c774d246a51b79",
            "whoever changes the text is alone"
        );
        let other = Meeting::of(&NetworkKey::derive("another network"));
        assert_ne!(other.metainfo.info_hashes(), meeting.metainfo.info_hashes());
        assert!(!meeting.text.contains(&format!("{}", Sha256Digest(NetworkKey::public().0))));
    }
}

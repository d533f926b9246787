//! Files that several torrents have in common are fetched once.
//!
//! A v2 torrent names each file by the root of its hash tree (BEP 52), so two files with the same root
//! and length are the same file, whatever the torrents are called and however long their pieces are.
//! Torrents with such a file are *twins*. They find one another in the [`Index`], the one place that
//! knows all files of the session, and from then on deal with each other directly, shard to shard,
//! by [`Message`]s: each offers the other what it has on disk, at first all of it and then piece by
//! piece. What is offered is copied and hashed like anything that comes from a peer (decision 0018).
//!
//! While both lack a part, the one that was there first *leads*: it fetches, and the other waits. It
//! does not wait for long: a leader that rests, stalls or is slow is left to itself ([`Twins::tick`]).
//!
//! Nothing in here does anything: [`Twins`] decides for one torrent, `shard::equal` carries it out.

mod cover;
mod index;
#[cfg(test)]
mod tests;
mod twins;

pub(crate) use index::Index;
pub(crate) use twins::{Change, Twins};

use althing_bittorrent::metainfo::FileIndex;
use althing_router::TorrentKey;
use althing_store::pieces::Source;
use std::ops::Range;

/// A file of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) torrent: TorrentKey,
    pub(crate) file: FileIndex,
}

/// Where the same file is, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Twin {
    pub(crate) place: Place,
    /// Which shard has the torrent.
    pub(crate) shard: usize,
    /// Bytes of its pieces.
    pub(crate) piece_length: u32,
}

/// What a torrent tells a twin.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// It has the same files: yours, and where the sender has them.
    Met(Vec<(FileIndex, Twin)>),
    /// It has these parts of files on disk.
    Offer {
        from: TorrentKey,
        /// Where to copy from; `None` if nothing is there now.
        source: Option<Source>,
        files: Vec<Offer>,
    },
    /// Its files are being closed: nothing more comes from it.
    Gone { from: TorrentKey },
    /// What the receiver has in this file is not what it should be.
    Wrong { file: FileIndex },
}

/// What a torrent has of a file that another has, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    /// The receiver's file.
    pub(crate) yours: FileIndex,
    /// The sender's.
    pub(crate) mine: FileIndex,
    /// Pieces of the receiver's file, counted from its first, that the sender has all bytes of.
    pub(crate) pieces: Vec<Range<u32>>,
    /// The sender is fetching what it lacks of it.
    pub(crate) leads: bool,
}

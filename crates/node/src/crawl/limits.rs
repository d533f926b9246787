//! What finding out a torrent's name may cost. Each bound says its unit and where it comes from.

use std::time::Duration;

/// Bytes of an info dictionary that is fetched for its name; a torrent with a larger one is left out. With 2 MiB, it
/// may have 100,000 pieces (guess).
pub(super) const INFO_BYTES_MAX: u32 = 2 * 1024 * 1024;

/// Bytes that a peer may send besides, while it sends that: bitfields, haves, lists of peers (guess).
pub(super) const BESIDES_BYTES_MAX: usize = 512 * 1024;

/// Peers of one torrent that are called, one after the other, until one has sent it (guess: of those that the
/// DHT names one in three answers).
pub(super) const PEERS_MAX: usize = 8;

/// Within this time a peer is connected to and has shaken hands, or the next is called.
pub(super) const GREETED_WITHIN: Duration = Duration::from_secs(5);

/// Within this time a peer has sent it all, or the next is called.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(15);

/// All peers of a torrent together have this time.
pub(super) const RESOLVED_WITHIN: Duration = Duration::from_secs(40);

/// Names of files that are indexed with a torrent, in bytes together: with them it is 2 kB on disk at most.
pub(super) const FILES_BYTES_MAX: usize = 768;

/// Torrents whose names were found out last that are remembered, to be shown.
pub(super) const SHOWN_MAX: usize = 64;

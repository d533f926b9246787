//! How much the overlay's driver takes from peers. Each bound says its unit and where it comes from.

use althing_bittorrent::swarm::limits::APPLICATION_BYTES_MAX;
use althing_overlay::limits::FRAME_BYTES_MAX;
use std::time::Duration;

/// Links at a time, those included that are still being made; a further one is parted with at once. The
/// overlay has eleven neighbours, eight who wait to be some, and 24 calls under way at most (guess: half
/// as many again).
pub(super) const LINKS_MAX: usize = 64;

/// The same for a peer that indexes for others: 512 leaves and some forty that do as it does, besides.
pub(super) const LINKS_MAX_SUPER: usize = 640;

/// Links that others are making at a time; a further one is parted with at once. Each makes us work for a
/// third of a millisecond (guess).
pub(super) const COMING_MAX: usize = 16;

/// Within this time a link is made, or it is given up: three frames (guess, for slow lines).
pub(super) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of frames that shards have handed over and the overlay's thread has not looked at; past it, who
/// sends more is parted with. The thread opens 50 MB/s of them (guess).
pub(super) const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What one turn of the loop takes of what it was told; then timers have their turn.
pub(super) const TOLD_PER_TURN: usize = 256;

/// How often the wall clock is read for the overlay, and it is looked at which port others are told.
pub(super) const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// Records of ours whose time was over and that are said anew, one a minute; further ones are not. As many
/// as others hold of one author.
pub(super) const LAPSED_MAX: usize = althing_overlay::limits::AUTHOR_RECORDS_MAX;

/// How long the index on disk is looked into for somebody else; with what was found until then he is answered. The
/// machine waits for a second.
pub(super) const CONSULTED_WITHIN: Duration = Duration::from_millis(500);

/// Searches that stand at a time; each record that comes is held against all of them.
pub(super) const WATCHES_MAX: usize = crate::session::FINDS_OPEN_MAX;

/// Connections of the meeting place's swarm: links, and some for ordinary clients that fetch its text.
pub(super) const CONNECTIONS_MAX: u32 = 96;

/// The same for a peer that indexes for others; `network.connections` bounds all torrents together.
pub(super) const CONNECTIONS_MAX_SUPER: u32 = 704;

const _: () = assert!(FRAME_BYTES_MAX <= APPLICATION_BYTES_MAX);
const _: () = assert!(LINKS_MAX < CONNECTIONS_MAX as usize);
const _: () = assert!(LINKS_MAX_SUPER < CONNECTIONS_MAX_SUPER as usize);

/// New records that watchers of the session are shown at a time; of further ones they hear how many.
pub(super) const TOLD_OF_MAX: usize = 16;

/// How often they are told of any at the most (guess: what a person takes for at once).
pub(super) const TOLD_OF_EVERY: Duration = Duration::from_millis(250);

/// The tag of a listing that says what was met in the DHT, and not that its author has it.
pub(super) const CRAWLED: &str = "crawled";

/// Seconds for which such a listing lives: it is an answer, which nobody keeps (guess).
pub(super) const CRAWLED_LIFETIME_S: i64 = 3_600;

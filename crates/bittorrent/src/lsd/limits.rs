//! What bounds local discovery. Each constant says its unit and where the figure comes from.

use std::time::Duration;

/// How often a torrent is announced (BEP 14).
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The shortest time between two announces to a group. BEP 14 wants a minute, so that large networks
/// are not flooded; those that it holds back go together in the next packets.
pub const PACKET_INTERVAL: Duration = Duration::from_secs(60);

/// How long a torrent that starts waits for others to start, so that all go in one announce (guess: a
/// session that loads thousands).
pub const GATHER_TIME: Duration = Duration::from_secs(1);

/// Bytes of an announce (BEP 14: 1400, so that it is not taken apart on its way).
pub const PACKET_BYTES_MAX: usize = 1400;

/// Packets of one announce; further torrents wait for the next one. 1,600 torrents, so that 8,000
/// have their turn in five minutes.
pub const PACKETS_PER_ANNOUNCE_MAX: usize = 64;

/// Info-hashes of a packet that are looked at: more than fit [`PACKET_BYTES_MAX`].
pub const HASHES_PER_PACKET_MAX: usize = 32;

/// Announces that are believed in [`PACKET_INTERVAL`]; further ones are dropped (guess: a network of
/// some hundred peers that start at once, with many torrents each).
pub const HEARD_PER_INTERVAL_MAX: u32 = 1000;

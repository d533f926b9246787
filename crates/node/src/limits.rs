//! What bounds a running node. Each constant says its unit, what happens past it and where the
//! figure comes from.

use std::time::Duration;

/// Threads that a setting may ask for. Past it the configuration is refused (guess: the largest
/// machines sold).
pub const THREADS_MAX: u32 = 1024;

/// Time for both handshakes of a connection, in either direction, from when it stands. Slower peers
/// are dropped (guess: ten round trips of a bad link; libtorrent waits 10 s, too).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a TCP connection to stand. libtorrent's `peer_connect_timeout` is 15 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Incoming connections whose handshake is not through, of all addresses together; more are closed
/// at once (guess: a second's worth of a busy swarm).
pub const HALF_OPEN_MAX: usize = 256;

/// Incoming connections whose handshake is not through, of one address (guess: several torrents of
/// one peer at once).
pub const HALF_OPEN_PER_IP_MAX: usize = 16;

/// Outgoing connections of a shard that do not stand yet; more wait their turn (guess: half of what
/// a cheap home router keeps).
pub const CONNECTING_MAX: usize = 128;

/// Messages for one peer that wait to be written, in bytes, blocks not counted. A peer that does not
/// read gets no further than this (a bitfield of the largest torrent, some metadata pieces, and
/// hundreds of small messages).
pub const OUT_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of blocks that are read from disk for one peer and not yet written to its socket: what keeps
/// a fast link busy while the next blocks are read. Times the connections it bounds the memory that
/// peers who do not read can hold.
pub const BLOCKS_IN_FLIGHT_BYTES: u64 = 1024 * 1024;

/// Events kept for watchers that are behind; older ones are lost to them and they are told so (a
/// second of the fastest download in 1 MiB pieces).
pub const EVENTS_KEPT: usize = 4096;

/// Addresses kept out because they sent bad data; past it the oldest rule goes: see
/// `net::Admission::ban` (guess: far more than any swarm has liars; 1 MiB of memory).
pub const BANNED_MAX: usize = 16 * 1024;

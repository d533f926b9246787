//! Every bound of the web seed machine, with unit, consequence and source.

use althing_base::time::Duration;

/// Servers of one torrent that are asked at a time; the others wait until one of these is of no
/// more use. libtorrent's `max_web_seed_connections`.
pub const SERVERS_AT_ONCE: usize = 3;

/// Connections to one server of one torrent, whatever is configured. Guess: what browsers allow
/// themselves with one host is 6.
pub const CONNECTIONS_MAX: u32 = 8;

/// Connections to one server of one torrent unless configured: one moves while the other waits for
/// the answer to its next request. libtorrent has one with requests in a row.
pub const CONNECTIONS: u32 = 2;

/// Blocks asked for in one go at most: 16 MiB, libtorrent's `urlseed_max_request_bytes`.
pub const JOB_BLOCKS_MAX: usize = 1024;

/// Bytes at the start of a file that are read and thrown away when a server sends the whole of it
/// instead of the range that was asked for; past it the file is not fetched from there. Guess: less
/// than what a block is worth on a slow line, more than what small files have.
pub const SKIP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Wait after a server's first failure in a row, doubled for each further one. libtorrent's
/// `urlseed_wait_retry`.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The longest wait, also where a server asks for a longer one with `Retry-After`. Guess.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Failures in a row after which a server is given up. Guess: half a day of waiting.
pub const FAILURES_MAX: u32 = 16;

/// Wrong files (or pieces that several share) after which a server is given up altogether; before
/// that only these. Guess: one file that was changed on the server does not spoil the others.
pub const WRONG_FILES_MAX: u32 = 3;

/// The longest wait that is read from an answer, in seconds: a day. What is longer counts as that.
pub const RETRY_SECONDS_MAX: u64 = 86_400;

const _: () = assert!(CONNECTIONS <= CONNECTIONS_MAX && CONNECTIONS > 0);

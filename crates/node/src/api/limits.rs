//! Every bound of the HTTP API: what one client, or all of them together, may cost.

use std::time::Duration;

/// Connections served at once; further ones wait in the operating system's queue. A browser opens
/// six to a host, a scraper one. Source: guess.
pub const CONNECTIONS_MAX: usize = 128;

/// Event streams open at once; a further one is answered 503. Each holds a connection for as long
/// as it lives, so this must stay well below [`CONNECTIONS_MAX`]. Source: guess.
pub const EVENT_STREAMS_MAX: usize = 32;
const _: () = assert!(EVENT_STREAMS_MAX * 2 <= CONNECTIONS_MAX);

/// Files read at once, by players or programs; a further one is answered 429. As
/// [`EVENT_STREAMS_MAX`].
pub const CONTENT_READS_MAX: usize = 32;
const _: () = assert!(CONTENT_READS_MAX + EVENT_STREAMS_MAX < CONNECTIONS_MAX);

/// Addresses for players that are open; of more the one that was not read for longest ends. Guess.
pub const STREAMS_MAX: usize = 64;

/// An address for a player that nobody read for so long ends: longer than anybody pauses a film.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a client may take for the head of a request, and how long a connection may idle
/// between two; then it is closed. Keeps slow senders from holding all connections.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request may take from its head to the answer's; then 503. Long work (hashing a
/// folder) runs as a job and answers at once.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a request's head that are buffered. Source: hyper needs at least 8 KiB.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a request's body where nothing is uploaded: paths, links, tracker lists.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a torrent file that is uploaded or fetched. A torrent of a million pieces has 20 MB of
/// hashes (BEP 3) and as much again in piece layers (BEP 52).
pub const TORRENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a body that carries a torrent file as base64 within JSON.
pub const UPLOAD_BODY_BYTES_MAX: usize = TORRENT_BYTES_MAX / 3 * 4 + BODY_BYTES_MAX;

/// How long fetching a torrent file by its URL may take, redirects included.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(20);
const _: () = assert!(FETCH_TIMEOUT.as_secs() < REQUEST_TIMEOUT.as_secs());

/// Redirects that are followed. Source: browsers follow 20, a file host needs one or two.
pub const FETCH_REDIRECTS_MAX: usize = 5;

/// Time between two looks at the figures (rates, progress) for those who listen to the events.
pub const LIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Events that a slow listener may fall behind; past it, it gets a fresh snapshot instead.
pub const EVENTS_BEHIND_MAX: usize = 1024;

/// Silence on an event stream after which a comment is sent, so that proxies and clients know the
/// stream lives. Source: the HTML standard suggests about 15 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Jobs (hashing a path) that run at once; a further one is answered 429. More than are hashed at
/// once, because the torrents that come of them are written down together.
pub const JOBS_RUNNING_MAX: usize = 16;

/// Jobs of those that hash at once; the others wait. Each has a thread for each core (guess: enough to
/// have one read while another hashes).
pub const JOBS_HASHING_MAX: usize = 4;

/// Finished jobs that are remembered; the oldest is forgotten first.
pub const JOBS_KEPT_MAX: usize = 64;

/// Characters of the shortest password that allows listening beyond this machine. With 16 that were
/// drawn at random, guessing over a network is hopeless without any further counting of attempts.
pub const PASSWORD_CHARS_MIN: usize = 16;

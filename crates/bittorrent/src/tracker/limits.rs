//! How much of a tracker is believed, as a client; and how much strangers may make us remember and
//! send, as a tracker. Each bound says its unit, what happens past it and where it comes from.

use std::time::Duration;

// As a client.

/// Bytes of a tracker's URL; a longer one is not used.
pub const URL_BYTES_MAX: usize = crate::metainfo::limits::URL_SIZE_MAX;

/// Bytes of path and query of a UDP tracker's URL that are sent and read (BEP 41); longer ones are
/// left out. A passkey is some 50 bytes, a signature some 200, and the packet still fits any path.
pub const UDP_TARGET_BYTES_MAX: usize = 1024;

/// Trackers of one torrent; the rest are not used. The longest lists that people paste have some
/// 150.
pub const TRACKERS_MAX: usize = 200;

/// Bytes of an HTTP tracker's answer; the driver reads no more (libtorrent's
/// `tracker_maximum_response_length`).
pub const HTTP_RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// Peers taken from one answer; the rest are dropped. Five times [`NUM_WANT`].
pub const RESPONSE_PEERS_MAX: usize = 1000;

/// Peers that we ask for (libtorrent's `num_want`).
pub const NUM_WANT: u32 = 200;

/// Torrents that we ask about in one scrape: what a packet of [`PACKET_BYTES_MAX`] holds.
pub const SCRAPE_SENT_MAX: usize = 60;

/// Torrents of one scrape that are read and answered; a request with more is refused, and of an
/// answer with more the rest is dropped (BEP 15: "up to about 74").
pub const SCRAPE_MAX: usize = 74;

/// Characters kept of a tracker's failure reason or warning: two lines on a screen.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// Bytes of a tracker id that we hand back (BEP 3); a longer one is dropped. Guess.
pub const TRACKER_ID_BYTES_MAX: usize = 256;

/// Time between announces where the tracker names none (opentracker's and most others').
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Shortest time between regular announces, whatever the tracker names. Below libtorrent's 5
/// minutes, so that small networks with a tracker of their own may be livelier.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);

/// Longest time between regular announces, whatever the tracker names: one that says "never"
/// would otherwise end the torrent. Guess.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Shortest time between announces that ask for more peers, where the tracker names none. Guess:
/// BEP 3 allows it without a bound, and BEP 15 does not allow it at all.
pub const MIN_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// Time until the first retry after all trackers of a tier failed; it doubles with each failure.
pub const RETRY_FIRST: Duration = Duration::from_secs(10);

/// Part of the interval by which an announce may come later, at random, so that thousands of
/// torrents started together do not stay together. Trackers keep peers for longer than that.
pub const INTERVAL_SPREAD: f64 = 1.0 / 16.0;

/// Time within which trackers are told that we are elsewhere (guess: what is bearable without peers, and
/// spreads ten thousand torrents).
pub const MOVED_SPREAD: Duration = Duration::from_secs(30);

/// They are told so once in this time at most, however often it happens (guess: a telephone on a train).
pub const MOVED_INTERVAL: Duration = Duration::from_secs(300);

/// Longest time until a retry (libtorrent's bound).
pub const RETRY_MAX: Duration = Duration::from_secs(60 * 60);

/// Longest time to an answer before the announcer gives an announce up, should its driver never
/// say what became of it. Longer than a driver's own timeouts.
pub const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(120);

/// Life of a connection id on the client's side (BEP 15: one minute).
pub const UDP_CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// Requests to UDP trackers under way at once; more fail at once. 25 MB: ten thousand torrents with
/// ten trackers each.
pub const UDP_REQUESTS_MAX: usize = 100_000;

/// Connection ids of UDP trackers remembered; past it the oldest is forgotten. Guess.
pub const UDP_CONNECTIONS_MAX: usize = 4096;

// As a tracker.

/// Bytes of a request's target; a longer one is refused. [`SCRAPE_MAX`] info-hashes, every byte
/// escaped, take 5,476.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Parameters of one request; a request with more is refused. Clients send some 15.
pub const PARAMETERS_MAX: usize = 128;

/// Peers in one answer, however many are asked for: 1,220 bytes over UDP and IPv4.
pub const ANSWER_PEERS_MAX: usize = 200;

/// Peers in one answer where the client does not say how many (BEP 3).
pub const ANSWER_PEERS_DEFAULT: usize = 50;

/// Bytes of a packet: what every path carries (IPv6's smallest MTU without its headers and UDP's).
/// Over IPv6 this is 67 peers.
pub const PACKET_BYTES_MAX: usize = 1232;

/// A connection id is good for this long after it was made, at the least (BEP 15: two minutes).
pub const CONNECTION_LIFE: Duration = Duration::from_secs(120);

/// Connection ids made within this time of one another are the same.
pub const CONNECTION_WINDOW: Duration = Duration::from_secs(60);

/// Torrents of a tracker, unless it is told otherwise; a new one past it is refused. Guess: some
/// 20 MB.
pub const TORRENTS_MAX: usize = 100_000;

/// Peers of all torrents of a tracker together; a new one past it is refused. Guess: some 100 MB.
pub const PEERS_MAX: usize = 500_000;

/// Peers of one torrent; more are answered but not listed. Guess: in a swarm this large nobody
/// lacks peers.
pub const TORRENT_PEERS_MAX: usize = 20_000;

/// Peers at one source ([`Source`](super::server::Source)) in all torrents together; one more is
/// refused. A seeder of ten thousand torrents fits.
pub const SOURCE_PEERS_MAX: usize = 12_000;

/// Peers at one source in one torrent; more are answered but not listed, so that nobody fills a
/// swarm with peers that do not exist. Guess: a household or an office behind one address.
pub const SOURCE_TORRENT_PEERS_MAX: usize = 32;

// The longest announce over UDP with its URL in options of 255 bytes fits a packet that every path
// carries.
const _: () =
    assert!(98 + UDP_TARGET_BYTES_MAX + 2 * UDP_TARGET_BYTES_MAX.div_ceil(255) <= PACKET_BYTES_MAX);
const _: () = assert!(20 + 6 * ANSWER_PEERS_MAX <= PACKET_BYTES_MAX);
const _: () = assert!(16 + 20 * SCRAPE_SENT_MAX <= PACKET_BYTES_MAX);
const _: () = assert!(SCRAPE_SENT_MAX <= SCRAPE_MAX);
const _: () = assert!(SCRAPE_MAX * (20 * 3 + 14) < TARGET_BYTES_MAX);
const _: () = assert!(ANSWER_PEERS_DEFAULT <= ANSWER_PEERS_MAX);
const _: () = assert!(NUM_WANT as usize <= RESPONSE_PEERS_MAX);
const _: () = assert!(INTERVAL_MIN.as_secs() < INTERVAL_MAX.as_secs());
const _: () = assert!(CONNECTION_LIFE.as_secs() >= 2 * UDP_CONNECTION_LIFE.as_secs());

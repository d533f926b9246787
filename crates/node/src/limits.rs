//! What bounds a running node. Each constant says its unit, what happens past it and where the
//! figure comes from.

use std::time::Duration;

/// MiB of mail that a setting may have carried. What is carried is indexed in memory, up to 65,536 mails.
pub const MAIL_CARRY_MIB_MAX: u32 = 1_024;

/// Threads that a setting may ask for. Past it the configuration is refused (guess: the largest
/// machines sold).
pub const THREADS_MAX: u32 = 1024;

/// Torrents that have been read at the start and wait for their shard; reading goes no faster than
/// they are taken in (guess: a few milliseconds of work, half a megabyte).
pub const LOADED_AHEAD_MAX: usize = 256;

/// Changes of records that somebody waits for and that are made durable together; more wait for the
/// next turn. A turn takes about as long as the disk takes to flush, so that this many a turn is more
/// than anybody asks for (guess).
pub const FLUSHED_TOGETHER_MAX: usize = 1024;

/// Time for both handshakes of a connection, in either direction, from when it stands. Slower peers
/// are dropped (guess: ten round trips of a bad link; libtorrent waits 10 s, too).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a connection to stand. libtorrent's `peer_connect_timeout` is 15 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The same where somebody between could bring us together with who does not answer (BEP 55): in it three
/// packets of each transport are sent, after 0, 1 and 3 s.
pub const CONNECT_TIMEOUT_INTRODUCED: Duration = Duration::from_secs(4);

/// How much later a peer is tried by the second of TCP and uTP than by the first (RFC 8305's connection
/// attempt delay).
pub const HEAD_START: Duration = Duration::from_millis(250);

/// Incoming connections whose handshake is not through, of all addresses together. Past it the oldest
/// gives way: who means it is through in a few round trips, who does not waits for as long as it may.
/// Each costs a descriptor and some kilobytes (guess: 2,500 strangers a second leave everybody 0.2 s).
pub const HALF_OPEN_MAX: usize = 512;

/// Incoming connections whose handshake is not through, of one address or IPv6 /64; more are closed at
/// once (guess: several torrents of one peer at once).
pub const HALF_OPEN_PER_IP_MAX: usize = 16;

/// Outgoing connections of a shard that do not stand yet; more wait their turn (guess: half of what
/// a cheap home router keeps).
pub const CONNECTING_MAX: usize = 128;

/// How often the upload slots that torrents share are divided anew: a choke round (BEP 3).
pub const SLOTS_ROUND: Duration = Duration::from_secs(10);

/// Rounds for which a torrent keeps its turn where there are fewer slots than torrents: as long as an
/// optimistic unchoke (BEP 3).
pub const SLOTS_TURN_ROUNDS: u32 = 3;

/// Upload slots of all torrents together at most, whatever is set.
pub const SLOTS_MAX: u32 = 10_000;

/// Upload slots where none are set and nothing limits what is sent; they grow from here (guess: what a
/// peer of the usual size, 1 MB/s up, fills with 16 KB/s each).
pub const SLOTS_AUTOMATIC: u32 = 64;

/// Upload slots where none are set, however low the limit: the least with which tit for tat works
/// (BEP 3).
pub const SLOTS_AUTOMATIC_LIMITED_MIN: u32 = 4;

/// Bytes a second that make an upload slot worth having: a block in four seconds. Fewer, and peers
/// take it for a snub before long (guess; libtorrent's rate-based choker begins at 1 KiB).
pub const SLOT_BYTES_PER_S: u64 = 4 * 1024;

/// Messages for one peer that wait to be written, in bytes, blocks not counted; past it the peer is
/// disconnected, because it makes us speak and does not listen. A bitfield of the largest torrent has
/// 256 KiB, a piece of metadata 16 KiB.
pub const OUT_QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Messages for all peers of a shard that wait to be written, in bytes; past it a peer has to make do
/// with [`OUT_QUEUE_BYTES_SPARED`] (guess: a thousand peers have a few kilobytes each on bad days).
pub const OUT_QUEUES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What each peer's messages may take whatever the others do, in bytes.
pub const OUT_QUEUE_BYTES_SPARED: usize = 64 * 1024;

/// Share of the memory for blocks (`storage.memory_mib`) that unfinished pieces may take before they
/// are written early, in per cent. With the blocks that wait to be hashed it is up to
/// [`CONGESTED_PERCENT`](althing_store::limits::CONGESTED_PERCENT) of this, 62 % of all; past that
/// sockets are not read.
pub const HELD_PERCENT: usize = 50;

/// Share of the memory for blocks that those may take that are read from disk for peers, or wait to be
/// sent to them, in per cent; all shards together. Past it each peer has [`BLOCKS_SPARED`] at a time.
/// Of 64 MiB it is what keeps 16 peers busy at 1 MiB each.
pub const READS_PERCENT: usize = 25;

/// What of [`READS_PERCENT`] is kept for those that are known to read
/// ([`READER_BYTES`](althing_bittorrent::swarm::limits::READER_BYTES)), in per cent of it: strangers who
/// do not read may fill their part, and would else leave everybody with [`BLOCKS_SPARED`] (guess: five
/// peers at full speed).
pub const KEPT_FOR_READERS_PERCENT: usize = 33;

/// Share of the memory for blocks that idle buffers for reads may take, in per cent.
pub const IDLE_READS_PERCENT: usize = 6;

/// Blocks that each peer may have in memory whatever the others do.
pub const BLOCKS_SPARED: usize = 1;

/// Events kept for watchers that are behind; older ones are lost to them and they are told so (a
/// second of the fastest download in 1 MiB pieces).
pub const EVENTS_KEPT: usize = 4096;

/// Addresses kept out because they sent bad data; past it the oldest rule goes: see
/// `net::Admission::ban` (guess: far more than any swarm has liars; 1 MiB of memory).
pub const BANNED_MAX: usize = 16 * 1024;

/// Time for a name to be looked up. The system's own bound is often half a minute.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a name server gets for one packet, where it is asked directly (glibc waits 5 s, and
/// for the first of several servers, too).
pub const DNS_TRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Packets sent to one name server before the next one is asked (glibc's default).
pub const DNS_TRIES: usize = 2;

/// Bytes of a name server's answer over TCP that are read; a longer one is malformed (guess: 200
/// addresses with their names).
pub const DNS_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Time that a proxy gets to connect to somebody for us. As [`CONNECT_TIMEOUT`], and some for the
/// proxy itself.
pub const PROXY_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// Names of UDP trackers that are remembered for a proxy to look up; past it all are forgotten (guess:
/// more trackers than there are).
pub const PROXY_NAMES_MAX: usize = 4096;

/// Packets that wait for a proxy's relay, and answers that are waited for through it; past it some
/// are lost, and asked for again (guess: thousands of torrents that announce at once).
pub const PROXY_PACKETS_WAITING_MAX: usize = 4096;

/// How often it is looked whether the list of addresses to keep out has changed (guess: soon enough
/// for somebody who has just edited it; one look at a file costs microseconds).
pub const BLOCKLIST_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a list of this machine's interfaces is believed where peers near are looked for (guess:
/// a cable takes longer to be plugged in).
pub const INTERFACES_BELIEVED_FOR: Duration = Duration::from_secs(10);

/// Interfaces that are announced on (guess: more than any machine that runs this has; some have
/// hundreds of virtual ones, and each costs a packet).
pub const LOCAL_INTERFACES_MAX: usize = 32;

/// How often it is looked whether the default gateway is still the same (guess: a file is read, and
/// nothing sent).
pub const GATEWAY_LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Time for a request to a gateway (guess: cheap ones take a second).
pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a gateway gets to hear that the port is not needed any more, when the session stops.
pub const PORT_GIVEN_UP_WITHIN: Duration = Duration::from_secs(1);

/// Addresses of one host that are looked at; the rest are dropped (the largest trackers have four).
pub const ADDRESSES_PER_HOST_MAX: usize = 16;

/// Time for a connection to an HTTP tracker to stand, TLS included.
pub const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Time for all of a request to an HTTP tracker, redirects included. libtorrent's
/// `tracker_completion_timeout` is 30 s.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects of one request that are followed (libtorrent's bound).
pub const HTTP_REDIRECTS_MAX: usize = 5;

/// Idle connections kept to one HTTP tracker: enough for thousands of torrents of one tracker to
/// take turns.
pub const HTTP_IDLE_PER_HOST_MAX: usize = 4;

/// Time until a web seed has answered a request, redirects included.
pub const WEB_SEED_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects of one request to a web seed that are followed. libtorrent's bound.
pub const WEB_SEED_REDIRECTS_MAX: usize = 5;

/// A web seed that needs longer for 16 KiB is hung up on: a peer that takes as long is snubbing us.
pub const WEB_SEED_BLOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Wait of a connection that found too many blocks on their way to disk: a tenth of what the disk
/// pool needs for a full queue.
pub const CONGESTION_PAUSE: Duration = Duration::from_millis(1);

/// Answers of the disk pool that are taken at once, before others have their turn.
pub const DISK_EVENTS_PER_TURN: usize = 256;

/// How often figures that change are published.
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// How often a torrent that stopped because its disk was full looks whether there is space again.
pub const DISK_FULL_RETRY: Duration = Duration::from_secs(30);

/// Bytes of free space that let a torrent go on after its disk was full, unless it needs less: with
/// less it would soon stop again.
pub const DISK_SPACE_TO_GO_ON: u64 = 64 * 1024 * 1024;

/// How much of the time that a torrent ran may be forgotten if the process is killed while nothing
/// else of it changes: ten thousand seeds at rest write three records a second then.
pub const UPTIME_SAVED_WITHIN: Duration = Duration::from_secs(3600);

/// How often what limits let through is shared out, and how late a limited connection goes on at
/// most beyond what the limit asks for (libtorrent's tick is 100 ms; half of it keeps streams smooth).
pub const ROUND: Duration = Duration::from_millis(50);

/// Bytes that a limited connection is let through at least, if it wants as many: with less, system
/// calls would cost more than they move (guess: most of a packet).
pub const GRANT_BYTES_MIN: u64 = 1024;

/// How often the schedule of rate limits is looked at, if there is one: nobody minds a few seconds.
pub const SCHEDULE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes of `config.toml` that are read when a setting is changed (guess: a thousand times what it
/// has with every setting in it).
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Categories that something is set for; more are refused (guess).
pub const CATEGORIES_MAX: usize = 1000;

/// Bytes of `categories.toml` that are read: a thousand with the longest paths there are.
pub const CATEGORIES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How often the queue and the limits of seeding are looked at while time alone can change something
/// (libtorrent looks at its queue every 30 s).
pub const STEWARD_INTERVAL: Duration = Duration::from_secs(5);

/// How long changes are gathered before they are looked at.
pub const STEWARD_PAUSE: Duration = Duration::from_millis(100);

/// Entries of the watched folder that one look takes in; the others have to wait until those are gone.
pub const WATCH_ENTRIES_MAX: usize = 10_000;

/// Bytes of a file with a link that is read: the longest links have a hundred trackers.
pub const WATCH_LINK_BYTES_MAX: usize = 64 * 1024;

/// Idle block buffers that a shard keeps when it tidies up: 4 MiB, a burst of a fast peer.
pub const IDLE_BLOCKS_KEPT: usize = 256;

/// Torrents of a session; more are refused (guess: ten times what large seeders have).
pub const TORRENTS_MAX: usize = 100_000;

/// Peers that a magnet link names by host name and that are looked up (BEP 9's `x.pe`).
pub const NAMED_PEERS_MAX: usize = 16;

/// Time that trackers get to hear that we leave, when the session stops.
pub const TRACKERS_TOLD_WITHIN: Duration = Duration::from_secs(2);

/// Names of trackers that are remembered with their addresses; further ones are looked up each time.
pub const LOOKUPS_KEPT: usize = 1024;

/// How long a name's address is believed: short beside announces' intervals, long beside a session's
/// start, when all torrents ask at once.
pub const LOOKUPS_KEPT_FOR: Duration = Duration::from_secs(60);

/// Set in the tags of what is read from disk for readers; tags without it are connections, of which
/// there will never be so many.
pub(crate) const TAG_OF_READS: u64 = 1 << 63;

/// Reads of one shard's torrents that wait for pieces; a further one is refused. A player has one or
/// two. Guess.
pub const READS_WAITING_MAX: usize = 1024;

/// Bytes that a reader takes at a time, and all that it holds while whoever it reads for does not
/// take them.
pub const READ_CHUNK_BYTES: u32 = 256 * 1024;

/// How far a reader's window of deadlines reaches ahead of it, in bytes: 16 s of video at 8 Mbit/s,
/// and what twenty peers can have on order at once in small pieces. What is farther away is fetched
/// as the torrent's order has it. Guess.
pub const READ_AHEAD_BYTES: u64 = 16 << 20;

/// Pieces of a window at least and at most, whatever their size: the next must be under way before it
/// is needed, and the machine looks no farther.
pub const READ_AHEAD_PIECES: std::ops::RangeInclusive<u32> = 2..=256;

/// Bytes a second that a reader is taken to need: the pace of its deadlines. 16 Mbit/s, above nearly
/// all video, so that deadlines are rather early than late. One that reads faster meets its deadlines'
/// order all the same. Guess.
pub const READ_BYTES_PER_S: u64 = 2 << 20;

/// Bytes at each end of a file that are fetched as soon as somebody opens it to watch: headers and,
/// in MP4 and Matroska files, indexes that stand at the end.
pub const EDGE_BYTES: u64 = 1 << 20;

/// Bytes of a tracker's packet that are read; the rest is lost. An answer of 200 peers over IPv6 has
/// 3,620.
pub const UDP_PACKET_BYTES_MAX: usize = 4096;

/// HTTP connections that the tracker serves at once; further ones wait in the system's queue (guess:
/// a request takes a millisecond, so that this is far more than a small machine answers).
pub const TRACKER_CONNECTIONS_MAX: usize = 1024;

/// How long a client of the tracker may take for a request, and how long it may idle after one
/// (guess: clients announce once in half an hour, so that keeping connections is of no use).
pub const TRACKER_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head that the tracker buffers; hyper needs at least 8 KiB.
pub const TRACKER_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a UDP packet that are read; requests are shorter, a scrape of 74 torrents has 1,496
/// (BEP 15), and what is cut off is malformed.
pub const TRACKER_PACKET_BYTES_MAX: usize = 2048;

/// A connection that is to end when all is written is closed if nothing moves on it for this long (guess).
pub const LAST_WORDS_WITHIN: Duration = Duration::from_secs(3);

/// Bytes of a message, its length prefix left out, that every torrent needs room for: a block, a
/// piece of metadata, 512 hashes with their proof, each with what stands around it. Longer ones are
/// bitfields, so a peer can make us keep no more of a message than this or its torrent's bitfield
/// (guess, rounded up).
pub const FRAME_BYTES_COMMON: usize = 64 * 1024;

/// Buffers of a block each that an encrypted connection may have encrypted ahead of its socket: 64 KiB
/// for one system call, and what one peer who does not read keeps; with the shard's budget used up
/// it is one.
pub const SEALED_BLOCKS_MAX: usize = 4;

/// Addresses of peers that are known to be deaf to encryption, and of those that are reached by the
/// second of TCP and uTP, each for each shard; past it the one known longest is tried as others are again
/// (guess: 300 KiB of memory).
pub const REMEMBERED_PEERS_MAX: usize = 4096;

/// Encrypted handshakes that all addresses together may have us compute keys for in a second; others
/// wait for the next one. Each costs two exponentiations, 70 µs of a core: 4 % of one.
pub const KEY_EXCHANGES_PER_S_MAX: u32 = 512;

/// Encrypted handshakes that one address (of IPv6, one /64) may have us compute keys for in a second;
/// past it the connection is closed (guess: a peer with sixteen torrents in common comes at once).
pub const KEY_EXCHANGES_PER_IP_PER_S_MAX: u32 = 16;

/// Files that are remembered to find those that several torrents have in common; further ones are
/// fetched by each torrent that has them. 72 bytes each.
pub const EQUAL_FILES_MAX: usize = 1 << 20;

/// The smallest file that is looked for in other torrents, in bytes: a single block is ordered sooner
/// than asked about.
pub const EQUAL_FILE_BYTES_MIN: u64 = 16 * 1024 + 1;

/// Twins of one file that a torrent deals with; with more it has no dealings (guess).
pub const EQUAL_TWINS_MAX: usize = 8;

/// Pairs of files and twins of one torrent; further files are fetched. About 200 bytes each, and a bit
/// for each piece.
pub const EQUAL_PAIRS_MAX: usize = 4096;

/// Pieces that one torrent copies from others at the same time: enough to keep each disk worker busy.
pub const COPIES_AT_ONCE: usize = 8;

/// A torrent that leaves a file to another one waits so long for the next piece of it (guess: what
/// connecting to the first peers takes).
pub const EQUAL_PATIENCE: Duration = Duration::from_secs(10);

/// And for so long in all, as it looks after [`EQUAL_PATIENCE`]. If it would take longer, both fetch,
/// and still give each other what they get (guess).
pub const EQUAL_HORIZON: Duration = Duration::from_secs(120);

// The rest is for blocks of which the first half has come: one for each connection that sends.
const _: () = assert!(
    HELD_PERCENT * althing_store::limits::CONGESTED_PERCENT / 100
        + READS_PERCENT
        + IDLE_READS_PERCENT
        < 100
);
const _: () = assert!(READ_CHUNK_BYTES <= althing_store::limits::READ_BLOCK_BYTES_MAX);
const _: () = assert!(
    *READ_AHEAD_PIECES.end() as usize <= althing_bittorrent::swarm::limits::DEADLINE_PIECES_MAX
);

/// Nodes of the DHT that may be set to begin with. Past it the configuration is refused (guess: five are
/// public).
pub const DHT_BOOTSTRAP_MAX: usize = 64;

/// Nodes of the DHT that a torrent names (BEP 5) of which the names are looked up; the others are left
/// alone (guess: its maker's own few).
pub const DHT_NODES_PER_TORRENT: usize = 8;

/// Such nodes that are remembered for when no other is known; the one named first goes. As many as a user
/// may name.
pub const DHT_NODES_NAMED_MAX: usize = DHT_BOOTSTRAP_MAX;

/// Links of BEP 46 that a session follows: looking them up takes some questions each quarter of an hour
/// (guess: more than anyone reads).
pub const FOLLOWED_MAX: usize = 100;

/// Names that a session publishes under (BEP 46): each costs a search and eight messages an hour (guess).
pub const PUBLISHED_MAX: usize = 100;

/// Bytes of a file in `follow/`, which holds a key, a name or path, and little else.
pub const PUBLICATION_BYTES_MAX: usize = 16 * 1024;

/// Time from one look at what is followed to the next; BEP 46 names none (guess).
pub const LOOK_UP_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Time after which items are put again that are to stay: nodes keep them for two hours, and BEP 44
/// has those who put them do so each hour.
pub const PUT_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// What went wrong is tried again after this, then after twice that, and so on (guess: a node has met
/// others some seconds after the start).
pub const FOLLOW_RETRY: Duration = Duration::from_secs(5);

/// Where doubling that ends.
pub const FOLLOW_RETRY_MAX: Duration = Duration::from_secs(5 * 60);

/// Whoever adds a link to follow waits so long for what it names. Requests wait for
/// [`REQUEST_TIMEOUT`](crate::api::limits::REQUEST_TIMEOUT).
pub const FOLLOW_FIRST_WITHIN: Duration = Duration::from_secs(24);
const _: () =
    assert!(FOLLOW_FIRST_WITHIN.as_secs() + 2 < crate::api::limits::REQUEST_TIMEOUT.as_secs());

/// Time between tries meanwhile.
pub const FOLLOW_FIRST_RETRY: Duration = Duration::from_secs(1);

//! How much of what others send is believed and kept. Each bound says its unit, what happens past
//! it and where it comes from.

/// Bytes of a datagram that is read; a longer one is dropped. What BEP 44 lets a `put` be comes to less
/// than 1,300, and nothing larger crosses the Internet unfragmented.
pub const DATAGRAM_BYTES_MAX: usize = 1_500;

/// Bytes of a transaction id; a query with a longer one is dropped. BEP 5 says two will do; some nodes
/// use eight, and libtorrent echoes up to sixteen.
pub const TRANSACTION_BYTES_MAX: usize = 16;

/// Bytes of a write token; a longer one is taken for none. Eight are common, twenty (a SHA-1) the
/// most that is seen.
pub const TOKEN_BYTES_MAX: usize = 40;

/// Nodes that are read from one answer, of each address family. BEP 5 says eight; some nodes send
/// sixteen or twenty.
pub const NODES_READ_MAX: usize = 32;

/// Peers that are read from one answer. As many IPv4 addresses as a datagram of
/// [`DATAGRAM_BYTES_MAX`] can hold come to 187.
pub const VALUES_READ_MAX: usize = 200;

/// Info-hashes that are read from one answer (BEP 51): what fits a datagram.
pub const SAMPLES_READ_MAX: usize = 75;

/// Bytes of an item's value, as bencode (BEP 44).
pub const VALUE_BYTES_MAX: usize = 1_000;

/// Bytes of an item's salt (BEP 44).
pub const SALT_BYTES_MAX: usize = 64;

/// Bytes of an error's text that are kept, for the log.
pub const ERROR_TEXT_BYTES_MAX: usize = 100;

/// Nodes in a bucket, nodes that an answer names, and nodes that something is stored on (BEP 5's K).
pub const K: usize = 8;

/// Nodes that wait for a place in a bucket; the oldest goes when one more comes. As many as the bucket
/// has, so that all of it may die at once (BEP 5 says "a replacement cache", not how large).
pub const SPARE_NODES_MAX: usize = K;

/// Lookups of items that are remembered in case that something is to be put there; the oldest goes.
pub const RECENT_LOOKUPS_MAX: usize = 16;

/// Seconds after which they are forgotten. Tokens count for at least five minutes with most (BEP 5 lets
/// nodes take them for ten), and nodes come and go.
pub const RECENT_LOOKUP_S: u64 = 2 * 60;

/// Nodes of such a lookup that are remembered, of each family.
pub const RECENT_NODES_MAX: usize = 4 * K;

/// Nodes of one network (/24, or /48 of IPv6) in a bucket, so that one operator cannot be all of it.
/// libtorrent's default is one; two let a university have both of its nodes.
pub const SUBNET_NODES_MAX: usize = 2;

/// Seconds after which a node that was not heard of is questionable (BEP 5).
pub const NODE_GOOD_S: u32 = 15 * 60;

/// Questions in a row without an answer that make a node bad ("multiple" in BEP 5; libtorrent's: 20
/// minutes' worth, which is of no use to who asks for nodes).
pub const NODE_FAILURES_MAX: u8 = 2;

/// Questions of one lookup under way at a time, those that are late not counted. Kademlia says three,
/// Jimenez 2011 shows that more buys speed at little cost.
pub const LOOKUP_IN_FLIGHT_MAX: usize = 4;

/// Paths of a lookup, which share no node (S/Kademlia, Baumgart and Mies 2007).
pub const LOOKUP_PATHS: u8 = 3;

/// Nodes that a lookup knows of at a time; past them the farthest is forgotten.
pub const LOOKUP_NODES_MAX: usize = 128;

/// Nodes of each family that a lookup takes from one answer: one who answers cannot fill it alone.
pub const LOOKUP_NODES_PER_ANSWER_MAX: usize = 16;

/// Questions of one lookup in one family, after which it ends with what it has. A healthy network takes
/// 15 to 30; one of which half is dead, twice that.
pub const LOOKUP_QUESTIONS_MAX: usize = 96;

/// Nodes in one subnet that count towards the nearest (see [`SUBNET_NODES_MAX`]).
pub const LOOKUP_SUBNET_MAX: usize = 2;

/// Nodes whose name does not fit their address (BEP 42) that count towards the nearest wherever they
/// are; beyond them only as many as the size of the network lets expect. Then half of the places
/// at least are out of the reach of who chooses names freely.
pub const UNFIT_NODES_FREE: f64 = 2.0;

/// How many times as many nodes as expected may be near a key before those with unfit names do
/// not count any more.
pub const UNFIT_CROWD: f64 = 2.0;

/// Nodes that something is stored on at the most: [`K`], and further ones that are nearer than the
/// expected distance of the K-th.
pub const STORE_NODES_MAX: usize = K + K / 2;

/// The least and the most time until a question counts as late and another node is asked besides,
/// milliseconds. Between them it is what nine of ten answers took.
pub const PATIENCE_MS: (u64, u64) = (60, 1_500);

/// The same before anything was measured.
pub const PATIENCE_FIRST_MS: u64 = 600;

/// After how many times the patience a late answer is not waited for any more, though still taken. This is
/// so once [`K`] nodes have answered; before that all are waited for until their questions are lost.
pub const PATIENCE_LATE: u32 = 3;

/// The least time after which that is so, milliseconds: a machine that is busy may be so for a moment (guess).
pub const PATIENCE_LATE_LEAST_MS: u64 = 1_000;

/// How long a lookup puts off a node that has been asked much lately before it goes on without it,
/// milliseconds, if it knows [`K`] others. Two who ask the same nodes get in each other's way for half of that.
pub const POSTPONED_MS_MAX: u64 = 2_000;

/// Milliseconds until a question is lost. Beyond it few answers come (Jimenez 2011).
pub const QUERY_TIMEOUT_MS: u64 = 4_000;

/// Questions under way at a time, all purposes together; more wait.
pub const QUERIES_IN_FLIGHT_MAX: usize = 512;

/// Searches under way at a time that the owner asked for; more wait in a queue of as many.
pub const SEARCHES_MAX: usize = 64;

/// Peers that a search hands out; a swarm needs no more.
pub const PEERS_FOUND_MAX: usize = 2_000;

/// Questions a second to one node, on average and at once: never more than four in a second. libtorrent
/// blocks whoever sends it five a second for ten seconds.
pub const OUT_PER_NODE_PER_S: (u64, u64) = (2, 2);

/// Nodes whose rate is remembered; they are forgotten when they would be allowed anything again.
pub const OUT_NODES_MAX: usize = 4_096;

/// Questions a second, all together and at once: about 60 kB/s. Ten thousand torrents announced each half
/// hour take about 250.
pub const OUT_QUESTIONS_PER_S: (u64, u64) = (500, 500);

/// Messages of one source in [`IN_WINDOW_S`] past which it is not heard for [`IN_BAN_S`] (libtorrent's).
pub const IN_PER_SOURCE_MAX: u16 = 50;

/// See [`IN_PER_SOURCE_MAX`], seconds.
pub const IN_WINDOW_S: u64 = 10;

/// See [`IN_PER_SOURCE_MAX`], seconds.
pub const IN_BAN_S: u64 = 5 * 60;

/// Sources that are counted at a time; those that were heard once make way, and those beyond share
/// what [`STRANGER_ANSWERS_PER_S`] leaves.
pub const SOURCES_MAX: usize = 4_096;

/// Sources that are not heard, at a time; the one whose time ends first goes.
pub const BANNED_MAX: usize = 1_024;

/// Answers a second, and at once, to addresses that have not proven that they exist. Answers to known
/// nodes do not count. With [`REFLECTION_MAX`] it bounds what a forger of senders gets out of us.
pub const STRANGER_ANSWERS_PER_S: (u64, u64) = (2_000, 2_000);

/// Further answers a second, and at once, to such addresses, when those are used up (a flood): they are no
/// longer than [`REFLECTION_SHORT_MAX`] allows.
pub const SHORT_ANSWERS_PER_S: (u64, u64) = (8_000, 4_000);

/// Bytes of a short answer for each byte of the question; QUIC allows three (RFC 9000, section 8.1).
pub const REFLECTION_SHORT_MAX: usize = 2;

/// Refusals a second, and at once, to such addresses: of questions that cannot be, and of tokens that do
/// not count. Nobody honest waits for them, so they take nothing from other answers.
pub const REFUSALS_PER_S: (u64, u64) = (200, 200);

/// Bytes of an answer for each byte of the question, if who asks has not proven that it is where it
/// says. The payloads of datagrams are compared.
pub const REFLECTION_MAX: usize = 7;

/// Answers a second, and at once, that are longer than [`REFLECTION_MAX`] allows: items of BEP 44, which
/// come whole or not at all (at most 16 times the question).
pub const LARGE_ANSWERS_PER_S: (u64, u64) = (20, 40);

/// Bytes of an answer. Tunnels leave 1,280 of IPv6 (RFC 8200), less 48 of headers.
pub const ANSWER_BYTES_MAX: usize = 1_200;

/// Seconds after which a new secret makes the tokens; those of the one before still count (BEP 5).
pub const TOKEN_S: u64 = 5 * 60;

/// Torrents whose peers are kept. Past them the one farthest from us goes, or is not taken.
pub const STORED_TORRENTS_MAX: usize = 2_000;

/// Peers that are kept of a torrent. Past them one goes at random.
pub const STORED_PEERS_MAX: usize = 500;

/// Seconds that an announce counts; BEP 5 leaves it open, 45 minutes are common, and half-hourly
/// announces outlive a lost datagram.
pub const STORED_PEER_S: u64 = 45 * 60;

/// Torrents, and items, that one address may have stored here.
pub const STORED_PER_SOURCE_MAX: u16 = 100;

/// Items that are kept (BEP 44). Past them the one farthest from us goes, or is not taken.
pub const STORED_ITEMS_MAX: usize = 700;

/// Seconds that an item is kept (BEP 44).
pub const STORED_ITEM_S: u64 = 2 * 3_600;

/// Torrents in an answer to `sample_infohashes` (BEP 51).
pub const SAMPLES_SENT_MAX: usize = 20;

/// Seconds that a sample stays what it is (BEP 51 allows up to 21,600).
pub const SAMPLES_S: u64 = 10 * 60;

/// Seconds between two sweeps of what is stored.
pub const SWEEP_S: u64 = 5 * 60;

/// Torrents that are wanted at a time.
pub const WANTED_MAX: usize = 100_000;

/// Seconds from one search and announce of a wanted torrent to the next, less up to a fifth of it.
pub const ANNOUNCE_S: u64 = 30 * 60;

/// Seconds after which a torrent of which fewer than [`K`] nodes were told comes up again: after the first
/// such search, and then after each time. Then it waits for its half hour (guess: a table is full within
/// the first quarter of a minute, or when somebody comes who knows others).
pub const EARLY_S: [u64; 3] = [15, 60, 4 * 60];

/// Seconds until a search that reached nobody is tried again.
pub const ANNOUNCE_RETRY_S: u64 = 60;

/// Seconds between two searches of a torrent that is in a hurry.
pub const HURRY_S: u64 = 60;

/// Milliseconds between the starts of two searches for wanted torrents, at the most; less with many.
pub const START_MS: u64 = 100;

/// Searches for wanted torrents under way at a time.
pub const WANTED_SEARCHES_MAX: usize = 16;

/// Addresses that wait to be asked whether there is a node.
pub const CONTACTS_MAX: usize = 256;

/// Addresses that are asked so at a time.
pub const CONTACTS_IN_FLIGHT_MAX: usize = 8;

/// Seconds between two questions that only keep the table fresh.
pub const MAINTENANCE_S: u64 = 6;

/// Seconds between two lookups of our own name.
pub const SELF_LOOKUP_S: u64 = 30 * 60;

/// Seconds without any node until contacts are asked for again, at first and at the most.
pub const NEED_CONTACTS_S: (u64, u64) = (10, 10 * 60);

/// Nodes of each family that are saved and read.
pub const SAVED_NODES_MAX: usize = 200;

/// In a group's own DHT, instead of [`OUT_PER_NODE_PER_S`]: many words at once, and no more in ten seconds
/// than a node bears that takes the DHT for everybody's ([`IN_PER_SOURCE_MAX`]).
pub const GROUP_OUT_PER_NODE_PER_S: (u64, u64) = (3, 18);

/// In a group's own DHT, instead of [`IN_PER_SOURCE_MAX`]: twenty members behind one address.
pub const GROUP_IN_PER_SOURCE_MAX: u16 = 1_000;

/// In a group's own DHT, instead of [`STORED_TORRENTS_MAX`]: all words of sixteen members; some 200 bytes
/// each.
pub const GROUP_STORED_TORRENTS_MAX: usize = 65_536;

/// In a group's own DHT, instead of [`STORED_PER_SOURCE_MAX`]: all words of four members behind one address.
pub const GROUP_STORED_PER_SOURCE_MAX: u16 = 16_384;

/// In a group's own DHT, instead of [`START_MS`].
pub const GROUP_START_MS: u64 = 5;

/// In a group's own DHT, instead of [`ANNOUNCE_RETRY_S`].
pub const GROUP_ANNOUNCE_RETRY_S: u64 = 3;

/// In a group's own DHT, instead of [`EARLY_S`]: with fewer than [`K`] members each who comes is to be told.
pub const GROUP_EARLY_S: [u64; 5] = [2, 5, 15, 60, 4 * 60];

/// In a group's own DHT, instead of [`HURRY_S`].
pub const GROUP_HURRY_S: u64 = 5;

const _: () = {
    assert!(REFLECTION_SHORT_MAX < REFLECTION_MAX);
    assert!(STORE_NODES_MAX <= LOOKUP_NODES_MAX);
    assert!(STORE_NODES_MAX <= RECENT_NODES_MAX && RECENT_NODES_MAX <= LOOKUP_NODES_MAX);
    assert!(RECENT_LOOKUP_S < TOKEN_S);
    assert!(STORED_PEER_S > ANNOUNCE_S);
    assert!(OUT_PER_NODE_PER_S.0 * IN_WINDOW_S + OUT_PER_NODE_PER_S.1 < IN_PER_SOURCE_MAX as u64);
    assert!(
        GROUP_OUT_PER_NODE_PER_S.0 * IN_WINDOW_S + GROUP_OUT_PER_NODE_PER_S.1
            < IN_PER_SOURCE_MAX as u64
    );
    assert!(ANSWER_BYTES_MAX <= DATAGRAM_BYTES_MAX);
    assert!(PATIENCE_MS.1 < QUERY_TIMEOUT_MS && PATIENCE_LATE_LEAST_MS < QUERY_TIMEOUT_MS);
};

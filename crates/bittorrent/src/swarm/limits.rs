//! Every bound of the swarm machine, with unit, consequence and source.

use crate::types::BLOCK_SIZE;
use crate::wire::limits::METADATA_BYTES_MAX;
use althing_base::time::Duration;

/// Connections of one torrent, unless configured. More cost memory and messages and hardly help:
/// BEP 3's author found 30 to 55 enough. libtorrent's default for one torrent is unlimited,
/// Transmission's 50.
pub const CONNECTIONS_MAX: usize = 100;

/// Connection attempts under way at once for one torrent. libtorrent allows 10 a second.
pub const CONNECTING_MAX: usize = 16;

/// A peer that neither wants nor has anything does not give way to others before it has been there for
/// so long: it may be about to say what it has (guess).
pub const IDLE_GRACE: Duration = Duration::from_secs(60);

/// With all places taken, a peer that no block came from or went to for so long gives its place to a
/// newcomer. libtorrent's `peer_turnover_interval`.
pub const TURNOVER_AFTER: Duration = Duration::from_secs(300);

/// A peer that a block came from or went to within this time keeps its place, however many its
/// network has: as long as rates are measured over.
pub const PROTECTED_FOR: Duration = Duration::from_secs(RATE_WINDOW_S);

/// Attempts under way at once while all places are taken, if somebody would give way (guess).
pub const EXTRA_ATTEMPTS_MAX: usize = 2;

/// Peers that are unchoked at a time, the optimistic one included. libtorrent's default.
pub const UNCHOKE_SLOTS: usize = 8;

/// The choker ranks its peers this often (BEP 3).
pub const CHOKE_INTERVAL: Duration = Duration::from_secs(10);

/// Every how many rounds of the choker the optimistic unchoke moves on: 30 s (BEP 3).
pub const OPTIMISTIC_ROUNDS: u32 = 3;

/// A peer that owes blocks and has sent none for so long is snubbing us (BEP 3).
pub const SNUBBED_AFTER: Duration = Duration::from_secs(60);

/// The same for one that has never sent a block: it may be one of many that promise everything and
/// give nothing, and what is on order with those is kept from others. Long enough for a slow line
/// that it shares with others (guess).
pub const SNUBBED_AFTER_NOTHING: Duration = Duration::from_secs(15);

/// The same where others give, or would: what it owes is then soon had elsewhere (guess: the first block
/// of a line of 4 KB/s).
pub const SNUBBED_AFTER_NOTHING_SOON: Duration = Duration::from_secs(5);

/// Blocks on order with a peer that has never sent one, where others give: enough for its first round
/// trip, and all that its promises keep from others. libtorrent's slow start begins with as many.
pub const PIPELINE_UNPROVEN: usize = 8;

/// A peer that has an upload slot and takes nothing for so long has no claim on it, as long as others
/// wait: half a round of the choker (guess).
pub const SLOT_LOST_AFTER: Duration = Duration::from_secs(5);

/// The same where our own line is narrow: two rounds of the choker.
pub const SLOT_LOST_AFTER_MAX: Duration = Duration::from_secs(20);

/// A peer that has taken so many bytes reads them: sockets hold less (Linux's `tcp_rmem` and `tcp_wmem`
/// allow 10 MiB together).
pub const READER_BYTES: u64 = 16 << 20;

/// A peer that is known to read, or that has taken blocks and asks for no more, has no claim on its slot
/// after this time.
pub const SLOT_IDLE_AFTER: Duration = Duration::from_secs(20);

/// Who let a slot go to waste stands behind others for so long, and so does its network (guess: the
/// slots of six rounds).
pub const WASTE_REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// A peer has just come, and may be a guest, for so long: the time to say what it has and wants.
pub const GUEST_NEW_FOR: Duration = Duration::from_secs(5);

/// There are guests where at most one in so many of those who want something has just come (guess: as one slot
/// in eight is given on trust).
pub const GUEST_OF_PEERS: usize = 8;

/// What a seed hands a guest, in bytes: the 1 MiB that a player wants before it shows something, and what else it
/// has on order then (guess).
pub const GUEST_BYTES_MAX: u64 = 3 << 19;

/// The same if one waits who came later.
pub const GUEST_BYTES_LEAST: u64 = 1 << 18;

/// A guest that takes nothing for so long has had its turn: some round trips.
pub const GUEST_PATIENCE: Duration = Duration::from_secs(2);

/// Networks that stand behind others at most; beyond, the one that would have done so soonest is
/// forgotten.
pub const WASTERS_MAX: usize = 64;

/// After a lie peers that nothing right has come from are tried for so long, and those of a network that
/// lies came from are doubted (guess: as those who waste slots).
pub const LIES_REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Networks that are doubted at most; beyond, the one that would have been soonest believed again is.
pub const LYING_NETWORKS_MAX: usize = 64;

/// Peers of a network that lies came from that are tried at a time: each may spoil a piece, and takes
/// its share of our line meanwhile (guess).
pub const TRIALS_PER_NETWORK: usize = 2;

/// How long a peer on trial may have a piece to itself: then others may send what is left of it, so that
/// a slow one keeps nobody waiting (guess: a piece of 1 MiB at 100 KB/s).
pub const TRIAL_ALONE_FOR: Duration = Duration::from_secs(10);

/// Who flooded us is not let in again for so long (guess: one flood in that time is cheap).
pub const KEPT_OUT_FOR: Duration = Duration::from_secs(600);

/// Addresses that are kept out for a while; beyond, the one whose time is up first is let in.
pub const FLOODERS_MAX: usize = 1024;

/// A peer whose rate is judged over this time (BEP 3: twenty seconds).
pub const RATE_WINDOW_S: u64 = 20;

/// How much of a peer's rate is kept on order: large enough to bridge any round trip, small
/// enough to be cancelled in time. libtorrent's `request_queue_time`.
pub const PIPELINE_TIME_S: u64 = 3;

/// The same with a seed that suggests pieces, because many ask it at once: what is on order with it others
/// cannot see, and may ask for, too.
pub const PIPELINE_ADVISED_S: u64 = 1;

/// Blocks on order with a peer at the start and at least: 512 KiB in flight fills a gigabit link
/// at 4 ms, and a slower peer is measured within its first second.
pub const PIPELINE_MIN: usize = 32;

/// The same once its pace has shown, which may be that of a slow line: it would take half a minute for
/// [`PIPELINE_MIN`], and all that while nobody else is asked. Bridges 100 ms at 1 MiB/s.
pub const PIPELINE_SLOW: usize = 8;

/// Blocks on order with a peer at most: 8 MiB. libtorrent's `max_out_request_queue`.
pub const PIPELINE_MAX: usize = 512;

/// Blocks on order with a peer that snubs us: just enough to notice when it is back.
pub const PIPELINE_SNUBBED: usize = 1;

/// Requests that a peer may refuse in a row although it does not choke us; then it counts as one
/// that snubs us. A pipeline's worth: an honest peer refuses what crossed its `choke` on the way.
pub const REJECTS_MAX: u32 = PIPELINE_MIN as u32;

/// Blocks asked for twice or more when none is left to ask for once, by peer: each duplicate is
/// at worst that many blocks wasted.
pub const PIPELINE_ENDGAME: usize = 8;

/// Peers that one block is asked from at once in the endgame.
pub const ENDGAME_COPIES_MAX: u8 = 3;

/// In the endgame a block is ordered once more if the copy is to be expected in this part of the time
/// that the first one would still take: it is a guess, and each copy costs its bytes.
pub const COPY_SOONER_BY: u32 = 2;

/// Orders of one peer that are looked at for each copy, the last ones first: all that copies are likely
/// to be of, with the pipeline of a slow peer.
pub const ENDGAME_LOOKED_AT_MAX: usize = 2 * PIPELINE_MIN;

/// A peer that owes blocks has stalled, as far as the endgame is concerned, when it has sent none for so
/// long, four blocks' time of its pace, and what blocks take of late: lines send in bursts (guess).
pub const ENDGAME_STALLED_AFTER: Duration = Duration::from_secs(2);

/// Bytes of pieces in progress past which they are finished before rarer ones are begun, as they are
/// past one and a half pieces for each peer (libtorrent's bound). What the store keeps in memory.
pub const OPEN_BYTES_ENOUGH: u64 = 64 << 20;

/// Pieces picked at random before rarest-first starts, so that there is soon something to give
/// (BEP 3's author; libtorrent's `initial_picker_threshold`).
pub const RANDOM_FIRST_PIECES: u32 = 4;

/// Readers of one torrent whose deadlines are kept; a further one pushes out the oldest. A household
/// has a handful of screens (guess).
pub const READERS_MAX: usize = 32;

/// Pieces that one reader may have deadlines for: at 16 KiB, the smallest there are, 8 MiB (guess).
pub const DEADLINE_PIECES_MAX: usize = 512;

/// Pieces with deadlines that are looked at for each block, the most urgent first: what keeps a
/// block's price the same however far readers look ahead. libtorrent looks at all of them, and its
/// users lose speed by it.
pub const URGENT_LOOKED_AT_MAX: usize = 64;

/// How much of a peer's rate is on order while something is due soon: enough to bridge a round trip,
/// and all that the next urgent block has to wait for ([`PIPELINE_TIME_S`] otherwise). Guess.
pub const URGENT_QUEUE_TIME: Duration = Duration::from_millis(500);

/// Urgent blocks on order at least, with a peer that has shown nothing yet: little is lost if it is
/// slow. libtorrent gives as many in slow start.
pub const URGENT_BLOCKS_UNPROVEN: usize = 4;

/// A piece that is due within this time is worth other orders' being taken back, and copies.
pub const URGENT_SOON: Duration = Duration::from_secs(PIPELINE_TIME_S);

/// Peers that one urgent block is on order with at once.
pub const URGENT_COPIES_MAX: u8 = 3;

/// How often late blocks are looked for while somebody waits: a fraction of what a viewer notices.
pub const HURRY_INTERVAL: Duration = Duration::from_millis(200);

/// A peer that has owed a block for so long and sent none has stalled as far as readers are
/// concerned; it is no snub yet ([`SNUBBED_AFTER`]). Several round trips of a bad line (guess).
pub const STALLED_AFTER: Duration = Duration::from_secs(1);

/// A block that is to be expected within this time is not ordered twice, however late it is: the copy
/// would hardly be sooner. Two round trips of a bad line (guess).
pub const RESCUED_AFTER: Duration = Duration::from_millis(500);

/// Pieces whose late blocks are looked for at a time, the most urgent first.
pub const RESCUED_PIECES_MAX: usize = 8;

/// Copies ordered at a time: at most 2.5 MB a second go to waste if all of them were needless.
pub const RESCUED_AT_ONCE_MAX: usize = 32;

/// Ranges of pieces that may have a priority of their own: 9 kB in a torrent's record (guess: programs that
/// choose pieces want a window or two).
pub const PIECE_RANGES_MAX: usize = 1000;

/// Requests a peer may have waiting with us: told as `reqq` (BEP 10). libtorrent's
/// `max_allowed_in_request_queue`.
pub const UPLOAD_QUEUE_MAX: usize = 2000;

/// Bytes handed to the driver for one peer and not yet taken by its socket: enough to keep a fast
/// link busy while the disk reads the next batch, and all that a peer that does not read can make
/// us hold.
pub const SEND_AHEAD_MAX: u32 = 64 * BLOCK_SIZE;

/// The same for a peer of whose network others did not read, until it has shown that it does: a hundred of
/// them hold little of what all peers share.
pub const SEND_AHEAD_DOUBTFUL: u32 = 2 * BLOCK_SIZE;

/// A block handed to the driver counts as so many bytes towards [`SEND_AHEAD_MAX`] at least: a peer that
/// asks for single bytes would else have thousands of them under way, each with its buffer (guess).
pub const COUNTED_MIN: u32 = BLOCK_SIZE / 4;

/// The longest block a peer may ask for, in bytes: what libtorrent serves. Others send 16 KiB.
pub const REQUEST_LEN_MAX: u32 = 128 * 1024;

/// Nothing is sent for so long: a keep-alive goes out (BEP 3: two minutes, and the other side may
/// count from when it arrives).
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(100);

/// Nothing heard for so long: the connection is dead (BEP 3's two minutes and a margin).
pub const IDLE_AFTER: Duration = Duration::from_secs(150);

/// Blocks handed to the driver and not taken for so long, while our line let others through: the peer
/// does not read.
pub const SEND_STALLED_AFTER: Duration = Duration::from_secs(120);

/// Our line let others through past a peer when it sent them so many blocks for each that waits: a fair
/// line sends one each before it is that peer's turn again.
pub const PASSED_OVER_TURNS: u64 = 4;

/// Nothing was sent to anybody for so long: our line may be clogged, or all that wait do not read. At
/// 1 KiB/s, shared with a hundred other torrents, a block takes 27 minutes.
pub const LINE_CLOGGED_AFTER: Duration = Duration::from_secs(30 * 60);

/// Addresses remembered for one torrent: 100 kB. libtorrent's `max_peerlist_size` is 3000.
pub const CANDIDATES_MAX: usize = 2000;

/// Failed attempts after which an address is given up.
pub const CANDIDATE_FAILURES_MAX: u8 = 4;

/// Wait before an address is tried again, times the number of failures, squared.
pub const RECONNECT_AFTER: Duration = Duration::from_secs(30);

/// Who answers and parts before anything was exchanged is called again after [`RECONNECT_AFTER`], and each
/// time that it does so again after twice as long, but not more often than this: 16 minutes.
pub const DECLINED_DOUBLINGS_MAX: u8 = 5;

/// Whom a peer calls a seed is not called for so long while we have everything: it may have lied, or
/// the other may want something again (guess).
pub const CALLED_SEED_FOR: Duration = Duration::from_secs(30 * 60);

/// More peers are asked for when fewer addresses than this are left to try.
pub const CANDIDATES_LOW: usize = 10;

/// Connections with which a torrent that is being fetched is content (BEP 3's author: 30), and peers that want
/// something with which a seed is.
pub const PEERS_ENOUGH: usize = 30;

/// More peers are asked for at most this often; trackers have their own, longer intervals.
pub const FIND_PEERS_INTERVAL: Duration = Duration::from_secs(60);

/// Each time that no peer has come, the wait doubles, but not more often than this: to 16 minutes.
/// Whoever has everything stops asking then, and leaves it to the tracker's interval. Guess.
pub const ASKED_IN_VAIN_MAX: u32 = 4;

/// The longest info dictionary fetched from peers, in bytes: the longest that is read at all.
pub const METADATA_MAX: u32 = METADATA_BYTES_MAX;

/// Different metadata sizes believed in at once, and twice [`METADATA_MAX`] bytes in all; a peer
/// with yet another has to wait.
pub const METADATA_SIZES_MAX: usize = 4;

/// Metadata pieces on order with one peer.
pub const METADATA_PIPELINE: usize = 4;

/// A metadata piece that has not come by then is asked of someone else.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(20);

/// A peer that refused metadata is asked again after this time.
pub const METADATA_REFUSED_FOR: Duration = Duration::from_secs(60);

/// Hash requests on order with one peer.
pub const HASH_PIPELINE: usize = 4;

/// A hash request that has not been answered by then is sent to someone else.
pub const HASH_TIMEOUT: Duration = Duration::from_secs(20);

/// Pieces whose leaves are being read from disk for peers; a request beyond is refused.
pub const LEAF_READS_MAX: usize = 16;

/// Useless messages (repeated, refused, unasked-for) from one peer that are overlooked, and how
/// many a second are forgiven. An honest peer's rate is a few for each piece at worst.
pub const WASTE_BURST: u64 = 4000;
/// What a request for leaves counts for among those, since a piece is read and hashed for it: 20 at
/// once and one in two seconds. An honest peer asks for them for pieces in which it got a wrong block.
pub const LEAF_READ_WASTE: u64 = 200;
/// What a request for hashes or metadata counts for: each makes us send up to 16 KiB. The longest
/// metadata is 1,920 such parts.
pub const ANSWER_WASTE: u64 = 2;
/// See [`WASTE_BURST`].
pub const WASTE_PER_S: u64 = 100;

/// `have` messages kept for a peer while the number of pieces is not known yet.
pub const EARLY_HAVES_MAX: usize = 10_000;

/// Pieces a peer allows us to fetch while choked that are remembered (BEP 6 suggests sets of 10).
pub const ALLOWED_FAST_MAX: usize = 100;

/// Pieces we allow a choked peer, and only while it has fewer pieces than this (BEP 6).
pub const ALLOWED_FAST_SET: usize = 10;

/// Addresses of liars that one torrent remembers; beyond, another one is forgotten. Its driver remembers
/// them for all torrents.
pub const BANNED_MAX: usize = 4096;

/// Corrupt pieces under investigation; beyond, the oldest is forgotten.
pub const SUSPECT_PIECES_MAX: usize = 64;

/// Connections that ended and whose figures are kept to be looked at; beyond, the oldest is forgotten
/// (guess: enough to see where a torrent came from).
pub const DEPARTED_MAX: usize = 64;

/// Addresses of each kind (come, gone) in a peer exchange message that we send (BEP 11).
pub const PEX_CONTACTS_MAX: usize = 50;

/// A peer is told at most this often (BEP 11: once a minute).
pub const PEX_INTERVAL: Duration = Duration::from_secs(60);

/// A peer exchange message that follows another within this time came too early. Less than the
/// minute, because the network may delay the first one.
pub const PEX_EARLY_AFTER: Duration = Duration::from_secs(45);

/// So many more messages may come too early than in time; libtorrent disconnects at six in a minute.
pub const PEX_EARLY_MAX: u8 = 5;

/// Departures remembered for those who are to be told of them; beyond, the oldest is forgotten. Two
/// messages' worth.
pub const PEX_DEPARTURES_MAX: usize = 2 * PEX_CONTACTS_MAX;

/// Addresses in the table that one peer named and that nobody has been met at; what it names beyond is
/// not kept. Two messages' worth.
pub const PEX_CANDIDATES_PER_PEER: usize = 100;

/// Addresses in the table that peers named: half of it, so that liars leave room for trackers.
pub const PEX_CANDIDATES_MAX: usize = CANDIDATES_MAX / 2;

/// Ports of one public address that are believed: else peer exchange could aim a swarm at a stranger.
pub const PEX_PORTS_PER_IP: usize = 3;

/// Failed attempts after which an address that a peer named is given up: trackers' word is better.
pub const PEX_FAILURES_MAX: u8 = 2;

/// Attempts under way at once to addresses that peers of one network (IPv4 /16, IPv6 /32) named.
pub const PEX_ATTEMPTS_PER_NETWORK: usize = 6;

/// So many of those that failed leave a network one attempt at a time: the rest are for others.
pub const PEX_FAILED_MANY: usize = 12;

/// What a peer named and nobody was met at counts against it for so long after it was given up.
pub const PEX_REMEMBERED_FOR: Duration = Duration::from_secs(30 * 60);

/// A peer that is silent for so long in the middle of an exchange gives way to one that comes under the
/// same id: it has likely moved to another network (guess: less than the half minute after which it comes
/// again if it was sent away; more than a slow line needs for a block).
pub const LOST_AFTER: Duration = Duration::from_secs(10);

/// Bytes of a message of an extension that is carried for an application; a longer one ends the
/// connection. The overlay's frames, the longest of which has 18,496.
pub const APPLICATION_BYTES_MAX: usize = 20 * 1024;

/// Bytes a second of such messages that a peer may send, and how many at once; past it it is
/// disconnected. The overlay lets a peer have 256 KiB of records a second, and what is around them
/// (guess: twice that, and a reconciliation's worth in a row).
pub const APPLICATION_PER_S: u64 = 512 * 1024;
/// See [`APPLICATION_PER_S`].
pub const APPLICATION_BURST: u64 = 8 * 1024 * 1024;

/// Holes that are made at a peer's word or for it, at once, times [`HOLEPUNCH_COST`]: two dozen (guess:
/// what somebody asks for who has just come to know a page of peers).
pub const HOLEPUNCH_BURST: u64 = 24 * HOLEPUNCH_COST;

/// And then one in so many seconds. A hole costs us two messages of 14 bytes, and whoever we send out
/// some packets of 20: no more than peer exchange makes us send by naming strangers.
pub const HOLEPUNCH_COST: u64 = 5;

/// Addresses for which it is remembered who could bring us together with whoever is there; further ones
/// are not remembered.
pub const INTRODUCED_MAX: usize = PEX_CANDIDATES_MAX;

/// Peers that are remembered for each: after so many refusals it is given up.
pub const INTRODUCERS_MAX: usize = 3;

/// Answers to our own requests to be brought together that are waited for at once; with more, nobody is
/// asked (guess: those under way at once).
pub const RENDEZVOUS_MAX: usize = CONNECTING_MAX;

/// An answer that has not come for so long does not come (guess: it costs both of the others a round
/// trip).
pub const RENDEZVOUS_TIMEOUT: Duration = Duration::from_secs(30);

/// Holes that are being made at once (guess: half of the attempts at connecting otherwise).
pub const PUNCHING_MAX: usize = CONNECTING_MAX / 2;

/// Changes in what we have that a peer is told of one by one; with more, it is cheaper for both to
/// connect anew.
pub const HAVES_AT_ONCE_MAX: u32 = 2000;

/// Losses kept for a peer while the number of pieces is not known yet.
pub const EARLY_LOSSES_MAX: usize = 1000;

/// A super-seed shows each peer one piece at a time, or as many small ones as come to this many
/// bytes: a fast peer would else wait a round trip for each (libtorrent shows two).
pub const SUPER_SEED_AHEAD_BYTES: u32 = 512 * 1024;

/// A super-seed waits this long for a piece to turn up elsewhere (guess: its new owner has to choose
/// somebody to give to, every 10 s, and to send it).
pub const SUPER_SEED_PATIENCE: Duration = Duration::from_secs(60);

/// A seed suggests pieces ahead of what it is asked for (BEP 6) that come to this many bytes: what a peer
/// may ask for before the next suggestion reaches it (guess).
pub const SUGGEST_AHEAD_BYTES: u32 = 1024 * 1024;

/// The same, in pieces.
pub const SUGGEST_AHEAD_PIECES_MAX: usize = 16;

/// Suggestions of a peer that are remembered.
pub const SUGGESTED_BY_PEER_MAX: usize = 32;

/// Pieces that a peer has begun to ask a seed for and that nobody else has; beyond, the oldest counts as
/// promised for good.
pub const PROMISED_MAX: usize = 64;

/// Super-seeding ends when each piece is at so many others: one of them may leave.
pub const SUPER_SEED_COPIES: u32 = 2;

/// A piece that fewer connected peers have than this is rare, to a seed.
pub const RARE_COPIES: u16 = 3;

/// Rare pieces that a seed looks at in a round: enough to see who lacks what.
pub const RARE_PIECES_MAX: usize = 64;

/// Rare pieces under watch; beyond, the oldest is forgotten.
pub const SPREAD_LOG_MAX: usize = 512;

/// A rare piece that is seen nowhere else after this time was not passed on.
pub const SPREAD_PATIENCE: Duration = Duration::from_secs(120);

/// A rare piece counts as passed on when it was seen at so many others at different addresses, or at
/// all who lack it if they are fewer: two who praise each other prove nothing.
pub const SPREAD_WITNESSES: usize = 2;

/// Whoever passes on one in so many rare pieces is served first. Of many pieces it cannot be said who
/// passed them on, and slow uplinks do what they can (guess).
pub const SPREAD_SHARE: u32 = 8;

/// A peer of which nothing is known is ahead of others until it has got so much of what nobody else has:
/// the first copy of a torrent goes to many.
pub const SPREAD_CREDIT_BYTES: u32 = 512 * 1024;

/// And at least so many pieces.
pub const SPREAD_CREDIT_PIECES: u32 = 2;

/// A turn of a seed's round robin ends after so many rounds of the choker if others wait: a minute.
pub const SEEDING_TURN_ROUNDS: u64 = 6;

/// Or after so many bytes (libtorrent's `seeding_piece_quota` is 20 pieces).
pub const SEEDING_QUOTA_BYTES: u64 = 16 << 20;

/// What a peer gets on trust, if it could give something: a part of the torrent, so that who gives to
/// nobody needs more peers than there usually are.
pub const TRUST_PARTS: u64 = 200;

/// But at least so many bytes, and a piece: something to trade.
pub const TRUST_BYTES_MIN: u64 = 256 * 1024;

/// And at most this or a piece: an optimistic unchoke at 1 MiB/s shared by eight lasts 8 s for it.
pub const TRUST_BYTES_MAX: u64 = 1 << 20;

/// The same again after so many seconds.
pub const TRUST_RENEWED_S: u64 = 600;

/// So many pieces may be in parts, and are not missed when a peer says what it has.
pub const TRUST_PIECES_OPEN: u64 = 4;

/// Beyond that a peer is in debt if it took more than this many times what it gave: whoever has a
/// slow line gives less than it takes.
pub const TRUST_FACTOR: u64 = 4;

/// Addresses whose balance is remembered when they leave; beyond, the smallest is forgotten.
pub const LEDGER_MAX: usize = 128;

/// Under the proportional policy up to this many times the unchoke slots share what is sent.
pub const PROPORTIONAL_PEERS: usize = 3;

/// The part of it that goes to peers on trust (Levin et al. keep a part for newcomers as well; how
/// much is our guess: what tit for tat's optimistic slot comes to).
pub const PROPORTIONAL_TRUST_PERCENT: u64 = 15;

/// With shares, what is handed to the driver ahead of the sockets is a second's worth of what is sent,
/// of all peers together, and at least this many bytes.
pub const SHARED_AHEAD_MIN: u64 = 64 * BLOCK_SIZE as u64;

/// The same at most.
pub const SHARED_AHEAD_MAX: u64 = 16 * SEND_AHEAD_MAX as u64;

const _: () = assert!(PEX_CANDIDATES_PER_PEER < PEX_CANDIDATES_MAX);
const _: () = assert!(PEX_EARLY_AFTER.as_secs() < PEX_INTERVAL.as_secs());
const _: () = assert!(PIPELINE_MIN < PIPELINE_MAX && PIPELINE_MAX <= UPLOAD_QUEUE_MAX);
const _: () = assert!(PIPELINE_UNPROVEN <= PIPELINE_MIN);
const _: () = assert!(SLOT_LOST_AFTER.as_secs() < SLOT_LOST_AFTER_MAX.as_secs());
const _: () = assert!(SLOT_IDLE_AFTER.as_secs() <= RATE_WINDOW_S);
const _: () = assert!(URGENT_QUEUE_TIME.as_secs() < PIPELINE_TIME_S);
const _: () = assert!(HURRY_INTERVAL.as_nanos() < STALLED_AFTER.as_nanos());
const _: () = assert!(KEEP_ALIVE_AFTER.as_secs() < IDLE_AFTER.as_secs());
const _: () = assert!(SEND_AHEAD_MAX >= REQUEST_LEN_MAX);

//! How many neighbours there are, whom they may name, and how often anything is done about it. Each
//! bound says its unit, what happens past it and where it comes from.

use std::time::Duration;

/// Neighbours that a node calls itself and always wants. Three links of everybody's own choice connect
/// a random network surely (a random graph with two has one part), and those who call
/// make it six links a node on average; HyParView's evaluation has five.
pub const OUT_WANTED: usize = 3;

/// Neighbours that a node wants at least, whoever called: with fewer it calls more than
/// [`OUT_WANTED`], one after the other.
pub const ACTIVE_WANTED: usize = 5;

/// Neighbours that a node has called at the most, those included that it keeps because they lead to a part
/// of the network that it had no part in.
pub const OUT_MAX: usize = 6;

/// Of more than one beyond [`OUT_WANTED`] the one that is worth least is let go when it has been a
/// neighbour for this time: by then shuffles have mixed what had been apart.
pub const OUT_SPARE: Duration = Duration::from_secs(900);

/// How long it waits before each of those that it calls because few have called: others may meanwhile.
pub const TOP_UP_EVERY: Duration = Duration::from_secs(30);

/// The least that may be set in place of [`ACTIVE_WANTED`]: with two called by each node a network holds
/// together.
pub const NEIGHBOURS_MIN: usize = 3;

/// And the most: forty links, and as many records of each change of an index.
pub const NEIGHBOURS_MAX: usize = 16;

/// Neighbours that called us; past them who calls is refused, or another gives way to somebody who has
/// no neighbour at all. Twice as many as there are on average, so that a newcomer finds a place at the
/// first or second try, also where a third of the nodes cannot be called.
pub const IN_MAX: usize = 8;

/// Neighbours that called and are in a network (/24, or /48 of IPv6) in which another neighbour is, as
/// long as places are left: one operator's addresses get no more than half of them.
pub const IN_CROWD_MAX: usize = IN_MAX / 2;

/// Neighbours who are longest with us and never give way to newcomers (eclipse).
pub const PROTECTED: usize = 2;

/// Links at a time that come from outside and are no neighbours (yet); past them the next is closed.
pub const PENDING_IN_MAX: usize = 8;

/// The same for one who indexes for others: when half of those who do die, some hundred nodes call each of the others
/// within seconds, and each call takes a round trip or two.
pub const PENDING_IN_MAX_SUPER: usize = 64;

/// Links of one address at a time; past them the next is closed. People behind one NAT are several.
pub const PER_ADDRESS_MAX: usize = 3;

/// Peers of whom we know where they are, besides neighbours; past them one gives way. HyParView's
/// evaluation has 30.
pub const PASSIVE_MAX: usize = 30;

/// Those of them who once were neighbours, and are not given up for peers we have only heard of: they
/// lead back after a partition, and nobody can invent them.
pub const FRIENDS_MAX: usize = 10;

/// How long somebody who called us was a neighbour before he is one of them; whom we called is at once.
pub const FRIEND_AFTER: Duration = Duration::from_secs(600);

/// Peers in one network (/24, or /48 of IPv6) of whom we know, unless the addresses are private.
pub const PASSIVE_SUBNET_MAX: usize = 3;

/// Fewer known peers than these, and a newcomer asks for some as it joins.
pub const PASSIVE_FEW: usize = 10;

/// Addresses that are taken from the meeting place at a time.
pub const MET_MAX: usize = 64;

/// Calls under way at a time; past them the next waits.
pub const DIALS_MAX: usize = 20;

/// Calls a second, and at once: what a liar who invents addresses can have a node send.
pub const DIALS_PER_S: (u64, u64) = (3, 24);

/// After this time a call that nobody has answered no longer holds up the next (two round trips around
/// the globe and a handshake).
pub const DIAL_PATIENCE: Duration = Duration::from_millis(1_500);

/// After this time a call counts as in vain, whether the driver says so or not. A link that comes of it
/// later is welcome.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a peer that did not answer is let be, doubled with each time and at most
/// [`RETRY_MAX`].
pub const RETRY_FIRST: Duration = Duration::from_secs(20);

/// See [`RETRY_FIRST`].
pub const RETRY_MAX: Duration = Duration::from_secs(3_600);

/// Calls in vain after which a peer is forgotten: one of whom we have only heard, and one who was a
/// neighbour.
pub const FAILURES_MAX: (u8, u8) = (2, 8);

/// How long somebody is let be who could not be called because there is a link with him already. It is no failure,
/// and the link may be gone then.
pub const LINKED_WAIT: Duration = Duration::from_secs(60);

/// How long a peer that refused is not asked again.
pub const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// A link on which nobody has said who he is or become a neighbour is closed after this time.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// A link that was made to compare records only is closed after this time.
pub const VISIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Nothing was heard for so long since something was sent: the peer is asked whether it is there.
pub const SILENCE_ASK: Duration = Duration::from_secs(2);

/// And for so long since it was asked: somebody else is called besides.
pub const SILENCE_DOUBT: Duration = Duration::from_secs(2);

/// And for so long since then: the link is closed. A line whose queues hold seconds gets over it.
pub const SILENCE_END: Duration = Duration::from_secs(16);

/// How often the neighbour that was not heard for longest is asked whether it is there, if that is as
/// long ago. So who has lost all neighbours without a word finds out although nothing happens. When half of
/// ten thousand nodes die so, 99.96 % of the others have what is under way within ten seconds; with 8 s
/// they are 99.7 % and with 20 s 99.3 %. It costs 24 messages of one byte a minute.
pub const PROBE_EVERY: Duration = Duration::from_secs(5);

/// When one neighbour is found silent, all others are asked that were not heard for so long.
pub const PROBE_FRESH: Duration = Duration::from_secs(5);

/// How often a node tells another of some peers, on average (HyParView says "periodically"; at this
/// pace what is known is new after an hour).
pub const SHUFFLE_EVERY: Duration = Duration::from_secs(60);

/// Steps of a shuffle's walk.
pub const SHUFFLE_STEPS: u8 = 4;

/// Neighbours and other known peers that a shuffle names (HyParView's evaluation: 3 and 4).
pub const SHUFFLE_NAMES: (usize, usize) = (3, 4);

/// One of so many shuffles is a visit instead: somebody who is no neighbour is called, records are
/// compared, and the link is closed again. So islands merge.
pub const VISIT_ONE_OF: u64 = 10;

/// How often the meeting place is asked although nobody is missing, on average: whom it names gets
/// visited.
pub const MEET_EVERY: Duration = Duration::from_secs(1_800);

/// How long to wait for the meeting place's next answer when there is no neighbour: doubled each time,
/// up to [`MEET_MAX`].
pub const MEET_FIRST: Duration = Duration::from_secs(5);

/// See [`MEET_FIRST`].
pub const MEET_MAX: Duration = Duration::from_secs(600);

/// Steps that the news of a newcomer walks (HyParView's ARWL).
pub const JOIN_STEPS: u8 = 6;

/// At which step before the last it is noted, too (HyParView's PRWL).
pub const JOIN_NOTED_AT: u8 = 3;

/// Walks on which the news of one newcomer is sent. HyParView sends it to all neighbours, for each to
/// call him; here newcomers call themselves, and the news only makes them known.
pub const JOIN_WALKS: usize = 2;

/// Newcomers a second of whom neighbours are told, and at once, all links together.
pub const JOINS_PER_S: (u64, u64) = (1, 20);

/// Walks a second that one link may have us take part in, and at once; further ones end here.
pub const WALKS_PER_S: (u64, u64) = (1, 20);

/// Shuffles whose way back is known; past them the oldest is forgotten.
pub const WAYS_BACK_MAX: usize = 64;

/// How long the way back is known.
pub const WAY_BACK: Duration = Duration::from_secs(30);

/// Neighbours a second that give way to somebody without any: one each ten seconds (the bucket counts
/// tenths).
pub const DISPLACED_PER_10_S: (u64, u64) = (1, 20);

/// What one displacement takes of [`DISPLACED_PER_10_S`].
pub const DISPLACED_COST: u64 = 10;

/// Messages a second on one link, and at once; past them it is closed.
pub const MESSAGES_PER_S: (u64, u64) = (200, 4_000);

/// A peer's standing, which is known here only: from this on nothing more is gained.
pub const SCORE_MAX: i32 = 100;

/// At this standing a peer's link is closed, and it is not let in for [`BAN`].
pub const SCORE_MIN: i32 = -60;

/// See [`SCORE_MIN`].
pub const BAN: Duration = Duration::from_secs(3_600);

/// Peers that are not let in; past them the oldest is.
pub const BANNED_MAX: usize = 64;

/// Peers that index for others on whom a node leans, if it does not index itself: with three, losing half
/// of them at once leaves seven nodes of eight with one at least.
pub const SUPERS_WANTED: usize = 3;

/// Others who index on whom one who indexes leans; as many lean on it, on average.
pub const MESH_WANTED: usize = 6;

/// Nodes for which one indexes; past them who asks is refused. A link costs some ten kilobytes (guess).
pub const LEAVES_MAX: usize = 512;

/// Those places that are kept for nodes on whom nobody else indexes for.
pub const LEAVES_KEPT: usize = LEAVES_MAX / 8;

/// Who indexes takes somebody who leans on others, too, if so many percent of what those who do as it does and have few
/// have, and [`LOAD_SLACK`] are not exceeded; who is refused is told who has fewer.
pub const LOAD_PERCENT: usize = 108;

/// And lets some go who lean on others, too, past so many percent.
pub const LOAD_PERCENT_MAX: usize = 118;

/// See [`LOAD_PERCENT`]. Among few nodes it hardly matters who has how many.
pub const LOAD_SLACK: usize = 8;

/// How often that is looked at, and others who index are told how many lean on one that does, if that has changed by an
/// eighth.
pub const LOAD_EVERY: Duration = Duration::from_secs(5);

/// Nodes that are let go at a time for it.
pub const LET_GO_AT_ONCE: usize = 24;

/// Others who index that may lean on one that does; past them who asks is refused.
pub const MESH_MAX: usize = 32;

/// Those of [`MESH_WANTED`] who are longest there, and give way to nobody: who has some named that are his gets no more
/// than the others.
pub const MESH_KEPT: usize = 3;

/// Peers that indexed for a node and are gone without a word, whom it calls now and then; past them it forgets whom it
/// lost first.
pub const LOST_SUPERS_MAX: usize = 8;

/// How long after it was lost such a one is called: then after one of [`LOST_ONE_OF`] parts of the time that it is away,
/// this long at least, and [`LOST_MOST`] at the most. So the way back takes an eighth of the time that was to be got over;
/// in a day one that is dead is called some 180 times.
pub const LOST_FIRST: Duration = Duration::from_secs(20);

/// See [`LOST_FIRST`].
pub const LOST_ONE_OF: u32 = 8;

/// See [`LOST_FIRST`].
pub const LOST_MOST: Duration = Duration::from_secs(600);

/// How long after one of them the next is called, also when all of them may be there again.
pub const LOST_GAP: Duration = Duration::from_secs(5);

/// After this time they are forgotten; neighbours know others by then.
pub const LOST_TIME: Duration = Duration::from_secs(86_400);

/// How often who indexes asks a neighbour for one more, although it leans on enough, on average; who is new after
/// [`MIX_SOON`], and then twice as late each time, for those whom he knows first know each other. One link in place of
/// another costs some fifteen messages: 13 kB for two indexes, where each of 278 leaves has ten listings of four words. So
/// each of those who index has part in 0.05 messages and 43 bytes a second.
pub const MIX_EVERY: Duration = Duration::from_secs(600);

/// How soon it does if a neighbour that it has called is new.
pub const MIX_FIRST: Duration = Duration::from_secs(2);

/// And no sooner after it did before, however many are new.
pub const MIX_SOON: Duration = Duration::from_secs(30);

/// Peers at a time that are called, or were, to be asked something and let go; past them the next is not
/// called. They take no neighbour's place.
pub const SEEKS_MAX: usize = 16;

/// Calls of that kind a second, and at once: what somebody who has strangers named in the DHT can have a node
/// send them.
pub const SEEKS_PER_S: (u64, u64) = (4, 32);

/// Peers that index of which a node knows; past them one gives way by chance.
pub const SUPERS_KNOWN_MAX: usize = 16;

/// How long to wait before the next is looked for: doubled each time that nobody is known, up to
/// [`LEAN_MAX`].
pub const LEAN_FIRST: Duration = Duration::from_secs(2);

/// See [`LEAN_FIRST`]. Where nobody indexes it is what asking for them costs: a message of one byte, and
/// an answer of one.
pub const LEAN_MAX: Duration = Duration::from_secs(60);

/// Who leans on nobody asks all neighbours at once as long as it would wait for less than this, then one at a time: in a
/// network where nobody indexes that would be a fifth of what it costs at rest.
pub const ASK_ONE_FROM: Duration = Duration::from_secs(16);

const _: () = assert!(OUT_WANTED <= ACTIVE_WANTED && ACTIVE_WANTED < OUT_MAX);
const _: () = assert!(PROTECTED < IN_MAX && PENDING_IN_MAX < PENDING_IN_MAX_SUPER);
const _: () = assert!(LEAVES_KEPT < LEAVES_MAX && LEAVES_MAX < u16::MAX as usize);
const _: () = assert!(LOAD_PERCENT < LOAD_PERCENT_MAX && LOAD_PERCENT > 100);
const _: () = assert!(MESH_WANTED <= crate::wire::limits::LEANS_MAX as usize);
const _: () = assert!(MESH_KEPT < MESH_WANTED && MESH_WANTED <= MESH_MAX);
const _: () = assert!(MIX_FIRST.as_millis() < MIX_SOON.as_millis());
const _: () = assert!(FRIENDS_MAX < PASSIVE_MAX && JOIN_NOTED_AT < JOIN_STEPS);
const _: () = assert!(JOIN_STEPS <= crate::wire::limits::WALK_STEPS_MAX);
const _: () = assert!(SHUFFLE_STEPS <= crate::wire::limits::WALK_STEPS_MAX);
const _: () =
    assert!(SHUFFLE_NAMES.0 + SHUFFLE_NAMES.1 <= crate::wire::limits::SHUFFLE_CONTACTS_MAX);

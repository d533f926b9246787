//! How much the crawler asks, believes and remembers. Each bound says its unit, what happens past it and
//! where it comes from.

/// Questions a second at the most, whatever the settings say. What a node of the DHT asks others when it is busy is a
/// multiple of it (guess).
pub const CRAWL_PER_S_MAX: u32 = 10;

/// Questions under way at a time; no further one is asked until one of them is answered or lost (guess).
pub const CRAWL_FLIGHT_MAX: usize = 64;

/// Nodes that are known and were not asked yet; with more, those that would be asked last are forgotten
/// (guess: 2 MB).
pub const FRONTIER_MAX: usize = 16_384;

/// Nodes that were asked and are not to be asked again for a while; with more, nobody is asked until some may be.
/// At the highest rate as many as are asked in the longest interval: 40 MB then, and a third of it at the usual rate.
pub const RESTING_MAX: usize = 216_000;

/// Nodes of one network (/24, /48) that are known at a time, be they asked or not: whoever has such a network can
/// make up as many as he likes (guess).
pub const NETWORK_NODES_MAX: usize = 16;

/// The shortest time, in seconds, after which a node is asked again, whatever it says (guess).
pub const INTERVAL_MIN_S: u32 = 5 * 60;

/// The longest interval that a node may ask for, in seconds (BEP 51).
pub const INTERVAL_MAX_S: u32 = 6 * 60 * 60;

/// Seconds after which a node that did not answer, or does not know the question, may be asked again (guess).
pub const REST_S: u64 = 60 * 60;

/// Info-hashes that were named by one network alone and wait for a second one; with more, the first is forgotten
/// (guess: 15 MB).
pub const SIGHTINGS_MAX: usize = 131_072;

/// Of these, as many may be one network's; what it names besides is not noted. A node has 20 in an answer as a
/// rule, and 2,000 at most.
pub const NETWORK_SIGHTINGS_MAX: u32 = 512;

/// Info-hashes that two have named and whose name is still to be found out; with more, the first is forgotten
/// (guess).
pub const READY_MAX: usize = 4_096;

/// Info-hashes whose names were found out, or could not be; they are not looked at again until as many others have
/// been (guess: 12 MB).
pub const DONE_MAX: usize = 131_072;

/// Questions in a row without an answer after which half as many are asked (guess: of the nodes that others name a
/// third is gone).
pub const FAILURES_MAX: u32 = 24;

/// It is never slower than by this factor.
pub const SLOWEST: u32 = 64;

/// Answers in a row after which twice as many questions are asked, up to the rate that is set (guess).
pub const ANSWERS_TO_SPEED: u32 = 8;

/// A node is asked for others whose names differ from its own in one of so many bits: of 16 million nodes, two
/// that are next to each other have as many in common.
pub const ELSEWHERE_BITS: usize = 24;

/// Seconds between two looks for somebody to ask if nobody is known.
pub const IDLE_S: u64 = 10;

// Nobody is forgotten whom it would be too early to ask again.
const _: () = assert!(RESTING_MAX as u64 >= CRAWL_PER_S_MAX as u64 * INTERVAL_MAX_S as u64);
const _: () = assert!(INTERVAL_MIN_S <= INTERVAL_MAX_S && REST_S <= INTERVAL_MAX_S as u64);

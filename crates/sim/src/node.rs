//! What the simulated networks of nodes have in common, those of the DHT and those of the overlay.

use crate::limits::{LATENCY_MAX, LATENCY_MIN};
use althing_base::Instant;
use althing_base::time::Duration;

/// A node, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// No instant is later.
pub(crate) const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// SplitMix64's last steps: neighbouring numbers become unrelated ones, so that each pair of nodes has a
/// delay of its own without a table of them.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// How long a message is under way between two hosts, the same both ways.
pub(crate) fn latency(map: u64, one: NodeIndex, other: NodeIndex) -> Duration {
    let (low, high) = (one.0.min(other.0), one.0.max(other.0));
    let pair = map ^ (u64::from(high) << 32 | u64::from(low));
    let mixed = mix(pair.wrapping_add(0x9e37_79b9_7f4a_7c15));
    let range = (LATENCY_MAX - LATENCY_MIN).as_nanos() as u64;
    LATENCY_MIN + Duration::from_nanos(mixed % (range + 1))
}

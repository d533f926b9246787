//! What the simulated networks of nodes have in common, those of the DHT and those of the overlay.

use althing_base::Instant;

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

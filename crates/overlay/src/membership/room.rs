//! How many neighbours a node has room for.

use super::limits::{
    ACTIVE_WANTED, IN_CROWD_MAX, IN_MAX, NEIGHBOURS_MAX, NEIGHBOURS_MIN, OUT_MAX, OUT_WANTED,
};

/// How many neighbours a node wants at least, whoever called; how many it calls and lets call follows from
/// that, in the proportions in which [`ACTIVE_WANTED`], [`OUT_WANTED`], [`OUT_MAX`] and [`IN_MAX`] are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbours(usize);

impl Default for Neighbours {
    fn default() -> Self {
        Neighbours(ACTIVE_WANTED)
    }
}

impl Neighbours {
    /// So many at least, from [`NEIGHBOURS_MIN`] to [`NEIGHBOURS_MAX`]; the nearest of these if it is another
    /// number.
    pub fn at_least(count: usize) -> Self {
        Neighbours(count.clamp(NEIGHBOURS_MIN, NEIGHBOURS_MAX))
    }

    /// How many are wanted at least.
    pub(super) fn wanted(self) -> usize {
        self.0
    }

    /// How many of them it always calls itself.
    pub(super) fn out_wanted(self) -> usize {
        self.part(OUT_WANTED).max(2)
    }

    /// How many it has called at the most.
    pub(super) fn out_max(self) -> usize {
        self.part(OUT_MAX).max(self.0 + 1)
    }

    /// How many may have called.
    pub(super) fn in_max(self) -> usize {
        self.part(IN_MAX)
    }

    /// How many of these may be in one network.
    pub(super) fn in_crowd_max(self) -> usize {
        self.part(IN_CROWD_MAX)
    }

    fn part(self, usual: usize) -> usize {
        self.0 * usual / ACTIVE_WANTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::limits::PROTECTED;

    #[test]
    fn the_usual_number_gives_the_usual_places() {
        let usual = Neighbours::default();
        let places = [usual.wanted(), usual.out_wanted(), usual.out_max(), usual.in_max()];
        assert_eq!(places, [ACTIVE_WANTED, OUT_WANTED, OUT_MAX, IN_MAX]);
        assert_eq!(usual.in_crowd_max(), IN_CROWD_MAX);
        for count in 0..100 {
            let some = Neighbours::at_least(count);
            assert!(some.out_wanted() >= 2 && some.out_wanted() <= some.wanted());
            assert!(some.out_max() > some.wanted() && some.in_max() > PROTECTED);
            // Each that is called is room that somebody else has to have.
            assert!(some.in_max() >= 2 * some.out_wanted() && some.in_crowd_max() > 0);
        }
    }
}

//! Sequence numbers: 16 bits that wrap (BEP 29). They count packets, not bytes.

use std::fmt;

/// The number of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(pub u16);

impl Seq {
    /// The number `count` packets later.
    #[must_use]
    pub const fn plus(self, count: u16) -> Seq {
        Seq(self.0.wrapping_add(count))
    }

    /// The number `count` packets earlier.
    #[must_use]
    pub const fn minus(self, count: u16) -> Seq {
        Seq(self.0.wrapping_sub(count))
    }

    /// How many packets this is after `earlier`: negative if it is before it. Of the two ways around
    /// the circle the shorter one is meant.
    pub const fn after(self, earlier: Seq) -> i32 {
        self.0.wrapping_sub(earlier.0) as i16 as i32
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_way_around_counts() {
        assert_eq!(Seq(3).after(Seq(65_535)), 4);
        assert_eq!(Seq(65_535).after(Seq(3)), -4);
        assert_eq!(Seq(65_530).plus(10), Seq(4));
        assert_eq!(Seq(4).minus(10), Seq(65_530));
        assert_eq!(Seq(0).after(Seq(0)), 0);
    }
}

//! Addresses that are to be kept out, by lists as users collect them: hundreds of thousands of
//! ranges, merged and sorted once, so that a look takes some twenty comparisons.

mod parse;
mod unpack;

use std::net::IpAddr;

pub use parse::Report;
pub use unpack::{UnpackError, unpack};

/// Ranges of addresses, sorted; none touches another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IpFilter {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl IpFilter {
    /// Reads a list; what it has that is no range is skipped and counted.
    ///
    /// It may be in any of these forms, also mixed: PeerGuardian's (`name:first-last`), eMule's
    /// (`first - last , level , name`; a level above 127 means that the range is allowed),
    /// `address/prefix`, `first-last`, and single addresses.
    pub fn parse(list: &[u8]) -> (Self, Report) {
        parse::parse(list)
    }

    /// A filter of ranges, first and last address each; ranges whose ends are of two kinds, or the
    /// wrong way round, are left out.
    pub fn new(ranges: impl IntoIterator<Item = (IpAddr, IpAddr)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (first, last) in ranges {
            match (first.to_canonical(), last.to_canonical()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        IpFilter {
            v4: merged(v4, |last| last.checked_add(1)),
            v6: merged(v6, |last| last.checked_add(1)),
        }
    }

    /// Whether `ip` is to be kept out.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => within(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => within(&self.v6, ip.to_bits()),
        }
    }

    /// How many ranges there are, after those that touch have become one.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it keeps nobody out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sorts ranges and makes one of those that overlap or touch.
fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>, after: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.retain(|(first, last)| first <= last);
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            // Where there is nothing after the last one, everything touches it.
            Some(before) if after(before.1).is_none_or(|next| first <= next) => {
                before.1 = before.1.max(last);
            }
            _ => merged.push((first, last)),
        }
    }
    merged.shrink_to_fit();
    merged
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], ip: T) -> bool {
    let above = ranges.partition_point(|(first, _)| *first <= ip);
    above.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| ip <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(ip: &str) -> IpAddr {
        ip.parse().expect("an address")
    }

    #[test]
    fn the_ends_belong_to_a_range() {
        let filter = IpFilter::new([
            (ip("10.0.0.5"), ip("10.0.0.7")),
            (ip("255.255.255.255"), ip("255.255.255.255")),
            (ip("::"), ip("::1")),
        ]);
        for (addr, blocked) in [
            ("10.0.0.4", false),
            ("10.0.0.5", true),
            ("10.0.0.7", true),
            ("10.0.0.8", false),
            ("255.255.255.255", true),
            ("::", true),
            ("::2", false),
            ("::ffff:10.0.0.6", true),
        ] {
            assert_eq!(filter.blocks(ip(addr)), blocked, "{addr}");
        }
    }

    #[test]
    fn everything_can_be_kept_out() {
        let all =
            IpFilter::new([(ip("0.0.0.0"), ip("255.255.255.255")), (ip("1.0.0.0"), ip("2.0.0.0"))]);
        assert_eq!(all.len(), 1);
        assert!(
            all.blocks(ip("0.0.0.0"))
                && all.blocks(ip("255.255.255.255"))
                && !all.blocks(ip("::1"))
        );
    }

    fn small() -> impl Strategy<Value = Vec<(u8, u8)>> {
        proptest::collection::vec((any::<u8>(), any::<u8>()), 0..24)
    }

    proptest! {
        /// Against a table of all addresses of a small network, for both kinds.
        #[test]
        fn it_blocks_what_a_table_blocks(ranges in small(), v6: bool) {
            let addr = |low: u8| if v6 { IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, low]) } else { IpAddr::from([10, 0, 0, low]) };
            let filter = IpFilter::new(ranges.iter().map(|(first, last)| (addr(*first), addr(*last))));
            let mut table = [false; 256];
            for (first, last) in &ranges {
                for low in *first..=*last {
                    table[usize::from(low)] = true;
                }
            }
            for low in 0..=255u8 {
                prop_assert_eq!(filter.blocks(addr(low)), table[usize::from(low)], "{}", low);
            }
            // As few ranges as there are runs in the table.
            let runs = (0..256).filter(|at| table[*at] && (*at == 0 || !table[*at - 1])).count();
            prop_assert_eq!(filter.len(), runs);
        }
    }
}

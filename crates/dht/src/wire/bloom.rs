//! Sets of addresses that can be counted and united without being listed (BEP 33).

use althing_base::hash::sha1;
use std::fmt;
use std::net::IpAddr;

/// A Bloom filter of 2,048 bits, two for each address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bloom(pub [u8; Bloom::LEN]);

impl Bloom {
    /// Its length in bytes.
    pub const LEN: usize = 256;

    /// Its length in bits.
    const BITS: usize = 8 * Self::LEN;

    /// The empty set.
    pub const EMPTY: Bloom = Bloom([0; Self::LEN]);

    /// Puts an address in.
    pub fn insert(&mut self, ip: IpAddr) {
        let digest = match ip.to_canonical() {
            IpAddr::V4(v4) => sha1(&v4.octets()),
            IpAddr::V6(v6) => sha1(&v6.octets()),
        };
        let [a, b, c, d, ..] = digest.0;
        for index in [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])] {
            let bit = usize::from(index) % Self::BITS;
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Puts in all that is in `other`.
    pub fn unite(&mut self, other: &Bloom) {
        for (byte, theirs) in self.0.iter_mut().zip(other.0) {
            *byte |= theirs;
        }
    }

    /// About how many addresses are in it; beyond about 6,000 the estimate stays where it is.
    pub fn estimate(&self) -> f64 {
        let bits = Self::BITS as f64;
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let zeros = f64::from(zeros).clamp(1.0, bits);
        (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom(about {:.0})", self.estimate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// BEP 33's example: 192.0.2.0 to 192.0.2.255, and 2001:db8:: to 2001:db8::3e7.
    #[test]
    fn the_example_of_bep_33() {
        let mut bloom = Bloom::EMPTY;
        for last in 0..=255 {
            bloom.insert(Ipv4Addr::new(192, 0, 2, last).into());
        }
        for last in 0..=0x3e7 {
            bloom.insert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into());
        }
        let start = [0xF6, 0xC3, 0xF5, 0xEA, 0xA0, 0x7F, 0xFD, 0x91, 0xBD, 0xE8, 0x9F, 0x77];
        assert_eq!(bloom.0[..12], start);
        assert!((bloom.estimate() - 1224.9308).abs() < 0.001, "{}", bloom.estimate());
    }

    #[test]
    fn a_full_one_is_still_a_number() {
        assert!(Bloom([0xff; Bloom::LEN]).estimate().is_finite());
        assert!(Bloom::EMPTY.estimate().abs() < f64::EPSILON);
    }
}

//! Names of nodes: 160 bits, whose exclusive or is how far two are apart (Maymounkov and Mazières
//! 2002), and which of them an address may have (BEP 42).
//!
//! Whoever may choose his name freely stands next to any key he likes. BEP 42 ties the first 21 bits to
//! the node's address, so that to be near a key takes as many addresses as it has nodes near it.

use althing_base::{Rng, Sha1Digest};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A node's name, or a key: they share one space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; NodeId::LEN]);

/// How far two names are apart: their exclusive or, as a number of 160 bits, the highest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; NodeId::LEN]);

impl NodeId {
    /// Bytes of a name.
    pub const LEN: usize = 20;

    /// Bits of a name.
    pub const BITS: u32 = 160;

    /// `bytes` as a name, if they are as many as it has.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(NodeId)
    }

    /// A name out of nothing.
    pub fn random(rng: &mut Rng) -> Self {
        let mut id = [0; Self::LEN];
        rng.fill(&mut id);
        NodeId(id)
    }

    /// A name that the node at `ip` may have (BEP 42).
    pub fn for_address(ip: IpAddr, rng: &mut Rng) -> Self {
        let NodeId(mut id) = Self::random(rng);
        let [a, b, c] = prefix(ip.to_canonical(), id[19]);
        id[0] = a;
        id[1] = b;
        id[2] = c | (id[2] & FREE_BITS);
        NodeId(id)
    }

    /// Whether the node at `ip` may have this name (BEP 42). On private networks and on this
    /// machine every name will do, since nobody outside can be deceived by it.
    pub fn fits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let NodeId(id) = self;
        let [a, b, c] = prefix(ip, id[19]);
        is_exempt(ip) || (id[0] == a && id[1] == b && id[2] & !FREE_BITS == c)
    }

    /// How far `other` is from here.
    pub fn distance(&self, other: &NodeId) -> Distance {
        let mut xor = self.0;
        for (byte, theirs) in xor.iter_mut().zip(other.0) {
            *byte ^= theirs;
        }
        Distance(xor)
    }

    /// How many bits at the start both have in common, 0 to 160.
    pub fn shared_bits(&self, other: &NodeId) -> u32 {
        self.distance(other).leading_zeros()
    }
}

impl Distance {
    /// The name that is so far from another.
    pub fn seen_from(&self, other: &NodeId) -> NodeId {
        let Distance(name) = other.distance(&NodeId(self.0));
        NodeId(name)
    }

    /// Nothing is farther.
    pub const MAX: Distance = Distance([0xff; NodeId::LEN]);

    /// Zero bits at the start, 0 to 160: how many bits the two names share.
    pub fn leading_zeros(&self) -> u32 {
        let whole = self.0.iter().take_while(|byte| **byte == 0).count();
        let rest = self.0.get(whole).map_or(0, |byte| byte.leading_zeros());
        8 * u32::try_from(whole).unwrap_or(u32::MAX) + rest
    }

    /// Its part of the whole space, 0 to 1. The 53 highest bits that are not zero count.
    pub fn fraction(&self) -> f64 {
        self.0.iter().rev().fold(0.0, |rest, byte| (rest + f64::from(*byte)) / 256.0)
    }
}

impl From<Sha1Digest> for NodeId {
    fn from(digest: Sha1Digest) -> Self {
        NodeId(digest.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits shared", self.leading_zeros())
    }
}

/// Bits of a name's third byte that its address does not fix.
const FREE_BITS: u8 = 0x07;

/// The first 21 bits of a name of the node at `ip` whose last byte is `last`.
fn prefix(ip: IpAddr, last: u8) -> [u8; 3] {
    const MASK_V4: u32 = 0x030f_3fff;
    const MASK_V6: u64 = 0x0103_070f_1f3f_7fff;
    let salt = last & 7;
    let crc = match ip {
        IpAddr::V4(v4) => {
            let masked = u32::from(v4) & MASK_V4 | u32::from(salt) << 29;
            crc32c(&masked.to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let [net @ .., _, _, _, _, _, _, _, _] = v6.octets();
            let masked = u64::from_be_bytes(net) & MASK_V6 | u64::from(salt) << 61;
            crc32c(&masked.to_be_bytes())
        }
    };
    let [a, b, c, _] = crc.to_be_bytes();
    [a, b, c & !FREE_BITS]
}

/// Whether `ip` is on a network that nobody outside can reach. Bounds that keep one address from being
/// many nodes do not hold there: it deceives only itself.
pub(crate) fn is_exempt(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// The network of `ip` that most likely is one operator's: /24, or /48 of IPv6; `None` where
/// [`is_exempt`].
pub(crate) fn subnet(ip: IpAddr) -> Option<u64> {
    let ip = ip.to_canonical();
    (!is_exempt(ip)).then(|| match ip {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
        // No IPv6 network is as small a number as an IPv4 network, for 2000::/3 begins so much higher.
        IpAddr::V6(v6) => (u128::from(v6) >> 80) as u64,
    })
}

/// The key that is farthest from `me`. Bit by bit the half is taken that differs from it, if there is anything
/// in it: as many looks into the map as it has levels of two, about, whereas a flood of announces that
/// each look at every key keeps a core busy.
pub(crate) fn farthest<T>(map: &BTreeMap<NodeId, T>, me: &NodeId) -> Option<NodeId> {
    let (mut low, mut high) = (NodeId([0; NodeId::LEN]), NodeId([0xff; NodeId::LEN]));
    for bit in 0..NodeId::BITS {
        let mut within = map.range(low..=high);
        let (first, _) = within.next()?;
        if within.next_back().is_none() {
            return Some(*first);
        }
        let (byte, mask) = ((bit / 8) as usize, 0x80u8 >> (bit % 8));
        let with = |id: NodeId, is_set: bool| {
            let mut id = id;
            id.0[byte] = if is_set { id.0[byte] | mask } else { id.0[byte] & !mask };
            id
        };
        let ours = me.0[byte] & mask != 0;
        let (other_low, other_high) = (with(low, !ours), with(high, !ours));
        if map.range(other_low..=other_high).next().is_some() {
            (low, high) = (other_low, other_high);
        } else {
            (low, high) = (with(low, ours), with(high, ours));
        }
    }
    map.contains_key(&low).then_some(low)
}

/// CRC-32C (Castagnoli) of a few bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL * (crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};
    use proptest::prelude::*;

    /// BEP 42's examples: address, last byte, first three bytes (of which 21 bits count).
    const EXAMPLES: [(&str, u8, [u8; 3]); 5] = [
        ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
        ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
        ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
        ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
        ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
    ];

    #[test]
    fn addresses_have_the_names_that_bep_42_says() {
        for (ip, last, [a, b, c]) in EXAMPLES {
            let ip: IpAddr = ip.parse().unwrap();
            let mut id = [0; NodeId::LEN];
            (id[0], id[1], id[2], id[19]) = (a, b, c, last);
            assert!(NodeId(id).fits(ip), "{ip}");
            id[2] ^= 0x08;
            assert!(!NodeId(id).fits(ip), "{ip}");
        }
    }

    #[test]
    fn a_check_value_of_the_sum() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn a_name_made_for_an_address_fits_it(ip: IpAddr, seed: u64) {
            let id = NodeId::for_address(ip, &mut Rng::new(Seed::from_u64(seed)));
            prop_assert!(id.fits(ip));
        }

        #[test]
        fn the_farthest_is_found(keys: std::collections::BTreeSet<[u8; 20]>, me: [u8; 20], near: u8) {
            let me = NodeId(me);
            let mut map: BTreeMap<_, _> = keys.into_iter().map(|key| (NodeId(key), ())).collect();
            // Some that differ in their last bits alone.
            for last in 0..near % 8 {
                let mut key = me;
                key.0[19] ^= last;
                map.insert(key, ());
            }
            let by_all = map.keys().max_by_key(|key| key.distance(&me)).copied();
            prop_assert_eq!(farthest(&map, &me), by_all);
        }

        #[test]
        fn distances_are_a_metric(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let (a, b, c) = (NodeId(a), NodeId(b), NodeId(c));
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&a), Distance([0; 20]));
            // Exclusive or: the way over `b` is never shorter in its highest bit.
            let direct = a.distance(&c).leading_zeros();
            prop_assert!(direct >= a.distance(&b).leading_zeros().min(b.distance(&c).leading_zeros()));
        }

        #[test]
        fn fractions_are_in_the_order_of_distances(a: [u8; 20], b: [u8; 20]) {
            let (a, b) = (Distance(a), Distance(b));
            prop_assert!((0.0..=1.0).contains(&a.fraction()));
            prop_assert!(a > b || a.fraction() <= b.fraction());
        }
    }
}

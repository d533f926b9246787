//! Which pieces a choked peer may have anyway (BEP 6, "allowed fast set").

use crate::types::PieceIndex;
use althing_base::{Sha1Digest, hash};
use std::net::Ipv4Addr;

/// The `count` pieces that every peer lets the one at `ip` have while it is choked, in the order in
/// which BEP 6 draws them; all pieces if there are no more. BEP 6 has no set for IPv6.
///
/// The draw depends on the network (the first three bytes of the address), so that more addresses
/// there do not get more pieces.
pub fn allowed_fast_set(
    ip: Ipv4Addr,
    info_hash: Sha1Digest,
    piece_count: u32,
    count: usize,
) -> Vec<PieceIndex> {
    if piece_count as usize <= count {
        return (0..piece_count).map(PieceIndex).collect();
    }
    let [a, b, c, _] = ip.octets();
    let mut drawn = hash::sha1(&[&[a, b, c, 0], &info_hash.0[..]].concat());
    let mut set = Vec::with_capacity(count);
    while set.len() < count {
        for word in drawn.0.as_chunks::<4>().0 {
            let piece = PieceIndex(u32::from_be_bytes(*word) % piece_count);
            if set.len() < count && !set.contains(&piece) {
                set.push(piece);
            }
        }
        drawn = hash::sha1(&drawn.0);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, piece_count: u32, expected: &[u32]) {
        let ip = Ipv4Addr::new(80, 4, 4, 200);
        let set = allowed_fast_set(ip, Sha1Digest([0xaa; 20]), piece_count, count);
        assert_eq!(set, expected.iter().copied().map(PieceIndex).collect::<Vec<_>>());
    }

    #[test]
    fn vectors_of_bep_6() {
        check(7, 1313, &[1059, 431, 808, 1217, 287, 376, 1188]);
        check(9, 1313, &[1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn small_torrents_end() {
        check(7, 0, &[]);
        check(7, 3, &[0, 1, 2]);
        check(0, 3, &[]);
        let ip = Ipv4Addr::new(1, 2, 3, 4);
        let mut set = allowed_fast_set(ip, Sha1Digest::ZERO, 11, 10);
        set.sort();
        set.dedup();
        assert_eq!(set.len(), 10);
    }
}

//! Stamps of work: a number that took a while to find, so that a stranger's record costs its author more
//! than it costs those who carry it.
//!
//! The work is plain SHA-256, and not something that needs much memory, because what counts is what a
//! check costs: a node checks what strangers send before anything else is known of it. Graphics cards find
//! such numbers a thousand times as fast as the processors of those who publish honestly; a stamp slows a
//! flood down and does not stop it, caps and scores do.

use super::RecordId;
use althing_base::hash::Sha256;

/// How many zero bits the hash of a record's id and a number begins with: 0 to 256.
pub fn work(id: &RecordId, nonce: u64) -> u32 {
    let mut hash = Sha256::new();
    hash.update(b"althing stamp v1\0");
    hash.update(&id.0);
    hash.update(&nonce.to_be_bytes());
    let mut zeros = 0;
    for byte in hash.finish().0 {
        zeros += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    zeros
}

/// A number that makes for at least `bits` zero bits, if there is one among the `tries` from `from` on. It
/// takes two to the power of `bits` tries on average; with a bounded number of tries a caller gives
/// others their turn, and goes on from `from + tries`.
pub fn find(id: &RecordId, bits: u32, from: u64, tries: u64) -> Option<u64> {
    (from..from.saturating_add(tries)).find(|&nonce| work(id, nonce) >= bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_within_its_bounds_and_is_of_one_record() {
        let id = RecordId([7; 32]);
        let nonce = find(&id, 10, 0, 100_000).unwrap();
        assert!(work(&id, nonce) >= 10);
        assert_eq!(find(&id, 10, 0, nonce), None);
        assert_eq!(find(&id, 10, nonce, 1), Some(nonce));
        assert_eq!(find(&id, 0, 5, 1), Some(5));
        assert_eq!(find(&id, 0, 5, 0), None);
        assert_eq!(find(&id, 1, u64::MAX, 9), None);
        assert!(work(&RecordId([8; 32]), nonce) < 10);
    }
}

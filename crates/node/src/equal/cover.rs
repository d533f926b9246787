//! The same file in pieces of two lengths. Both are aligned to the file's start (BEP 52).

use std::ops::Range;

/// Pieces of `theirs` bytes that touch piece `n` of `ours` bytes, in a file of `size` bytes.
pub(super) fn touched(size: u64, ours: u32, theirs: u32, n: u32) -> Range<u32> {
    let (ours, theirs) = (u64::from(ours.max(1)), u64::from(theirs.max(1)));
    let start = (u64::from(n) * ours).min(size);
    let end = (start + ours).min(size);
    // A file has no more pieces than a `u32` counts.
    (start / theirs) as u32..end.div_ceil(theirs) as u32
}

/// Which of `wanted`, pieces of `theirs` bytes, are covered by pieces of `ours` bytes that are there.
pub(super) fn covered(
    size: u64,
    ours: u32,
    theirs: u32,
    wanted: Range<u32>,
    there: impl Fn(u32) -> bool,
) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for n in wanted {
        let mut parts = touched(size, theirs, ours, n);
        if parts.is_empty() || !parts.all(&there) {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == n => last.end += 1,
            _ => runs.push(n..n + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn smaller_pieces_make_a_larger_one_and_a_larger_one_several_smaller() {
        let all = |there: &[u32], ours, theirs| {
            let wanted = 0..100u32.div_ceil(theirs);
            let runs = covered(100, ours, theirs, wanted, |n| there.contains(&n));
            runs.into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(all(&[0, 1, 3], 16, 32), [0]);
        assert_eq!(all(&[0, 1, 2, 3, 6], 16, 32), [0, 1, 3]);
        assert_eq!(all(&[1, 3], 32, 16), [2, 3, 6]);
        assert!(all(&[], 32, 16).is_empty());
        assert_eq!(touched(100, 32, 16, 3), 6..7);
        assert_eq!(touched(100, 16, 32, 9), 3..3 + 1);
    }

    proptest! {
        #[test]
        fn a_piece_is_covered_if_all_of_its_bytes_are_there(
            size in 1..500u64, ours in 0..5u32, theirs in 0..5u32,
            there in prop::collection::vec(any::<bool>(), 500),
        ) {
            let (ours, theirs) = (8 << ours, 8 << theirs);
            let count = size.div_ceil(u64::from(theirs)) as u32;
            let has = |n: u32| there[n as usize];
            let runs = covered(size, ours, theirs, 0..count, has);
            for n in 0..count {
                let bytes = u64::from(n * theirs)..u64::from((n + 1) * theirs).min(size);
                let expected = bytes.clone().all(|at| has((at / u64::from(ours)) as u32));
                prop_assert_eq!(runs.iter().any(|run| run.contains(&n)), expected);
                // What touches a piece has a byte of it, and nothing else has.
                for piece in touched(size, theirs, ours, n) {
                    let start = u64::from(piece * ours);
                    prop_assert!(start < bytes.end && start + u64::from(ours) > bytes.start);
                }
            }
        }
    }
}

//! Dividing one amount among several.

/// Divides `available` among those that want `wants`, max-min fair; `grants` gets one number for
/// each. Shares that would be smaller than `quantum` go to some and not to the others, who have
/// their turn the next time: begin with `start`, and give what this returns as `start` then.
/// Whatever is granted, less than `quantum` is left over while somebody wants more.
pub fn share(
    available: u64,
    wants: &[u64],
    quantum: u64,
    start: usize,
    grants: &mut Vec<u64>,
) -> usize {
    grants.clear();
    grants.resize(wants.len(), 0);
    let mut order: Vec<usize> = (0..wants.len()).filter(|&at| wants[at] > 0).collect();
    let count = order.len() as u64;
    if count == 0 {
        return start;
    }
    // Whose turn it is first.
    let first = order.partition_point(|&at| at < start) % order.len();
    order.rotate_left(first);
    if available / count < quantum {
        let mut left = available;
        loop {
            let mut is_done = true;
            for &at in &order {
                let grant = (wants[at] - grants[at]).min(quantum);
                if grant > left {
                    return at;
                }
                grants[at] += grant;
                left -= grant;
                is_done &= grant == 0;
            }
            if is_done {
                return start;
            }
            // Some wanted little, and have left something for those who want more than they got.
        }
    }
    // Those that want least are satisfied first; what they leave raises the share of the others.
    let mut by_want = order.clone();
    by_want.sort_by_key(|&at| wants[at]);
    let mut left = available;
    for (done, &at) in by_want.iter().enumerate() {
        let others = count - done as u64;
        let fair = left / others;
        if wants[at] > fair {
            // From here on everybody wants more than there is: all get the same.
            let mut odd = left % others;
            let mut next = start;
            for &at in order.iter().filter(|&&at| wants[at] > fair) {
                grants[at] = fair + u64::from(odd > 0);
                if odd > 0 {
                    odd -= 1;
                    next = at + 1;
                }
            }
            return next;
        }
        grants[at] = wants[at];
        left -= wants[at];
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shared(available: u64, wants: &[u64], quantum: u64, start: usize) -> (Vec<u64>, usize) {
        let mut grants = Vec::new();
        let next = share(available, wants, quantum, start, &mut grants);
        (grants, next)
    }

    #[test]
    fn what_one_does_not_use_flows_to_the_others() {
        assert_eq!(shared(90, &[10, 100, 100], 1, 0).0, [10, 40, 40]);
        assert_eq!(shared(90, &[0, 20, 100], 1, 0).0, [0, 20, 70]);
        assert_eq!(shared(90, &[10, 20, 30], 1, 0).0, [10, 20, 30]);
        assert_eq!(shared(0, &[10], 1, 0).0, [0]);
        assert_eq!(shared(10, &[], 1, 0).0, []);
    }

    #[test]
    fn small_shares_are_given_in_turns() {
        let wants = [100; 3];
        let (mut start, mut totals) = (0, [0; 3]);
        for _ in 0..30 {
            let (grants, next) = shared(25, &wants, 20, start);
            start = next;
            assert_eq!(grants.iter().sum::<u64>(), 20);
            totals.iter_mut().zip(&grants).for_each(|(total, grant)| *total += grant);
        }
        assert_eq!(totals, [200; 3]);
    }

    #[test]
    fn what_those_leave_who_want_little_goes_to_those_who_want_more() {
        assert_eq!(shared(216, &[1, 111, 1, 60], 55, 0).0, [1, 111, 1, 60]);
        assert_eq!(shared(140, &[1, 111, 1, 60], 55, 0).0, [1, 55, 1, 55]);
    }

    #[test]
    fn odd_bytes_go_round() {
        let (mut start, mut totals) = (0, [0; 3]);
        for _ in 0..30 {
            let (grants, next) = shared(4, &[100; 3], 1, start);
            start = next;
            totals.iter_mut().zip(&grants).for_each(|(total, grant)| *total += grant);
        }
        assert_eq!(totals, [40; 3]);
    }

    proptest! {
        #[test]
        fn it_is_bounded_wastes_nothing_and_is_fair(
            available in 0..2000u64,
            wants in prop::collection::vec(prop_oneof![Just(0), 0..300u64], 0..12),
            quantum in 1..60u64,
            start in 0..14usize,
        ) {
            let (grants, _) = shared(available, &wants, quantum, start);
            let granted: u64 = grants.iter().sum();
            let wanted: u64 = wants.iter().sum();
            prop_assert!(granted <= available);
            prop_assert!(granted + quantum > available.min(wanted), "{granted} of {available}");
            for (grant, want) in grants.iter().zip(&wants) {
                prop_assert!(grant <= want);
                if grant < want {
                    let most = grants.iter().max().copied().unwrap_or(0);
                    prop_assert!(most <= grant + quantum, "{grants:?}");
                }
            }
        }
    }
}

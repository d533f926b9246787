//! Who runs and who waits: a pure rule over what all torrents want and do.
//!
//! The queue is one list of all torrents, ordered by their numbers and, where those are equal, by when
//! they were added. From its top torrents are let run as long as there is room for their kind; who is
//! let run by force, or moves so little that it does not matter, takes no room.

use super::TorrentId;
use crate::config::Queue;
use althing_base::UnixTime;
use std::collections::BTreeMap;

/// A torrent that wants to run: neither paused nor faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) id: TorrentId,
    /// Its number in the queue.
    pub(super) number: i64,
    pub(super) added: UnixTime,
    pub(super) kind: Kind,
    /// It runs whatever the queue says.
    pub(super) forced: bool,
    /// It has been slow for long enough not to count.
    pub(super) slow: bool,
}

/// What a torrent would do if it ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Downloads,
    Seeds,
    /// Its files are being read; that is not for the queue to stop, and it takes no room.
    Checks,
}

/// Sorts torrents as the queue has them.
pub(super) fn sort(all: &mut [Standing]) {
    all.sort_by_key(|one| (one.number, one.added, one.id));
}

/// Says of each torrent, in the queue's order, whether it runs.
pub(super) fn runs(queue: &Queue, ordered: &[Standing]) -> Vec<bool> {
    let bound = |setting: u32| if setting == 0 { u32::MAX } else { setting };
    let (mut downloads, mut seeds, mut active) =
        (bound(queue.downloads), bound(queue.seeds), bound(queue.active));
    // Downloads have the room that both want: who has everything can wait.
    let mut runs = vec![false; ordered.len()];
    for kind in [Kind::Checks, Kind::Downloads, Kind::Seeds] {
        for (one, runs) in ordered.iter().zip(&mut runs).filter(|(one, _)| one.kind == kind) {
            let room = match kind {
                Kind::Checks => None,
                Kind::Downloads => Some(&mut downloads),
                Kind::Seeds => Some(&mut seeds),
            };
            let Some(room) = room.filter(|_| !one.forced && !one.slow) else {
                // A slow one stays as long as there is room for it to be slow in: it would run if it
                // were not, or did when it became slow.
                *runs = true;
                continue;
            };
            if *room > 0 && active > 0 {
                *room -= 1;
                active -= 1;
                *runs = true;
            }
        }
    }
    runs
}

/// Where a torrent is to go in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueMove {
    /// Before all others.
    Top,
    /// Before the one before it.
    Up,
    /// After the one after it.
    Down,
    /// After all others.
    Bottom,
}

/// The numbers that have to change for a torrent to move: few, unless several have the same.
pub(super) fn moved(
    ordered: &[Standing],
    id: TorrentId,
    to: QueueMove,
) -> BTreeMap<TorrentId, i64> {
    let Some(at) = ordered.iter().position(|one| one.id == id) else { return BTreeMap::new() };
    let numbers = ordered.iter().map(|one| one.number);
    let (first, last) = (numbers.clone().min().unwrap_or(0), numbers.max().unwrap_or(0));
    let neighbour = match to {
        QueueMove::Top if at > 0 => return [(id, first.saturating_sub(1))].into(),
        QueueMove::Bottom if at + 1 < ordered.len() => {
            return [(id, last.saturating_add(1))].into();
        }
        QueueMove::Up => at.checked_sub(1),
        QueueMove::Down => Some(at + 1).filter(|at| *at < ordered.len()),
        QueueMove::Top | QueueMove::Bottom => None,
    };
    let Some(neighbour) = neighbour else { return BTreeMap::new() };
    let mut order: Vec<&Standing> = ordered.iter().collect();
    order.swap(at, neighbour);
    let distinct = ordered.windows(2).all(|pair| pair[0].number < pair[1].number);
    let mut changed = BTreeMap::new();
    if distinct {
        changed.insert(order[at].id, ordered[at].number);
        changed.insert(order[neighbour].id, ordered[neighbour].number);
    } else {
        // Equal numbers say nothing about who stands before whom: all get one of their own.
        for (number, one) in (first..).zip(order) {
            if one.number != number {
                changed.insert(one.id, number);
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Sha1Digest;
    use proptest::prelude::*;

    fn standing(at: u8, number: i64, kind: Kind) -> Standing {
        Standing {
            id: TorrentId(Sha1Digest([at; 20])),
            number,
            added: UnixTime(0),
            kind,
            forced: false,
            slow: false,
        }
    }

    fn queue(downloads: u32, seeds: u32, active: u32) -> Queue {
        Queue { downloads, seeds, active, ..Queue::default() }
    }

    fn downloads(count: u8) -> Vec<Standing> {
        (0..count).map(|at| standing(at, i64::from(at), Kind::Downloads)).collect()
    }

    #[test]
    fn the_top_of_the_queue_runs() {
        let mut all = downloads(4);
        assert_eq!(runs(&queue(2, 0, 0), &all), [true, true, false, false]);
        // What is slow makes room, what is forced takes none.
        all[0].slow = true;
        all[3].forced = true;
        assert_eq!(runs(&queue(2, 0, 0), &all), [true, true, true, true]);
        all[1].kind = Kind::Checks;
        assert_eq!(runs(&queue(0, 0, 0), &all), [true; 4]);
    }

    #[test]
    fn downloads_go_before_seeds_where_both_count() {
        let mut all = downloads(4);
        all[0].kind = Kind::Seeds;
        all[1].kind = Kind::Seeds;
        assert_eq!(runs(&queue(1, 0, 2), &all), [true, false, true, false]);
        assert_eq!(runs(&queue(0, 0, 2), &all), [false, false, true, true]);
        assert_eq!(runs(&queue(0, 1, 0), &all), [true, false, true, true]);
    }

    /// The queue's order after a move, as the places of `0..count`.
    fn order_after(all: &[Standing], at: usize, to: QueueMove) -> Vec<u8> {
        let changed = moved(all, all[at].id, to);
        let mut after = all.to_vec();
        for one in &mut after {
            one.number = changed.get(&one.id).copied().unwrap_or(one.number);
        }
        sort(&mut after);
        after.iter().map(|one| one.id.0.0[0]).collect()
    }

    #[test]
    fn moves_go_where_they_say() {
        let all = downloads(4);
        for (to, expected) in [
            (QueueMove::Top, [2, 0, 1, 3]),
            (QueueMove::Up, [0, 2, 1, 3]),
            (QueueMove::Down, [0, 1, 3, 2]),
            (QueueMove::Bottom, [0, 1, 3, 2]),
        ] {
            assert_eq!(order_after(&all, 2, to), expected, "{to:?}");
        }
        assert_eq!(order_after(&all, 0, QueueMove::Up), [0, 1, 2, 3]);
        assert_eq!(order_after(&all, 3, QueueMove::Bottom), [0, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn moves_are_right_whatever_the_numbers_were(
            numbers in prop::collection::vec(-2..3i64, 1..8),
            at in 0..8usize,
        ) {
            let count = numbers.len();
            let mut all: Vec<Standing> = numbers
                .into_iter()
                .enumerate()
                .map(|(at, number)| standing(at as u8, number, Kind::Downloads))
                .collect();
            sort(&mut all);
            let at = at % count;
            let before: Vec<u8> = all.iter().map(|one| one.id.0.0[0]).collect();
            for to in [QueueMove::Top, QueueMove::Up, QueueMove::Down, QueueMove::Bottom] {
                let mut expected = before.clone();
                let one = expected.remove(at);
                let place = match to {
                    QueueMove::Top => 0,
                    QueueMove::Up => at.saturating_sub(1),
                    QueueMove::Down => (at + 1).min(count - 1),
                    QueueMove::Bottom => count - 1,
                };
                expected.insert(place, one);
                prop_assert_eq!(order_after(&all, at, to), expected, "{:?}", to);
            }
        }

        #[test]
        fn no_room_is_left_empty_and_none_is_overfull(
            kinds in prop::collection::vec((0..3u8, any::<bool>(), any::<bool>()), 0..20),
            (downloads, seeds, active) in (0..5u32, 0..5u32, 0..7u32),
        ) {
            let all: Vec<Standing> = kinds
                .iter()
                .enumerate()
                .map(|(at, (kind, forced, slow))| {
                    let kind = [Kind::Downloads, Kind::Seeds, Kind::Checks][usize::from(*kind)];
                    Standing { forced: *forced, slow: *slow, ..standing(at as u8, 0, kind) }
                })
                .collect();
            let queue = queue(downloads, seeds, active);
            let runs = runs(&queue, &all);
            let counted = |kind, running| {
                let of = all.iter().zip(&runs).filter(|(one, runs)| {
                    one.kind == kind && !one.forced && !one.slow && **runs == running
                });
                of.count() as u32
            };
            let full = |bound: u32, count: u32| bound > 0 && count >= bound;
            let (down, up) = (counted(Kind::Downloads, true), counted(Kind::Seeds, true));
            prop_assert!(downloads == 0 || down <= downloads);
            prop_assert!(seeds == 0 || up <= seeds);
            prop_assert!(active == 0 || down + up <= active);
            if counted(Kind::Downloads, false) > 0 {
                prop_assert!(full(downloads, down) || full(active, down + up));
            }
            if counted(Kind::Seeds, false) > 0 {
                prop_assert!(full(seeds, up) || full(active, down + up));
            }
            for (one, runs) in all.iter().zip(&runs) {
                prop_assert!(*runs || !(one.forced || one.slow));
            }
        }
    }
}

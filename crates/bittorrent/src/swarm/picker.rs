//! Which piece to start next: [`Picker`], and the two orders there are.

use super::limits::RANDOM_FIRST_PIECES;
use crate::types::{PieceIndex, Priority};
use althing_base::{Rng, Seed};
use std::collections::BTreeSet;

/// Chooses the next piece to start from those that are wanted: not on disk, not in progress.
///
/// A picker is told of every change in what is wanted, how much, and in how many peers have a
/// piece. Peers that have everything are not counted: they make no piece rarer than another. What
/// is wanted more always comes first.
pub trait Picker: Send {
    /// The piece is wanted from now on, so much. If it was wanted before, its priority changes.
    fn add(&mut self, piece: PieceIndex, priority: Priority);
    /// The piece is not wanted any more.
    fn remove(&mut self, piece: PieceIndex);
    /// One more peer has the piece.
    fn more_common(&mut self, piece: PieceIndex);
    /// One peer fewer has the piece.
    fn rarer(&mut self, piece: PieceIndex);
    /// A wanted piece for which `available` holds, or `None`. Does not change what is wanted.
    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex>;
    /// Whether a piece is wanted.
    fn wants(&self, piece: PieceIndex) -> bool;
    /// How many pieces are wanted.
    fn wanted(&self) -> u32;
    /// How early the turn of a piece of this priority is, wanted or in progress: the lower the
    /// earlier.
    fn turn(&self, piece: PieceIndex, priority: Priority) -> u64;
}

/// Which picker a swarm uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PickerKind {
    /// The first few at random, then the rarest first (BEP 3).
    #[default]
    RarestFirst,
    /// In the order of the pieces.
    Sequential,
}

impl PickerKind {
    pub(super) fn build(self, pieces: u32, seed: Seed) -> Box<dyn Picker> {
        match self {
            PickerKind::RarestFirst => Box::new(Latent { pieces, seed, made: None }),
            PickerKind::Sequential => Box::new(Sequential { pieces, ..Sequential::default() }),
        }
    }
}

/// The place of a priority among those that are fetched at all.
fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low | Priority::Skip => 2,
    }
}

/// How many different [`rank`]s there are.
const RANKS: usize = 3;

/// Rarest first in constant time for each change: the pieces stand in one array, grouped by
/// priority and within that by how many peers have them, and a change swaps a piece with the edge
/// of its group.
///
/// The array starts shuffled, so pieces of one group are taken in an order that differs between
/// peers, which is what makes a flash crowd fetch different pieces from the first seed.
struct RarestFirst {
    /// Pieces, by group; the wanted ones come first within `0..wanted`.
    order: Vec<u32>,
    /// Where each piece stands in `order`.
    position: Vec<u32>,
    /// How many peers have each piece.
    availability: Vec<u16>,
    /// The priorities of wanted pieces; empty as long as all of them are normal.
    ranks: Vec<u8>,
    /// Groups that one rank has room for: one more than the most peers that a piece was seen with.
    width: usize,
    /// `ends[group]`: one past the last wanted piece of that group, which is
    /// `rank * width + availability`.
    ends: Vec<u32>,
    /// Pieces taken so far, for the random start.
    removed: u32,
    rng: Rng,
}

/// What [`RarestFirst::width`] begins with: doubles when a piece is seen with as many peers.
const FIRST_WIDTH: usize = 16;

impl RarestFirst {
    fn new(pieces: u32, seed: Seed) -> Self {
        let mut rng = Rng::new(seed);
        let mut order: Vec<u32> = (0..pieces).collect();
        rng.shuffle(&mut order);
        let mut position = vec![0; pieces as usize];
        for (at, piece) in order.iter().enumerate() {
            position[*piece as usize] = at as u32;
        }
        RarestFirst {
            order,
            position,
            availability: vec![0; pieces as usize],
            ranks: Vec::new(),
            width: FIRST_WIDTH,
            ends: vec![0],
            removed: 0,
            rng,
        }
    }

    fn wanted_end(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn rank_of(&self, piece: PieceIndex) -> u8 {
        self.ranks.get(piece.0 as usize).copied().unwrap_or(rank(Priority::Normal))
    }

    /// The group that a wanted piece belongs to.
    fn group(&self, piece: PieceIndex) -> usize {
        let availability = self.availability.get(piece.0 as usize).copied().unwrap_or(0);
        usize::from(self.rank_of(piece)) * self.width + usize::from(availability)
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.order.swap(a as usize, b as usize);
        self.position[self.order[a as usize] as usize] = a;
        self.position[self.order[b as usize] as usize] = b;
    }

    /// Moves a piece from group `group` to the next by making it the last of its group and moving
    /// the border.
    fn step_up(&mut self, piece: PieceIndex, group: usize) {
        let last = self.ends[group] - 1;
        self.swap(self.position[piece.0 as usize], last);
        self.ends[group] = last;
    }

    /// Moves a piece from group `group` to the one before.
    fn step_down(&mut self, piece: PieceIndex, group: usize) {
        let first = self.ends[group - 1];
        self.swap(self.position[piece.0 as usize], first);
        self.ends[group - 1] = first + 1;
    }

    fn grow_to(&mut self, group: usize) {
        let end = self.wanted_end();
        if self.ends.len() <= group {
            self.ends.resize(group + 1, end);
        }
    }

    /// Makes room for pieces that `availability` peers have: the new groups are empty, so no piece
    /// moves.
    fn widen_to(&mut self, availability: u16) {
        while usize::from(availability) >= self.width {
            let old = std::mem::take(&mut self.ends);
            for (n, rank) in old.chunks(self.width).enumerate() {
                let end = rank.last().copied().unwrap_or(0);
                self.ends.extend_from_slice(rank);
                // What comes after the last group is grown when it is needed.
                if (n + 1) * self.width < old.len() {
                    self.ends.resize((n + 1) * self.width * 2, end);
                }
            }
            self.width *= 2;
        }
    }

    fn set_rank(&mut self, piece: PieceIndex, rank: u8) {
        if self.rank_of(piece) == rank {
            return;
        }
        if self.ranks.is_empty() {
            self.ranks = vec![self::rank(Priority::Normal); self.position.len()];
        }
        self.ranks[piece.0 as usize] = rank;
    }

    /// Takes a piece out of the wanted ones.
    fn take_out(&mut self, piece: PieceIndex) {
        for group in self.group(piece)..self.ends.len() {
            self.step_up(piece, group);
        }
    }
}

impl Picker for RarestFirst {
    fn add(&mut self, piece: PieceIndex, priority: Priority) {
        if piece.0 as usize >= self.position.len() {
            return;
        }
        if self.wants(piece) {
            if self.rank_of(piece) == rank(priority) {
                return;
            }
            self.take_out(piece);
        }
        self.set_rank(piece, rank(priority));
        let group = self.group(piece);
        self.grow_to(group);
        // Becomes the last wanted piece, then sinks to its group.
        let top = self.ends.len() - 1;
        let end = self.ends[top];
        self.swap(self.position[piece.0 as usize], end);
        self.ends[top] = end + 1;
        for from in (group + 1..=top).rev() {
            self.step_down(piece, from);
        }
        // Within the group at a random place, so that the order of additions does not show.
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        let place = start + self.rng.below(u64::from(self.ends[group] - start)) as u32;
        self.swap(self.position[piece.0 as usize], place);
    }

    fn remove(&mut self, piece: PieceIndex) {
        if self.wants(piece) {
            self.take_out(piece);
            self.removed += 1;
        }
    }

    fn more_common(&mut self, piece: PieceIndex) {
        let Some(&before) = self.availability.get(piece.0 as usize) else { return };
        let now = before.saturating_add(1);
        self.widen_to(now);
        let group = self.group(piece);
        let wanted = self.wants(piece);
        self.availability[piece.0 as usize] = now;
        if wanted && now > before {
            self.grow_to(group + 1);
            self.step_up(piece, group);
        }
    }

    fn rarer(&mut self, piece: PieceIndex) {
        let Some(&before) = self.availability.get(piece.0 as usize) else { return };
        let group = self.group(piece);
        let wanted = self.wants(piece);
        self.availability[piece.0 as usize] = before.saturating_sub(1);
        if wanted && before > 0 {
            self.step_down(piece, group);
        }
    }

    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex> {
        // At random among those that are wanted most.
        let best = (1..=RANKS).find_map(|rank| {
            let end = self.ends.get(rank * self.width - 1).copied().unwrap_or(self.wanted_end());
            (end > 0).then_some(end as usize)
        });
        let pieces = &self.order[..self.wanted_end() as usize];
        let at_random = self.removed < RANDOM_FIRST_PIECES;
        let start = if at_random { self.rng.index(best.unwrap_or(0)) } else { 0 };
        let (before, after) = pieces.split_at(start);
        let (first, last) = after.split_at(best.unwrap_or(0).saturating_sub(start));
        let turns = first.iter().chain(before).chain(last);
        turns.map(|piece| PieceIndex(*piece)).find(|piece| available(*piece))
    }

    fn wants(&self, piece: PieceIndex) -> bool {
        self.position.get(piece.0 as usize).is_some_and(|at| *at < self.wanted_end())
    }

    fn wanted(&self) -> u32 {
        self.wanted_end()
    }

    fn turn(&self, piece: PieceIndex, priority: Priority) -> u64 {
        let count = self.availability.get(piece.0 as usize).copied().unwrap_or(u16::MAX);
        (u64::from(rank(priority)) << 32) | u64::from(count)
    }
}

/// Rarest first, made when a piece is wanted or somebody turns up who has one. It takes ten bytes for each
/// piece, and of thousands of torrents most are complete and rest.
struct Latent {
    pieces: u32,
    seed: Seed,
    made: Option<Box<RarestFirst>>,
}

impl Latent {
    fn make(&mut self) -> &mut RarestFirst {
        self.made.get_or_insert_with(|| Box::new(RarestFirst::new(self.pieces, self.seed)))
    }
}

impl Picker for Latent {
    fn add(&mut self, piece: PieceIndex, priority: Priority) {
        self.make().add(piece, priority);
    }

    fn remove(&mut self, piece: PieceIndex) {
        if let Some(made) = &mut self.made {
            made.remove(piece);
        }
    }

    fn more_common(&mut self, piece: PieceIndex) {
        self.make().more_common(piece);
    }

    fn rarer(&mut self, piece: PieceIndex) {
        if let Some(made) = &mut self.made {
            made.rarer(piece);
        }
    }

    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex> {
        self.made.as_mut()?.pick(available)
    }

    fn wants(&self, piece: PieceIndex) -> bool {
        self.made.as_ref().is_some_and(|made| made.wants(piece))
    }

    fn wanted(&self) -> u32 {
        self.made.as_ref().map_or(0, |made| made.wanted())
    }

    fn turn(&self, piece: PieceIndex, priority: Priority) -> u64 {
        match &self.made {
            Some(made) => made.turn(piece, priority),
            None => u64::from(rank(priority)) << 32,
        }
    }
}

/// In order, what is wanted most first.
#[derive(Default)]
struct Sequential {
    /// How many pieces there are.
    pieces: u32,
    wanted: BTreeSet<(u8, PieceIndex)>,
}

impl Picker for Sequential {
    fn add(&mut self, piece: PieceIndex, priority: Priority) {
        if piece.0 < self.pieces && !self.wanted.contains(&(rank(priority), piece)) {
            self.remove(piece);
            self.wanted.insert((rank(priority), piece));
        }
    }

    fn remove(&mut self, piece: PieceIndex) {
        for rank in 0..RANKS as u8 {
            self.wanted.remove(&(rank, piece));
        }
    }

    fn more_common(&mut self, _: PieceIndex) {}

    fn rarer(&mut self, _: PieceIndex) {}

    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex> {
        self.wanted.iter().map(|(_, piece)| *piece).find(|piece| available(*piece))
    }

    fn wants(&self, piece: PieceIndex) -> bool {
        (0..RANKS as u8).any(|rank| self.wanted.contains(&(rank, piece)))
    }

    fn wanted(&self) -> u32 {
        self.wanted.len() as u32
    }

    fn turn(&self, piece: PieceIndex, priority: Priority) -> u64 {
        (u64::from(rank(priority)) << 32) | u64::from(piece.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NORMAL: Priority = Priority::Normal;

    #[test]
    fn what_is_complete_and_rests_has_no_picker() {
        let mut picker = Latent { pieces: 3, seed: Seed::from_u64(1), made: None };
        (0..3).for_each(|piece| picker.remove(PieceIndex(piece)));
        assert_eq!((picker.wanted(), picker.pick(&mut |_| true)), (0, None));
        assert!(picker.made.is_none());
        picker.add(PieceIndex(2), NORMAL);
        assert_eq!((picker.wanted(), picker.pick(&mut |_| true)), (1, Some(PieceIndex(2))));
    }

    #[test]
    fn rarest_first_after_the_random_start() {
        let mut picker = RarestFirst::new(10, Seed::from_u64(1));
        (0..10).for_each(|piece| picker.add(PieceIndex(piece), NORMAL));
        for piece in 0..10 {
            (0..10 - piece).for_each(|_| picker.more_common(PieceIndex(piece)));
        }
        for _ in 0..RANDOM_FIRST_PIECES {
            let piece = picker.pick(&mut |piece| piece.0 < 4).expect("four are wanted");
            picker.remove(piece);
        }
        assert_eq!(drain(&mut picker), [9, 8, 7, 6, 5, 4]);
    }

    fn drain(picker: &mut dyn Picker) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some(piece) = picker.pick(&mut |_| true) {
            picker.remove(piece);
            order.push(piece.0);
        }
        order
    }

    #[test]
    fn equally_rare_pieces_come_in_an_order_of_the_seed() {
        let order = |seed| {
            let mut picker = RarestFirst::new(50, Seed::from_u64(seed));
            (0..50).for_each(|piece| picker.add(PieceIndex(piece), NORMAL));
            drain(&mut picker)
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn what_is_wanted_more_comes_first_also_in_the_random_start() {
        for kind in [PickerKind::RarestFirst, PickerKind::Sequential] {
            for seed in 0..20 {
                let mut picker = kind.build(9, Seed::from_u64(seed));
                for piece in (0..9).rev() {
                    let priority = [Priority::Low, NORMAL, Priority::High][piece as usize / 3];
                    picker.add(PieceIndex(piece), priority);
                }
                let groups: Vec<u32> = drain(&mut *picker).iter().map(|piece| piece / 3).collect();
                assert_eq!(groups, [2, 2, 2, 1, 1, 1, 0, 0, 0], "{kind:?}");
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32, Priority),
        Remove(u32),
        More(u32),
        Fewer(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let priority = prop_oneof![Just(Priority::Low), Just(NORMAL), Just(Priority::High)];
        // Pieces become common enough that the groups have to be widened.
        (0..9u8, 0..6u32, priority).prop_map(|(kind, piece, priority)| match kind {
            0 | 1 => Step::Add(piece, priority),
            2 => Step::Remove(piece),
            3 => Step::Fewer(piece),
            _ => Step::More(piece),
        })
    }

    /// What is wanted, how much, and how rare it is.
    #[derive(Default)]
    struct Plain {
        wanted: [Option<Priority>; 6],
        count: [i32; 6],
    }

    impl Plain {
        fn step(&mut self, picker: &mut dyn Picker, step: &Step) {
            match *step {
                Step::Add(p, priority) => {
                    picker.add(PieceIndex(p), priority);
                    self.wanted[p as usize] = Some(priority);
                }
                Step::Remove(p) => {
                    picker.remove(PieceIndex(p));
                    self.wanted[p as usize] = None;
                }
                Step::More(p) => {
                    picker.more_common(PieceIndex(p));
                    self.count[p as usize] += 1;
                }
                Step::Fewer(p) if self.count[p as usize] > 0 => {
                    picker.rarer(PieceIndex(p));
                    self.count[p as usize] -= 1;
                }
                Step::Fewer(_) => {}
            }
        }

        /// The turn of the piece whose turn it is: priority first.
        fn next(
            &self,
            among: impl Fn(usize) -> bool,
            key: impl Fn(usize) -> i32,
        ) -> Option<(u8, i32)> {
            let wanted = (0..6).filter(|p| among(*p)).filter_map(|p| Some((p, self.wanted[p]?)));
            wanted.map(|(p, priority)| (rank(priority), key(p))).min()
        }
    }

    proptest! {
        /// The array of groups against a plain table of what is wanted, how much and how rare it is.
        #[test]
        fn agrees_with_a_plain_table(
            steps in proptest::collection::vec(any_step(), 0..400),
            odd in any::<bool>(),
        ) {
            let mut rarest = RarestFirst::new(6, Seed::from_u64(3));
            rarest.removed = RANDOM_FIRST_PIECES;
            let mut sequential = Sequential { pieces: 6, ..Sequential::default() };
            let (mut plain, mut other) = (Plain::default(), Plain::default());
            let among = |p: usize| !odd || p % 2 == 1;
            for step in steps {
                plain.step(&mut rarest, &step);
                other.step(&mut sequential, &step);
                for picker in [&rarest as &dyn Picker, &sequential] {
                    prop_assert_eq!(picker.wanted() as usize, plain.wanted.iter().flatten().count());
                    for p in 0..6 {
                        let wanted = plain.wanted[p as usize].is_some();
                        prop_assert_eq!(picker.wants(PieceIndex(p)), wanted);
                    }
                }
                let available = &mut |piece: PieceIndex| among(piece.0 as usize);
                let turn = |p: PieceIndex, key: i32| {
                    (rank(plain.wanted[p.0 as usize].expect("only what is wanted is picked")), key)
                };
                let picked = rarest.pick(available).map(|p| turn(p, plain.count[p.0 as usize]));
                prop_assert_eq!(picked, plain.next(among, |p| plain.count[p]));
                let picked = sequential.pick(available).map(|p| turn(p, p.0 as i32));
                prop_assert_eq!(picked, plain.next(among, |p| p as i32));
            }
        }
    }
}

//! Which piece to start next: [`Picker`], and the two orders there are.

use super::limits::RANDOM_FIRST_PIECES;
use crate::types::{Bitfield, PieceIndex};
use althing_base::{Rng, Seed};

/// Chooses the next piece to start from those that are wanted: not on disk, not in progress.
///
/// A picker is told of every change in what is wanted and in how many peers have a piece. Peers
/// that have everything are not counted: they make no piece rarer than another.
pub trait Picker: Send {
    /// The piece is wanted from now on.
    fn add(&mut self, piece: PieceIndex);
    /// The piece is not wanted any more.
    fn remove(&mut self, piece: PieceIndex);
    /// One more peer has the piece.
    fn more_common(&mut self, piece: PieceIndex);
    /// One peer fewer has the piece.
    fn rarer(&mut self, piece: PieceIndex);
    /// A wanted piece for which `available` holds, or `None`. Does not change what is wanted.
    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex>;
    /// How many pieces are wanted.
    fn wanted(&self) -> u32;
    /// How early the piece's turn is, wanted or in progress: the lower the earlier.
    fn turn(&self, piece: PieceIndex) -> u32;
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
            PickerKind::RarestFirst => Box::new(RarestFirst::new(pieces, seed)),
            PickerKind::Sequential => Box::new(Sequential { wanted: Bitfield::new(pieces) }),
        }
    }
}

/// Rarest first in constant time for each change: the pieces stand in one array, grouped by how
/// many peers have them, and a change swaps a piece with the edge of its group.
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
    /// `ends[level]`: one past the last wanted piece that `level` peers have.
    ends: Vec<u32>,
    /// Pieces taken so far, for the random start.
    removed: u32,
    rng: Rng,
}

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
            ends: vec![0],
            removed: 0,
            rng,
        }
    }

    fn wanted_end(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn is_wanted(&self, piece: PieceIndex) -> bool {
        self.position.get(piece.0 as usize).is_some_and(|at| *at < self.wanted_end())
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.order.swap(a as usize, b as usize);
        self.position[self.order[a as usize] as usize] = a;
        self.position[self.order[b as usize] as usize] = b;
    }

    /// Moves a piece from group `level` to `level + 1` by making it the last of its group and
    /// moving the border.
    fn step_up(&mut self, piece: PieceIndex, level: usize) {
        let last = self.ends[level] - 1;
        self.swap(self.position[piece.0 as usize], last);
        self.ends[level] = last;
    }

    /// Moves a piece from group `level` to `level - 1`.
    fn step_down(&mut self, piece: PieceIndex, level: usize) {
        let first = self.ends[level - 1];
        self.swap(self.position[piece.0 as usize], first);
        self.ends[level - 1] = first + 1;
    }

    fn grow_to(&mut self, level: usize) {
        let end = self.wanted_end();
        if self.ends.len() <= level {
            self.ends.resize(level + 1, end);
        }
    }
}

impl Picker for RarestFirst {
    fn add(&mut self, piece: PieceIndex) {
        if piece.0 as usize >= self.position.len() || self.is_wanted(piece) {
            return;
        }
        let level = usize::from(self.availability[piece.0 as usize]);
        self.grow_to(level);
        // Becomes the last wanted piece, then sinks to its group.
        let top = self.ends.len() - 1;
        let end = self.ends[top];
        self.swap(self.position[piece.0 as usize], end);
        self.ends[top] = end + 1;
        for from in (level + 1..=top).rev() {
            self.step_down(piece, from);
        }
        // Within the group at a random place, so that the order of additions does not show.
        let start = if level == 0 { 0 } else { self.ends[level - 1] };
        let place = start + self.rng.below(u64::from(self.ends[level] - start)) as u32;
        self.swap(self.position[piece.0 as usize], place);
    }

    fn remove(&mut self, piece: PieceIndex) {
        if !self.is_wanted(piece) {
            return;
        }
        for level in usize::from(self.availability[piece.0 as usize])..self.ends.len() {
            self.step_up(piece, level);
        }
        self.removed += 1;
    }

    fn more_common(&mut self, piece: PieceIndex) {
        let Some(&level) = self.availability.get(piece.0 as usize) else { return };
        let wanted = self.is_wanted(piece);
        self.availability[piece.0 as usize] = level.saturating_add(1);
        if wanted && level < u16::MAX {
            self.grow_to(usize::from(level) + 1);
            self.step_up(piece, usize::from(level));
        }
    }

    fn rarer(&mut self, piece: PieceIndex) {
        let Some(&level) = self.availability.get(piece.0 as usize) else { return };
        let wanted = self.is_wanted(piece);
        self.availability[piece.0 as usize] = level.saturating_sub(1);
        if wanted && level > 0 {
            self.step_down(piece, usize::from(level));
        }
    }

    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex> {
        let wanted = self.wanted_end() as usize;
        let pieces = &self.order[..wanted];
        let start = if self.removed < RANDOM_FIRST_PIECES { self.rng.index(wanted) } else { 0 };
        let (before, after) = pieces.split_at(start);
        after.iter().chain(before).map(|piece| PieceIndex(*piece)).find(|piece| available(*piece))
    }

    fn wanted(&self) -> u32 {
        self.wanted_end()
    }

    fn turn(&self, piece: PieceIndex) -> u32 {
        self.availability.get(piece.0 as usize).map_or(u32::MAX, |count| u32::from(*count))
    }
}

struct Sequential {
    wanted: Bitfield,
}

impl Picker for Sequential {
    fn add(&mut self, piece: PieceIndex) {
        self.wanted.set(piece, true);
    }

    fn remove(&mut self, piece: PieceIndex) {
        self.wanted.set(piece, false);
    }

    fn more_common(&mut self, _: PieceIndex) {}

    fn rarer(&mut self, _: PieceIndex) {}

    fn pick(&mut self, available: &mut dyn FnMut(PieceIndex) -> bool) -> Option<PieceIndex> {
        self.wanted.ones().find(|piece| available(*piece))
    }

    fn wanted(&self) -> u32 {
        self.wanted.count_ones()
    }

    fn turn(&self, piece: PieceIndex) -> u32 {
        piece.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rarest_first_after_the_random_start() {
        let mut picker = RarestFirst::new(10, Seed::from_u64(1));
        (0..10).for_each(|piece| picker.add(PieceIndex(piece)));
        for piece in 0..10 {
            (0..10 - piece).for_each(|_| picker.more_common(PieceIndex(piece)));
        }
        for _ in 0..RANDOM_FIRST_PIECES {
            let piece = picker.pick(&mut |piece| piece.0 < 4).expect("four are wanted");
            picker.remove(piece);
        }
        let mut rest = Vec::new();
        while let Some(piece) = picker.pick(&mut |_| true) {
            picker.remove(piece);
            rest.push(piece.0);
        }
        assert_eq!(rest, [9, 8, 7, 6, 5, 4]);
    }

    #[test]
    fn equally_rare_pieces_come_in_an_order_of_the_seed() {
        let order = |seed| {
            let mut picker = RarestFirst::new(50, Seed::from_u64(seed));
            (0..50).for_each(|piece| picker.add(PieceIndex(piece)));
            let mut order = Vec::new();
            while let Some(piece) = picker.pick(&mut |_| true) {
                picker.remove(piece);
                order.push(piece.0);
            }
            order
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32),
        Remove(u32),
        More(u32),
        Fewer(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        (0..4u8, 0..20u32).prop_map(|(kind, piece)| match kind {
            0 => Step::Add(piece),
            1 => Step::Remove(piece),
            2 => Step::More(piece),
            _ => Step::Fewer(piece),
        })
    }

    proptest! {
        /// The array of groups against a plain table of what is wanted and how rare it is.
        #[test]
        fn agrees_with_a_plain_table(steps in proptest::collection::vec(any_step(), 0..300)) {
            let mut picker = RarestFirst::new(20, Seed::from_u64(3));
            picker.removed = RANDOM_FIRST_PIECES;
            let mut wanted = [false; 20];
            let mut count = [0i32; 20];
            for step in steps {
                match step {
                    Step::Add(p) => { picker.add(PieceIndex(p)); wanted[p as usize] = true; }
                    Step::Remove(p) => { picker.remove(PieceIndex(p)); wanted[p as usize] = false; }
                    Step::More(p) => { picker.more_common(PieceIndex(p)); count[p as usize] += 1; }
                    Step::Fewer(p) if count[p as usize] > 0 => {
                        picker.rarer(PieceIndex(p));
                        count[p as usize] -= 1;
                    }
                    Step::Fewer(_) => {}
                }
                prop_assert_eq!(picker.wanted() as usize, wanted.iter().filter(|w| **w).count());
                let rarest = (0..20).filter(|p| wanted[*p]).map(|p| count[p]).min();
                let picked = picker.pick(&mut |_| true).map(|p| count[p.0 as usize]);
                prop_assert_eq!(picked, rarest);
            }
        }
    }
}

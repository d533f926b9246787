//! How many connected peers have each piece, those that have everything not counted.

use crate::types::PieceIndex;

/// Counts by piece. Empty, and without memory of its own, while nobody has anything: ten thousand
/// torrents at rest do not pay for it.
#[derive(Debug, Default)]
pub(super) struct Availability {
    counts: Vec<u16>,
    total: u64,
}

impl Availability {
    /// One more peer has the piece, of `pieces` there are.
    pub(super) fn up(&mut self, piece: PieceIndex, pieces: u32) {
        if self.counts.len() < pieces as usize {
            self.counts.resize(pieces as usize, 0);
        }
        if let Some(count) = self.counts.get_mut(piece.0 as usize)
            && *count < u16::MAX
        {
            *count += 1;
            self.total += 1;
        }
    }

    /// One peer fewer has the piece.
    pub(super) fn down(&mut self, piece: PieceIndex) {
        if let Some(count) = self.counts.get_mut(piece.0 as usize)
            && *count > 0
        {
            *count -= 1;
            self.total -= 1;
        }
        if self.total == 0 {
            self.counts = Vec::new();
        }
    }

    /// How many peers have the piece.
    pub(super) fn of(&self, piece: PieceIndex) -> u16 {
        self.counts.get(piece.0 as usize).copied().unwrap_or(0)
    }

    /// The smallest count of all; 0 while nobody has anything.
    pub(super) fn least(&self) -> u16 {
        self.counts.iter().copied().min().unwrap_or(0)
    }

    /// Forgets all counts.
    pub(super) fn clear(&mut self) {
        *self = Availability::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_costs_nothing_at_rest() {
        let mut availability = Availability::default();
        availability.down(PieceIndex(0));
        availability.up(PieceIndex(2), 3);
        availability.up(PieceIndex(2), 3);
        assert_eq!([0, 1, 2, 9].map(|n| availability.of(PieceIndex(n))), [0, 0, 2, 0]);
        assert_eq!(availability.least(), 0);
        availability.up(PieceIndex(0), 3);
        availability.up(PieceIndex(1), 3);
        assert_eq!(availability.least(), 1);
        for piece in [0, 1, 2, 2] {
            availability.down(PieceIndex(piece));
        }
        assert_eq!(availability.counts.capacity(), 0);
    }
}

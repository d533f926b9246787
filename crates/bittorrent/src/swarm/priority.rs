//! How much each file is wanted, and what follows for the pieces.
//!
//! Users choose files; peers give pieces. A piece takes the highest priority of the files that it
//! has bytes of, so that a file which is wanted is always whole in the end. Who knows better may give
//! single pieces a priority of their own, and that holds then.

use super::piece_wishes::PieceWishes;
use crate::metainfo::{FileIndex, Metainfo};
use crate::types::{Bitfield, PieceIndex, Priority};
use std::collections::BTreeMap;

/// The priorities of a torrent's files: one for most, and those that differ; and of pieces that have
/// one of their own. Needs no list of the files, which a magnet link does not have at first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilePriorities {
    others: Priority,
    differing: BTreeMap<FileIndex, Priority>,
    pieces: PieceWishes,
}

impl FilePriorities {
    /// The same for every file.
    pub fn all(priority: Priority) -> Self {
        FilePriorities { others: priority, ..FilePriorities::default() }
    }

    /// These files as usual, the others not at all (BEP 53's `so`).
    pub fn only(files: impl IntoIterator<Item = FileIndex>) -> Self {
        let mut only = Self::all(Priority::Skip);
        for file in files {
            only.set(file, Priority::Normal);
        }
        only
    }

    /// A file's priority.
    pub fn of(&self, file: FileIndex) -> Priority {
        self.differing.get(&file).copied().unwrap_or(self.others)
    }

    /// The priority of every file that [`differing`](Self::differing) does not name.
    pub fn others(&self) -> Priority {
        self.others
    }

    /// The files whose priority is not [`others`](Self::others), in order.
    pub fn differing(&self) -> impl Iterator<Item = (FileIndex, Priority)> + '_ {
        self.differing.iter().map(|(file, priority)| (*file, *priority))
    }

    /// Changes one file's.
    pub fn set(&mut self, file: FileIndex, priority: Priority) {
        if priority == self.others {
            self.differing.remove(&file);
        } else {
            self.differing.insert(file, priority);
        }
    }

    /// Gives these pieces priorities of their own, and no others.
    pub fn set_pieces(&mut self, pieces: PieceWishes) {
        self.pieces = pieces;
    }

    /// Pieces that have a priority of their own.
    pub fn pieces(&self) -> &PieceWishes {
        &self.pieces
    }

    /// Whether every file is wanted as usual, and every piece as its files are.
    pub fn is_usual(&self) -> bool {
        self.others == Priority::Normal && self.differing.is_empty() && self.pieces.is_empty()
    }

    /// Whether no file is skipped.
    pub fn wants_all(&self) -> bool {
        self.others != Priority::Skip
            && self.differing.values().all(|priority| *priority != Priority::Skip)
    }
}

/// The priorities of a torrent's pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PiecePriorities {
    /// Those that are wanted, on disk or not.
    pub(super) selected: Bitfield,
    /// By piece; empty if every selected piece is wanted as usual, as nearly always.
    levels: Vec<Priority>,
}

impl PiecePriorities {
    pub(super) fn new(files: &FilePriorities, metainfo: &Metainfo) -> Self {
        let count = metainfo.piece_count();
        if files.is_usual() {
            return PiecePriorities { selected: Bitfield::full(count), levels: Vec::new() };
        }
        let mut levels = vec![Priority::Skip; count as usize];
        for (n, file) in (0..).zip(metainfo.files()) {
            // Padding is nobody's wish (BEP 47).
            if file.is_pad() {
                continue;
            }
            let priority = files.of(FileIndex(n));
            for piece in metainfo.file_pieces(FileIndex(n)) {
                if let Some(level) = levels.get_mut(piece as usize) {
                    *level = priority.max(*level);
                }
            }
        }
        for (range, priority) in files.pieces.iter() {
            let range =
                *range.start() as usize..=(*range.end()).min(count.wrapping_sub(1)) as usize;
            if let Some(levels) = levels.get_mut(range) {
                levels.fill(priority);
            }
        }
        let mut selected = Bitfield::new(count);
        for (piece, level) in (0..).zip(&levels) {
            selected.set(PieceIndex(piece), *level != Priority::Skip);
        }
        if levels.iter().all(|level| matches!(level, Priority::Skip | Priority::Normal)) {
            levels = Vec::new();
        }
        PiecePriorities { selected, levels }
    }

    /// Nothing is known of any piece yet.
    pub(super) fn none() -> Self {
        PiecePriorities { selected: Bitfield::new(0), levels: Vec::new() }
    }

    pub(super) fn of(&self, piece: PieceIndex) -> Priority {
        if !self.selected.get(piece) {
            return Priority::Skip;
        }
        self.levels.get(piece.0 as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_are_all_that_is_kept() {
        let mut files = FilePriorities::default();
        assert!(files.is_usual() && files.wants_all());
        files.set(FileIndex(3), Priority::High);
        files.set(FileIndex(1), Priority::Skip);
        let told: Vec<_> = files.differing().collect();
        assert_eq!(told, [(FileIndex(1), Priority::Skip), (FileIndex(3), Priority::High)]);
        assert!(!files.is_usual() && !files.wants_all());
        files.set(FileIndex(3), Priority::Normal);
        files.set(FileIndex(1), Priority::Normal);
        assert!(files.is_usual());
        let only = FilePriorities::only([FileIndex(2)]);
        assert_eq!(
            (only.of(FileIndex(2)), only.of(FileIndex(0))),
            (Priority::Normal, Priority::Skip)
        );
    }
}

//! Blocks of unfinished pieces, from one run to the next. When a torrent is closed, and when a piece
//! is still in progress at the second saving, its blocks are written to their place; a checksum of
//! each is written down. The next run reads them, and those that are still what they were need not be
//! fetched again. Nothing rests on them but time saved: the piece is hashed as a whole like any other.

use super::event::{BlockSum, Event, Partial};
use super::torrent::Shared;
use super::worker::{InProgress, Worker};
use crate::files::Slot;
use crate::limits::PARTIAL_BLOCKS_MAX;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{BlockRef, PieceIndex};
use bytes::Bytes;
use std::sync::Arc;

impl Worker {
    /// Writes blocks of a torrent's unfinished pieces and says which are on disk: of all pieces if
    /// it is `closing`, else of those that were there the last time, too. A piece of a fast download
    /// is not written in two parts only because it was there when progress was saved.
    pub(super) fn gather(&mut self, torrent: &Arc<Shared>, closing: bool) -> Vec<Partial> {
        let own = (torrent.slot, PieceIndex(0))..(Slot(torrent.slot.0 + 1), PieceIndex(0));
        let keys: Vec<_> = self.pieces.range(own).map(|(key, _)| *key).collect();
        let mut partials = Vec::new();
        for key in keys {
            let Some(own) = self.pieces.get_mut(&key) else { continue };
            let lingered = std::mem::replace(&mut own.lingers, true);
            if (closing || lingered) && !own.piece.is_stuck() {
                self.spill(key, torrent);
            }
            let Some(own) = self.pieces.get(&key).filter(|own| !own.sums.is_empty()) else {
                continue;
            };
            let blocks = own.sums.iter().map(|(number, sum)| (*number, *sum)).collect();
            partials.push(Partial { piece: key.1, blocks });
        }
        partials
    }

    /// Reads what is on disk of an unfinished piece, and takes in what is right of it.
    pub(super) fn restore(&mut self, torrent: &Arc<Shared>, partial: &Partial) {
        let piece = partial.piece;
        let layout = torrent.metainfo.layout();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(BLOCK_SIZE as usize, 0);
        let mut blocks = Vec::new();
        for &(number, sum) in partial.blocks.iter().take(PARTIAL_BLOCKS_MAX) {
            let Some(block) = layout.block(piece, number) else { continue };
            let Some(data) = buffer.get_mut(..block.len as usize) else { continue };
            if self.is_right(torrent, block, sum, data) && self.take_in(torrent, block, data, sum) {
                blocks.push(number);
            }
        }
        self.buffer = Vec::new();
        if !blocks.is_empty() && !torrent.is_closing() {
            torrent.emit(Event::Restored { piece, blocks });
        }
    }

    /// Reads a block; whether it is what it was.
    fn is_right(&self, torrent: &Shared, block: BlockRef, sum: BlockSum, data: &mut [u8]) -> bool {
        !torrent.is_closing()
            && self.disk(torrent).read_range(block, data).is_ok()
            && BlockSum::of(data) == sum
    }

    /// A block that is at its place counts as handed in, unless it has been handed in meanwhile.
    fn take_in(
        &mut self,
        torrent: &Arc<Shared>,
        block: BlockRef,
        data: &[u8],
        sum: BlockSum,
    ) -> bool {
        let key = (torrent.slot, block.piece);
        let progress =
            self.pieces.entry(key).or_insert_with(|| InProgress::new(torrent, block.piece));
        let number = block.begin / BLOCK_SIZE;
        if !progress.piece.is_missing(number) {
            return false;
        }
        progress.piece.store(number, Bytes::copy_from_slice(data));
        progress.piece.spilled(number..number + 1);
        progress.sums.insert(number, sum);
        progress.lingers = true;
        true
    }
}

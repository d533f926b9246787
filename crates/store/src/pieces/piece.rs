//! A piece on its way in: its blocks, and as much of its hashes as the blocks so far allow.

use crate::hash::{self, Kinds, pad};
use althing_base::hash::{Sha1, sha256};
use althing_base::{Sha1Digest, Sha256Digest};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{BlockDigests, PieceHash};
use bytes::Bytes;
use std::ops::Range;

/// A piece's size, and how it is cut into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Bytes that are requested and stored.
    pub(super) data: u32,
    /// Bytes with the padding it ends with.
    pub(super) size: u32,
}

impl Extent {
    pub(super) fn blocks(self) -> u32 {
        self.data.div_ceil(BLOCK_SIZE)
    }

    /// Offset and length of a run of blocks.
    pub(super) fn bytes_of(self, blocks: Range<u32>) -> Range<u32> {
        let at = |block: u32| block.saturating_mul(BLOCK_SIZE).min(self.data);
        at(blocks.start)..at(blocks.end)
    }
}

/// Where a block is.
#[derive(Clone, Debug)]
enum Block {
    /// Not here yet.
    Missing,
    /// In memory.
    Held(Bytes),
    /// At its place on disk: it was written early, to free memory.
    Spilled,
}

/// Reads bytes of the piece back that were written early: from an offset, into a buffer.
pub(super) type ReadBack<'a> = &'a mut dyn FnMut(u32, &mut [u8]) -> Result<(), StorageFault>;

/// See the module.
pub(super) struct Piece {
    extent: Extent,
    kinds: Kinds,
    blocks: Vec<Block>,
    /// SHA-1 over the first `hashed` blocks, if v1 is wanted.
    sha1: Sha1,
    hashed: u32,
    /// SHA-256 of the blocks that came in, if v2 is wanted (else empty).
    leaves: Vec<Option<Sha256Digest>>,
    held: usize,
    /// There was something in its padding, which reads as zeros for ever after.
    tainted: bool,
    /// Why blocks could not be written early.
    stuck: Option<StorageFault>,
}

/// Why a piece could not be hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum FinishError {
    /// This block is missing, and maybe more are.
    Incomplete { block: u32 },
    /// What was written early could not be read back.
    Fault(StorageFault),
}

impl From<StorageFault> for FinishError {
    fn from(fault: StorageFault) -> Self {
        FinishError::Fault(fault)
    }
}

impl Piece {
    pub(super) fn new(extent: Extent, kinds: Kinds) -> Self {
        let count = extent.blocks() as usize;
        Piece {
            extent,
            kinds,
            blocks: vec![Block::Missing; count],
            sha1: Sha1::new(),
            hashed: 0,
            leaves: if kinds.v2 { vec![None; count] } else { Vec::new() },
            held: 0,
            tainted: false,
            stuck: None,
        }
    }

    /// Bytes of blocks in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes a block and hashes what can be hashed. A block that was here already is replaced.
    pub(super) fn store(&mut self, number: u32, data: Bytes) {
        let Some(block) = self.blocks.get_mut(number as usize) else { return };
        if let Some(leaf) = self.leaves.get_mut(number as usize) {
            *leaf = Some(sha256(&data));
        }
        self.held += data.len();
        match std::mem::replace(block, Block::Held(data)) {
            Block::Missing => {}
            was => {
                if let Block::Held(was) = was {
                    self.held -= was.len();
                }
                if number < self.hashed {
                    self.sha1 = Sha1::new();
                    self.hashed = 0;
                }
            }
        }
        self.advance();
    }

    /// Whether a block has not been handed in.
    pub(super) fn is_missing(&self, number: u32) -> bool {
        matches!(self.blocks.get(number as usize), Some(Block::Missing))
    }

    /// Notes that a block has something else than zeros where padding belongs.
    pub(super) fn taint(&mut self) {
        self.tainted = true;
    }

    /// Notes that blocks could not be written early.
    pub(super) fn stick(&mut self, fault: StorageFault) {
        self.stuck = Some(fault);
    }

    /// Whether blocks could not be written early.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Why blocks could not be written early, if so; from now on that may be tried again.
    pub(super) fn unstick(&mut self) -> Option<StorageFault> {
        self.stuck.take()
    }

    /// Lets go of all blocks in memory: there is neither room to keep them nor to write them.
    pub(super) fn drop_blocks(&mut self) {
        for block in &mut self.blocks {
            if matches!(block, Block::Held(_)) {
                *block = Block::Missing;
            }
        }
        self.held = 0;
        self.sha1 = Sha1::new();
        self.hashed = 0;
    }

    /// The runs of blocks in memory: what is to be written.
    pub(super) fn held_runs(&self) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for (number, block) in (0..).zip(&self.blocks) {
            match (block, runs.last_mut()) {
                (Block::Held(_), Some(run)) if run.end == number => run.end += 1,
                (Block::Held(_), _) => runs.push(number..number + 1),
                _ => {}
            }
        }
        runs
    }

    /// The bytes of a run of blocks in memory.
    pub(super) fn buffers(&self, run: Range<u32>) -> Vec<Bytes> {
        let blocks = self.blocks.get(run.start as usize..run.end as usize).unwrap_or_default();
        blocks
            .iter()
            .filter_map(|block| match block {
                Block::Held(data) => Some(data.clone()),
                _ => None,
            })
            .collect()
    }

    /// Notes that a run of blocks is on disk, and lets go of its memory.
    pub(super) fn spilled(&mut self, run: Range<u32>) {
        for block in self.blocks.iter_mut().take(run.end as usize).skip(run.start as usize) {
            if let Block::Held(data) = std::mem::replace(block, Block::Spilled) {
                self.held -= data.len();
            }
        }
    }

    /// Whether the piece is what it should be. What had to be written before it could be hashed is
    /// read back.
    pub(super) fn is_right(
        &mut self,
        expected: &PieceHash,
        read_back: ReadBack<'_>,
    ) -> Result<bool, FinishError> {
        if let Some(block) = self.blocks.iter().position(|b| matches!(b, Block::Missing)) {
            return Err(FinishError::Incomplete { block: block as u32 });
        }
        let v1 = if expected.v1.is_some() { Some(self.v1(read_back)?) } else { None };
        let v2 = if expected.v2.is_some() { Some(self.digests(read_back)?) } else { None };
        Ok(!self.tainted && hash::matches(expected, v1, v2.as_deref()))
    }

    /// SHA-256 of each block.
    pub(super) fn digests(&self, read_back: ReadBack<'_>) -> Result<BlockDigests, StorageFault> {
        let mut buffer = Vec::new();
        let mut digests = Vec::with_capacity(self.blocks.len());
        for number in 0..self.extent.blocks() {
            let known = self.leaves.get(number as usize).copied().flatten();
            digests.push(match (known, self.blocks.get(number as usize)) {
                (Some(leaf), _) => leaf,
                (None, Some(Block::Held(data))) => sha256(data),
                _ => sha256(self.fetch(number, &mut buffer, read_back)?),
            });
        }
        Ok(digests)
    }

    /// SHA-1 of the piece.
    fn v1(&mut self, read_back: ReadBack<'_>) -> Result<Sha1Digest, StorageFault> {
        let mut buffer = Vec::new();
        self.kinds.v1 = true;
        loop {
            self.advance();
            if self.hashed == self.extent.blocks() {
                break;
            }
            let bytes = self.fetch(self.hashed, &mut buffer, read_back)?;
            self.sha1.update(bytes);
            self.hashed += 1;
        }
        let mut whole = self.sha1.clone();
        pad(&mut whole, self.extent.size - self.extent.data);
        Ok(whole.finish())
    }

    /// Runs the SHA-1 over the blocks that come next and are in memory.
    fn advance(&mut self) {
        if !self.kinds.v1 {
            return;
        }
        while let Some(Block::Held(data)) = self.blocks.get(self.hashed as usize) {
            self.sha1.update(data);
            self.hashed += 1;
        }
    }

    /// The bytes of a block that was written early.
    fn fetch<'b>(
        &self,
        number: u32,
        buffer: &'b mut Vec<u8>,
        read_back: ReadBack<'_>,
    ) -> Result<&'b [u8], StorageFault> {
        let range = self.extent.bytes_of(number..number + 1);
        buffer.resize(range.len(), 0);
        read_back(range.start, buffer)?;
        Ok(buffer)
    }
}

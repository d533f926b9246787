//! What goes out to a peer whose connection is encrypted: encrypted once, into buffers of the
//! shard's pool, and kept there until the socket has taken it. What has been encrypted cannot be
//! put off or overtaken any more.

use crate::buffers::{BlockBuf, BlockPool};
use crate::limits::SEALED_BLOCKS_MAX;
use crate::peer::send::Budget;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::wire::mse::Rc4;
use std::io::{self, IoSlice};
use std::rc::Rc;

const BLOCK: usize = BLOCK_SIZE as usize;

/// The outgoing half of an encrypted connection.
pub(crate) struct Seal {
    cipher: Rc4,
    budget: Rc<Budget>,
    /// What is encrypted and not written; all but the last are full.
    blocks: Vec<BlockBuf>,
    /// Where in the first of them what is not written begins.
    start: usize,
    /// Where in the last of them what is encrypted ends.
    end: usize,
}

impl Seal {
    pub(crate) fn new(cipher: Rc4, budget: Rc<Budget>) -> Self {
        Seal { cipher, budget, blocks: Vec::new(), start: 0, end: 0 }
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Encrypts as much of `slices` as there is room for; says how much that was. To be called when
    /// nothing waits.
    pub(crate) fn encrypt(&mut self, slices: &[IoSlice<'_>], pool: &mut BlockPool) -> usize {
        let max = if self.budget.is_spent() { 1 } else { SEALED_BLOCKS_MAX };
        let mut total = 0;
        self.end = BLOCK;
        for slice in slices {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                if self.end == BLOCK {
                    if self.blocks.len() == max {
                        return total;
                    }
                    self.blocks.push(pool.take());
                    self.budget.sealed(BLOCK);
                    self.end = 0;
                }
                let Some(block) = self.blocks.last_mut() else { return total };
                let room = &mut block.as_mut()[self.end..];
                let len = room.len().min(rest.len());
                let (now, later) = rest.split_at(len);
                room[..len].copy_from_slice(now);
                self.cipher.apply(&mut room[..len]);
                self.end += len;
                total += len;
                rest = later;
            }
        }
        total
    }

    /// Writes what waits with `write` (slices to bytes, as a socket does). False if it takes no more.
    ///
    /// # Errors
    /// What `write` says, and [`io::ErrorKind::WriteZero`] if it takes nothing.
    pub(crate) fn write_out(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        while !self.blocks.is_empty() {
            let mut slices = [IoSlice::new(&[]); SEALED_BLOCKS_MAX];
            let last = self.blocks.len() - 1;
            for (at, (slice, block)) in slices.iter_mut().zip(&self.blocks).enumerate() {
                let from = if at == 0 { self.start } else { 0 };
                let to = if at == last { self.end } else { BLOCK };
                *slice = IoSlice::new(&block.as_ref()[from..to]);
            }
            match write(&slices[..=last]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.written(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn written(&mut self, len: usize) {
        let to = self.start + len;
        let whole = match self.blocks.len() {
            0 => return,
            blocks if to >= (blocks - 1) * BLOCK + self.end => blocks,
            _ => to / BLOCK,
        };
        self.blocks.drain(..whole);
        self.budget.unsealed(whole * BLOCK);
        self.start = if self.blocks.is_empty() { 0 } else { to % BLOCK };
    }
}

impl Drop for Seal {
    fn drop(&mut self) {
        self.budget.unsealed(self.blocks.len() * BLOCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However the socket takes it, the peer can decrypt it, and no memory stays.
        #[test]
        fn what_comes_out_is_what_went_in(
            parts in proptest::collection::vec(0..40_000usize, 1..20),
            takes in proptest::collection::vec(1..50_000usize, 1..6),
        ) {
            let budget = Rc::new(Budget::new(1 << 20));
            let mut pool = BlockPool::default();
            let gauge = pool.gauge();
            let mut seal = Seal::new(Rc4::new(b"key"), Rc::clone(&budget));
            let all: Vec<u8> = (0..parts.iter().sum::<usize>()).map(|at| (at / 7) as u8).collect();
            let mut taken = 0;
            let mut out = Vec::new();
            let mut turn = 0;
            while taken < all.len() || !seal.is_empty() {
                if seal.is_empty() {
                    let rest = &all[taken..];
                    let (first, second) = rest.split_at(parts[0].min(rest.len()));
                    let slices = [IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)];
                    taken += seal.encrypt(&slices, &mut pool);
                }
                prop_assert!(gauge.bytes() <= (SEALED_BLOCKS_MAX * BLOCK) as u64);
                prop_assert_eq!(budget.bytes() as u64, gauge.bytes());
                turn += 1;
                let mut room = takes[turn % takes.len()];
                let write = |slices: &[IoSlice<'_>]| {
                    let before = out.len();
                    for slice in slices {
                        let len = slice.len().min(room);
                        out.extend_from_slice(&slice[..len]);
                        room -= len;
                    }
                    if out.len() == before { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(out.len() - before) }
                };
                let done = seal.write_out(write).expect("no failure");
                prop_assert_eq!(done, seal.is_empty());
            }
            Rc4::new(b"key").apply(&mut out);
            prop_assert!(out == all);
            prop_assert_eq!((gauge.bytes(), budget.bytes()), (0, 0));
        }
    }

    #[test]
    fn what_is_never_written_is_given_back() {
        let budget = Rc::new(Budget::new(1 << 20));
        let mut pool = BlockPool::default();
        let mut seal = Seal::new(Rc4::new(b"key"), Rc::clone(&budget));
        let sealed = seal.encrypt(&[IoSlice::new(&[7; 1 << 20])], &mut pool);
        assert_eq!(
            (sealed, budget.bytes()),
            (SEALED_BLOCKS_MAX * BLOCK, SEALED_BLOCKS_MAX * BLOCK)
        );
        let full = seal.write_out(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert!(matches!(full, Ok(false)));
        let broken = seal.write_out(|_| Ok(0)).map_err(|error| error.kind());
        assert_eq!(broken, Err(io::ErrorKind::WriteZero));
        drop(seal);
        assert_eq!((budget.bytes(), pool.gauge().bytes()), (0, 0));
    }
}

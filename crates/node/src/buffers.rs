//! Buffers for blocks on their way from a socket to a disk. Each block has a buffer of its own, of
//! exactly a block's size: memory in use is what blocks are held, never a large buffer that one
//! small slice keeps alive. A buffer goes back to its pool wherever its last user drops it, most
//! often on a disk thread; fresh memory costs a page fault every 4 KiB, reuse costs nothing.

use althing_bittorrent::types::BLOCK_SIZE;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const SIZE: usize = BLOCK_SIZE as usize;

/// A shard's source of buffers. Taking one touches no lock unless the shard has run out and collects
/// what other threads gave back.
#[derive(Default)]
pub(crate) struct BlockPool {
    idle: Vec<Box<[u8; SIZE]>>,
    shared: Arc<Returned>,
}

/// What was given back, and how much is out.
#[derive(Default)]
struct Returned {
    idle: Mutex<Vec<Box<[u8; SIZE]>>>,
    in_use: AtomicUsize,
}

/// Reads how much memory a pool has handed out, from any thread.
#[derive(Clone)]
pub(crate) struct BlockGauge(Arc<Returned>);

impl BlockGauge {
    /// Bytes of buffers that somebody holds.
    pub(crate) fn bytes(&self) -> u64 {
        (self.0.in_use.load(Ordering::Relaxed) * SIZE) as u64
    }
}

impl BlockPool {
    /// A buffer of a block's size. Its content is whatever was in it last.
    pub(crate) fn take(&mut self) -> BlockBuf {
        if self.idle.is_empty() {
            std::mem::swap(&mut self.idle, &mut *lock(&self.shared.idle));
        }
        let bytes = self.idle.pop().unwrap_or_else(fresh);
        self.shared.in_use.fetch_add(1, Ordering::Relaxed);
        BlockBuf { bytes: Some(bytes), shared: self.shared.clone() }
    }

    /// Where to read how much is out.
    pub(crate) fn gauge(&self) -> BlockGauge {
        BlockGauge(self.shared.clone())
    }

    /// Gives idle buffers back to the system but for `keep` of them.
    pub(crate) fn trim(&mut self, keep: usize) {
        let mut returned = std::mem::take(&mut *lock(&self.shared.idle));
        self.idle.append(&mut returned);
        self.idle.truncate(keep);
        self.idle.shrink_to_fit();
    }
}

fn fresh() -> Box<[u8; SIZE]> {
    vec![0; SIZE].into_boxed_slice().try_into().expect("its length is the array's")
}

/// A poisoned lock would mean a panic while a buffer was pushed; the list is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer for one block.
pub(crate) struct BlockBuf {
    /// `None` only while it is dropped.
    bytes: Option<Box<[u8; SIZE]>>,
    shared: Arc<Returned>,
}

impl BlockBuf {
    /// The first `len` bytes, shared and immutable from now on.
    pub(crate) fn freeze(self, len: usize) -> Bytes {
        Bytes::from_owner(self).slice(..len)
    }

    /// The whole buffer, to be filled.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut().map_or(&mut [], |bytes| &mut bytes[..])
    }
}

impl AsRef<[u8]> for BlockBuf {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| &bytes[..])
    }
}

impl Drop for BlockBuf {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            lock(&self.shared.idle).push(bytes);
            self.shared.in_use.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_dropped_elsewhere() {
        let mut pool = BlockPool::default();
        let gauge = pool.gauge();
        let mut buffer = pool.take();
        buffer.as_mut()[..3].copy_from_slice(b"abc");
        let address = buffer.as_ref().as_ptr();
        let slice = buffer.freeze(3);
        let other = slice.clone();
        drop(slice);
        assert_eq!(gauge.bytes(), SIZE as u64);
        std::thread::spawn(move || assert_eq!(&other[..], b"abc")).join().expect("no panic");
        assert_eq!(gauge.bytes(), 0);
        assert_eq!(pool.take().as_ref().as_ptr(), address);
        pool.trim(0);
        assert!(pool.idle.is_empty());
    }
}

//! Buffers for reads, recycled: a seeder reads the same sizes for hours.

use crate::limits::READ_RUN_BYTES_MAX;
use crate::mutex::guard;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Sizes of buffers in bytes: parts of a block, since strangers may ask for single bytes by the
/// thousand, a block, and up to the longest run. A buffer is at most twice what was asked for, if that
/// was a block or more.
const SIZES: [usize; 9] = [
    1 << 10,
    4 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
    READ_RUN_BYTES_MAX,
];

/// The idle buffers.
pub(super) struct Buffers {
    idle: Mutex<Idle>,
    /// Bytes that may be idle.
    idle_max: usize,
    /// Bytes of buffers in use and idle.
    allocated: AtomicUsize,
}

#[derive(Default)]
struct Idle {
    by_size: [Vec<Vec<u8>>; SIZES.len()],
    bytes: usize,
}

impl Buffers {
    pub(super) fn new(idle_max: usize) -> Self {
        Buffers { idle: Mutex::default(), idle_max, allocated: AtomicUsize::new(0) }
    }

    /// A buffer of `len` bytes, at most [`READ_RUN_BYTES_MAX`], with anything in it.
    pub(super) fn buffer(self: &Arc<Self>, len: usize) -> Buffer {
        let len = len.min(READ_RUN_BYTES_MAX);
        let class = SIZES.iter().position(|&size| len <= size).unwrap_or(SIZES.len() - 1);
        let mut idle = guard(&self.idle);
        let recycled = idle.by_size[class].pop();
        if recycled.is_some() {
            idle.bytes -= SIZES[class];
        }
        drop(idle);
        let bytes = recycled.unwrap_or_else(|| {
            self.allocated.fetch_add(SIZES[class], Ordering::Relaxed);
            vec![0; SIZES[class]]
        });
        Buffer { bytes, len, class, home: Arc::clone(self) }
    }

    /// Bytes of memory in all buffers.
    pub(super) fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }
}

/// A buffer that goes back when it is dropped.
pub(super) struct Buffer {
    /// Always of its class's size.
    bytes: Vec<u8>,
    len: usize,
    class: usize,
    home: Arc<Buffers>,
}

impl Buffer {
    /// What it is for: `len` bytes.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// The filled buffer; slices of it keep it in use.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut idle = guard(&self.home.idle);
        if idle.bytes + SIZES[self.class] <= self.home.idle_max {
            idle.bytes += SIZES[self.class];
            let bytes = std::mem::take(&mut self.bytes);
            idle.by_size[self.class].push(bytes);
        } else {
            self.home.allocated.fetch_sub(SIZES[self.class], Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE_MAX: usize = 4 << 20;

    #[test]
    fn buffers_come_back_when_the_last_slice_is_gone() {
        let buffers = Arc::new(Buffers::new(IDLE_MAX));
        for len in [1, 16 << 10, (16 << 10) + 1, 1 << 20] {
            let mut buffer = buffers.buffer(len);
            buffer.as_mut().fill(7);
            let bytes = buffer.freeze();
            assert_eq!(bytes.len(), len);
            let slice = bytes.slice(len - 1..);
            drop(bytes);
            assert_eq!(slice[0], 7);
        }
        let sum = (1 << 10) + (16 << 10) + (32 << 10) + (1 << 20);
        assert_eq!(buffers.allocated(), sum);
        let again = buffers.buffer(20 << 10);
        assert_eq!(buffers.allocated(), sum);
        drop(again);
    }

    #[test]
    fn single_bytes_take_little() {
        let buffers = Arc::new(Buffers::new(IDLE_MAX));
        let all: Vec<_> = (0..1000).map(|_| buffers.buffer(1).freeze()).collect();
        assert!(buffers.allocated() <= 1 << 20, "{}", buffers.allocated());
        drop(all);
    }

    #[test]
    fn no_more_than_the_limit_stays_idle() {
        let buffers = Arc::new(Buffers::new(IDLE_MAX));
        let count = 2 * IDLE_MAX / READ_RUN_BYTES_MAX;
        let all: Vec<_> = (0..count).map(|_| buffers.buffer(READ_RUN_BYTES_MAX)).collect();
        assert_eq!(buffers.allocated(), count * READ_RUN_BYTES_MAX);
        drop(all);
        assert_eq!(buffers.allocated(), IDLE_MAX);
    }
}

//! What goes out to a peer: messages, and blocks read from disk, written with as few system calls
//! as possible and without copying the payload.
//!
//! Messages overtake blocks that wait, since a request that stands behind a megabyte of upload
//! would cost download; a block that has been begun is finished first. Blocks are read from disk in
//! batches, one at a time for each connection: while a batch is read the next one gathers, so the
//! faster the peer, the larger the reads.

use crate::limits::{
    BLOCKS_SPARED, KEPT_FOR_READERS_PERCENT, OUT_QUEUE_BYTES_MAX, OUT_QUEUE_BYTES_SPARED,
    OUT_QUEUES_BYTES_MAX,
};
use althing_bittorrent::BlockRef;
use althing_bittorrent::swarm::limits::READER_BYTES;
use althing_bittorrent::wire::{BLOCK_HEADER_LEN, Message, encode_block_header};
use bytes::{Buf, Bytes, BytesMut};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

/// Blocks that one system call may write, header and payload being a slice each: 1 MiB, what the
/// swarm has under way for one peer at most.
const BLOCKS_PER_WRITE: usize = 64;

/// What all connections of a shard have in memory to be written. Each may have a little; what is
/// more they share, so that many peers who do not read cannot take more than this together.
pub(crate) struct Budget {
    message_bytes: Cell<usize>,
    /// Blocks that have been read or are being read.
    block_bytes: Cell<usize>,
    /// What of these makes the budget spent.
    block_bytes_max: usize,
}

impl Budget {
    /// Of so many bytes of blocks.
    pub(crate) fn new(block_bytes_max: usize) -> Self {
        Budget { message_bytes: Cell::new(0), block_bytes: Cell::new(0), block_bytes_max }
    }

    /// Whether each connection has to make do with what is spared for it.
    pub(crate) fn is_spent(&self) -> bool {
        self.block_bytes.get() >= self.block_bytes_max
    }

    /// The same for a connection of which it is not known whether the other end reads.
    fn is_spent_for_strangers(&self) -> bool {
        let kept = self.block_bytes_max / 100 * KEPT_FOR_READERS_PERCENT;
        self.block_bytes.get() >= self.block_bytes_max - kept
    }

    /// So many bytes of buffers have been taken for what is encrypted ahead.
    pub(crate) fn sealed(&self, bytes: usize) {
        self.block_bytes.update(|all| all + bytes);
    }

    /// They have been given back.
    pub(crate) fn unsealed(&self, bytes: usize) {
        self.block_bytes.update(|all| all - bytes);
    }

    /// Bytes of messages and blocks.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.message_bytes.get() + self.block_bytes.get()
    }
}

/// The sending half of a connection.
pub(crate) struct Sender {
    budget: Rc<Budget>,
    /// Messages as bytes.
    messages: BytesMut,
    /// Blocks that have been read, in order.
    blocks: VecDeque<Outgoing>,
    /// How much of the first of `blocks` has been written.
    begun: usize,
    /// Blocks to be read.
    wanted: Vec<BlockRef>,
    /// Whether a batch is being read.
    reading: bool,
    /// Its bytes.
    reading_bytes: usize,
    /// Bytes of blocks that the other end has taken.
    taken_bytes: u64,
}

struct Outgoing {
    block: BlockRef,
    header: [u8; BLOCK_HEADER_LEN],
    payload: Bytes,
}

impl Outgoing {
    fn len(&self) -> usize {
        BLOCK_HEADER_LEN + self.payload.len()
    }
}

/// The peer reads too slowly for what it makes us say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueFull;

impl Sender {
    pub(crate) fn new(budget: Rc<Budget>) -> Self {
        Sender {
            budget,
            messages: BytesMut::new(),
            blocks: VecDeque::new(),
            begun: 0,
            wanted: Vec::new(),
            reading: false,
            reading_bytes: 0,
            taken_bytes: 0,
        }
    }

    /// Queues a message.
    pub(crate) fn push(&mut self, message: &Message) -> Result<(), QueueFull> {
        let len = message.encoded_len();
        let all = self.budget.message_bytes.get() + len;
        let max =
            if all > OUT_QUEUES_BYTES_MAX { OUT_QUEUE_BYTES_SPARED } else { OUT_QUEUE_BYTES_MAX };
        if self.messages.len() + len > max {
            return Err(QueueFull);
        }
        message.encode(&mut self.messages);
        self.budget.message_bytes.set(all);
        Ok(())
    }

    /// Queues a block that has to be read from disk first. Says whether
    /// [`next_read`](Self::next_read) has something because of it.
    pub(crate) fn want(&mut self, block: BlockRef) -> bool {
        self.wanted.push(block);
        self.wanted.len() == 1 && !self.reading
    }

    /// Whether [`next_read`](Self::next_read) may have something.
    pub(crate) fn wants_read(&self) -> bool {
        !self.wanted.is_empty() && !self.reading
    }

    /// The blocks to read now, if there are any and none are being read. Answer with
    /// [`read_done`](Self::read_done). With the shard's budget used up, a connection gets its next
    /// few blocks when all it has are written.
    pub(crate) fn next_read(&mut self) -> Option<Vec<BlockRef>> {
        if !self.wants_read() {
            return None;
        }
        let spent = match self.taken_bytes >= READER_BYTES {
            true => self.budget.is_spent(),
            false => self.budget.is_spent_for_strangers(),
        };
        if spent && !self.blocks.is_empty() {
            return None;
        }
        self.reading = true;
        if spent && self.wanted.len() > BLOCKS_SPARED {
            let later = self.wanted.split_off(BLOCKS_SPARED);
            return Some(self.begin_read(later));
        }
        Some(self.begin_read(Vec::new()))
    }

    /// The blocks to read now; those of `later` stay.
    fn begin_read(&mut self, later: Vec<BlockRef>) -> Vec<BlockRef> {
        let now = std::mem::replace(&mut self.wanted, later);
        // What is being read is in memory as soon as the disk has its turn.
        self.reading_bytes = now.iter().map(|block| block.len as usize).sum();
        self.budget.block_bytes.update(|all| all + self.reading_bytes);
        now
    }

    /// The blocks of [`next_read`](Self::next_read) are here. Says whether there is something for the
    /// next one.
    pub(crate) fn read_done(&mut self, blocks: Vec<(BlockRef, Bytes)>) -> bool {
        self.reading = false;
        let len: usize = blocks.iter().map(|(_, payload)| payload.len()).sum();
        let reserved = std::mem::take(&mut self.reading_bytes);
        self.budget.block_bytes.update(|all| all + len - reserved);
        self.blocks.extend(blocks.into_iter().map(|(block, payload)| Outgoing {
            block,
            header: encode_block_header(block),
            payload,
        }));
        !self.wanted.is_empty()
    }

    /// Whether there is nothing that could be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.blocks.is_empty()
    }

    /// Bytes of messages and blocks in memory.
    #[cfg(test)]
    pub(crate) fn queued_bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Outgoing::len).sum();
        self.messages.len() + blocks - self.begun
    }

    /// Writes once with `write` (slices to bytes, as a socket does) and appends the blocks that
    /// have been written to the end to `sent`. Says how many bytes were written.
    ///
    /// # Errors
    /// What `write` says.
    pub(crate) fn send(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
        sent: &mut Vec<BlockRef>,
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 2 * BLOCKS_PER_WRITE + 1];
        let mut used = 0;
        let mut add = |bytes| {
            slices[used] = IoSlice::new(bytes);
            used += 1;
        };
        let mut waiting = self.blocks.iter().take(BLOCKS_PER_WRITE);
        if self.begun > 0
            && let Some(first) = waiting.next()
        {
            match self.begun.checked_sub(BLOCK_HEADER_LEN) {
                Some(of_payload) => add(&first.payload[of_payload..]),
                None => {
                    add(&first.header[self.begun..]);
                    add(&first.payload);
                }
            }
        }
        add(&self.messages);
        for block in waiting {
            add(&block.header);
            add(&block.payload);
        }
        let written = write(&slices[..used])?;
        self.written(written, sent);
        Ok(written)
    }

    /// `len` bytes of what [`send`](Self::send) offered have been taken.
    fn written(&mut self, mut len: usize, sent: &mut Vec<BlockRef>) {
        let total = len;
        if self.begun > 0 {
            len = self.take_block(len, sent);
        }
        if self.begun == 0 {
            let part = self.messages.len().min(len);
            self.messages.advance(part);
            self.budget.message_bytes.update(|all| all - part);
            len -= part;
            while len > 0 && self.messages.is_empty() && !self.blocks.is_empty() {
                len = self.take_block(len, sent);
            }
        }
        debug_assert_eq!(len, 0, "of {total} bytes more were written than offered");
        if self.messages.is_empty() && self.messages.capacity() > KEPT_CAPACITY {
            self.messages = BytesMut::new();
        }
    }

    /// Counts `len` bytes towards the first block; says how many are left for the next one.
    fn take_block(&mut self, len: usize, sent: &mut Vec<BlockRef>) -> usize {
        let Some(first) = self.blocks.front() else { return len };
        let part = (first.len() - self.begun).min(len);
        self.begun += part;
        if self.begun == first.len() {
            sent.push(first.block);
            self.budget.block_bytes.update(|all| all - first.payload.len());
            self.taken_bytes += first.payload.len() as u64;
            self.blocks.pop_front();
            self.begun = 0;
        }
        len - part
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let blocks: usize = self.blocks.iter().map(|block| block.payload.len()).sum();
        self.budget.block_bytes.update(|all| all - blocks - self.reading_bytes);
        self.budget.message_bytes.update(|all| all - self.messages.len());
    }
}

/// Bytes of buffer that a connection keeps while it has nothing to say.
const KEPT_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use althing_bittorrent::PieceIndex;
    use althing_bittorrent::wire::{DecodeLimits, Decoded, decode};
    use proptest::prelude::*;

    fn block(number: u32) -> BlockRef {
        BlockRef { piece: PieceIndex(number), begin: 0, len: 1 + number % 300 }
    }

    fn payload(block: BlockRef) -> Bytes {
        Bytes::from(vec![block.piece.0 as u8; block.len as usize])
    }

    /// A socket that takes at most `part` bytes at once.
    fn write_to(
        out: &mut Vec<u8>,
        part: usize,
    ) -> impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize> {
        move |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let part = part.min(all.len());
            out.extend_from_slice(&all[..part]);
            Ok(part)
        }
    }

    fn read_all(sender: &mut Sender) {
        if let Some(blocks) = sender.next_read() {
            sender.read_done(blocks.into_iter().map(|block| (block, payload(block))).collect());
        }
    }

    proptest! {
        /// Whatever the socket takes at a time: whole frames arrive, each kind in its order, and a
        /// block counts as sent exactly when its last byte is out.
        #[test]
        fn frames_arrive_whole_and_in_order(
            parts in proptest::collection::vec(1..5000usize, 1..60),
            pushes in proptest::collection::vec(0..3u8, 60),
        ) {
            let mut sender = Sender::new(Rc::new(Budget::new(1 << 20)));
            let (mut out, mut sent) = (Vec::new(), Vec::new());
            let (mut messages, mut blocks) = (0u32, 0u32);
            let turns = pushes.iter().zip(parts.iter().cycle());
            for (push, part) in turns {
                match push {
                    0 => {
                        sender.push(&Message::Have(PieceIndex(messages))).expect("far from full");
                        messages += 1;
                    }
                    1 => {
                        sender.want(block(blocks));
                        blocks += 1;
                        read_all(&mut sender);
                    }
                    _ => {
                        sender.send(write_to(&mut out, *part), &mut sent).expect("it takes all");
                    }
                }
            }
            while !sender.is_empty() {
                sender.send(write_to(&mut out, parts[0]), &mut sent).expect("it takes all");
            }
            prop_assert_eq!(sender.queued_bytes(), 0);
            prop_assert_eq!(sender.budget.bytes(), 0);
            let (mut next_message, mut next_block) = (0, 0);
            let mut rest = &out[..];
            while !rest.is_empty() {
                match decode(rest, &DecodeLimits::default()).expect("whole frames") {
                    Decoded::Message { message, consumed } => {
                        prop_assert_eq!(message, Message::Have(PieceIndex(next_message)));
                        next_message += 1;
                        rest = &rest[consumed..];
                    }
                    Decoded::Block { block: got, payload: range, consumed } => {
                        prop_assert_eq!(got, block(next_block));
                        prop_assert_eq!(&rest[range], &payload(got)[..]);
                        next_block += 1;
                        rest = &rest[consumed..];
                    }
                    Decoded::Incomplete { .. } => prop_assert!(false, "a torn frame"),
                }
            }
            prop_assert_eq!((next_message, next_block), (messages, blocks));
            prop_assert_eq!(sent, (0..blocks).map(block).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_message_overtakes_blocks_but_not_the_one_begun() {
        let mut sender = Sender::new(Rc::new(Budget::new(1 << 20)));
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        sender.want(block(1));
        sender.want(block(2));
        read_all(&mut sender);
        sender.send(write_to(&mut out, 5), &mut sent).expect("it takes five bytes");
        sender.push(&Message::Choke).expect("far from full");
        while !sender.is_empty() {
            sender.send(write_to(&mut out, usize::MAX), &mut sent).expect("it takes all");
        }
        let choke_at = 13 + block(1).len as usize;
        assert_eq!(out[choke_at..choke_at + 5], [0, 0, 0, 1, 0]);
    }

    #[test]
    fn while_a_batch_is_read_the_next_one_gathers() {
        let mut sender = Sender::new(Rc::new(Budget::new(1 << 20)));
        sender.want(block(1));
        let batch = sender.next_read().expect("one is wanted");
        sender.want(block(2));
        sender.want(block(3));
        assert_eq!(sender.next_read(), None);
        sender.read_done(batch.into_iter().map(|block| (block, payload(block))).collect());
        assert_eq!(sender.next_read(), Some(vec![block(2), block(3)]));
    }

    #[test]
    fn a_peer_that_does_not_read_gets_so_much_and_no_more() {
        let mut sender = Sender::new(Rc::new(Budget::new(1 << 20)));
        while sender.push(&Message::Have(PieceIndex(0))).is_ok() {}
        assert!(sender.queued_bytes() <= OUT_QUEUE_BYTES_MAX);
        assert!(sender.queued_bytes() > OUT_QUEUE_BYTES_MAX - 9);
    }

    #[test]
    fn many_who_do_not_read_share_a_budget() {
        let blocks_max = 8 << 20;
        let budget = Rc::new(Budget::new(blocks_max));
        let mut senders: Vec<Sender> = Vec::new();
        let mut most = 0;
        for _ in 0..200 {
            let mut sender = Sender::new(Rc::clone(&budget));
            while sender.push(&Message::Have(PieceIndex(0))).is_ok() {}
            for number in 0..2000 {
                sender.want(block(number));
            }
            while let Some(batch) = sender.next_read() {
                let large = Bytes::from(vec![0; 16 * 1024]);
                sender.read_done(batch.into_iter().map(|one| (one, large.clone())).collect());
            }
            assert!(!sender.is_empty(), "everybody gets a little");
            senders.push(sender);
            most = most.max(budget.bytes());
        }
        // One connection may overshoot with what its swarm lets it have on the way.
        let spared = 200 * (OUT_QUEUE_BYTES_SPARED + BLOCKS_SPARED * 16 * 1024);
        let bound = OUT_QUEUES_BYTES_MAX + blocks_max + spared + 2000 * 16 * 1024;
        assert!(most <= bound, "{most} > {bound}");
        drop(senders);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn those_who_do_not_read_leave_something_to_those_who_do() {
        let large = Bytes::from(vec![0; 16 * 1024]);
        let ask = |sender: &mut Sender, count: u32| {
            for number in 0..count {
                sender.want(block(number));
            }
        };
        let answer = |sender: &mut Sender| {
            let batch = sender.next_read().unwrap_or_default();
            let count = batch.len();
            sender.read_done(batch.into_iter().map(|one| (one, large.clone())).collect());
            count
        };
        let budget = Rc::new(Budget::new(1 << 20));
        let mut reader = Sender::new(Rc::clone(&budget));
        let mut sent = Vec::new();
        // In whole: it is known to read.
        while (sent.len() as u64) < READER_BYTES / (16 * 1024) {
            ask(&mut reader, 64);
            answer(&mut reader);
            let all = |slices: &[IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
            reader.send(all, &mut sent).expect("it takes everything");
        }
        let mut deaf = Sender::new(Rc::clone(&budget));
        ask(&mut deaf, 44);
        assert_eq!(answer(&mut deaf), 44);
        assert!(budget.is_spent_for_strangers() && !budget.is_spent());
        let mut other = Sender::new(Rc::clone(&budget));
        for sender in [&mut other, &mut reader] {
            ask(sender, 16);
        }
        assert_eq!((answer(&mut other), answer(&mut reader)), (BLOCKS_SPARED, 16));
        // That has an end, too.
        ask(&mut reader, 16);
        assert_eq!(answer(&mut reader), 16);
        ask(&mut reader, 16);
        assert_eq!(answer(&mut reader), 0);
        drop((reader, deaf, other));
        assert_eq!(budget.bytes(), 0);
    }
}

//! From a socket's bytes to messages and blocks (BEP 3), with every block's payload read by the
//! kernel straight into a buffer of its own.
//!
//! Blocks come in streams: thirteen bytes of header, 16 KiB of payload, again and again. So while a
//! stream runs, the socket is read with a list of slices that has the shape of the stream. When the
//! guess fails because some other message stands in between, what was read past it is copied once
//! and parsed as it is; nothing but that copy is lost. Between streams the bytes are read into a
//! plain buffer that all connections of a shard share, so an idle connection holds no memory.

use crate::buffers::{BlockBuf, BlockPool};
use althing_bittorrent::BlockRef;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::wire::limits::FRAME_BYTES_MAX;
use althing_bittorrent::wire::{
    BLOCK_HEADER_LEN, DecodeLimits, Decoded, Message, WireError, decode, decode_block_header,
};
use bytes::Bytes;
use std::io::{self, IoSliceMut};
use std::ops::ControlFlow;

const BLOCK: usize = BLOCK_SIZE as usize;

/// Blocks that one read may bring: 256 KiB, about what a socket's buffer holds while the disk has
/// its turn.
const BLOCKS_AHEAD: usize = 16;

/// Bytes of one read between streams. Messages are small; a stream is noticed with its first block.
const PLAIN_READ_BYTES: usize = 64 * 1024;

/// What a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A message.
    Message(Message),
    /// A block and its payload.
    Block(BlockRef, Bytes),
}

/// The receiving half of a connection.
pub(crate) struct Receiver {
    limits: DecodeLimits,
    /// The start of a message; never a whole block header (then it is `filling`).
    partial: Vec<u8>,
    /// A block whose payload is coming in.
    filling: Option<Filling>,
    /// Whether a block came last: then another one is likely next.
    streaming: bool,
}

struct Filling {
    block: BlockRef,
    buffer: BlockBuf,
    filled: usize,
}

/// What connections of a shard share, each for the time of one read.
pub(crate) struct Scratch {
    pool: BlockPool,
    /// Where a stream's headers and blocks go.
    headers: [[u8; BLOCK_HEADER_LEN]; BLOCKS_AHEAD],
    blocks: Vec<BlockBuf>,
    /// Where everything else goes.
    plain: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new(mut pool: BlockPool) -> Self {
        let blocks = (0..BLOCKS_AHEAD).map(|_| pool.take()).collect();
        let headers = [[0; BLOCK_HEADER_LEN]; BLOCKS_AHEAD];
        Scratch { pool, headers, blocks, plain: vec![0; PLAIN_READ_BYTES] }
    }

    pub(crate) fn pool(&mut self) -> &mut BlockPool {
        &mut self.pool
    }

    /// The block buffer at `at`, replaced by another one.
    fn take_block(&mut self, at: usize) -> BlockBuf {
        std::mem::replace(&mut self.blocks[at], self.pool.take())
    }
}

impl Filling {
    fn missing(&mut self) -> &mut [u8] {
        &mut self.buffer.as_mut()[self.filled..self.block.len as usize]
    }

    fn done(self) -> Received {
        Received::Block(self.block, self.buffer.freeze(self.block.len as usize))
    }
}

impl Receiver {
    pub(crate) fn new(limits: DecodeLimits) -> Self {
        Receiver { limits, partial: Vec::new(), filling: None, streaming: false }
    }

    /// Reads once with `read` (bytes into slices, as a socket does) and hands everything that is
    /// whole now to `sink`, until that breaks off. Says how many bytes were read; 0 is the end.
    ///
    /// # Errors
    /// What `read` says, or [`io::ErrorKind::InvalidData`] with a [`WireError`] if the bytes are not
    /// the peer protocol. The receiver is of no use after the latter.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut Scratch,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
        sink: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> io::Result<usize> {
        let refused = |error: WireError| io::Error::new(io::ErrorKind::InvalidData, error);
        if self.filling.is_some() || (self.streaming && self.partial.len() < BLOCK_HEADER_LEN) {
            let len = self.read_stream(scratch, read)?;
            self.take_stream(scratch, len, sink).map(drop).map_err(refused)?;
            Ok(len)
        } else {
            let mut plain = std::mem::take(&mut scratch.plain);
            let result = read(&mut [IoSliceMut::new(&mut plain)]);
            let taken = match result {
                Ok(len) => self.take_plain(scratch, &plain[..len], sink).map(drop).map_err(refused),
                Err(_) => Ok(()),
            };
            scratch.plain = plain;
            taken?;
            result
        }
    }

    /// Reads with slices that have the shape of a stream of blocks.
    fn read_stream(
        &mut self,
        scratch: &mut Scratch,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let known = self.partial.len();
        scratch.headers[0][..known].copy_from_slice(&self.partial);
        let mut slices: [IoSliceMut<'_>; 2 * BLOCKS_AHEAD + 1] =
            std::array::from_fn(|_| IoSliceMut::new(&mut []));
        if let Some(filling) = &mut self.filling {
            slices[0] = IoSliceMut::new(filling.missing());
        }
        let ahead = scratch.headers.iter_mut().zip(&mut scratch.blocks).enumerate();
        for (at, (header, block)) in ahead {
            let from = if at == 0 { known } else { 0 };
            slices[1 + 2 * at] = IoSliceMut::new(&mut header[from..]);
            slices[2 + 2 * at] = IoSliceMut::new(block.as_mut());
        }
        read(&mut slices)
    }

    /// Takes the `len` bytes that [`read_stream`](Self::read_stream) brought.
    fn take_stream(
        &mut self,
        scratch: &mut Scratch,
        mut len: usize,
        sink: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, WireError> {
        if let Some(mut filling) = self.filling.take() {
            let part = filling.missing().len().min(len);
            filling.filled += part;
            len -= part;
            if !filling.missing().is_empty() {
                self.filling = Some(filling);
            } else if sink(filling.done()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        // From here on `len` counts the bytes from the start of the next header.
        len += std::mem::take(&mut self.partial).len();
        for at in 0..BLOCKS_AHEAD {
            if len < BLOCK_HEADER_LEN {
                // Perhaps a whole small message.
                return self.take_strays(scratch, at, len, sink);
            }
            let block = match decode_block_header(&scratch.headers[at], &self.limits)? {
                Some(block) if block.len as usize == BLOCK => block,
                _ => return self.take_strays(scratch, at, len, sink),
            };
            len -= BLOCK_HEADER_LEN;
            let filling = Filling { block, buffer: scratch.take_block(at), filled: len.min(BLOCK) };
            len -= filling.filled;
            if filling.filled < BLOCK {
                self.filling = Some(filling);
                return Ok(ControlFlow::Continue(()));
            }
            if sink(filling.done()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Parses the `len` bytes that lie in the slices from header `at` on, which are not a block.
    fn take_strays(
        &mut self,
        scratch: &mut Scratch,
        at: usize,
        mut len: usize,
        sink: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, WireError> {
        let mut strays = Vec::with_capacity(len);
        for (header, block) in scratch.headers.iter().zip(&scratch.blocks).skip(at) {
            for slice in [&header[..], block.as_ref()] {
                let part = slice.len().min(len);
                strays.extend_from_slice(&slice[..part]);
                len -= part;
            }
        }
        self.take_plain(scratch, &strays, sink)
    }

    /// Parses bytes that lie in a row, after those that are waiting, and keeps what is not whole.
    fn take_plain(
        &mut self,
        scratch: &mut Scratch,
        bytes: &[u8],
        sink: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, WireError> {
        // What waits is never copied again: a peer that sends a long message byte by byte must not
        // cost more than the message.
        let mut waiting = std::mem::take(&mut self.partial);
        if !waiting.is_empty() {
            waiting.extend_from_slice(bytes);
        }
        let all = if waiting.is_empty() { bytes } else { &waiting[..] };
        let (consumed, flow) = self.parse(scratch, all, sink)?;
        let rest = &all[consumed..];
        if flow.is_break() {
            return Ok(flow);
        }
        if let Some(block) = decode_block_header(rest, &self.limits)? {
            let mut buffer = scratch.pool.take();
            let payload = &rest[BLOCK_HEADER_LEN..];
            buffer.as_mut()[..payload.len()].copy_from_slice(payload);
            self.filling = Some(Filling { block, buffer, filled: payload.len() });
            self.streaming = true;
        } else if waiting.is_empty() {
            self.partial.extend_from_slice(rest);
        } else {
            waiting.drain(..consumed);
            self.partial = waiting;
        }
        Ok(flow)
    }

    /// Hands on what is whole in `bytes`; says how many bytes that was.
    fn parse(
        &mut self,
        scratch: &mut Scratch,
        bytes: &[u8],
        sink: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>), WireError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let (received, consumed) = match decode(rest, &self.limits)? {
                Decoded::Incomplete { .. } => return Ok((at, ControlFlow::Continue(()))),
                Decoded::Message { message, consumed } => {
                    self.streaming = false;
                    (Received::Message(message), consumed)
                }
                Decoded::Block { block, payload, consumed } => {
                    self.streaming = true;
                    let mut buffer = scratch.pool.take();
                    let len = payload.len();
                    buffer.as_mut()[..len].copy_from_slice(&rest[payload]);
                    (Received::Block(block, buffer.freeze(len)), consumed)
                }
            };
            at += consumed;
            if sink(received).is_break() {
                return Ok((at, ControlFlow::Break(())));
            }
        }
    }
}

/// A block buffer holds any block that the wire lets through.
const _: () = assert!(althing_bittorrent::wire::limits::BLOCK_BYTES_MAX <= BLOCK_SIZE);
/// What waits of a message, and one read, may lie in memory twice.
const _: () = assert!(FRAME_BYTES_MAX + PLAIN_READ_BYTES < 1 << 20);

#[cfg(test)]
mod tests {
    use super::*;
    use althing_bittorrent::PieceIndex;
    use althing_bittorrent::wire::encode_block_header;
    use proptest::prelude::*;

    /// A socket that gives `stream` in parts of the given sizes, over and over.
    struct Source<'a> {
        stream: &'a [u8],
        parts: Vec<usize>,
        turn: usize,
    }

    impl Source<'_> {
        fn read(&mut self, slices: &mut [IoSliceMut<'_>]) -> usize {
            let part = self.parts[self.turn % self.parts.len()];
            self.turn += 1;
            let (mut now, _) = self.stream.split_at(part.min(self.stream.len()));
            let mut total = 0;
            for slice in slices {
                let len = slice.len().min(now.len());
                slice[..len].copy_from_slice(&now[..len]);
                now = &now[len..];
                total += len;
            }
            self.stream = &self.stream[total..];
            total
        }
    }

    fn encode(items: &[Received]) -> Vec<u8> {
        let mut stream = Vec::new();
        for item in items {
            match item {
                Received::Message(message) => message.encode(&mut stream),
                Received::Block(block, payload) => {
                    stream.extend(encode_block_header(*block));
                    stream.extend(payload);
                }
            }
        }
        stream
    }

    /// However the stream is cut, the same items come out, and no buffer is lost.
    fn check(items: &[Received], parts: Vec<usize>) {
        let stream = encode(items);
        let mut source = Source { stream: &stream, parts, turn: 0 };
        let mut scratch = Scratch::new(BlockPool::default());
        let gauge = scratch.pool().gauge();
        let mut receiver = Receiver::new(DecodeLimits::default());
        let mut received = Vec::new();
        let mut sink = |item| {
            received.push(item);
            ControlFlow::Continue(())
        };
        while !source.stream.is_empty() {
            let read = |slices: &mut [IoSliceMut<'_>]| Ok(source.read(slices));
            receiver.receive(&mut scratch, read, &mut sink).expect("a valid stream");
        }
        assert!(received == items, "{} items became {}", items.len(), received.len());
        drop(received);
        assert_eq!(gauge.bytes(), (BLOCKS_AHEAD * BLOCK) as u64);
    }

    fn block(number: u32, len: u32) -> Received {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + number) as u8).collect();
        Received::Block(
            BlockRef { piece: PieceIndex(number), begin: 0x4000, len },
            Bytes::from(bytes),
        )
    }

    fn any_item() -> impl Strategy<Value = Received> {
        prop_oneof![
            6 => (0..1000u32).prop_map(|number| block(number, BLOCK_SIZE)),
            1 => (0..1000u32, 1..BLOCK_SIZE).prop_map(|(number, len)| block(number, len)),
            2 => (0..1000u32).prop_map(|n| Received::Message(Message::Have(PieceIndex(n)))),
            1 => Just(Received::Message(Message::KeepAlive)),
            1 => (0..70_000usize).prop_map(|len| {
                Received::Message(Message::Bitfield(Bytes::from(vec![0xaa; len])))
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_cut_gives_the_same(
            items in proptest::collection::vec(any_item(), 0..40),
            parts in proptest::collection::vec(
                prop_oneof![1..20usize, 1..40_000usize, 1..400_000usize], 1..8),
        ) {
            check(&items, parts);
        }
    }

    #[test]
    fn a_stream_is_read_in_place() {
        let items: Vec<_> = (0..40).map(|number| block(number, BLOCK_SIZE)).collect();
        check(&items, vec![1 << 20]);
        check(&items, vec![1]);
        check(&items, vec![BLOCK + BLOCK_HEADER_LEN]);
    }

    #[test]
    fn garbage_is_refused_wherever_it_stands() {
        let mut stream = encode(&[block(0, BLOCK_SIZE), block(1, BLOCK_SIZE)]);
        stream.extend([0xff; 20]);
        for part in [1, 100, 1 << 20] {
            let mut source = Source { stream: &stream, parts: vec![part], turn: 0 };
            let mut scratch = Scratch::new(BlockPool::default());
            let mut receiver = Receiver::new(DecodeLimits::default());
            let mut blocks = 0;
            let error = loop {
                let read = |slices: &mut [IoSliceMut<'_>]| Ok(source.read(slices));
                let mut sink = |_| {
                    blocks += 1;
                    ControlFlow::Continue(())
                };
                match receiver.receive(&mut scratch, read, &mut sink) {
                    Ok(len) => assert!(len > 0, "the stream ended without an error"),
                    Err(error) => break error,
                }
            };
            assert_eq!((error.kind(), blocks), (io::ErrorKind::InvalidData, 2));
        }
    }

    #[test]
    fn nothing_is_handed_on_after_the_sink_breaks_off() {
        let stream = encode(&[block(0, BLOCK_SIZE), block(1, BLOCK_SIZE), block(2, BLOCK_SIZE)]);
        let mut source = Source { stream: &stream, parts: vec![1 << 20], turn: 0 };
        let mut scratch = Scratch::new(BlockPool::default());
        let mut receiver = Receiver::new(DecodeLimits::default());
        let mut seen = 0;
        let read = |slices: &mut [IoSliceMut<'_>]| Ok(source.read(slices));
        let mut sink = |_| {
            seen += 1;
            ControlFlow::Break(())
        };
        receiver.receive(&mut scratch, read, &mut sink).expect("a valid stream");
        assert_eq!(seen, 1);
    }
}

//! How much of what a peer sends is believed. Each bound says its unit, what happens past it and
//! where it comes from; how they hang together is asserted at the end.

use crate::metainfo::limits::{INFO_SIZE_MAX, PIECE_COUNT_MAX};
use crate::types::BLOCK_SIZE;

/// Bytes of one message after its length prefix. A peer that declares more is disconnected. The
/// largest messages are the bitfield of [`PIECE_COUNT_MAX`] pieces and [`HASHES_MAX`] hashes with their
/// proof; libtorrent stops at 1 MiB, which is four times what either needs.
pub const FRAME_BYTES_MAX: usize = 264 * 1024;

/// Bytes of a block that a peer may send. We never ask for more than a block of [`BLOCK_SIZE`], so
/// a longer one answers no request of ours; the peer is disconnected.
pub const BLOCK_BYTES_MAX: u32 = BLOCK_SIZE;

/// Bytes that a peer may ask for in one `request`. BEP 3 lets a client close the connection past
/// 16 KiB; clients of the first years (mainline's `max_slice_length`) asked for up to 128 KiB, and
/// whether to serve more than a block is the swarm's to decide.
pub const REQUEST_BYTES_MAX: u32 = 128 * 1024;

/// Hashes of one `hashes` message, without the proof; with more, or with a longer proof than
/// [`TREE_LAYERS_MAX`], the peer is disconnected. BEP 52 says to ask for no more than 512;
/// libtorrent serves up to 8,192.
pub const HASHES_MAX: u32 = 8192;

/// Layers that a hash tree can have, and so uncle hashes that a proof can: a file of 2^63 bytes has
/// 2^49 blocks of 16 KiB (BEP 52).
pub const TREE_LAYERS_MAX: u32 = 50;

/// Bytes of an info dictionary that a magnet link's peers may send; a peer that declares more is
/// taken to have said nothing.
pub const METADATA_BYTES_MAX: u32 = INFO_SIZE_MAX as u32;

/// Extensions that are remembered of one peer; the first ones count. The clients in use name eight
/// at most.
pub const EXTENSIONS_MAX: usize = 32;

/// Bytes of an extension's name; a longer one is dropped. The longest in use has 12.
pub const EXTENSION_NAME_BYTES_MAX: usize = 64;

/// Characters that are kept of the name that a client gives itself: a line on a screen.
pub const CLIENT_CHARS_MAX: usize = 64;

/// Requests that a peer can claim to keep for us: 128 MiB of blocks, which is 10 Gbit/s at 100 ms.
/// A higher `reqq` counts as this.
pub const REQUEST_QUEUE_MAX: u32 = 8192;

/// Addresses that are read of each list of a peer exchange message. BEP 11 allows 50 of each, and any
/// number in the first message; libtorrent sends up to 100 there.
pub const PEX_CONTACTS_READ_MAX: usize = 100;

/// Bytes of a bitfield message, then its type.
const _: () = assert!(PIECE_COUNT_MAX as usize / 8 < FRAME_BYTES_MAX);
/// A block and the nine bytes before it.
const _: () = assert!(BLOCK_BYTES_MAX as usize + 9 <= FRAME_BYTES_MAX);
/// The type, the request (48 bytes), the hashes and a proof of every layer.
const _: () =
    assert!(1 + 48 + 32 * (HASHES_MAX as usize + TREE_LAYERS_MAX as usize) <= FRAME_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES_MAX <= REQUEST_BYTES_MAX);

//! The peer protocol's bytes: handshake, messages, extensions.
//!
//! Everything is parsed from a slice, once, into types that cannot be wrong; nothing is allocated
//! before the bytes that fill it are there; and a block's payload is never touched: [`decode`]
//! only says where in the buffer it lies.
//!
//! ```
//! use althing_bittorrent::wire::{DecodeLimits, Decoded, Message, decode, encode_block_header};
//! use althing_bittorrent::{BlockRef, PieceIndex};
//!
//! let block = BlockRef { piece: PieceIndex(7), begin: 0, len: 5 };
//! let mut buffer = Vec::new();
//! Message::Unchoke.encode(&mut buffer);
//! buffer.extend(encode_block_header(block));
//! buffer.extend(b"bytes");
//!
//! let limits = DecodeLimits::default();
//! let unchoke = Decoded::Message { message: Message::Unchoke, consumed: 5 };
//! assert_eq!(decode(&buffer, &limits), Ok(unchoke));
//! let piece = Decoded::Block { block, payload: 13..18, consumed: 18 };
//! assert_eq!(decode(&buffer[5..], &limits), Ok(piece));
//! assert_eq!(decode(&buffer[5..20], &limits), Ok(Decoded::Incomplete { need: 18 }));
//! ```

mod client;
mod decode;
mod dont_have;
mod encode;
mod error;
mod extension;
mod fast;
mod handshake;
mod holepunch;
pub mod limits;
mod message;
mod metadata;
pub mod mse;
mod pex;

pub use client::client_name;
pub use decode::{DecodeLimits, Decoded, decode, decode_block_header};
pub use dont_have::{DontHave, DontHaveError, LT_DONTHAVE};
pub use encode::encode_block_header;
pub use error::WireError;
pub use extension::{ExtensionHandshake, UT_METADATA};
pub use fast::allowed_fast_set;
pub use handshake::{HANDSHAKE_LEN, Handshake};
pub use holepunch::{HolepunchError, HolepunchMessage, HolepunchRefusal, UT_HOLEPUNCH};
pub use message::{BLOCK_HEADER_LEN, HashRequest, Message};
pub use metadata::{METADATA_PIECE_LEN, MetadataMessage, MetadataMessageError};
pub use pex::{PexFlags, PexMessage, PexPeer, UT_PEX};

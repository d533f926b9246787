//! The peer protocol's bytes: handshake, messages, extensions.
//!
//! Everything is parsed from a slice, once, into types that cannot be wrong; nothing is allocated
//! before the bytes that fill it are there; and a block's payload is never touched: [`decode`]
//! only says where in the buffer it lies.

mod client;
mod decode;
mod encode;
mod error;
mod extension;
mod fast;
mod handshake;
pub mod limits;
mod message;
mod metadata;

pub use client::client_name;
pub use decode::{DecodeLimits, Decoded, decode, decode_block_header};
pub use encode::encode_block_header;
pub use error::WireError;
pub use extension::{ExtensionHandshake, UT_METADATA};
pub use fast::allowed_fast_set;
pub use handshake::{HANDSHAKE_LEN, Handshake};
pub use message::{BLOCK_HEADER_LEN, HashRequest, Message};
pub use metadata::{METADATA_PIECE_LEN, MetadataMessage, MetadataMessageError};

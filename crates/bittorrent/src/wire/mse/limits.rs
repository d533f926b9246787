//! How much of an encrypted handshake is believed. All lengths are bytes.

/// A public key: 768 bits.
pub const KEY_LEN: usize = 96;

/// A private key: 160 bits, which the specification says to use whenever possible.
pub const SECRET_LEN: usize = 20;

/// Padding of each of the four kinds; a peer that says or sends more is hung up on (the
/// specification's bound).
pub const PAD_BYTES_MAX: usize = 512;

/// What an initiator may send along with its half of the negotiation; more is refused. The
/// specification allows 65,535 and says that of BitTorrent only the handshake of 68 can be there;
/// the rest is room for clients that send their first messages, too (guess).
pub const INITIAL_BYTES_MAX: usize = 2048;

/// Bytes that are taken at a time; what is more waits in the socket. So much of a peer's is in
/// memory beyond what the step under way needs.
pub const CHUNK_BYTES: usize = 1024;

const _: () = assert!(INITIAL_BYTES_MAX > crate::wire::HANDSHAKE_LEN);

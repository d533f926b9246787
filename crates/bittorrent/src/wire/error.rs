//! What can be wrong with a peer's bytes.

/// Why a peer's bytes are refused. All of it is a breach of the protocol: the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection does not open with BitTorrent's name.
    #[error("not a BitTorrent handshake (byte {at} differs)")]
    NotBitTorrent {
        /// Offset of the first byte that differs.
        at: usize,
    },
    /// A message longer than any that makes sense.
    #[error("a message of {len} bytes, where {max} is the most")]
    FrameTooLong {
        /// The declared length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A message whose length does not fit its type.
    #[error("a message of type {id} with {len} bytes")]
    WrongLength {
        /// The message's type.
        id: u8,
        /// Length in bytes, the type included.
        len: usize,
    },
    /// A block that is empty, too long, or ends past what an offset can say.
    #[error("a message of type {id} about a block of {len} bytes at offset {begin}")]
    BadBlock {
        /// The message's type.
        id: u8,
        /// Offset in the piece, in bytes.
        begin: u32,
        /// Length in bytes.
        len: u32,
    },
}

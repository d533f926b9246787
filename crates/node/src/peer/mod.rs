//! One connection to a peer: its handshake, what comes in, what goes out.

pub(crate) mod handshake;
pub(crate) mod receive;
pub(crate) mod send;

//! One connection to a peer: its handshake, what comes in, what goes out.

pub(crate) mod attempts;
pub(crate) mod handshake;
pub(crate) mod line;
pub(crate) mod race;
pub(crate) mod receive;
pub(crate) mod seal;
pub(crate) mod send;
pub(crate) mod stream;

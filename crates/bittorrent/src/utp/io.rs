//! What the machine is told and what it asks for.

use super::limits::{DATAGRAM_BYTES_ETHERNET_V4, RUN_BYTES_MAX};
use bytes::Bytes;
use std::net::SocketAddr;

/// A connection. Whoever drives the machine numbers those that it opens, below [`ConnId::INCOMING`];
/// the machine numbers those that come in, from there on. A number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

impl ConnId {
    /// The first number of those that come in.
    pub const INCOMING: ConnId = ConnId(1 << 63);

    /// Whether the other side opened it.
    pub fn is_incoming(self) -> bool {
        self >= ConnId::INCOMING
    }
}

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of UDP payload that the largest of our interfaces takes. Larger packets are never tried; up
    /// to this they are probed for. Over the loopback interface, or Ethernet with jumbo frames, this
    /// is what makes transfers fast.
    pub datagram_bytes_max: u16,
    /// Bytes that a connection may have received and not yet [`Input::Consumed`].
    pub receive_window: u32,
    /// The same where the other side is so near that the kernel's buffer of the socket, which is shared
    /// by all, is what overflows first: about half of what the socket has.
    pub receive_window_near: u32,
    /// Connections at a time, of both directions.
    pub connections_max: usize,
    /// Whether to take connections that others open.
    pub accept: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            datagram_bytes_max: DATAGRAM_BYTES_ETHERNET_V4,
            receive_window: 2 * 1024 * 1024,
            receive_window_near: 256 * 1024,
            connections_max: 16_000,
            accept: true,
        }
    }
}

/// Something happened. Datagrams that came together are handed in one after the other before outputs are
/// polled: they are acknowledged together then.
#[derive(Clone, Debug)]
pub enum Input {
    /// One or several datagrams from one sender came.
    Datagrams {
        /// From where.
        from: SocketAddr,
        /// Their bytes, one behind the other.
        data: Bytes,
        /// The length of each but the last, which may be shorter (as the kernel's GRO has it); not less
        /// than the length of `data` if it is only one.
        stride: usize,
    },
    /// Open a connection. [`Output::Connected`] or [`Output::Closed`] follows.
    Connect {
        /// Its number from now on.
        conn: ConnId,
        /// Where to.
        to: SocketAddr,
    },
    /// Send, no more than was granted by [`Output::Writable`].
    Write {
        /// On which connection.
        conn: ConnId,
        /// What. It is kept, not copied, until the other side has it.
        data: Bytes,
    },
    /// Bytes that were [`Output::Received`] have been dealt with; as many others may come.
    Consumed {
        /// On which connection.
        conn: ConnId,
        /// How many.
        bytes: usize,
    },
    /// Nothing more will be written, and what comes is not wanted any more. What was written is still
    /// delivered, if the other side can be reached; then [`Output::Closed`].
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Let go of a connection at once. No [`Output::Closed`] follows.
    Abort {
        /// Which.
        conn: ConnId,
    },
    /// The operating system says that nobody is there (a port unreachable message). Believed only
    /// while connecting: anybody can forge one.
    Unreachable {
        /// Where.
        to: SocketAddr,
    },
    /// A datagram with [`Run::dont_fragment`] was too large for an interface.
    TooBig {
        /// Where it was to go.
        to: SocketAddr,
        /// Bytes of UDP payload that would go, if known.
        fits: Option<u16>,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send.
    Send(Run),
    /// A connection that was asked for stands.
    Connected {
        /// Which.
        conn: ConnId,
    },
    /// Somebody has opened a connection: who does has shown to receive what is sent to the address, and
    /// has sent something, which follows.
    Incoming {
        /// Its number from now on.
        conn: ConnId,
        /// From where.
        from: SocketAddr,
    },
    /// Bytes came, in order, each once. They are a slice of the datagram that was handed in; who keeps
    /// few bytes for long should copy them.
    Received {
        /// On which connection.
        conn: ConnId,
        /// What.
        data: Bytes,
    },
    /// The other side will send nothing more. Most clients do not take anything any more then.
    Finished {
        /// Which.
        conn: ConnId,
    },
    /// So many more bytes may be written, on top of what was granted before.
    Writable {
        /// On which connection.
        conn: ConnId,
        /// How many.
        bytes: u64,
    },
    /// A connection is no more.
    Closed {
        /// Which.
        conn: ConnId,
        /// Why.
        why: CloseReason,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseReason {
    /// It was closed, and all that was written has been delivered.
    #[error("closed")]
    Done,
    /// Nobody answered.
    #[error("nobody answered")]
    NoAnswer,
    /// The operating system says that nobody is there.
    #[error("nobody listens there")]
    Refused,
    /// The other side does not know the connection.
    #[error("the other side has broken it off")]
    Reset,
    /// The other side has gone silent.
    #[error("the other side has gone silent")]
    TimedOut,
    /// There are as many connections as there may be.
    #[error("too many connections")]
    Full,
}

/// Packets for one destination, of equal length but for the last, which may be shorter: what one system
/// call with GSO sends. Without GSO, [`packets`](Run::packets) gives them one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where to.
    pub to: SocketAddr,
    /// The packets' length, but for the last.
    pub stride: usize,
    /// The packets, one behind the other: at most 65,507 bytes and 64 packets.
    pub data: Vec<u8>,
    /// Routers are not to take it apart: it finds out whether it fits, or is known to. If not set, it
    /// is known not to fit whole, and must be let be taken apart.
    pub dont_fragment: bool,
}

impl Run {
    /// The packets.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.data.chunks(self.stride.clamp(1, RUN_BYTES_MAX))
    }
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A connection's timer: a packet was not acknowledged, or an acknowledgement is to go, or nothing
    /// was sent for long.
    Connection,
}

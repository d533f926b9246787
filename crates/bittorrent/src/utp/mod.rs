//! uTP (BEP 29): streams over UDP that give way to everything else.
//!
//! * [`packet`]: the bytes, parsed once into types that cannot be wrong.
//! * [`Utp`]: the machine of all connections over one socket: who is who, strangers, timers.
//! * `conn`: one connection: numbers, what is under way, what came out of order, and how fast to send
//!   (LEDBAT, RFC 6817: a path's queue is not to grow beyond 100 ms on our account).
//!
//! Bytes to send are handed in as [`Bytes`](bytes::Bytes) and kept until the other side has them; they
//! are written once, behind their headers, into the buffer that goes to the kernel. Bytes that come are
//! slices of the datagrams that they came in. `docs/protocols/utp.md` says what differs from BEP 29
//! and from other clients.

mod conn;
mod io;
pub mod limits;
mod mux;
mod outbox;
pub mod packet;
mod seq;
mod strangers;

#[cfg(test)]
mod tests;

pub use io::{CloseReason, Config, ConnId, Input, Output, Reason, Run};
pub use mux::{Stats, Utp};
pub use seq::Seq;

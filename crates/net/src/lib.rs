//! What stands between a peer and the network it is in, without IO: bytes in, bytes out.
//!
//! * [`dns`]: asking a name server of the user's choice, where the system's own way of looking
//!   names up could leave by an interface that must not be used.
//! * [`socks5`]: the protocol of proxies (RFC 1928, RFC 1929).
//! * [`filter`]: lists of addresses that are to be kept out.
//! * [`portmap`]: asking a router for a port.
//! * [`reach`]: what our address is, and whether others can reach us.
//!
//! None of it opens a socket. The `node` crate's drivers move the bytes and decide by which
//! interface they go.

pub mod dns;
pub mod filter;
pub mod limits;
pub mod portmap;
pub mod reach;
pub mod socks5;

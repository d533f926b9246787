//! What bounds the UDP side. Each constant says its unit, what happens past it and where the figure
//! comes from.

use std::time::Duration;

/// Buffers that one call receives into.
pub(super) const RECEIVE_BUFFERS: usize = 16;

/// Bytes of each: the largest datagram, or as many as the kernel hands over as one piece.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// Calls for which the sockets are read before what came is dealt with; acknowledgements go out once
/// for all of it (guess).
pub(super) const RECEIVES_PER_TURN: usize = 4;

/// Requests of other threads that are taken before the sockets have their turn (guess).
pub(super) const COMMANDS_PER_TURN: usize = 256;

/// Bytes of the sockets' buffers in the kernel, if it grants them: 10 ms of 400 MB/s. Linux grants 208 KiB
/// unless configured.
pub(super) const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that wait for a socket to take more; past it datagrams are lost, as on any line that is
/// full.
pub(super) const SEND_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Others of whom it is remembered to which of our addresses they send, where there are several, for each
/// of two tables: some 300 KiB.
pub(super) const RETURNS_MAX: usize = 4096;

/// How many ports of the system's choice are tried until one is free for TCP and UDP.
pub(crate) const PORT_TRIES: usize = 16;

/// Bytes that were read of a connection until the machine is told, which opens the window again (guess:
/// a sixth of the smallest window).
pub(super) const CONSUMED_TOLD: usize = 32 * 1024;

/// Bytes that all connections together may hold that came and were not read: limits or a slow disk keep
/// us from reading. Past it who has more than its share is hung up on.
pub(super) const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The share of each, whatever the others do: what a peer sends whom we ask for as little as we can.
pub(super) const UNREAD_BYTES_SPARED: usize = 256 * 1024;

/// So long after we have sent something to somebody, that they come in proves nothing: the packet that we
/// sent has made the hole (RFC 4787: translators keep one for two minutes and more).
pub(super) const SENT_FOR: Duration = Duration::from_secs(300);

/// Bits of a filter of the addresses that were sent to, of which there are two: 16 KiB each. The DHT asks
/// some thousands in that time, with which one address in a thousand is taken for one of them.
pub(super) const SENT_BITS: usize = 128 * 1024;

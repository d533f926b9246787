//! How much of what others send is believed and kept. Each bound says its unit, what happens past
//! it and where it comes from.

/// Bytes of a datagram that is read; a longer one is dropped. What BEP 44 lets a `put` be comes to less
/// than 1,300, and nothing larger crosses the Internet unfragmented.
pub const DATAGRAM_BYTES_MAX: usize = 1_500;

/// Bytes of a transaction id; a query with a longer one is dropped. BEP 5 says two will do; some nodes
/// use eight, and libtorrent echoes up to sixteen.
pub const TRANSACTION_BYTES_MAX: usize = 16;

/// Bytes of a write token; a longer one is taken for none. Eight are common, twenty (a SHA-1) the
/// most that is seen.
pub const TOKEN_BYTES_MAX: usize = 40;

/// Nodes that are read from one answer, of each address family. BEP 5 says eight; some nodes send
/// sixteen or twenty.
pub const NODES_READ_MAX: usize = 32;

/// Peers that are read from one answer. As many IPv4 addresses as a datagram of
/// [`DATAGRAM_BYTES_MAX`] can hold come to 187.
pub const VALUES_READ_MAX: usize = 200;

/// Info-hashes that are read from one answer (BEP 51): what fits a datagram.
pub const SAMPLES_READ_MAX: usize = 75;

/// Bytes of an item's value, as bencode (BEP 44).
pub const VALUE_BYTES_MAX: usize = 1_000;

/// Bytes of an item's salt (BEP 44).
pub const SALT_BYTES_MAX: usize = 64;

/// Bytes of an error's text that are kept, for the log.
pub const ERROR_TEXT_BYTES_MAX: usize = 100;

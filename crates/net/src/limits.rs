//! What bounds the answers of name servers, proxies and lists. Each constant says its unit, what
//! happens past it and where the figure comes from.

/// Bytes of a name, without the dot at its end; a longer one is refused (RFC 1035, section 2.3.4:
/// 255 with the lengths of its labels).
pub const NAME_BYTES_MAX: usize = 253;

/// Bytes of a label of a name (RFC 1035).
pub const LABEL_BYTES_MAX: usize = 63;

/// Aliases that are followed within one answer; a longer chain is malformed (guess: large content
/// networks use three).
pub const ALIASES_MAX: usize = 16;

/// Addresses taken from one answer; the rest are dropped (the largest trackers have four).
pub const ADDRESSES_MAX: usize = 32;

/// Records of an answer that are looked at; the rest are not (guess: twice what fits a packet of
/// 4 KiB with aliases).
pub const RECORDS_MAX: usize = 256;

/// Bytes of user name and of password for a proxy, each (RFC 1929: one byte says how many).
pub const CREDENTIAL_BYTES_MAX: usize = 255;

/// Bytes of a list, packed or not, and unpacked; a larger one is refused. The largest in use, with
/// 300,000 ranges and their names, have 20 MB.
pub const LIST_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Entries of a ZIP archive that are passed over before the list is found (guess: archives of lists
/// have one file, some a folder and a read-me before it).
pub const ARCHIVE_ENTRIES_MAX: usize = 16;

/// Ranges of a list; further lines are skipped and counted. Six times the largest list in use; 2
/// million are 16 MB of IPv4 or 64 MB of IPv6.
pub const RANGES_MAX: usize = 2_000_000;

/// Bytes of an answer to a search for gateways; a longer one is none (guess: most have 400).
pub const SSDP_BYTES_MAX: usize = 2048;

/// Bytes of a gateway's description; the driver reads no more (guess: the longest seen have 20 KB).
pub const DESCRIPTION_BYTES_MAX: usize = 128 * 1024;

/// Bytes of a path of a gateway's URLs; a longer one is refused (guess: they have some 40).
pub const GATEWAY_PATH_BYTES_MAX: usize = 512;

/// Bytes of an answer of a gateway of PCP (RFC 6887, section 7: 1,100).
pub const PCP_BYTES_MAX: usize = 1100;

// A byte says how long a name is in SOCKS5, too.
const _: () = assert!(NAME_BYTES_MAX <= u8::MAX as usize);

//! How much is blocked. Each bound says its unit and where it comes from.

/// Entries of the user's own; more are refused. As many as fit one list of 64 records (guess).
pub(crate) const ENTRIES_MAX: usize = 10_000;

/// Lists, or authors of lists, that are followed; more are refused (guess).
pub(crate) const FOLLOWS_MAX: usize = 32;

/// Lists that count, where all of an author's are followed; further ones do not. What a look at a listing costs is
/// in proportion to it (guess).
pub(crate) const FOLLOWED_LISTS_MAX: usize = 64;

/// Records of lists that are kept; those of further ones do not count: 8 MiB (guess).
pub(crate) const KEPT_RECORDS_MAX: usize = 2_048;

/// Lists that are published (guess).
pub(crate) const PUBLISHED_MAX: usize = 8;

/// Bytes of `blocks.toml` that are read: as many entries as there may be, with the longest reasons.
pub(super) const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of the file with lists that are followed.
pub(super) const LISTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

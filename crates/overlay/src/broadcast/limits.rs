//! How much is remembered of what is announced, and how long is waited for it. Each bound says its unit,
//! what happens past it and where it comes from.

use std::time::Duration;

/// How long a record that was announced is waited for before it is asked for, by a node that the tree
/// reaches. Along a tree that has been mended by [`SWAP_AFTER`] a record comes this late only if a branch
/// is broken (measured with 10,000 nodes).
pub const PATIENCE: Duration = Duration::from_millis(600);

/// How long an answer to such a question is waited for before somebody else is asked: three round trips
/// around the globe.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_200);

/// A record came so much later than somebody else announced it: from now on it is to come from there.
/// Less, and trees would be rebuilt for each author anew.
pub const SWAP_AFTER: Duration = Duration::from_millis(120);

/// On one link ids are announced at once, and then those of such a time together.
pub const ANNOUNCE_EVERY: Duration = Duration::from_millis(100);

/// Records that were announced and are not here; past them announcements are not heeded, and what
/// they named comes by reconciliation.
pub const MISSING_MAX: usize = 2_048;

/// Those of them that one link announced first; past them its announcements are not heeded. Who invents
/// ids takes an eighth of what there is.
pub const MISSING_PER_LINK_MAX: usize = 256;

/// Links that are remembered to have a record that is missing.
pub const SOURCES_MAX: usize = 6;

/// Ids of records that were refused, and are not asked for again; past them the oldest is forgotten.
pub const REFUSED_MAX: usize = 512;

/// Records of which it is remembered how many links they had crossed.
pub const HOPS_KNOWN_MAX: usize = 64;

/// Grafts a second that one link may send, and at once; past them they are not heeded. Prunes cost nothing
/// and are always heeded.
pub const GRAFTS_PER_S: (u64, u64) = (20, 400);

/// Bytes of records a second that one link is sent because it asked for them, and at once; past them it is
/// sent nothing. Four times what a busy network sends along the tree (guess).
pub const SERVED_BYTES_PER_S: (u64, u64) = (256 * 1024, 4 * 1024 * 1024);

const _: () = assert!(MISSING_PER_LINK_MAX * 4 <= MISSING_MAX);

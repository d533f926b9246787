//! How much searches may take. Each bound says its unit, what happens past it and where it comes from.

use std::time::Duration;

/// Searches that are open at a time; one more is refused, unless a standing one has been left alone
/// (guess: a person has two or three, programs some more).
pub const FINDS_OPEN_MAX: usize = 16;

/// Searches that are over and kept, for their answers to be fetched (guess).
pub(super) const FINDS_KEPT_MAX: usize = 8;

/// Answers that one search wants at the most, and the overlay is asked for.
pub const WANTED_MAX: u8 = althing_overlay::search::limits::WANTED_MAX;

/// Different answers of one search; further ones are dropped. More come than are wanted: from our own
/// shelf, and with a standing search as long as it stands (guess: 1 KiB each).
pub(super) const ANSWERS_MAX: usize = 500;

/// Answers that are taken from the index on disk for one search (guess: what one looks at).
pub(super) const INDEXED_MAX: usize = 50;

/// Authors that are remembered for one answer; further ones do not count (guess).
pub(super) const AUTHORS_MAX: usize = 64;

/// Pages that are remembered for one answer (guess: what one looks at).
pub(super) const PAGES_MAX: usize = 8;

/// Addresses that are remembered for one answer (guess).
pub(super) const PEERS_MAX: usize = 8;

/// Bytes of the words; with more a search is refused.
pub(super) const WORDS_BYTES_MAX: usize = 1_024;

/// A standing search to which nobody has listened for so long ends (guess: longer than it takes to come
/// back after a network has failed).
pub(super) const UNHEARD_MAX: Duration = Duration::from_secs(10 * 60);

/// A search that the overlay has not ended by then is over (guess: twice what its rounds take).
pub(super) const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// Answers of which it is asked in the DHT how many have them (BEP 33): the best ones. Each takes some
/// twenty questions.
pub(super) const COUNTED_MAX: usize = 8;

/// At a time (guess).
pub(super) const COUNTED_AT_ONCE: usize = 4;

/// How long that may take; those of which nothing is known by then go without.
pub(super) const COUNTED_WITHIN: Duration = Duration::from_secs(4);

/// When a standing search asks others again for the first time; each further time is half as long again
/// after the one before, up to the second.
pub(crate) const ASKED_AGAIN: (Duration, Duration) =
    (Duration::from_secs(10 * 60), Duration::from_secs(4 * 3_600));

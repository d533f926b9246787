//! What a program that asks over Torznab may cost. Each bound says its unit and its source.

use std::time::Duration;

/// Torrents in one answer; who wants more asks for the next page. Source: what others answer, and Prowlarr asks for.
pub(super) const ITEMS_MAX: usize = 100;

/// Torrents that can be left out before an answer; beyond that there is nothing (guess).
pub(super) const OFFSET_MAX: usize = 10_000;

/// Torrents that are looked through for one answer of those that are new (guess).
pub(super) const NEWEST_MAX: usize = 1_000;

/// Bytes of the words that are asked for (guess: ten times a title).
pub(super) const QUERY_BYTES_MAX: usize = 512;

/// Categories that are asked for; a program that knows all there are sends some hundred (guess).
pub(super) const CATEGORIES_MAX: usize = 256;

/// Questions under way in the network for such programs; another one is answered from what is here (guess: a
/// few, for such a program asks for dozens of episodes at once).
pub(super) const ASKING_MAX: usize = 4;

/// The longest that the network may be asked, whatever the settings say.
pub(super) const ASKED_MAX: Duration = Duration::from_secs(20);

const _: () = assert!(ASKED_MAX.as_secs() < super::super::limits::REQUEST_TIMEOUT.as_secs());

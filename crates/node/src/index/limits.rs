//! When changes of the index are made to last, and how much it does for whom.

use std::time::Duration;

/// How long changes of the user's own wait until they are committed, so that several are written together.
pub(super) const COMMIT_OWN_AFTER: Duration = Duration::from_secs(1);

/// The same for what others publish: they do it one after the other.
pub(super) const COMMIT_SHELF_AFTER: Duration = Duration::from_secs(5);

/// How long after a commit that no other followed the files that are no longer used are deleted; parts of
/// the index are put together meanwhile.
pub(super) const TIDY_AFTER: Duration = Duration::from_secs(60);

/// How long after a failed write everything is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Torrents that were met in the DHT and wait to be put; one more is left out.
pub(super) const WAITING_MAX: usize = 4_096;

/// Things that are done in one turn.
pub(super) const TOLD_PER_TURN: usize = 256;

/// Searches at the same time; one more is refused. Each has a thread.
pub(super) const SEARCHES_MAX: usize = 8;

/// How long a search may take that the user waits for.
pub(crate) const SEARCH_TIME: Duration = Duration::from_secs(2);

/// How long reading the file of a document may take; then it is left for the next start.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(120);

/// How long taking the text out of a document may take; then whoever does it is killed.
pub(super) const DOCUMENT_TIME: Duration = Duration::from_secs(60);

/// The longest pause after a document.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a document that are read at a time.
pub(super) const CHUNK_BYTES: u32 = 256 << 10;

/// Documents that wait to be read; those of further torrents are looked for at the next start.
pub(super) const DOCUMENTS_WAITING_MAX: usize = 100_000;

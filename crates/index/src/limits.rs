//! How much goes into the index, and how long a question may take. Each bound says its unit, what happens
//! past it and where it comes from.

/// Bytes of text of one document; what comes after them is not indexed (a long novel has 1.5 MB).
pub const TEXT_BYTES_MAX: usize = 2 << 20;

/// Bytes of a passage, into which documents are cut: the words of a question are looked for together in one
/// (guess: some four printed pages).
pub const PASSAGE_BYTES_MAX: usize = 8 << 10;

/// Documents of one torrent that are read; the rest is not (guess: a large shelf of books).
pub const DOCUMENTS_OF_TORRENT_MAX: usize = 2_000;

/// Passages in all; past them no further document is taken (some 8 GB of text).
pub const PASSAGES_MAX: u64 = 1_000_000;

/// Listings in all; past them no further one is taken but the user's own.
pub const LISTINGS_MAX: u64 = 5_000_000;

/// Bytes of a name, of a document's path and of its title; the rest is cut off.
pub const NAME_BYTES_MAX: usize = 1_024;

/// Bytes of a description that are indexed; the rest is not. The overlay's listings have as many.
pub const ABOUT_BYTES_MAX: usize = 2_048;

/// Tags of a listing, and bytes of one; the overlay's listings have as many.
pub const TAGS_MAX: usize = 16;
/// See [`TAGS_MAX`].
pub const TAG_BYTES_MAX: usize = 32;

/// Words of a question; the rest is not asked for. The overlay's questions have as many at most.
pub const QUERY_WORDS_MAX: usize = 16;

/// Answers to one question; a question for more gets as many.
pub const HITS_MAX: usize = 500;

/// Passages or listings that are compared before answers about the same thing are put together, for each
/// answer that is wanted. A torrent that more authors list takes the place of others.
pub const CANDIDATES_PER_HIT: usize = 4;

/// Documents of one torrent in one answer.
pub const PAGES_PER_TORRENT_MAX: usize = 3;

/// Candidates that are looked at between two questions whether it takes too long.
pub const ASKED_EVERY: u32 = 1_024;

/// Bytes of a snippet, at most. The overlay's answers take 512.
pub const SNIPPET_BYTES_MAX: usize = 500;

/// Bytes of memory for what is not written yet; past them a part of the index is written before its time.
/// The least that tantivy takes.
pub const WRITER_BYTES: usize = 15_000_000;

/// Documents that may be uncommitted; past them they are committed at once. It bounds what a killed process
/// has to index again.
pub const UNCOMMITTED_MAX: usize = 20_000;

/// Bytes on disk, unless the owner says otherwise.
pub const DISK_BYTES: u64 = 2 << 30;

/// Share of deleted documents in a part of the index past which it is written anew without them.
pub const DELETED_SHARE_MAX: f32 = 0.2;

/// Bytes of a document that is read; a larger one is not (guess: a scanned book has some 50 MB, and no text).
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// Memory of the process that reads a document, in bytes; one that wants more dies.
pub const DOCUMENT_MEMORY_BYTES: u64 = 1 << 30;

/// Seconds of processor time that it may take; then it dies.
pub const DOCUMENT_CPU_S: u64 = 20;

/// Files in an archive that are looked at.
pub const ARCHIVE_FILES_MAX: usize = 4_096;

/// Bytes that are unpacked of one archive; one that has more is not read any further (a bomb of 42 kB has
/// petabytes).
pub const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// Bytes that one stream of a PDF, or the content of one of its pages, may have when it is unpacked.
pub const PDF_STREAM_BYTES_MAX: usize = 32 << 20;

/// Pages of a PDF that are read.
pub const PDF_PAGES_MAX: usize = 5_000;

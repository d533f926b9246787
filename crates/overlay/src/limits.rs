//! How much of what others send is believed and kept. Each bound says its unit, what happens past it
//! and where it comes from.

/// Bytes of a record, signature and stamp included; a longer one is refused. Four of them fit a frame of
/// a link, and what they say fits one screen.
pub const RECORD_BYTES_MAX: usize = 4_096;

/// Bytes of a record without its body: header, signature, stamp.
pub const RECORD_OVERHEAD_BYTES: usize = 164;

/// Bytes of a record's body.
pub const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX - RECORD_OVERHEAD_BYTES;

/// Seconds between a record's creation and its expiry; a longer-lived one is refused. What an author who
/// is gone has left behind is gone after a month; authors that are there renew (guess).
pub const LIFETIME_MAX_S: i64 = 30 * 24 * 3_600;

/// Seconds by which a record may be created ahead of our clock. Clocks that nobody sets differ by
/// minutes; what is farther ahead could win over everything its author makes until then (guess).
pub const CREATED_AHEAD_MAX_S: i64 = 10 * 60;

/// Bytes of a listing's name. File systems allow 255.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of a description (guess: some 300 words).
pub const ABOUT_BYTES_MAX: usize = 2_048;

/// Tags of a listing; one with more is refused (guess).
pub const TAGS_MAX: usize = 16;

/// Bytes of a tag (guess).
pub const TAG_BYTES_MAX: usize = 32;

/// Bytes of a block list's name (guess).
pub const BLOCK_LIST_NAME_BYTES_MAX: usize = 64;

/// Bytes of what an entry of a block list says why (guess: a sentence).
pub const BLOCK_REASON_BYTES_MAX: usize = 120;

/// Records that one block list may span: 13,000 entries without reasons, an eighth of what an author may
/// have on a shelf (guess).
pub const BLOCK_LIST_PARTS_MAX: usize = 64;

/// Entries of a block list in one record; a record that says there are more is refused. No more fit.
pub const BLOCK_LIST_ENTRIES_MAX: usize = 206;

/// Words in a row that can be blocked together. What a look at a listing costs is in proportion to it (guess).
pub const BLOCKED_WORDS_MAX: u8 = 4;

/// Records of one author that are held. With more, the least recently created give way. Some 500 listings
/// are what one publisher has; who has more publishes the newest (guess).
pub const AUTHOR_RECORDS_MAX: usize = 512;

/// Bytes of records of one author that are held (guess: 1 KiB for each record).
pub const AUTHOR_BYTES_MAX: usize = 512 * 1024;

/// Keys of one author that are known, be it that a record is held or that it is remembered what was; a
/// record of a further key is refused. What is remembered is never forgotten early because its author
/// publishes more (guess).
pub const AUTHOR_KEYS_MAX: usize = 2_048;

/// Records that are held, of all authors. With more, those of the author who has the most bytes give way
/// (guess: 25 MB if they have the usual 400 bytes, and as much to find them by).
pub const SHELF_RECORDS_MAX: usize = 65_536;

/// Bytes of records that are held, of all authors (guess).
pub const SHELF_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Keys of which it is remembered what was held; with more, what would be forgotten first is forgotten at
/// once. 250 bytes each (guess).
pub const REMEMBERED_KEYS_MAX: usize = 131_072;

/// Names of records that did not find room, or that were replaced, which are not asked for again; with more,
/// the first is forgotten and asked for once more (guess: what a few neighbours could offer in a row).
pub const UNWANTED_IDS_MAX: usize = 4_096;

/// Authors whom the user knows; beyond that they are strangers (guess).
pub const KNOWN_AUTHORS_MAX: usize = 4_096;

/// Leading zero bits of a stranger's stamp of work: a second or so on one core, paid once a record by its
/// author, and a microsecond to check (guess).
pub const STRANGER_WORK_BITS: u32 = 20;

/// Bytes of a message of reconciliation, sent or read; a longer one is refused. It fits a frame of a
/// link with room for what is around it.
pub const RECONCILE_BYTES_MAX: usize = 15 * 1024;

/// The least that a message of reconciliation may be limited to, so that every message gets something
/// done (negentropy protocol v1).
pub const RECONCILE_BYTES_MIN: usize = 4_096;

/// Rounds of one reconciliation, after which it is given up. Five find all differences among a million
/// records; the rest is for differences that do not fit one message, 400 in each (guess).
pub const RECONCILE_ROUNDS_MAX: u32 = 100;

/// Bytes of a message that a link carries; a longer one is refused.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a frame of a link, with its type, padding and authentication; a longer one ends the link.
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + MESSAGE_BYTES_MAX / 8 + 64;

/// Frames in one direction after which the key of that direction is replaced by one that does not tell
/// the one before (guess: seconds of gossip at its busiest, hours at rest).
pub const FRAMES_PER_KEY: u64 = 1_024;

const _: () = assert!(RECONCILE_BYTES_MIN <= RECONCILE_BYTES_MAX);
const _: () = assert!(RECONCILE_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX < 65_535);
const _: () = assert!(AUTHOR_RECORDS_MAX <= AUTHOR_KEYS_MAX);
const _: () = assert!(BODY_BYTES_MAX <= u16::MAX as usize);

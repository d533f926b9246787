//! Every bound of the store, with its unit, what happens at it, and where the figure is from.

/// Bytes of unfinished pieces kept in memory, over all torrents, before they are written to their
/// place early. 64 MiB is sixteen pieces of 4 MiB, enough for a fast swarm (guess, between
/// libtorrent's write queue of 1 MiB and the 256 MiB that others keep).
pub const HELD_BYTES_MAX: usize = 64 << 20;

/// Past this multiple of the budget a piece that can't be written early (its disk is full) loses
/// its blocks instead; completing it answers with the fault. Blocks in flight fit below it.
pub const HELD_OVERSHOOT: usize = 2;

/// After blocks were written early, this share of the budget is still held, in per cent. Lower
/// means fewer and larger writes.
pub const HELD_AFTER_SPILL_PERCENT: usize = 75;

/// Share of [`HELD_BYTES_MAX`] (or of what stands in its place) that blocks in queues and held
/// together may have before [`Pool::is_congested`] says so, in per cent. However slow the disk is,
/// no more than this is in memory, because whoever holds it does not read from sockets meanwhile.
///
/// [`Pool::is_congested`]: crate::pieces::Pool::is_congested
pub const CONGESTED_PERCENT: usize = 125;

/// Blocks of unfinished pieces that are written down for a torrent; of further pieces nothing is,
/// and they begin anew after a restart. 256 MiB of blocks, 192 KiB of record.
pub const PARTIAL_BLOCKS_MAX: usize = 16 << 10;

/// Bytes of disk space taken at once for a download, where the user wants all of it taken before
/// (guess: half a second where a file system fills it with zeros).
pub const ALLOCATE_BYTES: u64 = 64 << 20;

/// Files and folders that are looked at to find a torrent's files again; further ones are not (guess:
/// a home folder with everything in it; ten seconds).
pub const LOCATE_ENTRIES_MAX: usize = 1_000_000;

/// Files of the same length that are read to find one of a torrent's.
pub const LOCATE_CANDIDATES_MAX: usize = 64;

/// Bytes that a move between disks reads and writes at once.
pub const MOVE_BUFFER_BYTES: usize = 1 << 20;

/// Progress of a move is told every so many bytes.
pub const MOVE_PROGRESS_BYTES: u64 = 32 << 20;

/// How much more a check's work counts than that of transfers when they share a worker: it gets what
/// they leave, and a fifth of the time if they leave nothing.
pub const BACKGROUND_WEIGHT: u64 = 4;

/// Bytes of blocks waiting in all queues at which [`Pool::is_congested`] asks the driver to stop
/// reading from sockets (guess: about 10 ms of one core's hashing).
///
/// [`Pool::is_congested`]: crate::pieces::Pool::is_congested
pub const QUEUE_CONGESTED_BYTES: usize = 16 << 20;

/// Bytes of blocks waiting in one worker's queue at which handing in another one blocks the
/// caller until there is room.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

/// Jobs waiting in one lane of one worker at which handing in another one blocks the caller.
pub const QUEUE_JOBS_MAX: usize = 1 << 16;

/// Bytes of blocks that may wait before a sleeping worker is woken for them: no answer depends
/// on a block until its piece is completed, and waking a thread costs as much as hashing 8 KiB.
/// Small enough that the blocks are still in the processor's cache when they are hashed.
pub const WAKE_BYTES: usize = 128 << 10;

/// Bytes of work a worker takes from one lane before it looks at the others: what a read waits
/// behind at most, about 0.2 ms of hashing.
pub const LANE_QUANTUM_BYTES: u64 = 256 << 10;

/// Open file descriptors for torrents' data. libtorrent's default is 40; the usual soft limit of
/// a process is 1024, most of which sockets want.
pub const OPEN_FILES_MAX: usize = 200;

/// The largest single read for uploads, in bytes; longer runs of blocks are read in parts.
pub const READ_RUN_BYTES_MAX: usize = 1 << 20;

/// Blocks one read request may name; more are refused (libtorrent grants peers 500 outstanding
/// requests).
pub const READ_BLOCKS_MAX: usize = 2048;

/// The longest block read for a peer, in bytes: what the wire lets a peer ask for at most is
/// smaller; this bounds the buffers of whoever forgets to look.
pub const READ_BLOCK_BYTES_MAX: u32 = 1 << 20;

/// Bytes of read buffers kept for reuse, unless [`PoolConfig`](crate::pieces::PoolConfig) says
/// otherwise.
pub const IDLE_BUFFER_BYTES_MAX: usize = 16 << 20;

/// Bytes read at once when checking or creating: large enough that a spinning disk streams.
pub const SCAN_READ_BYTES: usize = 1 << 20;

/// Bytes a worker checks before other work has its turn (a piece at least).
pub const SCAN_UNIT_BYTES: u64 = 1 << 20;

/// Progress of a check is told every so many bytes, and at the end.
pub const PROGRESS_BYTES: u64 = 32 << 20;

/// Faults a check reports in words; further ones only count as absent pieces.
pub const VERIFY_FAULTS_MAX: usize = 16;

/// Files that are flushed one by one; if more were written, the whole file system is flushed at
/// once where the system can. A flush of a small new file costs a disk some milliseconds, so ten
/// thousand would take a minute.
pub const FLUSH_EACH_MAX: usize = 32;

/// Files and folders a torrent is created from at most: what [`metainfo`] accepts is smaller;
/// this bounds the walk itself (guess).
///
/// [`metainfo`]: althing_bittorrent::metainfo
pub const WALK_ENTRIES_MAX: usize = 4_000_000;

/// Folders within one another that a walk enters (Linux paths have at most 4096 bytes).
pub const WALK_DEPTH_MAX: usize = 512;

/// Notes about changed or missing files that an assessment words one by one; the rest is counted.
pub const ASSESS_NOTES_MAX: usize = 16;

/// Bytes of one record value (bitfield, files' stamps) that is read back; a torrent of two
/// million files stays below it.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// Peers remembered with a torrent (guess: more than a swarm connects to at its start).
pub const RECORD_PEERS_MAX: usize = 100;

/// Bytes of a category's or tag's name (guess: a line of a list has room for it).
pub const LABEL_BYTES_MAX: usize = 64;

/// Tags of one torrent; more are refused (guess).
pub const TAGS_MAX: usize = 32;

/// Cache of the record engine, in bytes: records are read once, at the start.
pub const RECORDS_CACHE_BYTES: u64 = 1 << 20;

/// Memtable of each record keyspace, in bytes.
pub const RECORDS_MEMTABLE_BYTES: u64 = 2 << 20;

/// Descriptors the record engine keeps open (its own minimum is 10).
pub const RECORDS_OPEN_FILES_MAX: usize = 16;

const _: () = assert!(QUEUE_CONGESTED_BYTES <= QUEUE_BYTES_MAX);
const _: () = assert!(WAKE_BYTES < QUEUE_CONGESTED_BYTES);
const _: () = assert!(HELD_AFTER_SPILL_PERCENT < 100);
const _: () = assert!(CONGESTED_PERCENT > 100);
const _: () = assert!(SCAN_READ_BYTES as u64 <= SCAN_UNIT_BYTES);
const _: () = assert!(READ_BLOCK_BYTES_MAX as usize <= READ_RUN_BYTES_MAX);

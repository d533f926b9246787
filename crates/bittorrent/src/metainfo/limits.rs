//! How much of a stranger's torrent is looked at, with unit and source. Everything a torrent can
//! make us allocate or compute follows from these.

/// A .torrent file, in bytes. libtorrent refuses the same from 80 MB on; at this size the piece
/// hashes alone cover 50 TB in 16 MiB pieces.
pub const TORRENT_SIZE_MAX: usize = 80_000_000;

/// An info dictionary that peers send, in bytes (BEP 9 names no bound). It is kept in memory until
/// it is whole, so it is smaller than a file the user chose: libtorrent's `max_metadata_size`,
/// 3 MiB, times ten, because a hybrid of 100,000 files needs some 20 MB.
pub const INFO_SIZE_MAX: usize = 30 * 1024 * 1024;

/// Pieces of a torrent. libtorrent's `max_pieces`: 40 MiB of SHA-1 hashes; a bitfield of 256 KiB.
pub const PIECE_COUNT_MAX: u32 = 0x20_0000;

/// Length of a piece in bytes. libtorrent's `max_piece_size`: 32,767 blocks.
pub const PIECE_LENGTH_MAX: u32 = 0x7fff * 16 * 1024;

/// Files of a torrent, padding included. Guess: four times the largest torrents in the wild; a
/// million entries cost some 150 MB.
pub const FILE_COUNT_MAX: usize = 1_000_000;

/// Size of a file, in bytes: libtorrent's, which wants fewer than 2^30 - 1 blocks. With
/// [`FILE_COUNT_MAX`] it keeps sums of sizes below 2^64.
pub const FILE_SIZE_MAX: u64 = ((1 << 30) - 1) * 16 * 1024 - 1;

/// Directories within one another in a file tree (BEP 52), and components of a path. libtorrent
/// stops at 100.
pub const PATH_DEPTH_MAX: usize = 100;

/// A whole path in bytes. Linux's `PATH_MAX`; what is longer cannot be opened anyhow.
pub const PATH_SIZE_MAX: usize = 4096;

/// A file name in bytes: what every file system in use allows.
pub const NAME_SIZE_MAX: usize = 255;

/// Trackers of a torrent or magnet link, over all tiers. Guess; lists of hundreds are in the wild.
pub const TRACKER_COUNT_MAX: usize = 1_000;

/// Web seeds (BEP 17 and 19) of a torrent or magnet link. Guess.
pub const WEB_SEED_COUNT_MAX: usize = 1_000;

/// DHT nodes (BEP 5) of a torrent. Guess.
pub const NODE_COUNT_MAX: usize = 1_000;

/// A tracker's or web seed's URL, in bytes. Guess: what web servers accept as a request line.
pub const URL_SIZE_MAX: usize = 8 * 1024;

/// A comment, creator or source, in bytes: what is longer is cut. Guess.
pub const TEXT_SIZE_MAX: usize = 64 * 1024;

const _: () = assert!(FILE_SIZE_MAX.checked_mul(FILE_COUNT_MAX as u64).is_some());
const _: () = assert!(INFO_SIZE_MAX <= TORRENT_SIZE_MAX);
const _: () = assert!(PIECE_COUNT_MAX as usize * 20 < TORRENT_SIZE_MAX);

/// Values in a torrent's bencode: 60 MB of tokens while it is read. A hybrid's file takes some
/// 25, so this is more than 200,000 files; libtorrent's default is 3,000,000.
pub const TOKEN_COUNT_MAX: usize = 5_000_000;

/// The paths of all files together, in bytes. In a file tree (BEP 52) a directory's name is
/// written once and repeated in the path of each file in it, so a small torrent could have us
/// store a lot. Guess: 200,000 files with paths of 300 bytes.
pub const PATHS_SIZE_MAX: usize = 64 * 1024 * 1024;

/// Tries to find a free name for files whose names were taken; libtorrent gives up as well, as so
/// many mean no good, and the tries grow with the square of the files. Enough for 44 files that
/// all have one name.
pub const RENAME_TRIES_MAX: usize = 1_000;

/// Links that lead to links before the last is refused: Linux's own limit.
pub const LINK_DEPTH_MAX: usize = 40;

/// A magnet link, in bytes. Guess: 30 times a usual one with ten trackers.
pub const MAGNET_SIZE_MAX: usize = 64 * 1024;

/// What a magnet link calls its torrent, in bytes; what is longer is cut. Guess.
pub const MAGNET_NAME_SIZE_MAX: usize = 1024;

/// Peers in a magnet link. Guess: more than anyone would write down.
pub const MAGNET_PEER_COUNT_MAX: usize = 100;

/// Ranges of wanted files in a magnet link. Guess.
pub const MAGNET_RANGE_COUNT_MAX: usize = 10_000;

/// The salt of a public key in a link, in bytes (BEP 44).
pub const FEED_SALT_SIZE_MAX: usize = 64;

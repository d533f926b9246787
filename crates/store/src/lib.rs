//! Files: the only crate that touches them.
//!
//! * [`pieces`]: a pool of threads that hash, write, read and check the pieces of all torrents.
//! * [`create`]: makes a torrent of a file or folder.
//! * [`records`]: what is remembered of each torrent from one run to the next.
//! * [`files`]: the file system as the above see it; nothing of a torrent can lead out of its
//!   folder.
//! * [`lock`] and [`atomic`]: one process for each data folder, small files that are written
//!   whole or not at all.
//!
//! There is no runtime in here: plain threads, and answers through a callback.

pub mod atomic;
pub mod create;
pub mod files;
mod hash;
pub mod limits;
pub mod lock;
mod mutex;
pub mod pieces;
pub mod records;
mod segments;

//! Files: the only crate that touches them.
//!
//! * [`pieces`]: a pool of threads that hash, write, read and check the pieces of all torrents.
//! * [`create`]: makes a torrent of a file or folder.
//! * [`records`]: what is remembered of each torrent from one run to the next.
//! * [`shelf`]: what a node of the overlay holds, from one run to the next.
//! * [`relocate`] and [`locate`]: moving a torrent's files, and finding those that the user moved.
//! * [`files`]: the file system as the above see it; nothing of a torrent leads out of its folder.
//! * [`lock`] and [`atomic`]: one process for each data folder, small files that are written
//!   whole or not at all.
//!
//! There is no runtime in here: plain threads, and answers through a callback. Work is handed in
//! without waiting for the disk, and what was asked for comes back as an
//! [`Event`](pieces::Event):
//!
//! ```
//! use althing_bittorrent::Bitfield;
//! use althing_store::create::{Content, Hashing};
//! use althing_store::pieces::{Event, Opening, Pool, PoolConfig, TorrentKey};
//! use std::sync::{Arc, mpsc};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("hamlet.txt");
//! # std::fs::write(&path, "to be, or not to be")?;
//! // A torrent of a file, shared from where it is.
//! let content = Content::find(&path)?;
//! let created = content.hash(content.builder(None).plan()?, &Hashing::default())?;
//!
//! let pool = Pool::new(&PoolConfig::default())?;
//! let (sender, events) = mpsc::channel();
//! let torrent = pool.open(Opening {
//!     key: TorrentKey(1),
//!     metainfo: Arc::new(created.metainfo),
//!     location: created.location,
//!     sink: Arc::new(move |_, event| sender.send(event).unwrap_or(())),
//!     before_write: None,
//! });
//! torrent.verify(Bitfield::full(1));
//! let verified = events.iter().find(|event| matches!(event, Event::Verified { .. }));
//! let Some(Event::Verified { have, .. }) = verified else { unreachable!() };
//! assert!(have.is_full());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! * A piece is announced ([`Event::PieceStored`](pieces::Event::PieceStored)) when its hash is
//!   right and all of its bytes have been written, and claimed ([`records`]) when they have been
//!   flushed.
//! * A fault claims nothing and loses nothing: the piece is not stored, and can be when the disk
//!   is well again.
//! * Memory, queues and open files are bounded by [`limits`].

pub mod atomic;
pub mod create;
mod engine;
pub mod files;
mod hash;
pub mod limits;
pub mod locate;
pub mod lock;
pub mod mail;
mod mutex;
pub mod pieces;
pub mod records;
pub mod relocate;
mod segments;
pub mod shelf;

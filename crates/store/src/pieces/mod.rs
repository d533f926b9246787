//! A pool of threads that hash, write, read and check the pieces of all torrents.
//!
//! A piece on its way in belongs to one worker: its blocks are hashed there as they arrive and
//! written once, when the piece is complete and right. What one worker does for a torrent never
//! waits for another, and no piece needs a lock. [`Pool::open`] gives a [`Torrent`], whose methods
//! only hand work in; answers are [`Event`]s that go to the torrent's [`Sink`].
//!
//! * Memory is bounded: above a budget, blocks of unfinished pieces are written to their place
//!   early (SHA-1 has usually run over them by then, so they are seldom read back).
//! * Blocks in, blocks out and checks share each worker by the bytes of work they cause.
//! * Nothing is claimed: which pieces survive a power cut, [`Torrent::sync`] says, and
//!   [`records`](crate::records) writes down only that.

mod allocate;
mod buffers;
mod copy;
mod event;
mod flush;
mod io;
mod job;
mod partial;
mod piece;
mod pool;
mod queue;
mod torrent;
mod verify;
mod worker;

pub(crate) use flush::remove;

pub use copy::Source;
pub use event::{
    BlockSum, Checked, Copied, Durable, Event, Partial, Sink, TorrentKey, VerifyProgress,
};
pub use pool::{Gauges, Pool, PoolConfig};
pub use torrent::{BeforeWrite, Opening, Torrent};

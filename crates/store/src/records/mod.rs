//! What is remembered of each torrent from one run to the next, in one key-value store.
//!
//! Three things are kept apart because they change at different times: the .torrent file (once),
//! a [`Record`] of what the user wants and what has come of it, and the [`Resume`] data: which
//! pieces are claimed to be on disk, and what their files looked like then.
//!
//! **A claim needs proof.** [`Records::claim`] takes a [`Durable`], which only the pool makes, and
//! only after it has flushed the files. So whatever instant the process or the machine dies at,
//! what is claimed is on disk. What else may be there, [`assess`] says at the next start: after a
//! clean end nothing; else the unclaimed pieces of files that were being written, and all of those
//! of files that have changed since.
//!
//! Writes survive the end of the process at once. [`Records::flush`] makes them survive a power
//! cut, many of them in one go; a claim that is taken back ([`unclaim`](Records::unclaim)) would be
//! wrong if that were forgotten, and is flushed at once.

mod assess;
mod codec;
mod error;
mod moves;
mod record;
mod settings;
mod settings_codec;
mod table;

pub use assess::{Assessment, assess};
pub use codec::VERSION as FORMAT_VERSION;
pub use error::RecordError;
pub use moves::Unmoved;
pub use record::{Record, Resume};
pub use settings::{Followed, Goal, Label, LabelError, Ratio, TorrentSettings};
pub use table::{Records, Stored};

#[cfg(doc)]
use crate::pieces::Durable;

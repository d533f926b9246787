//! Limits on what goes over the network, shared fairly: the [`Governor`] divides what the limits let
//! through among torrents, whichever shard has them; in each shard a [`Pacer`] divides a torrent's
//! part among its connections, whose [`Meter`]s say how much of a socket may be read or written.
//!
//! Who is uploaded to at all is shared out first: [`Slots`] divides the peers that may be uploaded to at the
//! same time among the torrents that have peers who want something.
//!
//! Every [`ROUND`](crate::limits::ROUND) each shard that has something to ask for asks once, so there
//! is no lock on the way of a block; and where no limit is set a meter is asked one question, and
//! nothing else happens. All bytes of peers' connections count once the handshake is through, blocks
//! and messages alike; what TCP, trackers and name servers cost does not.

mod governor;
mod limits;
mod local;
mod meter;
mod pacer;
mod slots;

pub(crate) use governor::Governor;
pub(crate) use limits::{Limits, Pair};
pub(crate) use local::is_local;
pub(crate) use meter::{Gate, Meter};
pub(crate) use pacer::{Paced, Pacer};
pub(crate) use slots::{Line, Slots};

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Flow {
    /// From us to peers.
    Up,
    /// From peers to us.
    Down,
}

impl Flow {
    /// Both.
    pub(crate) const BOTH: [Flow; 2] = [Flow::Up, Flow::Down];

    /// Its place where there is one thing for each direction.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

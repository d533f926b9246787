//! Addresses under which a player can open a file without the API's token: whoever knows one may read
//! this one file and nothing else, until the stream is closed or the daemon ends.
//!
//! A player's address shows up in its window, its history and its process's arguments, so that it must
//! not hold the key to everything. It holds 256 random bits, is compared in constant time and never
//! logged.

use super::limits::{STREAM_IDLE_MAX, STREAMS_MAX};
use super::token::Secret;
use crate::clock;
use crate::session::Viewer;
use althing_base::Instant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Random bytes in an address.
const TOKEN_BYTES: usize = 32;

/// The streams that are open.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<Stream>>);

struct Stream {
    token: Secret,
    viewer: Arc<Viewer>,
    used: Instant,
}

impl Stream {
    /// Whether somebody reads it now.
    fn is_read(&self) -> bool {
        Arc::strong_count(&self.viewer) > 1
    }
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the operating system gave no random bytes for the stream's address: {0}; try again")]
pub(super) struct NoRandomness(getrandom::Error);

impl Streams {
    /// Opens a stream; its token. Of too many the one that was not read for longest makes room.
    pub(super) fn open(&self, viewer: Viewer) -> Result<String, NoRandomness> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(NoRandomness)?;
        let token = super::convert::hex(&bytes);
        let now = clock::now();
        let mut streams = self.lock();
        streams.retain(|stream| stream.is_read() || now.since(stream.used) < STREAM_IDLE_MAX);
        if streams.len() >= STREAMS_MAX {
            let oldest = streams.iter().enumerate().min_by_key(|(_, s)| (s.is_read(), s.used));
            if let Some(at) = oldest.map(|(at, _)| at) {
                streams.remove(at);
            }
        }
        streams.push(Stream { token: Secret::new(&token), viewer: Arc::new(viewer), used: now });
        Ok(token)
    }

    /// Whom a token lets read.
    pub(super) fn find(&self, token: &str) -> Option<Arc<Viewer>> {
        let mut streams = self.lock();
        let at = position(&streams, token)?;
        let stream = streams.get_mut(at)?;
        stream.used = clock::now();
        Some(Arc::clone(&stream.viewer))
    }

    /// Ends a stream; who reads it now may read on. False if there is none of that token.
    pub(super) fn close(&self, token: &str) -> bool {
        let mut streams = self.lock();
        position(&streams, token).map(|at| streams.remove(at)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the stream with this token is. Looks at all of them, so that the time it takes tells nothing
/// of any.
fn position(streams: &[Stream], token: &str) -> Option<usize> {
    let matching = |found, (at, stream): (usize, &Stream)| {
        if stream.token.matches(token.as_bytes()) { Some(at) } else { found }
    };
    streams.iter().enumerate().fold(None, matching)
}

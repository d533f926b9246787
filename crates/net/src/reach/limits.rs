//! What bounds what others are believed about us. Each constant says its unit, what happens past it
//! and where the figure comes from.

use std::time::Duration;

/// Networks that have to name the same address before it is ours. One is anybody; two are a liar and a
/// coincidence (guess; libtorrent takes the word of a few, more of those who are connected to it).
pub const AGREE_MIN: usize = 3;

/// Networks of a family whose word is kept, one each; past it the oldest goes. So that nine new voters
/// outvote whatever was true before, and one network has a sixteenth of the say.
pub const VOTERS_MAX: usize = 16;

/// A vote that was not repeated for so long counts no more. Longer than a tracker's usual half hour
/// (BEP 3), so that those who are asked again and again stay.
pub const VOTE_LASTS: Duration = Duration::from_secs(3600);

/// That somebody has come in from outside proves for so long that others can (guess: routers forget
/// what they forward when they start anew, and that is seldom more than once a day).
pub const OPEN_LASTS: Duration = Duration::from_secs(24 * 3600);

/// Peers outside that we have reached before it says anything that none of them, and nobody else, has
/// reached us (guess: who is in so many peers' lists is tried by some).
pub const REACHED_ENOUGH: u32 = 8;

/// How long nobody has to come in, with [`REACHED_ENOUGH`] reached, before we take it that nobody can:
/// two rounds of what peers wait before they try those that others name (guess).
pub const CLOSED_AFTER: Duration = Duration::from_secs(15 * 60);

/// Addresses of this machine that are remembered; the rest is not told apart from others' (guess: a
/// machine with many containers has dozens).
pub const OWN_ADDRESSES_MAX: usize = 64;

const _: () = assert!(AGREE_MIN > 1 && AGREE_MIN * 2 < VOTERS_MAX);

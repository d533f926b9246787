//! Two nodes find out which items one has and the other has not, without naming all of them: range-based
//! set reconciliation (Meyer 2023, "Range-Based Set Reconciliation"), with the messages of the negentropy
//! protocol, version 1.
//!
//! Who begins sends fingerprints of ranges of what it has. Where the other's fingerprint is another, the
//! range is cut in sixteen; where little is left, names are listed. Who begins ends up knowing what it
//! has and the other needs, and the other way round; the other keeps nothing between messages.
//!
//! ```
//! use althing_overlay::reconcile::{Item, Session, Set, answer};
//!
//! let item = |time| Item { time, id: [time as u8; 32] };
//! let ours: Set = (0..9).map(item).collect();
//! let theirs: Set = (1..10).map(item).collect();
//! let (mut session, mut message) = Session::start(&ours, 4_096);
//! let (mut have, mut need) = (Vec::new(), Vec::new());
//! loop {
//!     let step = session.heed(&ours, &answer(&theirs, &message, 4_096)?)?;
//!     have.extend(step.have);
//!     need.extend(step.need);
//!     let Some(next) = step.message else { break };
//!     message = next;
//! }
//! assert_eq!((have, need), (vec![[0; 32]], vec![[9; 32]]));
//! # Ok::<(), althing_overlay::reconcile::ReconcileError>(())
//! ```

mod message;
mod set;

pub use set::{Fingerprint, Item, Set};

use crate::limits::{RECONCILE_BYTES_MAX, RECONCILE_BYTES_MIN, RECONCILE_ROUNDS_MAX};
use message::{Bound, Known, Ranges, VERSION, Writer};
use std::collections::BTreeSet;

/// Parts in which a range is cut whose fingerprints differ, and half of the items of which all are named
/// (negentropy protocol v1).
const PARTS: usize = 16;

/// Why a message of reconciliation cannot be read. Whoever sent it is not worth talking to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// It ends too early.
    #[error("a message of reconciliation that ends too early")]
    Truncated,
    /// It is longer than one may be.
    #[error("a message of reconciliation of {bytes} bytes")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// It is of another version of the protocol.
    #[error("version {version:#04x} of reconciliation is not known")]
    Version {
        /// What its first byte says.
        version: u8,
    },
    /// A number of more than 64 bits.
    #[error("a number of more than 64 bits in a message of reconciliation")]
    LongNumber,
    /// A bound's name of more than 32 bytes.
    #[error("a name of {bytes} bytes in a message of reconciliation")]
    LongName {
        /// How many.
        bytes: u64,
    },
    /// A range ends before the one before it.
    #[error("ranges of a reconciliation that are not in order")]
    Order,
    /// A range of which something is said that is not known.
    #[error("mode {mode} in a message of reconciliation")]
    Mode {
        /// Which.
        mode: u64,
    },
    /// There have been [`RECONCILE_ROUNDS_MAX`] rounds.
    #[error("a reconciliation that does not end")]
    Endless,
}

/// What an answer has told the side that began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Names of what is in our set and not in the other's.
    pub have: Vec<[u8; 32]>,
    /// Names of what is in the other's set and not in ours, as far as the other says. At most as many as
    /// fit its message.
    pub need: Vec<[u8; 32]>,
    /// What to send next; nothing once all is known.
    pub message: Option<Vec<u8>>,
}

/// A reconciliation, on the side that began it.
#[derive(Clone, Debug)]
pub struct Session {
    rounds: u32,
    bytes_max: usize,
}

impl Session {
    /// Begins: the session, and the first message. Messages have at most `bytes_max` bytes, which is kept
    /// between [`RECONCILE_BYTES_MIN`] and [`RECONCILE_BYTES_MAX`].
    pub fn start(set: &Set, bytes_max: usize) -> (Session, Vec<u8>) {
        let bytes_max = bytes_max.clamp(RECONCILE_BYTES_MIN, RECONCILE_BYTES_MAX);
        let mut writer = Writer::new(bytes_max);
        let fits = writer.push(&split(set, 0, set.len(), Bound::END));
        debug_assert!(fits, "sixteen fingerprints or 31 names fit the shortest message");
        (Session { rounds: 0, bytes_max }, writer.finish())
    }

    /// Takes the answer to the last message. The set may have changed since; what has is found in this
    /// reconciliation or in the next.
    ///
    /// # Errors
    /// It cannot be read, or there have been too many rounds: the session is over.
    pub fn heed(&mut self, set: &Set, message: &[u8]) -> Result<Step, ReconcileError> {
        self.rounds += 1;
        if self.rounds > RECONCILE_ROUNDS_MAX {
            return Err(ReconcileError::Endless);
        }
        let mut step = Step::default();
        let next = turn(set, message, self.bytes_max, Some(&mut step))?;
        step.message = (next.len() > 1).then_some(next);
        Ok(step)
    }
}

/// Answers a message of the side that began, in at most `bytes_max` bytes (kept within bounds as in
/// [`Session::start`]). Nothing need be kept for the next.
///
/// # Errors
/// It cannot be read. A message of another version of this protocol is answered with one of ours that
/// says nothing else.
pub fn answer(set: &Set, message: &[u8], bytes_max: usize) -> Result<Vec<u8>, ReconcileError> {
    turn(set, message, bytes_max.clamp(RECONCILE_BYTES_MIN, RECONCILE_BYTES_MAX), None)
}

/// Reads a message and writes the next. The side that began has a `step` in which it notes differences.
fn turn(
    set: &Set,
    message: &[u8],
    bytes_max: usize,
    mut step: Option<&mut Step>,
) -> Result<Vec<u8>, ReconcileError> {
    if message.len() > RECONCILE_BYTES_MAX {
        return Err(ReconcileError::TooLong { bytes: message.len() });
    }
    let (&version, ranges) = message.split_first().ok_or(ReconcileError::Truncated)?;
    let mut writer = Writer::new(bytes_max);
    if version != VERSION {
        let is_later = (0x60..0x70).contains(&version);
        return if step.is_none() && is_later {
            Ok(writer.finish())
        } else {
            Err(ReconcileError::Version { version })
        };
    }
    let mut ranges = Ranges::new(ranges);
    let mut from = 0;
    while let Some((bound, known)) = ranges.next()? {
        let to = set.position(|item| bound.is_after(item)).max(from);
        let fits = match (known, &mut step) {
            (Known::Skip, _) => {
                writer.settle(bound);
                true
            }
            (Known::Fingerprint(theirs), _) => {
                if theirs == set.fingerprint(from, to) {
                    writer.settle(bound);
                    true
                } else {
                    writer.push(&split(set, from, to, bound))
                }
            }
            (Known::Ids(theirs), Some(step)) => {
                let mut theirs: BTreeSet<[u8; 32]> = theirs.into_iter().collect();
                for item in set.range(from, to).flatten() {
                    if !theirs.remove(&item.id) {
                        step.have.push(item.id);
                    }
                }
                step.need.extend(theirs);
                writer.settle(bound);
                true
            }
            // The other side names what it has of a range; so do we, as far as it fits.
            (Known::Ids(_), None) => {
                let end = to.min(from + writer.room_for_ids());
                match set.item(end) {
                    Some(next) if end < to => {
                        writer.push(&[names(set, from, end, Bound::before(next))]);
                        from = end;
                        false
                    }
                    _ => writer.push(&[names(set, from, to, bound)]),
                }
            }
        };
        if !fits {
            writer.push_rest(set.fingerprint(from, set.len()));
            break;
        }
        from = to;
    }
    Ok(writer.finish())
}

/// The names of all items of a range.
fn names(set: &Set, from: usize, to: usize, bound: Bound) -> (Bound, Known) {
    (bound, Known::Ids(set.range(from, to).flatten().map(|item| item.id).collect()))
}

/// A range in smaller ones, or the names of its items if they are few.
fn split(set: &Set, from: usize, to: usize, bound: Bound) -> Vec<(Bound, Known)> {
    let count = to - from;
    if count < 2 * PARTS {
        return vec![names(set, from, to, bound)];
    }
    let mut start = from;
    (0..PARTS)
        .map(|part| {
            let end = start + count / PARTS + usize::from(part < count % PARTS);
            let known = Known::Fingerprint(set.fingerprint(start, end));
            let bound = match (end.checked_sub(1).and_then(|last| set.item(last)), set.item(end)) {
                (Some(last), Some(next)) if part + 1 < PARTS => Bound::between(last, next),
                _ => bound,
            };
            start = end;
            (bound, known)
        })
        .collect()
}

#[cfg(test)]
mod tests;

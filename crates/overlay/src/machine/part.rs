//! When a part of the machine is due, remembered: it is asked for after everything that happens, and to find it a part
//! looks at all its links. Most of what happens concerns one part.

use althing_base::Instant;
use std::ops::{Deref, DerefMut};

/// A part that has something due now and then.
pub(super) trait Scheduled {
    /// When.
    fn due(&self) -> Option<Instant>;
}

/// A part, and when it is due as of the last [`look`](Part::look). Whoever borrows it to change it makes that stale.
///
/// The part stands apart, so that what is not concerned is not touched: where ten thousand nodes are in one process, most
/// of the time is spent waiting for memory.
#[derive(Debug)]
pub(super) struct Part<T> {
    part: Box<T>,
    due: Option<Instant>,
    is_stale: bool,
}

impl<T: Scheduled> Part<T> {
    pub(super) fn new(part: T) -> Self {
        let due = part.due();
        Part { part: Box::new(part), due, is_stale: false }
    }

    /// Finds again when it is due, if it may have changed.
    pub(super) fn look(&mut self) {
        if self.is_stale {
            self.due = self.part.due();
            self.is_stale = false;
        }
        debug_assert_eq!(self.due, self.part.due(), "nothing changes behind our back");
    }

    /// When it is due.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_stale { self.part.due() } else { self.due }
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.part
    }
}

impl<T> DerefMut for Part<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_stale = true;
        &mut self.part
    }
}

macro_rules! scheduled {
    ($($part:ty),*) => {$(
        impl Scheduled for $part {
            fn due(&self) -> Option<Instant> {
                self.deadline()
            }
        }
    )*};
}

scheduled!(
    super::Compare,
    crate::broadcast::Broadcast,
    crate::mail::Mail,
    crate::membership::Membership,
    crate::search::Search
);

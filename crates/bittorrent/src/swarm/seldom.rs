//! State that most torrents never have: of ten thousand that rest, each would keep room for it.

use super::application::Calls;
use super::conduct::Conduct;
use super::deadlines::Deadlines;
use super::hashes::HashFetch;
use super::holepunch::Holes;
use super::pieces::OpenPieces;
use super::spread::SpreadLog;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

/// A value that takes a pointer's room until it is changed for the first time.
pub(super) struct Seldom<T>(Option<Box<T>>);

/// What it is until then.
pub(super) trait Empty: Default + 'static {
    /// It, shared by all that have none of their own.
    fn empty() -> &'static Self;
}

macro_rules! empty {
    ($($kind:ty),*) => { $(
        impl Empty for $kind {
            fn empty() -> &'static Self {
                static EMPTY: LazyLock<$kind> = LazyLock::new(<$kind>::default);
                &EMPTY
            }
        }
    )* };
}

empty!(Calls, Conduct, Deadlines, HashFetch, Holes, OpenPieces, SpreadLog);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: Empty> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::empty())
    }
}

impl<T: Empty> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Empty + fmt::Debug> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

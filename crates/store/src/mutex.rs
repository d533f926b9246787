//! Locking without a case for poison: no lock here is held across anything that can panic and
//! leave half a change.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks.
pub(crate) fn guard<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

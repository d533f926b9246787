//! What keeps the start from reading torrents faster than the shards take them in: what waits in
//! between would be memory that is needed for an instant, and stays with the process for good.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Hands out so many tickets at a time.
pub(super) struct Counter {
    left: Mutex<usize>,
    returned: Condvar,
}

impl Counter {
    pub(super) fn new(tickets: usize) -> Arc<Self> {
        Arc::new(Counter { left: Mutex::new(tickets), returned: Condvar::new() })
    }

    /// Waits until there is a ticket.
    pub(super) fn take(self: &Arc<Self>) -> Ticket {
        let left = self.left();
        let none = |left: &mut usize| *left == 0;
        let mut left = self.returned.wait_while(left, none).unwrap_or_else(PoisonError::into_inner);
        *left -= 1;
        Ticket(Arc::clone(self))
    }

    fn left(&self) -> MutexGuard<'_, usize> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when it is dropped.
pub(crate) struct Ticket(Arc<Counter>);

impl Drop for Ticket {
    fn drop(&mut self) {
        *self.0.left() += 1;
        self.0.returned.notify_one();
    }
}

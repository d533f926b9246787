//! The shape that every protocol has: a state machine that is told what happened and says what is
//! to be done, and does nothing itself.

use crate::time::Instant;

/// A protocol without IO, clock or randomness of its own.
///
/// The run loop of whoever drives one: **one mutation, then drain.** Call [`handle_input`] or
/// [`handle_timeout`] once, then [`poll_output`] until it answers `None`, then look at
/// [`poll_timeout`] for when to call back at the latest, and wait for whatever comes first.
///
/// [`handle_input`]: Machine::handle_input
/// [`handle_timeout`]: Machine::handle_timeout
/// [`poll_output`]: Machine::poll_output
/// [`poll_timeout`]: Machine::poll_timeout
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it asks for.
    type Output;
    /// Why it wants to be woken; for logs and for tests that look for a busy loop.
    type Reason: Copy + std::fmt::Debug;

    /// Something happened at `now`.
    fn handle_input(&mut self, now: Instant, input: Self::Input);

    /// The time of [`poll_timeout`](Machine::poll_timeout) has come (calling early does nothing).
    fn handle_timeout(&mut self, now: Instant);

    /// The next thing to do, until there is none.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When it must be woken, and why.
    fn poll_timeout(&self) -> Option<(Instant, Self::Reason)>;
}

/// Whether something is to be done by `now`, if it is to be done at all.
pub fn is_due(now: Instant, at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= now)
}

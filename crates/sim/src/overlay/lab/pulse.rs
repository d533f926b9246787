//! How far a run is, for whoever waits for it: looked at from another thread, and of no influence on what happens.

use althing_base::Instant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub struct Pulse {
    simulated_ns: AtomicU64,
    events: AtomicU64,
}

impl Pulse {
    /// The run has come this far.
    pub(in crate::overlay) fn beat(&self, now: Instant, events: u64) {
        self.simulated_ns.store(now.as_nanos(), Ordering::Relaxed);
        self.events.store(events, Ordering::Relaxed);
    }

    /// How much time has passed in the simulation.
    pub fn simulated(&self) -> Duration {
        Duration::from_nanos(self.simulated_ns.load(Ordering::Relaxed))
    }

    /// How many things have happened to nodes.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

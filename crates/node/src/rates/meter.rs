//! How much of one direction of one connection may go over its socket.

use std::cell::Cell;
use std::rc::Rc;

/// Whether a torrent's connections are limited in one direction; they all look at the same one.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    limited: Cell<bool>,
}

impl Gate {
    pub(crate) fn set(&self, limited: bool) {
        self.limited.set(limited);
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limited.get()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Meter {
    gate: Rc<Gate>,
    /// Bytes that may go now.
    credit: Cell<u64>,
    /// Bytes that went since the last round.
    used: Cell<u64>,
    /// More was to go than may.
    blocked: Cell<bool>,
    /// The pacer has it on its list.
    pub(super) listed: Cell<bool>,
}

impl Meter {
    pub(crate) fn new(gate: Rc<Gate>) -> Self {
        Meter {
            gate,
            credit: Cell::new(0),
            used: Cell::new(0),
            blocked: Cell::new(false),
            listed: Cell::new(false),
        }
    }

    /// Bytes that may go now; `None` if there is no limit.
    pub(crate) fn allowance(&self) -> Option<usize> {
        if !self.gate.is_limited() {
            return None;
        }
        Some(usize::try_from(self.credit.get()).unwrap_or(usize::MAX))
    }

    /// So many bytes went.
    pub(crate) fn spend(&self, bytes: usize) {
        self.credit.update(|credit| credit.saturating_sub(bytes as u64));
        self.used.update(|used| used.saturating_add(bytes as u64));
    }

    /// More is to go than may: nothing does until the next round. Says whether the pacer has to be
    /// told.
    pub(crate) fn block(&self) -> bool {
        self.blocked.set(true);
        !self.listed.get()
    }

    /// Whether it waits for the next round.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.get() && self.gate.is_limited()
    }

    pub(super) fn is_limited(&self) -> bool {
        self.gate.is_limited()
    }

    /// What it wants for the next round, by what it did in the last one: as much as it can get if
    /// that was not enough, else room to grow.
    pub(super) fn wants(&self) -> u64 {
        if self.blocked.get() { MUCH } else { self.used.get().saturating_mul(2) }
    }

    /// Takes back what is left of its credit.
    pub(super) fn take_credit(&self) -> u64 {
        self.used.set(0);
        self.credit.replace(0)
    }

    /// Gives it credit; says whether it waited for it.
    pub(super) fn grant(&self, bytes: u64) -> bool {
        self.credit.set(bytes);
        bytes > 0 && self.blocked.replace(false)
    }

    /// There is no limit any more; says whether it waited.
    pub(super) fn release(&self) -> bool {
        self.blocked.replace(false)
    }
}

/// More bytes than any round can give, and few enough to add up.
const MUCH: u64 = 1 << 40;

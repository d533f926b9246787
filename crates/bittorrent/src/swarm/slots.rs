//! Upload slots that torrents share: how many a swarm could use, and how many it is let have.
//!
//! With [`SwarmConfig::shares_slots`](super::SwarmConfig::shares_slots) a swarm uploads to nobody by
//! itself. It says how many peers it would upload to ([`Output::UploadDemand`]): in every choke round
//! while there are any, and at once when that changes; whoever shares out what all torrents have
//! together answers with [`Input::UploadSlots`](super::Input::UploadSlots). A swarm that nobody wants
//! anything of says nothing.

use super::{Output, Phase, Swarm};
use althing_base::Instant;

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SharedSlots {
    /// What was said last.
    demand: usize,
    granted: usize,
}

impl Swarm {
    /// Peers that may be unchoked now.
    pub(super) fn slots(&self) -> usize {
        if self.config.shares_slots {
            self.config.unchoke_slots.min(self.shared_slots.granted)
        } else {
            self.config.unchoke_slots
        }
    }

    /// Says how many slots could be used, if that is something new or `anyway`.
    pub(super) fn tell_demand(&mut self, anyway: bool) {
        if !self.config.shares_slots {
            return;
        }
        let gives = self.is_running() && self.phase == Phase::Active;
        let interested = || self.peers.values().filter(|p| p.interested_in_us).count();
        let wanted = if gives { interested().min(self.config.unchoke_slots) } else { 0 };
        if wanted != self.shared_slots.demand || (anyway && wanted > 0) {
            self.shared_slots.demand = wanted;
            self.outputs.push_back(Output::UploadDemand { wanted });
        }
    }

    pub(super) fn slots_granted(&mut self, now: Instant, slots: usize) {
        let before = self.slots();
        self.shared_slots.granted = slots;
        let unchoked = self.slots_taken();
        // Some policies share out, and have more peers unchoked than there are slots.
        if self.slots() < before && self.slots() < unchoked {
            self.choose_unchoked(now);
        } else if self.slots() > before {
            self.fill_free_slots(now);
        }
    }
}

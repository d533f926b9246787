//! The passive view: peers of whom it is known where they are, without a link.

use super::limits::{
    FAILURES_MAX, FRIENDS_MAX, PASSIVE_MAX, PASSIVE_SUBNET_MAX, RETRY_FIRST, RETRY_MAX,
};
use super::subnet::{Subnet, subnet};
use crate::id::{Contact, NodeId};
use althing_base::{Instant, Rng};
use std::net::SocketAddr;

/// Somebody who could be called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Not known of those whom the meeting place names.
    pub(super) node: Option<NodeId>,
    pub(super) addr: SocketAddr,
    /// Was a neighbour once.
    pub(super) is_friend: bool,
    /// Calls in vain since.
    pub(super) failures: u8,
    /// Not to be called before.
    pub(super) not_before: Instant,
}

/// The view. In no order that means anything.
#[derive(Debug, Default)]
pub(super) struct Passive {
    known: Vec<Known>,
    /// Somebody was heard of for whom there was no room, or had to make room.
    is_short: bool,
}

impl Passive {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are some whom it has heard of and does not know any more.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Somebody was heard of. Who is known already stays where he was if he was a neighbour there.
    pub(super) fn hear(&mut self, rng: &mut Rng, node: Option<NodeId>, addr: SocketAddr) {
        let new = Known { node, addr, is_friend: false, failures: 0, not_before: Instant::ORIGIN };
        self.put(rng, new);
    }

    /// Somebody was a neighbour, and is let be for a while.
    pub(super) fn part(&mut self, rng: &mut Rng, contact: Contact, not_before: Instant) {
        let Contact { node, addr } = contact;
        self.known.retain(|known| known.node != Some(node) && known.addr != addr);
        self.put(rng, Known { node: Some(node), addr, is_friend: true, failures: 0, not_before });
    }

    fn put(&mut self, rng: &mut Rng, new: Known) {
        let same = |known: &&mut Known| {
            known.addr == new.addr || known.node.is_some() && known.node == new.node
        };
        if let Some(known) = self.known.iter_mut().find(same) {
            // Nobody is let say where a friend is now, or that another is where he was.
            if !known.is_friend && known.failures == 0 {
                known.addr = new.addr;
                known.node = new.node.or(known.node);
            }
            return;
        }
        let net = subnet(&new.addr);
        let crowd = |known: &&Known| subnet(&known.addr) == net;
        if net.is_some() && self.known.iter().filter(crowd).count() >= PASSIVE_SUBNET_MAX {
            self.is_short = true;
            return;
        }
        if new.is_friend && self.known.iter().filter(|known| known.is_friend).count() >= FRIENDS_MAX
        {
            self.give_up(rng, |known| known.is_friend);
        } else if self.known.len() >= PASSIVE_MAX {
            self.give_up(rng, |known| !known.is_friend);
        }
        if self.known.len() < PASSIVE_MAX {
            self.known.push(new);
        } else {
            self.is_short = true;
        }
    }

    /// Forgets one of some: whoever has failed most, or any.
    fn give_up(&mut self, rng: &mut Rng, which: impl Fn(&Known) -> bool) {
        let some = self.known.iter().enumerate().filter(|(_, known)| which(known));
        let most = some.clone().map(|(_, known)| known.failures).max().unwrap_or(0);
        let worst = some.filter(|(_, known)| known.failures == most);
        if let Some((at, _)) = worst.clone().nth(rng.index(worst.count())) {
            self.known.swap_remove(at);
            self.is_short = true;
        }
    }

    /// Somebody is linked now, or it is better not to call there.
    pub(super) fn forget(&mut self, node: &NodeId, addr: Option<SocketAddr>) {
        self.known.retain(|known| known.node.as_ref() != Some(node) && Some(known.addr) != addr);
    }

    /// Somebody answered there, under that name.
    pub(super) fn answered(&mut self, node: NodeId, addr: SocketAddr) {
        if let Some(known) = self.known.iter_mut().find(|known| known.addr == addr) {
            known.failures = 0;
            known.node = Some(node);
        }
    }

    /// Nobody answered there.
    pub(super) fn failed(&mut self, now: Instant, rng: &mut Rng, addr: SocketAddr) {
        let Some(at) = self.known.iter().position(|known| known.addr == addr) else { return };
        let known = &mut self.known[at];
        known.failures += 1;
        let limit = if known.is_friend { FAILURES_MAX.1 } else { FAILURES_MAX.0 };
        if known.failures >= limit {
            self.known.swap_remove(at);
            return;
        }
        let wait = RETRY_FIRST * (1 << u32::from(known.failures.min(8)));
        known.not_before = now + wait.min(RETRY_MAX).mul_f64(0.5 + rng.unit());
    }

    /// Somebody there is let be until then.
    pub(super) fn let_be(&mut self, addr: SocketAddr, until: Instant) {
        if let Some(known) = self.known.iter_mut().find(|known| known.addr == addr) {
            known.not_before = until;
        }
    }

    /// Somebody to call now: if there is, somebody in a network where no neighbour is; among those,
    /// one who answered when he was last called.
    pub(super) fn candidate(
        &self,
        now: Instant,
        rng: &mut Rng,
        is_busy: impl Fn(&Known) -> bool,
        taken: &[Subnet],
    ) -> Option<Known> {
        let is_crowd = |known: &Known| subnet(&known.addr).is_some_and(|net| taken.contains(&net));
        let rank = |known: &Known| (is_crowd(known), known.failures > 0);
        let ready = || self.known.iter().filter(|k| k.not_before <= now && !is_busy(k));
        let best = ready().map(rank).min()?;
        let choice = || ready().filter(|known| rank(known) == best);
        choice().nth(rng.index(choice().count())).copied()
    }

    /// When somebody can be called again who cannot be now.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.known.iter().map(|known| known.not_before).filter(|at| *at > now).min()
    }

    /// Somebody to visit: every other time one of those who did not answer, for a network that fell
    /// apart is found through them.
    pub(super) fn visit(&self, rng: &mut Rng, is_busy: impl Fn(&Known) -> bool) -> Option<Known> {
        let free =
            |failed: bool| self.known.iter().filter(move |known| !failed || known.failures > 0);
        let failed = rng.chance(0.5) && free(true).any(|known| !is_busy(known));
        let choice = || free(failed).filter(|known| !is_busy(known));
        choice().nth(rng.index(choice().count())).copied()
    }

    /// Some whose names are known and who have not failed, to tell others.
    pub(super) fn sample(&self, rng: &mut Rng, count: usize) -> Vec<Contact> {
        let told = |known: &Known| {
            let node = known.node.filter(|_| known.failures == 0)?;
            Some(Contact { node, addr: known.addr })
        };
        let mut sample: Vec<_> = self.known.iter().filter_map(told).collect();
        let count = count.min(sample.len());
        for at in 0..count {
            let other = at + rng.index(sample.len() - at);
            sample.swap(at, other);
        }
        sample.truncate(count);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Seed;
    use althing_base::time::Duration;

    fn contact(number: u16) -> Contact {
        let [a, b] = number.to_be_bytes();
        let mut node = [0; 32];
        node[..2].copy_from_slice(&[a, b]);
        Contact { node: NodeId(node), addr: SocketAddr::from(([9, a, b, 1], 7716)) }
    }

    #[test]
    fn inventions_do_not_displace_friends() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut passive = Passive::default();
        for number in 0..FRIENDS_MAX as u16 {
            passive.part(&mut rng, contact(number), Instant::ORIGIN);
        }
        for number in 100..2_000 {
            let Contact { node, addr } = contact(number);
            passive.hear(&mut rng, Some(node), addr);
        }
        assert_eq!(passive.len(), PASSIVE_MAX);
        let friends = passive.known.iter().filter(|known| known.is_friend).count();
        assert_eq!(friends, FRIENDS_MAX);
        // Nor does anybody move one.
        let moved = SocketAddr::from(([8, 8, 8, 8], 53));
        passive.hear(&mut rng, Some(contact(1).node), moved);
        assert!(passive.known.iter().all(|known| known.addr != moved));
    }

    #[test]
    fn one_network_gets_few_places() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut passive = Passive::default();
        for number in 0..100 {
            let mut crowd = contact(number);
            crowd.addr = SocketAddr::from(([7, 7, 7, number as u8], 7716));
            passive.hear(&mut rng, Some(crowd.node), crowd.addr);
        }
        assert_eq!(passive.len(), PASSIVE_SUBNET_MAX);
    }

    #[test]
    fn who_does_not_answer_is_let_be_and_then_forgotten() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut passive = Passive::default();
        let Contact { node, addr } = contact(1);
        passive.hear(&mut rng, Some(node), addr);
        let now = Instant::ORIGIN + Duration::from_secs(1);
        let next = |passive: &Passive, now| {
            passive.candidate(now, &mut Rng::new(Seed::from_u64(2)), |_| false, &[])
        };
        assert!(next(&passive, now).is_some());
        passive.failed(now, &mut rng, addr);
        assert!(next(&passive, now).is_none());
        let later = passive.ready_at(now).unwrap();
        assert!(next(&passive, later).is_some());
        passive.failed(later, &mut rng, addr);
        assert_eq!(passive.len(), 0);
    }
}

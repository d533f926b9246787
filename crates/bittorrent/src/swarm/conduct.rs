//! What is remembered of strangers who did no good, after they have gone: connections are cheap, and
//! who is hung up on calls again.
//!
//! Who flooded us is kept out for a while, by address. Who had an upload slot and let it go to waste
//! makes its network stand behind others in the line for slots ([`claims`](super::claims)): a stranger
//! with many addresses has them in few networks. Who sent wrong data has its network's newcomers tried
//! before they are believed ([`trial`](super::trial)). All of it ends by itself, since an address may be
//! one that many share.

use super::limits::{
    FLOODERS_MAX, KEPT_OUT_FOR, LIES_REMEMBERED_FOR, LYING_NETWORKS_MAX, WASTE_REMEMBERED_FOR,
    WASTERS_MAX,
};
use super::room::Network;
use althing_base::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// Until when each is kept out.
    flooders: BTreeMap<IpAddr, Instant>,
    /// Until when each stands behind others.
    wasters: BTreeMap<Network, Instant>,
    /// Until when peers of each are doubted.
    liars: BTreeMap<Network, Instant>,
    /// Until when anybody is who has sent nothing right.
    lied_to: Option<Instant>,
}

/// Notes `key` until `until`; of too many the one that would end first is forgotten.
fn note<K: Ord + Copy>(
    table: &mut BTreeMap<K, Instant>,
    now: Instant,
    key: K,
    until: Instant,
    max: usize,
) {
    table.retain(|_, until| *until > now);
    if table.len() >= max
        && let Some(first) = table.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
    {
        table.remove(&first);
    }
    table.insert(key, until);
}

impl Conduct {
    /// An address flooded us. What many on one machine share is not held against all of them.
    pub(super) fn flooded(&mut self, now: Instant, ip: IpAddr) {
        if !ip.is_loopback() {
            note(&mut self.flooders, now, ip, now + KEPT_OUT_FOR, FLOODERS_MAX);
        }
    }

    /// Whether an address is kept out for a while.
    pub(super) fn is_kept_out(&self, now: Instant, ip: IpAddr) -> bool {
        self.flooders.get(&ip).is_some_and(|until| *until > now)
    }

    /// A peer of the network let an upload slot go to waste.
    pub(super) fn wasted_slot(&mut self, now: Instant, network: Network) {
        note(&mut self.wasters, now, network, now + WASTE_REMEMBERED_FOR, WASTERS_MAX);
    }

    /// Somebody sent wrong data.
    pub(super) fn lied(&mut self, now: Instant) {
        self.lied_to = Some(now + LIES_REMEMBERED_FOR);
    }

    /// Somebody at this address did. What many on one machine share is not held against all of them.
    pub(super) fn lied_from(&mut self, now: Instant, ip: IpAddr) {
        self.lied(now);
        if !ip.is_loopback() {
            let until = now + LIES_REMEMBERED_FOR;
            note(&mut self.liars, now, Network::of(ip), until, LYING_NETWORKS_MAX);
        }
    }

    /// Whether anybody sent wrong data of late.
    pub(super) fn was_lied_to(&self, now: Instant) -> bool {
        self.lied_to.is_some_and(|until| until > now)
    }

    /// Whether one of the network did.
    pub(super) fn tells_lies(&self, now: Instant, network: Network) -> bool {
        self.liars.get(&network).is_some_and(|until| *until > now)
    }

    /// Whether one of the network let a slot go to waste of late.
    pub(super) fn wastes_slots(&self, now: Instant, network: Network) -> bool {
        self.wasters.get(&network).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::time::Duration;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    #[test]
    fn what_is_remembered_ends_and_is_bounded() {
        let now = Instant::ORIGIN + Duration::from_secs(1);
        let mut conduct = Conduct::default();
        conduct.flooded(now, ip(1));
        conduct.flooded(now, IpAddr::from([127, 0, 0, 1]));
        assert!(conduct.is_kept_out(now, ip(1)) && !conduct.is_kept_out(now, ip(2)));
        assert!(!conduct.is_kept_out(now, IpAddr::from([127, 0, 0, 1])));
        assert!(!conduct.is_kept_out(now + KEPT_OUT_FOR, ip(1)));
        let later = now + Duration::from_secs(1);
        for n in 0..FLOODERS_MAX as u32 {
            conduct.flooded(later, ip(100 + n));
        }
        assert_eq!(conduct.flooders.len(), FLOODERS_MAX);
        assert!(!conduct.is_kept_out(later, ip(1)), "it would have ended first");
        conduct.wasted_slot(now, Network::of(ip(1)));
        assert!(conduct.wastes_slots(now, Network::of(ip(2))));
        assert!(!conduct.wastes_slots(now, Network::of(IpAddr::from([10, 9, 0, 1]))));
        assert!(!conduct.wastes_slots(now + WASTE_REMEMBERED_FOR, Network::of(ip(1))));
        assert!(!conduct.was_lied_to(now));
        conduct.lied_from(now, IpAddr::from([127, 0, 0, 1]));
        assert!(conduct.was_lied_to(now) && !conduct.was_lied_to(now + LIES_REMEMBERED_FOR));
        assert!(!conduct.tells_lies(now, Network::of(IpAddr::from([127, 0, 0, 1]))));
        conduct.lied_from(now, ip(1));
        assert!(conduct.tells_lies(now, Network::of(ip(2))));
        assert!(!conduct.tells_lies(now + LIES_REMEMBERED_FOR, Network::of(ip(2))));
        for n in 0..2 * LYING_NETWORKS_MAX as u32 {
            conduct.lied_from(later, ip(n << 16));
        }
        assert_eq!(conduct.liars.len(), LYING_NETWORKS_MAX);
    }
}

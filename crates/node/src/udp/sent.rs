//! To whom something was sent of late. A router lets in whoever was sent to a moment ago, so that they
//! come in says nothing of others.
//!
//! Filters that forget: an address that was sent to is always known as one, for as long as it matters, and
//! a few are taken for such that were not. With many addresses those become many, and in the end
//! nobody proves anything; memory stays what it is.

use super::limits::{SENT_BITS, SENT_FOR};
use althing_base::Instant;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

/// Places of an address in a filter.
const PLACES: usize = 3;

/// Bits of a hash that name a place.
const PLACE_BITS: u32 = SENT_BITS.trailing_zeros();

/// See the [module](self).
#[derive(Default)]
pub(super) struct Sent {
    /// Those of the last [`SENT_FOR`] at most, and those of the time before. Empty until there is one.
    young: Vec<u64>,
    old: Vec<u64>,
    /// When the young ones become the old.
    turns_at: Option<Instant>,
}

impl Sent {
    /// Something goes to an address.
    pub(super) fn note(&mut self, now: Instant, ip: IpAddr) {
        self.turn(now);
        if self.young.is_empty() {
            self.young = vec![0; SENT_BITS / 64];
        }
        for place in places(ip) {
            if let Some(word) = self.young.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }

    /// Whether something went there lately; of some it is said though nothing did.
    pub(super) fn lately(&mut self, now: Instant, ip: IpAddr) -> bool {
        self.turn(now);
        let has = |filter: &[u64]| {
            let is_set =
                |place: usize| filter.get(place / 64).is_some_and(|w| w >> (place % 64) & 1 == 1);
            places(ip).into_iter().all(is_set)
        };
        has(&self.young) || has(&self.old)
    }

    fn turn(&mut self, now: Instant) {
        let turns_at = *self.turns_at.get_or_insert(now + SENT_FOR);
        if now < turns_at {
            return;
        }
        self.turns_at = Some(now + SENT_FOR);
        self.old = std::mem::take(&mut self.young);
        if now.since(turns_at) >= SENT_FOR {
            self.old = Vec::new();
        }
    }
}

fn places(ip: IpAddr) -> [usize; PLACES] {
    let mut hasher = DefaultHasher::new();
    ip.to_canonical().hash(&mut hasher);
    let hash = hasher.finish();
    std::array::from_fn(|at| (hash >> (at as u32 * PLACE_BITS)) as usize % SENT_BITS)
}

const _: () = assert!(SENT_BITS.is_power_of_two() && PLACE_BITS as usize * PLACES <= 64);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn whoever_was_sent_to_is_known_and_forgotten_in_time() {
        let mut sent = Sent::default();
        let second = Duration::from_secs(1);
        let begin = Instant::ORIGIN + second;
        for n in 0..2_000 {
            let now = begin + second * n;
            sent.note(now, ip(n));
            let since = n.saturating_sub(SENT_FOR.as_secs() as u32);
            assert!((since..=n).all(|n| sent.lately(now, ip(n))), "{n}");
            assert!(sent.lately(now, format!("::ffff:{}", ip(n)).parse().expect("an address")));
        }
        let end = begin + second * 2_000;
        assert!(!sent.lately(end, ip(0)));
        assert!(!sent.lately(end + SENT_FOR * 2, ip(1_999)));
        assert!(sent.young.is_empty() && sent.old.is_empty(), "nothing is kept of what is over");
    }

    #[test]
    fn few_are_taken_for_others_and_with_a_flood_all_are() {
        let mut sent = Sent::default();
        let now = Instant::ORIGIN;
        (0..5_000).for_each(|n| sent.note(now, ip(n)));
        let wrong = (10_000..20_000).filter(|n| sent.lately(now, ip(*n))).count();
        assert!(wrong < 100, "{wrong} of 10,000");
        (0..300_000).for_each(|n| sent.note(now, ip(n)));
        assert!(sent.lately(now, ip(u32::MAX)));
        assert_eq!(sent.young.len() * 64, SENT_BITS);
    }
}

//! Who is let in: incoming connections are counted from the moment they are accepted, by address,
//! until both handshakes are through, so that strangers who connect and say nothing cost a bounded
//! number of sockets.

use super::blocklist::Blocklist;
use crate::config::Reach;
use crate::limits::{
    BANNED_MAX, HALF_OPEN_MAX, HALF_OPEN_PER_IP_MAX, KEY_EXCHANGES_PER_IP_PER_S_MAX,
    KEY_EXCHANGES_PER_S_MAX,
};
use althing_base::Instant;
use althing_bittorrent::swarm::limits::{FLOODERS_MAX, KEPT_OUT_FOR};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The door. Clones share one.
#[derive(Clone)]
pub(crate) struct Admission {
    reach: Reach,
    blocklist: Option<Arc<Blocklist>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: KeyExchanges,
    /// How many are half-open of each source.
    half_open: BTreeMap<IpAddr, usize>,
    /// All of them, the oldest first.
    waiting: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    next: u64,
    banned: BTreeSet<IpAddr>,
    /// Until when flooders are not let in.
    flooders: BTreeMap<IpAddr, Instant>,
}

/// Whose encrypted handshakes had keys computed in the second that runs. No more entries than
/// exchanges a second.
#[derive(Default)]
struct KeyExchanges {
    /// When the second began.
    since: Option<Instant>,
    all: u32,
    by_source: BTreeMap<IpAddr, u32>,
}

/// Whether keys may be computed for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyExchange {
    /// Now.
    Now,
    /// Not before: ask again then.
    At(Instant),
    /// Not at all: it has had more than anybody needs.
    Refused,
}

const SECOND: Duration = Duration::from_secs(1);

/// Who can have as many addresses as they like have them in one network: an IPv6 /64.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A place among the half-open connections, given up when dropped.
pub(crate) struct Half {
    number: u64,
    evicted: Arc<Notify>,
    state: Arc<Mutex<State>>,
}

/// The connections that there may be at a time. Clones share the count.
#[derive(Clone)]
pub(crate) struct Places {
    max: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

/// One of [`Places`], given up when dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Places { max: Arc::new(AtomicUsize::new(max)), taken: Arc::default() }
    }

    /// A place, if one is left.
    pub(crate) fn take(&self) -> Option<Place> {
        let max = self.max.load(Ordering::Relaxed);
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(self.taken.clone()))
    }

    /// Lets there be so many from now on; what is taken stays taken.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why someone was not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    OutOfReach,
    /// By the user's list.
    Filtered,
    Banned,
    /// It flooded us not long ago.
    Flooder,
    TooManyHalfOpen,
}

impl Admission {
    pub(crate) fn new(reach: Reach, blocklist: Option<Arc<Blocklist>>) -> Self {
        Admission { reach, blocklist, state: Arc::default() }
    }

    /// The user's list of addresses to keep out, if there is one.
    pub(crate) fn blocklist(&self) -> Option<&Arc<Blocklist>> {
        self.blocklist.as_ref()
    }

    /// Whether the user's list keeps `ip` out.
    pub(crate) fn filters(&self, ip: IpAddr) -> bool {
        self.blocklist.as_ref().is_some_and(|list| list.blocks(ip))
    }

    /// Whether datagrams may go to `ip` and be taken from there.
    pub(crate) fn lets_through(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.reach.allows(ip) && !self.filters(ip)
    }

    /// Lets an incoming connection from `ip` in, for its handshake.
    pub(crate) fn admit(&self, now: Instant, ip: IpAddr) -> Result<Half, Refusal> {
        let ip = ip.to_canonical();
        if !self.reach.allows(ip) {
            return Err(Refusal::OutOfReach);
        }
        if let Some(list) = &self.blocklist
            && list.blocks(ip)
        {
            list.refused();
            return Err(Refusal::Filtered);
        }
        let mut state = lock(&self.state);
        if state.banned.contains(&ip) {
            return Err(Refusal::Banned);
        }
        if state.flooders.get(&ip).is_some_and(|until| *until > now) {
            return Err(Refusal::Flooder);
        }
        let source = source(ip);
        let of_source = state.half_open.get(&source).copied().unwrap_or(0);
        if of_source >= HALF_OPEN_PER_IP_MAX {
            return Err(Refusal::TooManyHalfOpen);
        }
        if state.waiting.len() >= HALF_OPEN_MAX
            && let Some((_, (oldest, evicted))) = state.waiting.pop_first()
        {
            state.leave(oldest);
            evicted.notify_one();
        }
        *state.half_open.entry(source).or_insert(0) += 1;
        let number = state.next;
        state.next += 1;
        let evicted = Arc::<Notify>::default();
        state.waiting.insert(number, (source, Arc::clone(&evicted)));
        Ok(Half { number, evicted, state: self.state.clone() })
    }

    /// Whether `ip` may have keys computed for an encrypted handshake; if so, that counts.
    pub(crate) fn key_exchange(&self, now: Instant, ip: IpAddr) -> KeyExchange {
        let keys = &mut lock(&self.state).keys;
        let since = *keys.since.get_or_insert(now);
        if now.since(since) >= SECOND {
            *keys = KeyExchanges { since: Some(now), ..KeyExchanges::default() };
        } else if keys.all >= KEY_EXCHANGES_PER_S_MAX {
            return KeyExchange::At(since + SECOND);
        }
        let of_source = keys.by_source.entry(source(ip)).or_insert(0);
        if *of_source >= KEY_EXCHANGES_PER_IP_PER_S_MAX {
            return KeyExchange::Refused;
        }
        *of_source += 1;
        keys.all += 1;
        KeyExchange::Now
    }

    /// Whether `ip` may be connected to.
    pub(crate) fn may_connect(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let may = self.reach.allows(ip) && !self.filters(ip);
        may && !lock(&self.state).banned.contains(&ip)
    }

    /// Keeps `ip` out from now on. Says whether it was not yet. When the list is full, the lowest
    /// address is let in again: a wrong ban list must not grow without end, and which one goes is
    /// of no weight.
    pub(crate) fn ban(&self, ip: IpAddr) -> bool {
        let mut state = lock(&self.state);
        let new = state.banned.insert(ip.to_canonical());
        if state.banned.len() > BANNED_MAX {
            state.banned.pop_first();
        }
        new
    }

    /// Lets nobody in from `ip` for [`KEPT_OUT_FOR`]; but what many on one machine share is not held
    /// against all of them. Of too many the one whose time is up first is let in again.
    pub(crate) fn keep_out(&self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return;
        }
        let flooders = &mut lock(&self.state).flooders;
        flooders.retain(|_, until| *until > now);
        if flooders.len() >= FLOODERS_MAX
            && let Some(first) = flooders.iter().min_by_key(|(_, until)| **until).map(|(ip, _)| *ip)
        {
            flooders.remove(&first);
        }
        flooders.insert(ip, now + KEPT_OUT_FOR);
    }

    /// How many addresses are kept out.
    pub(crate) fn banned(&self) -> usize {
        lock(&self.state).banned.len()
    }

    /// How many connections are half-open.
    pub(crate) fn half_open(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

impl Half {
    /// Waits until the place has gone to a newer connection, because all were taken.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl State {
    /// One of `source` has left.
    fn leave(&mut self, source: IpAddr) {
        if let Some(count) = self.half_open.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.half_open.remove(&source);
            }
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some((source, _)) = state.waiting.remove(&self.number) {
            state.leave(source);
        }
    }
}

/// A poisoned lock would mean a panic between two plain assignments.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + last).to_be_bytes())
    }

    #[test]
    fn one_address_has_so_many_places_and_gets_them_back() {
        let door = Admission::new(Reach::Any, None);
        let mut places: Vec<Half> = (0..HALF_OPEN_PER_IP_MAX)
            .map(|_| door.admit(Instant::ORIGIN, ip(1)).expect("room"))
            .collect();
        assert_eq!(door.admit(Instant::ORIGIN, ip(1)).err(), Some(Refusal::TooManyHalfOpen));
        let mapped = "::ffff:10.0.0.1".parse().expect("an address");
        assert_eq!(door.admit(Instant::ORIGIN, mapped).err(), Some(Refusal::TooManyHalfOpen));
        assert!(door.admit(Instant::ORIGIN, ip(2)).is_ok());
        places.pop();
        assert!(door.admit(Instant::ORIGIN, ip(1)).is_ok());
        drop(places);
        assert_eq!(door.half_open(), 0);
    }

    /// Whether a place has gone to somebody else.
    fn is_evicted(place: &Half) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(place.evicted()).as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn all_addresses_together_have_so_many_and_the_oldest_gives_way() {
        let door = Admission::new(Reach::Any, None);
        let mut places: Vec<_> = (0..HALF_OPEN_MAX as u32)
            .map(|at| door.admit(Instant::ORIGIN, ip(at)).expect("room"))
            .collect();
        let through = places.remove(0);
        drop(through);
        let _last = door.admit(Instant::ORIGIN, ip(99_998)).expect("room");
        let _newest = door.admit(Instant::ORIGIN, ip(99_999)).expect("the oldest gives way");
        assert!(is_evicted(&places[0]) && !is_evicted(&places[1]));
        assert_eq!(door.half_open(), HALF_OPEN_MAX);
        // What has given way is not counted twice.
        drop(places);
        assert_eq!(door.half_open(), 2);
        assert_eq!(lock(&door.state).half_open.len(), 2);
    }

    #[test]
    fn keys_are_computed_for_so_many_a_second() {
        let door = Admission::new(Reach::Any, None);
        let begin = Instant::ORIGIN + SECOND;
        for _ in 0..KEY_EXCHANGES_PER_IP_PER_S_MAX {
            assert_eq!(door.key_exchange(begin, ip(1)), KeyExchange::Now);
        }
        assert_eq!(door.key_exchange(begin, ip(1)), KeyExchange::Refused);
        // Of IPv6, a network of 64 bits counts as one address.
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        for last in 0..KEY_EXCHANGES_PER_IP_PER_S_MAX as u16 {
            assert_eq!(door.key_exchange(begin, v6(last)), KeyExchange::Now);
        }
        assert_eq!(door.key_exchange(begin, v6(u16::MAX)), KeyExchange::Refused);
        for at in 2 * KEY_EXCHANGES_PER_IP_PER_S_MAX..KEY_EXCHANGES_PER_S_MAX {
            assert_eq!(door.key_exchange(begin, ip(100 + at)), KeyExchange::Now);
        }
        assert_eq!(door.key_exchange(begin, ip(9999)), KeyExchange::At(begin + SECOND));
        assert_eq!(door.key_exchange(begin + SECOND, ip(9999)), KeyExchange::Now);
        assert_eq!(door.key_exchange(begin + SECOND, ip(1)), KeyExchange::Now);
    }

    #[test]
    fn places_are_given_back() {
        let places = Places::new(2);
        let first = places.take().expect("room");
        let _second = places.take().expect("room");
        assert!(places.clone().take().is_none());
        drop(first);
        assert_eq!(places.taken(), 1);
        assert!(places.take().is_some());
    }

    #[test]
    fn who_flooded_is_kept_out_for_a_while() {
        let door = Admission::new(Reach::Any, None);
        let begin = Instant::ORIGIN;
        door.keep_out(begin, ip(1));
        door.keep_out(begin, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(door.admit(begin, ip(1)).err(), Some(Refusal::Flooder));
        assert!(door.admit(begin, ip(2)).is_ok());
        assert!(door.admit(begin, IpAddr::from([127, 0, 0, 1])).is_ok());
        assert!(door.admit(begin + KEPT_OUT_FOR, ip(1)).is_ok());
        for at in 0..2 * FLOODERS_MAX as u32 {
            door.keep_out(begin, ip(at));
        }
        assert_eq!(lock(&door.state).flooders.len(), FLOODERS_MAX);
    }

    #[test]
    fn the_banned_and_the_far_stay_out() {
        let door = Admission::new(Reach::Any, None);
        assert!(door.ban(ip(1)) && !door.ban(ip(1)));
        assert_eq!(door.admit(Instant::ORIGIN, ip(1)).err(), Some(Refusal::Banned));
        assert!(!door.may_connect(ip(1)) && door.may_connect(ip(2)));
        for last in 0..=BANNED_MAX as u32 {
            door.ban(ip(last));
        }
        assert_eq!(door.banned(), BANNED_MAX);
        let near = Admission::new(Reach::Loopback, None);
        assert_eq!(near.admit(Instant::ORIGIN, ip(1)).err(), Some(Refusal::OutOfReach));
        assert!(near.admit(Instant::ORIGIN, "127.0.0.1".parse().expect("an address")).is_ok());
    }
}

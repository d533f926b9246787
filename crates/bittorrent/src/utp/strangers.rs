//! Packets of no connection: openings, which are answered without remembering them, and others, which
//! are told so now and then.
//!
//! An opening packet costs no memory. Our first sequence number is a keyed hash of who asked and what
//! with; who then sends something that acknowledges it has received our answer, so the address is its
//! own, and only then is there a connection. An answer is as large as the question, so nothing is
//! gained by sending us forged ones.

use super::limits::{
    COOKIE_SECONDS, EARLY_PACKETS, FIRST_PACKETS, RESETS_PER_S, RESETS_PER_SOURCE_PER_S,
    SOURCE_PLACES, SYN_ANSWERS_PER_S, SYN_ANSWERS_PER_SOURCE_PER_S, TOMBSTONE, TOMBSTONES_MAX,
};
use super::packet::{Header, Kind};
use super::seq::Seq;
use althing_base::hash::Sha256;
use althing_base::{Instant, Seed, TokenBucket};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Who a packet is from and for: the other side's address and what its packets are marked with.
pub(super) type Key = (SocketAddr, u16);

/// An address as far as it costs something to have: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Source(u64);

impl Source {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source(u64::from(u32::from(ip))),
            IpAddr::V6(ip) => Source((u128::from(ip) >> 64) as u64 | 1 << 63),
        }
    }
}

/// Counts by source, in as many places as there are; sources that meet in one share it.
#[derive(Debug)]
struct Counts {
    places: Box<[u16; SOURCE_PLACES]>,
    since: Instant,
    limit: u16,
}

impl Counts {
    fn new(limit: u16) -> Self {
        Counts { places: Box::new([0; SOURCE_PLACES]), since: Instant::ORIGIN, limit }
    }

    fn take(&mut self, now: Instant, place: usize) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            self.places.fill(0);
            self.since = now;
        }
        match self.places.get_mut(place % SOURCE_PLACES) {
            Some(count) if *count < self.limit => {
                *count += 1;
                true
            }
            _ => false,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Strangers {
    seed: Seed,
    answers: Option<(TokenBucket, TokenBucket)>,
    answered: Counts,
    reset: Counts,
    /// Connections that were broken off not long ago.
    tombs: HashMap<Key, Option<Seq>>,
    tombs_by_age: VecDeque<(Instant, Key)>,
}

impl Strangers {
    pub(super) fn new(seed: Seed) -> Self {
        Strangers {
            seed,
            answers: None,
            answered: Counts::new(SYN_ANSWERS_PER_SOURCE_PER_S),
            reset: Counts::new(RESETS_PER_SOURCE_PER_S),
            tombs: HashMap::new(),
            tombs_by_age: VecDeque::new(),
        }
    }

    fn hash(&self, what: &str, epoch: u64, (from, id): Key, seq: Seq) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(&self.seed.0);
        hasher.update(what.as_bytes());
        hasher.update(&epoch.to_be_bytes());
        match from.ip() {
            IpAddr::V4(ip) => hasher.update(&ip.octets()),
            IpAddr::V6(ip) => hasher.update(&ip.octets()),
        }
        hasher.update(&from.port().to_be_bytes());
        hasher.update(&id.to_be_bytes());
        hasher.update(&seq.0.to_be_bytes());
        let digest = hasher.finish();
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Where a source is counted; which sources meet there, others cannot know.
    fn place(&self, from: SocketAddr) -> usize {
        let Source(source) = Source::of(from.ip());
        let at = SocketAddr::from((std::net::Ipv6Addr::from(u128::from(source)), 0));
        self.hash("place", 0, (at, 0), Seq(0)) as usize % SOURCE_PLACES
    }

    fn epoch(now: Instant) -> u64 {
        now.since(Instant::ORIGIN).as_secs() / COOKIE_SECONDS
    }

    /// The number of our first packet to who opened a connection with these.
    fn cookie(&self, epoch: u64, key: Key, theirs: Seq) -> Seq {
        Seq(self.hash("cookie", epoch, key, theirs) as u16)
    }

    fn buckets(&mut self, now: Instant) -> &mut (TokenBucket, TokenBucket) {
        self.answers.get_or_insert_with(|| {
            (
                TokenBucket::new(now, SYN_ANSWERS_PER_S, SYN_ANSWERS_PER_S),
                TokenBucket::new(now, RESETS_PER_S, RESETS_PER_S),
            )
        })
    }

    /// The number with which to answer an opening packet, if it is to be answered. `key` is what the
    /// connection would be known by.
    pub(super) fn answer(&mut self, now: Instant, key: Key, theirs: Seq) -> Option<Seq> {
        let place = self.place(key.0);
        let may = self.answered.take(now, place)
            && self.buckets(now).0.take(now, 1)
            && self.unbury(key, theirs);
        may.then(|| self.cookie(Strangers::epoch(now), key, theirs))
    }

    /// Whether a packet of no connection is the first of one whose opening was answered; if so, the
    /// number of our next packet and that of its opening.
    pub(super) fn admit(&mut self, now: Instant, key: Key, header: &Header) -> Option<(Seq, Seq)> {
        self.forget(now);
        if header.kind != Kind::Data || self.tombs.contains_key(&key) {
            return None;
        }
        self.opened(now, key, header, 1, FIRST_PACKETS)
    }

    /// The numbers of the connection that a packet belongs to, if the opening was answered and came so
    /// many packets before.
    fn opened(
        &self,
        now: Instant,
        key: Key,
        header: &Header,
        least: u16,
        most: u16,
    ) -> Option<(Seq, Seq)> {
        let epoch = Strangers::epoch(now);
        let ours = header.ack.plus(1);
        for back in least..=most {
            let theirs = header.seq.minus(back);
            for epoch in [epoch, epoch.saturating_sub(1)] {
                if self.cookie(epoch, key, theirs) == ours {
                    return Some((ours, theirs));
                }
            }
        }
        None
    }

    /// Whether to tell the sender of a packet that its connection is not known. One that has come
    /// before those that open it is not: they may follow.
    pub(super) fn may_reset(&mut self, now: Instant, key: Key, header: &Header) -> bool {
        let place = self.place(key.0);
        let may = self.reset.take(now, place) && self.buckets(now).1.take(now, 1);
        may && self.opened(now, key, header, FIRST_PACKETS + 1, EARLY_PACKETS).is_none()
    }

    /// A connection has ended that was opened by a packet of this number, or that we opened: what still
    /// comes of it does not open it again.
    pub(super) fn bury(&mut self, now: Instant, key: Key, theirs: Option<Seq>) {
        self.forget(now);
        if self.tombs.insert(key, theirs).is_none() {
            self.tombs_by_age.push_back((now, key));
        }
        if self.tombs_by_age.len() > TOMBSTONES_MAX
            && let Some((_, oldest)) = self.tombs_by_age.pop_front()
        {
            self.tombs.remove(&oldest);
        }
    }

    /// An opening packet came. Under the name of a connection that has ended it opens another one, unless
    /// it is the one that opened that, and was long on its way.
    fn unbury(&mut self, key: Key, theirs: Seq) -> bool {
        match self.tombs.get(&key) {
            Some(Some(buried)) if *buried == theirs => return false,
            Some(_) => {
                self.tombs.remove(&key);
                self.tombs_by_age.retain(|(_, other)| *other != key);
            }
            None => {}
        }
        true
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.tombs_by_age.front()
            && *at + TOMBSTONE <= now
        {
            self.tombs.remove(key);
            self.tombs_by_age.pop_front();
        }
    }
}

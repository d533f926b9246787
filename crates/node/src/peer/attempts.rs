//! In which order a peer is tried: encrypted first, since a peer that speaks plainly hangs up on
//! that at once and one that does not would tell everybody what it is; and of a hybrid torrent by
//! the v1 name first (BEP 52).

use crate::config::Encryption;
use crate::limits::REMEMBERED_PEERS_MAX;
use althing_base::Sha1Digest;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// One connection to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    /// The torrent's name in it.
    pub(crate) name: Sha1Digest,
    pub(crate) encrypted: bool,
}

/// How one came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It did not answer an encrypted handshake with one.
    Deaf,
    /// It hung up later: perhaps it has the torrent under its other name.
    HungUp,
    /// Nothing that another attempt would change.
    Final,
}

/// The connections that are tried one after the other.
#[derive(Debug)]
pub(crate) struct Attempts {
    names: Vec<Sha1Digest>,
    at: usize,
    encrypted: bool,
    /// The other way has not been tried and may be.
    other_way: bool,
}

impl Attempts {
    /// By these names. `speaks_plainly` says that the peer was deaf to encryption last time.
    pub(crate) fn new(
        names: impl IntoIterator<Item = Sha1Digest>,
        encryption: Encryption,
        speaks_plainly: bool,
    ) -> Self {
        let encrypted = match encryption {
            Encryption::Plain => false,
            Encryption::Preferred => !speaks_plainly,
            Encryption::Required => true,
        };
        let other_way = encryption == Encryption::Preferred;
        Attempts { names: names.into_iter().collect(), at: 0, encrypted, other_way }
    }

    /// The first attempt, or the one after `failure` of the last.
    pub(crate) fn next(&mut self, failure: Option<Failure>) -> Option<Attempt> {
        match failure {
            None => {}
            Some(Failure::Final) => return None,
            Some(Failure::Deaf) if self.encrypted => self.turn(self.at)?,
            Some(_) if self.at + 1 < self.names.len() => self.at += 1,
            Some(_) => self.turn(0)?,
        }
        let name = *self.names.get(self.at)?;
        Some(Attempt { name, encrypted: self.encrypted })
    }

    /// Goes on the other way, from the name at `at`, if that has not been tried.
    fn turn(&mut self, at: usize) -> Option<()> {
        if !std::mem::take(&mut self.other_way) {
            return None;
        }
        (self.at, self.encrypted) = (at, !self.encrypted);
        Some(())
    }
}

/// Addresses of peers that were not reached as others are: who was deaf to encryption and spoke plainly,
/// or was there over uTP only. When there are too many, the one that has been known longest goes.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    known: BTreeSet<SocketAddr>,
    order: VecDeque<SocketAddr>,
}

impl Remembered {
    pub(crate) fn contains(&self, addr: SocketAddr) -> bool {
        self.known.contains(&addr)
    }

    /// A connection to `addr` stands: what it took is tried first next time.
    pub(crate) fn note(&mut self, addr: SocketAddr, otherwise: bool) {
        if !otherwise {
            if self.known.remove(&addr) {
                self.order.retain(|other| *other != addr);
            }
        } else if self.known.insert(addr) {
            self.order.push_back(addr);
            if self.order.len() > REMEMBERED_PEERS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Sha1Digest = Sha1Digest([1; 20]);
    const V2: Sha1Digest = Sha1Digest([2; 20]);

    /// What is tried, as the failures come: `e1` is encrypted by the first name.
    fn check(encryption: Encryption, plainly: bool, failures: &[Failure], expected: &str) {
        let mut attempts = Attempts::new([V1, V2], encryption, plainly);
        let mut tried = Vec::new();
        let mut failure = None;
        let mut failures = failures.iter();
        while let Some(attempt) = attempts.next(failure) {
            let way = if attempt.encrypted { 'e' } else { 'p' };
            tried.push(format!("{way}{}", attempt.name.0[0]));
            let Some(next) = failures.next() else { break };
            failure = Some(*next);
        }
        assert_eq!(tried.join(" "), expected, "{encryption:?} {plainly}");
    }

    #[test]
    fn each_setting_tries_what_it_allows() {
        use Encryption::{Plain, Preferred, Required};
        use Failure::{Deaf, Final, HungUp};
        let hung_up = [HungUp; 5];
        check(Plain, false, &hung_up, "p1 p2");
        check(Plain, true, &[], "p1");
        check(Required, true, &hung_up, "e1 e2");
        check(Required, false, &[Deaf], "e1");
        check(Preferred, false, &[], "e1");
        check(Preferred, false, &hung_up, "e1 e2 p1 p2");
        check(Preferred, false, &[Deaf, HungUp, HungUp, HungUp], "e1 p1 p2");
        check(Preferred, false, &[HungUp, Deaf, HungUp], "e1 e2 p2");
        check(Preferred, false, &[Final], "e1");
        check(Preferred, true, &[HungUp, HungUp, Deaf], "p1 p2 e1");
    }

    #[test]
    fn what_worked_is_remembered_within_bounds() {
        let addr = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 6881));
        let mut plain = Remembered::default();
        for n in 0..=REMEMBERED_PEERS_MAX {
            plain.note(addr(n), true);
            plain.note(addr(n), true);
        }
        assert!(!plain.contains(addr(0)) && plain.contains(addr(1)));
        assert_eq!(plain.order.len(), REMEMBERED_PEERS_MAX);
        plain.note(addr(1), false);
        assert!(!plain.contains(addr(1)));
        assert_eq!(plain.order.len(), plain.known.len());
    }
}

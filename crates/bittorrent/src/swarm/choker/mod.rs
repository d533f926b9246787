//! Whom to give to, and how much: [`Choker`], and the policies there are.
//!
//! Every ten seconds a policy sees all peers that want something of us, and says who is unchoked and
//! with what [`Weight`]. While we fetch, that is tit for tat ([`ChokerKind::TitForTat`], BEP 3) or a
//! share in proportion to what each gave ([`ChokerKind::Proportional`]); once we have everything,
//! one of [`SeedingKind`].

mod proportional;
mod seeding;
mod tit_for_tat;

use super::io::ConnId;
use super::limits::OPTIMISTIC_ROUNDS;
use althing_base::{Rng, Seed};
use std::collections::BTreeMap;

/// What a choker knows of a peer.
#[derive(Clone, Copy, Debug)]
pub struct ChokeCandidate {
    /// Which peer.
    pub conn: ConnId,
    /// Bytes a second it gave us over the last 20 s.
    pub gives: u64,
    /// Bytes a second it took from us over the last 20 s.
    pub takes: u64,
    /// Bytes it gave us, as long as we remember it.
    pub gave: u64,
    /// Bytes it took from us, as long as we remember it.
    pub took: u64,
    /// It could have given us something and has taken much more than it gave: nothing is given to
    /// it on trust.
    pub indebted: bool,
    /// It owes us blocks and sends none (BEP 3: anti-snubbing).
    pub snubs_us: bool,
    /// It is unchoked now.
    pub unchoked: bool,
    /// It connected within the last half minute: three times as likely to be tried (BEP 3).
    pub is_new: bool,
    /// Rare pieces that we have and it lacks.
    pub lacks_rare: u32,
    /// Where it stands with a seed.
    pub standing: Standing,
}

/// What a seed knows of a peer, in the order in which they are served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It passes on what it gets, or gave us something while we fetched.
    Passes,
    /// Nothing is known of it.
    Unknown,
    /// As far as is known it keeps what it gets, or it owes us something.
    Keeps,
}

impl ChokeCandidate {
    /// A peer of which nothing is known yet.
    pub fn new(conn: ConnId) -> Self {
        ChokeCandidate {
            conn,
            gives: 0,
            takes: 0,
            gave: 0,
            took: 0,
            indebted: false,
            snubs_us: false,
            unchoked: false,
            is_new: false,
            lacks_rare: 0,
            standing: Standing::Unknown,
        }
    }
}

/// A peer's part of what we send, in relation to the others' parts; at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Weight(u32);

impl Weight {
    /// As much as any other.
    pub const EQUAL: Weight = Weight(1000);

    /// A weight; 0 counts as 1.
    pub fn new(weight: u32) -> Weight {
        Weight(weight.max(1))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Who is unchoked; everybody else is choked.
pub type Unchoked = BTreeMap<ConnId, Weight>;

/// Decides every ten seconds which of the interested peers are unchoked.
pub trait Choker: Send {
    /// The connections to unchoke, of the `candidates` (all interested in us). With equal weights
    /// there are at most `slots`; a policy that shares out may name three times as many.
    fn round(&mut self, candidates: &[ChokeCandidate], slots: usize) -> Unchoked;
}

/// To whom a swarm gives while it fetches.
#[derive(Clone, Copy, Debug, Default)]
pub enum ChokerKind {
    /// To those that give most, and to one more by chance (BEP 3).
    #[default]
    TitForTat,
    /// To everyone that gives, in proportion to what it gave (Levin et al. 2008, "BitTorrent is an
    /// Auction").
    Proportional,
    /// As somebody else has it: for experiments.
    Other(fn(Seed) -> Box<dyn Choker>),
}

/// To whom a swarm gives once it has everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SeedingKind {
    /// First to those who lack what is rare and pass on what they get; if nothing is rare, by turns.
    #[default]
    Rare,
    /// To those who take fastest (BEP 3), and to one more by chance.
    Fastest,
    /// To everyone by turns.
    RoundRobin,
    /// First to those who gave us something while we fetched, by turns; then to the others.
    Grateful,
}

impl ChokerKind {
    pub(super) fn build(self, seed: Seed) -> Box<dyn Choker> {
        match self {
            ChokerKind::TitForTat => Box::new(tit_for_tat::TitForTat::new(seed)),
            ChokerKind::Proportional => Box::new(proportional::Proportional::new(seed)),
            ChokerKind::Other(make) => make(seed),
        }
    }
}

impl SeedingKind {
    pub(super) fn build(self, seed: Seed) -> Box<dyn Choker> {
        match self {
            SeedingKind::Rare => Box::new(seeding::Rare::default()),
            SeedingKind::Fastest => Box::new(tit_for_tat::Fastest::new(seed)),
            SeedingKind::RoundRobin => Box::new(seeding::RoundRobin::default()),
            SeedingKind::Grateful => Box::new(seeding::Grateful::default()),
        }
    }
}

/// The optimistic unchoke: goes round by chance every third time, which is how newcomers get their
/// first piece and how better partners are found (BEP 3).
#[derive(Debug)]
struct Optimist {
    rng: Rng,
    rounds: u32,
    chosen: Vec<ConnId>,
}

impl Optimist {
    fn new(seed: Seed) -> Self {
        Optimist { rng: Rng::new(seed), rounds: 0, chosen: Vec::new() }
    }

    /// Up to `count` of the candidates that are not `taken`, none of them in debt; newcomers are
    /// three times as likely.
    fn choose(
        &mut self,
        candidates: &[ChokeCandidate],
        count: usize,
        taken: impl Fn(ConnId) -> bool,
    ) -> &[ConnId] {
        let due = self.rounds.is_multiple_of(OPTIMISTIC_ROUNDS);
        self.rounds = self.rounds.wrapping_add(1);
        let waits = |peer: &&ChokeCandidate| !taken(peer.conn) && !peer.indebted && !peer.snubs_us;
        let still_waits = |conn: &ConnId| candidates.iter().filter(waits).any(|p| p.conn == *conn);
        if !due {
            self.chosen.retain(still_waits);
        }
        let last = if due { std::mem::take(&mut self.chosen) } else { Vec::new() };
        let mut lots = Vec::new();
        for peer in candidates.iter().filter(waits) {
            if !self.chosen.contains(&peer.conn) {
                lots.extend(std::iter::repeat_n(peer.conn, if peer.is_new { 3 } else { 1 }));
            }
        }
        // Someone else than last time, if there is someone else.
        if lots.iter().any(|conn| !last.contains(conn)) {
            lots.retain(|conn| !last.contains(conn));
        }
        while self.chosen.len() < count
            && let Some(conn) = self.rng.choose(&lots).copied()
        {
            self.chosen.push(conn);
            lots.retain(|lot| *lot != conn);
        }
        &self.chosen
    }

    /// Slots that nobody has earned are given away rather than left empty, but not to debtors.
    fn fill(&mut self, unchoked: &mut Unchoked, candidates: &[ChokeCandidate], slots: usize) {
        let free = |peer: &&ChokeCandidate| !peer.indebted && !unchoked.contains_key(&peer.conn);
        let mut spare: Vec<&ChokeCandidate> = candidates.iter().filter(free).collect();
        self.rng.shuffle(&mut spare);
        spare.sort_by_key(|peer| !peer.unchoked);
        let room = slots.saturating_sub(unchoked.len());
        unchoked.extend(spare.into_iter().take(room).map(|peer| (peer.conn, Weight::EQUAL)));
    }
}

#[cfg(test)]
fn peer(conn: u64, gives: u64, takes: u64) -> ChokeCandidate {
    ChokeCandidate { gives, takes, ..ChokeCandidate::new(ConnId(conn)) }
}

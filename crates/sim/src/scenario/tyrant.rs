//! A strategic client as Piatek et al. 2007 describe BitTyrant: it guesses for each peer how much has
//! to be given to be given to, gives that and no more, and serves those first who return most for it.

use althing_base::Seed;
use althing_bittorrent::swarm::{ChokeCandidate, Choker, ConnId, Unchoked, Weight};
use std::collections::BTreeMap;

/// What it takes at first to be given to, in bytes a second: a slot of a usual line.
const FIRST_GUESS: f64 = 128.0 * 1024.0;

/// A peer that does not return anything is offered so much more in the next round.
const RAISE: f64 = 1.2;

/// A peer that has returned for three rounds is offered so much less.
const LOWER: f64 = 0.9;

/// What is sent in all, in bytes a second: a home's line.
const CAPACITY: f64 = 1024.0 * 1024.0;

#[derive(Clone, Copy, Debug)]
struct Guess {
    /// What has to be given.
    costs: f64,
    /// What comes back.
    returns: f64,
    /// Rounds in a row in which it gave.
    gave_rounds: u32,
}

#[derive(Debug, Default)]
struct Tyrant {
    guesses: BTreeMap<ConnId, Guess>,
}

/// Makes one; it leaves nothing to chance.
pub(super) fn make(_: Seed) -> Box<dyn Choker> {
    Box::new(Tyrant::default())
}

impl Choker for Tyrant {
    fn round(&mut self, candidates: &[ChokeCandidate], _: usize) -> Unchoked {
        for peer in candidates {
            let first = Guess { costs: FIRST_GUESS, returns: FIRST_GUESS, gave_rounds: 0 };
            let guess = self.guesses.entry(peer.conn).or_insert(first);
            if peer.gives > 0 {
                guess.returns = peer.gives as f64;
                guess.gave_rounds += 1;
                if guess.gave_rounds >= 3 {
                    guess.costs *= LOWER;
                }
            } else {
                guess.gave_rounds = 0;
                if peer.unchoked {
                    guess.costs *= RAISE;
                }
            }
        }
        self.guesses.retain(|conn, _| candidates.iter().any(|peer| peer.conn == *conn));
        let mut ranked: Vec<(&ConnId, &Guess)> = self.guesses.iter().collect();
        let worth = |guess: &Guess| guess.returns / guess.costs;
        ranked.sort_by(|(a, x), (b, y)| worth(y).total_cmp(&worth(x)).then(a.cmp(b)));
        let mut left = CAPACITY;
        let mut unchoked = Unchoked::new();
        for (conn, guess) in ranked {
            if left < guess.costs {
                break;
            }
            left -= guess.costs;
            unchoked.insert(*conn, Weight::new((guess.costs / 1024.0) as u32));
        }
        unchoked
    }
}

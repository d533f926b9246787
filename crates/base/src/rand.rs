//! Randomness from a seed. A machine gets a [`Seed`] when it is made and forks it for each child,
//! so that one number reproduces a run of hundreds of machines whatever order they are made in.
//!
//! The generator is ChaCha8: what it draws ends up in ids that strangers must not guess.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};
use std::fmt;

/// 32 bytes from which all of a machine's choices follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for simulations and tests, where a run is named by a small number.
    pub fn from_u64(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Seed(seed)
    }

    /// The seed of a child called `label` and `number`; different names give unrelated seeds.
    pub fn fork(&self, label: &str, number: u64) -> Seed {
        let mut hasher = crate::hash::Sha256::new();
        hasher.update(&self.0);
        hasher.update(&(label.len() as u64).to_le_bytes());
        hasher.update(label.as_bytes());
        hasher.update(&number.to_le_bytes());
        Seed(hasher.finish().0)
    }
}

impl fmt::Debug for Seed {
    /// A seed foretells every id that is drawn from it, so it is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A deterministic generator.
///
/// The generator proper is made with the first draw: it is ten times as large as the seed, and most
/// of the machines of ten thousand torrents that rest never draw.
#[derive(Clone)]
pub struct Rng {
    seed: Seed,
    drawn: Option<Box<ChaCha8Rng>>,
}

impl Rng {
    /// A generator whose draws follow from `seed` alone.
    pub fn new(seed: Seed) -> Self {
        Rng { seed, drawn: None }
    }

    fn source(&mut self) -> &mut ChaCha8Rng {
        self.drawn.get_or_insert_with(|| Box::new(ChaCha8Rng::from_seed(self.seed.0)))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.source().next_u64()
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        self.source().next_u32()
    }

    /// Fills `bytes` with uniform bits.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.source().fill_bytes(bytes);
    }

    /// A uniform number in `0..bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiplication with rejection: no modulo bias.
        if bound == 0 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A uniform index into a sequence of `len` elements; 0 if it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A uniform number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniform element, if there is one.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.index(items.len());
        items.get(index)
    }

    /// Puts the elements in a uniformly random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_draws_and_forks_differ() {
        let seed = Seed::from_u64(7);
        let draw = |seed| Rng::new(seed).next_u64();
        assert_eq!(draw(seed), draw(seed));
        assert_ne!(draw(seed), draw(seed.fork("a", 0)));
        assert_ne!(draw(seed.fork("a", 0)), draw(seed.fork("a", 1)));
        assert_ne!(draw(seed.fork("a", 0)), draw(seed.fork("b", 0)));
    }

    #[test]
    fn below_is_in_range_and_reaches_every_value() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let mut seen = [false; 6];
        for _ in 0..1000 {
            seen[rng.index(6)] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }
}

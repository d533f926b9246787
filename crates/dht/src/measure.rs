//! What is measured of the network: how long answers take, and how many nodes there are.

use crate::limits::{PATIENCE_FIRST_MS, PATIENCE_MS};
use std::time::Duration;

/// How long answers take: a histogram that forgets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// Answers within [`BOUNDS_MS`]; the last one has the longer ones, too.
    counts: [u16; BOUNDS_MS.len()],
    total: u16,
}

/// Upper bounds of the histogram's steps, each a third more than the last, in milliseconds.
const BOUNDS_MS: [u16; 18] =
    [15, 20, 27, 36, 48, 64, 85, 113, 150, 200, 267, 356, 475, 633, 844, 1_125, 1_500, 4_000];

/// Past so many answers all counts are halved.
const REMEMBERED: u16 = 400;

impl Times {
    /// An answer took `time`.
    pub(crate) fn add(&mut self, time: Duration) {
        let at = BOUNDS_MS.iter().position(|bound| time.as_millis() <= u128::from(*bound));
        self.counts[at.unwrap_or(BOUNDS_MS.len() - 1)] += 1;
        self.total += 1;
        if self.total >= REMEMBERED {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// How long to wait for an answer before another node is asked besides: as long as nine of ten take.
    pub(crate) fn patience(&self) -> Duration {
        let (least, most) = PATIENCE_MS;
        if self.total < 10 {
            return Duration::from_millis(PATIENCE_FIRST_MS);
        }
        let mut left = self.total / 10;
        let at = self.counts.iter().rposition(|count| {
            let beyond = *count > left;
            left = left.saturating_sub(*count);
            beyond
        });
        let ms = at.map_or(most, |at| u64::from(BOUNDS_MS[at]));
        Duration::from_millis(ms.clamp(least, most))
    }
}

/// How many nodes there are, from how near to random names the nearest ones were.
///
/// The median of the last few is taken: who crowds around some names moves it little.
#[derive(Clone, Debug, Default)]
pub(crate) struct Size {
    samples: Vec<f32>,
    next: u8,
}

/// Lookups that are remembered.
const SAMPLES: usize = 15;

impl Size {
    /// The nodes nearest to a name were so far from it (parts of the space), nearest first.
    pub(crate) fn add(&mut self, distances: &[f64]) {
        let Some(last) = distances.last().filter(|last| **last > 0.0) else { return };
        // Of n nodes within a distance, n - 1 over that distance is the unbiased density.
        let estimate = (distances.len() as f64 - 1.0).max(1.0) / last;
        if self.samples.len() < SAMPLES {
            self.samples.push(estimate as f32);
        } else {
            self.samples[usize::from(self.next) % SAMPLES] = estimate as f32;
            self.next = (self.next + 1) % SAMPLES as u8;
        }
    }

    /// The estimate, from at least three lookups.
    pub(crate) fn estimate(&self) -> Option<f64> {
        if self.samples.len() < 3 {
            return None;
        }
        let mut sorted = self.samples.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        Some(f64::from(sorted[sorted.len() / 2]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::{Rng, Seed};

    #[test]
    fn patience_is_what_nine_of_ten_take() {
        let mut times = Times::default();
        assert_eq!(times.patience(), Duration::from_millis(PATIENCE_FIRST_MS));
        for n in 0..10_000u64 {
            times.add(Duration::from_millis(if n % 20 == 0 { 3_000 } else { 100 }));
        }
        assert_eq!(times.patience(), Duration::from_millis(113));
        for _ in 0..1_000 {
            times.add(Duration::from_millis(1));
        }
        assert_eq!(times.patience(), Duration::from_millis(PATIENCE_MS.0));
        for _ in 0..10_000 {
            times.add(Duration::MAX);
        }
        assert_eq!(times.patience(), Duration::from_millis(PATIENCE_MS.1));
    }

    #[test]
    fn the_size_is_about_right_and_one_crowd_does_not_move_it() {
        let mut rng = Rng::new(Seed::from_u64(3));
        let mut size = Size::default();
        for sample in 0..15 {
            let mut nodes: Vec<f64> = (0..10_000).map(|_| rng.unit()).collect();
            nodes.sort_unstable_by(f64::total_cmp);
            if sample % 4 == 0 {
                nodes = (1..9).map(|n| f64::from(n) * 1e-30).collect();
            }
            size.add(&nodes[..8]);
        }
        let estimate = size.estimate().expect("15 lookups");
        assert!((5_000.0..25_000.0).contains(&estimate), "{estimate}");
    }
}

//! How long nodes stay: Weibull distributions, as they were fitted to what was measured (Stutzbach and Rejaie
//! 2006, "Understanding Churn in Peer-to-Peer Networks", IMC '06).

use althing_base::Rng;
use althing_base::time::Duration;

/// A Weibull distribution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sessions {
    pub(super) shape: f64,
    pub(super) scale: Duration,
}

impl Sessions {
    /// How long somebody stays who has just come.
    pub(super) fn whole(self, rng: &mut Rng) -> Duration {
        // 1 - unit is never 0.
        self.scaled((-(1.0 - rng.unit()).ln()).powf(1.0 / self.shape))
    }

    /// How long somebody goes on staying who is met by chance: long sessions are met more often, somewhere
    /// in their course.
    pub(super) fn rest(self, rng: &mut Rng) -> Duration {
        let long = gamma(1.0 + 1.0 / self.shape, rng).powf(1.0 / self.shape);
        self.scaled(long * rng.unit())
    }

    fn scaled(self, times: f64) -> Duration {
        const YEAR_S: f64 = 365.0 * 86_400.0;
        Duration::from_secs_f64((self.scale.as_secs_f64() * times).clamp(0.001, YEAR_S))
    }
}

/// Of a gamma distribution of a shape of at least 1 (Marsaglia and Tsang 2000).
fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * rng.unit()).cos();
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && (1.0 - rng.unit()).ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Seed;

    fn mean(of: impl Fn(&mut Rng) -> Duration) -> f64 {
        let mut rng = Rng::new(Seed::from_u64(1));
        (0..40_000).map(|_| of(&mut rng).as_secs_f64()).sum::<f64>() / 40_000.0
    }

    #[test]
    fn means_are_those_of_the_distribution() {
        // Of shape 1 it is exponential: what is left is as long as the whole.
        let one = Sessions { shape: 1.0, scale: Duration::from_secs(100) };
        assert!((mean(|rng| one.whole(rng)) - 100.0).abs() < 3.0);
        assert!((mean(|rng| one.rest(rng)) - 100.0).abs() < 3.0);
        // Of shape 2: sqrt(pi) / 2, and E(x²) / 2 E(x) = 1 / sqrt(pi).
        let two = Sessions { shape: 2.0, ..one };
        assert!((mean(|rng| two.whole(rng)) - 88.6).abs() < 2.0);
        assert!((mean(|rng| two.rest(rng)) - 56.4).abs() < 2.0);
        // Of shape 1/2: 2, and 24 / 2 / 2 = 6.
        let half = Sessions { shape: 0.5, ..one };
        assert!((mean(|rng| half.rest(rng)) - 600.0).abs() < 40.0);
    }
}

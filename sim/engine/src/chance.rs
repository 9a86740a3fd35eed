//! Seeded streams of random numbers and the distributions drawn from them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryRng};
use rand_distr::{Distribution, Poisson};
use std::convert::Infallible;

/// The longest name of a purpose, in bytes; what is left of a key of 32 after seed and replication.
pub const PURPOSE_BYTES: usize = 16;

/// Random numbers for one purpose of one replication of a run.
///
/// ChaCha with 8 rounds (Bernstein 2008; `rand_chacha`), keyed by seed, replication and purpose side
/// by side. Two streams of unlike keys are independent because the cipher is one, and no stream
/// depends on threads or on how much was drawn from another. A faster generator with one state,
/// as xoshiro, would have to be jumped or hashed apart; `rand_chacha` also promises the same values
/// in every version, which is why no generator of our own stands here.
///
/// Logarithms and powers come from the `libm` crate, so that a draw is the same to the last bit on
/// every machine. `rand_distr` cannot promise that (it takes the system's functions as soon as any
/// crate of the build asks for them); it serves where whole numbers come out.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a purpose, as `"arrivals"`.
    ///
    /// # Panics
    /// Where the purpose's name is longer than [`PURPOSE_BYTES`].
    pub fn new(seed: u64, replication: u64, purpose: &str) -> Self {
        assert!(
            purpose.len() <= PURPOSE_BYTES,
            "a purpose's name is at most {PURPOSE_BYTES} bytes, so that no two fall together"
        );
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&replication.to_le_bytes());
        key[16..16 + purpose.len()].copy_from_slice(purpose.as_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A stream of its own for one of many: a tenant, a node; from its beginning.
    pub fn nth(&self, index: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(self.0.get_seed());
        rng.set_stream(index.wrapping_add(1));
        Self(rng)
    }

    /// Uniform over all values.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform from 0 to below 1, in steps of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform from `low` to below `high`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number below `bound`, all equally likely.
    ///
    /// Source: Lemire, "Fast Random Integer Generation in an Interval", 2019.
    ///
    /// # Panics
    /// Where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is a number below the bound");
        let unfair = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits()) * u128::from(bound);
            if wide as u64 >= unfair {
                return (wide >> 64) as u64;
            }
        }
    }

    /// The place of one of some weights, each as likely as its weight; weights need not add up to 1.
    ///
    /// # Panics
    /// Where no weight is above 0.
    pub fn pick(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut left = self.uniform() * total;
        let mut last = None;
        for (place, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                if left < weight {
                    return place;
                }
                left -= weight;
                last = Some(place);
            }
        }
        last.expect("one weight at least is above 0")
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.uniform())
    }

    /// Normal with this mean and standard deviation.
    ///
    /// Source: Marsaglia, Bray, "A Convenient Method for Generating Normal Variables", 1964.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        loop {
            let (x, y) = (self.uniform_in(-1.0, 1.0), self.uniform_in(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return mean + deviation * x * (-2.0 * libm::log(square) / square).sqrt();
            }
        }
    }

    /// Lognormal: its logarithm is normal with this mean and standard deviation.
    pub fn lognormal(&mut self, log_mean: f64, log_deviation: f64) -> f64 {
        libm::exp(self.normal(log_mean, log_deviation))
    }

    /// Gamma with this shape and scale; its mean is their product.
    ///
    /// Source: Marsaglia, Tsang, "A Simple Method for Generating Gamma Variables", 2000.
    ///
    /// # Panics
    /// Where the shape is not above 0.
    pub fn gamma(&mut self, shape: f64, scale: f64) -> f64 {
        assert!(shape > 0.0, "the shape of a gamma variable is above 0");
        if shape < 1.0 {
            let lift = libm::pow(1.0 - self.uniform(), 1.0 / shape);
            return self.gamma(shape + 1.0, scale) * lift;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal(0.0, 1.0);
            let root = 1.0 + c * x;
            let v = root * root * root;
            if v > 0.0 {
                let bound = 0.5 * x * x + d - d * v + d * libm::log(v);
                if libm::log(1.0 - self.uniform()) < bound {
                    return d * v * scale;
                }
            }
        }
    }

    /// Poisson with this mean.
    ///
    /// # Panics
    /// Where the mean is negative or above 1e18.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean == 0.0 {
            return 0;
        }
        let poisson = Poisson::new(mean).expect("the mean is from 0 to 1e18");
        let drawn: f64 = poisson.sample(self);
        drawn as u64
    }

    /// Pareto from `scale` up: P(X > x) = (scale / x)^shape.
    pub fn pareto(&mut self, scale: f64, shape: f64) -> f64 {
        scale * libm::pow(1.0 - self.uniform(), -1.0 / shape)
    }

    /// Weibull: P(X > x) = exp(-(x / scale)^shape).
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        scale * libm::pow(self.exponential(1.0), 1.0 / shape)
    }
}

/// So that a stream feeds the distributions of `rand_distr` and other crates.
impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

//! Chance that keeps its promises: shares that hold over a trace, though tenants repeat themselves in large numbers.

use engine::chance::Stream;

/// A share may run ahead by this part of itself; the distance to the table then stays below half of it.
const AHEAD: f64 = 0.02;
/// And by so many VMs, lest the first deployments of a trace be torn apart.
const SLACK: f64 = 8.0;

/// Kinds with shares, and how many of each were dealt.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    shares: Vec<f64>,
    dealt: Vec<f64>,
    total: f64,
    deficits: Vec<f64>,
}

impl Quota {
    /// Kinds with these weights, which need not add up to 1.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        Self {
            shares: weights.iter().map(|weight| weight / sum).collect(),
            dealt: vec![0.0; weights.len()],
            total: 0.0,
            deficits: vec![0.0; weights.len()],
        }
    }

    /// A kind by what each lacks of its share once `count` more are dealt.
    pub(crate) fn fresh(&mut self, count: u32, chance: &mut Stream) -> usize {
        let total = self.total + f64::from(count);
        for ((deficit, share), dealt) in self.deficits.iter_mut().zip(&self.shares).zip(&self.dealt)
        {
            *deficit = (share * total - dealt).max(0.0);
        }
        chance.pick(&self.deficits)
    }

    /// How many of `count` may be of this kind.
    pub(crate) fn room(&self, kind: usize, count: u32) -> u32 {
        let total = self.total + f64::from(count);
        let room = self.shares[kind] * total * (1.0 + AHEAD) + SLACK - self.dealt[kind];
        (room.max(0.0) as u32).min(count)
    }

    /// Deals.
    pub(crate) fn deal(&mut self, kind: usize, count: u32) {
        self.dealt[kind] += f64::from(count);
        self.total += f64::from(count);
    }
}

/// Uniform numbers of which each block has one in every one of its parts: as random as any, yet even.
#[derive(Clone, Debug)]
pub(crate) struct Strata {
    left: Vec<u32>,
    chance: Stream,
}

impl Strata {
    const PARTS: u32 = 128;

    pub(crate) fn new(chance: Stream) -> Self {
        Self {
            left: Vec::new(),
            chance,
        }
    }

    /// Uniform from 0 to below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        if self.left.is_empty() {
            self.left.extend(0..Self::PARTS);
        }
        let chosen = self.chance.below(self.left.len() as u64) as usize;
        let part = self.left.swap_remove(chosen);
        (f64::from(part) + self.chance.uniform()) / f64::from(Self::PARTS)
    }
}

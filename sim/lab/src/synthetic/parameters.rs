//! What to generate.

use super::DAY_HOURS;
use super::curve::Curve;
use super::tables::{self, SHORT_LIVES, Tables};
use super::types::{VmType, types};
use model::grid::{Grid, NodeState};

/// The shortest life, in hours: one second.
const SHORTEST_LIFE: f64 = 1.0 / 3_600.0;
/// The largest deployment: about the largest batch of the Azure trace of 2017 (1,404 VMs).
const LARGEST_DEPLOYMENT: f64 = 1_500.0;

/// How a trace starts.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Start {
    /// With as many VMs alive as there will ever be, on average.
    #[default]
    Stationary,
    /// With none.
    Empty,
}

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// What it is to look like.
    pub tables: &'static Tables,
    /// VMs in all, those alive at the start among them.
    pub vms: u32,
    /// How long the trace is.
    pub days: f64,
    /// How it starts.
    pub start: Start,
    /// Chance that a tenant's next deployment has the type of its last: above 0.8 in Protean (Hadary et al. 2020).
    pub repeat: f64,
    /// The longest life, in days; longer ones are cut there. The packing trace of 2020 follows VMs for 90 days.
    pub longest_days: f64,
    /// The same seed, the same trace.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            tables: &tables::ALL[0],
            vms: 10_000,
            days: 7.0,
            start: Start::Stationary,
            repeat: 0.85,
            longest_days: 90.0,
            seed: 1,
        }
    }
}

impl Parameters {
    /// As many VMs as fill this share of a grid's nodes that are up, in cores or in memory, whichever is reached first.
    #[must_use]
    pub fn filling(mut self, grid: &Grid, share: f64) -> Self {
        let up = grid
            .node_ids()
            .filter(|node| grid.nodes[node.index()].state == NodeState::Up);
        let (mut cpu_milli, mut mem_mib) = (0.0, 0.0);
        for node in up {
            let capacity = grid.class_of(node).capacity;
            cpu_milli += f64::from(capacity.cpu_milli.0);
            mem_mib += f64::from(capacity.mem_mib.0);
        }
        let types = types(self.tables);
        let weight: f64 = types.iter().map(|t| t.weight).sum();
        let mean = |size: fn(&VmType) -> f64| {
            types.iter().map(|t| t.weight * size(t)).sum::<f64>() / weight
        };
        let by_cpu = cpu_milli / mean(|t| f64::from(t.resources.cpu_milli.0));
        let by_mem = mem_mib / mean(|t| f64::from(t.resources.mem_mib.0));
        let alive = by_cpu.min(by_mem) * share;
        let turnover = 1.0 + self.days * DAY_HOURS / self.life().mean();
        self.vms = (alive * turnover).round().max(1.0) as u32;
        self
    }

    /// Lives in hours.
    pub fn life(&self) -> Curve {
        let (first, first_percent) = self.tables.lives[0];
        let short_percent = SHORT_LIVES
            .iter()
            .find(|(hours, _)| *hours == first)
            .map_or(100.0, |(_, percent)| *percent);
        let below = SHORT_LIVES.iter().take_while(|(hours, _)| *hours < first);
        let below = below.map(|(hours, percent)| (*hours, percent / short_percent * first_percent));
        let published = self.tables.lives.iter().copied();
        let points = std::iter::once((SHORTEST_LIFE, 0.0)).chain(below.chain(published));
        let points: Vec<(f64, f64)> = points.map(|(h, percent)| (h, percent / 100.0)).collect();
        let last = points[points.len() - 1].0;
        Curve::new(points, last.max(self.longest_days * DAY_HOURS))
    }

    /// VMs of a deployment.
    pub fn deployment(&self) -> Curve {
        let points = self.tables.deployments.iter();
        let points = points
            .map(|(vms, percent)| (*vms, percent / 100.0))
            .collect();
        Curve::new(points, LARGEST_DEPLOYMENT)
    }
}

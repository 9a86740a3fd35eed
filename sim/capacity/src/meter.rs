//! The figures of a run, kept exactly and at a constant cost an event.

use crate::outcome::{NodeOutcome, Series, Summary};
use crate::stranding::Stranding;
use crate::trace::Trace;
use engine::average::{Bins, Integrals, Means};
use model::id::NodeId;
use model::time::Time;
use model::units::{DIMENSIONS, Dimension, Resources};
use model::vm::{Demand, VmSpec};
use placement::placer::Placer;
use placement::state::ShapeId;

/// Lanes of the integrals: allocated, capacity of nodes with a VM, stranded times mix; by dimension.
const ALLOCATED: usize = 0;
const OPEN: usize = DIMENSIONS;
const STRANDED: usize = 2 * DIMENSIONS;
/// Nodes without a VM, VMs alive, VMs waiting.
const EMPTY: usize = 3 * DIMENSIONS;
const ALIVE: usize = EMPTY + 1;
const WAITING: usize = EMPTY + 2;
const LANES: usize = EMPTY + 3;

/// One node's figures.
#[derive(Clone, Debug)]
struct NodeMeter {
    /// Allocated times milliseconds to the end, as if nothing changed any more. An `i64` would not
    /// do: a terabyte in MiB overflows it after three centuries.
    area: [i128; DIMENSIONS],
    /// Milliseconds without a VM, alike.
    empty_millis: i64,
    least_free: [u32; DIMENSIONS],
    class: u32,
    vms: u32,
    placed: u32,
    unfit: i64,
}

/// What a node's change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A VM came.
    Placed,
    /// A VM left.
    Released,
}

/// Keeps the figures of a run.
#[derive(Clone, Debug)]
pub struct Meter {
    end: Time,
    /// Milliseconds from now to the end.
    left: i64,
    integrals: Integrals<LANES>,
    stranding: Stranding,
    nodes: Vec<NodeMeter>,
    capacities: Vec<Resources>,
    capacity: [i64; DIMENSIONS],
    /// Dimensions that shapes ask for, and those that nodes have and nobody asks for.
    asked: Vec<usize>,
    idle: Vec<usize>,
    placed: Vec<u64>,
    rejected: Vec<u64>,
    alive: u64,
    peak_alive: u64,
}

impl Meter {
    /// An empty grid at the start of a run.
    pub fn new(
        trace: &Trace,
        placer: &Placer,
        stranding: Stranding,
        end: Time,
        bins: usize,
    ) -> Self {
        let grid = placer.grid();
        let bins = Bins::new(Time::ZERO, end, bins);
        let capacities: Vec<Resources> = grid.classes.iter().map(|class| class.capacity).collect();
        let mut integrals = Integrals::new(bins);
        let mut capacity = [0; DIMENSIONS];
        let mut nodes = Vec::with_capacity(grid.nodes.len());
        for node in grid.node_ids() {
            let free = placer.free(node);
            let unfit = stranding.unfit(node, free, placer);
            for (d, have) in free.to_array().into_iter().enumerate() {
                capacity[d] += i64::from(have);
                integrals.add(STRANDED + d, i64::from(have) * unfit);
            }
            integrals.add(EMPTY, 1);
            nodes.push(NodeMeter {
                area: [0; DIMENSIONS],
                empty_millis: bins.millis(),
                least_free: free.to_array(),
                class: grid.nodes[node.index()].class.0,
                vms: 0,
                placed: 0,
                unfit,
            });
        }
        let present = (0..DIMENSIONS).filter(|&d| capacity[d] > 0);
        let (asked, idle) = present.partition(|&d| trace.shapes.iter().any(|spec| asks(spec, d)));
        Self {
            end,
            left: bins.millis(),
            integrals,
            asked,
            idle,
            stranding,
            nodes,
            capacities,
            capacity,
            placed: vec![0; bins.count()],
            rejected: vec![0; bins.count()],
            alive: 0,
            peak_alive: 0,
        }
    }

    /// Moves on to an instant.
    #[inline]
    pub fn advance(&mut self, now: Time) {
        self.integrals.advance(now);
        self.left = (self.end - now).0;
    }

    /// A VM of this shape came to a node or left it; `placer` knows already.
    #[inline]
    pub fn changed(&mut self, node: NodeId, shape: ShapeId, placer: &Placer, change: Change) {
        let sign = match change {
            Change::Placed => 1,
            Change::Released => -1,
        };
        let free = placer.free(node);
        let unfit = self.stranding.unfit(node, free, placer);
        let (asked, free_of) = (placer.demand(shape, node).to_array(), free.to_array());
        let meter = &mut self.nodes[node.index()];
        for &d in &self.asked {
            let delta = sign * i64::from(asked[d]);
            let free = i64::from(free_of[d]);
            meter.area[d] += i128::from(delta) * i128::from(self.left);
            meter.least_free[d] = meter.least_free[d].min(free_of[d]);
            self.integrals.add(ALLOCATED + d, delta);
            let stranded = free * unfit - (free + delta) * meter.unfit;
            self.integrals.add(STRANDED + d, stranded);
        }
        if unfit != meter.unfit {
            for &d in &self.idle {
                let free = i64::from(free_of[d]);
                self.integrals
                    .add(STRANDED + d, free * (unfit - meter.unfit));
            }
        }
        meter.unfit = unfit;
        self.integrals.add(ALIVE, sign);
        match change {
            Change::Placed => {
                meter.vms += 1;
                meter.placed += 1;
                self.placed[self.integrals.bin()] += 1;
                self.alive += 1;
                self.peak_alive = self.peak_alive.max(self.alive);
                if meter.vms == 1 {
                    self.opened(node, Change::Placed);
                }
            }
            Change::Released => {
                meter.vms -= 1;
                self.alive -= 1;
                if meter.vms == 0 {
                    self.opened(node, Change::Released);
                }
            }
        }
    }

    /// A VM was refused for good.
    pub fn refused(&mut self) {
        self.rejected[self.integrals.bin()] += 1;
    }

    /// A VM began to wait (1), or waits no more (-1).
    pub fn waits(&mut self, delta: i64) {
        self.integrals.add(WAITING, delta);
    }

    /// VMs alive now.
    pub fn alive(&self) -> u64 {
        self.alive
    }

    /// A node got its first VM, or lost its last.
    fn opened(&mut self, node: NodeId, change: Change) {
        let sign = match change {
            Change::Placed => 1,
            Change::Released => -1,
        };
        let meter = &mut self.nodes[node.index()];
        meter.empty_millis -= sign * self.left;
        self.integrals.add(EMPTY, -sign);
        let capacity = self.capacities[meter.class as usize].to_array();
        for (d, have) in capacity.into_iter().enumerate() {
            self.integrals.add(OPEN + d, sign * i64::from(have));
        }
    }

    /// The figures over nodes, over time and over all; `summary` gets those that are averages.
    pub fn finish(self, summary: &mut Summary) -> (Series, Vec<NodeOutcome>) {
        let nodes = self.nodes_outcome();
        summary.peak_alive = self.peak_alive;
        let scale = Scale {
            capacity: self.capacity.map(|have| have as f64),
            mix: self.stranding.total() as f64,
            nodes: nodes.len() as f64,
        };
        let means = self.integrals.finish();
        let lane = |lane| means.mean(lane);
        summary.allocated = scale.allocated(lane);
        summary.stranded = scale.stranded(lane);
        summary.empty_nodes = scale.empty(lane);
        summary.density = std::array::from_fn(|d| share(lane(ALLOCATED + d), lane(OPEN + d)));
        summary.alive = lane(ALIVE);
        summary.waiting = lane(WAITING);
        let series = series_of(&means, &scale, self.placed, self.rejected);
        (series, nodes)
    }

    /// The figures by node.
    fn nodes_outcome(&self) -> Vec<NodeOutcome> {
        let millis = self.end.0 as f64;
        let of = |meter: &NodeMeter| {
            let capacity = self.capacities[meter.class as usize].to_array();
            let have = |d: usize| f64::from(capacity[d]);
            let used = |d: usize| f64::from(capacity[d] - meter.least_free[d]);
            NodeOutcome {
                allocated: std::array::from_fn(|d| share(meter.area[d] as f64, have(d) * millis)),
                peak: std::array::from_fn(|d| share(used(d), have(d))),
                empty: share(meter.empty_millis as f64, millis),
                placed: u64::from(meter.placed),
            }
        };
        self.nodes.iter().map(of).collect()
    }
}

/// Whether a shape asks for anything in a dimension on any node.
pub(crate) fn asks(spec: &VmSpec, d: usize) -> bool {
    let accelerated = d == Dimension::Accel as usize && spec.accelerators.is_some();
    accelerated
        || match &spec.demand {
            Demand::Fixed(resources) => resources.to_array()[d] > 0,
            Demand::ShareOfModel(shares) => shares.values().any(|share| share[d] > 0),
        }
}

/// What sums over the grid are divided by to give shares.
struct Scale {
    capacity: [f64; DIMENSIONS],
    mix: f64,
    nodes: f64,
}

impl Scale {
    fn allocated(&self, lane: impl Fn(usize) -> f64) -> [f64; DIMENSIONS] {
        std::array::from_fn(|d| share(lane(ALLOCATED + d), self.capacity[d]))
    }

    fn stranded(&self, lane: impl Fn(usize) -> f64) -> [f64; DIMENSIONS] {
        std::array::from_fn(|d| share(lane(STRANDED + d), self.capacity[d] * self.mix))
    }

    fn empty(&self, lane: impl Fn(usize) -> f64) -> f64 {
        share(lane(EMPTY), self.nodes)
    }
}

/// The figures bin by bin.
fn series_of(means: &Means<LANES>, scale: &Scale, placed: Vec<u64>, rejected: Vec<u64>) -> Series {
    let bins = means.bins();
    let mut series = Series {
        placed,
        rejected,
        ..Series::default()
    };
    for bin in 0..bins.count() {
        let lane = |lane| means.mean_in(bin, lane);
        series.start.push(bins.start_of(bin));
        series.allocated.push(scale.allocated(lane));
        series.stranded.push(scale.stranded(lane));
        series.empty_nodes.push(scale.empty(lane));
        series.alive.push(lane(ALIVE));
        series.waiting.push(lane(WAITING));
    }
    series
}

/// A part of a whole; nothing of nothing is 0.
fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

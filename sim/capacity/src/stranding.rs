//! How much of the shapes asked for a node has no room for: the weight of its stranded capacity.

use crate::trace::Trace;
use model::grid::Grid;
use model::units::{DIMENSIONS, Resources};
use placement::placer::Placer;
use placement::state::ShapeId;
use std::cmp::Reverse;

/// The most shapes of the mix: the most frequent ones. Published traces have 13 to 15 types; those
/// that have thousands of shapes are led by a few, and the test is made for every event.
pub const MIX_SHAPES: usize = 32;

/// The most of a quantity that is compared; no node has 2^31 of anything.
const MOST: u32 = i32::MAX as u32 - 1;

/// The trace's mix of shapes, and what each takes of a node of each class.
#[derive(Clone, Debug)]
pub struct Stranding {
    counts: [i64; MIX_SHAPES],
    total: i64,
    dimensions: Vec<usize>,
    /// By node class: demand by dimension and shape of the mix.
    demands: Vec<[[i32; MIX_SHAPES]; DIMENSIONS]>,
}

impl Stranding {
    /// Counts the shapes of a trace; `shapes` are the placer's ids of the trace's shapes.
    pub fn new(trace: &Trace, grid: &Grid, placer: &Placer, shapes: &[ShapeId]) -> Self {
        let mix = mix_of(trace);
        let mut demands = Vec::new();
        for class in 0..grid.classes.len() {
            let node = grid
                .node_ids()
                .find(|node| grid.nodes[node.index()].class.index() == class);
            let mut table = [[0; MIX_SHAPES]; DIMENSIONS];
            if let Some(node) = node {
                for (slot, &(shape, _)) in mix.iter().enumerate() {
                    let demand = placer.demand(shapes[shape], node).to_array();
                    for (row, asked) in table.iter_mut().zip(demand) {
                        row[slot] = asked.min(MOST) as i32;
                    }
                }
            }
            demands.push(table);
        }
        let dimensions = (0..DIMENSIONS)
            .filter(|&d| demands.iter().any(|table| table[d].iter().any(|&x| x > 0)))
            .collect();
        let mut counts = [0; MIX_SHAPES];
        for (slot, &(_, count)) in mix.iter().enumerate() {
            counts[slot] = count;
        }
        Self {
            counts,
            total: counts.iter().sum(),
            dimensions,
            demands,
        }
    }

    /// VMs in the mix.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// How many VMs of the mix are of a shape for which there is no room beside what a node has free.
    #[inline]
    pub fn unfit(&self, class: usize, free: Resources) -> i64 {
        let free = free.to_array();
        let mut unfit = [false; MIX_SHAPES];
        for &d in &self.dimensions {
            let have = free[d].min(MOST) as i32;
            for (unfit, &asked) in unfit.iter_mut().zip(&self.demands[class][d]) {
                *unfit |= asked > have;
            }
        }
        let of = |(&unfit, &count): (&bool, &i64)| if unfit { count } else { 0 };
        unfit.iter().zip(&self.counts).map(of).sum()
    }
}

/// The most frequent shapes of a trace with their counts; of equally frequent ones the lowest first.
fn mix_of(trace: &Trace) -> Vec<(usize, i64)> {
    let mut counts = vec![0i64; trace.shapes.len()];
    for vm in &trace.vms {
        counts[vm.shape as usize] += 1;
    }
    let mut mix: Vec<(usize, i64)> = counts.into_iter().enumerate().collect();
    mix.retain(|&(_, count)| count > 0);
    mix.sort_by_key(|&(shape, count)| (Reverse(count), shape));
    mix.truncate(MIX_SHAPES);
    mix
}

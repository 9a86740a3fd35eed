//! How much of the shapes asked for a node has no room for: the weight of its stranded capacity.

use crate::meter::asks;
use crate::trace::Trace;
use model::grid::{Grid, NodeState};
use model::id::{NodeClassId, NodeId, SiteId};
use model::units::{DIMENSIONS, Dimension, Resources};
use placement::placer::Placer;
use placement::state::ShapeId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The most shapes of the mix: the most frequent ones. Published traces have 13 to 15 types; those
/// that have thousands of shapes are led by a few, and the test is made at every event.
pub const MIX_SHAPES: usize = 32;

/// Shapes that are tested at once: two registers of the smallest machines this runs on.
const LANES: usize = 8;
/// So many times [`LANES`] make the mix.
const BLOCKS: usize = MIX_SHAPES / LANES;

/// The demand of a shape that a kind of node never takes: more than any node has.
const NEVER: i32 = i32::MAX;
/// The most of a quantity that is compared; no node has 2^31 of anything.
const MOST: u32 = i32::MAX as u32 - 1;

/// Demand by dimension and shape of the mix.
type Demands = [[[i32; LANES]; BLOCKS]; DIMENSIONS];

/// The trace's mix of shapes, and what each takes of a node of each kind.
///
/// The same test as [`Placer::fits`], laid out so that all shapes of the mix are tested at once.
#[derive(Clone, Debug)]
pub struct Stranding {
    /// VMs of each shape of the mix but the accelerated.
    counts: [[i32; LANES]; BLOCKS],
    /// How many blocks the mix fills.
    blocks: usize,
    total: i64,
    /// Those of which any shape asks something.
    dimensions: Vec<usize>,
    /// Shapes that ask for accelerators, about which free sums say too little, with their VMs.
    accelerated: Vec<(ShapeId, i64)>,
    /// By kind of node.
    demands: Vec<Demands>,
    /// By node.
    kinds: Vec<u32>,
}

impl Stranding {
    /// Counts the shapes of a trace; `placer` is of an empty grid and knows them as `shapes`.
    pub fn new(trace: &Trace, grid: &Grid, placer: &mut Placer, shapes: &[ShapeId]) -> Self {
        let mix = mix_of(trace);
        let weights: Vec<_> = mix.iter().map(|&(s, count)| (shapes[s], count)).collect();
        placer.set_mix(&weights);
        let mut stranding = Self {
            counts: [[0; LANES]; BLOCKS],
            blocks: mix.len().div_ceil(LANES),
            total: 0,
            dimensions: Vec::new(),
            accelerated: Vec::new(),
            demands: Vec::new(),
            kinds: Vec::with_capacity(grid.nodes.len()),
        };
        for (slot, &(shape, count)) in weights.iter().enumerate() {
            let count = i32::try_from(count).expect("a trace has fewer than 2^31 VMs");
            stranding.total += i64::from(count);
            if asks(placer.spec(shape), Dimension::Accel as usize) {
                stranding.accelerated.push((shape, i64::from(count)));
            } else {
                stranding.counts[slot / LANES][slot % LANES] = count;
            }
        }
        let mut kinds: BTreeMap<(NodeClassId, SiteId), u32> = BTreeMap::new();
        for node in grid.node_ids() {
            let kind = (grid.nodes[node.index()].class, grid.site_of(node));
            let next = kinds.len() as u32;
            stranding.kinds.push(*kinds.entry(kind).or_insert_with(|| {
                let demands = demands_on(node, placer, &weights);
                stranding.demands.push(demands);
                next
            }));
        }
        let asked = |d: &usize| {
            let rows = stranding.demands.iter().flat_map(|kind| &kind[*d]);
            rows.flatten().any(|&asked| asked > 0)
        };
        stranding.dimensions = (0..DIMENSIONS).filter(asked).collect();
        stranding
    }

    /// VMs in the mix.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// How many VMs of the mix are of a shape for which a node has no room beside what it carries.
    #[inline]
    pub fn unfit(&self, node: NodeId, free: Resources, placer: &Placer) -> i64 {
        let free = free.to_array();
        let demands = &self.demands[self.kinds[node.index()] as usize];
        let mut unfit = [0; LANES];
        for (block, counts) in self.counts.iter().enumerate().take(self.blocks) {
            let mut missing = [0; LANES];
            for &d in &self.dimensions {
                let have = free[d].min(MOST) as i32;
                for (missing, asked) in missing.iter_mut().zip(demands[d][block]) {
                    // All bits where less is free than asked: the sign of the difference.
                    *missing |= (have - asked) >> 31;
                }
            }
            for (unfit, (missing, count)) in unfit.iter_mut().zip(missing.iter().zip(counts)) {
                *unfit += missing & count;
            }
        }
        let unfit = unfit.iter().map(|&count| i64::from(count)).sum::<i64>();
        let accelerated = self.accelerated.iter();
        let accelerated = accelerated.filter(|(shape, _)| !placer.fits(*shape, node));
        unfit + accelerated.map(|(_, count)| count).sum::<i64>()
    }
}

/// What each shape of the mix takes of an empty node, whatever its state.
fn demands_on(node: NodeId, placer: &mut Placer, mix: &[(ShapeId, u64)]) -> Demands {
    let mut demands = Demands::default();
    let state = placer.state(node);
    placer.set_state(node, NodeState::Up);
    for (slot, &(shape, _)) in mix.iter().enumerate() {
        let demand = placer.demand(shape, node).to_array();
        let fits = placer.fits(shape, node);
        for (row, asked) in demands.iter_mut().zip(demand) {
            row[slot / LANES][slot % LANES] = if fits { asked.min(MOST) as i32 } else { NEVER };
        }
    }
    placer.set_state(node, state);
    demands
}

/// The most frequent shapes of a trace with their counts; of equally frequent ones the lowest first.
fn mix_of(trace: &Trace) -> Vec<(usize, u64)> {
    let mut counts = vec![0; trace.shapes.len()];
    for vm in &trace.vms {
        counts[vm.shape as usize] += 1;
    }
    let mut mix: Vec<(usize, u64)> = counts.into_iter().enumerate().collect();
    mix.retain(|&(_, count)| count > 0);
    mix.sort_by_key(|&(shape, count)| (Reverse(count), shape));
    mix.truncate(MIX_SHAPES);
    mix
}

//! Nova's weighers, which depend on all nodes that fit: the formula, and the oracle's choice.

use crate::state::State;
use model::id::NodeId;
use model::units::Dimension;

/// Nova's weighers: dimension, whether its use counts and not what is free, multiplier.
///
/// CPU, RAM and disk weighers count what is free, multiplier 1; the I/O weigher counts the work in
/// progress, multiplier -1 (here: disk operations taken). Nova weighs hosts before the placement.
const WEIGHERS: [(Dimension, bool, f64); 4] = [
    (Dimension::Cpu, false, 1.0),
    (Dimension::Mem, false, 1.0),
    (Dimension::Disk, false, 1.0),
    (Dimension::DiskIo, true, -1.0),
];

/// The columns of [`nova`] in words.
pub(crate) const NOVA_COLUMNS: [&str; 4] = ["cpu free", "mem free", "disk free", "disk I/O taken"];

/// Stretches values to 0 to 1; equal ones give 0. Nova's `normalize`.
pub(crate) fn normalise(value: u32, least: u32, most: u32) -> f64 {
    if most == least {
        0.0
    } else {
        f64::from(value - least) / f64::from(most - least)
    }
}

pub(crate) fn weighed(state: &State, node: NodeId) -> [u32; 4] {
    let (block, lane) = state.block(node);
    let capacity = &state.capacities[block.kind[lane] as usize];
    WEIGHERS.map(|(dimension, use_counts, _)| {
        let d = dimension as usize;
        let free = block.free[d][lane];
        if use_counts { capacity[d] - free } else { free }
    })
}

/// What each weigher gives for its value, stretched between the least and the most, multiplied.
///
/// Never falls where a value of a weigher of positive multiplier, or none of a negative one, rises:
/// each step rounds to nearest, which keeps order.
#[inline]
pub(crate) fn nova_parts(values: [u32; 4], least: [u32; 4], most: [u32; 4]) -> [f64; 4] {
    std::array::from_fn(|w| WEIGHERS[w].2 * normalise(values[w], least[w], most[w]))
}

/// Of the ends of a range of values, those that a weigher likes best.
pub(crate) fn nova_liked(least: [u32; 4], most: [u32; 4]) -> [u32; 4] {
    std::array::from_fn(|w| {
        if WEIGHERS[w].2 < 0.0 {
            least[w]
        } else {
            most[w]
        }
    })
}

/// Each node's weights by weigher, multiplied; the node with the highest sum wins.
pub(crate) fn nova_weights<'a>(
    state: &'a State,
    nodes: &'a [NodeId],
) -> impl Iterator<Item = [f64; 4]> + 'a {
    let (mut least, mut most) = ([u32::MAX; 4], [0; 4]);
    for node in nodes {
        for (w, value) in weighed(state, *node).into_iter().enumerate() {
            least[w] = value.min(least[w]);
            most[w] = value.max(most[w]);
        }
    }
    nodes.iter().map(move |node| {
        let values = weighed(state, *node);
        nova_parts(values, least, most)
    })
}

/// The node with the highest sum of Nova's weights.
pub(crate) fn nova(state: &State, nodes: &[NodeId]) -> Option<NodeId> {
    let sums = nova_weights(state, nodes).map(|weights| weights.into_iter().sum());
    highest(nodes, sums)
}

/// The first of the nodes with the highest score.
fn highest(nodes: &[NodeId], scores: impl Iterator<Item = f64>) -> Option<NodeId> {
    let mut best: Option<(f64, NodeId)> = None;
    for (node, score) in nodes.iter().zip(scores) {
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, *node));
        }
    }
    best.map(|(_, node)| node)
}

//! Scores of a node that depend on all nodes that fit: Nova's weighers and Proxmox's TOPSIS.

use crate::shape::Shape;
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

fn weighed(state: &State, node: NodeId) -> [u32; 4] {
    let (block, lane) = state.block(node);
    let capacity = &state.capacities[block.kind[lane] as usize];
    WEIGHERS.map(|(dimension, use_counts, _)| {
        let d = dimension as usize;
        let free = block.free[d][lane];
        if use_counts { capacity[d] - free } else { free }
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
        std::array::from_fn(|w| WEIGHERS[w].2 * normalise(values[w], least[w], most[w]))
    })
}

/// The node with the highest sum of Nova's weights.
pub(crate) fn nova(state: &State, nodes: &[NodeId]) -> Option<NodeId> {
    let sums = nova_weights(state, nodes).map(|weights| weights.into_iter().sum());
    highest(nodes, sums)
}

/// The criteria of [`topsis`] in words.
pub(crate) const TOPSIS_COLUMNS: [&str; 4] = ["mean cpu", "highest cpu", "mean mem", "highest mem"];

/// Weights of the criteria; all are costs, so the lower the better.
const TOPSIS_WEIGHTS: [f64; 4] = [1.0 / 18.0, 2.0 / 18.0, 5.0 / 18.0, 10.0 / 18.0];

/// The criteria of each alternative "the VM on this node": one plus the root mean square of the use
/// of processor over all nodes that are up, one plus the highest, and both for memory.
///
/// Proxmox's cluster resource scheduler of 2026 adds one so that an idle grid is not divided by
/// zero. A node's use never falls by a placement, so the highest use after it is the greater of the
/// node's own and the highest before.
pub(crate) fn topsis_criteria(state: &State, shape: &Shape, nodes: &[NodeId]) -> Vec<[f64; 4]> {
    const READ: [Dimension; 2] = [Dimension::Cpu, Dimension::Mem];
    let used = |node: NodeId, d: usize| {
        let (block, lane) = state.block(node);
        let kind = block.kind[lane] as usize;
        let taken = state.capacities[kind][d] - block.free[d][lane];
        f64::from(taken) * shape.asks[kind].inverse[d]
    };
    let (mut squares, mut most, mut up) = ([0.0; 2], [0.0_f64; 2], 0.0);
    for node in state.grid.node_ids() {
        if state.state(node) == model::grid::NodeState::Up {
            up += 1.0;
            for (r, dimension) in READ.into_iter().enumerate() {
                let used = used(node, dimension as usize);
                squares[r] += used * used;
                most[r] = most[r].max(used);
            }
        }
    }
    let criteria = nodes.iter().map(|node| {
        let ask = &shape.asks[state.kind(*node)];
        let of = |r: usize| {
            let d = READ[r] as usize;
            let before = used(*node, d);
            let after = before + ask.share[d];
            // Rounding may leave a sum of squares just under zero.
            let squares = (squares[r] - before * before + after * after).max(0.0);
            [1.0 + (squares / up).sqrt(), 1.0 + most[r].max(after)]
        };
        let (cpu, mem) = (of(0), of(1));
        [cpu[0], cpu[1], mem[0], mem[1]]
    });
    criteria.collect()
}

/// The closeness of each alternative to the ideal: its distance from the worst over the sum of its
/// distances from the best and the worst, after each column is divided by its norm and weighted.
/// 0 for all where all are equal.
pub(crate) fn topsis_scores(criteria: &[[f64; 4]]) -> Vec<f64> {
    let mut norms = [0.0; 4];
    let (mut best, mut worst) = ([f64::INFINITY; 4], [0.0_f64; 4]);
    for row in criteria {
        for c in 0..4 {
            norms[c] += row[c] * row[c];
            best[c] = best[c].min(row[c]);
            worst[c] = worst[c].max(row[c]);
        }
    }
    let factors: [f64; 4] = std::array::from_fn(|c| {
        if norms[c] > 0.0 {
            TOPSIS_WEIGHTS[c] / norms[c].sqrt()
        } else {
            0.0
        }
    });
    let score = |row: &[f64; 4]| {
        let (mut to_best, mut to_worst) = (0.0, 0.0);
        for c in 0..4 {
            let (near, far) = (
                (row[c] - best[c]) * factors[c],
                (worst[c] - row[c]) * factors[c],
            );
            to_best += near * near;
            to_worst += far * far;
        }
        let (to_best, to_worst) = (to_best.sqrt(), to_worst.sqrt());
        if to_best + to_worst > 0.0 {
            to_worst / (to_best + to_worst)
        } else {
            0.0
        }
    };
    criteria.iter().map(score).collect()
}

/// The node whose alternative is nearest to the ideal.
pub(crate) fn topsis(state: &State, shape: &Shape, nodes: &[NodeId]) -> Option<NodeId> {
    let scores = topsis_scores(&topsis_criteria(state, shape, nodes));
    highest(nodes, scores.into_iter())
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

//! Scores that read one node alone: the lower the key, the better the node.

use crate::filter::Filter;
use crate::rule::key::CompiledChain;
use crate::shape::{Ask, Shape};
use crate::state::{Block, LANES, State};
use model::id::NodeId;
use model::units::DIMENSIONS;

/// Keys from here on say that a node is refused, and by which filter: see [`refused`].
pub(crate) const REFUSED: u64 = u64::MAX - 63;

/// The key of a node that a filter refused. The later the filter, the lower the key, so that the
/// least key over nodes that all refuse names the filter after which no node was left.
pub(crate) const fn refused(filter: Filter) -> u64 {
    u64::MAX - filter.order() as u64
}

/// The filter that a key of [`refused`] names; `None` for the key of a node that fits.
pub(crate) fn refusal(key: u64) -> Option<Filter> {
    (key >= REFUSED).then(|| {
        let order = (u64::MAX - key) as usize;
        Filter::ALL.get(order).copied().unwrap_or(Filter::NodeState)
    })
}

/// A node in its block, seen by a score.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) node: NodeId,
    pub(crate) block: &'a Block,
    pub(crate) lane: usize,
    pub(crate) ask: &'a Ask,
}

impl Spot<'_> {
    fn free(&self, d: usize) -> f64 {
        f64::from(self.block.free[d][self.lane])
    }
}

/// A score that reads one node alone.
pub(crate) trait Score {
    /// Whether a block's keys are better reckoned for all its nodes in one straight loop, also for
    /// those that do not fit, whose keys are thrown away.
    const STRAIGHT: bool;

    /// The key of a node that fits; under [`REFUSED`].
    fn key(&self, shape: &Shape, spot: Spot<'_>) -> u64;
}

/// First fit: all nodes are equal, and the tie goes to the lowest id.
pub(crate) struct First;

impl Score for First {
    const STRAIGHT: bool = true;

    fn key(&self, _: &Shape, _: Spot<'_>) -> u64 {
        0
    }
}

/// Best fit: least left over, each dimension as a share of the grid's largest node, in sum.
///
/// All dimensions that any node has count, also those that the VM does not ask for, so that a VM
/// without accelerators leaves the nodes that have some alone.
pub(crate) struct Best;

impl Score for Best {
    const STRAIGHT: bool = true;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        // Wraps only for nodes that do not fit.
        spot.block.weight[spot.lane].wrapping_sub(spot.ask.weight)
    }
}

/// Worst fit: most left over.
pub(crate) struct Worst;

/// Above any sum of weights; see [`Block::weight`].
pub(crate) const WEIGHT_BOUND: u64 = 1 << 47;

impl Score for Worst {
    const STRAIGHT: bool = true;

    fn key(&self, shape: &Shape, spot: Spot<'_>) -> u64 {
        WEIGHT_BOUND.wrapping_sub(Best.key(shape, spot))
    }
}

/// A key that is the lower, the higher a score from 0 up is.
fn highest(score: f64) -> u64 {
    f64::INFINITY.to_bits().wrapping_sub(score.to_bits())
}

/// Dot product (Panigrahy et al.: Heuristics for vector bin packing, 2011; Tetris, SIGCOMM 2014):
/// highest sum over dimensions of demand × free, both as shares of the node.
pub(crate) struct Dot;

impl Score for Dot {
    const STRAIGHT: bool = true;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let mut sum = 0.0;
        for d in 0..DIMENSIONS {
            sum += spot.ask.share[d] * (spot.free(d) * spot.ask.inverse[d]);
        }
        highest(sum)
    }
}

/// Norm-based greedy (Panigrahy et al.): least sum of squares of what is left, as shares of the node.
pub(crate) struct L2;

impl Score for L2 {
    const STRAIGHT: bool = true;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let mut sum = 0.0;
        for d in 0..DIMENSIONS {
            let left = spot.free(d) * spot.ask.inverse[d] - spot.ask.share[d];
            sum += left * left;
        }
        sum.to_bits()
    }
}

/// Cosine: the use after placement points most nearly along the node's capacity, both as shares of
/// the node, over the dimensions that the node has.
pub(crate) struct Cosine;

impl Score for Cosine {
    const STRAIGHT: bool = true;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let (mut sum, mut squares, mut dimensions) = (0.0, 0.0, 0.0);
        for d in 0..DIMENSIONS {
            let inverse = spot.ask.inverse[d];
            let has = if inverse > 0.0 { 1.0 } else { 0.0 };
            // A node that is not full may be off zero by a rounding; the use is never negative.
            let used = (has - spot.free(d) * inverse + spot.ask.share[d]).max(0.0);
            sum += used;
            squares += used * used;
            dimensions += has;
        }
        if squares > 0.0 {
            highest(sum / (squares * dimensions).sqrt())
        } else {
            highest(0.0)
        }
    }
}

/// A chain of rules; its key is the node's.
pub(crate) struct Chained<'a> {
    pub(crate) state: &'a State,
    pub(crate) chain: &'a CompiledChain,
}

impl Score for Chained<'_> {
    const STRAIGHT: bool = false;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let shape = spot.ask.facts.as_ref();
        let shape = shape.expect("a shape fits only where it is legal");
        // Its bits are fewer than 64, so that it lies below every key of refusal.
        self.chain.key(shape, &self.state.facts(spot.node))
    }
}

/// The key of any node: of the first filter that refuses it, or of its score.
pub(crate) fn evaluate<S: Score>(score: &S, state: &State, shape: &Shape, node: NodeId) -> u64 {
    let (block, lane) = (&state.blocks[node.index() / LANES], node.index() % LANES);
    evaluate_lane(score, shape, node, block, lane)
}

/// The key of a node, whether it fits or not.
#[inline]
pub(crate) fn raw_key<S: Score>(score: &S, state: &State, shape: &Shape, node: NodeId) -> u64 {
    let (block, lane) = (&state.blocks[node.index() / LANES], node.index() % LANES);
    let ask = &shape.asks[block.kind[lane] as usize];
    let spot = Spot {
        node,
        block,
        lane,
        ask,
    };
    score.key(shape, spot)
}

#[inline]
fn evaluate_lane<S: Score>(
    score: &S,
    shape: &Shape,
    node: NodeId,
    block: &Block,
    lane: usize,
) -> u64 {
    if block.open >> lane & 1 == 0 {
        return refused(Filter::NodeState);
    }
    let ask = &shape.asks[block.kind[lane] as usize];
    if let Some(filter) = ask.refused {
        return refused(filter);
    }
    for &column in ask.columns() {
        if block.free[column][lane] < ask.demand[column] {
            return refused(filter_of(column));
        }
    }
    score.key(
        shape,
        Spot {
            node,
            block,
            lane,
            ask,
        },
    )
}

/// The keys of all nodes of a block; of those that fill up the last one, of closed nodes.
pub(crate) fn evaluate_block<S: Score>(
    score: &S,
    state: &State,
    shape: &Shape,
    block: usize,
) -> [u64; LANES] {
    let first = (block * LANES) as u32;
    let block = &state.blocks[block];
    let node = |lane: usize| NodeId(first + lane as u32);
    let ask = block.one_kind.map(|kind| &shape.asks[kind as usize]);
    let Some(ask) = ask.filter(|ask| S::STRAIGHT && ask.refused.is_none()) else {
        return std::array::from_fn(|lane| evaluate_lane(score, shape, node(lane), block, lane));
    };
    let mut keys = [0; LANES];
    for (lane, key) in keys.iter_mut().enumerate() {
        let node = node(lane);
        let spot = Spot {
            node,
            block,
            lane,
            ask,
        };
        *key = score.key(shape, spot);
    }
    // From the last column to the first, so that the first that is short has the last word.
    for &column in ask.columns().iter().rev() {
        let (asked, key_of_short) = (ask.demand[column], refused(filter_of(column)));
        for (key, free) in keys.iter_mut().zip(&block.free[column]) {
            *key = if *free < asked { key_of_short } else { *key };
        }
    }
    if block.open != !0 {
        for (lane, key) in keys.iter_mut().enumerate() {
            if block.open >> lane & 1 == 0 {
                *key = refused(Filter::NodeState);
            }
        }
    }
    keys
}

/// The filter that tests a column.
pub(crate) fn filter_of(column: usize) -> Filter {
    if column < DIMENSIONS {
        Filter::Free(model::units::Dimension::ALL[column])
    } else {
        Filter::AcceleratorDevice
    }
}

/// The least key and the first place that has it.
pub(crate) fn least(keys: &[u64; LANES]) -> (u64, u8) {
    // Four chains of comparisons run side by side where one would wait for itself.
    let mut chains = [u64::MAX; 4];
    for four in keys.chunks_exact(4) {
        for (chain, key) in chains.iter_mut().zip(four) {
            *chain = (*chain).min(*key);
        }
    }
    let least = chains.into_iter().fold(u64::MAX, u64::min);
    let place = keys.iter().position(|key| *key == least).unwrap_or(0);
    (least, place as u8)
}

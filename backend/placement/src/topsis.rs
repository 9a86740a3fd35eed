//! Proxmox's TOPSIS, whose scores depend on all nodes that fit: the formula, and the oracle's choice.
//!
//! Sums over nodes are kept exact, so that they come out alike in whatever order, and whether they
//! are drawn up afresh or kept up to date: what is summed is first rounded to a grain, of which any
//! grid's sum is a whole number that its type holds.

use crate::shape::Shape;
use crate::state::State;
use model::grid::NodeState;
use model::id::NodeId;
use model::units::Dimension;

/// The criteria in words.
pub(crate) const COLUMNS: [&str; 4] = ["mean cpu", "highest cpu", "mean mem", "highest mem"];

/// Weights of the criteria; all are costs, so the lower the better.
const WEIGHTS: [f64; 4] = [1.0 / 18.0, 2.0 / 18.0, 5.0 / 18.0, 10.0 / 18.0];

/// The dimensions whose use counts; each has two criteria, mean and highest.
pub(crate) const READ: [usize; 2] = [Dimension::Cpu as usize, Dimension::Mem as usize];

/// Shares of use are rounded to a part in so many. Squares are then whole numbers of 40 bits, of
/// which 2^24 nodes add up within 64.
const SHARE_PARTS: f64 = (1_u64 << 20) as f64;

/// Added and taken away again, it rounds to whole [`SHARE_PARTS`]: numbers between 2^32 and 2^33
/// are 2^-20 apart.
const TO_SHARE_PARTS: f64 = 1.5 * (1_u64 << 32) as f64;

/// As [`TO_SHARE_PARTS`], to 2^-30: the grain of squared criteria. Each is under 2^4, so that 2^19
/// of them add up within the 53 bits that are exact.
const TO_SQUARE_PARTS: f64 = 1.5 * (1_u64 << 22) as f64;

/// A share to the grain.
#[inline]
pub(crate) fn share(exact: f64) -> f64 {
    (exact + TO_SHARE_PARTS) - TO_SHARE_PARTS
}

/// A criterion squared, to the grain.
#[inline]
pub(crate) fn squared(criterion: f64) -> f64 {
    (criterion * criterion + TO_SQUARE_PARTS) - TO_SQUARE_PARTS
}

/// What is taken of a node, as a share of what it has, in a dimension; 0 where it has none.
pub(crate) fn used(state: &State, node: NodeId, d: usize) -> f64 {
    let (block, lane) = state.block(node);
    let capacity = state.capacities[block.kind[lane] as usize][d];
    if capacity == 0 {
        return 0.0;
    }
    share(f64::from(capacity - block.free[d][lane]) / f64::from(capacity))
}

/// The square of a share in whole parts.
pub(crate) fn square_parts(used: f64) -> u64 {
    let parts = (used * SHARE_PARTS) as u64;
    parts * parts
}

/// The use of the nodes that are up, before a placement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// Sums of squares of shares.
    squares: [f64; 2],
    /// The highest shares.
    highest: [f64; 2],
    /// One over the number of nodes.
    inverse: f64,
}

impl Before {
    pub(crate) fn new(square_parts: [u64; 2], highest: [f64; 2], up: u64) -> Self {
        let grain = SHARE_PARTS * SHARE_PARTS;
        Self {
            squares: square_parts.map(|parts| parts as f64 / grain),
            highest,
            inverse: 1.0 / up.max(1) as f64,
        }
    }

    /// From every node.
    fn of(state: &State) -> Self {
        let (mut squares, mut highest, mut up) = ([0; 2], [0.0_f64; 2], 0);
        for node in state.grid.node_ids() {
            if state.state(node) == NodeState::Up {
                up += 1;
                for (r, d) in READ.into_iter().enumerate() {
                    let used = used(state, node, d);
                    squares[r] += square_parts(used);
                    highest[r] = highest[r].max(used);
                }
            }
        }
        Self::new(squares, highest, up)
    }

    /// Both criteria of a dimension where so much more is taken of a node: one plus the root mean
    /// square of all shares, and one plus the highest.
    ///
    /// Proxmox's cluster resource scheduler of 2026 adds one so that an idle grid is not divided by
    /// zero. A node's use never falls by a placement, so the highest use after it is the greater of
    /// the node's own and the highest before.
    #[inline]
    pub(crate) fn criteria(&self, r: usize, used: f64, more: f64) -> (f64, f64) {
        // The square after less the square before.
        let grown = more * (used + used + more);
        let mean = 1.0 + ((self.squares[r] + grown) * self.inverse).sqrt();
        let (after, highest) = (used + more, self.highest[r]);
        (mean, 1.0 + if after > highest { after } else { highest })
    }
}

/// What the scores need to know of a column of criteria.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The sum of [`squared`].
    pub(crate) squares: f64,
    pub(crate) best: f64,
    pub(crate) worst: f64,
}

impl Column {
    pub(crate) const EMPTY: Self = Self {
        squares: 0.0,
        best: f64::INFINITY,
        worst: 0.0,
    };

    fn add(&mut self, criterion: f64) {
        self.squares += squared(criterion);
        self.best = self.best.min(criterion);
        self.worst = self.worst.max(criterion);
    }
}

/// What each criterion is multiplied by: its weight over the norm of its column.
pub(crate) fn factors(columns: &[Column; 4]) -> [f64; 4] {
    std::array::from_fn(|c| {
        if columns[c].squares > 0.0 {
            WEIGHTS[c] / columns[c].squares.sqrt()
        } else {
            0.0
        }
    })
}

/// Whether all alternatives are equal.
pub(crate) fn all_equal(columns: &[Column; 4]) -> bool {
    columns.iter().all(|column| column.best == column.worst)
}

/// The square of an alternative's distance from the best over that from the worst, the lower the
/// better; only where not all are equal.
#[inline]
pub(crate) fn remoteness(row: [f64; 4], columns: &[Column; 4], factors: &[f64; 4]) -> f64 {
    let (mut to_best, mut to_worst) = (0.0, 0.0);
    for c in 0..4 {
        let near = (row[c] - columns[c].best) * factors[c];
        let far = (columns[c].worst - row[c]) * factors[c];
        to_best += near * near;
        to_worst += far * far;
    }
    to_best / to_worst
}

/// Each alternative "the VM on this node": its criteria, and its [`remoteness`], infinite for all
/// where all are equal.
pub(crate) fn rate(state: &State, shape: &Shape, nodes: &[NodeId]) -> Vec<([f64; 4], f64)> {
    let before = Before::of(state);
    let mut columns = [Column::EMPTY; 4];
    let row = |node: &NodeId| {
        let ask = &shape.asks[state.kind(*node)];
        let of = |r: usize| {
            let d = READ[r];
            before.criteria(r, used(state, *node, d), share(ask.share[d]))
        };
        let (cpu, mem) = (of(0), of(1));
        [cpu.0, cpu.1, mem.0, mem.1]
    };
    let rows: Vec<[f64; 4]> = nodes.iter().map(row).collect();
    for row in &rows {
        for (column, criterion) in columns.iter_mut().zip(row) {
            column.add(*criterion);
        }
    }
    let factors = factors(&columns);
    let equal = all_equal(&columns);
    let rated = rows.into_iter().map(|row| match equal {
        true => (row, f64::INFINITY),
        false => (row, remoteness(row, &columns, &factors)),
    });
    rated.collect()
}

/// The closeness of an alternative to the ideal: its distance from the worst over the sum of its
/// distances from the best and the worst, after each column is divided by its norm and weighted.
/// 0 for all where all are equal.
pub(crate) fn closeness(remoteness: f64) -> f64 {
    1.0 / (1.0 + remoteness.sqrt())
}

/// The node whose alternative is nearest to the ideal.
pub(crate) fn topsis(state: &State, shape: &Shape, nodes: &[NodeId]) -> Option<NodeId> {
    let rated = rate(state, shape, nodes);
    let rated = nodes.iter().zip(rated);
    let nearest = rated.min_by(|(a, (_, x)), (b, (_, y))| x.total_cmp(y).then(a.cmp(b)));
    nearest.map(|(node, _)| *node)
}

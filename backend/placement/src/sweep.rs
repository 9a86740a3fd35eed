//! The fast paths of the scores that depend on all nodes that fit.
//!
//! Nova: each block's range of every weigher is kept by shape; a block is looked through only where
//! its best ends together would beat the best node yet. TOPSIS: the sums over all nodes are kept,
//! and a decision is two straight passes over blocks.

use crate::index::Journal;
use crate::nova::{nova_liked, nova_parts, weighed};
use crate::score::least;
use crate::shape::Shape;
use crate::state::{LANES, State};
use crate::topsis::{
    Before, Column, READ, all_equal, factors, remoteness, share, square_parts, squared, used,
};
use model::grid::NodeState;
use model::id::NodeId;

/// The lanes of the set bits of a word, in order.
fn lanes(word: u64) -> impl Iterator<Item = usize> {
    let mut word = word;
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let lane = word.trailing_zeros();
            word &= word - 1;
            lane as usize
        })
    })
}

fn node_of(block: usize, lane: usize) -> NodeId {
    NodeId((block * LANES + lane) as u32)
}

/// Least and most of each of Nova's weighers over some nodes.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: [u32; 4],
    most: [u32; 4],
}

impl Range {
    const EMPTY: Self = Self {
        least: [u32::MAX; 4],
        most: [0; 4],
    };

    fn of(state: &State, block: usize, word: u64) -> Self {
        let mut range = Self::EMPTY;
        for lane in lanes(word) {
            let values = weighed(state, node_of(block, lane));
            range.widen(&Self {
                least: values,
                most: values,
            });
        }
        range
    }

    fn widen(&mut self, other: &Self) {
        for w in 0..4 {
            self.least[w] = self.least[w].min(other.least[w]);
            self.most[w] = self.most[w].max(other.most[w]);
        }
    }

    fn covers(&self, other: &Self) -> bool {
        (0..4).all(|w| self.least[w] <= other.least[w] && other.most[w] <= self.most[w])
    }
}

/// Ranges of Nova's weighers by block, for one shape.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    seen: Option<u64>,
    /// Never narrower than what the fitting nodes of the block have.
    blocks: Vec<Range>,
    /// Blocks whose range may be wider.
    wide: Vec<bool>,
    /// Scratch: the highest sum that a block could have.
    bounds: Vec<f64>,
}

impl Ranges {
    pub(crate) fn new(blocks: usize) -> Self {
        Self {
            seen: None,
            blocks: vec![Range::EMPTY; blocks],
            wide: vec![false; blocks],
            bounds: vec![0.0; blocks],
        }
    }

    /// Brings the ranges up to date; `words` are the nodes that fit.
    pub(crate) fn refresh(&mut self, state: &State, words: &[u64], journal: &Journal) {
        let seen = self.seen.replace(journal.revision());
        if let Some(nodes) = seen.and_then(|seen| journal.since(seen)) {
            for node in nodes {
                let (block, lane) = (node.index() / LANES, node.index() % LANES);
                self.wide[block] = true;
                if words[block] >> lane & 1 == 1 {
                    let values = weighed(state, node);
                    self.blocks[block].widen(&Range {
                        least: values,
                        most: values,
                    });
                }
            }
            return;
        }
        for (block, word) in words.iter().enumerate() {
            if seen.is_none_or(|seen| journal.changed(block, seen)) {
                self.blocks[block] = Range::of(state, block, *word);
                self.wide[block] = false;
            }
        }
    }

    /// The node with the highest sum of weights among those of `words`, which are some of the
    /// `fitting` ones that [`Self::refresh`] was told.
    pub(crate) fn best(&mut self, state: &State, fitting: &[u64], words: &[u64]) -> Option<NodeId> {
        let all = self.range(state, fitting, words);
        let mut first = (f64::NEG_INFINITY, 0);
        for (block, word) in words.iter().enumerate() {
            // A part of the fitting nodes has no wider range than all of them.
            let Range { least, most } = self.blocks[block];
            let bound = match word {
                0 => f64::NEG_INFINITY,
                _ => sum(liked_within(least, most, &all), &all),
            };
            self.bounds[block] = bound;
            if bound > first.0 {
                first = (bound, block);
            }
        }
        let mut best = look(state, first.1, words[first.1], &all)?;
        for (block, word) in words.iter().enumerate() {
            let bound = self.bounds[block];
            if bound < best.0 || bound == best.0 && block > best.1.index() / LANES {
                continue;
            }
            if let Some((found, node)) = look(state, block, *word, &all)
                && (found > best.0 || found == best.0 && node < best.1)
            {
                best = (found, node);
            }
        }
        Some(best.1)
    }

    /// The range over all the nodes of `words`. A block whose kept range may be too wide is looked
    /// through only if that range reaches beyond the others'.
    fn range(&mut self, state: &State, fitting: &[u64], words: &[u64]) -> Range {
        let mut all = Range::EMPTY;
        let whole = |block: usize| fitting[block] == words[block];
        for (block, kept) in self.blocks.iter().enumerate() {
            if !self.wide[block] && whole(block) {
                all.widen(kept);
            }
        }
        for (block, &word) in words.iter().enumerate() {
            let exact = !self.wide[block] && whole(block);
            if exact || word == 0 || all.covers(&self.blocks[block]) {
                continue;
            }
            let range = Range::of(state, block, word);
            all.widen(&range);
            if whole(block) {
                self.blocks[block] = range;
                self.wide[block] = false;
            }
        }
        all
    }
}

/// The values liked best of a range, kept within another, beyond which no node is.
fn liked_within(least: [u32; 4], most: [u32; 4], all: &Range) -> [u32; 4] {
    let liked = nova_liked(least, most);
    std::array::from_fn(|w| liked[w].clamp(all.least[w], all.most[w]))
}

fn sum(values: [u32; 4], all: &Range) -> f64 {
    nova_parts(values, all.least, all.most).into_iter().sum()
}

/// The first node of a block's word with the highest sum of weights, and that sum.
fn look(state: &State, block: usize, word: u64, all: &Range) -> Option<(f64, NodeId)> {
    let mut best: Option<(f64, NodeId)> = None;
    for lane in lanes(word) {
        let node = node_of(block, lane);
        let found = sum(weighed(state, node), all);
        if best.is_none_or(|(most, _)| found > most) {
            best = Some((found, node));
        }
    }
    best
}

/// The use of every node, and what TOPSIS needs of all of them together.
#[derive(Clone, Debug)]
pub(crate) struct Uses {
    seen: Option<u64>,
    blocks: Vec<UsesOf>,
    square_parts: [u64; 2],
    up: u64,
    /// Scratch: the criteria of every node, block by block.
    criteria: Vec<[[f64; LANES]; 4]>,
}

/// The use of the nodes of a block.
#[derive(Clone, Debug)]
struct UsesOf {
    /// Shares by node; 0 for nodes that are not up.
    used: [[f64; LANES]; 2],
    /// The highest of them.
    highest: [f64; 2],
    /// A bit for each node that is up.
    up: u64,
}

impl Uses {
    pub(crate) fn new(blocks: usize) -> Self {
        let none = UsesOf {
            used: [[0.0; LANES]; 2],
            highest: [0.0; 2],
            up: 0,
        };
        Self {
            seen: None,
            blocks: vec![none; blocks],
            square_parts: [0; 2],
            up: 0,
            criteria: vec![[[0.0; LANES]; 4]; blocks],
        }
    }

    /// Brings the uses up to date.
    pub(crate) fn refresh(&mut self, state: &State, journal: &Journal) {
        let seen = self.seen.replace(journal.revision());
        match seen.and_then(|seen| journal.since(seen)) {
            Some(nodes) => nodes.for_each(|node| self.update(state, node)),
            None => state
                .grid
                .node_ids()
                .for_each(|node| self.update(state, node)),
        }
    }

    fn update(&mut self, state: &State, node: NodeId) {
        let (block, lane) = (node.index() / LANES, node.index() % LANES);
        let block = &mut self.blocks[block];
        let up = state.state(node) == NodeState::Up;
        self.up -= block.up >> lane & 1;
        self.up += u64::from(up);
        block.up = block.up & !(1 << lane) | u64::from(up) << lane;
        for (r, d) in READ.into_iter().enumerate() {
            let old = block.used[r][lane];
            let new = if up { used(state, node, d) } else { 0.0 };
            block.used[r][lane] = new;
            self.square_parts[r] -= square_parts(old);
            self.square_parts[r] += square_parts(new);
            if new >= block.highest[r] {
                block.highest[r] = new;
            } else if old == block.highest[r] {
                block.highest[r] = block.used[r].iter().copied().fold(0.0, f64::max);
            }
        }
    }

    /// The node of `words` whose alternative is nearest to the ideal.
    pub(crate) fn best(&mut self, state: &State, shape: &Shape, words: &[u64]) -> Option<NodeId> {
        let mut highest = [0.0_f64; 2];
        for block in &self.blocks {
            for (most, here) in highest.iter_mut().zip(block.highest) {
                *most = most.max(here);
            }
        }
        let before = Before::new(self.square_parts, highest, self.up);
        let mut columns = [Column::EMPTY; 4];
        for (block, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let rows = &mut self.criteria[block];
            let more = asked(state, shape, block);
            for r in 0..2 {
                let [mean, highest] = &mut rows[2 * r..2 * r + 2] else {
                    unreachable!("there are four rows")
                };
                let used = &self.blocks[block].used[r];
                for lane in 0..LANES {
                    (mean[lane], highest[lane]) = before.criteria(r, used[lane], more[r][lane]);
                }
            }
            for (column, row) in columns.iter_mut().zip(rows) {
                add(column, row, *word);
            }
        }
        if all_equal(&columns) {
            let first = words.iter().enumerate().find(|(_, word)| **word != 0);
            return first.map(|(block, word)| node_of(block, word.trailing_zeros() as usize));
        }
        let factors = factors(&columns);
        let mut best = (u64::MAX, None);
        for (block, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let rows = &self.criteria[block];
            let mut keys = [0; LANES];
            for (lane, key) in keys.iter_mut().enumerate() {
                let row = [rows[0][lane], rows[1][lane], rows[2][lane], rows[3][lane]];
                // Bits of numbers from 0 up are in the numbers' order.
                *key = remoteness(row, &columns, &factors).to_bits();
            }
            if *word != !0 {
                for lane in lanes(!word) {
                    keys[lane] = u64::MAX;
                }
            }
            let (key, lane) = least(&keys);
            if key < best.0 {
                best = (key, Some(node_of(block, usize::from(lane))));
            }
        }
        best.1
    }
}

/// What a shape asks of each node of a block, as shares of the node.
fn asked(state: &State, shape: &Shape, block: usize) -> [[f64; LANES]; 2] {
    let block = &state.blocks[block];
    READ.map(|d| match block.one_kind {
        Some(kind) => [share(shape.asks[kind as usize].share[d]); LANES],
        None => block
            .kind
            .map(|kind| share(shape.asks[kind as usize].share[d])),
    })
}

/// Enters the criteria of a block's nodes that have a bit in `word`, which is not 0.
fn add(column: &mut Column, row: &mut [f64; LANES], word: u64) {
    // The others are given the criterion of one that has a bit, whose squares are then taken away
    // again: they are exact, and the loops stay straight.
    let stand_in = row[word.trailing_zeros() as usize];
    if word != !0 {
        for lane in lanes(!word) {
            row[lane] = stand_in;
        }
    }
    let mut squares = [0.0; 4];
    let (mut best, mut worst) = ([f64::INFINITY; 4], [0.0; 4]);
    for four in row.chunks_exact(4) {
        for i in 0..4 {
            squares[i] += squared(four[i]);
            best[i] = if four[i] < best[i] { four[i] } else { best[i] };
            worst[i] = if four[i] > worst[i] {
                four[i]
            } else {
                worst[i]
            };
        }
    }
    let others = f64::from(word.count_zeros());
    column.squares += squares.iter().sum::<f64>() - others * squared(stand_in);
    column.best = best.into_iter().fold(column.best, f64::min);
    column.worst = worst.into_iter().fold(column.worst, f64::max);
}

//! The fast search: what each block of 64 nodes has best for a shape, brought up to date only where
//! nodes changed since that shape was last decided.
//!
//! ```text
//!  place, release, set_state ──note──▶ journal of changed nodes, revision r
//!                                          │ entries from `seen` to r
//!  decide(shape) ──▶ minima of the shape ◀─┘
//!        nodes      ████████████████ … 64 a block, keys not kept
//!        blocks     lower bound of each block's keys, and the node that has it, if known
//!        regions    least bound of 64 blocks
//! ```
//!
//! After Protean's journal (Hadary et al., OSDI 2020). An entry costs one evaluation. Where a
//! block's best node got worse, its key stays as a bound, and the block is looked through only once
//! that bound is the least of all: under best fit one or two blocks a decision.

use crate::score::{REFUSED, Score, evaluate, evaluate_block, least, raw_key};
use crate::shape::Shape;
use crate::state::{LANES, State};
use model::id::NodeId;

/// Entries of the journal per block beyond which a shape looks through all stale blocks instead: an
/// entry costs about a sixteenth of a block's scan, and by then nearly every block is stale.
const ENTRIES_PER_BLOCK: usize = 8;

/// The least length of the journal, so that small grids profit from it too.
const LEAST_ENTRIES: usize = 64;

/// Nodes in the order in which they changed; the last ones.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    /// Entry `r` is at `r % ring.len()`, a power of two.
    ring: Vec<u32>,
    revision: u64,
    /// The revision of each block's last change.
    stamps: Vec<u64>,
}

impl Journal {
    pub(crate) fn new(blocks: usize) -> Self {
        let entries = (blocks * ENTRIES_PER_BLOCK).max(LEAST_ENTRIES);
        Self {
            ring: vec![0; entries.next_power_of_two()],
            revision: 0,
            stamps: vec![0; blocks],
        }
    }

    /// A node changed.
    pub(crate) fn note(&mut self, node: NodeId) {
        let place = self.revision as usize & (self.ring.len() - 1);
        self.ring[place] = node.0;
        self.revision += 1;
        self.stamps[node.index() / LANES] = self.revision;
    }

    /// How many changes there were.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The nodes that changed since a revision; `None` where they are no longer known one by one.
    pub(crate) fn since(&self, seen: u64) -> Option<impl Iterator<Item = NodeId> + '_> {
        let known = self.revision - seen <= self.ring.len() as u64;
        let node = |entry: u64| NodeId(self.ring[entry as usize & (self.ring.len() - 1)]);
        known.then(|| (seen..self.revision).map(node))
    }

    /// Whether a block changed since a revision.
    pub(crate) fn changed(&self, block: usize, seen: u64) -> bool {
        self.stamps[block] > seen
    }
}

/// What is known of the best node of a block, or of the best block of a region.
#[derive(Clone, Copy, Debug)]
struct Least {
    /// No key of the block is lower.
    bound: u64,
    /// The first node with that key, if one is known to have it. Where the best node got worse the
    /// block is not looked through until its bound is the least of all: most never are.
    place: Option<u8>,
}

impl Least {
    fn of(keys: &[u64; LANES]) -> Self {
        let (bound, place) = least(keys);
        Self {
            bound,
            place: Some(place),
        }
    }
}

/// The best key of each block for one shape.
#[derive(Clone, Debug)]
pub(crate) struct Minima {
    seen: Option<u64>,
    blocks: Vec<Least>,
    /// The least bound of 64 blocks, and the first block that has it.
    regions: Vec<(u64, u8)>,
}

impl Minima {
    pub(crate) fn new(blocks: usize) -> Self {
        let unknown = Least {
            bound: u64::MAX,
            place: None,
        };
        Self {
            seen: None,
            blocks: vec![unknown; blocks],
            regions: vec![(u64::MAX, 0); blocks.div_ceil(LANES)],
        }
    }

    /// Brings the bounds up to date.
    pub(crate) fn refresh<S: Score>(
        &mut self,
        score: &S,
        state: &State,
        shape: &Shape,
        journal: &Journal,
    ) {
        let seen = self.seen.replace(journal.revision);
        let behind = seen.map(|seen| journal.revision - seen);
        match behind {
            Some(behind) if behind <= journal.ring.len() as u64 => {
                for entry in journal.revision - behind..journal.revision {
                    let node = journal.ring[entry as usize & (journal.ring.len() - 1)];
                    self.update(score, state, shape, NodeId(node));
                }
            }
            _ => {
                for block in 0..self.blocks.len() {
                    if seen.is_none_or(|seen| journal.stamps[block] > seen) {
                        let keys = evaluate_block(score, state, shape, block);
                        self.blocks[block] = Least::of(&keys);
                    }
                }
                for region in 0..self.regions.len() {
                    self.scan_region(region);
                }
            }
        }
    }

    /// The best node of all and its key; a key of refusal where none fits.
    pub(crate) fn best<S: Score>(
        &mut self,
        score: &S,
        state: &State,
        shape: &Shape,
    ) -> (u64, NodeId) {
        loop {
            let mut best = (u64::MAX, 0);
            for (region, &(bound, place)) in self.regions.iter().enumerate() {
                if bound < best.0 {
                    best = (bound, region * LANES + place as usize);
                }
            }
            let (bound, block) = best;
            if bound == u64::MAX {
                return (u64::MAX, NodeId(0));
            }
            if let Some(lane) = self.blocks[block].place {
                return (bound, NodeId((block * LANES) as u32 + u32::from(lane)));
            }
            // Every round makes one block known, so there are at most as many as blocks.
            self.blocks[block] = Least::of(&evaluate_block(score, state, shape, block));
            self.scan_region(block / LANES);
        }
    }

    /// The best node among those with a bit in `allowed`, which has a word for each block.
    pub(crate) fn best_of<S: Score>(
        &self,
        score: &S,
        state: &State,
        shape: &Shape,
        allowed: &[u64],
    ) -> (u64, NodeId) {
        let mut best = (u64::MAX, NodeId(0));
        for (block, (&word, whole)) in allowed.iter().zip(&self.blocks).enumerate() {
            // What is allowed is never better than the whole block's best.
            if word == 0 || whole.bound >= best.0 {
                continue;
            }
            let (key, lane) = match whole.place.filter(|lane| word >> lane & 1 == 1) {
                Some(lane) => (whole.bound, lane),
                None => {
                    let mut keys = evaluate_block(score, state, shape, block);
                    for (lane, key) in keys.iter_mut().enumerate() {
                        if word >> lane & 1 == 0 {
                            *key = u64::MAX;
                        }
                    }
                    least(&keys)
                }
            };
            if key < best.0 {
                best = (key, NodeId((block * LANES) as u32 + u32::from(lane)));
            }
        }
        best
    }

    #[inline]
    fn update<S: Score>(&mut self, score: &S, state: &State, shape: &Shape, node: NodeId) {
        let (block, lane) = (node.index() / LANES, (node.index() % LANES) as u8);
        let old = self.blocks[block];
        // Mostly the node is neither the block's best nor better; to see that, its key is enough.
        if S::STRAIGHT
            && old.place != Some(lane)
            && old.bound < REFUSED
            && raw_key(score, state, shape, node) > old.bound
        {
            return;
        }
        let key = evaluate(score, state, shape, node);
        let least = match old.place {
            _ if key < old.bound => Least {
                bound: key,
                place: Some(lane),
            },
            Some(best) if key == old.bound && lane < best => Least {
                place: Some(lane),
                ..old
            },
            Some(best) if key > old.bound && lane == best => Least { place: None, ..old },
            _ => return,
        };
        self.blocks[block] = least;
        let (region, place) = (block / LANES, (block % LANES) as u8);
        if (least.bound, place) < self.regions[region] {
            self.regions[region] = (least.bound, place);
        }
    }

    fn scan_region(&mut self, region: usize) {
        let first = region * LANES;
        let blocks = &self.blocks[first..self.blocks.len().min(first + LANES)];
        let mut best = (u64::MAX, 0);
        for (place, block) in blocks.iter().enumerate() {
            if block.bound < best.0 {
                best = (block.bound, place as u8);
            }
        }
        self.regions[region] = best;
    }
}

/// The nodes that a shape fits, a bit each, counted; for policies that draw lots or look at all.
#[derive(Clone, Debug)]
pub(crate) struct Fitting {
    seen: Option<u64>,
    words: Vec<u64>,
    total: u32,
}

impl Fitting {
    pub(crate) fn new(blocks: usize) -> Self {
        Self {
            seen: None,
            words: vec![0; blocks],
            total: 0,
        }
    }

    /// Brings the bits up to date.
    pub(crate) fn refresh(&mut self, state: &State, shape: &Shape, journal: &Journal) {
        let seen = self.seen.replace(journal.revision);
        let behind = seen.map(|seen| journal.revision - seen);
        match behind {
            Some(behind) if behind <= journal.ring.len() as u64 => {
                for entry in journal.revision - behind..journal.revision {
                    let node = journal.ring[entry as usize & (journal.ring.len() - 1)];
                    let fits = evaluate(&crate::score::First, state, shape, NodeId(node)) < REFUSED;
                    let word = &mut self.words[node as usize / LANES];
                    let lane = node as usize % LANES;
                    self.total -= (*word >> lane & 1) as u32;
                    self.total += u32::from(fits);
                    *word = *word & !(1 << lane) | u64::from(fits) << lane;
                }
            }
            _ => {
                for (block, word) in self.words.iter_mut().enumerate() {
                    if seen.is_none_or(|seen| journal.stamps[block] > seen) {
                        let keys = evaluate_block(&crate::score::First, state, shape, block);
                        let fits = keys.iter().enumerate();
                        let fits = fits.map(|(lane, key)| u64::from(*key < REFUSED) << lane);
                        let fits = fits.fold(0, |word, bit| word | bit);
                        self.total -= word.count_ones();
                        self.total += fits.count_ones();
                        *word = fits;
                    }
                }
            }
        }
    }

    /// A bit for each node that fits, block by block.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many nodes fit.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

/// The node of the bit with so many set bits before it.
///
/// # Panics
/// Where there are not so many bits.
pub(crate) fn ranked(words: &[u64], rank: u32) -> NodeId {
    let mut left = rank;
    for (block, &word) in words.iter().enumerate() {
        let here = word.count_ones();
        if left < here {
            let mut word = word;
            for _ in 0..left {
                word &= word - 1;
            }
            return NodeId((block * LANES) as u32 + word.trailing_zeros());
        }
        left -= here;
    }
    unreachable!("a rank is below the number of bits")
}

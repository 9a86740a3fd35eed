//! Why a VM is where it is, in short: what is kept of a decision.

use crate::filter::Filter;
use crate::group::Groups;
use crate::index::Journal;
use crate::naive::Scene;
use crate::score::{First, evaluate, refusal};
use crate::shape::Shape;
use crate::state::{LANES, Request, State};
use model::grid::Grid;
use model::id::NodeId;
use serde::{Deserialize, Serialize};

/// A decision in short: nodes are counted, and not named but for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The policy's name.
    pub policy: String,
    /// How many nodes would have taken the VM, the one that did among them.
    pub fitting: u32,
    /// The next best node; `None`: no other would have taken it, or the policy draws lots or compares
    /// all nodes at once, so that there is no second place.
    pub runner_up: Option<NodeId>,
    /// How many nodes each filter refused that passed all filters before it, in their order.
    pub refused: Vec<(Filter, u32)>,
}

/// The code of a node that fits.
const FITS: usize = Filter::ALL.len();

/// What keeps a shape off each node, counted, and brought up to date where nodes changed.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    seen: Option<u64>,
    /// By node: the place of the first filter that refuses it, or [`FITS`].
    codes: Vec<u8>,
    counts: Counts,
}

pub(crate) type Counts = [u32; FITS + 1];

impl Refusals {
    pub(crate) fn new(nodes: usize) -> Self {
        let mut counts = [0; FITS + 1];
        counts[FITS] = nodes as u32;
        Self {
            seen: None,
            codes: vec![FITS as u8; nodes],
            counts,
        }
    }

    /// Brings the counts up to date.
    pub(crate) fn refresh(&mut self, state: &State, shape: &Shape, journal: &Journal) {
        let seen = self.seen.replace(journal.revision());
        match seen.and_then(|seen| journal.since(seen)) {
            Some(nodes) => nodes.for_each(|node| self.update(state, shape, node)),
            None => {
                for block in 0..state.blocks.len() {
                    if seen.is_none_or(|seen| journal.changed(block, seen)) {
                        let first = block * LANES;
                        let last = self.codes.len().min(first + LANES);
                        let nodes = (first..last).map(|node| NodeId(node as u32));
                        nodes.for_each(|node| self.update(state, shape, node));
                    }
                }
            }
        }
    }

    fn update(&mut self, state: &State, shape: &Shape, node: NodeId) {
        let refused = refusal(evaluate(&First, state, shape, node));
        let code = refused.map_or(FITS, Filter::order);
        let before = std::mem::replace(&mut self.codes[node.index()], code as u8);
        self.counts[usize::from(before)] -= 1;
        self.counts[code] += 1;
    }

    /// Nodes by what keeps a request off them, of those with a bit in `among` where that is given.
    pub(crate) fn count(
        &self,
        scene: Scene<'_>,
        request: Request<'_>,
        among: Option<&[u64]>,
        allowed: &[u64],
    ) -> Counts {
        let (groups, grid) = (scene.groups, &scene.state.grid);
        let mut counts = self.counts;
        if among.is_none() && !groups.bind(request.groups) {
            return counts;
        }
        for (block, allowed) in allowed.iter().enumerate() {
            let mut others = !allowed;
            while others != 0 {
                let lane = others.trailing_zeros() as usize;
                others &= others - 1;
                let Some(code) = self.codes.get(block * LANES + lane) else {
                    break;
                };
                let code = usize::from(*code);
                counts[code] -= 1;
                if among.is_none_or(|among| among[block] >> lane & 1 == 1) {
                    let node = NodeId((block * LANES + lane) as u32);
                    counts[grouped(groups, grid, request, node, code)] += 1;
                }
            }
        }
        counts
    }
}

/// The code of a node that groups keep a request off: filters that come before theirs stand.
fn grouped(groups: &Groups, grid: &Grid, request: Request<'_>, node: NodeId, code: usize) -> usize {
    let refused = groups.refusal(request.groups, grid, node);
    refused.map_or(code, |filter| code.min(filter.order()))
}

/// How many nodes fit, and how many each filter refused.
pub(crate) fn told(counts: &Counts) -> (u32, Vec<(Filter, u32)>) {
    let refused = Filter::ALL.into_iter().zip(*counts);
    let refused = refused.filter(|(_, count)| *count > 0);
    (counts[FITS], refused.collect())
}

//! A planner that is kept from one plan to the next, and brought up to date where nodes differ.
//!
//! ```text
//!  plan(view 1) ── nodes of view 2 that are not view 1's own ──▶ seated anew ── plan(view 2)
//! ```
//!
//! What a round has taken is given back when it is over, so that between two plans the placer has
//! what runs in the last view and nothing else. What of a plan comes true comes back with a view.

use super::seat::seats;
use super::stage::{Placed, Stage};
use super::{MAX_ROUNDS, Planned, Reasoned, Unplaced};
use crate::assign::{AssignError, Kinds, assign_on};
use crate::placer::{Placer, Search};
use crate::policy::Policy;
use crate::state::{LANES, ShapeId};
use model::assignment::Assignment;
use model::grid::{Grid, NodeState};
use model::id::{HypervisorId, NodeId};
use model::topology::Topology;
use model::view::{NodeViews, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shapes that are known before all are forgotten: what is kept of each is about 20 KiB on 10,000
/// nodes, and to look at them all for one that was forgotten takes as long as some dozen decisions.
const MOST_SHAPES: usize = 1_024;

/// Plans on one grid under one policy.
#[derive(Clone, Debug)]
pub struct Planner {
    placer: Placer,
    seed: u64,
    kinds: Kinds,
    /// A bit for each node that a hypervisor rules, by [`HypervisorId`].
    ruled: Vec<Vec<u64>>,
    /// Whom the placer has on which node.
    seated: NodeViews,
}

/// Nodes that may be chosen: to all others a node is as if it took no VMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// Those of this hypervisor.
    pub hypervisor: HypervisorId,
    /// But for these.
    pub except: Vec<NodeId>,
    /// Where it is given, this one alone.
    pub only: Option<NodeId>,
}

impl Within {
    fn holds(&self, grid: &Grid, node: NodeId) -> bool {
        let is_ruled = grid.class_of(node).hypervisor == self.hypervisor;
        is_ruled && !self.except.contains(&node) && self.only.is_none_or(|only| only == node)
    }
}

impl Planner {
    /// A planner that has seen no view yet; `seed` feeds policies that draw lots, for each plan anew.
    pub fn new(grid: Arc<Grid>, policy: Policy, seed: u64) -> Self {
        let mut ruled = vec![vec![0; grid.nodes.len().div_ceil(LANES)]; grid.hypervisors.len()];
        for node in grid.node_ids() {
            let words = &mut ruled[grid.class_of(node).hypervisor.index()];
            words[node.index() / LANES] |= 1 << (node.index() % LANES);
        }
        Self {
            kinds: Kinds::of(&grid),
            ruled,
            seed,
            seated: View::empty(Arc::clone(&grid)).nodes,
            placer: Placer::new(grid, policy, Search::Indexed, seed),
        }
    }

    /// The logical step on this grid; see [`crate::assign::assign`].
    ///
    /// # Errors
    /// What no empty grid of this kind could run, with a hint.
    pub fn assign(&self, topology: &Topology) -> Result<Assignment, AssignError> {
        assign_on(topology, self.placer.grid(), &self.kinds)
    }

    /// The plan that [`super::plan()`] makes of the same view, with its reasons.
    ///
    /// # Errors
    /// The VM that found no node, with the explanation and a hint.
    pub fn explain(&mut self, assignment: &Assignment, view: &View) -> Result<Planned, Unplaced> {
        let (mut stage, placed, rounds) = self.settle(assignment, view)?;
        Ok(stage.finish(placed, rounds))
    }

    /// The same plan, with its reasons in short: its cost does not grow with the grid, but for what changed in the view
    /// since the last plan, and for a policy whose scores depend on all nodes at once.
    ///
    /// # Errors
    /// The VM that found no node, with the explanation and a hint, for which all nodes are looked at.
    pub fn plan(&mut self, assignment: &Assignment, view: &View) -> Result<Reasoned, Unplaced> {
        let (mut stage, placed, _) = self.settle(assignment, view)?;
        Ok(stage.conclude(placed))
    }

    /// The plan that [`Self::plan`] makes where all nodes but some take no VMs.
    ///
    /// # Errors
    /// The VM that found no node, with the explanation and a hint, for which all nodes are looked at.
    pub fn plan_within(
        &mut self,
        assignment: &Assignment,
        view: &View,
        within: &Within,
    ) -> Result<Reasoned, Unplaced> {
        let is_plain = assignment.groups.is_empty()
            && assignment.vms.iter().all(|vm| vm.remote_disk_gib == 0)
            && !matches!(self.placer.policy(), Policy::Topsis);
        if is_plain {
            let among = self.among(within);
            let mut stage = self.stage(assignment, view);
            match stage.round(Some(&among)) {
                Ok(placed) => return Ok(stage.conclude(placed)),
                Err(refusal) => stage.clear(&refusal.placed),
            }
        }
        // Why it cannot be, or how it can after all, is told of a view in which it is so.
        let mut closed = view.clone();
        for node in view
            .grid
            .node_ids()
            .filter(|node| !within.holds(&view.grid, *node))
        {
            closed.nodes[node.index()].state = NodeState::Cordoned;
        }
        self.plan(assignment, &closed)
    }

    /// The rounds until all are placed.
    fn settle<'a>(
        &'a mut self,
        assignment: &'a Assignment,
        view: &'a View,
    ) -> Result<(Stage<'a>, Vec<Placed>, u32), Unplaced> {
        let mut stage = self.stage(assignment, view);
        let mut first_refusal = None;
        for round in 1..=MAX_ROUNDS {
            let refusal = match stage.round(None) {
                Ok(placed) => return Ok((stage, placed, round)),
                Err(refusal) => refusal,
            };
            let unplaced = first_refusal.get_or_insert_with(|| stage.unplaced(&refusal));
            let changed = stage.rearrange(&refusal);
            stage.clear(&refusal.placed);
            if !changed {
                return Err(unplaced.clone());
            }
        }
        Err(first_refusal.expect("every round before was refused"))
    }

    /// All that runs in the view on its nodes, and nothing decided yet.
    fn stage<'a>(&'a mut self, assignment: &'a Assignment, view: &'a View) -> Stage<'a> {
        if !Arc::ptr_eq(self.placer.grid(), &view.grid) {
            let policy = self.placer.policy().clone();
            *self = Self::new(Arc::clone(&view.grid), policy, self.seed);
        }
        let placer = &mut self.placer;
        if placer.shapes.len() > MOST_SHAPES {
            placer.forget_shapes();
        }
        for node in self.seated.unshared(&view.nodes) {
            let node = NodeId(node as u32);
            placer.seat(node, &seats(&view.grid, node, &view.nodes[node.index()]));
        }
        self.seated = view.nodes.clone();
        placer.begin(self.seed);
        let shapes = assignment.vms.iter().map(|vm| placer.shape(&vm.spec));
        let shapes: Vec<ShapeId> = shapes.collect();
        if placer.policy().reads_mix() {
            set_mix(placer, view, &shapes);
        }
        Stage::new(assignment, view, placer, shapes)
    }

    fn among(&self, within: &Within) -> Vec<u64> {
        let ruled = &self.ruled[within.hypervisor.index()];
        let mut among = match within.only {
            None => ruled.clone(),
            Some(only) => {
                let mut words = vec![0; ruled.len()];
                let (word, bit) = (only.index() / LANES, 1 << (only.index() % LANES));
                words[word] = ruled[word] & bit;
                words
            }
        };
        for node in &within.except {
            among[node.index() / LANES] &= !(1 << (node.index() % LANES));
        }
        among
    }
}

/// What is typical is what runs and what is to come.
fn set_mix(placer: &mut Placer, view: &View, shapes: &[ShapeId]) {
    let mut weights: BTreeMap<ShapeId, u64> = BTreeMap::new();
    // Equal VMs share their shape, so it is looked up once for all of them.
    let mut known = BTreeMap::new();
    for vm in view.nodes.iter().flat_map(|node| &node.vms) {
        let shape = known
            .entry(Arc::as_ptr(&vm.spec))
            .or_insert_with(|| placer.shape(&vm.spec));
        *weights.entry(*shape).or_insert(0) += 1;
    }
    for shape in shapes {
        *weights.entry(*shape).or_insert(0) += 1;
    }
    let weights: Vec<(ShapeId, u64)> = weights.into_iter().collect();
    placer.set_mix(&weights);
}

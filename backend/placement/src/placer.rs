//! State and policy together: decide, place, release.

use crate::chance::Chance;
use crate::filter::Filter;
use crate::group::Groups;
use crate::mix::{Fragmenting, Mix};
use crate::naive::Scene;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::rule::key::CompiledChain;
use crate::score::{First, REFUSED, Spot, evaluate};
use crate::search::Index;
use crate::shape::Shape;
use crate::state::{Devices, Request, Seats, ShapeId, State, WIDTH};
use model::grid::{Grid, NodeState};
use model::id::{GroupId, NodeId};
use model::plan::Loan;
use model::units::Resources;
use model::vm::{GroupRule, VmSpec};
use std::collections::HashMap;
use std::sync::Arc;

/// How nodes are searched; both give the same decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The policy's fast path.
    #[default]
    Indexed,
    /// Every node, every time: the oracle.
    Naive,
}

/// Where a VM goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The node.
    pub node: NodeId,
    /// Which of its accelerators.
    pub devices: Devices,
}

/// Decides where VMs go, and keeps what is free.
#[derive(Clone, Debug)]
pub struct Placer {
    policy: Policy,
    search: Search,
    chance: Chance,
    pub(crate) state: State,
    pub(crate) groups: Groups,
    pub(crate) shapes: Vec<Shape>,
    /// Looked up only, never walked, so its order is not seen.
    by_spec: HashMap<VmSpec, ShapeId>,
    pub(crate) mix: Mix,
    /// The policy's chain made ready for the grid, where it is one.
    chain: Option<CompiledChain>,
    index: Index,
}

impl Placer {
    /// An empty grid under a policy; `seed` feeds policies that draw lots.
    pub fn new(grid: Arc<Grid>, policy: Policy, search: Search, seed: u64) -> Self {
        let groups = Groups::new(&grid);
        let chain = match &policy {
            Policy::Chain(chain) => Some(chain.compile(&grid)),
            _ => None,
        };
        let state = State::new(grid);
        Self {
            chain,
            policy,
            search,
            chance: Chance::new(seed),
            index: Index::new(state.blocks.len()),
            state,
            groups,
            shapes: Vec::new(),
            by_spec: HashMap::new(),
            mix: Mix::default(),
        }
    }

    /// The grid whose nodes are decided on.
    pub fn grid(&self) -> &Arc<Grid> {
        &self.state.grid
    }

    /// The rule of decision.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Makes a shape known; equal shapes give the same id. Do this before the run, once a shape.
    pub fn shape(&mut self, spec: &VmSpec) -> ShapeId {
        if let Some(known) = self.by_spec.get(spec) {
            return *known;
        }
        let id = ShapeId(self.shapes.len() as u32);
        self.shapes.push(Shape::new(spec, &self.state));
        self.by_spec.insert(spec.clone(), id);
        id
    }

    /// What a shape is.
    pub fn spec(&self, shape: ShapeId) -> &VmSpec {
        &self.shapes[shape.0 as usize].spec
    }

    /// Makes a group known, without members.
    pub fn group(&mut self, rule: GroupRule) -> GroupId {
        self.groups.add(rule)
    }

    /// Tells what shapes are typical, with weights in any unit, such as how often each arrives.
    ///
    /// Stranding and fragmentation are reckoned by this mix; without one they are 0. A weight under
    /// 1 part in [`crate::mix::MIX_PARTS`] of the sum does not count.
    pub fn set_mix(&mut self, weights: &[(ShapeId, u64)]) {
        self.mix = Mix::new(weights, &self.shapes, self.state.kinds.len());
        self.index.forget();
    }

    /// What a VM of this shape takes of a node; nothing where it is not legal on the node's model.
    pub fn demand(&self, shape: ShapeId, node: NodeId) -> Resources {
        self.shapes[shape.0 as usize].asks[self.state.kind(node)].resources()
    }

    /// What a node has free.
    pub fn free(&self, node: NodeId) -> Resources {
        self.state.free(node)
    }

    /// What a node has when it is empty.
    pub fn capacity(&self, node: NodeId) -> Resources {
        self.state.grid.class_of(node).capacity
    }

    /// Free thousandths of each of a node's accelerators.
    pub fn devices(&self, node: NodeId) -> &[u16] {
        self.state.devices(node)
    }

    /// How many VMs a node has.
    pub fn vms(&self, node: NodeId) -> u32 {
        self.state.vms(node)
    }

    /// Busy thousandths of cores that are expected of a node's VMs.
    pub fn expected_load_milli(&self, node: NodeId) -> u64 {
        let (block, lane) = self.state.block(node);
        block.tally[lane].load_milli
    }

    /// Whether a node takes VMs.
    pub fn state(&self, node: NodeId) -> NodeState {
        self.state.state(node)
    }

    /// Whether a node would take a VM of this shape that belongs to no group.
    pub fn fits(&self, shape: ShapeId, node: NodeId) -> bool {
        let shape = &self.shapes[shape.0 as usize];
        evaluate(&First, &self.state, shape, node) < REFUSED
    }

    /// The part of the typical mix that does not fit a node as it is, in parts of
    /// [`crate::mix::MIX_PARTS`]: times what is free, it is what is stranded there (Weng et al.,
    /// USENIX ATC 2023). Whole numbers, so that sums over nodes can be kept exactly.
    pub fn unusable_parts(&self, node: NodeId) -> u32 {
        let (block, lane) = self.state.block(node);
        let free: [u32; WIDTH] = std::array::from_fn(|c| block.free[c][lane]);
        self.mix.unusable(block.kind[lane] as usize, &free)
    }

    /// Chooses a node without taking it.
    ///
    /// # Errors
    /// The first filter, in their order, after which no node was left.
    pub fn decide(&mut self, request: Request<'_>) -> Result<Decision, Filter> {
        // Not by a method: the index is borrowed beside it.
        let scene = Scene {
            state: &self.state,
            groups: &self.groups,
            shapes: &self.shapes,
            mix: &self.mix,
            chain: self.chain.as_ref(),
        };
        let node = match self.search {
            Search::Indexed => self
                .index
                .decide(scene, &self.policy, &mut self.chance, request),
            Search::Naive => scene.decide(&self.policy, &mut self.chance, request),
        }?;
        Ok(Decision {
            node,
            devices: self.devices_for(request.shape, node),
        })
    }

    /// As [`Self::decide`] on a grid of which only some nodes are open: those with a bit in `among`,
    /// which has a word for each block. The refusal does not say which filter it was.
    ///
    /// Not for policies that reckon with nodes which they do not take, as TOPSIS does.
    pub(crate) fn decide_among(
        &mut self,
        request: Request<'_>,
        among: Option<&[u64]>,
    ) -> Result<Decision, Filter> {
        let scene = Scene {
            state: &self.state,
            groups: &self.groups,
            shapes: &self.shapes,
            mix: &self.mix,
            chain: self.chain.as_ref(),
        };
        let index = &mut self.index;
        let node = index.decide_among(scene, &self.policy, &mut self.chance, request, among)?;
        Ok(Decision {
            node,
            devices: self.devices_for(request.shape, node),
        })
    }

    /// The reason of a decision that was made just before, and is not taken yet.
    pub(crate) fn reason(
        &mut self,
        request: Request<'_>,
        among: Option<&[u64]>,
        decision: &Decision,
    ) -> Reason {
        let scene = Scene {
            state: &self.state,
            groups: &self.groups,
            shapes: &self.shapes,
            mix: &self.mix,
            chain: self.chain.as_ref(),
        };
        let index = &mut self.index;
        index.reason(scene, &self.policy, decision.node, request, among)
    }

    /// Begins anew but for what is on the nodes: no groups, and lots from a seed.
    pub(crate) fn begin(&mut self, seed: u64) {
        self.groups.clear();
        self.chance = Chance::new(seed);
    }

    /// Forgets all shapes, whose ids are given anew.
    pub(crate) fn forget_shapes(&mut self) {
        self.shapes.clear();
        self.by_spec.clear();
        self.index.forget();
    }

    /// Puts a node into another state as a whole.
    pub(crate) fn seat(&mut self, node: NodeId, seats: &Seats) {
        if self.state.seat(node, seats) {
            self.index.note(node);
        }
    }

    /// What the oracle looks at.
    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            state: &self.state,
            groups: &self.groups,
            shapes: &self.shapes,
            mix: &self.mix,
            chain: self.chain.as_ref(),
        }
    }

    /// The decision that is due, by the oracle, drawing no lots from the placer's own.
    pub(crate) fn would_choose(&self, request: Request<'_>) -> Option<Decision> {
        let mut chance = self.chance.clone();
        let node = self.scene().decide(&self.policy, &mut chance, request);
        node.ok().map(|node| Decision {
            node,
            devices: self.devices_for(request.shape, node),
        })
    }

    /// The devices that a VM gets of a node that it fits.
    fn devices_for(&self, shape: ShapeId, node: NodeId) -> Devices {
        let (block, lane) = self.state.block(node);
        let ask = &self.shapes[shape.0 as usize].asks[block.kind[lane] as usize];
        if ask.accelerators.is_none() {
            return Devices::new();
        }
        if self.policy == Policy::FragmentationGradient {
            let spot = Spot {
                node,
                block,
                lane,
                ask,
            };
            let score = Fragmenting {
                state: &self.state,
                mix: &self.mix,
            };
            return score.best_devices(spot);
        }
        let chosen = ask.choose_devices(self.state.devices(node));
        chosen.expect("the node was found to have the devices")
    }

    /// Takes what a decision named.
    ///
    /// # Panics
    /// Where the node has less than the VM asks for.
    pub fn place(&mut self, request: Request<'_>, decision: &Decision) {
        let node = decision.node;
        let ask = &self.shapes[request.shape.0 as usize].asks[self.state.kind(node)];
        self.state.take(node, ask, &decision.devices);
        self.groups.join(request.groups, &self.state.grid, node);
        self.index.note(node);
    }

    /// Gives back what a VM had.
    ///
    /// # Panics
    /// Where the VM was not there, as far as that shows.
    pub fn release(&mut self, request: Request<'_>, decision: &Decision) {
        let node = decision.node;
        let ask = &self.shapes[request.shape.0 as usize].asks[self.state.kind(node)];
        self.state.give_back(node, ask, &decision.devices);
        self.groups.leave(request.groups, &self.state.grid, node);
        self.index.note(node);
    }

    /// Takes disk space of a node for a VM of another.
    ///
    /// # Panics
    /// Where the node has less free.
    pub fn lend(&mut self, loan: &Loan) {
        self.state.lend(loan.node, loan.size_gib);
        self.index.note(loan.node);
    }

    /// Gives back what [`Self::lend`] took.
    ///
    /// # Panics
    /// Where the node would have more than its capacity.
    pub fn take_back(&mut self, loan: &Loan) {
        self.state.take_back(loan.node, loan.size_gib);
        self.index.note(loan.node);
    }

    /// Opens or closes a node for new VMs; those that it has stay.
    pub fn set_state(&mut self, node: NodeId, state: NodeState) {
        self.state.set_state(node, state);
        self.index.note(node);
    }
}

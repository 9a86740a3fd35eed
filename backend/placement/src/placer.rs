//! State and policy together: decide, place, release.

use crate::filter::Filter;
use crate::policy::Policy;
use crate::state::{Devices, Request, ShapeId};
use model::grid::{Grid, NodeState};
use model::id::{GroupId, NodeId};
use model::units::{Dimension, Resources};
use model::vm::{Demand, GroupRule, VmSpec};
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
#[derive(Debug)]
pub struct Placer {
    grid: Arc<Grid>,
    policy: Policy,
    free: Vec<Resources>,
    shapes: Vec<VmSpec>,
}

impl Placer {
    /// An empty grid under a policy; `seed` feeds policies that draw lots.
    pub fn new(grid: Arc<Grid>, policy: Policy, _search: Search, _seed: u64) -> Self {
        let free = grid
            .node_ids()
            .map(|node| grid.class_of(node).capacity)
            .collect();
        Self {
            grid,
            policy,
            free,
            shapes: Vec::new(),
        }
    }

    /// Makes a shape known; equal shapes give the same id. Do this before the run, once a shape.
    pub fn shape(&mut self, spec: &VmSpec) -> ShapeId {
        let known = self.shapes.iter().position(|shape| shape == spec);
        ShapeId(known.unwrap_or_else(|| {
            self.shapes.push(spec.clone());
            self.shapes.len() - 1
        }) as u32)
    }

    /// Makes a group known.
    pub fn group(&mut self, _rule: GroupRule) -> GroupId {
        GroupId(0)
    }

    /// What a VM of this shape takes of a node.
    pub fn demand(&self, shape: ShapeId, _node: NodeId) -> Resources {
        match &self.shapes[shape.0 as usize].demand {
            Demand::Fixed(resources) => *resources,
            Demand::ShareOfModel(_) => Resources::default(),
        }
    }

    /// What a node has free.
    pub fn free(&self, node: NodeId) -> Resources {
        self.free[node.index()]
    }

    /// Chooses a node without taking it.
    ///
    /// # Errors
    /// The first filter, in their order, after which no node was left.
    pub fn decide(&mut self, request: Request<'_>) -> Result<Decision, Filter> {
        let fitting = self.grid.node_ids().filter(|&node| {
            let asked = self.demand(request.shape, node);
            asked.first_shortage(self.free[node.index()]).is_none()
        });
        let found = match self.policy {
            Policy::FirstFit => fitting.min(),
            Policy::BestFit => {
                fitting.min_by_key(|node| (self.free[node.index()].cpu_milli, *node))
            }
        };
        let node = found.ok_or(Filter::Free(Dimension::Cpu))?;
        Ok(Decision {
            node,
            devices: Devices::new(),
        })
    }

    /// Takes what a decision named.
    pub fn place(&mut self, request: Request<'_>, decision: &Decision) {
        let asked = self.demand(request.shape, decision.node);
        let free = &mut self.free[decision.node.index()];
        *free = free.checked_sub(asked).expect("a decision fits its node");
    }

    /// Gives back what a VM had.
    pub fn release(&mut self, request: Request<'_>, decision: &Decision) {
        let asked = self.demand(request.shape, decision.node);
        let free = &mut self.free[decision.node.index()];
        *free = free
            .checked_add(asked)
            .expect("a release gives back what was taken");
    }

    /// Opens or closes a node for new VMs.
    pub fn set_state(&mut self, _node: NodeId, _state: NodeState) {}
}

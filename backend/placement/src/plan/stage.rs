//! One round over all VMs beside what runs already.

use super::{Planned, PlannedVm, ROWS_KEPT, Reasoned, Unplaced, hint, remote};
use crate::explain::Chosen;
use crate::group::place_of;
use crate::placer::{Decision, Placer};
use crate::reason::Reason;
use crate::state::{Request, ShapeId};
use model::assignment::Assignment;
use model::grid::{Grid, NodeState};
use model::id::{GroupId, NodeId};
use model::plan::{Loan, Placement, Plan};
use model::units::{DIMENSIONS, Resources};
use model::view::View;
use model::vm::{Affinity, Demand, Scope, VmSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A placer filled with what runs already, and what was learnt from the rounds so far.
pub(super) struct Stage<'a> {
    assignment: &'a Assignment,
    view: &'a View,
    placer: &'a mut Placer,
    /// By VM.
    shapes: Vec<ShapeId>,
    /// By VM, as the placer counts groups.
    groups: Vec<Vec<GroupId>>,
    /// VMs in the order in which they choose.
    order: Vec<usize>,
    /// VMs that were moved to the front once.
    moved: BTreeSet<usize>,
    /// By group: the nodes, racks or sites that are closed to it.
    closed: BTreeMap<GroupId, BTreeSet<u32>>,
}

/// A VM that found its node.
pub(super) struct Placed {
    vm: usize,
    decision: Decision,
    loans: Vec<Loan>,
    why: Reason,
}

/// A round that ended with a VM that found no node.
pub(super) struct Refusal {
    pub(super) vm: usize,
    pub(super) placed: Vec<Placed>,
}

impl<'a> Stage<'a> {
    /// `placer` has what runs already, and no groups.
    pub(super) fn new(
        assignment: &'a Assignment,
        view: &'a View,
        placer: &'a mut Placer,
        shapes: Vec<ShapeId>,
    ) -> Self {
        let known: Vec<GroupId> = assignment
            .groups
            .iter()
            .map(|group| placer.group(group.rule))
            .collect();
        let groups = assignment.vms.iter();
        let groups = groups.map(|vm| vm.groups.iter().map(|g| known[g.index()]).collect());
        Self {
            assignment,
            view,
            shapes,
            groups: groups.collect(),
            order: (0..assignment.vms.len()).collect(),
            moved: BTreeSet::new(),
            closed: BTreeMap::new(),
            placer,
        }
    }

    /// Places every VM in order, on nodes with a bit in `among` where that is given.
    pub(super) fn round(&mut self, among: Option<&[u64]>) -> Result<Vec<Placed>, Refusal> {
        let mut placed = Vec::with_capacity(self.order.len());
        for place in 0..self.order.len() {
            let vm = self.order[place];
            let shut = self.shut(vm);
            let request = request(&self.shapes, &self.groups, vm);
            let decided = self.placer.decide_among(request, among);
            let decided = decided.map(|decision| {
                let why = self.placer.reason(request, among, &decision);
                self.placer.place(request, &decision);
                (decision, why)
            });
            self.open(shut);
            let Ok((decision, why)) = decided else {
                return Err(Refusal { vm, placed });
            };
            let assigned = &self.assignment.vms[vm];
            placed.push(Placed {
                vm,
                loans: remote::lend(self.placer, assigned, decision.node),
                decision,
                why,
            });
        }
        Ok(placed)
    }

    /// Takes a round back.
    pub(super) fn clear(&mut self, placed: &[Placed]) {
        for placed in placed.iter().rev() {
            let request = request(&self.shapes, &self.groups, placed.vm);
            self.placer.release(request, &placed.decision);
            for loan in &placed.loans {
                self.placer.take_back(loan);
            }
        }
    }

    /// The plan of a round in which all were placed.
    pub(super) fn conclude(&mut self, mut placed: Vec<Placed>) -> Reasoned {
        self.clear(&placed);
        placed.sort_by_key(|placed| placed.vm);
        let (placements, reasons) = placed.into_iter().map(placement).unzip();
        let generation = self.view.generation;
        Reasoned {
            plan: Plan {
                generation,
                placements,
            },
            reasons,
        }
    }

    /// The plan of a round in which all were placed; explains each VM as it stood at its turn.
    pub(super) fn finish(&mut self, placed: Vec<Placed>, rounds: u32) -> Planned {
        self.clear(&placed);
        let explained = placed.iter().map(|placed| (placed.vm, self.again(placed)));
        let vms: BTreeMap<usize, PlannedVm> = explained.collect();
        Planned {
            plan: self.conclude(placed).plan,
            vms: vms.into_values().collect(),
            rounds,
        }
    }

    /// Places a VM again as it was placed before, and explains it.
    fn again(&mut self, placed: &Placed) -> PlannedVm {
        let Placed {
            vm,
            decision,
            loans,
            ..
        } = placed;
        let assigned = &self.assignment.vms[*vm];
        let short_of_lenders = remote::short_of_lenders(self.placer, assigned).len();
        let shut = self.shut(*vm);
        let request = request(&self.shapes, &self.groups, *vm);
        let mut explanation = self.placer.explain_within(request, ROWS_KEPT);
        let node = self.grid().nodes[decision.node.index()].name.clone();
        // A policy that draws lots would draw others now.
        explanation.chosen = Some(Chosen {
            node: decision.node,
            name: node.clone(),
            devices: decision.devices.clone(),
        });
        self.placer.place(request, decision);
        self.open(shut);
        PlannedVm {
            name: assigned.name.clone(),
            node,
            explanation,
            kept_off: self.kept_off(*vm),
            lenders: remote::lend_again(self.placer, loans),
            short_of_lenders,
        }
    }

    /// What a refused VM tells the user, while the round that refused it still stands.
    pub(super) fn unplaced(&self, refusal: &Refusal) -> Unplaced {
        let vm = &self.assignment.vms[refusal.vm];
        let request = request(&self.shapes, &self.groups, refusal.vm);
        let explanation = self.placer.explain_within(request, ROWS_KEPT);
        Unplaced {
            vm: refusal.vm as u32,
            name: vm.name.clone(),
            asked: asked(&vm.spec),
            hint: hint::hint(self.placer, request, self.assignment, vm, &explanation),
            explanation: Box::new(explanation),
        }
    }

    /// Changes something for the next round; false where all was tried.
    pub(super) fn rearrange(&mut self, refusal: &Refusal) -> bool {
        if self.close_stuck_place(refusal) {
            return true;
        }
        if !self.moved.insert(refusal.vm) {
            return false;
        }
        self.order.retain(|vm| *vm != refusal.vm);
        self.order.insert(0, refusal.vm);
        true
    }

    /// Closes to a group the place where its members got stuck, and every other that has less free
    /// in sum than they ask; false where no place would be left.
    fn close_stuck_place(&mut self, refusal: &Refusal) -> bool {
        let groups = &self.assignment.vms[refusal.vm].groups;
        for &id in groups {
            let rule = self.assignment.groups[id.index()].rule;
            let stuck = refusal
                .placed
                .iter()
                .find(|placed| self.is_member(placed.vm, id));
            let (Affinity::Together, Some(stuck)) = (rule.kind, stuck) else {
                continue;
            };
            let grid = self.grid();
            let stuck = place_of(grid, rule.scope, stuck.decision.node);
            let mut closed = self.closed.get(&id).cloned().unwrap_or_default();
            closed.insert(stuck);
            let (asked, mut free) = (self.asked_by(id), BTreeMap::new());
            for node in grid.node_ids() {
                if self.placer.state(node) == NodeState::Up {
                    let sum = free.entry(place_of(grid, rule.scope, node)).or_default();
                    add(sum, self.view.free(node));
                }
            }
            let short = |free: &[u64; DIMENSIONS]| (0..DIMENSIONS).any(|d| free[d] < asked[d]);
            closed.extend(free.iter().filter(|(_, free)| short(free)).map(|(p, _)| *p));
            if free.keys().all(|place| closed.contains(place)) {
                continue;
            }
            self.closed.insert(id, closed);
            return true;
        }
        false
    }

    fn is_member(&self, vm: usize, group: GroupId) -> bool {
        self.assignment.vms[vm].groups.contains(&group)
    }

    fn asked_by(&self, group: GroupId) -> [u64; DIMENSIONS] {
        let mut sum = [0; DIMENSIONS];
        for vm in &self.assignment.vms {
            if vm.groups.contains(&group) {
                add(&mut sum, asked(&vm.spec));
            }
        }
        sum
    }

    fn grid(&self) -> &'a Grid {
        &self.view.grid
    }

    /// Closes the nodes of places that are closed to the VM's groups, and those where its remote disk
    /// finds too few lenders; returns those it closed.
    fn shut(&mut self, vm: usize) -> Vec<NodeId> {
        let mut shut = remote::short_of_lenders(self.placer, &self.assignment.vms[vm]);
        for (group, places) in &self.closed {
            if self.is_member(vm, *group) {
                let scope = self.assignment.groups[group.index()].rule.scope;
                let inside = |node: &NodeId| places.contains(&place_of(self.grid(), scope, *node));
                shut.extend(self.grid().node_ids().filter(inside));
            }
        }
        shut.retain(|node| self.placer.state(*node) == NodeState::Up);
        for node in &shut {
            self.placer.set_state(*node, NodeState::Cordoned);
        }
        shut
    }

    fn open(&mut self, shut: Vec<NodeId>) {
        for node in shut {
            self.placer.set_state(node, NodeState::Up);
        }
    }

    fn kept_off(&self, vm: usize) -> Vec<String> {
        let mut kept_off = Vec::new();
        for (group, places) in &self.closed {
            if self.is_member(vm, *group) {
                let scope = self.assignment.groups[group.index()].rule.scope;
                let name = |place: &u32| name_of(self.grid(), scope, *place);
                kept_off.extend(places.iter().map(name));
            }
        }
        kept_off
    }
}

fn placement(placed: Placed) -> (Placement, Reason) {
    let placement = Placement {
        vm: placed.vm as u32,
        node: placed.decision.node,
        devices: placed.decision.devices,
        loans: placed.loans,
    };
    (placement, placed.why)
}

fn request<'r>(shapes: &[ShapeId], groups: &'r [Vec<GroupId>], vm: usize) -> Request<'r> {
    Request {
        shape: shapes[vm],
        groups: &groups[vm],
    }
}

/// `site berlin`.
fn name_of(grid: &Grid, scope: Scope, place: u32) -> String {
    let name = match scope {
        Scope::Node => &grid.nodes[place as usize].name,
        Scope::Rack => &grid.racks[place as usize].name,
        Scope::Site => &grid.sites[place as usize].name,
    };
    format!("{scope} {name}")
}

fn add(sum: &mut [u64; DIMENSIONS], resources: Resources) {
    for (sum, quantity) in sum.iter_mut().zip(resources.to_array()) {
        *sum += u64::from(quantity);
    }
}

pub(super) fn asked(spec: &VmSpec) -> Resources {
    match &spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => Resources::default(),
    }
}

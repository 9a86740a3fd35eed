//! A design is deployed, or changed where it stands.

use super::Controller;
use super::accept::Accepted;
use super::making::pieces;
use super::sizing::resize_to;
use crate::backend::Refused;
use crate::draft::{Draft, addresses, free_address};
use crate::journal::Change;
use crate::operation::TaskAct;
use crate::outfitting::of_records;
use crate::planted::{Bug, is_planted};
use crate::record::{Deployment, VmRecord, Wish};
use model::assignment::{AssignedVm, Assignment};
use model::design::Design;
use model::grid::NodeState;
use model::id::{NetworkId, NodeId, VmId};
use model::order::Verb;
use model::plan::Plan;
use model::time::Time;
use model::topology::Topology;
use model::units::Resources;
use model::view::View;
use model::vm::Demand;
use placement::filter::Filter;
use placement::plan::{Reasoned, Unplaced};
use recipe::outfit::OutfitError;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Controller {
    pub(super) fn deploy(&self, design: Design, chosen: Option<Plan>) -> Result<Accepted, Refused> {
        let faulty = |why: String| Refused::Faulty { why };
        let missing = self.settings.catalogue.missing(&design);
        if !missing.is_empty() {
            return Err(faulty(missing.join("\n")));
        }
        let topology = Topology::check(&design).map_err(|faults| faulty(faults.to_string()))?;
        let grid = Arc::clone(&self.view.grid);
        let assignment = self.planner.borrow().assign(&topology);
        let assignment = assignment.map_err(|error| faulty(error.to_string()))?;
        let standing = self.ledger.deployment(topology.tenant(), topology.name());
        let place = standing.map_or(self.ledger.next_deployment, |(place, _)| place);
        let vms = standing.map_or_else(BTreeSet::new, |(_, standing)| standing.vms.clone());
        let mut there: BTreeMap<&str, &VmRecord> = BTreeMap::new();
        for record in vms.iter().filter_map(|vm| self.ledger.vms.get(vm)) {
            if record.wish == Wish::Gone || self.ledger.locks.contains_key(&record.id) {
                let why = format!(
                    "{} of {} is changed by another operation, which has to end first",
                    record.name, design.name
                );
                return Err(Refused::Illegal { why });
            }
            there.insert(&record.name, record);
        }
        let tenant = self.ledger.tenant(topology.tenant());
        let mut accepted = Accepted {
            what: format!("deploy {}", design.name),
            ..Accepted::default()
        };
        let deployment = Deployment {
            design,
            tenant,
            vms: vms.clone(),
        };
        accepted.changes.push(Change::Deployed {
            place,
            deployment: Box::new(deployment),
        });
        let mut view = View::clone(&self.view);
        let mut resized = Accepted::default();
        for assigned in &assignment.vms {
            if let Some(record) = there.get(assigned.name.as_str()) {
                resize_to(record, asked(assigned), &mut view, &mut resized)?;
            }
        }
        let mut taken: BTreeSet<_> = there
            .values()
            .flat_map(|vm| addresses(&vm.blueprint))
            .filter(|_| !is_planted(Bug::AddressesTwice))
            .collect();
        let new: Vec<usize> = (0..assignment.vms.len())
            .filter(|vm| !there.contains_key(assignment.vms[*vm].name.as_str()))
            .collect();
        let planned = self.plan_new(&assignment, &new, chosen, &view)?;
        let mut made: Vec<u32> = Vec::new();
        let placements = planned.plan.placements.iter().enumerate();
        for (&vm, (nth, placement)) in new.iter().zip(placements) {
            let assigned = &assignment.vms[vm];
            let id = VmId(self.ledger.next_vm + made.len() as u64);
            let address = free_address(&taken);
            taken.insert(address);
            let resources = asked(assigned);
            let draft = Draft {
                vm: id,
                tenant,
                network: NetworkId(place + 1),
                address,
                assigned,
                component: &topology.components()[assigned.component.index()],
                resources,
                node: placement.node,
            };
            let record = VmRecord {
                id,
                tenant,
                deployment: place,
                name: assigned.name.clone(),
                component: topology.components()[assigned.component.index()]
                    .name
                    .clone(),
                spec: Arc::new(assigned.spec.clone()),
                resources,
                node: placement.node,
                devices: placement.devices.clone(),
                arriving: None,
                leaving: None,
                blueprint: Arc::new(draft.blueprint(&grid, &self.settings.catalogue)),
                lent: pieces(id, &placement.loans),
                is_made: false,
                configured: Vec::new(),
                wish: Wish::Running,
                since: Time::ZERO,
                why: planned.reasons.get(nth).cloned().map(Arc::new),
                why_there: None,
            };
            made.push(accepted.make(&record));
            let record = Box::new(record);
            accepted.changes.push(Change::Vm { record });
        }
        // All are made before one is started, so that what fails has served nobody yet.
        for place in &made {
            let (vm, node) = {
                let task = &accepted.tasks[*place as usize];
                (task.vm, task.node)
            };
            let verb = Verb::Start;
            accepted.task(vm, node, TaskAct::Do { verb }, &made);
        }
        self.check_outfits(&topology, place, &there, &accepted)?;
        accepted.append(resized);
        for assigned in &assignment.vms {
            there.remove(assigned.name.as_str());
        }
        for record in there.into_values() {
            accepted.changes.push(Change::Leaving { vm: record.id });
            accepted.delete(record, &made);
        }
        Ok(accepted)
    }

    /// That the recipes of a design's components can make what it asks of them.
    fn check_outfits(
        &self,
        topology: &Topology,
        place: u32,
        there: &BTreeMap<&str, &VmRecord>,
        accepted: &Accepted,
    ) -> Result<(), Refused> {
        let made = accepted.changes.iter().filter_map(|change| match change {
            Change::Vm { record } => Some(&**record),
            _ => None,
        });
        let records = there.values().copied().chain(made);
        let outfits = of_records(topology, place, records, &self.settings.catalogue);
        let why = |error: OutfitError| Refused::Faulty {
            why: error.to_string(),
        };
        outfits.map(|_| ()).map_err(why)
    }

    /// Nodes for those VMs of an assignment that are not there yet, in their order.
    pub(super) fn plan_new(
        &self,
        assignment: &Assignment,
        new: &[usize],
        chosen: Option<Plan>,
        view: &View,
    ) -> Result<Reasoned, Refused> {
        if let Some(plan) = chosen {
            let expected = self.ledger.generation;
            if plan.generation != expected {
                let found = plan.generation;
                return Err(Refused::Outdated { found, expected });
            }
            if plan.placements.len() != new.len() {
                let (found, expected) = (plan.placements.len(), new.len());
                return Err(Refused::Unmatched { found, expected });
            }
            check_room(assignment, new, &plan, view)?;
            let reasons = Vec::new();
            return Ok(Reasoned { plan, reasons });
        }
        let mut assignment = assignment.clone();
        let vms = std::mem::take(&mut assignment.vms).into_iter().enumerate();
        let vms = vms.filter(|(place, _)| new.contains(place));
        assignment.vms = vms.map(|(_, vm)| vm).collect();
        self.place(&assignment, &self.open_too(view))
    }

    /// A view in which a planted bug has opened nodes.
    fn open_too<'a>(&self, view: &'a View) -> Cow<'a, View> {
        if !is_planted(Bug::DeadNodesPlanned) {
            return Cow::Borrowed(view);
        }
        let mut view = view.clone();
        for (node, record) in view.nodes.iter_mut().zip(&self.ledger.nodes) {
            node.state = record.state;
        }
        Cow::Owned(view)
    }

    /// Nodes for all VMs of an assignment.
    pub(super) fn place(&self, assignment: &Assignment, view: &View) -> Result<Reasoned, Refused> {
        let planned = self.planner.borrow_mut().plan(assignment, view);
        planned.map_err(unplaced)
    }
}

pub(super) fn unplaced(unplaced: Unplaced) -> Refused {
    Refused::Unplaced {
        why: unplaced.to_string(),
    }
}

/// That a plan which somebody else has made puts nothing where it cannot run or has no room.
fn check_room(
    assignment: &Assignment,
    new: &[usize],
    plan: &Plan,
    view: &View,
) -> Result<(), Refused> {
    let mut asked_of: BTreeMap<NodeId, Resources> = BTreeMap::new();
    for (&vm, placement) in new.iter().zip(&plan.placements) {
        let node = placement.node;
        if node.index() >= view.nodes.len() {
            return Err(Refused::UnknownNode { node });
        }
        let assigned = &assignment.vms[vm];
        let closed = (view.nodes[node.index()].state != NodeState::Up).then_some(Filter::NodeState);
        let kept_off = || Filter::keeping_off(&assigned.spec, &view.grid, node);
        if let Some(filter) = closed.or_else(kept_off) {
            let why = format!("the plan puts {} on {node}: {filter}", assigned.name);
            return Err(Refused::Unplaced { why });
        }
        let sum = asked_of.entry(node).or_default();
        let more = sum.checked_add(asked(assigned));
        *sum = more.ok_or_else(|| Refused::Unplaced {
            why: format!("the plan asks more of {node} than can be counted"),
        })?;
        if let Some(dimension) = sum.first_shortage(view.free(node)) {
            let why = format!(
                "the plan asks more {} of {node} than is free",
                dimension.unit()
            );
            return Err(Refused::Unplaced { why });
        }
    }
    Ok(())
}

/// What an assigned VM asks, the same on every node.
fn asked(assigned: &AssignedVm) -> Resources {
    match &assigned.spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => Resources::default(),
    }
}

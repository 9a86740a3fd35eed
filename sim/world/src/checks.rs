//! What must hold after every step, and at rest.

mod plan;
mod rest;

use crate::node::BARK;
use crate::world::World;
use control::backend::Refused;
use control::controller::Controller;
use control::journal::Entry;
use model::grid::Grid;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::Order;
use model::time::{Span, Time};
use model::units::{DiskGib, Resources};
use model::view::View;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How much later than its deadline an operation may end: the controller looks every ten seconds.
const LATE: Span = Span(10_000);
/// How many violations are kept: the first few tell what is wrong.
const KEPT: usize = 20;

/// What was seen so far, and what of it should never have happened.
pub(crate) struct Checks {
    /// VMs that run, by node.
    running: Vec<BTreeSet<VmId>>,
    /// When operations have to have ended, and whether they have.
    operations: BTreeMap<OperationId, (Time, bool)>,
    answers: BTreeMap<OperationId, Result<(), Refused>>,
    /// Orders that agents have taken.
    taken: BTreeSet<(NodeId, OperationId)>,
    view: Option<Arc<View>>,
    violations: Vec<String>,
}

impl Checks {
    pub fn new(grid: &Grid) -> Self {
        Self {
            running: vec![BTreeSet::new(); grid.nodes.len()],
            operations: BTreeMap::new(),
            answers: BTreeMap::new(),
            taken: BTreeSet::new(),
            view: None,
            violations: Vec::new(),
        }
    }

    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    pub fn violated(&mut self, now: Time, what: String) {
        if self.violations.len() < KEPT {
            self.violations.push(format!("{now}: {what}"));
        }
    }

    /// At most one copy of a VM runs.
    pub fn runs(&mut self, now: Time, node: NodeId, running: impl Iterator<Item = VmId>) {
        let running: BTreeSet<VmId> = running.collect();
        if running == self.running[node.index()] {
            return;
        }
        let new: Vec<VmId> = running
            .difference(&self.running[node.index()])
            .copied()
            .collect();
        self.running[node.index()] = running;
        for vm in new {
            let others = self.running.iter().enumerate();
            let other = others
                .filter(|(other, vms)| *other != node.index() && vms.contains(&vm))
                .map(|(other, _)| NodeId(other as u32))
                .next();
            if let Some(other) = other {
                self.violated(now, format!("{vm} runs on {node} and on {other}"));
            }
        }
    }

    /// An agent has taken an order: once, and none that is older than another.
    pub fn taken(&mut self, now: Time, node: NodeId, newest: Generation, order: &Order) {
        // An agent's own orders are as new as the newest.
        if order.generation < newest {
            let (operation, old) = (order.operation, order.generation);
            self.violated(
                now,
                format!("{node} took {operation} of {old} after {newest}"),
            );
        }
        if !self.taken.insert((node, order.operation)) {
            let operation = order.operation;
            self.violated(now, format!("{node} took {operation} again"));
        }
    }

    /// Every accepted operation ends once, by its deadline.
    pub fn written(&mut self, now: Time, controller_since: Time, entry: &Entry) {
        match entry {
            Entry::Accepted {
                operation,
                deadline,
                ..
            } => {
                let known = self.operations.insert(*operation, (*deadline, false));
                if known.is_some() {
                    self.violated(now, format!("{operation} was accepted twice"));
                }
            }
            Entry::Ended { operation, .. } => {
                let known = self.operations.get_mut(operation);
                let Some((deadline, is_ended)) = known else {
                    return self.violated(now, format!("{operation} ended and was not accepted"));
                };
                let (deadline, twice) = (*deadline, std::mem::replace(is_ended, true));
                if twice {
                    self.violated(now, format!("{operation} ended twice"));
                }
                if now > deadline.max(controller_since) + LATE {
                    self.violated(now, format!("{operation} ended late, due {deadline}"));
                }
            }
            _ => {}
        }
    }

    /// What is accepted was written down before, and a repeated id gives the first answer.
    pub fn answered(&mut self, now: Time, operation: OperationId, answer: &Result<(), Refused>) {
        if answer.is_ok() && !self.operations.contains_key(&operation) {
            self.violated(
                now,
                format!("{operation} was answered and not written down"),
            );
        }
        let first = self
            .answers
            .entry(operation)
            .or_insert_with(|| answer.clone());
        if first != answer {
            let what = format!("{operation} was answered {first:?}, then {answer:?}");
            self.violated(now, what);
        }
    }

    /// No node is over its capacity, and a view adds up.
    pub fn look(&mut self, now: Time, controller: &Controller) {
        let view = controller.view();
        let before = self.view.replace(Arc::clone(view));
        if before.is_some_and(|before| Arc::ptr_eq(&before, view)) {
            return;
        }
        let view = Arc::clone(view);
        let sums = sums(controller);
        for node in view.grid.node_ids() {
            let (used, told) = (sums[node.index()], view.nodes[node.index()].used);
            if used != told {
                let what = format!("{node} is told to have {told} in use, and has {used}");
                self.violated(now, what);
            }
            if let Some(dimension) = used.first_shortage(view.grid.class_of(node).capacity) {
                self.violated(now, format!("{node} is over its {}", dimension.unit()));
            }
        }
    }
}

/// What is promised of each node, by what is recorded of each VM.
fn sums(controller: &Controller) -> Vec<Resources> {
    let ledger = controller.ledger();
    let mut sums = vec![Resources::default(); ledger.nodes.len()];
    let mut add = |node: NodeId, more: Resources| {
        let sum = &mut sums[node.index()];
        *sum = sum.checked_add(more).unwrap_or(*sum);
    };
    for record in ledger.vms.values() {
        let nodes: BTreeSet<NodeId> = record.nodes().collect();
        nodes
            .into_iter()
            .for_each(|node| add(node, record.resources));
    }
    for (node, record) in (0..).map(NodeId).zip(&ledger.nodes) {
        let lent = record.lends.values().map(|gib| Resources {
            disk_gib: DiskGib(*gib),
            ..Resources::default()
        });
        lent.for_each(|lent| add(node, lent));
        for (vm, resources) in &record.remains {
            let record = ledger.vms.get(vm);
            if !record.is_some_and(|record| record.nodes().any(|of| of == node)) {
                add(node, *resources);
            }
        }
    }
    sums
}

impl World {
    /// A node is given up when nothing highly available can run there any more: its lease has lapsed,
    /// and its watchdog has had its time.
    pub(crate) fn check_given_up(&mut self, node: NodeId) {
        let here = &self.nodes[node.index()];
        let until = here.guarded.1.filter(|_| here.is_up);
        if let Some(until) = until.filter(|until| self.now < *until + BARK) {
            self.violated(format!(
                "{node} was given up before its lease had lapsed, at {until}"
            ));
        }
    }

    fn violated(&mut self, what: String) {
        let now = self.now;
        self.checks.violated(now, what);
    }
}

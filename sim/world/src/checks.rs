//! What must hold after every step, and at rest.

use crate::world::World;
use control::backend::Refused;
use control::controller::Controller;
use control::journal::Entry;
use control::record::Wish;
use model::grid::Grid;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::Order;
use model::report::VmState;
use model::time::{Span, Time};
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
    view: Option<Arc<View>>,
    violations: Vec<String>,
}

impl Checks {
    pub fn new(grid: &Grid) -> Self {
        Self {
            running: vec![BTreeSet::new(); grid.nodes.len()],
            operations: BTreeMap::new(),
            answers: BTreeMap::new(),
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

    /// An agent has taken an order.
    pub fn taken(&mut self, now: Time, node: NodeId, newest: Generation, order: &Order) {
        // An agent's own orders are as new as the newest.
        if order.generation < newest {
            let (operation, old) = (order.operation, order.generation);
            self.violated(
                now,
                format!("{node} took {operation} of {old} after {newest}"),
            );
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

    /// A repeated id gives the first answer.
    pub fn answered(&mut self, now: Time, operation: OperationId, answer: &Result<(), Refused>) {
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
        for node in view.grid.node_ids() {
            let used = view.nodes[node.index()].used;
            if let Some(dimension) = used.first_shortage(view.grid.class_of(node).capacity) {
                self.violated(now, format!("{node} is over its {}", dimension.unit()));
            }
        }
    }
}

impl World {
    /// Looks at a world in which nothing was asked and nothing befell for long: all is as wished, and
    /// nothing is left over.
    pub fn check_at_rest(&mut self) {
        self.check_nodes();
        let mut wrong = Vec::new();
        let Some(controller) = self.controller() else {
            return self.violated("there is no controller".to_owned());
        };
        let ledger = controller.ledger();
        for (operation, open) in &ledger.open {
            wrong.push(format!("{operation} is open: {open:?}"));
        }
        for (node, record) in ledger.nodes.iter().enumerate() {
            for vm in record.remains.keys() {
                wrong.push(format!("node {node} still has remains of {vm}"));
            }
            let lent = self.lent_of(NodeId(node as u32));
            if !lent.iter().eq(record.lends.keys()) {
                wrong.push(format!(
                    "node {node} lends to {lent:?}, expected {:?}",
                    record.lends
                ));
            }
            let here: BTreeSet<VmId> = self.vms_of(NodeId(node as u32));
            if here != record.vms {
                wrong.push(format!(
                    "node {node} has {here:?}, expected {:?}",
                    record.vms
                ));
            }
        }
        for record in ledger.vms.values() {
            let state = self.state_of(record.node, record.id);
            let is_right = match record.wish {
                Wish::Gone => false,
                Wish::Running => matches!(state, Some(VmState::Running | VmState::Paused)),
                Wish::Stopped => state == Some(VmState::Stopped),
            };
            if !is_right {
                let (vm, wish) = (record.id, record.wish);
                wrong.push(format!("{vm} is {state:?} and was to be {wish:?}"));
            }
        }
        wrong.into_iter().for_each(|wrong| self.violated(wrong));
    }

    fn violated(&mut self, what: String) {
        let now = self.now;
        self.checks.violated(now, what);
    }
}

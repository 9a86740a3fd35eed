//! Agents come and go, and report.

use super::{Controller, Flight, Progress, Seen};
use crate::journal::Entry;
use crate::message::{Held, Output};
use crate::operation::{TaskAct, TaskState};
use model::event::Happening;
use model::id::{NodeId, OperationId, VmId};
use model::report::{Outcome, Report, VmState};
use model::time::Time;
use std::collections::BTreeSet;

impl Controller {
    /// An agent tells what its node has.
    pub(super) fn called(
        &mut self,
        now: Time,
        node: NodeId,
        at: Time,
        held: &[Held],
        out: &mut Vec<Output>,
    ) {
        let here: BTreeSet<VmId> = held.iter().map(|held| held.vm).collect();
        for held in held {
            let is_strange = held.vm.0 >= self.ledger.next_vm;
            if is_strange && self.found.insert(held.vm, node).is_none() {
                let vm = held.vm;
                Self::tell(now, None, Happening::Found { vm, node }, out);
            }
            self.see(now, held.vm, node, held.state, at, out);
        }
        let record = &self.ledger.nodes[node.index()];
        let absent: Vec<VmId> = record.vms.difference(&here).copied().collect();
        for vm in absent {
            self.see(now, vm, node, None, at, out);
        }
        self.clear_strays(now, node, &here, out);
        if !self.links[node.index()].is_reached {
            self.reach(now, node, out);
        }
        self.lend(now, node, at, out);
    }

    fn reach(&mut self, now: Time, node: NodeId, out: &mut Vec<Output>) {
        self.links[node.index()].is_reached = true;
        self.ledger.touched.insert(node);
        let is_reached = true;
        Self::tell(now, None, Happening::Reached { node, is_reached }, out);
        let orders = self.flights.keys().copied();
        let orders: Vec<OperationId> = orders.filter(|order| self.is_for(*order, node)).collect();
        for order in orders {
            self.send(now, order, out);
        }
        self.wake.extend(self.ledger.open.keys());
    }

    fn is_for(&self, order: OperationId, node: NodeId) -> bool {
        let flight = self.flights.get(&order);
        let task = flight.and_then(|flight| {
            let open = self.ledger.open.get(&flight.operation)?;
            open.tasks.get(flight.task as usize)
        });
        task.is_some_and(|task| task.node == node)
    }

    pub(super) fn leave(&mut self, now: Time, node: NodeId, out: &mut Vec<Output>) {
        let link = &mut self.links[node.index()];
        if link.is_reached {
            link.is_reached = false;
            let happening = Happening::Reached {
                node,
                is_reached: false,
            };
            Self::tell(now, None, happening, out);
            self.ledger.touched.insert(node);
        }
    }

    pub(super) fn hear(&mut self, now: Time, report: Report, out: &mut Vec<Output>) {
        let Report {
            node,
            at,
            vm,
            operation,
            outcome,
        } = report;
        if let Outcome::Seen { state } = outcome {
            if let Some(vm) = vm {
                self.see(now, vm, node, state, at, out);
            }
            return;
        }
        let Some(order) = operation.filter(|order| self.is_for(*order, node)) else {
            return;
        };
        let flight = self.flights[&order];
        let end = match outcome {
            Outcome::Listening { address } => {
                self.note_lent(flight.operation, flight.task, &address, out);
                self.listening.insert(order, address);
                self.wake.insert(flight.operation);
                return;
            }
            Outcome::Progressed { step, done_milli } => {
                self.progress.insert(order, Progress { step, done_milli });
                return;
            }
            Outcome::KeysWanted { .. } => return self.send(now, order, out),
            Outcome::Refused {
                is_for_now: true, ..
            } => return,
            // Something newer has overtaken it, and no copy of it is ever taken: it is ordered anew.
            Outcome::Refused { newest, .. }
                if flight.generation < newest && newest <= self.ledger.generation =>
            {
                return self.order_anew(now, order, out);
            }
            Outcome::Refused { reason, .. } | Outcome::Failed { reason } => {
                let name = &self.view.grid.nodes[node.index()].name;
                let reason = format!("node {name}: {reason}");
                TaskState::Failed { reason }
            }
            // It is asked again, and tells again where.
            Outcome::Done if self.is_address_lost(flight) => return,
            Outcome::Done => TaskState::Done,
            Outcome::Cancelled => TaskState::Dropped,
            _ => return,
        };
        self.close(now, flight.operation, flight.task, end, out);
    }

    /// Whether a node has told that it serves a piece of a VM's remote disk, and where was lost or
    /// overtaken on its way.
    fn is_address_lost(&self, flight: Flight) -> bool {
        let open = self.ledger.open.get(&flight.operation);
        let Some(open) = open.filter(|open| open.back.is_none()) else {
            return false;
        };
        let task = &open.tasks[flight.task as usize];
        let TaskAct::Lend { piece } = &task.act else {
            return false;
        };
        let vm = self.ledger.vms.get(&task.vm);
        let lent = vm.and_then(|vm| vm.lent.get(*piece as usize));
        lent.is_some_and(|lent| lent.address.is_none())
    }

    /// A node has told where it serves a piece of a VM's remote disk.
    fn note_lent(
        &mut self,
        operation: OperationId,
        task: u32,
        address: &str,
        out: &mut Vec<Output>,
    ) {
        let task = &self.ledger.open[&operation].tasks[task as usize];
        if let (TaskAct::Lend { piece }, Ok(address)) = (&task.act, address.parse()) {
            let (vm, piece) = (task.vm, *piece);
            self.write(Entry::Lent { vm, piece, address }, out);
        }
    }

    /// A node has told the state of a VM, by its own clock then, which may have been overtaken.
    fn see(
        &mut self,
        now: Time,
        vm: VmId,
        node: NodeId,
        state: Option<VmState>,
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let before = self.seen.get(&vm).filter(|seen| seen.node == node);
        let is_here = self.ledger.vms.get(&vm).is_some_and(|vm| vm.node == node);
        if !is_here || before.is_some_and(|seen| at < seen.at) {
            return;
        }
        let is_new = before.is_none_or(|seen| seen.state != state);
        self.seen.insert(vm, Seen { node, state, at });
        if is_new {
            Self::tell(now, None, Happening::Seen { vm, node, state }, out);
        }
    }
}

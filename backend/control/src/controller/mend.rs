//! What time brings: deadlines, orders that were lost, leases, and VMs that are not as wished.

use super::Controller;
use super::accept::Accepted;
use super::moving::Chosen;
use crate::journal::{Change, Entry};
use crate::ledger::FIRST_OWN;
use crate::message::Output;
use crate::operation::{TaskAct, TaskState};
use crate::planted::{Bug, is_planted};
use crate::record::{VmRecord, Wish};
use model::event::Happening;
use model::id::{NodeId, OperationId, VmId};
use model::order::{Shutdown, Verb};
use model::report::{Outcome, VmState};
use model::time::{Span, Time};
use std::collections::BTreeSet;

/// How long nothing more is tried for a VM that is not as wished, after something was.
const REST: Span = Span(30_000);

impl Controller {
    pub(super) fn mend(&mut self, now: Time, out: &mut Vec<Output>) {
        self.end_late(now, out);
        self.send_again(now, out);
        self.give_up_lapsed(now, out);
        self.clear_remains(now, out);
        self.withdraw_lent(now, out);
        self.heal(now, out);
        self.outfit(now, out);
    }

    /// Operations end by their deadline; what they leave to be undone goes on.
    fn end_late(&mut self, now: Time, out: &mut Vec<Output>) {
        let open = self.ledger.open.iter();
        let late = open.filter(|(_, open)| !open.is_ended && open.deadline <= now);
        let late = late.filter(|(operation, open)| {
            let mut tasks = open.tasks.iter();
            let is_unbegun = tasks.all(|task| task.state == TaskState::Waiting);
            let is_next = is_unbegun && self.ledger.has_locks(**operation);
            !(is_planted(Bug::UnbegunWithoutDeadline) && is_next)
        });
        let late: Vec<OperationId> = late.map(|(operation, _)| *operation).collect();
        for operation in late {
            let reason = "the deadline has passed".to_owned();
            let outcome = Outcome::Failed { reason };
            if self.ledger.open[&operation].back.is_none() {
                self.turn_back(operation, outcome.clone(), out);
            }
            let back = self.ledger.open.get(&operation);
            let outcome = back.and_then(|open| open.back.clone()).unwrap_or(outcome);
            self.end(now, operation, outcome, out);
        }
    }

    fn send_again(&mut self, now: Time, out: &mut Vec<Output>) {
        let resend = self.settings.resend;
        let flights = self.flights.iter();
        let due = flights.filter(|(_, flight)| flight.sent.is_none_or(|at| at + resend <= now));
        let due: Vec<OperationId> = due.map(|(order, _)| *order).collect();
        for order in due {
            self.send(now, order, out);
        }
    }

    /// Renews a node's lease, unless something there must never run again.
    pub(super) fn lend(&mut self, now: Time, node: NodeId, from: Time, out: &mut Vec<Output>) {
        let link = &mut self.links[node.index()];
        if !link.is_reached || !self.ledger.nodes[node.index()].remains.is_empty() {
            return;
        }
        let span = self.settings.lease;
        link.leased_until = match is_planted(Bug::GraceForgotten) {
            true => now + span,
            false => now + span + self.settings.grace,
        };
        out.push(Output::Lease { node, from, span });
    }

    fn give_up_lapsed(&mut self, now: Time, out: &mut Vec<Output>) {
        for node in self.view.grid.node_ids() {
            let link = self.links[node.index()];
            if link.is_reached || now < link.leased_until {
                continue;
            }
            let record = &self.ledger.nodes[node.index()];
            let vms: Vec<VmId> = record.vms.iter().copied().collect();
            let vms: Vec<VmId> = vms
                .into_iter()
                .filter(|vm| !record.remains.contains_key(vm))
                .filter(|vm| {
                    self.ledger
                        .vms
                        .get(vm)
                        .is_some_and(VmRecord::is_highly_available)
                })
                .collect();
            if vms.is_empty() {
                continue;
            }
            self.write(Entry::GivenUp { node }, out);
            Self::tell(now, None, Happening::GivenUp { node }, out);
            let held = vms.iter().filter_map(|vm| self.ledger.locks.get(vm));
            let held: BTreeSet<OperationId> = held.flatten().copied().collect();
            let open = super::drive::flights(&self.ledger);
            self.flights.retain(|order, _| open.contains_key(order));
            for operation in held {
                let open = &self.ledger.open[&operation];
                if open.back.is_none() {
                    let name = &self.view.grid.nodes[node.index()].name;
                    let reason = format!("node {name} was given up");
                    self.turn_back(operation, Outcome::Failed { reason }, out);
                }
                self.wake.insert(operation);
            }
        }
    }

    /// Wipes what is left of VMs on nodes that are back.
    fn clear_remains(&mut self, now: Time, out: &mut Vec<Output>) {
        let nodes = self.ledger.nodes.iter().enumerate();
        let remains = nodes.flat_map(|(node, record)| {
            let node = NodeId(node as u32);
            record.remains.keys().map(move |vm| (node, *vm))
        });
        let remains: Vec<(NodeId, VmId)> = remains
            .filter(|(node, vm)| self.may_mend(now, *vm) && self.links[node.index()].is_reached)
            .collect();
        for (node, vm) in remains {
            let record = self.ledger.vms.get(&vm);
            if record.is_some_and(|record| record.node == node && record.is_made) {
                self.write(Entry::Retaken { node, vm }, out);
            } else {
                self.clear(now, node, vm, out);
            }
        }
    }

    /// Takes back what is lent to VMs that are gone.
    fn withdraw_lent(&mut self, now: Time, out: &mut Vec<Output>) {
        let nodes = self.ledger.nodes.iter().enumerate();
        let lent = nodes.flat_map(|(node, record)| {
            let node = NodeId(node as u32);
            record.lends.keys().map(move |vm| (node, *vm))
        });
        let lent: Vec<(NodeId, VmId)> = lent
            .filter(|(node, vm)| {
                let is_gone = !self.ledger.vms.contains_key(vm);
                is_gone && self.may_mend(now, *vm) && self.links[node.index()].is_reached
            })
            .collect();
        for (node, vm) in lent {
            let mut accepted = Accepted {
                what: format!("take back what is lent to {vm}"),
                ..Accepted::default()
            };
            accepted.task(vm, node, TaskAct::Withdraw, &[]);
            self.begin_own(now, vm, accepted, out);
        }
    }

    /// Wipes VMs of ours that a node has and that are not there.
    pub(super) fn clear_strays(
        &mut self,
        now: Time,
        node: NodeId,
        here: &BTreeSet<VmId>,
        out: &mut Vec<Output>,
    ) {
        let record = &self.ledger.nodes[node.index()];
        let strays = here.iter().copied();
        let strays: Vec<VmId> = strays
            .filter(|vm| vm.0 < self.ledger.next_vm && !record.vms.contains(vm))
            .filter(|vm| !record.remains.contains_key(vm))
            .filter(|vm| !self.ledger.locks.contains_key(vm))
            .collect();
        for vm in strays {
            self.clear(now, node, vm, out);
        }
    }

    fn clear(&mut self, now: Time, node: NodeId, vm: VmId, out: &mut Vec<Output>) {
        let mut accepted = Accepted {
            what: format!("clear what is left of {vm}"),
            ..Accepted::default()
        };
        accepted.task(vm, node, TaskAct::Clear, &[]);
        self.begin_own(now, vm, accepted, out);
    }

    /// Brings VMs to what is wished of them.
    fn heal(&mut self, now: Time, out: &mut Vec<Output>) {
        let ailing: Vec<VmId> = self
            .ledger
            .vms
            .values()
            .filter(|record| self.is_ailing(record) && self.may_mend(now, record.id))
            .map(|record| record.id)
            .collect();
        for vm in ailing {
            let record = &self.ledger.vms[&vm];
            if let Some(accepted) = self.cure(record) {
                self.begin_own(now, vm, accepted, out);
            } else {
                self.mended.insert(vm, now);
            }
        }
    }

    pub(super) fn may_mend(&self, now: Time, vm: VmId) -> bool {
        let rested = self.mended.get(&vm).is_none_or(|at| *at + REST <= now);
        rested && !self.ledger.locks.contains_key(&vm)
    }

    fn is_lost(&self, record: &VmRecord) -> bool {
        self.ledger.nodes[record.node.index()]
            .remains
            .contains_key(&record.id)
    }

    fn is_ailing(&self, record: &VmRecord) -> bool {
        if self.is_lost(record) {
            return true;
        }
        if !self.links[record.node.index()].is_reached {
            return false;
        }
        let seen = self.seen.get(&record.id);
        let state = seen.filter(|seen| seen.node == record.node);
        let state = state.and_then(|seen| seen.state);
        match record.wish {
            Wish::Gone => !record.is_made || !is_planted(Bug::GoneUnhealed),
            Wish::Running => {
                !record.is_made || matches!(state, Some(VmState::Stopped | VmState::Failed))
            }
            Wish::Stopped => {
                !record.is_made || matches!(state, Some(VmState::Running | VmState::Paused))
            }
        }
    }

    /// What brings a VM to what is wished of it, if anything can be done now.
    fn cure(&self, record: &VmRecord) -> Option<Accepted> {
        let (vm, name) = (record.id, &record.name);
        let mut accepted = Accepted::default();
        let start = |accepted: &mut Accepted, node: NodeId, after: &[u32]| {
            if record.wish == Wish::Running {
                let verb = Verb::Start;
                accepted.task(vm, node, TaskAct::Do { verb }, after);
            }
        };
        if record.wish == Wish::Gone && !self.is_lost(record) {
            accepted.what = format!("delete {name}");
            accepted.delete(record, &[]);
        } else if self.is_lost(record) {
            let Chosen {
                node: to,
                devices,
                why,
            } = self.refuge(record).ok()?;
            accepted.what = format!("restart {name} elsewhere");
            accepted.changes.push(Change::Relocated {
                vm,
                to,
                devices,
                why,
            });
            let made = accepted.task(vm, to, TaskAct::Remake, &[]);
            start(&mut accepted, to, &[made]);
        } else if !record.is_made {
            accepted.what = format!("make {name} anew");
            let made = accepted.task(vm, record.node, TaskAct::Remake, &[]);
            start(&mut accepted, record.node, &[made]);
        } else if record.wish == Wish::Running {
            accepted.what = format!("start {name} again");
            start(&mut accepted, record.node, &[]);
        } else {
            accepted.what = format!("stop {name} again");
            let shutdown = Shutdown::Forced;
            let verb = Verb::Stop { shutdown };
            accepted.task(vm, record.node, TaskAct::Do { verb }, &[]);
        }
        Some(accepted)
    }

    pub(super) fn begin_own(
        &mut self,
        now: Time,
        vm: VmId,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        self.mended.insert(vm, now);
        let operation = OperationId(FIRST_OWN + self.ledger.next_own);
        self.begin(now, operation, accepted, out);
    }
}

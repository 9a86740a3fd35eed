//! What is recorded of the grid changes with an order that ends, and with an operation that turns back.

use super::Ledger;
use crate::operation::{Operation, Task, TaskAct, TaskState};
use crate::planted::{Bug, is_planted};
use crate::record::Wish;
use model::blueprint::Blueprint;
use model::id::{NodeId, OperationId, VmId};
use model::order::{Scale, Verb};
use model::report::Outcome;
use model::time::Time;
use model::units::Resources;
use model::vm::{Demand, VmSpec};
use std::sync::Arc;

impl Ledger {
    pub(super) fn close(&mut self, operation: OperationId, place: u32, end: &TaskState, at: Time) {
        let Some(task) = self
            .task(operation, place)
            .filter(|task| !task.state.is_over())
        else {
            return;
        };
        let before = std::mem::replace(&mut task.state, end.clone());
        let (vm, node, act) = (task.vm, task.node, task.act.clone());
        let is_done = *end == TaskState::Done;
        self.stir(vm);
        match act {
            TaskAct::Configure { parts, .. } => {
                if let Some(record) = self.vms.get_mut(&vm).filter(|_| is_done) {
                    record.configured = parts;
                }
            }
            TaskAct::Create => match (is_done, self.vms.get_mut(&vm)) {
                (true, Some(record)) => record.is_made = true,
                // It is made anew, by another operation, as long as it is wished for.
                (false, Some(record)) if record.wish == Wish::Gone => self.drop_vm(vm),
                _ => {}
            },
            TaskAct::Remake => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    record.is_made |= is_done;
                    record.configured.clear();
                }
            }
            TaskAct::Scale { scale, from, to } => {
                self.resize(vm, if is_done { to } else { from });
                if is_done {
                    self.done(vm, &Verb::Scale { scale });
                }
            }
            TaskAct::Do { verb } if is_done => self.done(vm, &verb),
            TaskAct::Do { .. } => {}
            TaskAct::Receive => {
                let is_sent = self.is_sent(operation, place);
                self.received(vm, is_done, is_sent, at);
            }
            TaskAct::Send { to } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    record.leaving = None;
                }
                if self.vms.get(&vm).is_none_or(|record| record.node != node) {
                    self.rise(node, vm);
                }
                self.settle_receiver(operation, to, is_done, at);
            }
            TaskAct::Clear if is_done => {
                self.nodes[node.index()].remains.remove(&vm);
                self.touched.insert(node);
                let here = self.vms.get_mut(&vm).filter(|record| record.node == node);
                if let Some(record) = here {
                    record.is_made = false;
                }
            }
            TaskAct::Lend { .. } if is_done => {}
            TaskAct::Withdraw if !is_done => {}
            TaskAct::Lend { .. } | TaskAct::Withdraw => {
                self.nodes[node.index()].lends.remove(&vm);
                self.touched.insert(node);
            }
            TaskAct::Clear => {}
        }
        // What was made on the way is unmade on the way back.
        let was_ordered = matches!(before, TaskState::Ordered { .. });
        let is_going_back = self.open.get(&operation).is_some_and(|o| o.back.is_some());
        if was_ordered && is_going_back {
            self.undo(operation, place);
        }
        self.forget(operation);
    }

    pub(super) fn resize(&mut self, vm: VmId, resources: Resources) {
        if let Some(record) = self.vms.get_mut(&vm) {
            record.resources = resources;
            let mut spec = VmSpec::clone(&record.spec);
            spec.demand = Demand::Fixed(resources);
            record.spec = Arc::new(spec);
            self.touched.extend(record.nodes());
        }
    }

    /// The order to send a VM has ended: where the node that receives it was given up meanwhile, the
    /// sender alone knows what has become of it.
    fn settle_receiver(&mut self, operation: OperationId, to: u32, is_sent: bool, at: Time) {
        let Some(task) = self.task(operation, to) else {
            return;
        };
        let (vm, node) = (task.vm, task.node);
        if !self.nodes[node.index()].remains.contains_key(&vm) {
            return;
        }
        let end = match is_sent {
            true => TaskState::Done,
            false => given_up(),
        };
        self.close(operation, to, &end, at);
    }

    /// Whether the order to send what another one receives has ended.
    pub(super) fn is_sent(&self, operation: OperationId, receiver: u32) -> bool {
        let tasks = self.open.get(&operation).map(|open| open.tasks.iter());
        let mut sends = tasks
            .into_iter()
            .flatten()
            .filter(|task| task.act == TaskAct::Send { to: receiver });
        sends.all(|task| task.state.is_over())
    }

    /// The order to receive a VM has ended. `is_sent`: so has the order to send it.
    pub(super) fn received(&mut self, vm: VmId, is_done: bool, is_sent: bool, at: Time) {
        let Some(record) = self.vms.get_mut(&vm) else {
            return;
        };
        let Some((to, devices)) = record.arriving.take() else {
            return;
        };
        let why = record.why_there.take();
        if is_done {
            record.why = why;
            let from = std::mem::replace(&mut record.node, to);
            record.leaving = Some(from).filter(|_| !is_sent);
            record.devices = devices;
            record.since = at;
            self.touched.extend([from, to]);
            if is_sent {
                self.rise(from, vm);
            }
        } else {
            self.rise(to, vm);
        }
    }

    /// A verb has changed what a VM is.
    pub(super) fn done(&mut self, vm: VmId, verb: &Verb) {
        let Some(record) = self.vms.get_mut(&vm) else {
            return;
        };
        match verb {
            Verb::Delete => return self.drop_vm(vm),
            // What is to be gone stays so, whatever was under way when that was asked.
            Verb::Start | Verb::Resume | Verb::Reboot | Verb::Stop { .. }
                if record.wish == Wish::Gone => {}
            Verb::Start | Verb::Resume | Verb::Reboot => record.wish = Wish::Running,
            Verb::Stop { .. } => record.wish = Wish::Stopped,
            // It is as it was then.
            Verb::Restore { .. } => record.configured.clear(),
            Verb::Modify { blueprint, .. } => record.blueprint = Arc::new((**blueprint).clone()),
            Verb::Scale { scale } => {
                rescale(Arc::make_mut(&mut record.blueprint), scale);
            }
            _ => return,
        }
        self.touched.insert(record.node);
    }

    pub(super) fn drop_vm(&mut self, vm: VmId) {
        self.stir(vm);
        let Some(record) = self.vms.remove(&vm) else {
            return;
        };
        for node in record.nodes() {
            self.rise(node, vm);
        }
        if is_planted(Bug::LentGoesAlong) {
            for node in &mut self.nodes {
                node.lends.remove(&vm);
            }
            self.touched
                .extend(record.lent.iter().map(|lent| lent.node));
        }
        if let Some(deployment) = self.deployments.get_mut(&record.deployment) {
            deployment.vms.remove(&vm);
        }
    }

    pub(super) fn turn_back(&mut self, operation: OperationId, outcome: &Outcome) {
        let Some(open) = self.open.get_mut(&operation) else {
            return;
        };
        open.back = Some(outcome.clone());
        let at = open.at;
        let places = |state: &TaskState| -> Vec<u32> {
            let tasks = open.tasks.iter().enumerate();
            let tasks = tasks.filter(|(_, task)| task.state == *state);
            tasks.map(|(place, _)| place as u32).collect()
        };
        let (dropped, done) = (places(&TaskState::Waiting), places(&TaskState::Done));
        let made = open.tasks.iter().filter(|task| task.act == TaskAct::Create);
        for vm in made.map(|task| task.vm) {
            if let Some(record) = self.vms.get_mut(&vm) {
                record.wish = Wish::Gone;
            }
        }
        for place in dropped {
            self.close(operation, place, &TaskState::Dropped, at);
        }
        for place in done {
            self.undo(operation, place);
        }
    }

    /// Adds what takes a task back that was done or may have been.
    pub(super) fn undo(&mut self, operation: OperationId, place: u32) {
        let Some(open) = self.open.get_mut(&operation) else {
            return;
        };
        let task = &open.tasks[place as usize];
        let (vm, node) = (task.vm, task.node);
        let is_wished = (self.vms.get(&vm)).is_some_and(|record| record.wish != Wish::Gone);
        if task.state != TaskState::Done || is_wished {
            return;
        }
        let act = match task.act {
            TaskAct::Create => TaskAct::Do { verb: Verb::Delete },
            TaskAct::Lend { .. } => TaskAct::Withdraw,
            _ => return,
        };
        open.tasks.push(Task::new(vm, node, act, Vec::new()));
    }

    /// Gives up what was ordered of a node about its highly available VMs.
    pub(super) fn give_up(&mut self, node: NodeId) {
        let vms: Vec<VmId> = self.nodes[node.index()].vms.iter().copied().collect();
        for vm in vms {
            let Some(record) = self.vms.get(&vm) else {
                continue;
            };
            if !record.is_highly_available() {
                continue;
            }
            let resources = record.resources;
            self.nodes[node.index()].remains.insert(vm, resources);
            for operation in self.locks.get(&vm).cloned().unwrap_or_default() {
                self.abandon(operation, vm, node);
            }
        }
        self.touched.insert(node);
    }

    /// Closes what an operation has ordered of a node about a VM.
    pub(super) fn abandon(&mut self, operation: OperationId, vm: VmId, node: NodeId) {
        let Some(open) = self.open.get(&operation) else {
            return;
        };
        let at = open.at;
        let tasks = (0..).zip(&open.tasks);
        let tasks = tasks.filter(|(_, task)| (task.vm, task.node) == (vm, node));
        let ends: Vec<(u32, TaskState)> = tasks
            .filter(|(_, task)| matches!(task.state, TaskState::Ordered { .. }))
            .filter_map(|(place, _)| Some((place, abandoned(open, place)?)))
            .collect();
        for (place, end) in ends {
            self.close(operation, place, &end, at);
        }
    }
}

/// How an order ends whose node was given up; `None`: it receives what is being sent, and may have
/// come, whoever hears of it.
fn abandoned(open: &Operation, place: u32) -> Option<TaskState> {
    let mut tasks = open.tasks.iter();
    let sender = tasks.find(|task| task.act == TaskAct::Send { to: place });
    match sender.map(|sender| &sender.state) {
        Some(TaskState::Ordered { .. }) => None,
        Some(TaskState::Done) => Some(TaskState::Done),
        _ => Some(given_up()),
    }
}

fn given_up() -> TaskState {
    let reason = "its node was given up".to_owned();
    TaskState::Failed { reason }
}

/// The blueprint of a VM that has another size.
fn rescale(blueprint: &mut Blueprint, scale: &Scale) {
    match scale {
        Scale::Cpu { cpus } => blueprint.cpus = *cpus,
        Scale::Mem { mem_mib } => blueprint.mem_mib = *mem_mib,
        Scale::Disk { disk, size_mib } => {
            for of in blueprint.disks.iter_mut().filter(|of| of.name == *disk) {
                of.size_mib = *size_mib;
            }
        }
        Scale::DiskIo { disk, iops, mibps } => {
            for of in blueprint.disks.iter_mut().filter(|of| of.name == *disk) {
                (of.iops, of.mibps) = (*iops, *mibps);
            }
        }
        Scale::Net { interface, mbps } => {
            let interfaces = blueprint.interfaces.iter_mut();
            for of in interfaces.filter(|of| of.name == *interface) {
                of.mbps = *mbps;
            }
        }
    }
}

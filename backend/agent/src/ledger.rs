//! All that an agent must not forget: the sum of its journal.
//!
//! [`Ledger::apply`] alone changes it, both when the agent writes an entry and when a later one
//! reads it back, so that the two cannot differ.

mod run;

pub use run::{Open, Run};

use crate::driver::{Act, NativeCall};
use crate::journal::Entry;
use crate::lending::Volume;
use crate::own::is_own;
use crate::planted::{Bug, is_planted};
use crate::rotation;
use crate::scaling;
use crate::settings::Lease;
use crate::space::{base_mib, disk_mib, space_mib};
use crate::step::{Gained, Planned, Step};
use crate::steps::{Record, vms_of};
use model::blueprint::Blueprint;
use model::id::{Generation, OperationId, VmId};
use model::order::{Order, Verb};
use model::report::{Outcome, VmState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many ended operations are kept to answer repeats: a controller repeats an order only until
/// it has recorded the end, seconds later; at 50 orders a second this is over a minute, and at 200
/// bytes each less than 1 MiB.
pub const KEPT_OPERATIONS: usize = 4_096;

/// How many calls to the hypervisor are kept for people to read: some hundred orders.
pub const KEPT_CALLS: usize = 2_048;

/// The sum of a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// VMs of the node.
    pub vms: BTreeMap<VmId, Record>,
    /// Volumes of the node that are lent to VMs.
    pub lent: BTreeMap<VmId, Vec<Volume>>,
    /// Operations that have not ended.
    pub open: BTreeMap<OperationId, Open>,
    /// Open operations in the order in which they came.
    pub queue: Vec<OperationId>,
    /// How operations have ended, the last [`KEPT_OPERATIONS`].
    pub past: BTreeMap<OperationId, Past>,
    /// The newest generation of all orders.
    pub newest: Generation,
    /// The last lease; `None`: there was none yet.
    pub lease: Option<Lease>,
    /// The last [`KEPT_CALLS`] calls.
    pub calls: VecDeque<(OperationId, NativeCall)>,
    /// Keys of `past`, oldest first.
    ended: VecDeque<OperationId>,
}

/// An operation that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The generation of its order.
    pub generation: Generation,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the volume is served that it has lent.
    pub serving: Option<String>,
}

impl Ledger {
    /// Takes one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Accepted { order, .. } => self.accept(order),
            Entry::Planned { operation, steps } => self.set_run(*operation, steps, None),
            Entry::TurnedBack {
                operation,
                outcome,
                steps,
            } => self.set_run(*operation, steps, Some(outcome.clone())),
            Entry::Begun { operation, .. } => {
                if let Some(run) = self.run(*operation) {
                    run.begun = true;
                }
            }
            Entry::Ended {
                operation, gained, ..
            } => {
                self.count(*operation, gained);
                if let Some(run) = self.run(*operation) {
                    run.begun = false;
                    run.next += 1;
                    run.listening = gained.listening.clone().or(run.listening.take());
                }
            }
            Entry::CalledOff { operation } => {
                if let Some(open) = self.open.get_mut(operation) {
                    open.called_off = true;
                }
            }
            Entry::Finished { operation, outcome } => self.finish(*operation, outcome),
            Entry::Leased { lease } => self.lease = Some(lease.clone()),
            Entry::Saw { vm, state } => self.note(*vm, *state),
            Entry::Called { operation, call } => {
                self.calls.push_back((*operation, call.clone()));
                if self.calls.len() > KEPT_CALLS {
                    self.calls.pop_front();
                }
            }
            Entry::Kept { vm, record } => {
                self.vms.insert(*vm, (**record).clone());
            }
            Entry::Lent { vm, volumes } => {
                self.lent.insert(*vm, volumes.clone());
            }
            Entry::Past {
                operation,
                generation,
                outcome,
                serving,
            } => {
                let past = Past {
                    generation: *generation,
                    outcome: outcome.clone(),
                    serving: serving.clone(),
                };
                self.remember(*operation, past);
            }
            Entry::Newest { generation } => self.newest = self.newest.max(*generation),
        }
    }

    /// The shortest journal with this sum.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::Newest {
            generation: self.newest,
        }];
        entries.extend(self.lease.clone().map(|lease| Entry::Leased { lease }));
        entries.extend(self.vms.iter().map(|(&vm, record)| Entry::Kept {
            vm,
            record: Box::new(record.clone()),
        }));
        entries.extend(self.lent.iter().map(|(&vm, volumes)| Entry::Lent {
            vm,
            volumes: volumes.clone(),
        }));
        entries.extend(self.ended.iter().map(|operation| {
            let past = self.past[operation].clone();
            Entry::Past {
                operation: *operation,
                generation: past.generation,
                outcome: past.outcome,
                serving: past.serving,
            }
        }));
        for operation in &self.queue {
            entries.extend(self.open[operation].entries(*operation));
        }
        let calls = self.calls.iter().cloned();
        entries.extend(calls.map(|(operation, call)| Entry::Called { operation, call }));
        entries
    }

    /// Disk space promised to VMs that are here, being made, or not yet wiped, in MiB.
    pub fn promised_mib(&self) -> u64 {
        let here = self.vms.values().map(|record| disk_mib(&record.blueprint));
        let begun = self.open.values().filter(|open| open.run.is_some());
        let coming = begun.map(|open| space_mib(&open.order, &self.vms, &self.lent));
        let bases = base_mib(self.vms.values().map(|record| &record.blueprint));
        let lent = self.lent.values().flatten().map(|volume| volume.size_mib);
        here.sum::<u64>() + bases + lent.sum::<u64>() + coming.sum::<u64>()
    }

    /// The open operations whose turn has come: no earlier one touches their VMs.
    pub fn turns(&self) -> Vec<OperationId> {
        let mut touched = BTreeSet::new();
        let mut turns = Vec::new();
        for operation in &self.queue {
            let vms = vms_of(&self.open[operation].order);
            if !vms.iter().any(|vm| touched.contains(vm)) {
                turns.push(*operation);
            }
            touched.extend(vms);
        }
        turns
    }

    /// Counts what the step of an operation has done that was begun.
    fn count(&mut self, operation: OperationId, gained: &Gained) {
        let step = self.run(operation).and_then(|run| run.step());
        let rebooted = step.and_then(|planned| match planned.step {
            Step::Act {
                vm,
                act: Act::Reboot,
            } => Some(vm),
            _ => None,
        });
        if let Some(record) = rebooted.and_then(|vm| self.vms.get_mut(&vm)) {
            record.tally.reboots += 1;
        }
        for seen in &gained.states {
            if let Some(state) = seen.state {
                self.note(seen.vm, state);
            }
        }
    }

    fn note(&mut self, vm: VmId, state: VmState) {
        if let Some(record) = self.vms.get_mut(&vm) {
            record.tally.note(state);
        }
    }

    fn run(&mut self, operation: OperationId) -> Option<&mut Run> {
        self.open.get_mut(&operation)?.run.as_mut()
    }

    fn accept(&mut self, order: &Order) {
        if !is_planted(Bug::NewestAtEnd) {
            self.newest = self.newest.max(order.generation);
        }
        let place = if is_own(order.operation) {
            // The node's own orders wait only for what has begun.
            let waits = |other: &OperationId| self.open[other].run.is_none();
            self.queue.iter().position(waits)
        } else {
            None
        };
        self.queue
            .insert(place.unwrap_or(self.queue.len()), order.operation);
        self.open.insert(
            order.operation,
            Open {
                order: order.clone(),
                called_off: false,
                run: None,
            },
        );
    }

    fn set_run(&mut self, operation: OperationId, steps: &[Planned], back: Option<Outcome>) {
        if let Some(open) = self.open.get_mut(&operation) {
            open.run = Some(Run {
                steps: steps.to_vec(),
                next: 0,
                begun: false,
                back,
                listening: None,
            });
        }
    }

    fn finish(&mut self, operation: OperationId, outcome: &Outcome) {
        let Some(open) = self.open.remove(&operation) else {
            return;
        };
        self.queue.retain(|other| *other != operation);
        if is_planted(Bug::NewestAtEnd) {
            self.newest = self.newest.max(open.order.generation);
        }
        let mut serving = None;
        if *outcome == Outcome::Done {
            self.record(&open.order);
            let lends = matches!(open.order.verb, Verb::Lend { .. });
            serving = open.run.filter(|_| lends).and_then(|run| run.listening);
        }
        let past = Past {
            generation: open.order.generation,
            outcome: outcome.clone(),
            serving,
        };
        self.remember(operation, past);
    }

    fn remember(&mut self, operation: OperationId, past: Past) {
        self.past.insert(operation, past);
        self.ended.push_back(operation);
        let kept = match is_planted(Bug::EndsForgotten) {
            true => 2,
            false => KEPT_OPERATIONS,
        };
        if self.ended.len() > kept
            && let Some(oldest) = self.ended.pop_front()
        {
            self.past.remove(&oldest);
        }
    }

    /// What an order that was carried out makes of the node's VMs.
    fn record(&mut self, order: &Order) {
        let vm = order.vm;
        match &order.verb {
            Verb::Receive { blueprint, .. } if is_planted(Bug::MovedIsPlain) => {
                let mut blueprint = Blueprint::clone(blueprint);
                blueprint.highly_available = false;
                self.insert(&blueprint);
            }
            Verb::Create { blueprint } | Verb::Receive { blueprint, .. } => self.insert(blueprint),
            Verb::Copy { to } => self.insert(to),
            Verb::Delete => {
                self.vms.remove(&vm);
                self.lent.remove(&vm);
            }
            Verb::Migrate { .. } => {
                self.vms.remove(&vm);
            }
            Verb::Lend {
                volume, size_mib, ..
            } => {
                let lent = self.lent.entry(vm).or_default();
                if !lent.iter().any(|known| known.name == *volume) {
                    lent.push(Volume {
                        name: volume.clone(),
                        size_mib: *size_mib,
                    });
                }
            }
            Verb::Scale { scale } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    scaling::write(&mut record.blueprint, scale);
                }
            }
            Verb::Modify { blueprint, .. } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    record.blueprint = (**blueprint).clone();
                }
            }
            Verb::Snapshot { name } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    record.snapshots.insert(name.clone());
                }
            }
            Verb::DropSnapshot { name } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    record.snapshots.remove(name);
                }
            }
            Verb::RotateKey { from, to } => {
                if let Some(record) = self.vms.get_mut(&vm) {
                    rotation::write(&mut record.blueprint, *from, *to);
                }
            }
            Verb::Start
            | Verb::Stop { .. }
            | Verb::Pause
            | Verb::Resume
            | Verb::Reboot
            | Verb::Restore { .. }
            | Verb::ReportStatistics
            | Verb::SaveImage { .. }
            | Verb::Configure { .. } => {}
        }
    }

    fn insert(&mut self, blueprint: &Blueprint) {
        self.vms.insert(
            blueprint.vm,
            Record {
                blueprint: blueprint.clone(),
                snapshots: Default::default(),
                tally: Default::default(),
            },
        );
    }
}

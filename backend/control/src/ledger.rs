//! All that a controller must not forget: the sum of its journal.
//!
//! [`Ledger::apply`] alone changes it, both when the controller writes an entry and when a later one
//! reads it back, so that the two cannot differ.

mod change;
mod closing;
mod names;

use crate::backend::Refused;
use crate::journal::Entry;
use crate::operation::{Operation, Task, TaskState};
use crate::record::{Deployment, NodeRecord, VmRecord};
use model::id::{Generation, NodeId, OperationId, TenantId, VmId};
use model::report::Outcome;
use model::time::Time;
use names::Names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many ended operations are kept to answer repeats and to be asked about; the history of events
/// keeps all.
pub const KEPT_OPERATIONS: usize = 10_000;

/// The first id of operations that a controller begins by itself.
pub const FIRST_OWN: u64 = 1 << 62;

/// The sum of a journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// How often the grid has changed.
    pub generation: Generation,
    /// By [`NodeId`].
    pub nodes: Vec<NodeRecord>,
    /// All VMs, those that are to be gone among them until they are.
    #[serde(with = "crate::pairs")]
    pub vms: BTreeMap<VmId, VmRecord>,
    /// Deployed designs by their places, which are never used again.
    #[serde(with = "crate::pairs")]
    pub deployments: BTreeMap<u32, Deployment>,
    /// Names of tenants, by [`TenantId`].
    pub tenants: Vec<String>,
    /// Operations of which something is left to do.
    #[serde(with = "crate::pairs")]
    pub open: BTreeMap<OperationId, Operation>,
    /// Operations that have a VM or wait for it, in the order in which they came.
    #[serde(with = "crate::pairs")]
    pub locks: BTreeMap<VmId, VecDeque<OperationId>>,
    /// How operations have ended, the last [`KEPT_OPERATIONS`].
    #[serde(with = "crate::pairs")]
    pub past: BTreeMap<OperationId, Past>,
    /// Keys of `past`, oldest first.
    ended: VecDeque<OperationId>,
    /// The next id of a VM.
    pub next_vm: u64,
    /// The next id of an order.
    pub next_order: u64,
    /// How many operations the controller has begun by itself.
    pub next_own: u64,
    /// The next place of a deployment.
    pub next_deployment: u32,
    #[serde(skip)]
    names: Names,
    /// Nodes of which something changed since somebody looked.
    #[serde(skip)]
    pub(crate) touched: BTreeSet<NodeId>,
    /// Deployments of which something changed since somebody looked.
    #[serde(skip)]
    pub(crate) stirred: BTreeSet<u32>,
}

/// How an operation has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "past", rename_all = "kebab-case")]
pub enum Past {
    /// It was not taken.
    Refused {
        /// Why.
        why: Refused,
    },
    /// It has ended.
    Ended {
        /// What was asked, in words.
        what: String,
        /// How.
        outcome: Outcome,
        /// When it was accepted.
        at: Time,
        /// When it has ended.
        until: Time,
    },
}

impl Ledger {
    /// Of a grid of this many nodes, on which nothing was done yet.
    pub fn new(states: impl IntoIterator<Item = model::grid::NodeState>) -> Self {
        let nodes = states.into_iter().map(|state| NodeRecord {
            state,
            ..NodeRecord::default()
        });
        Self {
            nodes: nodes.collect(),
            ..Self::default()
        }
    }

    /// Takes one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Accepted {
                operation,
                what,
                at,
                deadline,
                tasks,
                changes,
            } => {
                changes.iter().for_each(|change| self.change(change, *at));
                if let Some(own) = operation.0.checked_sub(FIRST_OWN) {
                    self.next_own = self.next_own.max(own + 1);
                }
                let accepted = Operation {
                    what: what.clone(),
                    at: *at,
                    deadline: *deadline,
                    tasks: tasks.clone(),
                    back: None,
                    is_ended: false,
                };
                for vm in accepted.vms() {
                    self.locks.entry(vm).or_default().push_back(*operation);
                }
                self.open.insert(*operation, accepted);
            }
            Entry::Refused { operation, why } => {
                self.remember(*operation, Past::Refused { why: why.clone() });
            }
            Entry::Ordered {
                operation,
                task,
                node,
                order,
                generation,
                verb,
            } => {
                self.next_order = self.next_order.max(order.0 + 1);
                if let Some(task) = self.task(*operation, *task) {
                    task.node = *node;
                    task.state = TaskState::Ordered {
                        order: *order,
                        generation: *generation,
                        verb: verb.clone(),
                    };
                }
            }
            Entry::Lent { vm, piece, address } => {
                let lent = self.vms.get_mut(vm).map(|record| &mut record.lent);
                if let Some(lent) = lent.and_then(|lent| lent.get_mut(*piece as usize)) {
                    lent.address = Some(*address);
                }
            }
            Entry::Closed {
                operation,
                task,
                end,
                at,
            } => self.close(*operation, *task, end, *at),
            Entry::TurnedBack { operation, outcome } => self.turn_back(*operation, outcome),
            Entry::Ended {
                operation,
                outcome,
                at,
            } => {
                if let Some(open) = self.open.get_mut(operation) {
                    open.is_ended = true;
                    let past = Past::Ended {
                        what: open.what.clone(),
                        outcome: outcome.clone(),
                        at: open.at,
                        until: *at,
                    };
                    self.remember(*operation, past);
                }
                self.forget(*operation);
            }
            Entry::GivenUp { node } => self.give_up(*node),
            Entry::Retaken { node, vm } => {
                self.nodes[node.index()].remains.remove(vm);
                self.touched.insert(*node);
            }
            Entry::Kept { ledger } => {
                // Nodes that came to the grid since.
                let all = std::mem::take(&mut self.nodes);
                *self = (**ledger).clone();
                self.names = Names::of(self);
                self.nodes.extend(all.into_iter().skip(self.nodes.len()));
                self.touched = (0..self.nodes.len() as u32).map(NodeId).collect();
            }
        }
    }

    /// Operations that have ended, the latest first, at most so many; those that were refused are not
    /// among them.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = OperationId> {
        let ended = self.ended.iter().rev().copied();
        let ended = ended.filter(|id| matches!(self.past.get(id), Some(Past::Ended { .. })));
        ended.take(most)
    }

    /// Whether an operation's turn has come for all of its VMs.
    pub fn has_locks(&self, operation: OperationId) -> bool {
        let vms = self.open.get(&operation).map(Operation::vms);
        vms.is_some_and(|vms| vms.iter().all(|vm| self.holder(*vm) == Some(operation)))
    }

    /// The operation that has a VM.
    pub fn holder(&self, vm: VmId) -> Option<OperationId> {
        self.locks.get(&vm)?.front().copied()
    }

    /// The deployment of a tenant's design.
    pub fn deployment(&self, tenant: &str, design: &str) -> Option<(u32, &Deployment)> {
        let place = self.names.design(tenant, design)?;
        Some((place, self.deployments.get(&place)?))
    }

    /// The id of a tenant, new where it was not heard of.
    pub fn tenant(&self, name: &str) -> TenantId {
        let known = self.names.tenant(name);
        known.unwrap_or(TenantId(self.tenants.len() as u32))
    }

    fn task(&mut self, operation: OperationId, task: u32) -> Option<&mut Task> {
        let open = self.open.get_mut(&operation)?;
        open.tasks.get_mut(task as usize)
    }

    /// Lets go of an operation of which nothing is left.
    fn forget(&mut self, operation: OperationId) {
        let over = |open: &Operation| open.is_ended && open.is_over();
        if !self.open.get(&operation).is_some_and(over) {
            return;
        }
        let gone = self.open.remove(&operation);
        for vm in gone.iter().flat_map(Operation::vms) {
            if let Some(queue) = self.locks.get_mut(&vm) {
                queue.retain(|waiting| *waiting != operation);
                if queue.is_empty() {
                    self.locks.remove(&vm);
                }
            }
        }
    }

    fn remember(&mut self, operation: OperationId, past: Past) {
        if self.past.insert(operation, past).is_none() {
            self.ended.push_back(operation);
        }
        if self.ended.len() > KEPT_OPERATIONS
            && let Some(oldest) = self.ended.pop_front()
        {
            self.past.remove(&oldest);
        }
    }
}

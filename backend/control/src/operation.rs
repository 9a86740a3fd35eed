//! What somebody asked for, as the orders that carry it out.

use model::configuration::Configuration;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::{Scale, Verb};
use model::report::Outcome;
use model::time::Time;
use model::units::Resources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An operation from its acceptance until its last order has ended.
///
/// ```text
///             all tasks done                      Done
///  open ─────────────────────────────────────────────▶ ended, forgotten
///   │  a task failed, called off, or late
///   ▼                        last task ended
///  turned back ──────────────────────────────────────▶ ended as it was turned back, forgotten
///         └─ late: ended at once, forgotten when its last task has ended
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What was asked, in words: `deploy shop`.
    pub what: String,
    /// When it was accepted.
    pub at: Time,
    /// When it has to have ended.
    pub deadline: Time,
    /// Its orders, as far as is known.
    pub tasks: Vec<Task>,
    /// How it will end, once it undoes what was done.
    pub back: Option<Outcome>,
    /// Whether its end has been told.
    pub is_ended: bool,
}

impl Operation {
    /// VMs that nobody else may touch meanwhile.
    pub fn vms(&self) -> BTreeSet<VmId> {
        self.tasks.iter().map(|task| task.vm).collect()
    }

    /// Whether no task is left to be done.
    pub fn is_over(&self) -> bool {
        self.tasks.iter().all(|task| task.state.is_over())
    }

    /// Places of the tasks that may be ordered now: what comes before them is done, and of their VM
    /// nothing else is under way on their node.
    pub fn ready(&self) -> impl Iterator<Item = usize> {
        let is_ordered = |task: &Task| matches!(task.state, TaskState::Ordered { .. });
        let ready = move |task: &Task| {
            let before = |&place: &u32| {
                let before = &self.tasks[place as usize];
                match task.act {
                    // A VM is sent to where it is waited for.
                    TaskAct::Send { to } if to == place => is_ordered(before),
                    _ => before.state == TaskState::Done,
                }
            };
            let beside =
                |other: &Task| (other.vm, other.node) == (task.vm, task.node) && is_ordered(other);
            task.state == TaskState::Waiting
                && task.after.iter().all(before)
                && !self.tasks.iter().any(beside)
        };
        let tasks = self.tasks.iter().enumerate();
        tasks
            .filter(move |(_, task)| ready(task))
            .map(|(place, _)| place)
    }
}

/// One order of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// About which VM.
    pub vm: VmId,
    /// To which node.
    pub node: NodeId,
    /// What.
    pub act: TaskAct,
    /// Tasks that must be done before, by their places.
    pub after: Vec<u32>,
    /// How far it is.
    pub state: TaskState,
}

impl Task {
    /// One that has not been ordered.
    pub fn new(vm: VmId, node: NodeId, act: TaskAct, after: Vec<u32>) -> Self {
        let state = TaskState::Waiting;
        Self {
            vm,
            node,
            act,
            after,
            state,
        }
    }
}

/// What an order is to do. Those that depend on what the VM is by then get their verb when they are
/// ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum TaskAct {
    /// Make the VM as it is recorded, which goes again where the operation fails.
    Create,
    /// Make it anew, as often as it takes.
    Remake,
    /// Give it more or less.
    Scale {
        /// Of what.
        scale: Scale,
        /// What it took of its node before.
        from: Resources,
        /// What it takes then.
        to: Resources,
    },
    /// Send it what its recipe says.
    Configure {
        /// What it lacks of that.
        configuration: Box<Configuration>,
        /// All parts that it has then, by their digests.
        parts: Vec<u64>,
    },
    /// What the verb says.
    Do {
        /// The verb.
        verb: Verb,
    },
    /// Receive it from another node.
    Receive,
    /// Send it to where it is received.
    Send {
        /// The place of the task that receives it.
        to: u32,
    },
    /// Lend it a piece of its remote disk.
    Lend {
        /// Which piece.
        piece: u32,
    },
    /// Lend it no piece any more.
    Withdraw,
    /// Wipe what is left of it there, which is not the VM any more.
    Clear,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TaskState {
    /// Its turn has not come.
    Waiting,
    /// It may be on its way, or under way.
    Ordered {
        /// The order's own id.
        order: OperationId,
        /// The grid's generation that it is of: every copy says the same.
        generation: Generation,
        /// What was ordered.
        verb: Box<Verb>,
    },
    /// Carried out.
    Done,
    /// It left nothing behind.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was never ordered, or called off before it did anything.
    Dropped,
}

impl TaskState {
    /// Whether nothing more comes of it.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Ordered { .. })
    }
}

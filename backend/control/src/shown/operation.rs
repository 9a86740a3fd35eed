//! Operations as they are told: how far they are, and what they are about.

use crate::controller::Controller;
use crate::ledger::{FIRST_OWN, Past};
use crate::operation::{Operation, Task, TaskAct, TaskState};
use model::id::OperationId;
use model::report::Outcome;
use model::time::Time;
use serde::{Deserialize, Serialize};

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OperationState {
    /// Another one has its VMs.
    Waiting,
    /// Its orders are carried out.
    Running,
    /// It undoes what it has done.
    TurningBack {
        /// Why.
        reason: String,
    },
    /// Carried out.
    Done,
    /// It left nothing behind.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was called off, and left nothing behind.
    Cancelled,
    /// It was not accepted.
    Refused {
        /// Why.
        reason: String,
        /// What can be done about it.
        hint: String,
    },
}

impl OperationState {
    /// Whether nothing more comes of it.
    pub const fn is_over(&self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::Running | Self::TurningBack { .. }
        )
    }

    /// In words.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "under way",
            Self::TurningBack { .. } => "turning back",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Refused { .. } => "refused",
        }
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationShown {
    /// Which.
    pub id: OperationId,
    /// What was asked, in words; empty where it was refused.
    pub what: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: OperationState,
    /// When it was accepted; `None`: it was not.
    pub at: Option<Time>,
    /// When it has to have ended; `None`: it has.
    pub deadline: Option<Time>,
    /// When it has ended; `None`: it has not, or was not accepted.
    pub until: Option<Time>,
    /// Its orders, in the order in which they were planned; empty where it is over.
    pub tasks: Vec<TaskShown>,
}

impl OperationShown {
    /// Whether it may be called off.
    pub const fn can_be_cancelled(&self) -> bool {
        matches!(
            self.state,
            OperationState::Waiting | OperationState::Running
        )
    }

    /// Whether the controller has begun it by itself.
    pub const fn is_own(&self) -> bool {
        self.id.0 >= FIRST_OWN
    }

    /// Orders that are over.
    pub fn orders_over(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_over).count()
    }

    /// Why it is as it is, or what is being done; empty: there is nothing to say.
    pub fn details(&self) -> String {
        match &self.state {
            OperationState::Running => self.under_way(),
            OperationState::TurningBack { reason }
            | OperationState::Failed { reason }
            | OperationState::Refused { reason, .. } => reason.clone(),
            OperationState::Waiting | OperationState::Done | OperationState::Cancelled => {
                String::new()
            }
        }
    }

    /// `build root 40 %, web-0 on north-web-3, and 4 more`.
    fn under_way(&self) -> String {
        let mut steps = self
            .tasks
            .iter()
            .filter_map(|task| Some((task, task.done_milli?)));
        let Some((task, done_milli)) = steps.next() else {
            return String::new();
        };
        let percent = done_milli / 10;
        let first = format!("{} {percent} %, {} on {}", task.state, task.vm, task.node);
        match steps.count() {
            0 => first,
            more => format!("{first}, and {more} more"),
        }
    }
}

/// An order of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskShown {
    /// The VM's name.
    pub vm: String,
    /// The node's name.
    pub node: String,
    /// What it does.
    pub what: String,
    /// How far it is, in words.
    pub state: String,
    /// Whether nothing more comes of it.
    pub is_over: bool,
    /// How much of the step under way is done, in thousandths; `None`: none is.
    pub done_milli: Option<u16>,
}

impl Controller {
    /// Open operations, the oldest first, and then as many of those that have ended, the latest first.
    pub fn operations_shown(&self, ended: usize) -> Vec<OperationShown> {
        let open = self.ledger().open.iter().filter(|(_, open)| !open.is_ended);
        let open = open.filter_map(|(id, _)| self.operation_shown(*id));
        let mut shown: Vec<OperationShown> = open.collect();
        shown.sort_by_key(|shown| (shown.at, shown.id));
        let past = self.ledger().latest(ended);
        shown.extend(past.filter_map(|id| self.operation_shown(id)));
        shown
    }

    /// An operation; `None`: it was not heard of, or is forgotten.
    pub fn operation_shown(&self, id: OperationId) -> Option<OperationShown> {
        if let Some(past) = self.ledger().past.get(&id) {
            return Some(past_shown(id, past));
        }
        let open = self.ledger().open.get(&id)?;
        let state = match &open.back {
            Some(Outcome::Failed { reason }) => OperationState::TurningBack {
                reason: reason.clone(),
            },
            Some(_) => OperationState::TurningBack {
                reason: "called off".to_owned(),
            },
            None if self.ledger().has_locks(id) => OperationState::Running,
            None => OperationState::Waiting,
        };
        Some(OperationShown {
            id,
            what: open.what.clone(),
            state,
            at: Some(open.at),
            deadline: Some(open.deadline),
            until: None,
            tasks: self.tasks_shown(id, open),
        })
    }

    fn tasks_shown(&self, id: OperationId, open: &Operation) -> Vec<TaskShown> {
        let tasks = (0..).zip(&open.tasks);
        let shown = tasks.map(|(place, task)| {
            let mut progress = self.progress(id);
            let progress = progress.find(|(of, _)| *of == place);
            let progress = progress.map(|(_, progress)| progress);
            let vm = self.ledger().vms.get(&task.vm);
            TaskShown {
                vm: vm.map_or_else(|| task.vm.to_string(), |vm| vm.name.clone()),
                node: self.node_name(task.node),
                what: act_in_words(task),
                state: match (&task.state, progress) {
                    (TaskState::Waiting, _) => "waits for its turn".to_owned(),
                    (TaskState::Ordered { .. }, Some(progress)) => progress.step.clone(),
                    (TaskState::Ordered { .. }, None) => "is ordered".to_owned(),
                    (TaskState::Done, _) => "done".to_owned(),
                    (TaskState::Failed { reason }, _) => format!("failed: {reason}"),
                    (TaskState::Dropped, _) => "dropped".to_owned(),
                },
                is_over: task.state.is_over(),
                done_milli: progress.map(|progress| progress.done_milli),
            }
        });
        shown.collect()
    }
}

fn past_shown(id: OperationId, past: &Past) -> OperationShown {
    let (what, state, span) = match past {
        Past::Refused { why } => {
            let state = OperationState::Refused {
                reason: why.to_string(),
                hint: why.hint().to_owned(),
            };
            (String::new(), state, None)
        }
        Past::Ended {
            what,
            outcome,
            at,
            until,
        } => {
            let state = match outcome {
                Outcome::Failed { reason } => OperationState::Failed {
                    reason: reason.clone(),
                },
                Outcome::Cancelled => OperationState::Cancelled,
                _ => OperationState::Done,
            };
            (what.clone(), state, Some((*at, *until)))
        }
    };
    OperationShown {
        id,
        what,
        state,
        at: span.map(|(at, _)| at),
        deadline: None,
        until: span.map(|(_, until)| until),
        tasks: Vec::new(),
    }
}

fn act_in_words(task: &Task) -> String {
    match &task.act {
        TaskAct::Create => "create".to_owned(),
        TaskAct::Remake => "make anew".to_owned(),
        TaskAct::Scale { .. } => "scale".to_owned(),
        TaskAct::Configure { .. } => "configure".to_owned(),
        TaskAct::Do { verb } => verb.word().to_owned(),
        TaskAct::Receive => "receive".to_owned(),
        TaskAct::Send { .. } => "send".to_owned(),
        TaskAct::Lend { piece } => format!("lend piece {piece}"),
        TaskAct::Withdraw => "take back what was lent".to_owned(),
        TaskAct::Clear => "clear away".to_owned(),
    }
}

//! A controller as it is shown: its operations, VMs and designs, and lines of its history in words.

use control::controller::Controller;
use control::ledger::{FIRST_OWN, Past};
use control::operation::{Operation, TaskState};
use control::record::Wish;
use model::event::{Event, Happening};
use model::grid::Grid;
use model::id::{NodeId, OperationId, VmId};
use model::report::{Outcome, VmState};
use model::time::Time;
use model::units::Resources;
use std::collections::BTreeMap;

/// Ended operations that are shown.
const ENDED_SHOWN: usize = 200;

/// How an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// Another one has its VMs.
    Waiting,
    /// Its orders are carried out.
    Working,
    /// What it did is undone.
    GoingBack,
    /// All is done.
    Done,
    /// It did not work, and has left nothing behind.
    Failed,
    /// It was called off, and has left nothing behind.
    Cancelled,
}

impl OperationState {
    /// In words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::GoingBack => "going back",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationShown {
    /// Its id.
    pub id: OperationId,
    /// What was asked, in words.
    pub what: String,
    /// How it is.
    pub state: OperationState,
    /// Why it is so, or what is being done; empty: there is nothing to say.
    pub details: String,
    /// Orders that are over, and all of them; `None`: it has ended.
    pub orders: Option<(u32, u32)>,
    /// When it was accepted.
    pub since: Option<Time>,
    /// When it has ended.
    pub until: Option<Time>,
}

impl OperationShown {
    /// Whether it has not ended.
    pub const fn is_open(&self) -> bool {
        self.orders.is_some()
    }

    /// Whether it may be called off.
    pub const fn can_be_cancelled(&self) -> bool {
        matches!(
            self.state,
            OperationState::Waiting | OperationState::Working
        )
    }

    /// Whether the controller has begun it by itself.
    pub const fn is_own(&self) -> bool {
        self.id.0 >= FIRST_OWN
    }
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmShown {
    /// Its name, as `web-0`.
    pub name: String,
    /// Its design.
    pub design: String,
    /// Where it is.
    pub node: NodeId,
    /// Its state as its node told it last.
    pub state: Option<VmState>,
    /// What it is to be.
    pub wish: Wish,
    /// Whether it is started elsewhere when its node is lost.
    pub highly_available: bool,
    /// Whether an operation has it.
    pub is_busy: bool,
}

/// A VM of a deployed design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// What it takes of its node.
    pub resources: Resources,
    /// Whether it runs.
    pub is_running: bool,
}

/// A deployed design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesignShown {
    /// Whose.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its VMs that are to stay.
    pub vms: Vec<Standing>,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventShown {
    /// When.
    pub at: Time,
    /// What, in words.
    pub text: String,
    /// The node it is about, if any.
    pub node: Option<NodeId>,
    /// Whether something went wrong.
    pub is_bad: bool,
}

/// When operations began and ended, and what VMs are called: what a controller forgets.
#[derive(Debug, Default)]
pub struct Memory {
    spans: BTreeMap<OperationId, (Time, Option<Time>)>,
    names: BTreeMap<VmId, String>,
}

impl Memory {
    /// Takes a line of the history in, and puts it into words.
    pub fn take(&mut self, event: &Event, grid: &Grid) -> EventShown {
        if let Some(operation) = event.operation {
            match event.happening {
                Happening::Accepted { .. } => {
                    self.spans.insert(operation, (event.at, None));
                }
                Happening::Ended { .. } => {
                    let span = self.spans.entry(operation).or_insert((event.at, None));
                    span.1 = Some(event.at);
                }
                _ => {}
            }
        }
        self.told(event, grid)
    }

    /// Learns the names of VMs.
    pub fn learn(&mut self, controller: &Controller) {
        for (vm, record) in &controller.ledger().vms {
            if !self.names.contains_key(vm) {
                self.names.insert(*vm, record.name.clone());
            }
        }
    }

    fn name(&self, vm: VmId) -> String {
        self.names
            .get(&vm)
            .map_or_else(|| vm.to_string(), |name| format!("{name} (vm {})", vm.0))
    }

    fn told(&self, event: &Event, grid: &Grid) -> EventShown {
        let place = |node: NodeId| grid.nodes[node.index()].name.as_str();
        let vm = |vm: VmId| self.name(vm);
        let (text, node, is_bad) = match &event.happening {
            Happening::Placed { vm: id, node } => {
                let text = format!("{} is placed on {}", vm(*id), place(*node));
                (text, Some(*node), false)
            }
            Happening::Refused { vm: id, reason } => {
                (format!("no node takes {}, {reason}", vm(*id)), None, true)
            }
            Happening::Queued { vm: id } => (format!("{} waits for a node", vm(*id)), None, false),
            Happening::Released { vm: id, node } => {
                let text = format!("{} has left {}", vm(*id), place(*node));
                (text, Some(*node), false)
            }
            Happening::Accepted { asked } => (format!("accepted, {asked}"), None, false),
            Happening::Ended {
                asked,
                failed: None,
            } => (format!("done, {asked}"), None, false),
            Happening::Ended {
                asked,
                failed: Some(why),
            } => (format!("failed, {asked}, {why}"), None, true),
            Happening::Seen {
                vm: id,
                node,
                state,
            } => {
                let state = state.map_or_else(|| "not there".to_owned(), |s| s.to_string());
                let text = format!("{} is {state} on {}", vm(*id), place(*node));
                (text, Some(*node), state == "failed")
            }
            Happening::Reached {
                node,
                is_reached: true,
            } => (format!("{} is reached", place(*node)), Some(*node), false),
            Happening::Reached {
                node,
                is_reached: false,
            } => {
                let text = format!("{} is reached no more", place(*node));
                (text, Some(*node), true)
            }
            Happening::GivenUp { node } => {
                let text = format!(
                    "the lease of {} has lapsed, its highly available VMs start elsewhere",
                    place(*node)
                );
                (text, Some(*node), true)
            }
            Happening::Found { vm: id, node } => {
                let text = format!("{} has {id}, which nobody here has made", place(*node));
                (text, Some(*node), true)
            }
        };
        EventShown {
            at: event.at,
            text,
            node,
            is_bad,
        }
    }
}

/// Open operations, the oldest first, then ended ones, the latest first.
pub fn operations(controller: &Controller, memory: &Memory) -> Vec<OperationShown> {
    let ledger = controller.ledger();
    let open = ledger.open.iter();
    let open = open.filter(|(_, open)| !open.is_ended);
    let mut shown: Vec<OperationShown> = open
        .map(|(&id, open)| open_operation(controller, id, open))
        .collect();
    shown.sort_by_key(|shown| (shown.since, shown.id));
    let past = ledger.past.iter();
    let mut past: Vec<OperationShown> = past
        .filter_map(|(&id, past)| past_operation(id, past, memory))
        .collect();
    past.sort_by_key(|shown| std::cmp::Reverse((shown.until, shown.id)));
    past.truncate(ENDED_SHOWN);
    shown.append(&mut past);
    shown
}

fn open_operation(controller: &Controller, id: OperationId, open: &Operation) -> OperationShown {
    let over = open.tasks.iter().filter(|task| task.state.is_over());
    let state = match &open.back {
        Some(_) => OperationState::GoingBack,
        None if controller.ledger().has_locks(id) => OperationState::Working,
        None => OperationState::Waiting,
    };
    let details = match &open.back {
        Some(Outcome::Failed { reason }) => reason.clone(),
        Some(_) => "called off".to_owned(),
        None => under_way(controller, id, open),
    };
    OperationShown {
        id,
        what: open.what.clone(),
        state,
        details,
        orders: Some((over.count() as u32, open.tasks.len() as u32)),
        since: Some(open.at),
        until: None,
    }
}

/// `build root of web-0 on north-web-3, and 4 more`.
fn under_way(controller: &Controller, id: OperationId, open: &Operation) -> String {
    let (ledger, grid) = (controller.ledger(), &controller.view().grid);
    let mut steps = controller.progress(id).filter_map(|(task, progress)| {
        let task = open.tasks.get(task as usize)?;
        let is_ordered = matches!(task.state, TaskState::Ordered { .. });
        is_ordered.then_some((task, progress))
    });
    let Some((task, progress)) = steps.next() else {
        return String::new();
    };
    let name = ledger.vms.get(&task.vm).map(|vm| vm.name.as_str());
    let name = name.map_or_else(|| task.vm.to_string(), str::to_owned);
    let node = &grid.nodes[task.node.index()].name;
    let first = format!("{}, {name} on {node}", progress.step);
    match steps.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

fn past_operation(id: OperationId, past: &Past, memory: &Memory) -> Option<OperationShown> {
    // Whoever asked was told why, and nothing has happened.
    let Past::Ended { what, outcome } = past else {
        return None;
    };
    let (state, details) = match outcome {
        Outcome::Failed { reason } => (OperationState::Failed, reason.clone()),
        Outcome::Cancelled => (OperationState::Cancelled, String::new()),
        _ => (OperationState::Done, String::new()),
    };
    let span = memory.spans.get(&id);
    Some(OperationShown {
        id,
        what: what.clone(),
        state,
        details,
        orders: None,
        since: span.map(|span| span.0),
        until: span.and_then(|span| span.1),
    })
}

/// The controller's VMs.
pub fn vms(controller: &Controller) -> BTreeMap<VmId, VmShown> {
    let ledger = controller.ledger();
    let shown = ledger.vms.iter().map(|(&vm, record)| {
        let design = ledger.deployments.get(&record.deployment);
        let shown = VmShown {
            name: record.name.clone(),
            design: design.map_or_else(String::new, |of| of.design.name.clone()),
            node: record.node,
            state: state_of(controller, vm, record.node),
            wish: record.wish,
            highly_available: record.is_highly_available(),
            is_busy: ledger.locks.contains_key(&vm),
        };
        (vm, shown)
    });
    shown.collect()
}

fn state_of(controller: &Controller, vm: VmId, node: NodeId) -> Option<VmState> {
    let seen = controller.seen().get(&vm);
    seen.filter(|seen| seen.node == node)?.state
}

/// Designs that stand.
pub fn designs(controller: &Controller) -> Vec<DesignShown> {
    let ledger = controller.ledger();
    let designs = ledger.deployments.values().map(|deployment| {
        let vms = deployment.vms.iter().filter_map(|vm| ledger.vms.get(vm));
        let vms = vms.filter(|record| record.wish != Wish::Gone);
        let vms = vms.map(|record| Standing {
            vm: record.id,
            name: record.name.clone(),
            resources: record.resources,
            is_running: state_of(controller, record.id, record.node) == Some(VmState::Running),
        });
        DesignShown {
            tenant: deployment.design.tenant.clone(),
            name: deployment.design.name.clone(),
            vms: vms.collect(),
        }
    });
    designs.collect()
}

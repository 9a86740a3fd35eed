//! What a controller tells those who ask, with names in place of ids: what is behind the API's lists.

use crate::backend::Refused;
use crate::controller::Controller;
use crate::ledger::Past;
use crate::operation::{Operation, Task, TaskAct, TaskState};
use crate::record::{Deployment, VmRecord, Wish};
use model::event::Event;
use model::grid::NodeState;
use model::id::{NodeId, OperationId, TenantId, VmId};
use model::report::{Outcome, VmState};
use model::time::Time;
use model::units::Resources;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeShown {
    /// Which.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its rack.
    pub rack: String,
    /// What rules it.
    pub hypervisor: String,
    /// Whether it takes VMs, as it is seen: down where its agent is not reached.
    pub state: NodeState,
    /// Whether it takes VMs, as it is wished.
    pub wish: NodeState,
    /// Whether its agent is reached.
    pub is_reached: bool,
    /// What VMs may use of it.
    pub capacity: Resources,
    /// What they do.
    pub used: Resources,
    /// How many there are.
    pub vms: usize,
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmShown {
    /// Which.
    pub id: VmId,
    /// Its name, unique in its design: `web-0`.
    pub name: String,
    /// Whose.
    pub tenant: String,
    /// Of which design; `None`: of one that is withdrawn.
    pub design: Option<String>,
    /// Where it is.
    pub node: String,
    /// Where it is to be, while it moves.
    pub arriving: Option<String>,
    /// Its state, as its node told it last; `None`: not told, or not there.
    pub state: Option<VmState>,
    /// What it is to be.
    pub wish: Wish,
    /// Whether it is started elsewhere when its node is lost.
    pub highly_available: bool,
    /// What it takes of its node.
    pub resources: Resources,
    /// Its addresses, in its tenant's network.
    pub addresses: Vec<IpAddr>,
    /// Since when it is on its node.
    pub since: Time,
}

/// A deployed design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesignShown {
    /// Its name.
    pub name: String,
    /// Whose.
    pub tenant: String,
    /// How many VMs it has.
    pub vms: usize,
    /// How many of them were seen running.
    pub running: usize,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OperationState {
    /// Under way.
    Running,
    /// It undoes what it has done.
    TurningBack,
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
        !matches!(self, Self::Running | Self::TurningBack)
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
    /// When it was accepted; `None`: it is over.
    pub at: Option<Time>,
    /// When it has to have ended; `None`: it has.
    pub deadline: Option<Time>,
    /// Its orders, in the order in which they were planned; empty where it is over.
    pub tasks: Vec<TaskShown>,
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
    /// How much of the step under way is done, in thousandths; `None`: none is.
    pub done_milli: Option<u16>,
}

impl Controller {
    /// All nodes.
    pub fn nodes_shown(&self) -> impl Iterator<Item = NodeShown> {
        self.view()
            .grid
            .node_ids()
            .map(|node| self.node_shown(node))
    }

    fn node_shown(&self, id: NodeId) -> NodeShown {
        let view = self.view();
        let grid = &view.grid;
        let (node, seen) = (&grid.nodes[id.index()], &view.nodes[id.index()]);
        NodeShown {
            id,
            name: node.name.clone(),
            site: grid.sites[grid.site_of(id).index()].name.clone(),
            rack: grid.racks[node.rack.index()].name.clone(),
            hypervisor: grid.hypervisor_of(id).name.clone(),
            state: seen.state,
            wish: self.ledger().nodes[id.index()].state,
            is_reached: self.is_reached(id),
            capacity: grid.class_of(id).capacity,
            used: seen.used,
            vms: seen.vms.len(),
        }
    }

    /// All VMs, those that are being deleted among them.
    pub fn vms_shown(&self) -> impl Iterator<Item = VmShown> {
        self.ledger().vms.values().map(|vm| self.vm_shown(vm))
    }

    fn vm_shown(&self, vm: &VmRecord) -> VmShown {
        let interfaces = vm.blueprint.interfaces.iter();
        let addresses = interfaces.flat_map(|interface| &interface.addresses);
        let arriving = vm.arriving.as_ref();
        let design = self.ledger().deployments.get(&vm.deployment);
        VmShown {
            id: vm.id,
            name: vm.name.clone(),
            tenant: self.tenant_name(vm.tenant),
            design: design.map(|deployment| deployment.design.name.clone()),
            node: self.node_name(vm.node),
            arriving: arriving.map(|(node, _)| self.node_name(*node)),
            state: self.state_of(vm.id),
            wish: vm.wish,
            highly_available: vm.is_highly_available(),
            resources: vm.resources,
            addresses: addresses.map(|(address, _)| *address).collect(),
            since: vm.since,
        }
    }

    /// All deployed designs.
    pub fn designs_shown(&self) -> impl Iterator<Item = DesignShown> {
        let deployments = self.ledger().deployments.values();
        deployments.map(|deployment| self.design_shown(deployment))
    }

    fn design_shown(&self, deployment: &Deployment) -> DesignShown {
        let is_running = |vm: &&VmId| self.state_of(**vm) == Some(VmState::Running);
        DesignShown {
            name: deployment.design.name.clone(),
            tenant: deployment.design.tenant.clone(),
            vms: deployment.vms.len(),
            running: deployment.vms.iter().filter(is_running).count(),
        }
    }

    /// Operations that are known still, the newest last.
    pub fn operations_shown(&self) -> impl Iterator<Item = OperationShown> {
        let past = self.ledger().past.keys();
        let open = self.ledger().open.iter().filter(|(_, open)| !open.is_ended);
        let ids = past.chain(open.map(|(id, _)| id));
        ids.filter_map(|id| self.operation_shown(*id))
    }

    /// An operation; `None`: it was not heard of, or is forgotten.
    pub fn operation_shown(&self, id: OperationId) -> Option<OperationShown> {
        if let Some(past) = self.ledger().past.get(&id) {
            return Some(past_shown(id, past));
        }
        let open = self.ledger().open.get(&id)?;
        Some(OperationShown {
            id,
            what: open.what.clone(),
            state: match open.back {
                None => OperationState::Running,
                Some(_) => OperationState::TurningBack,
            },
            at: Some(open.at),
            deadline: Some(open.deadline),
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
                done_milli: progress.map(|progress| progress.done_milli),
            }
        });
        shown.collect()
    }

    /// Of a VM that has moved, its former node's word says nothing any more.
    fn state_of(&self, vm: VmId) -> Option<VmState> {
        let node = self.ledger().vms.get(&vm)?.node;
        let seen = self.seen().get(&vm);
        seen.filter(|seen| seen.node == node)?.state
    }

    fn node_name(&self, node: NodeId) -> String {
        self.view().grid.nodes[node.index()].name.clone()
    }

    fn tenant_name(&self, tenant: TenantId) -> String {
        let known = self.ledger().tenants.get(tenant.index());
        known.cloned().unwrap_or_default()
    }
}

fn past_shown(id: OperationId, past: &Past) -> OperationShown {
    let (what, state) = match past {
        Past::Refused { why } => {
            let state = OperationState::Refused {
                reason: why.to_string(),
                hint: why.hint().to_owned(),
            };
            (String::new(), state)
        }
        Past::Ended { what, outcome } => {
            let state = match outcome {
                Outcome::Failed { reason } => OperationState::Failed {
                    reason: reason.clone(),
                },
                Outcome::Cancelled => OperationState::Cancelled,
                _ => OperationState::Done,
            };
            (what.clone(), state)
        }
    };
    OperationShown {
        id,
        what,
        state,
        at: None,
        deadline: None,
        tasks: Vec::new(),
    }
}

fn act_in_words(task: &Task) -> String {
    match &task.act {
        TaskAct::Create => "create".to_owned(),
        TaskAct::Remake => "make anew".to_owned(),
        TaskAct::Scale { .. } => "scale".to_owned(),
        TaskAct::Do { verb } => verb.word().to_owned(),
        TaskAct::Receive => "receive".to_owned(),
        TaskAct::Send { .. } => "send".to_owned(),
        TaskAct::Lend { piece } => format!("lend piece {piece}"),
        TaskAct::Withdraw => "take back what was lent".to_owned(),
        TaskAct::Clear => "clear away".to_owned(),
    }
}

/// An event of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventShown {
    /// Its number, from 0, which never changes.
    pub number: u64,
    /// In words.
    pub text: String,
    /// As it was written down.
    #[serde(flatten)]
    pub event: Event,
}

impl From<(u64, Event)> for EventShown {
    fn from((number, event): (u64, Event)) -> Self {
        Self {
            number,
            text: event.happening.to_string(),
            event,
        }
    }
}

/// What whoever asked for something that cannot be is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Why it cannot be.
    pub error: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Where a command was refused: why, for programs.
    pub refused: Option<Refused>,
}

//! What a controller tells those who ask, with names in place of ids: the API's lists, and the window's.

mod event;
mod operation;

pub use event::{EventShown, Names};
pub use operation::{OperationShown, OperationState, TaskShown};

use crate::backend::{ENDED_TOLD, Refused, Standing};
use crate::controller::Controller;
use crate::record::{Deployment, VmRecord, Wish};
use model::grid::NodeState;
use model::id::{NodeId, TenantId, VmId};
use model::report::VmState;
use model::time::Time;
use model::units::Resources;
use placement::reason::Reason;
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
    /// Whether its services were set up by its component's recipe.
    pub is_configured: bool,
    /// Whether an operation has it, so that others wait.
    pub is_busy: bool,
    /// Whether it is started elsewhere when its node is lost.
    pub highly_available: bool,
    /// What it takes of its node.
    pub resources: Resources,
    /// Its addresses, in its tenant's network.
    pub addresses: Vec<IpAddr>,
    /// Since when it is on its node.
    pub since: Time,
    /// Why it is there; `None`: whoever asked named the node.
    pub why: Option<WhyShown>,
}

/// Why a VM is where it is: what was decided when it was placed there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyShown {
    /// The policy's name.
    pub policy: String,
    /// How many nodes would have taken it, its own among them.
    pub fitting: u32,
    /// The next best of them; `None`: there was none, or the policy knows no second place.
    pub runner_up: Option<String>,
    /// How many nodes were refused, filter after filter.
    pub refused: Vec<RefusedShown>,
}

/// Nodes that a filter refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedShown {
    /// The filter's key, as `free-cpu`.
    pub filter: String,
    /// What was lacking, in words.
    pub what: String,
    /// How many nodes.
    pub nodes: u32,
}

impl VmShown {
    /// Whether it is not being deleted.
    pub fn is_to_stay(&self) -> bool {
        self.wish != Wish::Gone
    }

    /// Whether it was seen running.
    pub fn is_running(&self) -> bool {
        self.state == Some(VmState::Running)
    }
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

impl Controller {
    /// What stands and is going on.
    pub fn standing(&self) -> Standing {
        Standing {
            operations: self.operations_shown(ENDED_TOLD),
            vms: self.vms_shown().collect(),
            designs: self.designs_shown().collect(),
            trouble: None,
        }
    }

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
            is_configured: !vm.configured.is_empty(),
            is_busy: self.ledger().holder(vm.id).is_some(),
            highly_available: vm.is_highly_available(),
            resources: vm.resources,
            addresses: addresses.map(|(address, _)| *address).collect(),
            since: vm.since,
            why: vm.why.as_ref().map(|why| self.why_shown(why)),
        }
    }

    fn why_shown(&self, why: &Reason) -> WhyShown {
        let refused = why.refused.iter().map(|(filter, nodes)| RefusedShown {
            filter: filter.key().to_owned(),
            what: filter.to_string(),
            nodes: *nodes,
        });
        WhyShown {
            policy: why.policy.clone(),
            fitting: why.fitting,
            runner_up: why.runner_up.map(|node| self.node_name(node)),
            refused: refused.collect(),
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

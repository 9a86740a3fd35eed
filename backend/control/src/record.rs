//! What a controller keeps of VMs, deployed designs and nodes.

use model::blueprint::Blueprint;
use model::design::Design;
use model::grid::NodeState;
use model::id::{KeyId, NodeId, TenantId, VmId};
use model::time::Time;
use model::units::Resources;
use model::vm::VmSpec;
use placement::reason::Reason;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a VM is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Running, or paused by somebody.
    Running,
    /// There, and not running.
    Stopped,
    /// Gone.
    Gone,
}

/// A VM of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmRecord {
    /// Which.
    pub id: VmId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which deployed design: its place among the deployments.
    pub deployment: u32,
    /// Its name in the assignment, as `web-0`.
    pub name: String,
    /// The name of its component, as `web`.
    pub component: String,
    /// Its shape.
    pub spec: Arc<VmSpec>,
    /// What it takes of its node.
    pub resources: Resources,
    /// Where it is.
    pub node: NodeId,
    /// Which of the node's accelerators it has, with thousandths of each.
    pub devices: Vec<(u8, u16)>,
    /// Where it is to be, while it moves, and which accelerators it gets there.
    pub arriving: Option<(NodeId, Vec<(u8, u16)>)>,
    /// Where it was, until that node has wiped it.
    pub leaving: Option<NodeId>,
    /// What a node needs to make it, all but its remote disk.
    pub blueprint: Arc<Blueprint>,
    /// The pieces of its remote disk, in order; empty: it has none.
    pub lent: Vec<Lent>,
    /// Whether its node has made it.
    pub is_made: bool,
    /// The parts of its outfit that it was sent, by their digests; empty: none.
    pub configured: Vec<u64>,
    /// What it is to be.
    pub wish: Wish,
    /// Since when it is on its node.
    pub since: Time,
    /// Why it is on its node; `None`: whoever asked named the node.
    #[serde(default)]
    pub why: Option<Arc<Reason>>,
    /// Why it moves to where it moves, while it does.
    #[serde(default)]
    pub why_there: Option<Arc<Reason>>,
}

impl VmRecord {
    /// The nodes on which it may have something.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let arriving = self.arriving.as_ref().map(|(node, _)| *node);
        [Some(self.node), arriving, self.leaving]
            .into_iter()
            .flatten()
    }

    /// Whether its node stops it once its lease has lapsed.
    pub fn is_highly_available(&self) -> bool {
        self.blueprint.highly_available
    }
}

/// A piece of a VM's remote disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The node that lends it.
    pub node: NodeId,
    /// Its size.
    pub size_gib: u32,
    /// The key by which it is read and written.
    pub key: KeyId,
    /// Where it is served; `None`: it has not been told.
    pub address: Option<SocketAddr>,
}

/// A design that was deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// As it was drawn; it is a topology.
    pub design: Design,
    /// Whose.
    pub tenant: TenantId,
    /// Its VMs.
    pub vms: BTreeSet<VmId>,
}

/// What is kept of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Whether it takes VMs.
    pub state: NodeState,
    /// VMs that are here, come, or go.
    pub vms: BTreeSet<VmId>,
    /// What may be left here of VMs that are made anew elsewhere, and what it takes.
    #[serde(with = "crate::pairs")]
    pub remains: BTreeMap<VmId, Resources>,
    /// How much of its disk it lends to VMs of other nodes, in GiB.
    #[serde(with = "crate::pairs")]
    pub lends: BTreeMap<VmId, u32>,
}

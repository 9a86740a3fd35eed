//! The unified picture of the grid at an instant: what the heatmap draws and placement decides from.

mod nodes;

pub use nodes::{Iter, NodeViews};

use crate::grid::{Grid, NodeState};
use crate::id::{Generation, NodeId, TenantId, VmId};
use crate::time::Time;
use crate::units::Resources;
use crate::vm::VmSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A VM on its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmView {
    /// Which.
    pub id: VmId,
    /// Whose.
    pub tenant: TenantId,
    /// What it takes of its node.
    pub resources: Resources,
    /// Its shape, shared between equal VMs.
    pub spec: Arc<VmSpec>,
    /// Since when it has been there.
    pub since: Time,
    /// Which of the node's accelerators it has, with thousandths of each.
    pub devices: Vec<(u8, u16)>,
}

/// A node with what it carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Whether it takes VMs; may differ from the grid file's wish.
    pub state: NodeState,
    /// What its VMs take, and what it lends of its disk to VMs of other nodes.
    pub used: Resources,
    /// Its VMs, by id.
    pub vms: Vec<VmView>,
}

/// The grid at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The instant.
    pub at: Time,
    /// How often the grid has changed, which stamps plans.
    pub generation: Generation,
    /// What does not change with the instant.
    pub grid: Arc<Grid>,
    /// By [`NodeId`]; as long as `grid.nodes`.
    pub nodes: NodeViews,
}

impl View {
    /// An empty grid.
    pub fn empty(grid: Arc<Grid>) -> Self {
        let nodes = grid
            .nodes
            .iter()
            .map(|node| NodeView {
                state: node.state,
                ..NodeView::default()
            })
            .collect();
        Self {
            at: Time::ZERO,
            generation: grid.generation,
            grid,
            nodes,
        }
    }

    /// What a node has free.
    pub fn free(&self, node: NodeId) -> Resources {
        let capacity = self.grid.class_of(node).capacity.to_array();
        let used = self.nodes[node.index()].used.to_array();
        Resources::from_array(std::array::from_fn(|d| capacity[d].saturating_sub(used[d])))
    }
}

//! The physical step: VMs to nodes, immutable, stamped with the grid's generation.

use crate::id::{Generation, NodeId};
use serde::{Deserialize, Serialize};

/// Disk space of one node for a VM of another: one piece of the VM's remote disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loan {
    /// The node that lends it.
    pub node: NodeId,
    /// How much of the node's disk.
    pub size_gib: u32,
}

/// One VM and its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The VM's place in the assignment.
    pub vm: u32,
    /// Where it goes.
    pub node: NodeId,
    /// Which of the node's accelerators it gets, with thousandths of each.
    pub devices: Vec<(u8, u16)>,
    /// What its remote disk consists of, in order; empty: it has none.
    pub loans: Vec<Loan>,
}

/// Leaves no choice to execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The grid it was made from; a grid of another generation refuses it.
    pub generation: Generation,
    /// One for each VM of the assignment, in its order.
    pub placements: Vec<Placement>,
}

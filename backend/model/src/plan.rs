//! The physical step: VMs to nodes, immutable, stamped with the grid's generation.

use crate::id::{Generation, NodeId};
use serde::{Deserialize, Serialize};

/// One VM and its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The VM's place in the assignment.
    pub vm: u32,
    /// Where it goes.
    pub node: NodeId,
    /// Which of the node's accelerators it gets, with thousandths of each.
    pub devices: Vec<(u8, u16)>,
}

/// Leaves no choice to execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The grid it was made from; a grid of another generation refuses it.
    pub generation: Generation,
    /// One for each VM of the assignment, in its order.
    pub placements: Vec<Placement>,
}

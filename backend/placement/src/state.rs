//! What is free on every node, and who is where.

use model::id::GroupId;

/// A VM shape known to a placer: its place in the placer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(pub u32);

/// The accelerators a VM got: device and thousandths; empty for most VMs.
pub type Devices = Vec<(u8, u16)>;

/// A VM that asks for a node.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its shape.
    pub shape: ShapeId,
    /// Groups it belongs to.
    pub groups: &'a [GroupId],
}

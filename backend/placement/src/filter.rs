//! Why a node may not take a VM.

use model::units::Dimension;

/// One constraint, in the order in which nodes are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// The node takes no VMs now.
    NodeState,
    /// The VM type is not legal on this node model.
    Model,
    /// The image is of another instruction set.
    Arch,
    /// The hypervisor does not run this operating system.
    Guest,
    /// The hypervisor does not run guests this way.
    Virtualisation,
    /// The node's driver cannot do what the VM needs.
    Capability,
    /// A licence is missing.
    Licence,
    /// The site is not among those allowed.
    Site,
    /// The node does not play a role asked for.
    Role,
    /// A label is missing or differs.
    Label,
    /// The tenant is riskier than the node takes.
    Risk,
    /// No accelerator of a model asked for.
    AcceleratorModel,
    /// Members of a group would not be together.
    Affinity,
    /// Members of a group would not be apart.
    AntiAffinity,
    /// Too little free in a dimension.
    Free(Dimension),
    /// Enough accelerator in sum, but no device has the share, or too few are whole.
    AcceleratorDevice,
}

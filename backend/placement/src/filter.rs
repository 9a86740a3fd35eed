//! Why a node may not take a VM.

use model::units::Dimension;
use std::fmt;

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

impl fmt::Display for Filter {
    /// One word, as files and tables spell it: `anti-affinity`, `free-cpu`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodeState => "node-state",
            Self::Model => "model",
            Self::Arch => "arch",
            Self::Guest => "guest",
            Self::Virtualisation => "virtualisation",
            Self::Capability => "capability",
            Self::Licence => "licence",
            Self::Site => "site",
            Self::Role => "role",
            Self::Label => "label",
            Self::Risk => "risk",
            Self::AcceleratorModel => "accelerator-model",
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::Free(Dimension::Cpu) => "free-cpu",
            Self::Free(Dimension::Mem) => "free-mem",
            Self::Free(Dimension::Disk) => "free-disk",
            Self::Free(Dimension::DiskIo) => "free-disk-io",
            Self::Free(Dimension::Net) => "free-net",
            Self::Free(Dimension::Accel) => "free-accel",
            Self::AcceleratorDevice => "accelerator-device",
        })
    }
}
